//! Sessions over pairs of sockets; in a channel whose file the test writes, where that matters.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use async_executor::LocalExecutor;
use smol::future;

use super::*;
use crate::broadcast::keeper::Keeper;
use crate::broadcast::kept_state::KeptState;
use crate::config::settings::Config;
use crate::http::head::Head;
use crate::hub::channel_name::ChannelName;
use crate::runtime::reactor;
use crate::runtime::spawner::Spawner;
use crate::storage::restored::Restored;
use crate::storage::store::Store;
use crate::telemetry::counters::Counters;

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: board.local\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A message, masked with zeros.
const FOG: [u8; 9] = [0x81, 0x83, 0, 0, 0, 0, b'f', b'o', b'g'];

/// Somebody who has sent this behind the handshake, and the other end.
fn upgraded(broadcaster: &Broadcaster, may_send: bool, sent: &[u8]) -> (Upgraded<()>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let head = Head::parse(HANDSHAKE.as_bytes(), || None).unwrap();
    let upgraded = Upgraded {
        socket: Async::new(TcpStream::from(OwnedFd::from(ours)).into()).unwrap(),
        peer: ([127, 0, 0, 1], 1).into(),
        upgrade: Upgrade::parse(&head).unwrap(),
        live: broadcaster.channels().open(&ChannelName::MAIN).unwrap(),
        may_send,
        by_code: None,
        taken: None,
        read_ahead: sent.to_vec(),
        permit: (),
    };
    (upgraded, theirs)
}

/// Where there is one channel, and what runs its tasks.
fn broadcaster(state: KeptState) -> (Rc<Broadcaster>, Rc<LocalExecutor<'static>>) {
    let executor = Rc::new(LocalExecutor::new());
    let (spawner, config, counters) = (Spawner::new(&executor), Config::default().into(), Counters::new().into());
    let broadcaster = Rc::new(Broadcaster::new(config, BTreeSet::new(), counters, spawner, state).unwrap());
    executor.spawn(Rc::clone(&broadcaster).run_flush()).detach();
    (broadcaster, executor)
}

/// Runs all tasks until this is met.
fn run_until(executor: &LocalExecutor<'_>, mut is_met: impl FnMut() -> bool) {
    let met = async {
        while !is_met() {
            future::yield_now().await;
        }
    };
    reactor::block_on(executor.run(met)).unwrap();
}

/// The Close frame of whoever sends this.
fn closed_with(may_send: bool, sent: &[u8]) -> (Option<u16>, String) {
    let (broadcaster, executor) = broadcaster(KeptState::Off);
    let (upgraded, mut theirs) = upgraded(&broadcaster, may_send, sent);
    let _session = executor.spawn(serve(Rc::clone(&broadcaster), upgraded));
    let mut told = Vec::new();
    run_until(&executor, || theirs.read_to_end(&mut told).is_ok());
    let frames = told.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("it is let in") + 4;
    let close = told[frames..].iter().position(|byte| *byte == 0x88).expect("it is told why");
    let payload = &told[frames + close + 2..];
    assert_eq!(usize::from(told[frames + close + 1]), payload.len(), "nothing comes behind it");
    match payload.split_first_chunk() {
        Some((code, words)) => (Some(u16::from_be_bytes(*code)), String::from_utf8(words.to_vec()).unwrap()),
        None => (None, String::new()),
    }
}

