//! TCP's rules, with both ends in hand.

use std::io::{ErrorKind, IoSlice};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use foghorn::simulation::socket::{Socket, SocketOption};
use foghorn::simulation::world::{Event, Readiness};

use crate::net::link::Link;
use crate::net::network::{Happening, Network};
use crate::net::server_end::ServerEnd;
use crate::net::timeline::{Nanos, SECOND};
use crate::net::wire::{Wire, WireState};

const KEY: u64 = 7;
const MS: Nanos = 1_000_000;

/// A connection with both its ends, and nothing else.
struct Rig {
    network: Rc<Network>,
    wire: Wire,
    server: Option<Rc<dyn Socket>>,
    news: usize,
}

fn link() -> Link {
    Link {
        latency: Duration::from_millis(1)..Duration::from_millis(2),
        to_client_bytes: 1000,
        to_server_bytes: 1000,
        segment_bytes_max: 100,
        listener: 0,
        short_one_in: 0,
    }
}

impl Rig {
    fn new(seed: u64) -> Self {
        Self::with(seed, link())
    }

    /// A connection that is open, and whose server's end is registered and has told its first event.
    fn with(seed: u64, link: Link) -> Self {
        let network = Network::new(seed);
        network.open_listeners();
        network.listens(0, 99);
        let wire = Wire::new(network.connect(0, link, IpAddr::from([10, 0, 0, 1])));
        let mut rig = Self { network, wire, server: None, news: 0 };
        rig.run(10 * MS);
        assert_eq!(rig.events(), [Event { key: 99, readiness: Readiness { readable: true, ..Readiness::default() } }]);
        let server: Rc<dyn Socket> = Rc::new(ServerEnd::new(rig.network.accept(0).unwrap()));
        server.registered(KEY);
        rig.server = Some(server);
        assert_eq!(rig.readiness(), Some(Readiness { writable: true, ..Readiness::default() }));
        assert_eq!(rig.wire.state(), WireState::Open);
        rig
    }

    fn run(&mut self, span: Nanos) {
        let until = self.network.now() + span;
        loop {
            let next = self.network.timeline.borrow_mut().advance(until);
            match next {
                Some(Happening::Passes(connection, passing)) => self.news += usize::from(connection.pass(passing)),
                Some(other) => panic!("{other:?}"),
                None => return,
            }
        }
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        self.network.report(&mut Rng::with_seed(1), &mut events);
        events
    }

    fn readiness(&self) -> Option<Readiness> {
        let events = self.events();
        assert!(events.len() <= 1, "{events:?}");
        events.first().map(|event| event.readiness)
    }

    fn server(&self) -> &dyn Socket {
        &**self.server.as_ref().unwrap()
    }

    fn send(&self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.server().send(&[IoSlice::new(bytes)]).map_err(|error| error.kind())
    }

    fn receive(&self, bytes: usize) -> Result<Vec<u8>, ErrorKind> {
        let mut into = vec![0; bytes];
        let len = self.server().receive(&mut into).map_err(|error| error.kind())?;
        into.truncate(len);
        Ok(into)
    }

    fn wire_receive(&self) -> Vec<u8> {
        let mut into = Vec::new();
        self.wire.receive(&mut into, usize::MAX);
        into
    }
}

#[test]
fn data_is_an_edge_when_it_arrives_and_no_more_than_once_and_a_short_read_has_emptied_it() {
    let mut rig = Rig::new(1);
    rig.wire.send(b"hello");
    assert_eq!(rig.readiness(), None, "it is under way");
    rig.run(MS - 1);
    assert_eq!(rig.readiness(), None);
    rig.run(2 * MS);
    assert!(rig.readiness().unwrap().readable);
    assert_eq!(rig.readiness(), None, "the edge was told");
    assert_eq!(rig.receive(10).unwrap(), b"hello");
    assert_eq!(rig.receive(10), Err(ErrorKind::WouldBlock));
}

#[test]
fn a_window_that_is_full_keeps_bytes_at_the_client_and_lets_them_come_when_it_is_read() {
    let mut rig = Rig::new(2);
    let sent: Vec<u8> = (0..=250_u8).cycle().take(5000).collect();
    rig.wire.send(&sent);
    rig.run(SECOND);
    assert_eq!(rig.wire.unsent_bytes(), 4000);
    let (mut got, news) = (Vec::new(), rig.news);
    while got.len() < sent.len() {
        got.extend(rig.receive(300).unwrap());
        rig.run(10 * MS);
    }
    assert_eq!((got, rig.wire.unsent_bytes()), (sent, 0));
    assert_eq!(rig.news - news, 1, "word that all is under way");
}

