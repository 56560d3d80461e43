//! What is posted is published as one message, and whoever has posted it learns where it is.

use std::io::Write;
use std::net::Shutdown;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{
    BINARY, Client, Response, Server, TEXT, eventually, numbered, post, post_head, publish_numbered, refused, request,
    request_head, sleeper,
};

/// The number of a message that was published, by the answer to its post.
fn seq(response: &Response) -> u64 {
    assert_eq!(response.status, 200, "{response:?} {}", response.text());
    let said: Value = serde_json::from_slice(&response.body).expect("it is JSON");
    said["seq"].as_u64().expect("a number")
}

#[test]
fn a_message_goes_to_all_and_the_answer_says_where_it_is() {
    let server = Server::start(&[]);
    let (mut main, mut lights) = (server.join(), Client::join_at(server.address(), "/c/lights"));
    let response = post(&server, "/", "", b"hello");
    assert_eq!(response.status, 200, "{response:?}");
    let text = response.text();
    let said: Value = serde_json::from_str(&text).expect("it is JSON");
    let epoch = said["epoch"].as_str().expect("a string").to_owned();
    assert_eq!(text, format!("{{\"epoch\":\"{epoch}\",\"seq\":1,\"clients\":1}}\n"));
    assert_eq!(response.header("Foghorn-Seq"), Some(&*format!("{epoch}:1")));
    assert_eq!(response.header("Content-Type"), Some("application/json"));
    assert_eq!(response.header("Connection"), Some("keep-alive"));
    assert_eq!(response.header("Keep-Alive"), Some("timeout=12"));
    assert_eq!(main.text(), "hello");

    let mut putting = Client::connect(server.address());
    putting.send(request_head(server.address(), "PUT", "/c/LIGHTS?a=b", "Content-Length: 2\r\n").as_bytes());
    putting.send(b"on");
    let response = putting.response(false);
    assert_eq!((seq(&response), lights.text()), (1, "on".into()));
    assert!(!response.text().contains(&epoch), "another channel has another epoch");
    // In the same order for all, those who speak WebSocket included.
    main.send_text("two");
    assert_eq!(main.text(), "two");
    assert_eq!(seq(&post(&server, "/", "", b"three")), 3);
    assert_eq!(main.text(), "three");
}

#[test]
fn a_post_makes_a_channel_and_its_message_is_kept_for_who_comes() {
    let server = Server::start(&["--history", "1"]);
    assert_eq!(seq(&post(&server, "/c/lights", "", b"on")), 1);
    let mut late = Client::join_at(server.address(), "/c/lights");
    assert_eq!(late.text(), "on");
    assert_eq!(server.figure("/channels"), 2);
}

#[test]
fn the_type_of_the_content_says_whether_a_message_is_text_or_binary() {
    let server = Server::start(&[]);
    let mut listener = server.join();
    for (lines, body, opcode) in [
        ("", "fög".as_bytes(), TEXT),
        ("", b"", TEXT),
        ("Content-Type: application/x-www-form-urlencoded\r\n", b"a=b+c%20d", TEXT),
        ("Content-Type: application/json\r\n", b"{}", TEXT),
        ("Content-Type: text/plain; charset=utf-8\r\n", b"a\r\n\0b\n", TEXT),
        ("Content-Type: application/octet-stream\r\n", b"f\xf6g", BINARY),
        ("Content-Type: IMAGE/png; a=b\r\n", b"\x89PNG", BINARY),
        ("Content-Type: audio/ogg\r\n", b"", BINARY),
        ("Content-Type: video/mp4\r\n", b"text", BINARY),
    ] {
        assert_eq!(post(&server, "/", lines, body).status, 200, "{lines}");
        let frame = listener.frame();
        assert_eq!((frame.opcode, &frame.payload[..]), (opcode, body), "{lines}");
    }
}

#[test]
fn a_post_without_a_body_is_an_empty_message() {
    let server = Server::start(&[]);
    let mut listener = server.join();
    let mut client = Client::connect(server.address());
    client.send(request_head(server.address(), "POST", "/", "").as_bytes());
    assert_eq!(seq(&client.response(false)), 1);
    assert_eq!(listener.text(), "");
    client.send(request_head(server.address(), "POST", "/", "Transfer-Encoding: chunked\r\n").as_bytes());
    client.send(b"0\r\n\r\n");
    assert_eq!(seq(&client.response(false)), 2);
    assert_eq!(listener.text(), "");
}

