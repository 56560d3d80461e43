//! What is not let in, by its HTTP status: malformed, ambiguous, foreign, too large, too slow, too many.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;

use crate::harness::{
    Bystanders, Client, FIN, GREETING, Launch, OWN_ADDRESSES, Server, TEXT, eventually, get, in_own_network, lines,
    masked, patience, refused, request, request_head, upgrade_head,
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
        ("nothing but an empty line", b"\r\n\r\n"),
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
fn a_target_is_a_path() {
    let server = Server::start(&[]);
    for target in ["http://localhost/", "//", "*", "localhost:80", "index.html", "?x", "\\", "/ /", ""] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let expected = if target == "//" { 200 } else { 400 };
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
        &["Host: [fe80::1%25eth0]"],
        &["Host: http://localhost"],
        &["Host: b\u{fc}cher.local"],
    ] {
        assert_eq!(refused(server.address(), &page_head(shape)).status, 400, "{shape:?}");
    }
}

#[test]
fn a_host_that_foreign_pages_can_have_is_refused_with_403_on_every_address_and_path() {
    let launch = Launch::new(&["--listen", "127.0.0.1:0", "--allow-host", "Board.Example.com"]);
    let server = launch.expecting(2).start();
    let bystanders = Bystanders::start(&server);
    for (host, is_ours) in [
        ("127.0.0.1", true),
        ("127.0.0.1:1919", true),
        ("192.168.1.5", true),
        ("[::1]:1919", true),
        ("[fe80::1]", true),
        ("localhost", true),
        ("LocalHost:1", true),
        ("raspberrypi", true),
        ("raspberrypi.local", true),
        ("RASPBERRYPI.LOCAL.:1920", true),
        ("board.lan", true),
        ("board.home", true),
        ("board.home.arpa", true),
        ("board.internal", true),
        ("board.localdomain", true),
        ("board.example.com", true),
        ("BOARD.EXAMPLE.COM.:443", true),
        ("evil.example", false),
        ("evil.example:1919", false),
        ("evil.example.", false),
        ("127.0.0.1.evil.example", false),
        ("localhost.evil.example", false),
        ("board.local.evil.example", false),
        ("evil-local.example", false),
        ("evillocal.com", false),
        ("xlan.com", false),
        ("home.arpa.com", false),
        ("notboard.example.com", false),
        ("sub.board.example.com", false),
        ("board.example.com.evil.example", false),
        ("example.com", false),
        ("1.2.3.4.5", false),
    ] {
        for &address in &server.addresses {
            for path in ["/", "/status", "/qr.svg", "/nothing"] {
                let mut client = Client::connect(address);
                client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
                let response = client.response(false);
                assert_eq!(response.status != 403, is_ours, "{host} {path}: {response:?}");
            }
            let mut client = Client::connect(address);
            client.send(upgrade_head(host, "/", "").as_bytes());
            let response = client.response(false);
            assert_eq!(response.status, if is_ours { 101 } else { 403 }, "{host}");
            if !is_ours {
                response.expect_a_sentence();
                assert!(response.text().contains("--allow-host"), "{response:?}");
                assert!(!response.text().contains("evil"), "nothing of the request is repeated: {response:?}");
            }
        }
    }
    bystanders.finish();
}

#[test]
fn the_machine_s_own_name_is_ours() {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send(upgrade_head(&format!("{}:1919", name.trim()), "/", "").as_bytes());
    assert_eq!(client.response(false).status, 101, "{name}");
}

/// Whether an upgrade with this Host and these Origin lines is let in.
fn is_let_in(address: SocketAddr, host: &str, origins: &[&str]) -> bool {
    let mut client = Client::connect(address);
    let origins: Vec<_> = origins.iter().map(|origin| ("Origin", *origin)).collect();
    client.send(upgrade_head(host, "/", &lines(&origins)).as_bytes());
    let response = client.response(false);
    match response.status {
        101 => {
            assert_eq!(client.text(), GREETING);
            true
        }
        403 => {
            response.expect_a_sentence();
            assert!(response.text().contains("--allow-origin"), "{response:?}");
            client.expect_end();
            false
        }
        other => panic!("{host} {origins:?}: {other}"),
    }
}

