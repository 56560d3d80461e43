//! `foghorn listen` while all is well: what is written, and when it ends.

use std::io::{BufRead, BufReader};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::room::{expect_lines, listener, numbered_lines, say, say_binary};
use crate::harness::{Client, Invocation, Server, contents, eventually, patience, post};

#[test]
fn a_text_gets_a_line_feed_and_a_binary_message_comes_as_it_is() {
    let server = Server::start(&[]);
    let mut listener = listener(&server, &[]);
    say(&server, &["hello", "", "two\nlines", "ümläut \r\n"]);
    say_binary(&server, b"\0\xff no line feed");
    say(&server, &["|"]);
    say_binary(&server, b"");
    let bytes = contents(1 << 20);
    say_binary(&server, &bytes);
    say(&server, &["end"]);
    let expected =
        ["hello\n\ntwo\nlines\nümläut \r\n\n".as_bytes(), b"\0\xff no line feed|\n", &bytes, b"end\n"].concat();
    eventually("all is written", || listener.stdout().len() >= expected.len());
    assert!(listener.stdout() == expected);
    listener.expect_alive();
    listener.signal("INT");
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "the greeting is none of its messages");
}

#[test]
fn it_listens_in_the_channel_of_the_path_only() {
    let server = Server::start(&[]);
    let lights = Invocation::listen(format!("{}/c/lights", server.address()), &["--count", "1"]).start();
    server.wait_for_figure("/clients", 1);
    say(&server, &["main"]);
    assert_eq!(post(&server, "/c/other", "", b"other").status, 200);
    assert_eq!(post(&server, "/c/lights", "", b"on").status, 200);
    let ended = lights.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "on\n"));
}

#[test]
fn what_is_written_comes_at_once() {
    let server = Server::start(&[]);
    let listener = listener(&server, &[]);
    for nth in 0..20 {
        say(&server, &[&nth.to_string()]);
        eventually("it is written", || listener.lines_written() == nth + 1);
    }
}

#[test]
fn json_has_where_a_message_stands_and_when_it_came() {
    let server = Server::start(&[]);
    say(&server, &["before"]);
    let epoch = server.status()["epoch"].clone();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let listener = listener(&server, &["--json", "--history", "5", "--count", "5"]);
    say(&server, &["\"quotes\"\nand \u{1} lines ☂"]);
    say_binary(&server, b"\0\xff");
    say_binary(&server, b"");
    say(&server, &[""]);
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0], json!({ "epoch": epoch, "seq": 1, "text": "before" }), "nobody knows when that came");
    let contents = [("text", "\"quotes\"\nand \u{1} lines ☂"), ("base64", "AP8="), ("base64", ""), ("text", "")];
    for (nth, (name, content)) in contents.into_iter().enumerate() {
        let line = &lines[nth + 1];
        let at = line["at"].as_u64().expect("a number");
        assert!((started..=started + 2 * patience().as_secs()).contains(&at), "{line}");
        assert_eq!(*line, json!({ "epoch": epoch, "seq": nth + 2, "at": at, name: content }));
        let names: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["epoch", "seq", "at", name], "in the order of the contract");
    }
}

#[test]
fn history_is_what_was_said_before() {
    let server = Server::start(&["--history", "2"]);
    say(&server, &["1", "2", "3", "4"]);
    for (args, expected) in [
        (&["--history", "3", "--count", "3"][..], "2\n3\n4\n"),
        (&["--history", "99", "--count", "4"], "1\n2\n3\n4\n"),
        (&["--count", "2"], "3\n4\n"),
    ] {
        let ended = Invocation::listen(server.address(), args).run();
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), expected, ""), "{args:?}");
    }
    let none = listener(&server, &["--history", "0", "--count", "1"]);
    say(&server, &["new"]);
    assert_eq!(none.finish().stdout, "new\n");
}

#[test]
fn it_ends_after_count_and_writes_no_more() {
    let server = Server::start(&[]);
    let three = listener(&server, &["--count", "3"]);
    let mut speaker = server.join();
    for nth in 0..10 {
        speaker.send_text(&nth.to_string());
    }
    let ended = three.finish();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "0\n1\n2\n", ""));
    server.wait_for_figure("/clients", 1);
}

