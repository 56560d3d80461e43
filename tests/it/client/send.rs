//! `foghorn send` while all is well: what becomes a message, and what its end says.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::thread;

use super::room::{Recorder, expect_lines, memory_kib_max, numbered_lines};
use crate::harness::{BINARY, Client, Frame, Invocation, Server, TEXT, contents, eventually, sleeper};

/// Runs it with this standard input; it has to end with 0 and say nothing.
fn send_all(invocation: Invocation, input: &[u8]) {
    let sent = invocation.run_with(input);
    assert_eq!((sent.code, sent.stdout.as_str(), sent.stderr.as_str()), (Some(0), "", ""));
}

#[test]
fn words_are_one_message_with_blanks_between_them() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let address = server.address();
    send_all(Invocation::send(address, &["hello"]), b"");
    send_all(Invocation::send(address, &["two", "words  and", "ümläuts ☂"]), b"");
    send_all(Invocation::send(address, &[""]), b"");
    send_all(Invocation::send(address, &["-5"]), b"");
    send_all(Invocation::send(address, &["--", "--lines", "-x"]), b"");
    // Nobody reads it.
    send_all(Invocation::send(address, &["words"]), b"standard input");
    recorder.expect(&["hello", "two words  and ümläuts ☂", "", "-5", "--lines -x", "words"]);
}

#[test]
fn a_path_leads_to_its_channel_and_no_other() {
    let server = Server::start(&[]);
    let (main, lights) = (Recorder::at(&server, "/"), Recorder::at(&server, "/c/lights"));
    send_all(Invocation::send(format!("{}/c/lights", server.address()), &["on"]), b"");
    send_all(Invocation::send(format!("ws://{}/c/Lights", server.address()), &["off"]), b"");
    send_all(Invocation::send(format!("http://{}/", server.address()), &["main"]), b"");
    lights.expect(&["on", "off"]);
    main.expect(&["main"]);
}

#[test]
fn standard_input_is_one_message_as_it_is() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let long = "12345 äöü\r\n".repeat(70_000);
    let inputs = ["one\ntwo\r\n\n", "", "no line feed", "\0", &long];
    for input in inputs {
        send_all(Invocation::send(server.address(), &[]), input.as_bytes());
        send_all(Invocation::send(server.address(), &["-"]), input.as_bytes());
    }
    recorder.wait_for(2 * inputs.len());
    let expected: Vec<&str> = inputs.iter().flat_map(|input| [*input; 2]).collect();
    assert!(recorder.texts() == expected, "as they are");
}

#[test]
fn binary_messages_are_sent_as_such() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let bytes = contents(300_000);
    send_all(Invocation::send(server.address(), &["--binary"]), &bytes);
    send_all(Invocation::send(server.address(), &["--binary"]), b"");
    send_all(Invocation::send(server.address(), &["--binary", "a", "word"]), b"");
    send_all(Invocation::send(server.address(), &["--binary", "--lines"]), b"\xff\r\n\0\n");
    recorder.wait_for(5);
    let binary = |payload: &[u8]| Frame { opcode: BINARY, payload: payload.to_vec() };
    assert!(recorder.messages() == [&bytes[..], b"", b"a word", b"\xff", b"\0"].map(binary));
}

#[test]
fn what_is_not_utf_8_is_not_sent_as_text_and_the_sentence_says_how_it_can_be() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    for input in [&b"\xff"[..], b"caf\xe9\n", b"cut \xe2\x82"] {
        let refused = Invocation::send(server.address(), &[]).run_with(input);
        assert_eq!(refused.code, Some(3), "{refused:?}");
        assert!(refused.stderr.contains("UTF-8") && refused.stderr.contains("--binary"), "{refused:?}");
        refused.expect_a_sentence();
    }
    assert_eq!(recorder.close(&server, "/"), [""; 0]);
}

#[test]
fn words_need_not_be_utf_8_if_they_are_to_be_binary() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let word = || OsString::from_vec(b"caf\xe9".to_vec());
    let refused = Invocation::send(server.address(), &["a"]).arg(word()).run();
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("--binary"), "{refused:?}");
    send_all(Invocation::send(server.address(), &["--binary", "a"]).arg(word()), b"");
    recorder.wait_for(1);
    assert_eq!(recorder.messages(), [Frame { opcode: BINARY, payload: b"a caf\xe9".to_vec() }]);
}

