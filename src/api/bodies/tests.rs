//! How bodies are read, and who has to go when they are too many.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::runtime::reactor;

const MESSAGE_BYTES_MAX: usize = 1 << 20;

fn expected(framing: Framing) -> Expected {
    Expected { framing, bytes_max: MESSAGE_BYTES_MAX, waits_for_continue: false }
}

/// Both ends of a connection; the reading one has a deadline.
fn pair() -> (Async<TcpStream>, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    (Async::new(listener.accept().unwrap().0).unwrap(), client)
}

/// A body, and what is left behind it.
type BodyAndRest = (Vec<u8>, Vec<u8>);

/// Reads one body from what the client sends, and returns it with what is left behind it; or the status.
fn read(expected: Expected, buffer: &[u8], sent: &[u8]) -> Result<Option<BodyAndRest>, u16> {
    reactor::block_on(async {
        let (socket, mut client) = pair();
        let sent = sent.to_vec();
        let sending = thread::spawn(move || client.write_all(&sent).map(|()| client));
        let bodies = Bodies::new(MESSAGE_BYTES_MAX);
        let mut buffer = buffer.to_vec();
        let read = bodies.read(&socket, &mut buffer, expected).await;
        let read = read.map(|body| body.map(|mut body| body.take())).map_err(|refusal| refusal.status);
        assert_eq!(bodies.bytes.get(), 0, "it is given back");
        if let Ok(Some(_)) = &read {
            // All of it, so that the client's end is no reset.
            sending.join().unwrap().unwrap();
        }
        read.map(|body| body.map(|body| (body, buffer)))
    })
    .unwrap()
}

#[test]
fn a_body_is_what_came_with_the_head_and_what_comes_and_the_rest_is_left() {
    let text = |body: Option<BodyAndRest>| body.map(|both| [both.0, both.1].map(|it| String::from_utf8(it).unwrap()));
    let length = expected(Framing::Length(5));
    assert_eq!(text(read(length, b"helloGET /", b"").unwrap()), Some(["hello".into(), "GET /".into()]));
    assert_eq!(text(read(length, b"he", b"llo").unwrap()), Some(["hello".into(), String::new()]));
    assert_eq!(text(read(expected(Framing::None), b"GET", b"").unwrap()), Some([String::new(), "GET".into()]));
    let chunked = expected(Framing::Chunked);
    let left = read(chunked, b"2\r\nhe\r\n3", b"\r\nllo\r\n0\r\n\r\nGET /").unwrap();
    assert_eq!(text(left), Some(["hello".into(), "GET /".into()]));
    assert_eq!(
        text(read(chunked, b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\nGET", b"").unwrap()),
        Some(["hello".into(), "GET".into()])
    );
}

#[test]
fn a_large_body_comes_as_it_was_sent() {
    let large: Vec<u8> = (0..=250).cycle().take(MESSAGE_BYTES_MAX).collect();
    let (body, rest) = read(expected(Framing::Length(large.len() as u64)), b"", &large).unwrap().unwrap();
    assert!(body == large && rest.is_empty());
    let chunks: Vec<u8> = large
        .chunks(10_000)
        .flat_map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat())
        .collect();
    let (body, rest) = read(expected(Framing::Chunked), b"", &[&chunks[..], b"0\r\n\r\n"].concat()).unwrap().unwrap();
    assert!(body == large && rest.is_empty());
}

#[test]
fn a_body_that_is_wrong_or_too_large_is_refused() {
    assert_eq!(read(expected(Framing::Length(MESSAGE_BYTES_MAX as u64 + 1)), b"", b"x"), Err(413));
    assert_eq!(read(expected(Framing::Chunked), b"100001\r\n", b""), Err(413));
    assert_eq!(read(expected(Framing::Chunked), b"", b"5\nhello"), Err(400));
}

#[test]
fn a_connection_that_ends_within_a_body_has_none() {
    reactor::block_on(async {
        let (socket, mut client) = pair();
        client.write_all(b"hell").unwrap();
        drop(client);
        let bodies = Bodies::new(MESSAGE_BYTES_MAX);
        let read = bodies.read(&socket, &mut Vec::new(), expected(Framing::Length(5))).await;
        assert!(matches!(read, Ok(None)), "{read:?}");
        drop(read);
        assert_eq!((bodies.bytes.get(), bodies.under_way.borrow().len()), (0, 0));
    })
    .unwrap();
}

#[test]
fn a_client_that_waits_for_a_word_gets_it_unless_the_body_is_there_or_empty() {
    for (framing, buffer, is_asked) in [
        (Framing::Length(5), &b""[..], true),
        (Framing::Chunked, b"", true),
        (Framing::Length(5), b"h", false),
        (Framing::Length(0), b"", false),
        (Framing::None, b"", false),
        (Framing::Length(u64::MAX), b"", false),
    ] {
        reactor::block_on(async {
            let (socket, mut client) = pair();
            let sending = thread::spawn(move || {
                let mut word = vec![0; if is_asked { CONTINUE.len() } else { 0 }];
                client.read_exact(&mut word).unwrap();
                let body: &[u8] = if framing == Framing::Chunked { b"5\r\nhello\r\n0\r\n\r\n" } else { b"hello" };
                client.write_all(&body[buffer.len()..]).unwrap();
                (word, client)
            });
            let bodies = Bodies::new(MESSAGE_BYTES_MAX);
            let mut buffer = buffer.to_vec();
            let read =
                bodies.read(&socket, &mut buffer, Expected { waits_for_continue: true, ..expected(framing) }).await;
            assert_eq!(read.is_ok(), framing != Framing::Length(u64::MAX), "{framing:?}");
            let (word, mut client) = sending.join().unwrap();
            assert_eq!(word, if is_asked { CONTINUE } else { b"" });
            drop(read);
            drop(socket);
            // Nothing more was said. What was not read makes it a reset.
            let mut rest = Vec::new();
            let _ = client.read_to_end(&mut rest);
            assert_eq!(rest, b"", "{framing:?}");
        })
        .unwrap();
    }
}

#[test]
fn time_is_bought_by_what_has_come() {
    let began = Instant::now();
    let allowed = |bytes| due(began, bytes) - began;
    assert_eq!(allowed(0), BODY_TIMEOUT);
    assert_eq!(allowed(32 * 1024), BODY_TIMEOUT + Duration::from_millis(500));
    assert_eq!(allowed(1 << 20), BODY_TIMEOUT + Duration::from_secs(16));
}

/// A body with its decoder, to which bytes are added as they come.
struct Sender<'a>(Body<'a>, BodyDecoder);