#[test]
fn fifty_thousand_messages_come_once_whole_and_in_order() {
    const COUNT: usize = 50_000;
    let server = Server::start(&[]);
    let listener = listener(&server, &["--count", &COUNT.to_string()]);
    let sent = Invocation::send(server.address(), &["--lines"]).run_with(&numbered_lines(0..COUNT, 20));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "nothing was lost");
    let lines: Vec<String> = ended.stdout.lines().map(str::to_owned).collect();
    expect_lines(&lines, 0..COUNT);
    assert_eq!(ended.stdout.len(), numbered_lines(0..COUNT, 20).len());
}

#[test]
fn signals_end_it_in_order() {
    let server = Server::start(&[]);
    for signal in ["INT", "TERM", "HUP"] {
        let listener = listener(&server, &[]);
        say(&server, &["word"]);
        listener.expect_stdout(b"word\n");
        listener.signal(signal);
        let ended = listener.finish();
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{signal}");
        server.wait_for_figure("/clients", 0);
    }
    assert_eq!(server.figure("/closed/closedByClient"), 3, "{}", server.status());
}

#[test]
fn a_terminal_s_signals_that_are_ignored_at_the_start_stay_ignored() {
    let server = Server::start(&[]);
    // As a script starts it with `&`, and nohup.
    let listener = Invocation::listen(server.address(), &[]).before("trap '' INT HUP").start();
    server.wait_for_figure("/clients", 1);
    listener.signal("INT");
    listener.signal("HUP");
    say(&server, &["word"]);
    listener.expect_stdout(b"word\n");
    listener.signal("TERM");
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "word\n"));
}

#[test]
fn a_reader_that_leaves_ends_it_at_once_although_nothing_comes() {
    let server = Server::start(&[]);
    let (listener, stdout) = Invocation::listen(server.address(), &[]).start_unread();
    server.wait_for_figure("/clients", 1);
    say(&server, &["first"]);
    let mut first = String::new();
    let mut reader = BufReader::new(stdout);
    reader.read_line(&mut first).unwrap();
    assert_eq!(first, "first\n");
    drop(reader);
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_reader_that_leaves_in_the_middle_of_a_flood_ends_it_as_quietly() {
    let server = Server::start(&[]);
    let (listener, stdout) = Invocation::listen(server.address(), &[]).start_unread();
    server.wait_for_figure("/clients", 1);
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    for _ in 0..20 {
        speaker.send_text(&"x".repeat(64 * 1024));
    }
    drop(stdout);
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_output_that_cannot_be_written_is_told() {
    let server = Server::start(&["--history", "1"]);
    say(&server, &["word"]);
    let ended = Invocation::listen(server.address(), &[]).before("exec >/dev/full").run();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("standard output") || ended.stderr.contains("No space"), "{ended:?}");
    ended.expect_a_sentence();
}

#[test]
fn standard_output_may_be_a_file() {
    let server = Server::start(&["--history", "2"]);
    say(&server, &["one", "two"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    let ended =
        Invocation::listen(server.address(), &["--count", "2"]).before(&format!("exec >{}", file.display())).run();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(std::fs::read(file).unwrap(), b"one\ntwo\n");
}

#[test]
fn a_count_that_is_none_is_a_wrong_flag() {
    for args in [["--count", "0"], ["--count", "-1"], ["--count", "many"], ["--history", "-1"], ["--history", "x"]] {
        let ended = Invocation::listen("127.0.0.1:1", &args).run();
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
    }
}

#[test]
fn the_largest_message_that_a_server_takes_is_sent_and_heard() {
    const BYTES: usize = 3 << 20;
    let server = Server::start(&["--max-message", "3MiB", "--backlog", "8MiB"]);
    let listener = listener(&server, &["--count", "1"]);
    let message = "x".repeat(BYTES);
    let sent = Invocation::send(server.address(), &[]).run_with(message.as_bytes());
    assert_eq!((sent.code, sent.stderr.as_str()), (Some(0), ""));
    let ended = listener.finish();
    assert!(ended.code == Some(0) && ended.stdout == message + "\n", "{} bytes came", ended.stdout.len());
}
