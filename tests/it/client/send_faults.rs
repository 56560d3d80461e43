//! `foghorn send` over networks that break, with servers that end, and with people who lose their patience: each message is there once
//! and in order, or its fate is told.

use std::thread;
use std::time::{Duration, Instant};

use super::room::{Recorder, expect_lines, long_patience, numbered_lines, numbers, random, told_number};
use crate::harness::{
    At, CONFIRMATION, Client, Cut, Finished, How, Invocation, Launch, Oddity, Proxy, Running, Server, Way, eventually,
    is_emulated, request, sleeper,
};

/// Breaks the first connection before it is confirmed what was sent over it.
fn first_unconfirmed(how: How) -> impl FnMut(usize) -> Option<Cut> + Send + 'static {
    move |nth| (nth == 0).then_some(Cut { at: At::Before(Way::Down, CONFIRMATION), how })
}

/// How many messages were not sent, and of how many nobody knows, as standard error has it.
fn told(finished: &Finished) -> (usize, usize) {
    let not_sent = told_number(&finished.stderr, "were not sent") + told_number(&finished.stderr, "was not sent");
    (not_sent, told_number(&finished.stderr, "nobody knows whether"))
}

#[test]
fn what_is_in_the_log_but_was_not_confirmed_is_not_sent_again() {
    for how in [How::Reset, How::End] {
        let server = Server::start(&[]);
        let recorder = Recorder::at(&server, "/");
        let proxy = Proxy::cutting(server.address(), first_unconfirmed(how));
        let sent = Invocation::send(proxy.address(), &["once"]).run();
        assert_eq!(sent.code, Some(0), "{how:?}: {sent:?}");
        assert!(proxy.taken() >= 2, "it was cut");
        assert!(sent.stderr.contains("trying again") && sent.stderr.contains("connected again"), "{sent:?}");
        assert_eq!(recorder.close(&server, "/"), ["once"], "{how:?}");
    }
}

#[test]
fn what_did_not_reach_the_server_is_sent_again() {
    // Between the handshake, of some 250 bytes, and the end of this message.
    for bytes in [1000, 5000, 50_000] {
        let server = Server::start(&[]);
        let recorder = Recorder::at(&server, "/");
        let cut = Cut { at: At::Bytes(Way::Up, bytes), how: How::Reset };
        let proxy = Proxy::cutting(server.address(), move |nth| (nth == 0).then_some(cut));
        let word = "x".repeat(60_000);
        let sent = Invocation::send(proxy.address(), &["-q"]).run_with(word.as_bytes());
        assert_eq!((sent.code, sent.stderr.as_str()), (Some(0), ""), "quiet: {sent:?}");
        assert!(recorder.close(&server, "/") == [word], "{bytes}");
    }
}

#[test]
fn a_connection_that_says_nothing_any_more_is_given_up() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let proxy = Proxy::cutting(server.address(), first_unconfirmed(How::Stall));
    let sent = Invocation::send(proxy.address(), &["once"]).start().finish_within(long_patience());
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(recorder.close(&server, "/"), ["once"]);
}

/// The first connection breaks before it is confirmed what was sent over it, and the second one stalls before its hello.
fn a_hello_that_does_not_come(nth: usize) -> Option<Cut> {
    match nth {
        0 => Some(Cut { at: At::Before(Way::Down, CONFIRMATION), how: How::Reset }),
        1 => Some(Cut { at: At::Before(Way::Down, b"{\"foghorn\""), how: How::Stall }),
        _ => None,
    }
}

#[test]
fn a_hub_whose_hello_does_not_come_is_not_taken_for_another_server() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let proxy = Proxy::cutting(server.address(), a_hello_that_does_not_come);
    let sent = Invocation::send(proxy.address(), &["once"]).start().finish_within(long_patience());
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert!(proxy.taken() >= 3 && !sent.stderr.contains("is no Foghorn"), "{sent:?}");
    assert_eq!(recorder.close(&server, "/"), ["once"]);
}