#[test]
fn an_origin_of_another_host_is_refused_with_403_on_every_address() {
    let server = Launch::new(&["--listen", "127.0.0.1:0"]).expecting(2).start();
    let bystanders = Bystanders::start(&server);
    for (host, origins, expected) in [
        ("board.local:1919", &[][..], true),
        ("board.local:1919", &["http://board.local:1920"], true),
        ("board.local:1919", &["https://board.local"], true),
        ("board.local:1919", &["http://BOARD.Local:8080"], true),
        ("board.local:1919", &["http://board.local."], true),
        ("board.local.", &["http://board.local"], true),
        ("[::1]:1919", &["http://[::1]:1920"], true),
        ("[::1]", &["http://[0:0:0:0:0:0:0:1]"], true),
        ("192.168.1.5", &["http://192.168.1.5:1920"], true),
        ("192.168.1.5", &["http://192.168.1.50"], false),
        ("127.0.0.1", &["http://localhost"], false),
        ("board.local", &["http://evil.example"], false),
        ("board.local", &["http://board.local.evil.example"], false),
        ("board.local", &["http://evilboard.local"], false),
        ("board.local", &["http://sub.board.local"], false),
        ("board.local", &["http://local"], false),
        ("board.local", &["http://board"], false),
        ("board.local", &["http://board.local@evil.example"], false),
        ("board.local", &["http://evil.example#board.local"], false),
        ("board.local", &["http://evil.example/board.local"], false),
        ("board.local", &["http://evil.example\\board.local"], false),
        ("board.local", &["http://board.local/"], false),
        ("board.local", &["http://board.local:port"], false),
        ("board.local", &["file://"], false),
        ("board.local", &["file://board.local"], false),
        ("board.local", &["chrome-extension://board.local"], false),
        ("board.local", &["board.local"], false),
        ("board.local", &["null"], false),
        ("board.local", &["*"], false),
        ("board.local", &[""], false),
        ("board.local", &["http://"], false),
        ("[::1]", &["http://[::1"], false),
        ("[::1]", &["http://::1"], false),
        ("board.local", &["http://board.local http://evil.example"], false),
        ("board.local", &["http://board.local, http://evil.example"], false),
        ("board.local", &["http://board.local", "http://board.local"], false),
        ("board.local", &["http://board.local", "http://evil.example"], false),
    ] {
        for &address in &server.addresses {
            assert_eq!(is_let_in(address, host, origins), expected, "{origins:?} to {host}");
        }
    }
    bystanders.finish();
}

#[test]
fn origins_can_be_allowed_by_name() {
    let server = Server::start(&["--allow-origin", "https://example.com", "--allow-origin", "dev.example:3000"]);
    for (origin, expected) in [
        ("https://example.com", true),
        ("https://EXAMPLE.COM:8443", true),
        ("http://example.com", false),
        ("https://www.example.com", false),
        ("https://example.com.evil.example", false),
        ("http://dev.example:3000", true),
        ("http://dev.example", false),
        ("null", false),
    ] {
        assert_eq!(is_let_in(server.address(), "board.local", &[origin]), expected, "{origin}");
    }
    let server = Server::start(&["--allow-origin", "null"]);
    assert!(is_let_in(server.address(), "board.local", &["null"]));
    assert!(!is_let_in(server.address(), "board.local", &["http://evil.example"]));
    let server = Server::start(&["--allow-origin", "*"]);
    assert!(is_let_in(server.address(), "board.local", &["http://any.example"]));
    assert!(is_let_in(server.address(), "board.local", &["null"]));
    // DNS rebinding is another matter.
    let rebound = upgrade_head("evil.example", "/", "Origin: http://evil.example\r\n");
    assert_eq!(refused(server.address(), rebound.as_bytes()).status, 403);
}

