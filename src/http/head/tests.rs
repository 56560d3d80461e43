//! Which heads are taken, what of them is understood, and what is refused.

use std::cell::Cell;
use std::io::Write;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use smol::future;

use super::*;
use crate::http::refusal::FULL;
use crate::runtime::reactor;

fn parse(bytes: &str) -> Result<Head<'_>, Refusal> {
    Head::parse(bytes.as_bytes(), || "[::ffff:192.168.1.5]:1920".parse().ok())
}

/// The status with which a head is refused, and 200 for one that is taken.
fn status(lines: &[&str]) -> u16 {
    let bytes = lines.iter().flat_map(|line| [*line, "\r\n"]).chain(["\r\n"]).collect::<String>();
    let parsed =
        scan(bytes.as_bytes(), 0).and_then(|head_bytes| parse(&bytes[..head_bytes.expect("it has an end")]).map(drop));
    parsed.map_or_else(|refusal| refusal.status, |()| 200)
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let get = "GET / HTTP/1.1";
    for lines in [
        &[get][..],
        &[get, "Host: x", "Host: y"],
        &[get, "Host:"],
        &[get, "Host: x", "Content-Length: 1", "Content-Length: 1"],
        &[get, "Host: x", "Content-Length: 1, 1"],
        &[get, "Host: x", "Content-Length: +1"],
        &[get, "Host: x", "Content-Length: 1", "Transfer-Encoding: chunked"],
        &[get, "Host : x"],
        &[get, "Host: x", "A: b", " folded"],
        &[get, "Host: x", "A: b\0c"],
        &[get, "Host: x\nA: b"],
        &["GET /é HTTP/1.1", "Host: x"],
        &["GET x HTTP/1.1", "Host: x"],
        &["GET * HTTP/1.1", "Host: x"],
        &["GET http:/x/ HTTP/1.1", "Host: x"],
        &["GET http:///x HTTP/1.1", "Host: x"],
        &["GET http://u@x/ HTTP/1.1", "Host: x"],
        &["GET ftp://x/ HTTP/1.1", "Host: x"],
        &["GET http://x/ HTTP/1.1"],
        &["GET http://x/ HTTP/1.1", "Host: x", "Host: x"],
        &["GET http://x/ HTTP/1.1", "Host: a b"],
        &["GET / HTTP/1.0", "Host: a b"],
        &["GET / HTTP/1.1", "Host: [fe80::1%]"],
        &["GET / HTTP/2.0", "Host: x"],
        &["GET /"],
    ] {
        assert_eq!(status(lines), 400, "{lines:?}");
    }
}

#[test]
fn the_host_of_a_request_is_found_wherever_it_stands() {
    for (first, host, authority, target) in [
        ("GET /a?b HTTP/1.1", "Host: Board:80", "Board:80", "/a?b"),
        ("GET http://Board.Local:1920/a?b HTTP/1.1", "Host: other", "Board.Local:1920", "/a?b"),
        ("GET HTTP://board.local HTTP/1.1", "Host: board.local", "board.local", "/"),
        ("GET wss://board.local?a=/b HTTP/1.1", "Host: board.local", "board.local", "/?a=/b"),
        ("GET http://board.local//x HTTP/1.0", "A: b", "board.local", "//x"),
        ("GET /http://other/ HTTP/1.1", "Host: board", "board", "/http://other/"),
        ("GET / HTTP/1.0", "A: b", "192.168.1.5:1920", "/"),
        ("GET / HTTP/1.0", "Host:", "192.168.1.5:1920", "/"),
        ("GET / HTTP/1.0", "Host: board", "board", "/"),
        ("GET / HTTP/1.1", "Host: [fe80::1%eth0]", "[fe80::1]", "/"),
        ("GET / HTTP/1.1", "Host: [fe80::1%25eth0]:1920", "[fe80::1]:1920", "/"),
    ] {
        let bytes = format!("{first}\r\n{host}\r\n\r\n");
        let head = parse(&bytes).unwrap_or_else(|refusal| panic!("{bytes}: {refusal:?}"));
        assert_eq!((&*head.authority, &*head.target), (authority, target), "{bytes}");
        assert_eq!(Host::parse(authority).map(|(host, _)| host), Some(head.host), "{bytes}");
    }
    let nowhere = Head::parse(b"GET / HTTP/1.0\r\n\r\n", || None);
    assert_eq!(nowhere.map(drop).map_err(|refusal| refusal.status), Err(400));
}

#[test]
fn a_target_of_another_method_is_that_method_s_fault() {
    for first in ["OPTIONS * HTTP/1.1", "CONNECT board.local:80 HTTP/1.1"] {
        assert_eq!(status(&[first, "Host: x"]), 405, "{first}");
    }
}

#[test]
fn empty_lines_before_a_request_are_taken_away() {
    for (came, left, begun) in [
        (&b""[..], &b""[..], false),
        (b"\r", b"\r", false),
        (b"\r\n", b"", false),
        (b"\r\n\r\n\r", b"\r", false),
        (b"\r\n\r\nGET", b"GET", true),
        (b"\r\nG", b"G", true),
        (b"GET /\r\n\r\n", b"GET /\r\n\r\n", true),
        (b"\n\r\n", b"\n\r\n", true),
        (b"\r\n\r\rG", b"\r\rG", true),
    ] {
        let mut buffer = came.to_vec();
        assert_eq!((has_begun(&mut buffer), &buffer[..]), (begun, left), "{came:?}");
    }
}

#[test]
fn too_many_header_lines_are_too_large_a_head() {
    let mut lines = vec!["GET / HTTP/1.1", "Host: x"];
    lines.resize(HEADERS_MAX + 2, "A: b");
    assert_eq!(status(&lines), 431);
}