#[test]
fn a_large_message_over_a_slow_network_is_not_given_up() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    // 20 seconds for this message, of which the server says nothing before it has all of it.
    let proxy = Proxy::slow(server.address(), 1000);
    let message = "x".repeat(1_000_000);
    let mut sender = Invocation::send(proxy.address(), &[]).start();
    let fed = sender.feed(message.clone().into_bytes());
    let sent = sender.finish_within(long_patience());
    fed.join().unwrap().expect("all of it is read");
    assert_eq!((sent.code, sent.stderr.as_str(), proxy.taken()), (Some(0), "", 1));
    assert!(recorder.close(&server, "/") == [message]);
}

#[test]
fn over_a_network_that_breaks_anywhere_each_of_20_000_lines_arrives_once_and_in_order() {
    const PARTS: usize = 5;
    const LINES: usize = 4000;
    let (seed, mut random) = random();
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let proxy = Proxy::cutting(server.address(), move |nth| {
        // Some of them break in the handshake, but the first one has to succeed. Each breaks within one part.
        let least = if nth == 0 { 1000 } else { 0 };
        let way = if random.bool() { Way::Up } else { Way::Down };
        let at = At::Bytes(way, random.usize(least..100_000));
        let how = if random.bool() { How::Reset } else { How::End };
        (nth < PARTS).then_some(Cut { at, how })
    });
    let mut sender = Invocation::send(proxy.address(), &["--lines"]).start();
    let mut next = 0;
    for _ in 0..PARTS {
        sender.write(&numbered_lines(next..next + LINES, 50));
        next += LINES;
        recorder.wait_for_within(next, long_patience());
    }
    let sent = sender.finish_within(long_patience());
    assert_eq!(sent.code, Some(0), "seed {seed}: {sent:?}");
    assert!(proxy.taken() > PARTS, "seed {seed}: only {} connections", proxy.taken());
    expect_lines(&recorder.close(&server, "/"), 0..PARTS * LINES);
}

/// Has a sender send lines to a server that confirms nothing of them, and kills that server when it has some of them. Another one is
/// there then. Returns the sender, the lines that the first one has told others, and what hears the second one.
fn kill_before_confirming(lines: usize, more: &[&str]) -> (Running, Vec<String>, Server, Recorder, Proxy) {
    let first = Server::start(&[]);
    let heard = Recorder::at(&first, "/");
    let proxy = Proxy::cutting(first.address(), first_unconfirmed(How::Stall));
    let mut sender = Invocation::send(proxy.address(), &[&["--lines"], more].concat()).start();
    sender.write(&numbered_lines(0..lines, 20));
    heard.wait_for(1);
    let second = Server::start(&[]);
    let recorder = Recorder::at(&second, "/");
    proxy.lead_to(second.address());
    drop(first);
    let heard_by_first = heard.texts();
    proxy.break_all(How::Reset);
    (sender, heard_by_first, second, recorder, proxy)
}

#[test]
fn when_the_server_is_killed_what_was_under_way_is_counted_and_not_sent_again() {
    const LINES: usize = 2000;
    let (mut sender, heard, second, recorder, _proxy) = kill_before_confirming(LINES, &[]);
    // What was not under way goes on.
    sender.wait_for_stderr("trying again");
    sender.write(&numbered_lines(LINES..LINES + 10, 20));
    let sent = sender.finish_within(long_patience());
    assert_eq!(sent.code, Some(4), "{sent:?}");
    let (not_sent, unsure) = told(&sent);
    let after = recorder.close(&second, "/");
    let (heard, after) = (numbers(&heard), numbers(&after));
    assert_eq!(not_sent, 0, "{sent:?}");
    assert!((1..=LINES).contains(&unsure), "{sent:?}");
    // The first server confirmed nothing, so all that the second one has not got is unsure.
    assert_eq!(unsure + after.len(), LINES + 10, "{sent:?}");
    assert_eq!(after, (unsure..LINES + 10).collect::<Vec<_>>());
    assert_eq!(heard, (0..heard.len()).collect::<Vec<_>>());
    assert!(
        heard.len() <= unsure,
        "{} lines were told to others by the first server and sent again",
        heard.len() - unsure
    );
}

#[test]
fn quiet_or_not_what_nobody_knows_is_told() {
    let (sender, _, _second, _recorder, _proxy) = kill_before_confirming(1, &["-q"]);
    let sent = sender.finish_within(long_patience());
    assert_eq!((sent.code, told(&sent)), (Some(4), (0, 1)), "{sent:?}");
    assert_eq!(sent.stderr.lines().count(), 1, "nothing else: {sent:?}");
}

