//! The flush and the heartbeat step by step, over pairs of sockets. Those of streams are with `stream_writer`.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_executor::LocalExecutor;
use smol::future;
use socket2::SockRef;

use super::broadcaster::Broadcaster;
use super::kept_state::KeptState;
use super::live_channel::Client;
use super::transport::Transport;
use crate::config::limits::{FLUSH_BYTES_MAX, SWEEPS_PER_HEARTBEAT};
use crate::config::settings::Config;
use crate::hub::channel::Start;
use crate::hub::channel_name::ChannelName;
use crate::hub::close_reason::CloseReason;
use crate::hub::frame::{Frame, PING};
use crate::hub::publishing::Published;
use crate::hub::stream_encoding::Encoding;
use crate::runtime::reactor;
use crate::runtime::socket::Async;
use crate::runtime::spawner::Spawner;
use crate::telemetry::counters::Counters;

/// A broadcaster, and what runs its tasks.
pub(super) struct Stage {
    pub(super) broadcaster: Rc<Broadcaster>,
    pub(super) executor: Rc<LocalExecutor<'static>>,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self::with(KeptState::Off)
    }

    /// One that keeps what is said.
    pub(super) fn with(state: KeptState) -> Self {
        Self::with_patience(state, Config::default().limits.patience)
    }

    /// The same, with this much patience for a slow client.
    pub(super) fn with_patience(state: KeptState, patience: Duration) -> Self {
        let executor = Rc::new(LocalExecutor::new());
        let (mut config, counters) = (Config::default(), Arc::new(Counters::new()));
        config.limits.patience = patience;
        // Room for two large messages, as every backlog has.
        config.limits.backlog_bytes = 2 * LARGE_BYTES;
        let spawner = Spawner::new(&executor);
        let broadcaster =
            Broadcaster::new(Arc::new(config), BTreeSet::new(), counters, spawner, state).expect("there is memory");
        Self { broadcaster: Rc::new(broadcaster), executor }
    }

    /// A subscriber that wants nothing from before, and the other end of its socket.
    pub(super) fn join(&self) -> (Client, UnixStream) {
        self.join_at(&ChannelName::MAIN)
    }

    fn join_at(&self, channel: &ChannelName) -> (Client, UnixStream) {
        let (client, theirs) = self.connect(channel);
        self.broadcaster.join(&client, true, Start::History(0), |_, _| Vec::new());
        (client, theirs)
    }

    /// A stream that wants nothing from before.
    pub(super) fn join_stream(&self, encoding: Encoding) -> (Client, UnixStream) {
        let (client, theirs) = self.connect(&ChannelName::MAIN);
        self.broadcaster.join_stream(&client, encoding, Start::History(0), None, |_, _| Vec::new());
        (client, theirs)
    }

    pub(super) fn connect(&self, channel: &ChannelName) -> (Client, UnixStream) {
        let (ours, theirs) = pair();
        (self.client(TcpStream::from(OwnedFd::from(ours)), channel), theirs)
    }

    pub(super) fn client(&self, socket: TcpStream, channel: &ChannelName) -> Client {
        let socket = Async::new(socket.into()).unwrap();
        let transport = Rc::new(Transport::new(socket, ([127, 0, 0, 1], 1).into(), Vec::new(), true));
        Client { transport, live: self.broadcaster.channels().open(channel).unwrap() }
    }

    /// Publishes a message that the backlog has room for.
    pub(super) fn publish(&self, client: &Client, frame: Frame) {
        assert_eq!(self.broadcaster.publish(client, frame), Published::Now, "there is room for it");
    }

    /// Runs a future, and all tasks beside it.
    pub(super) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        reactor::block_on(self.executor.run(future)).unwrap()
    }

    fn bytes_out(&self) -> usize {
        self.broadcaster.counters().bytes_out.get().try_into().unwrap()
    }
}

/// Sockets of which the first takes as much as the kernel allows.
fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    SockRef::from(&ours).set_send_buffer_size(4 * FLUSH_BYTES_MAX).unwrap();
    (ours, theirs)
}

/// All that has arrived.
pub(super) fn received(mut socket: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    match socket.read_to_end(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => bytes,
        ended => panic!("the connection has ended: {ended:?}"),
    }
}

/// The payload of a large message.
pub(super) const LARGE_BYTES: usize = 3 << 20;

/// More than one turn's share, and more than a pair of sockets takes.
pub(super) fn large() -> Frame {
    let (ours, _theirs) = pair();
    let taken = (&ours).write(&vec![0; 8 * FLUSH_BYTES_MAX]).unwrap();
    assert!(taken > FLUSH_BYTES_MAX, "sockets here take only {taken} bytes at once, so this test would show nothing");
    Frame::binary(vec![0xab; LARGE_BYTES])
}

