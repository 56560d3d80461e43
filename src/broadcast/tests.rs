//! The flush and the heartbeat step by step, over pairs of sockets. Those of streams are with `stream_writer`.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use async_executor::LocalExecutor;
use smol::future;
use socket2::SockRef;

use super::broadcaster::Broadcaster;
use super::kept_state::KeptState;
use super::leave_guard::LeaveGuard;
use super::live_channel::Client;
use super::transport::Transport;
use super::waiting_post::PostOutcome;
use crate::config::limits::{FLUSH_BYTES_MAX, POSTS_WAITING_MAX, SWEEPS_PER_HEARTBEAT};
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
use crate::telemetry::counters::{Count, Counters};

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

/// Counts how often a task is woken.
#[derive(Default)]
pub(super) struct Wakes(AtomicUsize);

impl Wakes {
    pub(super) fn waker() -> (Waker, Arc<Self>) {
        let wakes = Arc::<Self>::default();
        (Waker::from(Arc::clone(&wakes)), wakes)
    }

    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
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
    assert_eq!(stage.bytes_out(), expected.len());
    drop(flush);
}

#[test]
fn who_is_silent_is_pinged_after_one_heartbeat_and_dropped_after_two_and_no_sweep_earlier() {
    let stage = Stage::new();
    (0..9).for_each(|_| stage.broadcaster.sweep_silent());
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
    assert_eq!((received(&socket), client.live.clients()), (Vec::new(), 0), "one ping was enough");
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

#[test]
fn the_servers_figures_have_what_its_channels_have_and_what_only_grows_of_those_that_are_gone() {
    let stage = Stage::new();
    let counters = stage.broadcaster.counters();
    let lights = ChannelName::parse("lights").unwrap();
    let ((listener, _its_socket), (speaker, _socket)) = (stage.join(), stage.join_at(&lights));
    stage.publish(&speaker, Frame::text("fog"));
    stage.broadcaster.flush();
    let held_bytes = speaker.live.figures().backlog_bytes;
    let now = || [&counters.clients, &counters.messages, &counters.deliveries, &counters.backlog_bytes].map(Count::get);
    assert_eq!((now(), held_bytes > 0), ([2, 1, 1, held_bytes], true));
    assert_eq!(stage.bytes_out(), Frame::text("fog").len());
    stage.broadcaster.leave(&listener);
    stage.broadcaster.leave(&speaker);
    assert_eq!((now(), counters.clients_peak.get(), counters.clients_total.get()), ([0, 1, 1, held_bytes], 2, 2));
    let others = stage.broadcaster.config().limits.channels_max;
    for nth in 0..others {
        let live = stage.broadcaster.channels().open(&ChannelName::parse(&format!("c{nth}")).unwrap()).unwrap();
        stage.broadcaster.post(&live, Frame::text("fog"));
    }
    stage.broadcaster.flush();
    assert!(stage.broadcaster.channels().find(&lights).is_none());
    let others = others as u64;
    assert_eq!(now(), [0, 1 + others, 1, others * held_bytes]);
}

#[test]
fn a_flush_behind_which_nobody_lacks_anything_leaves_nothing_to_do() {
    let stage = Stage::new();
    let (client, socket) = stage.join();
    let is_at_rest = || stage.broadcaster.dirty.borrow().is_empty() && stage.broadcaster.in_review.borrow().is_empty();
    client.transport.push_control(&PING);
    stage.broadcaster.flush();
    assert_eq!((received(&socket), stage.bytes_out(), is_at_rest()), (PING.to_vec(), PING.len(), true));
    stage.publish(&client, Frame::text("fog"));
    stage.broadcaster.flush();
    assert_eq!((received(&socket), is_at_rest()), (b"\x81\x03fog".to_vec(), true));
    stage.broadcaster.write_now(&client);
    assert!(is_at_rest());
    stage.broadcaster.leave(&client);
    assert!(!is_at_rest(), "others may have waited for it");
}

#[test]
fn who_waits_for_room_is_woken_when_there_is_some_and_when_the_connection_has_to_end() {
    for has_to_end in [true, false] {
        let stage = Stage::new();
        let ((sleeper, _socket), (publisher, its_socket)) = (stage.join(), stage.join());
        let mut waiting = std::pin::pin!(stage.broadcaster.wait_until_published(&publisher.transport));
        let (task, wakes) = Wakes::waker();
        let mut poll = || waiting.as_mut().poll(&mut Context::from_waker(&task)).is_ready();
        for _ in 0..2 {
            stage.publish(&publisher, large());
        }
        assert_eq!(stage.broadcaster.publish(&publisher, Frame::text("fog")), Published::Later);
        assert!(!poll() && wakes.get() == 0);
        if has_to_end {
            stage.broadcaster.stop();
        } else {
            stage.broadcaster.leave(&sleeper);
            while publisher.transport.publish_blocked.get() {
                stage.broadcaster.flush();
                received(&its_socket);
                publisher.transport.write_blocked.set(false);
                stage.broadcaster.schedule(&publisher);
            }
        }
        assert!(wakes.get() > 0 && poll(), "{has_to_end}");
        assert_eq!(publisher.transport.known().taken, if has_to_end { 2 } else { 3 });
    }
}

#[test]
fn a_stop_is_told_to_all_who_are_there_and_to_who_comes_later_and_behind_what_they_lack() {
    let stage = Stage::new();
    let lights = ChannelName::parse("lights").unwrap();
    let ((slow, socket), (other, _its_socket)) = (stage.join(), stage.join_at(&lights));
    stage.broadcaster.flush();
    stage.publish(&slow, Frame::binary(vec![0; FLUSH_BYTES_MAX]));
    stage.broadcaster.flush();
    assert!(!slow.is_up_to_date());
    stage.broadcaster.stop();
    let (late, _late_socket) = stage.join();
    for client in [&slow, &other, &late] {
        assert_eq!(client.transport.ending(), Some(CloseReason::ServerStops));
    }
    let (task, wakes) = Wakes::waker();
    slow.transport.wake_with(&Context::from_waker(&task));
    assert_eq!(wakes.get(), 0);
    stage.broadcaster.flush();
    assert!(slow.is_up_to_date() && received(&socket).len() > FLUSH_BYTES_MAX);
    assert_eq!(wakes.get(), 1, "now it can close");
}

#[test]
fn a_task_is_not_woken_by_what_is_written_to_its_client() {
    let stage = Stage::new();
    let (client, _socket) = stage.join();
    let (task, wakes) = Wakes::waker();
    client.transport.wake_with(&Context::from_waker(&task));
    stage.publish(&client, Frame::text("fog"));
    stage.broadcaster.flush();
    client.transport.push_control(&PING);
    stage.broadcaster.schedule(&client);
    stage.broadcaster.flush();
    assert_eq!((client.is_up_to_date(), wakes.get()), (true, 0));
}

#[test]
fn who_watches_the_figures_waits_for_the_next_flush() {
    let stage = Stage::new();
    let mut flushed = std::pin::pin!(stage.broadcaster.wait_for_flush());
    let (task, wakes) = Wakes::waker();
    let mut poll = || flushed.as_mut().poll(&mut Context::from_waker(&task)).is_ready();
    assert!(!poll() && wakes.get() == 0);
    stage.broadcaster.flush();
    assert!(wakes.get() == 1 && poll());
}

#[test]
fn as_many_posts_wait_for_room_as_ask_where_none_waits_for_a_disk() {
    let stage = Stage::new();
    let (sleeper, _socket) = stage.join();
    for _ in 0..2 {
        stage.publish(&sleeper, large());
    }
    let posts: Vec<_> =
        (0..=POSTS_WAITING_MAX).map(|_| stage.broadcaster.post(&sleeper.live, Frame::text("fog"))).collect();
    let needs_room = |post: &PostOutcome| matches!(post, PostOutcome::Waiting(waiting) if waiting.can_be_taken_back());
    assert!(posts.iter().all(needs_room));
    assert_eq!(stage.broadcaster.counters().publishers_waiting.get(), 0, "the flush has not counted them");
    stage.broadcaster.flush();
    assert_eq!(stage.broadcaster.counters().publishers_waiting.get(), posts.len() as u64);
    drop(posts);
    stage.broadcaster.leave(&sleeper);
    stage.broadcaster.flush();
    assert_eq!(
        (sleeper.live.figures().messages, sleeper.live.figures().publishers_waiting),
        (2, 0),
        "they are taken back"
    );
}

#[test]
fn a_connection_is_known_in_its_own_channel_only_and_has_an_address_until_it_is_replaced() {
    let stage = Stage::new();
    let lights = ChannelName::parse("lights").unwrap();
    let (client, _socket) = stage.join_at(&lights);
    let id = stage.broadcaster.assign_connection_id(&client, None).to_string();
    stage.publish(&client, Frame::text("fog"));
    let known = |channel: &ChannelName| stage.broadcaster.known(&id, channel).map(|known| known.taken);
    let address = || stage.broadcaster.address_of(&id);
    assert_eq!(
        (known(&lights), known(&ChannelName::MAIN), address()),
        (Some(1), None, Some(client.transport.peer.ip()))
    );
    stage.broadcaster.replace(&id, false);
    assert_eq!((known(&lights), known(&ChannelName::MAIN), address()), (Some(1), None, None));
    stage.broadcaster.forget(&client);
    assert_eq!((known(&lights), known(&ChannelName::MAIN), address()), (Some(1), None, None));
}

#[test]
fn whose_task_panics_has_left_and_is_known_as_one_who_was_there() {
    let stage = Stage::new();
    let (client, _socket) = stage.join();
    let id = stage.broadcaster.assign_connection_id(&client, None).to_string();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let _guard = LeaveGuard { broadcaster: &stage.broadcaster, client: &client };
        resume_unwind(Box::new("as a panic does"));
    }));
    assert!(ended.is_err());
    assert_eq!((client.live.clients(), stage.broadcaster.address_of(&id)), (0, None));
    assert!(stage.broadcaster.by_connection_id.borrow().is_empty());
    assert!(stage.broadcaster.known(&id, &client.live.name).is_some());
}

#[test]
fn who_leaves_with_a_full_socket_is_closed_although_that_takes_nothing_more() {
    let stage = Stage::new();
    let (client, socket) = stage.join();
    stage.publish(&client, large());
    while !client.transport.write_blocked.get() {
        stage.broadcaster.flush();
    }
    stage.broadcaster.leave(&client);
    stage.broadcaster.forget(&client);
    let transport = Rc::downgrade(&client.transport);
    drop(client);
    while stage.executor.try_tick() {}
    assert!(transport.upgrade().is_none(), "nobody has its socket any more");
    drop(socket);
}

#[test]
fn a_channel_was_used_until_the_last_has_left_it() {
    let stage = Stage::new();
    let name = |nth: usize| ChannelName::parse(&format!("c{nth}")).unwrap();
    let (client, _socket) = stage.join_at(&name(0));
    let channels = stage.broadcaster.channels();
    let channels_max = stage.broadcaster.config().limits.channels_max;
    for nth in 1..channels_max {
        channels.open(&name(nth)).unwrap();
    }
    stage.broadcaster.leave(&client);
    channels.open(&name(channels_max)).unwrap();
    assert!(channels.find(&name(0)).is_some() && channels.find(&name(1)).is_none());
}
