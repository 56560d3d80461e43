//! `?last`: the last message of a channel as it is, for those who look now and then, and for those who are slow to take it.

use std::thread;

use crate::harness::{Client, Response, Server, eventually, request, request_head};

fn ask(server: &Server, path: &str, lines: &str) -> Response {
    request(server.address(), "GET", path, lines)
}

/// A client of the channel at this path, which has published its messages when this returns.
fn publish(server: &Server, path: &str, publish: impl FnOnce(&mut Client)) -> Client {
    let mut client = Client::join_at(server.address(), path);
    publish(&mut client);
    client
}

fn publish_text(server: &Server, path: &str, text: &str) {
    publish(server, path, |client| client.expect_echo(text));
}

fn publish_binary(server: &Server, path: &str, payload: &[u8]) {
    publish(server, path, |client| {
        client.send_binary(payload);
        while client.frame().payload != payload {}
    });
}

#[test]
fn the_last_message_comes_as_it_is_with_its_number_and_its_age() {
    let server = Server::start(&[]);
    for (path, text) in [("/", "eins, zwei, dr\u{e9}i"), ("/c/lights", "on"), ("/c/empty", "")] {
        publish_text(&server, path, "before");
        publish_text(&server, path, text);
        for method in ["GET", "HEAD"] {
            let response = request(server.address(), method, &format!("{path}?last"), "");
            assert_eq!(response.status, 200, "{path}");
            assert_eq!(response.body, if method == "GET" { text.as_bytes() } else { b"" });
            let length = text.len().to_string();
            for (name, value) in [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", &*length),
                ("Cache-Control", "no-cache"),
                ("X-Content-Type-Options", "nosniff"),
                ("Content-Security-Policy", "sandbox"),
                ("Cross-Origin-Resource-Policy", "same-site"),
                ("Vary", "Origin"),
                ("Accept-Ranges", "bytes"),
                ("Connection", "keep-alive"),
            ] {
                assert_eq!(response.header(name), Some(value), "{path}: {name}");
            }
            let position = response.header("Foghorn-Seq").expect("its position");
            assert!(position.ends_with(":2"), "{position}");
            assert_eq!(response.header("ETag"), Some(&*format!("\"{position}\"")));
            let age: u64 = response.header("Age").expect("its age").parse().expect("seconds");
            assert!(age < 60, "{age}");
        }
    }
    publish_binary(&server, "/", &[0, 255, 13, 10]);
    let response = server.get("/?last");
    assert_eq!(response.body, [0, 255, 13, 10]);
    assert_eq!(response.header("Content-Type"), Some("application/octet-stream"));
}

#[test]
fn the_age_of_a_message_grows() {
    let server = Server::start(&[]);
    publish_text(&server, "/", "now");
    let age = || -> u64 { server.get("/?last").header("Age").expect("its age").parse().expect("seconds") };
    eventually("a second has passed", || age() >= 1);
}

#[test]
fn where_there_is_no_message_there_is_no_content_and_a_look_makes_no_channel() {
    let server = Server::start(&[]);
    for path in ["/", "/c/nothing"] {
        for method in ["GET", "HEAD"] {
            let response = request(server.address(), method, &format!("{path}?last"), "");
            assert_eq!((response.status, response.header("Content-Length")), (204, None), "{path}");
            assert_eq!((response.header("Cache-Control"), response.header("Vary")), (Some("no-cache"), Some("Origin")));
            assert_eq!(response.header("Foghorn-Seq").is_some(), path == "/", "where a newcomer would begin");
        }
    }
    assert_eq!(server.figure("/channels"), 1, "none was made");
    assert_eq!(ask(&server, "/?last", "If-Match: *\r\n").status, 412, "there is none that could be meant");
}

#[test]
fn who_has_the_last_message_already_is_told_so() {
    let server = Server::start(&[]);
    publish_text(&server, "/", "one");
    let first = server.get("/?last");
    let etag = first.header("ETag").expect("a tag").to_owned();
    let known = format!("If-None-Match: {etag}\r\n");
    for method in ["GET", "HEAD"] {
        let response = request(server.address(), method, "/?last", &known);
        assert_eq!((response.status, response.body.len()), (304, 0));
        for name in ["ETag", "Foghorn-Seq", "Cache-Control", "Vary"] {
            assert_eq!(response.header(name), first.header(name), "{name}");
        }
        assert!(response.header("Age").is_some());
    }
    assert_eq!(ask(&server, "/?last", &format!("If-Match: {etag}\r\n")).status, 200);
    // The same words again are another message.
    publish_text(&server, "/", "one");
    assert_eq!(ask(&server, "/?last", &known).status, 200);
    let refused = ask(&server, "/?last", &format!("If-Match: {etag}\r\n"));
    assert_eq!((refused.status, refused.header("Foghorn-Seq")), (412, None));
    assert!(refused.text().ends_with(".\n"), "{}", refused.text());
    assert_eq!(server.figure("/refused/412"), 1);
}

#[test]
fn a_message_that_was_deleted_is_the_last_one_no_longer_and_its_tag_names_no_other() {
    let server = Server::start(&[]);
    publish_text(&server, "/c/lights", "on");
    let first = server.get("/c/lights?last");
    assert_eq!(request(server.address(), "DELETE", "/c/lights", "").status, 200);
    let none = server.get("/c/lights?last");
    let position = none.header("Foghorn-Seq").expect("where a newcomer begins").to_owned();
    assert_eq!((none.status, &position[position.len() - 2..]), (204, ":0"));
    publish_text(&server, "/c/lights", "on");
    let known = format!("If-None-Match: {}\r\n", first.header("ETag").expect("a tag"));
    let second = ask(&server, "/c/lights?last", &known);
    assert_eq!((second.status, second.text()), (200, "on".to_owned()));
    assert_eq!(second.header("Foghorn-Seq"), Some(&*position.replace(":0", ":1")));
}

