//! The first word: what the program can do, how it says so, and what it does not look at.

use clap::CommandFactory;
use foghorn::config::flags::Args;

use crate::harness::{Finished, Launch};

fn run(args: &[&str]) -> Finished {
    Launch::bare(args).run()
}

#[test]
fn the_help_lists_the_commands_and_that_of_each_teaches() {
    for args in [["--help"], ["-h"], ["help"]] {
        let help = run(&args);
        assert_eq!(help.code, Some(0), "{help:?}");
        for line in [
            "  send    Send a message",
            "  listen  Write what is said",
            "  serve   Serve; the same as no command",
            "--patience",
        ] {
            assert!(help.stdout.contains(line), "{args:?}: {}", help.stdout);
        }
    }
    for (command, example) in [("send", "foghorn send board/c/lights on"), ("listen", "--count 1")] {
        let help = run(&["help", command]);
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
        let parts = [
            &format!("Usage: foghorn {command} [OPTIONS] <ADDRESS>"),
            example,
            "Address, always",
            "FOGHORN_CODE",
            "Exit status:",
        ];
        for part in parts {
            assert!(help.stdout.contains(part), "{part}: {}", help.stdout);
        }
        assert_eq!(run(&[command, "--help"]).stdout, help.stdout);
        assert!(run(&[command, "-h"]).stdout.lines().count() < help.stdout.lines().count() / 2);
    }
    for args in [["serve", "--help"], ["help", "serve"]] {
        let help = run(&args);
        assert!(help.stdout.contains("Usage: foghorn serve") && help.stdout.contains("--patience"), "{help:?}");
    }
}

#[test]
fn who_errs_is_led_back() {
    for (args, hints) in [
        (&["sned", "board", "hello"][..], &["sned", "'send'"][..]),
        (&["lisen"], &["lisen", "'listen'"]),
        (&["help", "sned"], &["sned"]),
        (&["stray"], &["stray", "Usage: foghorn"]),
        (&["send"], &["no address", "foghorn send : hello", "--help"]),
        (&["listen", "--json"], &["no address", "foghorn listen :"]),
        (&["-q", "send", ":", "hello"], &["send is a command only as the first word"]),
        (&["serve", "listen", ":"], &["listen is a command only as the first word"]),
        (&["serve", "--patience", "soon"], &["--patience", "such as 500ms"]),
        (&["listen", ":", "--patience", "2s"], &["--patience"]),
        (&["send", ":", "on", "--lines"], &["leave the words out"]),
    ] {
        let finished = run(args);
        assert_eq!(finished.code, Some(2), "{args:?}: {finished:?}");
        for hint in hints {
            assert!(finished.stderr.contains(hint), "{args:?}, {hint}: {}", finished.stderr);
        }
        assert!(finished.stdout.is_empty() && !finished.stderr.contains("panicked"), "{finished:?}");
    }
}

#[test]
fn no_code_of_a_client_is_shown() {
    for args in [
        ["listen", ":", "--code", "x", "secret"],
        ["listen", ":", "--codesecret", "", ""],
        ["listen", ":", "-x", "--code", "secret"],
    ] {
        let finished = run(&args);
        assert!(finished.code == Some(2) && !finished.stderr.contains("secret"), "{finished:?}");
    }
}

#[test]
fn serve_is_the_same_as_no_command() {
    let server = Launch::bare(&["serve", "--listen", "127.0.0.1:0"]).expecting(1).start();
    server.join().expect_echo("hello");
}

#[test]
fn a_client_reads_none_of_the_servers_variables() {
    let command = Args::command();
    let variables: Vec<&str> = command.get_arguments().filter_map(|flag| flag.get_env()?.to_str()).collect();
    assert!(variables.len() > 15);
    let with_garbage = |args: &[&str]| {
        let launch =
            variables.iter().fold(Launch::bare(args), |launch, variable| launch.env(variable, "1 and garbage"));
        launch.run()
    };
    assert_eq!(with_garbage(&["--log-level", "off"]).code, Some(2), "else this test shows nothing");
    for args in [&["help", "send"][..], &["send", "--help"], &["listen", "-h"]] {
        assert_eq!(with_garbage(args).code, Some(0), "{args:?}");
    }
    for args in [
        &["send", "127.0.0.1:1", "hello"][..],
        &["listen", "127.0.0.1:1"],
        &["listen", "127.0.0.1:1", "--code", "4711"],
    ] {
        let finished = with_garbage(args);
        assert!(!finished.stderr.contains("garbage") && finished.code != Some(2), "{args:?}: {finished:?}");
    }
}
