//! `foghorn listen --exec`: a command for each message.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::room::{listener, long_patience, memory_kib_max, say, say_binary};
use crate::harness::{Client, Invocation, PING, Server, contents, eventually, is_emulated};

/// A folder with a command that says in it that it runs, and then waits until it may end.
struct Gate {
    folder: TempDir,
}

impl Gate {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits for [`Self::open`], then says the message and `done`.
    fn command(&self) -> String {
        let folder = self.folder.path().display();
        format!("cd {folder}; : >started; while [ -e started ] && [ ! -e go ]; do sleep 0.02; done; cat; echo ' done'")
    }

    /// A command that waits until it is open, or gone: a shell that was left behind must not turn for ever.
    fn wait_in_shell(&self) -> String {
        let folder = self.folder.path().display();
        format!("while [ -d {folder} ] && [ ! -e {folder}/go ]; do sleep 0.02; done")
    }

    fn wait_for_command(&self) {
        eventually("the command runs", || self.file("started").exists());
    }

    fn open(&self) {
        fs::write(self.file("go"), "").unwrap();
    }
}

#[test]
fn each_message_is_the_standard_input_of_a_command_that_knows_where_it_stands() {
    let server = Server::start(&[]);
    let epoch = server.status()["epoch"].as_str().unwrap().to_owned();
    let command = r#"cat; echo " $FOGHORN_KIND $FOGHORN_EPOCH:$FOGHORN_SEQ""#;
    let listener = listener(&server, &["--count", "4", "--exec", command]);
    say(&server, &["one", "", "two\nlines"]);
    say_binary(&server, b"|binary");
    let ended = listener.finish();
    let expected =
        format!("one text {epoch}:1\n text {epoch}:2\ntwo\nlines text {epoch}:3\n|binary binary {epoch}:4\n");
    assert_eq!((ended.code, ended.stdout, ended.stderr.as_str()), (Some(0), expected, ""));
}

#[test]
fn a_message_comes_to_the_command_byte_by_byte() {
    let server = Server::start(&[]);
    let listener = listener(&server, &["--count", "2", "--exec", "cksum"]);
    let bytes = contents(1 << 20);
    say_binary(&server, &bytes);
    say_binary(&server, b"\n\0\n");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bytes"), &bytes).unwrap();
    let sum = std::process::Command::new("sh")
        .args(["-c", "cksum <bytes; printf '\\n\\000\\n' | cksum"])
        .current_dir(folder.path())
        .output()
        .expect("sh runs");
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stdout), (Some(0), String::from_utf8(sum.stdout).unwrap()));
}

#[test]
fn the_words_of_a_message_are_never_those_of_the_shell() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let harm = folder.path().join("harm");
    let harm_path = harm.display();
    let messages: Vec<String> = vec![
        format!("$(touch {harm_path})"),
        format!("`touch {harm_path}`"),
        format!("'; touch {harm_path}; echo '"),
        format!("\"; touch {harm_path}; echo \""),
        format!("| touch {harm_path}"),
        format!("\ntouch {harm_path}\n"),
        "--help".to_owned(),
        "%s %n \\n".to_owned(),
    ];
    let count = messages.len().to_string();
    let listener = listener(&server, &["--count", &count, "--exec", "cat; echo"]);
    say(&server, &messages.iter().map(String::as_str).collect::<Vec<_>>());
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stdout), (Some(0), messages.join("\n") + "\n"));
    assert!(!harm.exists());
}

#[test]
fn a_command_that_fails_is_told_and_the_next_one_runs() {
    let server = Server::start(&[]);
    let command = r#"read word; echo "$word"; case $word in bad) exit 3;; killed) kill -9 $$;; esac"#;
    let listener = listener(&server, &["--count", "4", "--exec", command]);
    say(&server, &["good\n", "bad\n", "killed\n", "good again\n"]);
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "good\nbad\nkilled\ngood again\n"));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0], "foghorn: message 2: the command ended with status 3");
    assert!(lines[1].starts_with("foghorn: message 3: the command ") && lines[1].contains('9'), "{lines:?}");
}

