//! How bodies are read: whole, in pieces, too slowly.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use socket2::SockRef;

use super::*;
use crate::runtime::reactor;
use crate::telemetry::counters::Counters;

const MESSAGE_BYTES_MAX: usize = 1 << 20;

fn reader() -> (BodyReader, Arc<Counters>) {
    let counters = Arc::default();
    (BodyReader::new(Bodies::new(MESSAGE_BYTES_MAX, Arc::clone(&counters))), counters)
}

fn expected(framing: Framing) -> Expected {
    Expected { framing, bytes_max: MESSAGE_BYTES_MAX, waits_for_continue: false }
}

/// Both ends of a connection; the reading one has a deadline.
fn pair() -> (Async<TcpSocket>, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    (Async::new(listener.accept().unwrap().0.into()).unwrap(), client)
}

/// A body, and what is left behind it.
type BodyAndRest = (Vec<u8>, Vec<u8>);

/// Reads one body from what the client sends, and returns it with what is left behind it; or the status.
fn read(expected: Expected, buffer: &[u8], sent: &[u8]) -> Result<Option<BodyAndRest>, u16> {
    reactor::block_on(async {
        let (socket, mut client) = pair();
        let sent = sent.to_vec();
        let sending = thread::spawn(move || client.write_all(&sent).map(|()| client));
        let (reader, counters) = reader();
        let mut buffer = buffer.to_vec();
        let read = reader.read(&socket, &mut buffer, expected).await;
        let read = read.map(|body| body.map(|mut body| body.take())).map_err(|refusal| refusal.status);
        assert_eq!(counters.posts_bytes.get(), 0, "it is given back");
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
        let (reader, counters) = reader();
        let read = reader.read(&socket, &mut Vec::new(), expected(Framing::Length(5))).await;
        assert!(matches!(read, Ok(None)), "{read:?}");
        drop(read);
        assert_eq!(counters.posts_bytes.get(), 0);
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
            let (reader, _) = reader();
            let mut buffer = buffer.to_vec();
            let read =
                reader.read(&socket, &mut buffer, Expected { waits_for_continue: true, ..expected(framing) }).await;
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

#[test]
fn a_displaced_body_is_woken_and_told() {
    reactor::block_on(async {
        let (socket, mut client) = pair();
        client.write_all(b"hello").unwrap();
        let (reader, counters) = reader();
        let (mut buffer, began) = (Vec::new(), Instant::now());
        let slow = reader.read(&socket, &mut buffer, expected(Framing::Length(6)));
        let others = async {
            while counters.posts_bytes.get() == 0 {
                future::yield_now().await;
            }
            // By now it waits for more.
            Timer::after(Duration::from_millis(1)).await;
            let length = Framing::Length(MESSAGE_BYTES_MAX as u64);
            let mut others: Vec<Body<'_>> = (0..8).map(|_| reader.bodies.begin(MESSAGE_BYTES_MAX)).collect();
            for other in &mut others {
                let mut decoder = BodyDecoder::new(length, MESSAGE_BYTES_MAX).unwrap();
                other.add(&mut decoder, &vec![b'x'; MESSAGE_BYTES_MAX]).unwrap();
            }
        };
        let (slow, ()) = future::zip(slow, others).await;
        assert_eq!(slow.map(drop), Err(BODY_DISPLACED));
        assert!(began.elapsed() < BODY_TIMEOUT, "it was told only when its time was over");
    })
    .unwrap();
}

#[test]
fn a_client_that_is_slow_to_read_is_asked_for_its_body_all_the_same() {
    reactor::block_on(async {
        let (socket, mut client) = pair();
        let mut filled = 0;
        while let Ok(bytes) = socket.try_write(|mut socket| socket.write(&[b'.'; 4096])) {
            filled += bytes;
        }
        let (reader, _) = reader();
        let expected = Expected { waits_for_continue: true, ..expected(Framing::Length(5)) };
        let mut buffer = Vec::new();
        let mut read = std::pin::pin!(reader.read(&socket, &mut buffer, expected));
        assert!(future::poll_once(&mut read).await.is_none(), "there is no room for the word");
        let sending = thread::spawn(move || {
            client.read_exact(&mut vec![0; filled]).unwrap();
            let mut word = vec![0; CONTINUE.len()];
            client.read_exact(&mut word).unwrap();
            client.write_all(b"hello").unwrap();
            word
        });
        assert_eq!(read.await.unwrap().map(|mut body| body.take()), Some(b"hello".to_vec()));
        assert_eq!(sending.join().unwrap(), CONTINUE);
    })
    .unwrap();
}

#[test]
fn a_body_that_is_there_already_leaves_others_their_turn_between_its_pieces() {
    const PIECES: usize = 3;
    reactor::block_on(async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        SockRef::from(&theirs).set_send_buffer_size(2 * PIECES * TURN_BYTES_MAX).unwrap();
        theirs.write_all(&vec![b'x'; PIECES * TURN_BYTES_MAX]).unwrap();
        ours.set_nonblocking(true).unwrap();
        let socket = Async::new(TcpSocket::from(TcpStream::from(OwnedFd::from(ours)))).unwrap();
        let (reader, counters) = reader();
        let (mut buffer, mut turns) = (Vec::new(), 0);
        let read = reader.read(&socket, &mut buffer, expected(Framing::Length((PIECES * TURN_BYTES_MAX) as u64)));
        let others = poll_fn(|_| {
            // Since the first piece.
            turns += usize::from(counters.posts_bytes.get() > 0);
            Poll::<Result<Option<Body<'_>>, Refusal>>::Pending
        });
        let body = others.or(read).await.unwrap().unwrap();
        assert_eq!(body.came_bytes(), PIECES * TURN_BYTES_MAX);
        drop(body);
        assert!(turns >= PIECES - 1, "{turns} turns");
    })
    .unwrap();
}

#[test]
fn it_is_known_when_no_body_is_under_way() {
    let (reader, _) = reader();
    let is_empty = || smol::block_on(future::poll_once(poll_fn(|cx| reader.poll_empty(cx)))).is_some();
    assert!(is_empty());
    let body = reader.bodies.begin(1);
    assert!(!is_empty());
    drop(body);
    assert!(is_empty());
}