#[test]
fn a_standard_error_that_takes_nothing_changes_nothing() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    for before in ["exec 2>/dev/full", "exec 2>&-"] {
        let sent = Invocation::send(server.address(), &["--lines"]).before(before).run_with(b"one\n\xff\ntwo\n");
        assert_eq!(sent.code, Some(3), "{before}: {sent:?}");
    }
    recorder.expect(&["one", "two", "one", "two"]);
}

#[test]
fn a_standard_input_that_cannot_be_read_is_told() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    for args in [&[][..], &["--lines"]] {
        let refused = Invocation::send(server.address(), args).before("exec </").run();
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains("standard input"), "{refused:?}");
        refused.expect_a_sentence();
    }
    assert_eq!(recorder.close(&server, "/"), [""; 0], "what was not read is no message");
}

#[test]
fn a_message_larger_than_the_server_takes_is_not_sent() {
    let server = Server::start(&["--max-message", "1KiB"]);
    let recorder = Recorder::at(&server, "/");
    let address = server.address();
    for (words, input) in
        [(vec![], vec![b'x'; 1025]), (vec!["--binary"], vec![0; 5 << 20]), (vec![&*"x".repeat(1025)], vec![])]
    {
        let refused = Invocation::send(address, &words).run_with(&input);
        assert_eq!(refused.code, Some(3), "{refused:?}");
        assert!(refused.stderr.contains("1024 bytes"), "{refused:?}");
        refused.expect_a_sentence();
    }
    // The largest one is.
    send_all(Invocation::send(address, &[]), &[b'x'; 1024]);
    assert_eq!(recorder.close(&server, "/"), ["x".repeat(1024)]);
    assert_eq!(server.figure("/closed/messageTooBig"), 0, "it has not tried");
}

#[test]
fn each_line_is_a_message_without_its_end() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    send_all(Invocation::send(server.address(), &["--lines"]), b"one\ntwo\r\n\n\r\na\rb\r\r\n four ");
    recorder.expect(&["one", "two", "", "", "a\rb\r", " four "]);
    send_all(Invocation::send(server.address(), &["--lines"]), b"");
    send_all(Invocation::send(server.address(), &["--lines", "-"]), b"\n");
    assert_eq!(recorder.close(&server, "/")[6..], [""]);
}

#[test]
fn a_line_is_sent_at_once_while_the_pipe_stays_open() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let mut sender = Invocation::send(server.address(), &["--lines"]).start();
    for nth in 0..5 {
        sender.write(format!("line {nth}\nand a part").as_bytes());
        recorder.wait_for(nth + 1);
        assert_eq!(recorder.texts().len(), nth + 1, "a part is no line");
        sender.write(b" of the next ");
    }
    sender.expect_alive();
    sender.end_input();
    assert_eq!(sender.finish().code, Some(0));
    let whole = |nth: usize| if nth == 0 { "line 0".to_owned() } else { format!("and a part of the next line {nth}") };
    let mut expected: Vec<String> = (0..5).map(whole).collect();
    expected.push("and a part of the next ".to_owned());
    assert_eq!(recorder.close(&server, "/"), expected);
}

#[test]
fn a_line_that_cannot_be_sent_is_told_by_its_number_and_the_others_are_sent() {
    let server = Server::start(&["--max-message", "125B"]);
    let recorder = Recorder::at(&server, "/");
    let (large, largest) = ("x".repeat(126), "y".repeat(125));
    let mut sender = Invocation::send(server.address(), &["--lines"]).start();
    sender.write(format!("one\n{large}\n{largest}\r\n").as_bytes());
    sender.write(b"\xff\xfe\nfive\n");
    // It is told when it comes, not at the end.
    for (line, why) in [("line 2 ", "125 bytes"), ("line 4 ", "UTF-8")] {
        eventually(&format!("{line}is told"), || {
            sender.stderr().lines().any(|told| told.contains(line) && told.contains(why))
        });
    }
    // A line without end, of which nothing can become a message.
    let endless = sender.feed([&vec![b'z'; 3 << 20][..], b"\nseven"].concat());
    let sent = sender.finish();
    endless.join().unwrap().expect("all of it is read");
    assert_eq!(sent.code, Some(3), "{sent:?}");
    assert!(sent.stderr.contains("line 6 ") && !sent.stderr.contains("line 3 "), "{sent:?}");
    assert_eq!(recorder.close(&server, "/"), ["one", &largest, "five", "seven"]);
}

