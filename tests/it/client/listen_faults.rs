//! `foghorn listen` over networks that break, and with servers that end: nothing is missing, nothing comes twice, or it says so.

use std::io::Read;
use std::thread;

use serde_json::Value;

use super::room::{
    expect_lines, listener, long_patience, memory_kib_max, numbered_line, numbered_lines, random, say, told_number,
};
use crate::harness::{
    At, Client, Cut, How, Invocation, Launch, Oddity, Proxy, Running, Server, Way, eventually, request,
};

/// A listener behind a proxy whom the server has let in. It knows that itself when it has written something.
fn behind(proxy: &Proxy, server: &Server, args: &[&str]) -> Running {
    let running = Invocation::listen(proxy.address(), args).start();
    server.wait_for_figure("/clients", 1);
    running
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn over_a_network_that_breaks_anywhere_each_message_comes_once_and_in_order() {
    const COUNT: usize = 20_000;
    let (seed, mut random) = random();
    let server = Server::start(&[]);
    let proxy = Proxy::cutting(server.address(), move |nth| {
        let least = if nth == 0 { 1000 } else { 0 };
        let at = At::Bytes(Way::Down, random.usize(least..150_000));
        let how = if random.bool() { How::Reset } else { How::End };
        (nth < 5).then_some(Cut { at, how })
    });
    let listener = behind(&proxy, &server, &["--count", &COUNT.to_string()]);
    let sent = Invocation::send(server.address(), &["--lines"]).run_with(&numbered_lines(0..COUNT, 50));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let ended = listener.finish_within(long_patience());
    assert_eq!(ended.code, Some(0), "seed {seed}: {}", ended.stderr);
    assert!(!ended.stderr.contains("lost:") && !ended.stderr.contains("were lost"), "seed {seed}: {}", ended.stderr);
    assert!(proxy.taken() > 5, "seed {seed}: only {} connections", proxy.taken());
    expect_lines(&lines(&ended.stdout), 0..COUNT);
}

#[test]
fn that_it_is_away_and_back_is_told_unless_it_is_to_be_quiet() {
    for (args, is_told) in
        [(&["--count", "2"][..], true), (&["-q", "--count", "2"], false), (&["--quiet", "--count", "2"], false)]
    {
        let server = Server::start(&[]);
        let proxy = Proxy::to(server.address());
        let listener = behind(&proxy, &server, args);
        say(&server, &["before"]);
        listener.expect_stdout(b"before\n");
        proxy.break_all(How::Reset);
        eventually("it comes back", || server.figure("/clientsTotal") == 2);
        say(&server, &["after"]);
        let ended = listener.finish();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "before\nafter\n"), "{ended:?}");
        assert_eq!(ended.stderr.contains("trying again"), is_told, "{ended:?}");
        assert_eq!(ended.stderr.contains("connected again"), is_told, "{ended:?}");
        assert!(is_told || ended.stderr.is_empty(), "{ended:?}");
    }
}

#[test]
fn what_was_lost_is_counted_and_told_also_to_who_wants_it_quiet() {
    for args in [&[][..], &["-q"]] {
        let server = Server::start(&["--backlog", "4KiB"]);
        let proxy = Proxy::to(server.address());
        let listener = behind(&proxy, &server, args);
        say(&server, &["0 first"]);
        listener.expect_stdout(b"0 first\n");
        proxy.lead_nowhere();
        proxy.break_all(How::Reset);
        server.wait_for_figure("/clients", 0);
        let sent = Invocation::send(server.address(), &["--lines"]).run_with(&numbered_lines(1..1000, 20));
        assert_eq!(sent.code, Some(0), "{sent:?}");
        proxy.lead_to(server.address());
        let end = numbered_line(999, 20) + "\n";
        eventually("the last one comes", || listener.stdout().ends_with(end.as_bytes()));
        listener.signal("INT");
        let ended = listener.finish();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let lost = told_number(&ended.stderr, "messages were lost");
        assert!((1..999).contains(&lost), "{}", ended.stderr);
        expect_lines(&lines(&ended.stdout)[1..], 1 + lost..1000);
    }
}

#[test]
fn a_connection_that_says_nothing_any_more_is_given_up() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(server.address());
    let listener = behind(&proxy, &server, &["--count", "2"]);
    say(&server, &["before"]);
    listener.expect_stdout(b"before\n");
    proxy.break_all(How::Stall);
    say(&server, &["after"]);
    let ended = listener.finish_within(long_patience());
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "before\nafter\n"), "{ended:?}");
}