#[test]
fn posts_follow_each_other_on_one_connection_with_other_requests_between() {
    let server = Server::start(&[]);
    let mut listener = server.join();
    let address = server.address();
    let pipelined = [
        post_head(address, "/", "", 5).as_bytes(),
        b"first",
        request_head(address, "GET", "/status", "").as_bytes(),
        request_head(address, "POST", "/", "Transfer-Encoding: chunked\r\n").as_bytes(),
        b"3\r\nsec\r\n3;a=\"b\"\r\nond\r\n0\r\nA: b\r\n\r\n\r\n",
        request_head(address, "PUT", "/", "").as_bytes(),
        request_head(address, "HEAD", "/", "").as_bytes(),
        post_head(address, "/", "Connection: close\r\n", 4).as_bytes(),
        b"last",
    ]
    .concat();
    for piece_bytes in [pipelined.len(), 1, 7, 100] {
        let before = server.figure("/messages");
        let mut client = Client::connect(address);
        for piece in pipelined.chunks(piece_bytes) {
            client.send(piece);
        }
        assert_eq!(seq(&client.response(false)), before + 1);
        assert_eq!(client.response(false).status, 200, "the figures");
        assert_eq!(seq(&client.response(false)), before + 2);
        assert_eq!(seq(&client.response(false)), before + 3);
        assert_eq!(client.response(true).status, 200, "the head of the page");
        let last = client.response(false);
        assert_eq!((seq(&last), last.header("Connection")), (before + 4, Some("close")));
        client.expect_end();
        for text in ["first", "second", "", "last"] {
            assert_eq!(listener.text(), text, "in pieces of {piece_bytes}");
        }
    }
}

#[test]
fn a_client_of_http_1_0_can_post() {
    let server = Server::start(&[]);
    let mut listener = server.join();
    let mut client = Client::connect(server.address());
    client.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nfog");
    assert_eq!(seq(&client.response(false)), 1, "and nobody asks it to go on, which it would not understand");
    client.expect_end();
    assert_eq!(listener.text(), "fog");
}

#[test]
fn who_waits_for_a_word_before_the_body_gets_it_only_where_it_is_wanted() {
    let server = Server::start(&["--max-message", "1KiB"]);
    let mut listener = server.join();
    let mut client = Client::connect(server.address());
    let expect = "Expect: 100-continue\r\n";
    client.send(post_head(server.address(), "/", expect, 3).as_bytes());
    assert_eq!(client.response(true).head, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send(b"fog");
    assert_eq!((seq(&client.response(false)), listener.text()), (1, "fog".into()));
    // The body is there.
    client.send(&[post_head(server.address(), "/", expect, 3).as_bytes(), b"two"].concat());
    assert_eq!((seq(&client.response(false)), listener.text()), (2, "two".into()));
    // There is none.
    client.send(post_head(server.address(), "/", expect, 0).as_bytes());
    assert_eq!((seq(&client.response(false)), listener.text()), (3, String::new()));
    for (path, lines, bytes, status) in [
        ("/", "", 1025, 413),
        ("/nothing", "", 3, 404),
        ("/", "Content-Encoding: gzip\r\n", 3, 415),
        ("/", "Origin: http://evil.example\r\n", 3, 403),
    ] {
        let head = post_head(server.address(), path, &format!("{expect}{lines}"), bytes);
        assert_eq!(refused(server.address(), head.as_bytes()).status, status, "{path} {lines}");
    }
}

#[test]
fn what_is_refused_is_not_published() {
    let server = Server::start(&["--max-message", "2KiB", "--channel-backlog", "2KiB"]);
    let mut listener = server.join();
    for (path, lines, body, status) in [
        ("/", "", &b"f\xf6g"[..], 415),
        ("/", "Content-Encoding: gzip\r\n", b"x", 415),
        ("/", "Content-Range: bytes 0-0/2\r\n", b"x", 400),
        ("/", "Content-Type: a/b\r\nContent-Type: image/png\r\n", b"x", 400),
        ("/", "Origin: http://evil.example\r\n", b"x", 403),
        ("/", "", &[b'x'; 2049], 413),
        ("/c/lights", "", &[b'x'; 1025], 413),
        // A typing error must not speak to everybody.
        ("/status", "", b"x", 404),
        ("/light", "", b"x", 404),
        ("/c", "", b"x", 404),
        ("/c/", "", b"x", 404),
        ("/c/a.b", "", b"x", 404),
        ("/c/a%62", "", b"x", 404),
    ] {
        let bytes = [post_head(server.address(), path, lines, body.len()).as_bytes(), body].concat();
        assert_eq!(refused(server.address(), &bytes).status, status, "{path} {lines}");
    }
    let cut_off = Client::connect(server.address());
    cut_off.writer().write_all(&[post_head(server.address(), "/", "", 5).as_bytes(), b"cut"].concat()).unwrap();
    drop(cut_off);
    assert_eq!(server.figure("/channels"), 1, "and no channel is made");
    assert_eq!(seq(&post(&server, "/", "", &[b'x'; 2048])), 1, "the largest message is taken");
    assert_eq!(listener.text().len(), 2048);
    assert_eq!(seq(&post(&server, "/c/lights", "", &[b'x'; 1024])), 1);
}

/// A server whose log is full of what somebody does not read, with the connection that waits for room in it.
fn server_without_room() -> (Server, Client) {
    let server = Server::start(&["--heartbeat", "0", "--patience", "1m", "--backlog", "64KiB"]);
    let sleeper = sleeper(&server);
    // Nobody waits for its end: it lasts until somebody reads.
    drop(publish_numbered(&server, 100, 32 * 1024));
    server.wait_for_figure("/publishersWaiting", 1);
    (server, sleeper)
}

/// Reads all that was published until the last message, and returns the texts among it.
fn texts_until(client: &mut Client, last: &str) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.last().is_none_or(|text| text != last) {
        let frame = client.frame();
        if frame.opcode == TEXT {
            texts.push(String::from_utf8(frame.payload).unwrap());
        }
    }
    texts
}