#[test]
fn whoever_is_closed_is_told_why_and_who_says_goodbye_hears_its_own_code() {
    let close = |code: u16| [&[0x88, 0x82, 0, 0, 0, 0][..], &code.to_be_bytes()].concat();
    for code in [1000, 1001, 1014, 4999] {
        assert_eq!(closed_with(true, &close(code)), (Some(code), String::new()));
    }
    assert_eq!(closed_with(false, &[0x88, 0x80, 0, 0, 0, 0]), (None, String::new()));
    let not_utf8 = [0x81, 0x81, 0, 0, 0, 0, 0xff];
    let [too_large, for_a_receiver] = [Config::default().limits.message_bytes_max, RECEIVER_MESSAGE_BYTES_MAX]
        .map(|bytes_max| [&[0x82, 0xff][..], &(bytes_max as u64 + 1).to_be_bytes(), &[0; 4]].concat());
    for (may_send, sent, reason) in [
        (true, &close(1005)[..], CloseReason::ProtocolError),
        (true, &close(1016), CloseReason::ProtocolError),
        (true, &[0x81, 0x03, b'f', b'o', b'g'], CloseReason::ProtocolError),
        (true, &not_utf8, CloseReason::InvalidUtf8),
        (true, &too_large, CloseReason::MessageTooBig),
        (false, &FOG, CloseReason::MayNotSend),
        (false, &for_a_receiver, CloseReason::MayNotSend),
        (false, &not_utf8, CloseReason::InvalidUtf8),
    ] {
        assert_eq!(closed_with(may_send, sent), (reason.code(), reason.text().to_owned()), "{sent:?}");
    }
}

#[test]
fn who_reads_has_got_all_before_it_is_told_that_the_server_stops() {
    let (broadcaster, executor) = broadcaster(KeptState::Off);
    let (upgraded, mut theirs) = upgraded(&broadcaster, true, b"");
    let live = Rc::clone(&upgraded.live);
    let _session = executor.spawn(serve(Rc::clone(&broadcaster), upgraded));
    run_until(&executor, || live.clients() == 1);
    // More than a pair of sockets takes.
    let frames = [Frame::binary(vec![b'x'; 1 << 20]), Frame::text("fog")];
    for frame in &frames {
        broadcaster.post(&live, frame.clone());
    }
    run_until(&executor, || live.figures().clients_behind == 1);
    broadcaster.stop();
    let mut told = Vec::new();
    run_until(&executor, || theirs.read_to_end(&mut told).is_ok());
    let close = Frame::close(Some(1001), CloseReason::ServerStops.text());
    let [large, fog] = &frames;
    assert!(told.ends_with(&[large.to_vec(), fog.to_vec(), close.to_vec()].concat()));
}

#[test]
fn a_connection_that_breaks_has_vanished() {
    let broken = [Error::Io(io::ErrorKind::ConnectionReset.into()), ProtocolError::ResetWithoutClosingHandshake.into()];
    assert!(broken.iter().all(|error| reason_of(error) == CloseReason::Vanished));
}

#[test]
fn neither_a_pong_nor_a_close_says_that_a_message_is_there_before_the_file_has_it() {
    for (last, answer) in [([0x89, 0x80, 0, 0, 0, 0], [0x8a, 0]), ([0x88, 0x80, 0, 0, 0, 0], [0x88, 0])] {
        let (store, hand) = Store::by_hand();
        let state = KeptState::On(Rc::new(Keeper::new(store)), Restored::default());
        let (broadcaster, executor) = broadcaster(state);
        let _keeping = executor.spawn(Rc::clone(&broadcaster).run_keeping());
        let begin = hand.take().expect("the file of the main channel is begun");
        hand.done(begin, Ok(()));
        run_until(&executor, || broadcaster.channels().find(&ChannelName::MAIN).is_some());

        let (upgraded, mut theirs) = upgraded(&broadcaster, true, &[&FOG[..], &last].concat());
        let _session = executor.spawn(serve(Rc::clone(&broadcaster), upgraded));
        let mut append = None;
        run_until(&executor, || {
            append = hand.take();
            append.is_some()
        });
        let mut told = Vec::new();
        let _ = theirs.read_to_end(&mut told);
        assert!(told.starts_with(b"HTTP/1.1 101 ") && !told.ends_with(&answer), "{told:?}");
        hand.done(append.take().unwrap(), Ok(()));
        let mut told = Vec::new();
        run_until(&executor, || {
            let _ = theirs.read_to_end(&mut told);
            told.len() >= 7
        });
        // A pong goes before messages.
        let fog = b"\x81\x03fog";
        assert!(told == [fog, &answer[..]].concat() || told == [&answer[..], fog].concat(), "{told:?}");
    }
}