#[test]
fn bytes_take_as_long_as_the_window_makes_them_and_no_longer() {
    for seed in 0..20 {
        let mut rig = Rig::new(seed);
        let (mut got, mut took) = (0, 0);
        let longest = Nanos::try_from(link().transfer_max(20_000).as_nanos()).unwrap();
        rig.wire.send(&vec![7; 20_000]);
        while got < 20_000 {
            rig.run(MS / 20);
            took += MS / 20;
            got += rig.receive(20_000).map_or(0, |bytes| bytes.len());
        }
        assert!(longest / 3 < took && took < longest, "{took} of {longest}");
    }
}

#[test]
fn a_short_write_is_followed_by_an_edge_once_a_good_part_is_free() {
    let mut rig = Rig::new(3);
    assert_eq!(rig.send(&[1; 1500]), Ok(1000));
    assert_eq!(rig.send(&[1; 10]), Err(ErrorKind::WouldBlock));
    rig.run(SECOND);
    assert_eq!(rig.readiness(), None);
    let mut into = Vec::new();
    rig.wire.receive(&mut into, 200);
    rig.run(SECOND);
    assert_eq!(rig.readiness(), None, "a fifth is not a good part");
    rig.wire.receive(&mut into, 200);
    rig.run(SECOND);
    assert!(rig.readiness().unwrap().writable);
    assert_eq!(rig.send(&[2; 1500]), Ok(400));
}

#[test]
fn an_end_comes_behind_all_bytes_and_the_other_way_stays_open() {
    let mut rig = Rig::new(4);
    rig.wire.send(&[5; 1500]);
    rig.wire.shut_down_writing();
    rig.run(SECOND);
    assert!(!rig.readiness().unwrap().hung_up, "a third of it is still at the client");
    assert_eq!(rig.receive(2000).unwrap().len(), 1000);
    rig.run(SECOND);
    assert!(rig.readiness().unwrap().hung_up);
    assert_eq!([rig.receive(2000).unwrap().len(), rig.receive(10).unwrap().len()], [500, 0]);
    assert_eq!(rig.send(b"still here"), Ok(10));
    rig.server = None;
    rig.run(SECOND);
    assert_eq!(rig.wire.state(), WireState::Open, "there is something to read");
    assert_eq!(rig.wire_receive(), b"still here");
    assert_eq!(rig.wire.state(), WireState::Ended);
    assert_eq!((rig.network.descriptors(), rig.network.open_connections()), (0, 0));
}

#[test]
fn after_a_reset_what_had_come_is_read_then_the_error_once_then_nothing() {
    let mut rig = Rig::new(5);
    rig.wire.send(b"before");
    rig.run(SECOND);
    rig.wire.reset();
    rig.run(SECOND);
    let Readiness { readable, writable, hung_up, failed, .. } = rig.readiness().unwrap();
    assert_eq!([readable, writable, hung_up, failed], [true; 4]);
    assert_eq!(rig.receive(10).unwrap(), b"before");
    assert_eq!(rig.receive(10), Err(ErrorKind::ConnectionReset));
    assert_eq!(rig.receive(10).unwrap(), b"");
    assert_eq!(rig.send(b"x"), Err(ErrorKind::BrokenPipe));
    assert!(rig.server().take_error().is_none());
}

#[test]
fn a_server_that_closes_with_something_unread_resets_and_one_that_does_not_ends() {
    for is_read in [false, true] {
        let mut rig = Rig::new(6);
        rig.wire.send(b"question");
        rig.run(SECOND);
        if is_read {
            rig.receive(10).unwrap();
        }
        rig.send(b"answer").unwrap();
        rig.server = None;
        rig.run(SECOND);
        let got = rig.wire_receive();
        if is_read {
            assert_eq!((&got[..], rig.wire.state()), (&b"answer"[..], WireState::Ended));
        } else {
            assert_eq!(rig.wire.state(), WireState::Reset);
        }
        // What comes for a socket that is closed is answered with a reset.
        rig.wire.send(b"more");
        rig.run(SECOND);
        assert_eq!(rig.wire.state(), WireState::Reset);
    }
}

