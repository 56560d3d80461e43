//! A session over a pair of sockets, in a channel whose file the test writes.

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

#[test]
fn neither_a_pong_nor_a_close_says_that_a_message_is_there_before_the_file_has_it() {
    for (last, answer) in [([0x89, 0x80, 0, 0, 0, 0], [0x8a, 0]), ([0x88, 0x80, 0, 0, 0, 0], [0x88, 0])] {
        let (store, hand) = Store::by_hand();
        let executor = Rc::new(LocalExecutor::new());
        let (spawner, counters) = (Spawner::new(&executor), Arc::new(Counters::new()));
        let state = KeptState::On(Rc::new(Keeper::new(store)), Restored::default());
        let config = Arc::new(Config::default());
        let broadcaster = Broadcaster::new(config, BTreeSet::new(), counters, spawner.clone(), state).unwrap();
        let broadcaster = Rc::new(broadcaster);
        let _flush = spawner.spawn(Rc::clone(&broadcaster).run_flush());
        let _keeping = spawner.spawn(Rc::clone(&broadcaster).run_keeping());
        let run_until = |mut is_met: Box<dyn FnMut() -> bool + '_>| {
            let met = async {
                while !is_met() {
                    future::yield_now().await;
                }
            };
            reactor::block_on(executor.run(met)).unwrap();
        };
        let begin = hand.take().expect("the file of the main channel is begun");
        hand.done(begin, Ok(()));
        run_until(Box::new(|| broadcaster.channels().find(&ChannelName::MAIN).is_some()));

        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let head = Head::parse(HANDSHAKE.as_bytes(), || None).unwrap();
        let _session = spawner.spawn(serve(
            Rc::clone(&broadcaster),
            Upgraded {
                socket: Async::new(TcpStream::from(OwnedFd::from(ours)).into()).unwrap(),
                peer: ([127, 0, 0, 1], 1).into(),
                upgrade: Upgrade::parse(&head).unwrap(),
                live: broadcaster.channels().open(&ChannelName::MAIN).unwrap(),
                may_send: true,
                by_code: None,
                read_ahead: [&FOG[..], &last].concat(),
                permit: (),
            },
        ));
        let mut append = None;
        run_until(Box::new(|| {
            append = hand.take();
            append.is_some()
        }));
        let mut told = Vec::new();
        let _ = theirs.read_to_end(&mut told);
        assert!(told.starts_with(b"HTTP/1.1 101 ") && !told.ends_with(&answer), "{told:?}");
        hand.done(append.take().unwrap(), Ok(()));
        let mut told = Vec::new();
        run_until(Box::new(|| {
            let _ = theirs.read_to_end(&mut told);
            told.len() >= 7
        }));
        // A pong goes before messages.
        let fog = b"\x81\x03fog";
        assert!(told == [fog, &answer[..]].concat() || told == [&answer[..], fog].concat(), "{told:?}");
    }
}
