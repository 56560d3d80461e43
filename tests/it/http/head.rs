//! What is refused for its head, by its HTTP status: no HTTP, ambiguous, too large, too slow, a method or a body that nobody
//! takes.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use foghorn::config::limits::{HEAD_BYTES_MAX, HEAD_TIMEOUT, HEADERS_MAX, KEEP_ALIVE_ANNOUNCED};

use crate::harness::{
    Bystanders, Client, FIN, Server, TEXT, eventually, folder, masked, patience, refused, request, request_head,
    upgrade_head,
};

fn page_head(lines: &[&str]) -> Vec<u8> {
    let mut head = "GET / HTTP/1.1\r\n".to_owned();
    for line in lines {
        head += line;
        head += "\r\n";
    }
    (head + "\r\n").into_bytes()
}

#[test]
fn what_is_not_http_is_answered_with_400() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let tls_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghijklmnopqrstuvwxyz";
    for (what, bytes) in [
        ("a TLS hello", &tls_hello[..]),
        ("an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("a line feed alone before a request", b"\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("a carriage return alone before a request", b"\rGET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("half an empty line behind one", b"\r\n\r\rGET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("a zero byte", b"\0"),
        ("a WebSocket frame with no handshake", &masked(FIN | TEXT, b"hello")),
        ("no version", b"GET /\r\n\r\n"),
        ("version 2", b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"),
        ("a version of two digits", b"GET / HTTP/1.11\r\nHost: localhost\r\n\r\n"),
        ("lower-case http", b"GET / http/1.1\r\nHost: localhost\r\n\r\n"),
        ("no method", b" / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("a control character in the path", b"GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ("words", b"Good morning\r\n\r\n"),
    ] {
        assert_eq!(refused(server.address(), bytes).status, 400, "{what}");
    }
    bystanders.finish();
}

#[test]
fn a_tls_hello_is_told_to_use_http() {
    let server = Server::start(&[]);
    let answer = refused(server.address(), b"\x16\x03\x01\x02\x00\x01").text();
    assert!(answer.contains("http://"), "{answer}");
}

#[test]
fn garbage_of_any_kind_harms_nobody() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let head = upgrade_head("localhost", "/?echo=0", "");
    for _ in 0..200 {
        let mut bytes = head.clone().into_bytes();
        if random.bool() {
            // A good head with some bytes broken, then frames of garbage.
            for _ in 0..random.usize(0..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
        } else {
            bytes.clear();
        }
        let more = random.usize(..2000);
        bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(more));
        let mut client = Client::connect(server.address());
        // The server may have had enough before it has all of it.
        let _ = client.try_send(&bytes);
        let _ = client.socket().shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = client.socket().read_to_end(&mut answer);
        let is_http = answer.is_empty() || answer.starts_with(b"HTTP/1.1 ");
        assert!(is_http, "{bytes:?}: {answer:?}");
    }
    bystanders.finish();
    server.wait_for_figure("/clients", 0);
}

#[test]
fn what_can_be_read_in_two_ways_is_answered_with_400_and_nothing_behind_it_is_read() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let address = server.address();
    for shape in [
        &["Host: localhost", "Content-Length: 5", "Content-Length: 6"][..],
        &["Host: localhost", "Content-Length: 5", "Content-Length: 5"],
        &["Host: localhost", "Content-Length: 0", "Content-Length: 0"],
        &["Host: localhost", "Content-Length: 5, 5"],
        &["Host: localhost", "Content-Length: +5"],
        &["Host: localhost", "Content-Length: -5"],
        &["Host: localhost", "Content-Length: 0x5"],
        &["Host: localhost", "Content-Length: 5 5"],
        &["Host: localhost", "Content-Length:"],
        &["Host: localhost", "Content-Length: 5", "Transfer-Encoding: chunked"],
        &["Host: localhost", "Transfer-Encoding: identity", "Content-Length: 5"],
        &["Host: localhost", "Content-Length : 5"],
        &["Host: localhost", "Transfer-Encoding : chunked"],
        &["Host : localhost"],
        &["Host: localhost", " Content-Length: 5"],
        &["Host: localhost", "X: a", "\tfolded"],
        &["Host: localhost", "X: a\nContent-Length: 5"],
        &["Host: localhost\nX: a"],
        &["Host: localhost", "X: a\0b"],
        &["Host: localhost", "X\0: a"],
        &["Host: localhost", "X: a\rContent-Length: 5"],
        &["Host: localhost", "No colon"],
        &["Host: localhost", ": no name"],
        &["Host: localhost", "X(y): z"],
        &["Host: localhost", "Content-L\u{e9}ngth: 5"],
    ] {
        let mut bytes = page_head(shape);
        bytes.extend(request_head(address, "GET", "/status", "").bytes());
        assert_eq!(refused(address, &bytes).status, 400, "{shape:?}");
        let mut upgrade = upgrade_head("localhost", "/", "").replace("Host: localhost\r\n", &shape.join("\r\n"));
        upgrade = upgrade.replacen("Connection:", "\r\nConnection:", 1);
        assert_eq!(refused(address, upgrade.as_bytes()).status, 400, "as an upgrade: {shape:?}");
    }
    // A line feed alone ends nothing.
    assert_eq!(refused(address, b"GET / HTTP/1.1\nHost: localhost\n\n").status, 400);
    assert_eq!(refused(address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\n").status, 400);
    bystanders.finish();
}

#[test]
fn a_target_is_a_path_or_a_whole_address() {
    let server = Server::start(&[]);
    for (target, expected) in [
        ("//", 200),
        ("http://localhost/", 200),
        ("ftp://localhost/", 400),
        ("http:/localhost/", 400),
        ("*", 400),
        ("localhost:80", 400),
        ("index.html", 400),
        ("?x", 400),
        ("\\", 400),
        ("/ /", 400),
        ("", 400),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut client = Client::connect(server.address());
        client.send(head.as_bytes());
        assert_eq!(client.response(false).status, expected, "{target:?}");
    }
}

#[test]
fn a_request_needs_one_host() {
    let server = Server::start(&[]);
    for shape in [
        &[][..],
        &["Host:"],
        &["Host:  "],
        &["Host: localhost", "Host: localhost"],
        &["Host: localhost", "host: evil.example"],
        &["Host: localhost, evil.example"],
        &["Host: a b"],
        &["Host: user@localhost"],
        &["Host: localhost/path"],
        &["Host: localhost:port"],
        &["Host: localhost:99999"],
        &["Host: [::1"],
        &["Host: [::1]x"],
        &["Host: ::1"],
        &["Host: [fe80::1%]"],
        &["Host: localhost%eth0"],
        &["Host: http://localhost"],
        &["Host: b\u{fc}cher.local"],
    ] {
        assert_eq!(refused(server.address(), &page_head(shape)).status, 400, "{shape:?}");
    }
}

#[test]
fn methods_that_an_address_does_not_have_are_answered_with_405_and_those_that_it_has() {
    let server = Server::start(&[]);
    for (path, methods, allowed) in [
        ("/", &["PATCH", "TRACE", "PROPFIND", "get", "post", "FOG"][..], "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
        ("/c/lights", &["PATCH", "TRACE"], "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
        ("/status", &["DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "FOG"], "GET, HEAD"),
        ("/nothing", &["DELETE", "PATCH"], "GET, HEAD"),
    ] {
        for method in methods {
            let head = request_head(server.address(), method, path, "Content-Length: 0\r\n");
            let response = refused(server.address(), head.as_bytes());
            assert_eq!(response.status, 405, "{method} {path}");
            assert_eq!(response.header("Allow"), Some(allowed), "{method} {path}");
        }
    }
}

#[test]
fn bodies_are_answered_with_400_411_or_413_and_not_taken_for_requests() {
    let server = Server::start(&[]);
    let inner = request_head(server.address(), "GET", "/status", "");
    for (expected, line, body) in [
        (413, format!("Content-Length: {}\r\n", inner.len()), inner.clone()),
        (413, "Content-Length: 18446744073709551616\r\n".to_owned(), inner.clone()),
        (411, "Transfer-Encoding: chunked\r\n".to_owned(), format!("0\r\n\r\n{inner}")),
        (400, "Transfer-Encoding: gzip, chunked\r\n".to_owned(), inner.clone()),
        (400, "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n".to_owned(), inner.clone()),
    ] {
        let bytes = request_head(server.address(), "GET", "/", &line) + &body;
        assert_eq!(refused(server.address(), bytes.as_bytes()).status, expected, "{line}");
    }
    assert_eq!(request(server.address(), "GET", "/", "Content-Length: 0\r\n").status, 200, "no body is no body");
}

#[test]
fn a_head_that_is_too_large_is_answered_with_431_and_one_that_just_fits_with_the_page() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let bare = request_head(server.address(), "GET", "/", "X: \r\n").len();
    let with_padding =
        |bytes: usize| request_head(server.address(), "GET", "/", &format!("X: {}\r\n", "x".repeat(bytes)));
    let largest = with_padding(HEAD_BYTES_MAX - bare);
    assert_eq!(largest.len(), 16 * 1024);
    let mut client = Client::connect(server.address());
    client.send(largest.as_bytes());
    assert_eq!(client.response(false).status, 200);
    let too_large = format!("is larger than {} KiB;", HEAD_BYTES_MAX / 1024);
    let too_many = format!("has more than {HEADERS_MAX} header lines;");
    let (too_large, too_many) = (too_large.as_str(), too_many.as_str());
    for (what, words, head) in [
        ("one byte more", too_large, with_padding(HEAD_BYTES_MAX - bare + 1)),
        ("a megabyte", too_large, with_padding(1 << 20)),
        ("a long path", too_large, request_head(server.address(), "GET", &format!("/{}", "a/".repeat(10_000)), "")),
        ("too many lines", too_many, request_head(server.address(), "GET", "/", &"A: b\r\n".repeat(64))),
        ("no end", too_large, format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(6000))),
    ] {
        let mut client = Client::connect(server.address());
        // The answer comes before all of it is sent.
        let _ = client.try_send(head.as_bytes());
        let response = client.response(false);
        assert_eq!(response.status, 431, "{what}: {response:?}");
        response.expect_a_sentence();
        assert!(response.text().contains(words), "{what}: {}", response.text());
    }
    bystanders.finish();
}

#[test]
fn a_long_target_within_the_limit_is_a_target_like_any_other() {
    let www = folder(&[("index.html", b"from disk")]);
    for server in [Server::start(&[]), Server::serving(&www)] {
        // The page's server behind ours has its own limits, and the file system has.
        for long in ["a".repeat(15 * 1024), "a/".repeat(7 * 1024), "%41".repeat(5 * 1024)] {
            assert_eq!(server.get(&format!("/{long}")).status, 404, "it is only not there");
            assert_eq!(server.get(&format!("/?{long}")).status, 200);
            assert_eq!(server.get(&format!("/status?{long}")).status, 200);
            Client::join_at(server.address(), &format!("/{long}")).expect_echo("and joins");
        }
        let cookies = format!("Cookie: {}\r\n", "name=of-another-program; ".repeat(360));
        assert_eq!(request(server.address(), "GET", "/", &cookies).status, 200);
    }
}

#[test]
fn a_head_that_does_not_come_in_time_is_answered_with_408_however_it_dribbles() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let started = Instant::now();
    let mut half = Client::connect(server.address());
    half.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n");
    let mut half_upgrade = Client::connect(server.address());
    half_upgrade.send(&upgrade_head("localhost", "/", "").as_bytes()[..100]);
    let mut silent = Client::connect(server.address());
    let mut dribbling = Client::connect(server.address());
    dribbling.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    // A new byte does not buy new time.
    dribbling.socket().set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let answer = loop {
        assert!(started.elapsed() < patience(), "no answer to the one that dribbles");
        let _ = dribbling.socket().write_all(b"x");
        if let Ok(answer) = dribbling.try_response(false) {
            break answer;
        }
    };
    assert_eq!(answer.status, 408);
    for client in [&mut half, &mut half_upgrade] {
        let response = client.response(false);
        assert_eq!(response.status, 408);
        response.expect_a_sentence();
        client.expect_end();
    }
    silent.expect_end();
    assert!(started.elapsed().as_secs_f32() > 4.0, "they had their time");
    bystanders.finish();
}

#[test]
fn empty_lines_before_a_request_are_passed_over() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let page = request_head(server.address(), "GET", "/status", "");
    let mut client = Client::connect(server.address());
    // At first, between two requests, behind one in the same piece, and in pieces.
    client.send(format!("\r\n{page}").as_bytes());
    assert_eq!(client.response(false).status, 200);
    client.send(format!("\r\n\r\n{page}\r\n{page}\r\n").as_bytes());
    assert_eq!([client.response(false).status, client.response(false).status], [200, 200]);
    for piece in [&b"\r"[..], b"\n", b"\r\n\r", b"\n", page.as_bytes()] {
        client.send(piece);
    }
    assert_eq!(client.response(false).status, 200);
    // A HEAD is seen behind them, also by what refuses it.
    client.send(b"\r\nHEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(client.response(true).status, 403);
    client.expect_end();
    let mut joining = Client::connect(server.address());
    joining
        .send(&[b"\r\n", upgrade_head("localhost", "/?echo=1", "").as_bytes(), &masked(FIN | TEXT, b"hello")].concat());
    assert_eq!(joining.response(false).status, 101);
    while joining.text() != "hello" {}
    bystanders.finish();
}

#[test]
fn empty_lines_without_end_are_refused_and_buy_no_time() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let many = b"\r\n".repeat(HEAD_BYTES_MAX / 2);
    let page = request_head(server.address(), "GET", "/status", "");
    let mut patient = Client::connect(server.address());
    patient.send(&[&many, page.as_bytes()].concat());
    assert_eq!(patient.response(false).status, 200, "as many as fit");
    let mut client = Client::connect(server.address());
    let _ = client.try_send(&[&many[..], b"\r\n"].concat());
    assert_eq!(client.response(false).status, 431);
    client.expect_end();
    let started = Instant::now();
    let dribbling = Client::connect(server.address());
    dribbling.socket().set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    // Nothing is said to it: it has asked for nothing.
    loop {
        assert!(started.elapsed() < patience(), "the one that dribbles is not closed");
        let _ = dribbling.socket().write_all(b"\r\n");
        match dribbling.socket().read(&mut [0]) {
            Ok(0) => break,
            Ok(_) => panic!("it is answered"),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    bystanders.finish();
}

#[test]
fn a_kept_connection_is_closed_only_when_the_time_that_was_announced_is_over() {
    let server = Server::start(&[]);
    let page = request_head(server.address(), "GET", "/status", "");
    let asked = Instant::now();
    let [mut idle, mut dribbling, mut half] = std::array::from_fn(|_| {
        let mut client = Client::connect(server.address());
        client.send(page.as_bytes());
        client.response(false);
        client
    });
    // A head that has begun has its own deadline.
    half.send(&page.as_bytes()[..10]);
    let waiting = thread::spawn(move || {
        let response = half.response(false);
        half.expect_end();
        (response.status, asked.elapsed())
    });
    dribbling.socket().set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let dribbling = thread::spawn(move || {
        loop {
            // An empty line is no request, and does not buy new time.
            let _ = dribbling.try_send(b"\r\n");
            match dribbling.socket().read(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => assert!(asked.elapsed() < patience()),
                ended => break assert!(matches!(ended, Ok(0) | Err(_)), "it is answered"),
            }
        }
        asked.elapsed()
    });
    idle.expect_end();
    assert!(asked.elapsed() > KEEP_ALIVE_ANNOUNCED);
    assert!(dribbling.join().unwrap() > KEEP_ALIVE_ANNOUNCED, "nor does it cost any");
    let (status, waited) = waiting.join().unwrap();
    assert_eq!(status, 408);
    assert!(waited >= HEAD_TIMEOUT);
}

#[test]
fn a_kept_connection_has_its_whole_time_for_a_head_however_late_that_begins() {
    let server = Server::start(&[]);
    let page = request_head(server.address(), "GET", "/status", "");
    let mut client = Client::connect(server.address());
    client.send(page.as_bytes());
    client.response(false);
    let (first, second) = page.as_bytes().split_at(10);
    eventually("a client was quick enough to count", || {
        // Longer than a head may take since the last answer, and begun well before the connection is closed.
        let answered = Instant::now();
        thread::sleep(HEAD_TIMEOUT + Duration::from_millis(500));
        client.send(first);
        thread::sleep(Duration::from_millis(100));
        let is_quick = answered.elapsed() < KEEP_ALIVE_ANNOUNCED;
        let _ = client.try_send(second);
        let answer = client.try_response(false);
        if !is_quick {
            client = Client::connect(server.address());
            client.send(page.as_bytes());
            client.response(false);
            return false;
        }
        assert_eq!(answer.unwrap().status, 200);
        true
    });
}

#[test]
fn a_refused_head_request_gets_no_body() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send(b"HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(client.response(true).status, 403);
    client.expect_end();
}