#[test]
fn a_page_is_not_asked_for_its_origin() {
    let server = Server::start(&[]);
    assert_eq!(request(server.address(), "GET", "/", "Origin: http://evil.example\r\n").status, 200);
}

#[test]
fn an_incomplete_handshake_is_answered_with_400_and_another_version_with_426() {
    let server = Server::start(&[]);
    let whole = upgrade_head("localhost", "/", "");
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    for (what, from, to, expected) in [
        ("no key", key, "", 400),
        ("two keys", key, &key.repeat(2), 400),
        ("a key that is too short", key, "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n", 400),
        ("a key that is not base64", key, "Sec-WebSocket-Key: ????????????????????????\r\n", 400),
        ("no Connection: Upgrade", "Connection: keep-alive, Upgrade", "Connection: keep-alive", 400),
        ("HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 400),
        ("another method", "GET ", "POST ", 400),
        ("a sub-protocol that is no token", version, &format!("{version}Sec-WebSocket-Protocol: a b\r\n"), 400),
        ("a body", version, &format!("{version}Content-Length: 5\r\n"), 413),
        ("a body in chunks", version, &format!("{version}Transfer-Encoding: chunked\r\n"), 411),
        ("no version", version, "", 426),
        ("two versions", version, &version.repeat(2), 400),
        ("an old version", version, "Sec-WebSocket-Version: 8\r\n", 426),
        ("a list of versions", version, "Sec-WebSocket-Version: 13, 8\r\n", 426),
        ("a wrong echo", "GET / ", "GET /?echo=yes ", 400),
        ("a wrong after", "GET / ", "GET /?after=here ", 400),
    ] {
        let head = whole.replacen(from, to, 1);
        assert_ne!(head, whole, "{what}");
        let response = refused(server.address(), head.as_bytes());
        assert_eq!(response.status, expected, "{what}: {response:?}");
        let answered_version = response.header("Sec-WebSocket-Version");
        assert_eq!(answered_version, (expected == 426).then_some("13"), "{what}");
    }
    server.wait_for_figure("/clientsTotal", 0);
}

#[test]
fn methods_that_would_change_something_are_answered_with_405() {
    let server = Server::start(&[]);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "FOG"] {
        for path in ["/", "/status", "/nothing"] {
            let head = request_head(server.address(), method, path, "Content-Length: 0\r\n");
            let response = refused(server.address(), head.as_bytes());
            assert_eq!(response.status, 405, "{method} {path}");
            assert_eq!(response.header("Allow"), Some("GET, HEAD"), "{method} {path}");
        }
    }
}

