//! Servers that are no Foghorn: what works with them, what does not, and what the client says of it.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use tungstenite::{Message, accept};

use crate::harness::{Invocation, Manner, Oddity, Running, Stranger, eventually};

const MANNERS: [Manner; 4] = [
    Manner { agrees: true, greeting: None },
    Manner { agrees: false, greeting: None },
    Manner { agrees: true, greeting: Some("connected to WebSocket server") },
    Manner { agrees: false, greeting: Some("welcome") },
];

/// Does this with a server of each manner, at the same time: a client waits a little for what some never say.
fn with_each(body: impl Fn(Manner, &Stranger) + Sync) {
    thread::scope(|threads| {
        for manner in MANNERS {
            let body = &body;
            threads.spawn(move || body(manner, &Stranger::start(manner)));
        }
    });
}

/// Waits until the server has heard these texts, which have to be all.
fn expect_heard(stranger: &Stranger, texts: &[&str]) {
    eventually("all is heard", || stranger.messages().len() >= texts.len());
    let heard = stranger.messages();
    assert_eq!(heard, texts.iter().map(|text| Message::text(*text)).collect::<Vec<_>>());
}

/// The note that this is no Foghorn came once.
fn expect_a_note(stderr: &str) {
    assert_eq!(stderr.matches("is no Foghorn").count(), 1, "{stderr}");
}

#[test]
fn sending_to_any_websocket_server_works_with_a_note() {
    with_each(|manner, stranger| {
        let sent = Invocation::send(stranger.address(), &["one", "word"]).run();
        assert_eq!(sent.code, Some(0), "{manner:?}: {sent:?}");
        expect_a_note(&sent.stderr);
        let sent = Invocation::send(stranger.address(), &["--lines"]).run_with(b"two\nthree");
        assert_eq!(sent.code, Some(0), "{manner:?}: {sent:?}");
        expect_heard(stranger, &["one word", "two", "three"]);
        let sent = Invocation::send(stranger.address(), &["-q", "four"]).run();
        assert_eq!((sent.code, sent.stderr.as_str()), (Some(0), ""), "a note is none for who wants it quiet");
    });
}

#[test]
fn a_line_is_sent_at_once_to_a_server_that_says_nothing_first() {
    with_each(|manner, stranger| {
        let mut sender = Invocation::send(stranger.address(), &["--lines"]).start();
        sender.write(b"first\n");
        expect_heard(stranger, &["first"]);
        sender.expect_alive();
        assert_eq!(sender.finish().code, Some(0), "{manner:?}");
    });
}

/// A listener that has come in.
fn listener(stranger: &Stranger, args: &[&str]) -> Running {
    let before = stranger.connections();
    let running = Invocation::listen(stranger.address(), args).start();
    eventually("it has come in", || stranger.connections() > before);
    running
}

#[test]
fn listening_to_any_websocket_server_works_with_a_note() {
    with_each(|manner, stranger| {
        let listener = listener(stranger, &[]);
        stranger.say(Message::text("one"));
        stranger.say(Message::binary(&b"\0two\n"[..]));
        stranger.say(Message::text(""));
        // Its greeting is a message like any other: nobody can tell.
        let greeting = manner.greeting.map(|greeting| format!("{greeting}\n")).unwrap_or_default();
        listener.expect_stdout(format!("{greeting}one\n\0two\n\n").as_bytes());
        listener.signal("INT");
        let ended = listener.finish();
        assert_eq!(ended.code, Some(0), "{manner:?}: {ended:?}");
        expect_a_note(&ended.stderr);
    });
}

#[test]
fn a_listener_comes_back_and_what_was_said_meanwhile_is_missed() {
    with_each(|manner, stranger| {
        let listener = listener(stranger, &[]);
        stranger.say(Message::text("before"));
        eventually("it is written", || listener.stdout().ends_with(b"before\n"));
        stranger.break_all();
        eventually("it has come back", || stranger.connections() == 2);
        stranger.say(Message::text("after"));
        eventually("it is written", || listener.stdout().ends_with(b"after\n"));
        listener.signal("INT");
        let ended = listener.finish();
        assert_eq!(ended.code, Some(0), "{manner:?}: {ended:?}");
        assert!(ended.stderr.contains("trying again"), "{ended:?}");
    });
}

#[test]
fn count_json_and_exec_work_as_far_as_they_can() {
    let manner = Manner { agrees: true, greeting: None };
    let stranger = Stranger::start(manner);
    let counting = listener(&stranger, &["--count", "1", "-q"]);
    stranger.say(Message::text("one"));
    let ended = counting.finish();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "one\n", ""));
    let running = listener(&stranger, &["--count", "1", "-q", "--exec", "cat; echo \" $FOGHORN_KIND\""]);
    stranger.say(Message::text("two"));
    let ended = running.finish();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "two text\n", ""));
    let json = listener(&stranger, &["--count", "1", "-q", "--json"]);
    stranger.say(Message::text("three"));
    let ended = json.finish();
    let object: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(
        (ended.code, &object["text"], object.get("epoch").filter(|epoch| !epoch.is_null())),
        (Some(0), &"three".into(), None)
    );
}

#[test]
fn a_cursor_is_refused_since_there_is_nothing_to_count() {
    with_each(|manner, stranger| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cursor");
        let mut listener = Invocation::listen(stranger.address(), &["--cursor"]).arg(&file).start();
        // One that says nothing first may be seen as a stranger only with its first message.
        eventually("it has come in", || stranger.connections() == 1);
        eventually("it ends by itself", || {
            stranger.say(Message::text("word"));
            listener.try_exit().is_some()
        });
        let ended = listener.finish();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{manner:?}: {ended:?}");
        assert!(ended.stderr.contains("is no Foghorn") && ended.stderr.contains("--cursor"), "{ended:?}");
        assert!(!file.exists());
    });
}