/// A client that has posted this text, which is the latest of so many messages that wait for room.
fn waiting(server: &Server, text: &str, waiting: u64) -> Client {
    let mut client = Client::connect(server.address());
    client.send(&[post_head(server.address(), "/", "", text.len()).as_bytes(), text.as_bytes()].concat());
    server.wait_for_figure("/publishersWaiting", waiting);
    client
}

#[test]
fn a_post_that_is_reset_while_it_waits_for_room_is_taken_back() {
    let (server, mut sleeper) = server_without_room();
    waiting(&server, "reset", 2).reset();
    server.wait_for_figure("/publishersWaiting", 1);
    // With the next request behind it, whose bytes lie unread in front of the reset.
    let mut impatient = waiting(&server, "reset, too", 2);
    impatient.send(request_head(server.address(), "GET", "/", "").as_bytes());
    impatient.reset();
    server.wait_for_figure("/publishersWaiting", 1);
    assert_eq!(server.figure("/refused/503"), 0, "it was not taken back because it had waited for too long");
    let mut staying = waiting(&server, "stays", 2);
    assert_eq!(texts_until(&mut sleeper, "stays"), ["stays"]);
    assert_eq!(staying.response(false).status, 200);
}

#[test]
fn nobody_waits_behind_a_post_that_was_taken_back() {
    let server = Server::start(&["--heartbeat", "0", "--patience", "1m", "--backlog", "64KiB"]);
    let sleeper = sleeper(&server);
    // Large ones until one waits. What is left then is enough for a small one, which waits behind it all the same.
    let large_message = [post_head(server.address(), "/", "", 30_000).into_bytes(), vec![b'x'; 30_000]].concat();
    let mut posting = Vec::new();
    eventually("one waits", || {
        let mut large = Client::connect(server.address());
        large.send(&large_message);
        let number = posting.len() as u64 + 1;
        posting.push(large);
        eventually("it is there", || server.figure("/messages") + server.figure("/publishersWaiting") == number);
        server.figure("/publishersWaiting") == 1
    });
    let mut small = waiting(&server, "small", 2);
    posting.pop().unwrap().reset();
    assert_eq!(small.response(false).status, 200);
    drop(sleeper);
}

#[test]
fn a_post_waits_for_room_although_its_client_has_finished_sending_or_sends_more() {
    let (server, mut sleeper) = server_without_room();
    let mut half_closed = waiting(&server, "half closed", 2);
    half_closed.socket().shutdown(Shutdown::Write).unwrap();
    let mut impatient = waiting(&server, "goes on", 3);
    impatient.send(&[post_head(server.address(), "/", "", 3).as_bytes(), b"end"].concat());
    assert_eq!(texts_until(&mut sleeper, "end"), ["half closed", "goes on", "end"]);
    assert_eq!(half_closed.response(false).status, 200);
    half_closed.expect_end();
    for _ in ["goes on", "end"] {
        assert_eq!(impatient.response(false).status, 200);
    }
}

#[test]
fn a_post_that_finds_no_room_in_time_is_answered_with_503_and_not_published() {
    let (server, mut sleeper) = server_without_room();
    let response = post(&server, "/", "", b"in vain");
    assert_eq!((response.status, response.header("Retry-After")), (503, Some("2")), "{response:?}");
    response.expect_a_sentence();
    assert_eq!(server.figure("/publishersWaiting"), 1);
    let mut client = Client::connect(server.address());
    client.send(&[post_head(server.address(), "/", "", 5).as_bytes(), b"later"].concat());
    assert_eq!(texts_until(&mut sleeper, "later"), ["later"]);
    assert_eq!(client.response(false).status, 200);
}