#[test]
fn quiet_or_not_a_command_that_fails_is_told() {
    let server = Server::start(&[]);
    let listener = listener(&server, &["-q", "--count", "1", "--exec", "exit 7"]);
    say(&server, &["word"]);
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), "foghorn: message 1: the command ended with status 7\n"));
}

#[test]
fn a_command_need_not_read_its_message() {
    let server = Server::start(&[]);
    let listener = listener(&server, &["--count", "3", "--exec", "echo $FOGHORN_SEQ"]);
    say(&server, &[&"x".repeat(1 << 20), "small", &"y".repeat(1 << 20)]);
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "1\n2\n3\n", ""));
}

#[test]
fn a_command_that_keeps_its_input_open_behind_it_holds_up_nobody() {
    let server = Server::start(&[]);
    let gate = Gate::new();
    // What it leaves running has the standard input, and the message is larger than what a pipe holds.
    let behind = format!("({}) >&- 2>&- & echo $FOGHORN_SEQ", gate.wait_in_shell());
    let listener = listener(&server, &["--count", "2", "--exec", &behind]);
    say(&server, &[&"x".repeat(1 << 20), "small"]);
    let ended = listener.finish();
    gate.open();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "1\n2\n"));
}

#[test]
fn a_thousand_messages_run_one_by_one_and_in_order_while_more_come() {
    const COUNT: usize = 1000;
    let server = Server::start(&[]);
    let gate = Gate::new();
    // Whoever ran beside the first, which waits, would be found between its lines.
    let command = format!(
        "cd {}; echo begin >>all; while [ -e all ] && [ ! -e go ]; do sleep 0.02; done; cat >>all; echo >>all",
        gate.folder.path().display()
    );
    let listener = listener(&server, &["--count", &COUNT.to_string(), "--exec", &command]);
    let texts: Vec<String> = (0..COUNT).map(|nth| nth.to_string()).collect();
    let sent = Invocation::send(server.address(), &["--lines"]).run_with(texts.join("\n").as_bytes());
    assert_eq!(sent.code, Some(0), "{sent:?}");
    gate.open();
    let ended = listener.finish_within(long_patience());
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
    let all = fs::read_to_string(gate.file("all")).unwrap();
    assert_eq!(all, texts.iter().flat_map(|text| ["begin\n", text, "\n"]).collect::<String>());
}

#[test]
fn its_standard_output_and_error_are_those_of_the_listener() {
    let server = Server::start(&[]);
    let listener = listener(&server, &["--count", "1", "--exec", "echo out; echo foghorn: err >&2"]);
    say(&server, &["word"]);
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "out\n", "foghorn: err\n"));
}

#[test]
fn a_signal_waits_for_the_command_that_runs_and_starts_no_other() {
    let server = Server::start(&[]);
    for signal in ["INT", "TERM"] {
        let gate = Gate::new();
        let mut listener = listener(&server, &["--exec", &gate.command()]);
        say(&server, &["first", "second"]);
        gate.wait_for_command();
        listener.signal(signal);
        // It leaves the channel, or its end was seen by nobody: either way it waits.
        for _ in 0..50 {
            server.status();
            listener.expect_alive();
        }
        gate.open();
        eventually("it ends by itself", || listener.try_exit().is_some());
        let ended = listener.finish();
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
            (Some(0), "first done\n", ""),
            "{signal}"
        );
        server.wait_for_figure("/clients", 0);
    }
}