#[test]
fn one_flush_hands_nobody_more_than_its_share_of_a_turn() {
    let stage = Stage::new();
    let (client, socket) = stage.join();
    stage.broadcaster.flush();
    let frame = large();
    stage.publish(&client, frame.clone());
    stage.broadcaster.flush();
    let first = received(&socket);
    assert_eq!((first.len(), stage.bytes_out()), (FLUSH_BYTES_MAX, FLUSH_BYTES_MAX));
    assert!(!client.transport.write_blocked.get(), "its socket would take more");
    stage.broadcaster.flush();
    assert!(
        frame.to_vec().starts_with(&[first, received(&socket)].concat()),
        "the next turn goes on where this one ended"
    );
}

#[test]
fn others_have_their_turn_before_the_flush_goes_on_with_more() {
    let stage = Stage::new();
    let (client, _socket) = stage.join();
    stage.broadcaster.flush();
    stage.publish(&client, large());
    let flush = stage.executor.spawn(Rc::clone(&stage.broadcaster).run_flush());
    let counters = Arc::clone(stage.broadcaster.counters());
    let other = stage.executor.spawn(async move {
        let mut seen = Vec::new();
        while !client.transport.write_blocked.get() {
            seen.push(counters.bytes_out.get());
            future::yield_now().await;
        }
        seen
    });
    let seen = stage.run(other);
    assert!(seen.contains(&(FLUSH_BYTES_MAX as u64)), "a task that is ready all the time has seen only {seen:?} bytes");
    assert!(stage.bytes_out() > FLUSH_BYTES_MAX, "the flush has gone on");
    drop(flush);
}

#[test]
fn who_keeps_nobody_waiting_any_longer_is_charged_no_longer() {
    let stage = Stage::new();
    let (_sleeper, _socket) = stage.join();
    let (publisher, _its_socket) = stage.join();
    let id = stage.broadcaster.assign_connection_id(&publisher, None);
    for _ in 0..2 {
        stage.publish(&publisher, large());
    }
    assert_eq!(stage.broadcaster.publish(&publisher, large()), Published::Later);
    assert!(stage.broadcaster.flush().is_some(), "somebody waits");
    stage.broadcaster.replace(&id.to_string(), false);
    assert_eq!(stage.broadcaster.flush(), None);
    assert!(!publisher.live.channel.borrow().needs_review());
}

#[test]
fn a_message_that_waits_is_taken_back_with_its_client_if_that_counts_and_else_published_in_its_turn() {
    for counts in [true, false] {
        let stage = Stage::new();
        let (sleeper, _socket) = stage.join();
        let (publisher, _its_socket) = stage.join();
        if counts {
            stage.broadcaster.assign_connection_id(&publisher, None);
        }
        for _ in 0..2 {
            stage.publish(&publisher, large());
        }
        assert_eq!(stage.broadcaster.publish(&publisher, large()), Published::Later);
        stage.broadcaster.leave(&publisher);
        stage.broadcaster.leave(&sleeper);
        stage.broadcaster.flush();
        stage.broadcaster.flush();
        let figures = publisher.live.figures();
        assert_eq!((figures.messages, figures.publishers_waiting), (if counts { 2 } else { 3 }, 0), "{counts}");
    }
}

#[test]
fn a_pong_waits_for_the_tail_of_the_frame_and_goes_before_the_next() {
    let stage = Stage::new();
    let (client, socket) = stage.join();
    stage.broadcaster.flush();
    let (first, second) = (large(), Frame::text("next"));
    stage.publish(&client, first.clone());
    stage.broadcaster.flush();
    let mut bytes = received(&socket);
    assert!(bytes.len() < first.len(), "it is in the middle of a frame");
    stage.publish(&client, second.clone());
    let pong = [0x8a, 0];
    client.transport.push_control(&pong);
    let expected = [&first.to_vec()[..], &pong, &second.to_vec()].concat();
    let flush = stage.executor.spawn(Rc::clone(&stage.broadcaster).run_flush());
    stage.run(async {
        while bytes.len() < expected.len() {
            bytes.extend(received(&socket));
            future::yield_now().await;
        }
    });
    assert!(bytes == expected, "the whole frame, the pong, the next frame");
    drop(flush);
}

