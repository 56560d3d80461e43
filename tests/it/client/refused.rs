//! Clients that cannot come in: what they say, and with which status they end.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::room::Recorder;
use crate::harness::{Client, Invocation, Launch, Server, folder, free_listener, in_own_network};

/// Runs both clients at an address, with more flags; each has to end with this status, and to say one sentence with these words.
fn expect_refused(address: &str, args: &[&str], code: i32, words: &[&str]) {
    for command in ["send", "listen"] {
        let refused = Invocation::of(&[&[command, address], args].concat()).run();
        assert_eq!(refused.code, Some(code), "{command} {address} {args:?}: {refused:?}");
        for word in words {
            let has_word = refused.stderr.to_lowercase().contains(&word.to_lowercase());
            assert!(has_word, "{command} {address}: {word:?} is not in {refused:?}");
        }
        refused.expect_a_sentence();
        assert_eq!(refused.stdout, "", "{refused:?}");
    }
}

#[test]
fn where_nobody_listens_it_asks_whether_a_server_runs_there() {
    let free = free_listener();
    let address = free.local_addr().unwrap();
    drop(free);
    expect_refused(&address.to_string(), &[], 1, &[&address.port().to_string(), "running"]);
    expect_refused(&format!("http://{address}/c/x"), &["-q"], 1, &[&address.port().to_string(), "running"]);
}

#[test]
fn a_name_that_is_not_found_is_named() {
    expect_refused("no-such-board.invalid", &[], 1, &["no-such-board.invalid", "name"]);
    expect_refused("no-such-board.local", &[], 1, &["no-such-board.local", "avahi-daemon", "libnss-mdns"]);
}

#[test]
fn tls_is_refused_with_what_to_do_instead() {
    for address in ["https://board", "wss://board.example.com/c/x", "HTTPS://board:1920"] {
        expect_refused(address, &[], 2, &["TLS", "http://"]);
    }
}

#[test]
fn what_is_no_address_is_refused_as_a_wrong_flag() {
    for address in ["ftp://board", "http://", "board:port", "board:99999", "[::1", ""] {
        for command in ["send", "listen"] {
            let refused = Invocation::of(&[command, address]).run();
            assert_eq!(refused.code, Some(2), "{command} {address:?}: {refused:?}");
            assert!(!refused.stderr.contains("panicked"), "{refused:?}");
        }
    }
    for words in [
        &["send"][..],
        &["listen"],
        &["listen", "board", "stray"],
        &["send", "board", "--no-such-flag"],
        &["send", "board", "a", "word", "--lines"],
    ] {
        let refused = Invocation::of(words).run();
        assert_eq!(refused.code, Some(2), "{words:?}: {refused:?}");
        assert!(refused.stderr.contains("foghorn") && !refused.stderr.contains("panicked"), "{refused:?}");
    }
    let refused = Invocation::of(&["sned", "board"]).run();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("sned"), "{refused:?}");
}

#[test]
fn where_a_code_is_needed_it_says_how_to_bring_one() {
    let server = Server::start(&["--code", "4711"]);
    let address = server.address().to_string();
    expect_refused(&address, &[], 1, &["--code"]);
    expect_refused(&address, &["--code", "4712"], 1, &["code"]);
    let status = server.get("/status?code=4711");
    let status: Value = serde_json::from_slice(&status.body).expect("/status is JSON");
    assert_eq!(status["refused"]["401"], 4, "they have not tried again: {status}");
}

#[test]
fn while_codes_are_locked_it_says_so_and_does_not_wait() {
    let server = Server::start(&["--code", "4711"]);
    loop {
        let mut guesser = Client::connect(server.address());
        match guesser.try_upgrade(server.address(), "/?code=4712", "").status {
            401 => {}
            429 => break,
            other => panic!("{other}"),
        }
    }
    expect_refused(&server.address().to_string(), &["--code", "4711"], 1, &["code"]);
}

#[test]
fn who_may_only_receive_cannot_send() {
    let server = Server::start(&["--code", "in", "--send-code", "out"]);
    let recorder = Recorder::at(&server, "/?code=in");
    for (args, input) in [(&["word"][..], ""), (&[], "word"), (&["--lines"], "word\n")] {
        let refused =
            Invocation::send(server.address(), &[&["--code", "in"], args].concat()).run_with(input.as_bytes());
        assert_eq!(refused.code, Some(1), "{args:?} {refused:?}");
        assert!(refused.stderr.contains("send"), "{refused:?}");
        refused.expect_a_sentence();
    }
    let sent = Invocation::send(server.address(), &["--code", "out", "word"]).run();
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let heard = Invocation::listen(server.address(), &["--code", "in", "--history", "9", "--count", "1"]).run();
    assert_eq!((heard.code, heard.stdout.as_str()), (Some(0), "word\n"), "{heard:?}");
    recorder.expect(&["word"]);
}

#[test]
fn what_is_no_name_of_a_channel_is_told_in_the_servers_words() {
    let server = Server::start(&[]);
    let sentence = Client::connect(server.address()).try_upgrade(server.address(), "/c/no!name", "").text();
    expect_refused(&format!("{}/c/no!name", server.address()), &[], 1, &[sentence.trim()]);
}

#[test]
fn a_full_server_is_told_in_its_own_words() {
    let server = Server::start(&["--max-clients", "1"]);
    let _only = server.join();
    let sentence = Client::connect(server.address()).try_upgrade(server.address(), "/", "").text();
    // A close reason has 123 bytes.
    let start: String = sentence.trim().chars().take(40).collect();
    expect_refused(&server.address().to_string(), &[], 1, &[&start]);
}

/// Gives addresses these names, within [`in_own_network`], which has mounts of its own. The folder has to stay.
fn name_hosts(hosts: &str) -> TempDir {
    let folder = folder(&[("hosts", hosts.as_bytes())]);
    let mounted = Command::new("mount").arg("--bind").arg(folder.path().join("hosts")).arg("/etc/hosts").status();
    assert!(mounted.expect("mount is there").success());
    folder
}

#[test]
fn a_name_that_the_server_does_not_go_by_is_told_in_its_words() {
    in_own_network(|| {
        let _hosts = name_hosts("127.0.0.1 localhost board.example.com\n");
        let server = Server::start(&[]);
        let port = server.address().port();
        expect_refused(&format!("board.example.com:{port}"), &[], 1, &["--allow-host"]);
        let allowed = Server::start(&["--allow-host", "board.example.com"]);
        let sent = Invocation::send(format!("board.example.com:{}", allowed.address().port()), &["word"]).run();
        assert_eq!(sent.code, Some(0), "{sent:?}");
    });
}

#[test]
fn of_several_addresses_the_one_is_taken_that_answers() {
    in_own_network(|| {
        let _hosts = name_hosts("127.0.0.1 localhost\n::1 board.local\n10.99.0.1 board.local\n10.99.0.2 board.local\n");
        let server = Launch::bare(&["--listen", "10.99.0.2:1919"]).expecting(1).start();
        let sent = Invocation::send("board.local", &["word"]).run();
        assert_eq!(sent.code, Some(0), "{sent:?}");
        assert_eq!(server.figure("/messages"), 1);
    });
}