#[test]
fn what_is_under_way_to_a_stranger_when_the_connection_breaks_is_unsure() {
    let stranger = Stranger::start(Manner { agrees: true, greeting: None });
    let mut sender = Invocation::send(stranger.address(), &["--lines"]).start();
    sender.write(b"first\n");
    expect_heard(&stranger, &["first"]);
    stranger.break_all();
    sender.wait_for_stderr("trying again");
    eventually("it has come back", || stranger.connections() == 2);
    sender.write(b"second\n");
    let ended = sender.finish();
    // The first was confirmed by then, or not.
    assert!(matches!(ended.code, Some(0 | 4)), "{ended:?}");
    assert_eq!(ended.code == Some(4), ended.stderr.contains("nobody knows"), "{ended:?}");
    expect_heard(&stranger, &["first", "second"]);
}

/// Both clients have to end with 1 and one sentence that has these words in it, at each of these servers. All at the same time: some wait for
/// seconds.
fn expect_refused(servers: &[(Oddity, &str)]) {
    let cases = servers.iter().flat_map(|(server, words)| ["send", "listen"].map(|command| (command, server, words)));
    thread::scope(|threads| {
        for (command, server, words) in cases {
            threads.spawn(move || {
                let refused = Invocation::of(&[command, &server.address().to_string()]).run();
                assert_eq!(refused.code, Some(1), "{command}: {refused:?}");
                assert!(refused.stderr.contains(words), "{command}: {words:?} is not in {refused:?}");
                refused.expect_a_sentence();
                assert_eq!(refused.stdout, "");
            });
        }
    });
}

#[test]
fn a_server_of_pages_is_not_taken_for_a_hub() {
    const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>";
    const ENDLESS_PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>";
    const MISSING: &[u8] =
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 17\r\n\r\n<h1>\n404\n</h1>\n\n";
    const ELSEWHERE: &[u8] = b"HTTP/1.1 301 Moved Permanently\r\nLocation: https://board/\r\nContent-Length: 0\r\n\r\n";
    const NO_ANSWER_TO_THE_KEY: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    expect_refused(&[
        (Oddity::answering(PAGE), "200"),
        (Oddity::hanging_after(ENDLESS_PAGE), "200"),
        (Oddity::answering(MISSING), "404"),
        (Oddity::answering(ELSEWHERE), "301"),
        (Oddity::answering(NO_ANSWER_TO_THE_KEY), "WebSocket"),
    ]);
}

#[test]
fn a_servers_words_cannot_play_with_the_terminal() {
    let hostile = Oddity::answering(
        b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 22\r\n\r\n\x1b[2Jfoghorn:\x07 all is well",
    );
    let refused = Invocation::send(hostile.address(), &["word"]).run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(!refused.stderr.contains('\x1b') && !refused.stderr.contains('\x07'), "{refused:?}");
    refused.expect_a_sentence();
}

#[test]
fn garbage_is_no_websocket() {
    let endless: &'static [u8] = vec![b'x'; 4 << 20].leak();
    let garbage = [
        &b"220 mail.example.com ESMTP\r\n"[..],
        b"\x15\x03\x01\0\x02\x02\x46",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        endless,
    ];
    expect_refused(&garbage.map(|garbage| (Oddity::answering(garbage), "WebSocket")));
}

#[test]
fn a_server_that_says_nothing_is_given_up_after_some_seconds() {
    expect_refused(&[&b""[..], b"HTTP/1.1 101 Swit"].map(|begin| (Oddity::hanging_after(begin), "says nothing")));
}

/// A server that says this, and then that again and again, more than anybody can read, until its one client is gone.
fn flood(first: &'static [u8], next: &'static [u8]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        // The first one is given up, as it does not agree on the sub-protocol.
        for socket in listener.incoming().take(2) {
            let Ok(mut socket) = accept(socket.unwrap()) else { continue };
            let _ = socket.get_mut().write_all(first);
            let frames = next.repeat(100_000);
            while socket.get_mut().write_all(&frames).is_ok() {}
        }
    });
    (address, thread)
}

#[test]
fn a_flood_without_end_keeps_no_signal_out() {
    // `send` has not read its message to the end.
    let commands = [("send", 3), ("listen", 0)];
    // Messages, pings, and fragments of a message that never ends.
    let floods: [(&[u8], &[u8]); 3] = [(b"", b"\x81\x01x"), (b"", b"\x89\0"), (b"\x01\0", b"\0\0")];
    for ((command, code), (first, next)) in
        commands.into_iter().flat_map(|command| floods.map(|flood| (command, flood)))
    {
        let (address, server) = flood(first, next);
        let mut client = Invocation::of(&[command, &address.to_string()]).before("exec >/dev/null").start();
        client.wait_for_stderr("is no Foghorn");
        client.signal("INT");
        eventually("it ends", || client.try_exit().is_some());
        assert_eq!(client.finish().code, Some(code), "{command}");
        server.join().unwrap();
    }
}

#[test]
fn a_pong_that_nobody_has_asked_for_confirms_nothing() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        for socket in listener.incoming().take(2) {
            let Ok(mut socket) = accept(socket.unwrap()) else { continue };
            while let Ok(message) = socket.read() {
                if message.is_text() {
                    // RFC 6455 section 5.5.3 allows such ones.
                    let _ = socket.send(Message::Pong(u64::MAX.to_be_bytes().to_vec().into()));
                    break;
                }
            }
        }
    });
    let mut sender = Invocation::send(address, &["word"]).start();
    sender.wait_for_stderr("trying again");
    server.join().unwrap();
    sender.signal("INT");
    eventually("it ends", || sender.try_exit().is_some());
    assert_eq!(sender.finish().code, Some(4));
}
