//! `foghorn listen --cursor`: a script that is restarted goes on where it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::room::{expect_lines, numbered_line, numbers, say};
use crate::harness::{Client, Closed, Finished, Invocation, Proxy, Running, Server, eventually, request};

/// A folder for a cursor, and the place of the cursor in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("cursor");
    (folder, file)
}

fn with_cursor(address: impl ToString, file: &Path, args: &[&str]) -> Invocation {
    Invocation::listen(address, args).arg("--cursor").arg(file)
}

/// What is in the file; empty if there is none.
fn content(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

/// A position of the main channel, as the file has it.
fn position(server: &Server, seq: usize) -> String {
    format!("{}:{seq}\n", server.status()["epoch"].as_str().expect("a string"))
}

/// Waits until the file has this position, and ends the listener in order.
fn end_at(listener: Running, file: &Path, position: &str) -> Finished {
    eventually(&format!("the cursor is {position:?}"), || content(file) == position);
    listener.signal("TERM");
    let ended = listener.finish();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(content(file), position);
    ended
}

#[test]
fn the_file_is_there_as_soon_as_it_has_come_in() {
    let server = Server::start(&[]);
    let (folder, file) = place();
    say(&server, &["1", "2"]);
    let listener = with_cursor(server.address(), &file, &[]).start();
    let ended = end_at(listener, &file, &position(&server, 2));
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""), "a newcomer");
    // What was said before its first message counts as missed.
    say(&server, &["3", "4"]);
    let ended = with_cursor(server.address(), &file, &["--count", "2"]).run();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "3\n4\n", ""), "{ended:?}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["cursor"], "nothing else is left there");
}

#[test]
fn with_history_a_newcomer_gets_that_and_who_comes_back_what_it_has_missed() {
    let server = Server::start(&[]);
    let (_folder, file) = place();
    say(&server, &["1", "2", "3"]);
    for (count, expected) in [("2", "2\n3\n"), ("1", "4\n")] {
        let ended = with_cursor(server.address(), &file, &["--history", "2", "--count", count]).run();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), expected), "{ended:?}");
        say(&server, &["4"]);
    }
    assert_eq!(content(&file), position(&server, 4));
}

#[test]
fn after_an_end_in_order_nothing_is_missed_and_nothing_comes_twice() {
    let server = Server::start(&[]);
    let (_folder, file) = place();
    let mut next = 0;
    let mut written = String::new();
    for count in [3, 1, 0, 5] {
        let listener = with_cursor(server.address(), &file, &[]).start();
        server.wait_for_figure("/clients", 1);
        for _ in 0..count {
            say(&server, &[&numbered_line(next, 0)]);
            next += 1;
        }
        written += &end_at(listener, &file, &position(&server, next)).stdout;
        server.wait_for_figure("/clients", 0);
        // While nobody listens.
        for _ in 0..2 {
            say(&server, &[&numbered_line(next, 0)]);
            next += 1;
        }
    }
    let rest = with_cursor(server.address(), &file, &["--count", "2"]).run();
    assert_eq!((rest.code, rest.stderr.as_str()), (Some(0), ""), "{rest:?}");
    written += &rest.stdout;
    expect_lines(&written.lines().map(str::to_owned).collect::<Vec<_>>(), 0..next);
}