#[test]
fn a_server_that_is_killed_and_started_again_at_its_port_gets_what_is_left() {
    let first = Server::start(&[]);
    let address = first.address().to_string();
    let recorder = Recorder::at(&first, "/");
    let mut sender = Invocation::send(&address, &["--lines"]).start();
    sender.write(b"one\n");
    recorder.wait_for(1);
    drop((recorder, first));
    sender.wait_for_stderr("trying again");
    sender.write(b"two\n");
    let second = Launch::bare(&["--listen", &address, "--history", "9"]).expecting(1).start();
    sender.wait_for_stderr("connected again");
    let recorder = Recorder::at(&second, "/?history=9");
    let sent = sender.finish_within(long_patience());
    // Whether the first line was confirmed before is not for this test to say.
    assert!(matches!(sent.code, Some(0 | 4)), "{sent:?}");
    recorder.expect(&["two"]);
}

#[test]
fn a_server_that_stops_in_order_leaves_nothing_unsure() {
    let first = Server::start(&[]);
    let recorder = Recorder::at(&first, "/");
    let proxy = Proxy::to(first.address());
    let mut sender = Invocation::send(proxy.address(), &["--lines"]).start();
    sender.write(&numbered_lines(0..10, 20));
    recorder.wait_for(10);
    let second = Server::start(&[]);
    let after = Recorder::at(&second, "/");
    proxy.lead_to(second.address());
    first.signal("TERM");
    let ended = first.finish();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    sender.write(&numbered_lines(10..20, 20));
    let sent = sender.finish_within(long_patience());
    assert!(matches!(sent.code, Some(0 | 4)), "{sent:?}");
    let (lines, more) = (recorder.texts(), after.close(&second, "/"));
    let unsure = told(&sent).1;
    assert_eq!(unsure > 0, sent.code == Some(4), "{sent:?}");
    assert!(unsure + more.len() >= 10 && lines.len() == 10, "{sent:?} {more:?}");
    assert_eq!(numbers(&more), (20 - more.len()..20).collect::<Vec<_>>());
}

/// Writes lines until the client takes no more of them, and has tried to come back meanwhile. Returns how many bytes it took.
fn write_while_away(sender: &mut Running, proxy: &Proxy, lines: &[u8]) -> usize {
    let mut taken = 0;
    let mut tries = proxy.taken();
    let started = Instant::now();
    while taken < lines.len() && proxy.taken() < tries + 2 {
        match sender.offer(&lines[taken..]) {
            0 => thread::sleep(Duration::from_millis(5)),
            count => {
                taken += count;
                tries = proxy.taken();
            }
        }
        assert!(started.elapsed() < long_patience(), "it does not try to come back: {}", sender.stderr());
    }
    taken
}

/// With lines of so many bytes each, of which so many bytes may be unconfirmed.
fn expect_no_more_than(bound: usize, line_bytes: usize) {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let proxy = Proxy::to(server.address());
    let mut sender = Invocation::send(proxy.address(), &["--lines"]).start();
    sender.write(&numbered_lines(0..1, line_bytes));
    recorder.wait_for(1);
    proxy.lead_nowhere();
    proxy.break_all(How::Reset);
    sender.wait_for_stderr("trying again");
    let count = (8 << 20) / line_bytes;
    let lines = numbered_lines(1..count, line_bytes);
    let taken = write_while_away(&mut sender, &proxy, &lines);
    // A pipe holds 64 KiB (`pipe(7)`), and what is read at a time is not more.
    assert!(taken <= bound + 128 * 1024, "{taken} bytes of lines of {line_bytes}");
    assert!(taken >= bound / 2, "{taken} bytes of lines of {line_bytes}: it could have gone on");
    proxy.lead_to(server.address());
    let fed = sender.feed(lines[taken..].to_vec());
    let sent = sender.finish_within(long_patience());
    fed.join().unwrap().expect("all of it is read");
    assert_eq!(sent.code, Some(0), "{sent:?}");
    expect_lines(&recorder.close(&server, "/"), 0..count);
}

#[test]
fn while_the_server_is_away_no_more_bytes_are_read_than_the_bound_and_then_all_arrives() {
    expect_no_more_than(1 << 20, 4096);
}

