//! `--redis` and `--redis-prefix`: what they take, what gives way, and that no password is shown.

use std::fs;

use crate::harness::{Launch, folder};

/// Where nobody listens: the server starts all the same.
const NOWHERE: &str = "redis://:hunter2@127.0.0.1:1/3";

#[test]
fn what_is_wrong_is_said_with_what_would_be_right_and_without_the_password() {
    for (args, hints) in [
        (&["--redis", "rediss://:hunter2@board"][..], &["--redis", "TLS", "stunnel"][..]),
        (
            &["--redis", "redis://hunter2@board"],
            &["user without a password", "redis://[user:password@]host[:port][/db]"],
        ),
        (&["--redis", "redis://:hunter2@board:99999"], &["1 to 65535"]),
        (&["--redis", "redis://:hunter2@board?db=1"], &["%3F"]),
        (&["--redis="], &["--redis", "empty"]),
        (&["--redis", "redis://:x", "hunter2@board"], &["--redis=URL", "%20 for a blank"]),
        (&["--redisredis://:hunter2@board"], &["--redis=URL"]),
        (&["--redis", NOWHERE, "--redis", NOWHERE], &["--redis", "cannot be used multiple times"]),
        (&["--redis", NOWHERE, "--redis-prefx=a"], &["--redis-prefx"]),
        (&["--redis", NOWHERE, "--redis-prefix=a b"], &["--redis-prefix", "1 to 64 of A-Z"]),
        (&["--redis", NOWHERE, "--redis-prefix="], &["--redis-prefix"]),
        (&["--redis-prefix", "hall"], &["--redis-prefix is for --redis", "--redis URL"]),
        (&["--redis", NOWHERE, "--state", "/nowhere"], &["--state and --redis", "Leave one of them out"]),
    ] {
        let finished = Launch::new(args).run();
        assert_eq!(finished.code, Some(2), "{args:?}: {finished:?}");
        for hint in hints {
            assert!(finished.stderr.contains(hint), "{args:?} {hint}: {finished:?}");
        }
        assert!(!finished.stderr.contains("hunter2") && !finished.stderr.contains("panicked"), "{finished:?}");
    }
    let finished = Launch::new(&[]).env("FOGHORN_REDIS", "redis://board:hunter2").run();
    assert!(finished.code == Some(2) && finished.stderr.contains("FOGHORN_REDIS"), "{finished:?}");
    assert!(!finished.stderr.contains("hunter2"), "{finished:?}");
    finished.expect_a_sentence();
}

#[test]
fn help_does_not_show_what_the_environment_has() {
    let help = Launch::bare(&["--help"]).env("FOGHORN_REDIS", NOWHERE).run();
    assert!(help.stdout.contains("[env: FOGHORN_REDIS]") && !help.stdout.contains("hunter2"), "{help:?}");
}

#[test]
fn a_folder_from_the_environment_gives_way_to_redis_and_the_log_says_so() {
    let kept = folder(&[]);
    for launch in [Launch::new(&["--redis", NOWHERE]), Launch::new(&[]).env("FOGHORN_REDIS", NOWHERE)] {
        let server = launch.env("FOGHORN_STATE", kept.path()).start();
        server.wait_for_log("FOGHORN_STATE gives way to --redis");
        assert_eq!(server.get("/").status, 200, "its page is served");
        assert!(!server.log().contains("hunter2"), "{}", server.log());
    }
    assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 0, "nothing is kept there");
}

#[test]
fn redis_from_the_environment_gives_way_to_a_folder_that_is_a_flag_and_the_log_says_so() {
    let kept = folder(&[]);
    let server = Launch::new(&["--state", kept.path().to_str().unwrap()]).env("FOGHORN_REDIS", NOWHERE).start();
    server.wait_for_log("WARN  [foghorn] FOGHORN_REDIS gives way to the flag --state");
    server.wait_for_log("what is said is kept in");
}