#[test]
fn count_and_cursor_together_take_messages_one_by_one() {
    let server = Server::start(&[]);
    let (_folder, file) = place();
    let first = with_cursor(server.address(), &file, &[]).start();
    end_at(first, &file, &position(&server, 0));
    let texts: Vec<String> = (0..20).map(|nth| nth.to_string()).collect();
    say(&server, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    for (nth, text) in texts.iter().enumerate() {
        let ended = with_cursor(server.address(), &file, &["--count", "1"]).run();
        assert_eq!((ended.code, ended.stdout), (Some(0), format!("{text}\n")), "{}", ended.stderr);
        assert_eq!(content(&file), position(&server, nth + 1));
    }
}

#[test]
fn after_a_kill_a_message_may_come_twice_but_none_is_missing() {
    const COUNT: usize = 3000;
    let server = Server::start(&[]);
    let (_folder, file) = place();
    end_at(with_cursor(server.address(), &file, &[]).start(), &file, &position(&server, 0));
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    let mut next = 0;
    for round in 1..=10 {
        let listener = with_cursor(server.address(), &file, &[]).start();
        for number in (round - 1) * COUNT / 10..round * COUNT / 10 {
            speaker.send_text(&numbered_line(number, 20));
        }
        let until = if round == 10 { COUNT } else { next + 50 };
        eventually("some are written", || {
            let lines = listener.stdout();
            let last =
                String::from_utf8_lossy(&lines).lines().last().and_then(|line| line.split(' ').next()?.parse().ok());
            last.is_some_and(|last: usize| last + 1 >= until)
        });
        let killed = listener.kill();
        let mut lines: Vec<String> = killed.stdout.lines().map(str::to_owned).collect();
        if !killed.stdout.ends_with('\n') {
            lines.pop();
        }
        let heard = numbers(&lines);
        assert!(heard[0] <= next, "{} is the first after {next}", heard[0]);
        assert_eq!(heard, (heard[0]..heard[0] + heard.len()).collect::<Vec<_>>());
        next = heard[0] + heard.len();
    }
    assert_eq!(next, COUNT);
}

#[test]
fn over_a_broken_connection_the_cursor_goes_on() {
    let server = Server::start(&[]);
    let (_folder, file) = place();
    let proxy = Proxy::to(server.address());
    let listener = with_cursor(proxy.address(), &file, &[]).start();
    server.wait_for_figure("/clients", 1);
    say(&server, &["1"]);
    eventually("it is written down", || content(&file) == position(&server, 1));
    proxy.break_all(crate::harness::How::Reset);
    eventually("it comes back", || server.figure("/clientsTotal") == 2);
    say(&server, &["2"]);
    let ended = end_at(listener, &file, &position(&server, 2));
    assert_eq!(ended.stdout, "1\n2\n");
}

#[test]
fn in_a_new_epoch_it_says_so_and_begins_with_its_first_message() {
    let (_folder, file) = place();
    let first = Server::start(&[]);
    say(&first, &["old"; 5]);
    end_at(with_cursor(first.address(), &file, &[]).start(), &file, &position(&first, 5));
    drop(first);
    let second = Server::start(&[]);
    say(&second, &["1", "2", "3"]);
    let listener = with_cursor(second.address(), &file, &[]).start();
    listener.wait_for_stderr("begun anew");
    let ended = end_at(listener, &file, &position(&second, 3));
    assert_eq!(ended.stdout, "1\n2\n3\n");
    // The same for messages that were deleted meanwhile.
    assert_eq!(request(second.address(), "DELETE", "/", "").status, 200);
    say(&second, &["4"]);
    let ended = with_cursor(second.address(), &file, &["--count", "1"]).run();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "4\n"), "{ended:?}");
    assert!(ended.stderr.contains("begun anew"), "{ended:?}");
}

#[test]
fn an_empty_new_epoch_is_written_down_at_once() {
    let (_folder, file) = place();
    let server = Server::start(&[]);
    fs::write(&file, "elsewhere:7\n").unwrap();
    let ended = end_at(with_cursor(server.address(), &file, &[]).start(), &file, &position(&server, 0));
    assert!(ended.stderr.contains("begun anew"), "{ended:?}");
}