#[test]
fn bodies_are_answered_with_411_or_413_and_not_taken_for_requests() {
    let server = Server::start(&[]);
    let inner = request_head(server.address(), "GET", "/status", "");
    for (expected, line, body) in [
        (413, format!("Content-Length: {}\r\n", inner.len()), inner.clone()),
        (413, "Content-Length: 18446744073709551616\r\n".to_owned(), inner.clone()),
        (411, "Transfer-Encoding: chunked\r\n".to_owned(), format!("0\r\n\r\n{inner}")),
        (411, "Transfer-Encoding: gzip, chunked\r\n".to_owned(), inner.clone()),
        (411, "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n".to_owned(), inner.clone()),
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
    let largest = with_padding(8 * 1024 - bare);
    assert_eq!(largest.len(), 8 * 1024);
    let mut client = Client::connect(server.address());
    client.send(largest.as_bytes());
    assert_eq!(client.response(false).status, 200);
    for (what, head) in [
        ("one byte more", with_padding(8 * 1024 - bare + 1)),
        ("a megabyte", with_padding(1 << 20)),
        ("a long path", request_head(server.address(), "GET", &format!("/{}", "a/".repeat(5000)), "")),
        ("too many lines", request_head(server.address(), "GET", "/", &"A: b\r\n".repeat(64))),
        ("no end", format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(3000))),
    ] {
        let mut client = Client::connect(server.address());
        // The answer comes before all of it is sent.
        let _ = client.try_send(head.as_bytes());
        let response = client.response(false);
        assert_eq!(response.status, 431, "{what}: {response:?}");
        response.expect_a_sentence();
    }
    let long_path = format!("/{}", "a".repeat(7000));
    assert_eq!(server.get(&long_path).status, 404, "a long path within the limit is only not there");
    bystanders.finish();
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
    dribbling.socket().set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
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
fn too_many_from_one_address_are_answered_with_429_but_not_from_loopback_or_with_no_limit() {
    in_own_network(|| {
        let [near, far] = OWN_ADDRESSES.map(|ip| SocketAddr::new(ip.into(), 1919));
        let loopback = SocketAddr::from(([127, 0, 0, 1], 1919));
        let server = Launch::bare(&["--max-clients-per-ip", "3"]).expecting(2).start();
        // Within one machine, a connection comes from the address that it goes to.
        let mut from_near: Vec<_> = (0..3).map(|_| Client::join(near)).collect();
        let mut client = Client::connect(near);
        let response = client.try_upgrade(near, "/", "");
        assert_eq!(response.status, 429, "{response:?}");
        response.expect_a_sentence();
        assert!(response.text().contains("--max-clients-per-ip"), "{response:?}");
        assert_eq!(server.figure("/refused/429"), 1);
        assert_eq!(get(near, "/").status, 200, "the page is for everybody");
        let _from_far = Client::join(far);
        let _from_loopback: Vec<_> = (0..5).map(|_| Client::join(loopback)).collect();
        // Whoever leaves makes room.
        let mut leaving = from_near.pop().unwrap();
        leaving.send_close(1000, "");
        assert_eq!(leaving.closed_with(), Some(1000));
        drop(leaving);
        eventually("the place is free again", || Client::connect(near).try_upgrade(near, "/", "").status == 101);
        drop(server);

        let server = Launch::bare(&["--max-clients-per-ip", "0"]).expecting(2).start();
        let _many: Vec<_> = (0..300).map(|_| Client::join(near)).collect();
        drop(server);

        let server = Launch::bare(&[]).expecting(2).start();
        let _many: Vec<_> = (0..256).map(|_| Client::join(near)).collect();
        assert_eq!(Client::connect(near).try_upgrade(near, "/", "").status, 429, "the default is 256");
        drop(server);
    });
}

#[test]
fn every_refusal_is_counted_and_logged_without_its_content() {
    let server = Server::start(&["--max-clients", "1"]);
    let _client = server.join();
    let secret = "Cookie: SECRET\r\n";
    let head = |method: &str, path: &str, more: &str| {
        request_head(server.address(), method, path, &format!("{secret}{more}")).into_bytes()
    };
    let upgrade = upgrade_head("localhost", "/?SECRET", secret);
    for (expected, bytes) in [
        (400, b"SECRET \x01\r\n\r\n".to_vec()),
        (403, upgrade.replace("localhost", "SECRET.example").into_bytes()),
        (404, head("GET", "/SECRET", "")),
        (405, head("POST", "/SECRET", "")),
        (411, head("GET", "/", "Transfer-Encoding: chunked\r\n")),
        (413, head("GET", "/", "Content-Length: 1\r\n")),
        (426, upgrade.replace("13", "12").into_bytes()),
        (431, head("GET", "/", &format!("X: {}\r\n", "SECRET".repeat(2000)))),
        (503, upgrade.clone().into_bytes()),
    ] {
        let mut client = Client::connect(server.address());
        let _ = client.try_send(&bytes);
        let response = client.response(false);
        assert_eq!(response.status, expected, "{response:?}");
        assert!(!response.text().contains("SECRET"), "{response:?}");
        assert_eq!(server.figure(&format!("/refused/{expected}")), 1, "the counter of {expected}");
        let from = client.socket().local_addr().unwrap();
        if expected != 404 {
            server.wait_for_log(&format!("{from} refused with {expected}"));
        }
    }
    assert!(!server.log().contains("SECRET"), "{}", server.log());
}

#[test]
fn a_refused_head_request_gets_no_body() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send(b"HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(client.response(true).status, 403);
    client.expect_end();
}