#[test]
fn while_the_server_is_away_no_more_messages_are_read_than_the_bound_and_then_all_arrives() {
    expect_no_more_than(16_384 * 8, 8);
}

#[test]
fn when_the_channels_messages_are_deleted_nothing_is_lost_and_nothing_comes_twice() {
    const LINES: usize = 5000;
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let mut sender = Invocation::send(server.address(), &["--lines"]).start();
    let mut before = 0;
    for part in 1..=3 {
        let lines = numbered_lines(before..part * LINES, 20);
        let half = lines.len() / 2;
        sender.write(&lines[..half]);
        assert_eq!(request(server.address(), "DELETE", "/", "").status, 200);
        sender.write(&lines[half..]);
        recorder.wait_for_within(part * LINES, long_patience());
        before = part * LINES;
    }
    let sent = sender.finish_within(long_patience());
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(told(&sent), (0, 0), "{sent:?}");
    expect_lines(&recorder.close(&server, "/"), 0..3 * LINES);
}

#[test]
fn a_signal_ends_it_with_0_when_all_that_was_read_is_in_the_log() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    for (nth, signal) in ["INT", "TERM", "HUP"].into_iter().enumerate() {
        let mut sender = Invocation::send(server.address(), &["--lines"]).start();
        sender.write(b"line\n");
        recorder.wait_for(nth + 1);
        sender.signal(signal);
        let ended = wait_with_open_input(sender);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{signal}");
    }
}

/// Waits for the end of a client whose standard input stays open.
fn wait_with_open_input(mut running: Running) -> Finished {
    eventually("it ends by itself", || running.try_exit().is_some());
    running.finish()
}

#[test]
fn a_signal_leaves_time_for_what_was_read() {
    let server = Server::start(&["--patience", "1h", "--backlog", "64KiB", "--heartbeat", "0"]);
    let mut slow = sleeper(&server);
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    let flood = thread::spawn(move || (0..100).for_each(|_| speaker.send_binary(&[7; 16 * 1024])));
    server.wait_for_figure("/publishersWaiting", 1);
    let sender = Invocation::send(server.address(), &["I", "wait"]).start();
    server.wait_for_figure("/publishersWaiting", 2);
    sender.signal("INT");
    while slow.frame().payload != b"I wait" {}
    let ended = wait_with_open_input(sender);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    drop(slow);
    flood.join().unwrap();
}

#[test]
fn a_signal_while_the_server_says_nothing_ends_it_soon_and_counts_what_nobody_knows() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let proxy = Proxy::cutting(server.address(), first_unconfirmed(How::Stall));
    let mut sender = Invocation::send(proxy.address(), &["--lines"]).start();
    sender.write(&numbered_lines(0..100, 20));
    recorder.wait_for(1);
    sender.signal("INT");
    let ended = wait_with_open_input(sender);
    let (not_sent, unsure) = told(&ended);
    assert_eq!(ended.code, Some(if unsure > 0 { 4 } else { 3 }), "{ended:?}");
    assert!(unsure >= 1 && not_sent + unsure <= 100, "{ended:?}");
    let heard = recorder.close(&server, "/");
    assert!(heard.len() <= unsure, "{} are there, of which {unsure} are unsure", heard.len());
}

#[test]
fn a_signal_while_the_server_is_away_counts_what_was_not_sent() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let proxy = Proxy::to(server.address());
    let mut sender = Invocation::send(proxy.address(), &["--lines"]).start();
    sender.write(b"0 line\n");
    recorder.wait_for(1);
    // Then nothing is under way any more.
    proxy.wait_for_confirmation();
    proxy.lead_nowhere();
    proxy.break_all(How::End);
    sender.wait_for_stderr("trying again");
    sender.write(&numbered_lines(1..8, 20));
    let tries = proxy.taken();
    eventually("it has read them and tried to come back", || proxy.taken() >= tries + 2);
    sender.signal("INT");
    let ended = wait_with_open_input(sender);
    assert_eq!((ended.code, told(&ended)), (Some(3), (7, 0)), "{ended:?}");
    assert_eq!(recorder.close(&server, "/"), ["0 line"]);
}