impl<'a> Sender<'a> {
    fn new(bodies: &'a Bodies, length: usize) -> Self {
        let decoder = BodyDecoder::new(Framing::Length(length as u64), MESSAGE_BYTES_MAX).unwrap();
        Self(bodies.begin(length), decoder)
    }

    fn send(&mut self, bytes: usize) -> Result<(), u16> {
        self.0.add(&mut self.1, &vec![b'x'; bytes]).map(drop).map_err(|refusal| refusal.status)
    }

    fn is_displaced(&self) -> bool {
        self.0.with(|its| its.state == State::Displaced)
    }
}

#[test]
fn a_promise_costs_nothing() {
    let bodies = Bodies::new(MESSAGE_BYTES_MAX);
    let mut senders: Vec<Sender<'_>> = (0..300).map(|_| Sender::new(&bodies, MESSAGE_BYTES_MAX)).collect();
    assert_eq!(bodies.bytes.get(), 0);
    for sender in &mut senders {
        sender.send(1).unwrap();
    }
    assert_eq!(bodies.bytes.get(), 300);
}

#[test]
fn the_body_that_stood_still_for_longest_goes_for_another_one() {
    let bodies = Bodies::new(MESSAGE_BYTES_MAX);
    let mut senders: Vec<Sender<'_>> = (0..9).map(|_| Sender::new(&bodies, MESSAGE_BYTES_MAX)).collect();
    for sender in &mut senders[..8] {
        sender.send(MESSAGE_BYTES_MAX - 2).unwrap();
    }
    // The first comes on, and the second is complete: so the third has stood still for longest.
    senders[0].send(1).unwrap();
    senders[1].0.set_state(State::Whole);
    // No more than what there is room for.
    senders[8].send(14).unwrap();
    assert!(senders.iter().all(|sender| !sender.is_displaced()));
    senders[8].send(1).unwrap();
    let displaced: Vec<usize> = (0..9).filter(|nth| senders[*nth].is_displaced()).collect();
    assert_eq!(displaced, [2]);
    assert!(senders[2].0.with(|its| its.bytes.capacity()) == 0, "its memory is free at once");
    // A displaced one is not asked again, and gives nothing back twice.
    for _ in 0..4 {
        senders.pop();
    }
    drop(senders);
    assert_eq!(bodies.bytes.get(), 0);
}