#[test]
fn the_end_of_a_head_is_found_however_it_is_cut() {
    let bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nmore";
    for cut in 1..bytes.len() {
        let early = scan(&bytes[..cut], 0).unwrap();
        let end = early.or_else(|| scan(bytes, cut).unwrap());
        assert_eq!(end, Some(bytes.len() - 4), "cut at {cut}");
    }
}

#[test]
fn what_no_head_has_is_refused_before_its_end_has_come() {
    for begin in [&b"GET /\0"[..], b"GET /\n", b"\x16\x03\x01"] {
        assert!(scan(begin, 0).is_err(), "{begin:?}");
    }
}

#[test]
fn a_connection_stays_unless_the_client_says_that_it_closes_it_or_is_an_old_one() {
    for (first, line, stays) in [
        ("GET / HTTP/1.1", "A: b", true),
        ("GET / HTTP/1.1", "Connection: keep-alive", true),
        ("GET / HTTP/1.1", "Connection: close", false),
        ("GET / HTTP/1.1", "Connection: upgrade, Close", false),
        ("GET / HTTP/1.0", "A: b", false),
        ("GET / HTTP/1.0", "Connection: keep-alive", false),
    ] {
        let bytes = format!("{first}\r\nHost: x\r\n{line}\r\n\r\n");
        assert_eq!(parse(&bytes).unwrap().keep_alive(), stays, "{first} {line}");
    }
}

#[test]
fn a_body_is_seen_however_it_is_announced() {
    let refused = |line: &str| {
        let bytes = format!("GET / HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n");
        parse(&bytes).unwrap().framing.check_no_body().map_err(|refusal| refusal.status)
    };
    assert_eq!(refused("Transfer-Encoding: chunked"), Err(411));
    assert_eq!(refused("Content-Length: 010"), Err(413));
    assert_eq!(refused("Content-Length: 00"), Ok(()));
}

/// A connection over which these bytes have come, and then its end.
fn socket(bytes: &[u8]) -> Async<TcpSocket> {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(bytes).unwrap();
    Async::new(TcpStream::from(OwnedFd::from(ours)).into()).unwrap()
}

#[test]
fn empty_lines_before_a_request_are_as_long_as_a_head_at_most() {
    let wait = |bytes: &[u8]| {
        let waited = reactor::block_on(wait_for_head(&socket(bytes), &mut Vec::new())).unwrap();
        waited.map_err(|refusal| refusal.status)
    };
    assert_eq!((wait(b""), wait(b"GET"), wait(b"\r\n\r\nGET")), (Ok(false), Ok(true), Ok(true)));
    let empty_lines = b"\r\n".repeat(HEAD_BYTES_MAX / 2);
    assert_eq!(wait(&empty_lines), Ok(false));
    assert_eq!(wait(&[&empty_lines[..], b"\r\n"].concat()), Err(431));
}

#[test]
fn a_large_head_needs_a_permit_and_one_that_is_too_large_is_refused() {
    let asked = Cell::new(0);
    // So many bytes have come with what was before.
    let read = |bytes: &[u8], ahead: usize, may_be_large: bool| {
        asked.set(0);
        let admit_large = || {
            asked.set(asked.get() + 1);
            if may_be_large { Ok(()) } else { Err(FULL) }
        };
        let (mut buffer, mut large, socket) = (bytes[..ahead].to_vec(), None, socket(&bytes[ahead..]));
        let read = reactor::block_on(read_head(&socket, &mut buffer, &mut large, admit_large)).unwrap();
        assert!(bytes.starts_with(&buffer) && buffer.len() <= HEAD_BYTES_MAX);
        (read.map_err(|refusal| refusal.status), asked.get())
    };
    let head = |bytes: usize| format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "b".repeat(bytes - 23)).into_bytes();
    for ahead in [0, 50] {
        for (bytes, permits) in [(100, 0), (HEAD_SMALL_BYTES, 0), (HEAD_SMALL_BYTES + 1, 1), (HEAD_BYTES_MAX, 1)] {
            assert_eq!(head(bytes).len(), bytes);
            assert_eq!(read(&head(bytes), ahead, true), (Ok(Some(bytes)), permits));
            let refused = if permits == 0 { Ok(Some(bytes)) } else { Err(503) };
            assert_eq!(read(&head(bytes), ahead, false), (refused, permits));
            assert_eq!(read(&head(bytes)[..bytes - 1], ahead, true).0, Ok(None), "it has no end");
        }
        assert_eq!(read(&head(HEAD_BYTES_MAX + 1), ahead, true), (Err(431), 1));
        assert_eq!(read(&[&head(100)[..], &head(100)].concat(), ahead, true).0, Ok(Some(100)));
    }
}

#[test]
fn a_head_may_come_in_pieces_and_a_reset_is_an_end() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    reactor::block_on(async {
        let socket = Async::new(TcpStream::from(OwnedFd::from(ours)).into()).unwrap();
        let (mut buffer, mut large) = (Vec::new(), None);
        let mut read = std::pin::pin!(read_head(&socket, &mut buffer, &mut large, || Ok(())));
        for piece in ["GET / HT", "TP/1.1\r\n", "\r"] {
            theirs.write_all(piece.as_bytes()).unwrap();
            socket.readable().await;
            assert_eq!(future::poll_once(&mut read).await, None, "{piece:?}");
        }
        theirs.write_all(b"\n").unwrap();
        assert_eq!(read.await, Ok(Some(18)));
        // What it has not read makes it a reset.
        socket.get_ref().kernel().write_all(b"x").unwrap();
        drop(theirs);
        assert_eq!(wait_for_head(&socket, &mut Vec::new()).await, Ok(false));
    })
    .unwrap();
}