#[test]
fn after_a_restart_of_the_server_it_says_so_and_gets_all_of_the_new_epoch() {
    for is_killed in [true, false] {
        let first = Server::start(&[]);
        let proxy = Proxy::to(first.address());
        let listener = behind(&proxy, &first, &["--json", "--count", "6"]);
        say(&first, &["1", "2"]);
        eventually("they come", || listener.lines_written() == 2);
        // It has messages before the listener comes.
        let second = Server::start(&[]);
        say(&second, &["3", "4", "5"]);
        proxy.lead_to(second.address());
        let epochs = [&first, &second].map(|server| server.status()["epoch"].clone());
        if is_killed {
            drop(first);
        } else {
            first.signal("TERM");
            assert_eq!(first.finish().code, Some(0));
        }
        eventually("it comes back", || second.figure("/clients") >= 1);
        listener.wait_for_stderr("begun anew");
        say(&second, &["6"]);
        let ended = listener.finish_within(long_patience());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let mut expected = Vec::new();
        for (seq, epoch, text) in [(1, 0, 1), (2, 0, 2), (1, 1, 3), (2, 1, 4), (3, 1, 5), (4, 1, 6)] {
            expected.push((epochs[epoch].clone(), seq.into(), text.to_string().into()));
        }
        let written = ended.stdout.lines().map(|line| {
            let message: Value = serde_json::from_str(line).expect("JSON");
            (message["epoch"].clone(), message["seq"].clone(), message["text"].clone())
        });
        assert_eq!(written.collect::<Vec<(_, Value, Value)>>(), expected);
        assert_eq!(ended.stderr.matches("begun anew").count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn a_hub_whose_hello_does_not_come_is_not_taken_for_another_server() {
    let server = Server::start(&[]);
    let stalls = Cut { at: At::Before(Way::Down, b"{\"foghorn\""), how: How::Stall };
    let proxy = Proxy::cutting(server.address(), move |nth| (nth == 1).then_some(stalls));
    let folder = tempfile::tempdir().unwrap();
    let cursor = folder.path().join("cursor").display().to_string();
    let listener = behind(&proxy, &server, &["--json", "--count", "3", "--cursor", &cursor]);
    say(&server, &["1"]);
    eventually("it comes", || listener.lines_written() == 1);
    proxy.break_all(How::Reset);
    listener.wait_for_stderr("trying again");
    say(&server, &["2", "3"]);
    let ended = listener.finish_within(long_patience());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let seqs = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["seq"].clone());
    assert_eq!(seqs.collect::<Vec<_>>(), [1, 2, 3]);
    assert!(proxy.taken() >= 3, "one has stalled");
}

#[test]
fn history_is_for_the_first_connection_and_when_a_message_came_for_those_that_come_now() {
    let server = Server::start(&["--history", "2"]);
    say(&server, &["1", "2", "3"]);
    let proxy = Proxy::to(server.address());
    let listener = behind(&proxy, &server, &["--json", "--history", "2", "--count", "5"]);
    say(&server, &["4"]);
    eventually("they come", || listener.lines_written() == 3);
    proxy.lead_nowhere();
    proxy.break_all(How::Reset);
    server.wait_for_figure("/clients", 0);
    say(&server, &["5"]);
    proxy.lead_to(server.address());
    server.wait_for_figure("/clients", 1);
    eventually("it comes", || listener.lines_written() == 4);
    say(&server, &["6"]);
    let ended = listener.finish();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let messages = ended.stdout.lines().map(|line| {
        let message: Value = serde_json::from_str(line).expect("JSON");
        (message["text"].as_str().expect("a text").to_owned(), message.get("at").is_some())
    });
    let expected = [("2", false), ("3", false), ("4", true), ("5", false), ("6", true)];
    assert_eq!(messages.collect::<Vec<_>>(), expected.map(|(text, has_time)| (text.to_owned(), has_time)));
}

#[test]
fn when_the_channels_messages_are_deleted_it_goes_on_with_the_new_ones() {
    let server = Server::start(&[]);
    let listener = listener(&server, &["--count", "4"]);
    say(&server, &["1", "2"]);
    listener.expect_stdout(b"1\n2\n");
    assert_eq!(request(server.address(), "DELETE", "/", "").status, 200);
    say(&server, &["3", "4"]);
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "1\n2\n3\n4\n"), "{ended:?}");
    assert!(ended.stderr.contains("begun anew"), "{ended:?}");
}

#[test]
fn it_waits_for_a_server_that_is_away_and_does_not_give_up() {
    let first = Server::start(&[]);
    let address = first.address().to_string();
    let mut listener = Invocation::listen(&address, &["--count", "2"]).start();
    first.wait_for_figure("/clients", 1);
    say(&first, &["word"]);
    listener.expect_stdout(b"word\n");
    drop(first);
    listener.wait_for_stderr("trying again");
    let second = Launch::bare(&["--listen", &address]).expecting(1).start();
    listener.wait_for_stderr("connected again");
    listener.expect_alive();
    say(&second, &["word"]);
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "word\nword\n"), "{ended:?}");
}

