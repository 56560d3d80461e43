//! What the scripts promise to whoever runs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::{folder, project};

#[test]
fn what_is_about_to_be_installed_is_said_before() {
    // An apt-get that installs nothing, and says when it was called; sudo is for who is not root.
    let programs = folder(&[
        (
            "apt-get",
            b"#!/bin/sh\necho \"apt-get $1\" >>\"$CALLED\"\n[ \"$1\" = update ] && cat <&3 >>\"$CALLED\"\nexit 1\n",
        ),
        ("sudo", b"#!/bin/sh\nshift\nexec \"$@\"\n"),
    ]);
    for name in ["apt-get", "sudo"] {
        fs::set_permissions(programs.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let called = programs.path().join("called");
    let said = programs.path().join("said");
    let run = |need: &str| {
        // What it has said when apt-get is called is read by that one, as its descriptor 3.
        let script = "exec 2>\"$SAID\" 3<\"$SAID\"; exec scripts/need \"$1\"";
        let ended = Command::new("sh")
            .args(["-c", script, "sh", need])
            .current_dir(project())
            .env("PATH", format!("{}:/usr/bin:/bin", programs.path().display()))
            .env("CALLED", &called)
            .env("SAID", &said)
            .status();
        ended.expect("sh is there").code()
    };
    assert_eq!(run("sh:dash"), Some(0));
    assert!(!called.exists(), "what is there is not installed");
    assert_eq!(run("no-such-program:no-such-package"), Some(1));
    let called = fs::read_to_string(called).expect("apt-get was called");
    let words = called.strip_prefix("apt-get update\n").expect("first of all");
    assert!(words.contains("installing") && words.contains("no-such-package"), "{words:?}");
    let all = fs::read_to_string(said).unwrap();
    assert!(all.ends_with("no-such-package; install them and try again\n"), "{all}");
}