#[test]
fn a_part_of_a_message_is_a_part_of_that_message() {
    let server = Server::start(&[]);
    publish_text(&server, "/", "0123456789");
    let part = ask(&server, "/?last", "Range: bytes=2-4\r\n");
    assert_eq!((part.status, part.text()), (206, "234".to_owned()));
    assert_eq!(part.header("Content-Range"), Some("bytes 2-4/10"));
    assert_eq!(part.header("Content-Security-Policy"), Some("sandbox"), "it is no less what somebody has sent");
    let behind = ask(&server, "/?last", "Range: bytes=10-\r\n");
    assert_eq!((behind.status, behind.header("Content-Range")), (416, Some("bytes */10")));
    let state = format!("Range: bytes=2-4\r\nIf-Range: {}\r\n", part.header("ETag").expect("a tag"));
    assert_eq!(ask(&server, "/?last", &state).status, 206);
    publish_text(&server, "/", "another one");
    let whole = ask(&server, "/?last", &state);
    assert_eq!((whole.status, whole.text()), (200, "another one".to_owned()));
}

#[test]
fn many_answers_come_over_one_connection() {
    let server = Server::start(&[]);
    let mut reader = Client::connect(server.address());
    for nth in 0..20 {
        publish_text(&server, "/", &nth.to_string());
        reader.send(request_head(server.address(), "GET", "/?last", "").as_bytes());
        assert_eq!(reader.response(false).text(), nth.to_string());
    }
}

/// More than a kernel takes at once for a narrow reader, and so large that four copies are all that there may be.
const LARGE_BYTES: usize = 2 << 20;
const COPIES_MAX: usize = 4;

/// A large message by which the next one is told from it.
fn large(nth: usize) -> Vec<u8> {
    vec![u8::try_from(nth).unwrap(); LARGE_BYTES]
}

fn with_large_messages() -> Server {
    Server::start(&["--max-message", "2MiB", "--backlog", "4MiB"])
}

/// Asks for the last message, and reads no more than the head of the answer.
fn ask_and_wait(server: &Server) -> Client {
    let mut reader = Client::connect_narrow(server.address(), 32 * 1024);
    reader.send(request_head(server.address(), "GET", "/?last", "Connection: close\r\n").as_bytes());
    assert_eq!(reader.response(true).status, 200);
    reader
}

/// All that still comes to each, who read at the same time: whoever takes nothing for long is dropped.
fn rests(readers: Vec<Client>) -> Vec<Vec<u8>> {
    let reading = readers.into_iter().map(|mut reader| thread::spawn(move || reader.rest()));
    let reading: Vec<_> = reading.collect();
    reading.into_iter().map(|thread| thread.join().expect("the connection ends")).collect()
}

#[test]
fn behind_an_answer_without_a_body_the_next_one_follows_at_once() {
    let server = Server::start(&[]);
    publish_text(&server, "/", "hello");
    let known = format!("If-None-Match: {}\r\n", ask(&server, "/?last", "").header("ETag").unwrap());
    let mut client = Client::connect(server.address());
    let asked = [
        ("HEAD", "/?last", "", 200),
        ("GET", "/?last", &*known, 304),
        ("HEAD", "/metrics", "", 200),
        ("HEAD", "/?status", "", 200),
    ];
    for (method, path, lines, status) in asked {
        client.send(request_head(server.address(), method, path, lines).as_bytes());
        client.send(request_head(server.address(), "GET", "/?last", "").as_bytes());
        assert_eq!(client.response(true).status, status, "{method} {path}");
        assert_eq!(client.response(false).body, b"hello", "{method} {path}");
    }
}

#[test]
fn slow_readers_of_one_message_share_one_copy_of_it_and_get_it_whole_although_newer_ones_come() {
    let server = with_large_messages();
    publish_binary(&server, "/", &large(0));
    let before_kib = server.process_figure("VmRSS");
    let readers: Vec<Client> = (0..40).map(|_| ask_and_wait(&server)).collect();
    let more_kib = server.process_figure("VmRSS").saturating_sub(before_kib);
    assert!(more_kib < 20 << 10, "{more_kib} KiB for 40 readers of {LARGE_BYTES} bytes");
    for nth in 1..=5 {
        publish_binary(&server, "/", &large(nth));
    }
    for body in rests(readers) {
        assert!(body == large(0), "what was asked for, to the end: {} bytes", body.len());
    }
}

#[test]
fn when_copies_take_too_much_the_oldest_is_given_up_and_who_reads_slowly_has_to_ask_again() {
    let server = with_large_messages();
    let mut readers = Vec::new();
    for nth in 0..COPIES_MAX + 2 {
        publish_binary(&server, "/", &large(nth));
        readers.push(ask_and_wait(&server));
        let mut at_once = Client::connect(server.address());
        at_once.send(request_head(server.address(), "GET", "/?last", "Range: bytes=0-9\r\n").as_bytes());
        assert_eq!(at_once.response(false).body, large(nth)[..10]);
    }
    for (nth, body) in rests(readers).into_iter().enumerate() {
        if nth < 2 {
            assert!(body.len() < LARGE_BYTES, "the copy of {nth} was given up for newer ones");
        } else {
            assert!(body == large(nth), "{nth}: {} bytes", body.len());
        }
    }
    assert_eq!(server.get("/?last").body.len(), LARGE_BYTES, "asked again, it comes");
}