#[test]
fn what_is_too_large_takes_no_memory() {
    let server = Server::start(&[]);
    for args in [&["--lines"][..], &[]] {
        let mut sender = Invocation::send(server.address(), args).start();
        let fed = sender.feed(vec![b'x'; 64 << 20]);
        let mut peak = 0;
        // A message need not be read to its end to be refused; a line has to, since others may follow.
        while !fed.is_finished() && sender.try_exit().is_none() {
            peak = sender.peak_memory_kib().unwrap_or(0).max(peak);
        }
        let sent = sender.finish();
        let _ = fed.join().expect("the thread has not failed");
        assert_eq!(sent.code, Some(3), "{args:?} {sent:?}");
        assert!(peak < memory_kib_max(), "{args:?}: {peak} KiB for what cannot be sent");
    }
}

#[test]
fn fifty_thousand_lines_arrive_once_and_in_order() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    send_all(Invocation::send(server.address(), &["--lines"]), &numbered_lines(0..50_000, 20));
    expect_lines(&recorder.close(&server, "/"), 0..50_000);
}

#[test]
fn messages_larger_than_what_may_be_unconfirmed_go_one_by_one() {
    let server = Server::start(&["--backlog", "16MiB", "--max-message", "4MiB"]);
    let recorder = Recorder::at(&server, "/");
    let lines: Vec<String> = ["a", "b", "c"].map(|char| char.repeat(3 << 20)).to_vec();
    send_all(Invocation::send(server.address(), &["--lines"]), lines.join("\n").as_bytes());
    assert!(recorder.close(&server, "/") == lines);
}

#[test]
fn what_others_say_meanwhile_is_read_and_dropped() {
    let server = Server::start(&["--patience", "1s", "--backlog", "256KiB", "--history", "5"]);
    let recorder = Recorder::at(&server, "/");
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    speaker.send_text("history");
    recorder.wait_for(1);
    let mut sender = Invocation::send(server.address(), &["--lines"]).start();
    sender.write(b"first\n");
    recorder.wait_for(2);
    let flood = thread::spawn(move || (0..200).for_each(|_| speaker.send_binary(&vec![7; 64 * 1024])));
    recorder.wait_for(202);
    flood.join().unwrap();
    sender.write(b"last\n");
    let sent = sender.finish();
    assert_eq!((sent.code, sent.stderr.as_str()), (Some(0), ""), "nobody had to drop it");
    recorder.wait_for(203);
    let texts = recorder.messages().into_iter().filter(|frame| frame.opcode == TEXT);
    assert_eq!(texts.map(|frame| frame.payload).collect::<Vec<_>>(), [&b"history"[..], b"first", b"last"]);
}

#[test]
fn it_ends_only_when_the_message_is_in_the_log() {
    let server = Server::start(&["--patience", "1h", "--backlog", "64KiB", "--heartbeat", "0"]);
    let mut slow = sleeper(&server);
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    let flood = thread::spawn(move || {
        for _ in 0..100 {
            speaker.send_binary(&[7; 16 * 1024]);
        }
        speaker
    });
    server.wait_for_figure("/publishersWaiting", 1);
    let mut sender = Invocation::send(server.address(), &["I", "wait"]).start();
    server.wait_for_figure("/publishersWaiting", 2);
    // It would have ended by far if it did not wait for the log.
    for _ in 0..50 {
        assert_eq!(server.figure("/publishersWaiting"), 2);
        sender.expect_alive();
    }
    let mut heard = Vec::new();
    while heard != b"I wait" {
        heard = slow.frame().payload;
    }
    assert_eq!(sender.finish().code, Some(0));
    drop(slow);
    flood.join().unwrap();
}