#[test]
fn a_code_that_is_refused_later_ends_it() {
    let first = Server::start(&[]);
    let proxy = Proxy::to(first.address());
    let mut listener = behind(&proxy, &first, &[]);
    say(&first, &["word"]);
    listener.expect_stdout(b"word\n");
    let second = Server::start(&["--code", "4711"]);
    proxy.lead_to(second.address());
    proxy.break_all(How::End);
    eventually("it ends by itself", || listener.try_exit().is_some());
    let ended = listener.finish();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("--code"), "{ended:?}");
}

#[test]
fn a_signal_ends_it_while_it_is_away() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(server.address());
    let mut listener = behind(&proxy, &server, &[]);
    say(&server, &["word"]);
    listener.expect_stdout(b"word\n");
    proxy.lead_nowhere();
    proxy.break_all(How::Reset);
    listener.wait_for_stderr("trying again");
    let tries = proxy.taken();
    eventually("it tries to come back", || proxy.taken() > tries);
    listener.signal("INT");
    eventually("it ends by itself", || listener.try_exit().is_some());
    assert_eq!(listener.finish().code, Some(0));
}

#[test]
fn a_reader_that_leaves_ends_it_while_it_is_away() {
    let server = Server::start(&[]);
    let proxy = Proxy::to(server.address());
    let (mut listener, mut stdout) = Invocation::listen(proxy.address(), &[]).start_unread();
    server.wait_for_figure("/clients", 1);
    say(&server, &["word"]);
    stdout.read_exact(&mut [0; 5]).expect("it is written");
    proxy.lead_nowhere();
    proxy.break_all(How::Reset);
    listener.wait_for_stderr("trying again");
    drop(stdout);
    eventually("it ends by itself", || listener.try_exit().is_some());
    assert_eq!(listener.finish().code, Some(0));
}

#[test]
fn while_nobody_reads_its_output_a_flood_takes_no_memory_and_a_signal_ends_it() {
    let server = Server::start(&["--patience", "100ms"]);
    let (mut listener, stdout) = Invocation::listen(server.address(), &[]).start_unread();
    server.wait_for_figure("/clients", 1);
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    let flood = thread::spawn(move || (0..1000).for_each(|_| speaker.send_binary(&vec![7; 64 * 1024])));
    eventually("all of it is in the log", || flood.is_finished());
    flood.join().unwrap();
    listener.expect_alive();
    let peak = listener.peak_memory_kib().expect("it runs");
    assert!(peak < memory_kib_max(), "{peak} KiB");
    listener.signal("TERM");
    listener.signal("TERM");
    eventually("it ends by itself", || {
        let has_ended = listener.try_exit().is_some();
        if !has_ended {
            // The message that is being written finds no end: that is what a second signal is for.
            listener.signal("TERM");
        }
        has_ended
    });
    drop(stdout);
}

#[test]
fn who_reads_its_output_so_late_that_the_server_gave_up_gets_the_rest_all_the_same() {
    const COUNT: usize = 4000;
    let server = Server::start(&["--heartbeat", "200ms", "--backlog", "16MiB"]);
    let (listener, mut stdout) = Invocation::listen(server.address(), &["--count", &COUNT.to_string()]).start_unread();
    server.wait_for_figure("/clients", 1);
    let sent = Invocation::send(server.address(), &["--lines"]).run_with(&numbered_lines(0..COUNT, 1000));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    // It can write nothing, so it reads nothing, not even pings.
    server.wait_for_figure("/closed/silent", 1);
    let reader = thread::spawn(move || {
        let mut written = String::new();
        stdout.read_to_string(&mut written).map(|_| written)
    });
    let ended = listener.finish_within(long_patience());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.stderr.contains("were lost"), "{ended:?}");
    expect_lines(&lines(&reader.join().unwrap().expect("a text")), 0..COUNT);
}

#[test]
fn a_signal_ends_it_while_it_connects() {
    let silent = Oddity::hanging_after(b"");
    let mut listener = Invocation::listen(silent.address(), &[]).start();
    silent.first_head();
    listener.signal("INT");
    eventually("it ends by itself", || listener.try_exit().is_some());
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn who_reads_its_output_late_gets_what_the_server_has_kept() {
    let server = Server::start(&[]);
    let (listener, mut stdout) = Invocation::listen(server.address(), &["--count", "2000"]).start_unread();
    server.wait_for_figure("/clients", 1);
    let sent = Invocation::send(server.address(), &["--lines"]).run_with(&numbered_lines(0..2000, 500));
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let reader = thread::spawn(move || {
        let mut written = String::new();
        stdout.read_to_string(&mut written).map(|_| written)
    });
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    expect_lines(&lines(&reader.join().unwrap().expect("a text")), 0..2000);
}