#[test]
fn what_the_backlog_has_not_any_more_is_told_as_lost() {
    let server = Server::start(&["--backlog", "4KiB"]);
    let (_folder, file) = place();
    end_at(with_cursor(server.address(), &file, &[]).start(), &file, &position(&server, 0));
    let texts: Vec<String> = (0..300).map(|number| numbered_line(number, 50)).collect();
    say(&server, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    let listener = with_cursor(server.address(), &file, &[]).start();
    let ended = end_at(listener, &file, &position(&server, 300));
    assert!(ended.stderr.contains("messages were lost"), "{ended:?}");
    let lines: Vec<String> = ended.stdout.lines().map(str::to_owned).collect();
    let first = numbers(&lines)[0];
    assert!(ended.stderr.contains(&first.to_string()), "as many as are missing: {ended:?}");
    expect_lines(&lines, first..300);
}

#[test]
fn an_empty_file_is_that_of_a_newcomer() {
    let server = Server::start(&[]);
    let (_folder, file) = place();
    fs::write(&file, "").unwrap();
    say(&server, &["before"]);
    let ended = end_at(with_cursor(server.address(), &file, &[]).start(), &file, &position(&server, 1));
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_file_that_is_no_cursor_is_named_and_left_as_it_is() {
    let server = Server::start(&[]);
    let (_folder, file) = place();
    for foreign in ["my notes\n", "kjxwqa\n", "kjxwqa:x\n", "a:1\nb:2\n", "kjxwqa:99999999999999999999999\n"] {
        fs::write(&file, foreign).unwrap();
        let refused = with_cursor(server.address(), &file, &[]).run();
        assert!(matches!(refused.code, Some(1 | 2)), "{foreign:?}: {refused:?}");
        assert!(refused.stderr.contains(file.to_str().unwrap()), "{foreign:?}: {refused:?}");
        refused.expect_a_sentence();
        assert_eq!(content(&file), foreign);
    }
    fs::write(&file, [0xff, 0xfe, 0]).unwrap();
    let refused = with_cursor(server.address(), &file, &[]).run();
    assert!(matches!(refused.code, Some(1 | 2)), "{refused:?}");
    refused.expect_a_sentence();
}

#[test]
fn a_place_where_no_file_can_be_is_named() {
    let server = Server::start(&[]);
    let (folder, _) = place();
    for file in [folder.path().to_owned(), folder.path().join("missing/cursor")] {
        let refused = with_cursor(server.address(), &file, &[]).run();
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(folder.path().to_str().unwrap()), "{refused:?}");
        refused.expect_a_sentence();
    }
}

#[test]
fn a_file_that_may_not_be_read_or_written_is_named() {
    let server = Server::start(&[]);
    // Root reads and writes everything.
    let without_rights = |file: &Path| {
        with_cursor(server.address(), file, &[]).before(
            r#"[ "$(id -u)" != 0 ] || exec setpriv --bounding-set=-all --inh-caps=-all --pdeathsig KILL -- "$@""#,
        )
    };
    let (folder, file) = place();
    fs::write(&file, position(&server, 0)).unwrap();
    let closed = Closed::new(&file);
    let refused = without_rights(&file).run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(file.to_str().unwrap()), "{refused:?}");
    refused.expect_a_sentence();
    drop(closed);
    let _closed = Closed::with_mode(folder.path(), 0o500);
    let refused = without_rights(&folder.path().join("new")).run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains(folder.path().to_str().unwrap()), "{refused:?}");
    refused.expect_a_sentence();
}

#[test]
fn the_file_keeps_who_may_read_it_and_a_link_leads_to_it() {
    let server = Server::start(&[]);
    let (folder, file) = place();
    fs::write(&file, position(&server, 0)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("cursor", &link).unwrap();
    say(&server, &["1"]);
    let ended = with_cursor(server.address(), &link, &["--count", "1"]).run();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "1\n"), "{ended:?}");
    assert_eq!(content(&link), position(&server, 1));
}

#[test]
fn the_cursor_moves_behind_a_message_only_when_that_is_written() {
    let server = Server::start(&[]);
    let (_folder, file) = place();
    let (listener, stdout) = with_cursor(server.address(), &file, &[]).start_unread();
    eventually("it has come in", || content(&file) == position(&server, 0));
    // More than a pipe holds.
    let text = "x".repeat(200 * 1024);
    say(&server, &[&text]);
    eventually("it is being delivered", || server.figure("/deliveries") == 1);
    assert_eq!(content(&file), position(&server, 0));
    drop(stdout);
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(content(&file), position(&server, 0), "nobody has read all of it");
}

#[test]
fn with_exec_the_cursor_moves_when_the_command_has_ended() {
    let server = Server::start(&[]);
    let (folder, file) = place();
    let (started, go) = (folder.path().join("started"), folder.path().join("go"));
    let command =
        format!(": >{0}; while [ -e {0} ] && [ ! -e {1} ]; do sleep 0.02; done", started.display(), go.display());
    let listener = with_cursor(server.address(), &file, &["--exec", &command]).start();
    eventually("it has come in", || content(&file) == position(&server, 0));
    say(&server, &["1"]);
    eventually("the command runs", || started.exists());
    assert_eq!(content(&file), position(&server, 0));
    fs::write(&go, "").unwrap();
    end_at(listener, &file, &position(&server, 1));
}

#[test]
fn a_command_that_is_stopped_with_the_listener_gets_its_message_again() {
    let server = Server::start(&[]);
    let (folder, file) = place();
    // As Ctrl-C does it, and systemd by default: the signal goes to both, in the midst of the second message.
    let stopped = folder.path().join("stopped");
    let stop = format!("[ -e {0} ] || {{ : >{0}; kill -TERM $PPID $$; }}", stopped.display());
    let command = format!("read word; if [ $word = 2 ]; then {stop}; fi; echo $word");
    let start = |args: &[&str]| with_cursor(server.address(), &file, &[&["--exec", &command], args].concat()).start();
    let listener = start(&[]);
    server.wait_for_figure("/clients", 1);
    say(&server, &["1\n", "2\n"]);
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "1\n"), "{ended:?}");
    say(&server, &["3\n"]);
    assert_eq!(content(&file), position(&server, 1));
    let ended = start(&["--count", "2"]).finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "2\n3\n"), "{ended:?}");
}