#[test]
fn a_client_that_has_closed_answers_with_a_reset() {
    let mut rig = Rig::new(7);
    rig.wire.close();
    rig.run(SECOND);
    assert_eq!(rig.receive(10).unwrap(), b"");
    assert_eq!(rig.send(b"are you there"), Ok(13));
    rig.run(SECOND);
    assert_eq!(rig.receive(10), Err(ErrorKind::ConnectionReset));
}

#[test]
fn nobody_is_told_of_a_client_that_has_vanished_until_bytes_were_not_acknowledged_for_too_long() {
    let mut rig = Rig::new(8);
    rig.server().set(SocketOption::UserTimeout(Duration::from_secs(20)));
    rig.wire.vanish();
    rig.wire.send(b"nobody hears");
    rig.run(3600 * SECOND);
    assert_eq!((rig.receive(10), rig.readiness()), (Err(ErrorKind::WouldBlock), None));
    assert_eq!(rig.send(b"ping"), Ok(4));
    rig.run(19 * SECOND);
    assert_eq!(rig.readiness(), None);
    rig.run(SECOND);
    assert!(rig.readiness().unwrap().failed);
    assert_eq!(rig.receive(10), Err(ErrorKind::TimedOut));
}

#[test]
fn a_client_that_has_vanished_and_gets_nothing_is_found_by_probes_where_they_are_asked_for() {
    let mut rig = Rig::new(9);
    rig.wire.shut_down_writing();
    rig.run(SECOND);
    rig.wire.vanish();
    rig.events();
    rig.server().set(SocketOption::KeepaliveAfter(Duration::from_secs(5)));
    rig.run(60 * SECOND);
    assert!(rig.readiness().unwrap().failed);
}

#[test]
fn nobody_to_connect_to_is_a_refusal_and_who_waits_at_a_listener_that_closes_is_reset() {
    let mut rig = Rig::new(10);
    let waits = Wire::new(rig.network.connect(1, link(), IpAddr::from([10, 0, 0, 2])));
    rig.run(SECOND);
    rig.network.close_listener(0);
    let comes_late = Wire::new(rig.network.connect(1, link(), IpAddr::from([10, 0, 0, 2])));
    rig.run(SECOND);
    assert_eq!([waits.state(), comes_late.state()], [WireState::Reset, WireState::Refused]);
}

#[test]
fn a_kill_delivers_what_was_sent_and_nothing_more() {
    let mut rig = Rig::new(11);
    rig.send(b"sent").unwrap();
    rig.network.kill();
    assert_eq!(rig.send(b"not sent"), Err(ErrorKind::BrokenPipe));
    rig.run(SECOND);
    assert_eq!((rig.wire_receive(), rig.wire.state()), (b"sent".to_vec(), WireState::Ended));
    assert_eq!((rig.network.open_connections(), rig.network.descriptors()), (0, 1));
}

#[test]
fn all_bytes_come_once_and_in_order_both_ways_however_they_are_cut() {
    for seed in 0..50 {
        let mut random = Rng::with_seed(seed);
        let bytes_max = random.usize(1..400);
        let link =
            Link { short_one_in: 3, segment_bytes_max: random.usize(1..200), to_client_bytes: bytes_max, ..link() };
        let mut rig = Rig::with(seed, link);
        let sent: Vec<u8> = (0..4000).map(|_| random.u8(..)).collect();
        let (mut given, mut can_write, mut to_client, mut to_server) = (0, true, Vec::new(), Vec::new());
        rig.wire.send(&sent);
        while to_client.len() < sent.len() || to_server.len() < sent.len() {
            while can_write && given < sent.len() {
                let last = (given + random.usize(1..500)).min(sent.len());
                let [first, second] =
                    [&sent[given..given + (last - given) / 2], &sent[given + (last - given) / 2..last]];
                match rig.server().send(&[IoSlice::new(first), IoSlice::new(second)]) {
                    Ok(len) => {
                        can_write = len == last - given;
                        given += len;
                    }
                    Err(_) => can_write = false,
                }
            }
            rig.run(random.u64(1..20 * MS));
            rig.wire.receive(&mut to_client, random.usize(1..300));
            if let Ok(bytes) = rig.receive(random.usize(1..300)) {
                to_server.extend(bytes);
            }
            can_write |= rig.readiness().is_some_and(|readiness| readiness.writable);
        }
        assert!(to_client == sent && to_server == sent, "seed {seed}");
    }
}