#[test]
fn a_second_signal_waits_for_no_command() {
    let server = Server::start(&[]);
    let gate = Gate::new();
    let mut listener = listener(&server, &["--exec", &gate.command()]);
    say(&server, &["word"]);
    gate.wait_for_command();
    eventually("it ends", || {
        let has_ended = listener.try_exit().is_some();
        if !has_ended {
            listener.signal("INT");
        }
        has_ended
    });
    // What it has left running ends, too, and its output with it.
    gate.open();
    listener.finish();
}

#[test]
fn while_a_command_runs_long_the_heartbeat_is_answered() {
    // Long enough for a slow machine to answer in time.
    let heartbeat = if is_emulated() { "5s" } else { "1s" };
    let server = Server::start(&["--heartbeat", heartbeat]);
    let gate = Gate::new();
    let listener = listener(&server, &["--count", "2", "--exec", &gate.command()]);
    say(&server, &["first"]);
    gate.wait_for_command();
    // Whoever answers nothing is dropped after two heartbeats: two of them one behind the other are four.
    for nth in 1..=2 {
        let mut silent = Client::join(server.address());
        assert_eq!(silent.frame().opcode, PING);
        server.wait_for_figure("/closed/silent", nth);
    }
    assert_eq!(server.figure("/clients"), 1, "the listener is there");
    gate.open();
    say(&server, &["second"]);
    let ended = listener.finish();
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "first done\nsecond done\n", ""));
}

#[test]
fn while_a_command_runs_a_flood_takes_no_memory() {
    let server = Server::start(&["--patience", "100ms"]);
    let gate = Gate::new();
    let mut listener = listener(&server, &["--exec", &gate.command()]);
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    speaker.send_text("first");
    gate.wait_for_command();
    for _ in 0..1000 {
        speaker.send_binary(&vec![7; 64 * 1024]);
    }
    // All of it is in the log.
    speaker.send_text("last");
    server.wait_for_figure("/messages", 1002);
    listener.expect_alive();
    let peak = listener.peak_memory_kib().expect("it runs");
    assert!(peak < memory_kib_max(), "{peak} KiB");
    gate.open();
    listener.kill();
}

#[test]
fn while_a_command_runs_for_so_long_that_the_server_gave_up_nothing_is_lost() {
    const COUNT: usize = 40;
    let server = Server::start(&["--heartbeat", "200ms", "--backlog", "16MiB"]);
    let gate = Gate::new();
    let command = format!("{}; head -c 3; echo", gate.wait_in_shell());
    let listener = listener(&server, &["--count", &COUNT.to_string(), "--exec", &command]);
    // More than what waits in memory, so that nothing is read any more, not even pings.
    let texts: Vec<String> = (0..COUNT).map(|nth| format!("{nth:03}{}", ".".repeat(200_000))).collect();
    say(&server, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    server.wait_for_figure("/closed/silent", 1);
    gate.open();
    let ended = listener.finish_within(long_patience());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let expected: String = texts.iter().flat_map(|text| [&text[..3], "\n"]).collect();
    assert_eq!(ended.stdout, expected, "{}", ended.stderr);
}

#[test]
fn count_and_a_closed_output_end_it_only_when_its_commands_have_ended() {
    let server = Server::start(&[]);
    let gate = Gate::new();
    let mut counting = listener(&server, &["--count", "1", "--exec", &gate.command()]);
    say(&server, &["word"]);
    gate.wait_for_command();
    counting.expect_alive();
    gate.open();
    let ended = counting.finish();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "word done\n"));
}

#[test]
fn with_json_the_command_gets_the_object() {
    let server = Server::start(&["--history", "1"]);
    say(&server, &["word"]);
    let ended = Invocation::listen(server.address(), &["--json", "--count", "1", "--exec", "cat; echo end"]).run();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let (object, end) = ended.stdout.split_once('}').unwrap_or_else(|| panic!("{ended:?}"));
    let object: serde_json::Value = serde_json::from_str(&format!("{object}}}")).expect("JSON");
    assert_eq!((&object["seq"], &object["text"], end.trim()), (&1.into(), &"word".into(), "end"));
}