#[test]
fn a_signal_while_it_connects_ends_it_with_nothing_sent() {
    let silent = Oddity::hanging_after(b"");
    let mut sender = Invocation::send(silent.address(), &["word"]).start();
    silent.first_head();
    sender.signal("INT");
    eventually("it ends by itself", || sender.try_exit().is_some());
    let ended = sender.finish();
    assert!(matches!(ended.code, Some(1 | 3)), "{ended:?}");
}

#[test]
fn a_signal_before_all_is_read_is_no_success() {
    let server = Server::start(&[]);
    for (is_silent, args) in [(true, &["--lines"][..]), (true, &[]), (false, &[])] {
        let silent = Oddity::hanging_after(b"");
        let address = if is_silent { silent.address() } else { server.address() };
        let mut sender = Invocation::send(address, args).start();
        sender.write(b"important\n");
        if is_silent {
            silent.first_head();
        } else {
            server.wait_for_figure("/clients", 1);
        }
        sender.signal("TERM");
        let ended = wait_with_open_input(sender);
        assert_eq!(ended.code, Some(3), "{args:?}: {ended:?}");
        assert!(!ended.stderr.is_empty());
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(1 << 40).unwrap();
    let from_file = format!("exec <{}", file.path().display());
    let mut sender = Invocation::send(server.address(), &["--lines", "--binary"]).before(&from_file).start();
    server.wait_for_figure("/clients", 1);
    sender.signal("TERM");
    eventually("it ends by itself", || sender.try_exit().is_some());
    let ended = sender.finish();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("which was not read"), "{ended:?}");
}

#[test]
fn a_standard_error_that_nobody_reads_holds_up_nothing() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    // A pipe that is full, and whose other end stays open.
    let full = "exec 3<>\"$(p=$(mktemp -u) && mkfifo $p && echo $p)\"; dd if=/dev/zero bs=64k count=1 >&3 2>/dev/null; exec 2>&3";
    let sent = Invocation::send(server.address(), &["--lines"]).before(full).run_with(b"one\n\xff\ntwo\n");
    assert_eq!((sent.code, sent.stderr.as_str()), (Some(3), ""));
    assert_eq!(recorder.close(&server, "/"), ["one", "two"]);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let proxy = Proxy::cutting(server.address(), first_unconfirmed(How::Stall));
    let mut sender = Invocation::send(proxy.address(), &["--lines"]).start();
    sender.write(b"line\n");
    recorder.wait_for(1);
    let started = Instant::now();
    eventually("it ends", || {
        // Two that come too soon one behind the other are one to the kernel.
        let has_ended = sender.try_exit().is_some();
        if !has_ended {
            sender.signal("INT");
        }
        has_ended
    });
    // Alone the first would have given it five seconds.
    assert!(started.elapsed() < Duration::from_secs(4) || is_emulated(), "{:?}", started.elapsed());
    assert_ne!(sender.finish().code, Some(0));
}

#[test]
fn a_code_that_is_needed_later_ends_it() {
    for (flag, word) in [("--code", "code"), ("--send-code", "send")] {
        let first = Server::start(&[]);
        let recorder = Recorder::at(&first, "/");
        let proxy = Proxy::to(first.address());
        let mut sender = Invocation::send(proxy.address(), &["--lines"]).start();
        sender.write(b"line\n");
        recorder.wait_for(1);
        proxy.wait_for_confirmation();
        let second = Server::start(&[flag, "4711"]);
        proxy.lead_to(second.address());
        proxy.break_all(How::End);
        eventually("it ends by itself", || sender.try_exit().is_some());
        let ended = sender.finish();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let last = ended.stderr.lines().last().expect("it says why");
        assert!(last.contains(word) && last.contains("--code"), "{ended:?}");
    }
}

#[test]
fn with_one_message_it_waits_out_a_server_that_is_away() {
    let server = Server::start(&[]);
    let recorder = Recorder::at(&server, "/");
    let proxy = Proxy::cutting(server.address(), first_unconfirmed(How::Reset));
    let mut sender = Invocation::send(proxy.address(), &["once"]).start();
    recorder.wait_for(1);
    proxy.lead_nowhere();
    let tries = proxy.taken();
    eventually("it tries again and again", || proxy.taken() >= tries + 3);
    sender.expect_alive();
    proxy.lead_to(server.address());
    let sent = sender.finish_within(long_patience());
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(recorder.close(&server, "/"), ["once"]);
}