#[test]
fn who_is_silent_is_pinged_after_one_heartbeat_and_dropped_after_two_and_no_sweep_earlier() {
    let stage = Stage::new();
    let (client, socket) = stage.join();
    // What was heard may have been heard right after the last sweep, so that one more has to pass.
    for _ in 0..SWEEPS_PER_HEARTBEAT {
        stage.broadcaster.sweep_silent();
        stage.broadcaster.flush();
        assert_eq!(received(&socket), b"", "less than a heartbeat may have passed");
    }
    stage.broadcaster.sweep_silent();
    stage.broadcaster.flush();
    assert_eq!(received(&socket), PING);
    for _ in 1..SWEEPS_PER_HEARTBEAT {
        stage.broadcaster.sweep_silent();
    }
    assert_eq!(client.transport.ending(), None, "less than two heartbeats may have passed");
    stage.broadcaster.sweep_silent();
    assert_eq!(client.transport.ending(), Some(CloseReason::Silent));
    assert_eq!(received(&socket), b"", "one ping was enough");
}

#[test]
fn anything_received_resets_the_heartbeat() {
    let stage = Stage::new();
    let (client, _socket) = stage.join();
    for _ in 0..10 * SWEEPS_PER_HEARTBEAT {
        client.transport.note_heard();
        for _ in 0..SWEEPS_PER_HEARTBEAT {
            stage.broadcaster.sweep_silent();
        }
    }
    assert_eq!((client.transport.ending(), client.transport.has_control()), (None, false));
}

#[test]
fn who_is_not_read_is_not_silent() {
    let stage = Stage::new();
    let (client, _socket) = stage.join();
    let sweep = || (0..4 * SWEEPS_PER_HEARTBEAT).for_each(|_| stage.broadcaster.sweep_silent());
    client.transport.note_awaiting_file(true);
    sweep();
    client.transport.note_awaiting_file(false);
    client.transport.publish_blocked.set(true);
    sweep();
    assert_eq!((client.transport.ending(), client.transport.has_control()), (None, false));
    client.transport.publish_blocked.set(false);
    sweep();
    assert_eq!(client.transport.ending(), Some(CloseReason::Silent), "it is read again");
}

#[test]
fn the_tail_of_a_frame_goes_before_control_bytes_and_its_memory_counts_until_the_client_is_gone() {
    let stage = Stage::new();
    let limit = stage.broadcaster.config().limits.backlog_bytes;
    let mut in_mid_frame = Vec::new();
    for _ in 0..4 {
        let (client, socket) = stage.join();
        in_mid_frame.push((client, socket));
    }
    stage.broadcaster.flush();
    let frame = large();
    stage.publish(&in_mid_frame[0].0, frame.clone());
    stage.broadcaster.flush();
    for (client, _) in &in_mid_frame {
        client.transport.push_control(&[0x8a, 0]);
        stage.broadcaster.leave(client);
    }
    assert!(limit < 3 * (frame.len() - FLUSH_BYTES_MAX), "room for two tails and not for three");
    let aborted = |nth: usize| in_mid_frame[nth].0.transport.is_aborted();
    assert_eq!([aborted(0), aborted(1), aborted(2), aborted(3)], [false, false, true, true]);
    for (client, _) in &in_mid_frame {
        stage.broadcaster.forget(client);
    }
    let (client, _socket) = stage.join();
    stage.broadcaster.flush();
    stage.publish(&client, frame);
    stage.broadcaster.flush();
    stage.broadcaster.leave(&client);
    assert!(!client.transport.is_aborted(), "what the first one had is given back");

    let (first, socket) = &in_mid_frame[0];
    let mut bytes = received(socket);
    let has_ended = stage.run(async {
        let read = async {
            while bytes.len() < large().len() + 2 {
                bytes.extend(received(socket));
                future::yield_now().await;
            }
        };
        future::zip(first.transport.finish_control(), read).await.0.is_ok()
    });
    assert!(has_ended && bytes == [&large().to_vec()[..], &[0x8a, 0]].concat(), "its frame to the end, then the pong");
}

#[test]
fn who_counts_gets_what_was_deleted_and_nothing_of_the_new_epoch() {
    let stage = Stage::new();
    let ((speaker, plain), (counting, theirs)) = (stage.join(), stage.join());
    stage.broadcaster.assign_connection_id(&counting, None);
    stage.broadcaster.flush();
    stage.publish(&speaker, Frame::text("old"));
    future::block_on(stage.broadcaster.clear(&speaker.live));
    stage.publish(&speaker, Frame::text("new"));
    // What its task does when it runs, which may be now.
    stage.broadcaster.write_now(&counting);
    stage.broadcaster.leave(&counting);
    stage.broadcaster.flush();
    let frames =
        |texts: &[&str]| texts.iter().flat_map(|text| Frame::text((*text).to_owned()).to_vec()).collect::<Vec<_>>();
    assert_eq!(received(&theirs), frames(&["old"]));
    assert_eq!(received(&plain), frames(&["old", "new"]));
}