#[test]
fn complete_bodies_keep_their_place_and_count_when_they_are_taken_out() {
    let bodies = Bodies::new(MESSAGE_BYTES_MAX);
    let mut whole: Vec<Sender<'_>> = (0..8).map(|_| Sender::new(&bodies, MESSAGE_BYTES_MAX)).collect();
    for sender in &mut whole {
        sender.send(MESSAGE_BYTES_MAX).unwrap();
        sender.0.set_state(State::Whole);
    }
    let taken = whole[0].0.take();
    assert_eq!(taken.len(), MESSAGE_BYTES_MAX);
    let mut another = Sender::new(&bodies, 1);
    assert_eq!(another.send(1), Err(503));
    drop(whole.pop());
    assert_eq!(another.send(1), Ok(()));
}

#[test]
fn a_displaced_body_is_woken_and_told() {
    reactor::block_on(async {
        let (socket, mut client) = pair();
        client.write_all(b"hello").unwrap();
        let bodies = Bodies::new(MESSAGE_BYTES_MAX);
        let (mut buffer, began) = (Vec::new(), Instant::now());
        let slow = bodies.read(&socket, &mut buffer, expected(Framing::Length(6)));
        let others = async {
            while bodies.bytes.get() == 0 {
                future::yield_now().await;
            }
            // By now it waits for more.
            Timer::after(Duration::from_millis(1)).await;
            let mut others: Vec<Sender<'_>> = (0..8).map(|_| Sender::new(&bodies, MESSAGE_BYTES_MAX)).collect();
            for sender in &mut others {
                sender.send(MESSAGE_BYTES_MAX).unwrap();
            }
            others
        };
        let (slow, others) = future::zip(slow, others).await;
        assert_eq!(slow.map(drop), Err(BODY_DISPLACED));
        assert!(began.elapsed() < BODY_TIMEOUT, "it was told only when its time was over");
        assert!(others.iter().all(|other| !other.is_displaced()));
    })
    .unwrap();
}

#[test]
fn there_is_always_room_for_two_of_the_largest_messages() {
    assert_eq!(Bodies::new(MESSAGE_BYTES_MAX).bytes_max, 8 << 20);
    assert_eq!(Bodies::new(5 << 20).bytes_max, 10 << 20);
}

proptest! {
    /// Whatever comes in whatever order, no more memory is taken than there may be, and what is counted is what is taken.
    #[test]
    fn memory_is_bounded_and_counted(steps in proptest::collection::vec((0_usize..40, 0_usize..400, 0_u8..10), 1..200)) {
        let mut bodies = Bodies::new(MESSAGE_BYTES_MAX);
        bodies.bytes_max = 1000;
        let mut senders: Vec<Option<Sender<'_>>> = (0..40).map(|_| None).collect();
        for (nth, bytes, what) in steps {
            let slot = &mut senders[nth];
            match slot {
                Some(_) if what == 0 => *slot = None,
                Some(sender) if sender.is_displaced() => {}
                Some(sender) => {
                    let sent = sender.send(bytes);
                    prop_assert!(sent.is_ok() || sent == Err(503));
                    prop_assert!(!sender.is_displaced(), "whoever sends is not the one that goes");
                    if sender.1.is_complete() {
                        sender.0.set_state(State::Whole);
                    }
                }
                None => *slot = Some(Sender::new(&bodies, bytes)),
            }
            let taken: usize = bodies.under_way.borrow().iter().map(|(_, body)| body.bytes.capacity()).sum();
            prop_assert_eq!(bodies.bytes.get(), taken);
            prop_assert!(taken <= bodies.bytes_max, "{} bytes", taken);
        }
    }
}