#[test]
fn so_many_posts_wait_for_room_in_a_channel_and_keep_no_places_from_others() {
    const POSTS_WAITING_MAX: u64 = 128;
    let (server, sleeper) = server_without_room();
    let bytes = [post_head(server.address(), "/", "", 1).as_bytes(), b"x"].concat();
    let waiting: Vec<Client> = (0..POSTS_WAITING_MAX)
        .map(|_| {
            let mut client = Client::connect(server.address());
            client.send(&bytes);
            client
        })
        .collect();
    server.wait_for_figure("/publishersWaiting", 1 + POSTS_WAITING_MAX);
    assert_eq!(refused(server.address(), &bytes).status, 503);
    assert_eq!(server.figure("/publishersWaiting"), 1 + POSTS_WAITING_MAX);
    assert_eq!(server.get("/").status, 200);
    assert_eq!(post(&server, "/c/other", "", b"x").status, 200);
    drop((sleeper, waiting));
}

#[test]
fn a_post_that_waits_for_room_counts_among_those_under_way_until_it_is_published_or_taken_back() {
    let (server, mut sleeper) = server_without_room();
    let text = "x".repeat(10_000);
    let mut staying = waiting(&server, &text, 2);
    server.wait_for_figure("/postsBytes", text.len() as u64);
    let leaving = waiting(&server, &text, 3);
    server.wait_for_figure("/postsBytes", 2 * text.len() as u64);
    leaving.reset();
    server.wait_for_figure("/postsBytes", text.len() as u64);
    assert_eq!(texts_until(&mut sleeper, &text), [&*text]);
    assert_eq!(staying.response(false).status, 200);
    server.wait_for_figure("/postsBytes", 0);
}

#[test]
fn a_post_that_waits_while_messages_are_deleted_is_of_the_new_epoch() {
    let (server, mut sleeper) = server_without_room();
    let mut client = waiting(&server, "new", 2);
    let deleted = request(server.address(), "DELETE", "/", "");
    let began = deleted.header("Foghorn-Seq").expect("where the new epoch begins").strip_suffix('0').unwrap();
    assert_eq!(texts_until(&mut sleeper, "new"), ["new"]);
    let answer = client.response(false);
    // Behind the message that waited before it.
    assert_eq!((answer.status, answer.header("Foghorn-Seq")), (200, Some(&*format!("{began}2"))));
}

#[test]
fn a_post_that_is_on_its_way_when_the_server_stops_is_served() {
    let mut server = Server::start(&[]);
    let mut listener = server.join();
    let mut client = Client::connect(server.address());
    client.send(post_head(server.address(), "/", "Expect: 100-continue\r\n", 12).as_bytes());
    assert_eq!(client.response(true).status, 100);
    server.signal("TERM");
    listener.expect_close(1001);
    drop(listener);
    // Longer than it waits for those who have only just come.
    for byte in b"slow message" {
        thread::sleep(Duration::from_millis(80));
        client.send(&[*byte]);
    }
    assert_eq!(seq(&client.response(false)), 1);
    drop(client);
    assert_eq!(server.wait_for_exit().code(), Some(0), "{}", server.log());
}

#[test]
fn curl_posts_lines_files_and_what_it_reads() {
    let server = Server::start(&[]);
    let mut listener = server.join();
    let url = format!("http://{}/", server.address());
    let curl = |args: &[&str], input: &[u8]| {
        let mut curl = Command::new("curl")
            .args(["--silent", "--show-error", "--fail-with-body", "--max-time", "20", "--noproxy", "*"])
            .args(args)
            .arg(&url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl (package curl) is there");
        let mut stdin = curl.stdin.take().unwrap();
        stdin.write_all(input).unwrap();
        drop(stdin);
        let output = curl.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        let said: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
        said["seq"].as_u64().expect("a number")
    };
    assert_eq!(curl(&["-d", "hello"], b""), 1);
    assert_eq!(listener.text(), "hello");
    // Chunks.
    assert_eq!(curl(&["-T", "-"], b"from a pipe\n"), 2);
    assert_eq!(listener.text(), "from a pipe\n");
    // Large ones wait for a word of the server.
    let large = numbered(3, 1 << 20);
    let binary = ["--data-binary", "@-", "-H", "Content-Type: application/octet-stream", "-H", "Expect: 100-continue"];
    assert_eq!(curl(&binary, &large), 3);
    assert!(listener.binary() == large);
}
