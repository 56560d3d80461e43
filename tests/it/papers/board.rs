//! A machine as the papers have it: their names lead to it, all ports are free, and the files that they name lie in its folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::block::{Block, blocks};
use crate::harness::{Lines, Server, eventually, patience};

/// Names that the papers give to machines, and an address that they give to a board.
const NAMES: &str = "127.0.0.1 localhost raspberrypi.local board hub.local board.lan\n::1 localhost\n";
const ADDRESS: &str = "192.168.1.5/32";

/// What the papers call and a machine of tests does not have, or not like this: each says what it was called with.
const PROGRAMS: [(&str, &str); 7] = [
    // A refusal is a failure.
    ("curl", "exec /usr/bin/curl --fail-with-body \"$@\""),
    ("sudo", "exec \"$@\""),
    ("nano", "echo 'code 4711' >>\"$1\""),
    ("journalctl", "echo journalctl \"$@\""),
    ("pinctrl", "echo pinctrl \"$@\""),
    ("aplay", "cat; echo; echo aplay \"$@\""),
    // What somebody has written for the messages of a channel.
    ("job.sh", "cat; echo"),
];

const FILES: [(&str, &[u8]); 2] = [("bell.ogg", b"OggS\0\xff"), ("chart.png", b"\x89PNG\xff")];

/// Such a machine. It is made within a test's own network, whose end is its end.
pub struct Board {
    folder: TempDir,
}

impl Board {
    pub fn new() -> Self {
        let board = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        board.write("etc/hosts", NAMES.as_bytes());
        for (name, script) in PROGRAMS {
            let folder = if name.contains('.') { "" } else { "bin/" };
            board.write_program(&format!("{folder}{name}"), &format!("#!/bin/sh\n{script}\n"));
        }
        let foghorn = std::env::var("FOGHORN_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_foghorn").to_owned());
        let runner = std::env::var("FOGHORN_RUNNER").unwrap_or_default();
        for path in ["bin/foghorn", "target/release/foghorn"] {
            board.write_program(path, &format!("#!/bin/sh\nexec {runner} '{foghorn}' \"$@\"\n"));
        }
        for (name, content) in FILES {
            board.write(name, content);
        }
        for (path, text) in files_of_papers() {
            board.write_program(path, &text);
        }
        board.run(&format!("mount --bind etc/hosts /etc/hosts && ip addr add {ADDRESS} dev lo"));
        board
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    fn write_program(&self, name: &str, text: &str) {
        self.write(name, text.as_bytes());
        fs::set_permissions(self.path().join(name), fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// A program on it, which `timeout` ends with all that it has started.
    pub fn start(&self, words: &[&str]) -> Program {
        let path =
            format!("{}:{}:/usr/sbin:/sbin", self.path().join("bin").display(), std::env::var("PATH").expect("a PATH"));
        let mut command = Command::new("timeout");
        command.arg((3 * patience()).as_secs().to_string()).args(words).current_dir(self.path());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FOGHORN_")) {
            command.env_remove(name);
        }
        command.env("PATH", path).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("timeout is there");
        let stdout = Lines::of(child.stdout.take().expect("it is piped"));
        let stderr = Lines::of(child.stderr.take().expect("it is piped"));
        Program { name: words.join(" "), child, stdout, stderr }
    }

    /// A shell command on it.
    pub fn start_shell(&self, command: &str) -> Program {
        self.start(&["sh", "-ec", command])
    }

    /// A shell command that ends by itself, and well; what it has written.
    pub fn run(&self, command: &str) -> String {
        let mut program = self.start_shell(command);
        program.expect_end();
        program.stdout.text()
    }
}

/// What runs on a board. It is ended with this value.
pub struct Program {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Program {
    /// Waits for its end, which is a good one.
    pub fn expect_end(&mut self) {
        let status = self.child.wait().expect("it is our child");
        self.stdout.join();
        self.stderr.join();
        assert!(status.success(), "{}: {status}: {}{}", self.name, self.stdout.text(), self.stderr.text());
    }

    /// Whether it ends well, whatever it has written.
    pub fn ends_well(mut self) -> bool {
        self.child.wait().expect("it is our child").success()
    }

    /// What it has written so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Ends it as a service manager does, and well.
    pub fn end(mut self) {
        self.terminate();
        self.expect_end();
    }

    pub fn wait_for_line(&mut self, line: &str) {
        self.wait_for(line, |program| program.stdout().lines().any(|other| other == line));
    }

    pub fn wait_for_any_line(&mut self) {
        self.wait_for("a line", |program| program.stdout().ends_with('\n'));
    }

    pub fn wait_for_log(&mut self, text: &str) {
        self.wait_for(text, |program| program.stderr.text().contains(text));
    }

    fn wait_for(&mut self, what: &str, is_there: impl Fn(&Self) -> bool) {
        eventually(&format!("{} says {what:?}", self.name), || {
            let ended = self.child.try_wait().expect("it is our child");
            is_there(self) || {
                assert!(ended.is_none(), "{} has ended: {}{}", self.name, self.stdout.text(), self.stderr.text());
                false
            }
        });
    }

    fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        // It may have ended already; that is fine.
        let _ = Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status().expect("sh is there");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.terminate();
        let _ = self.child.wait();
    }
}

/// Files that the papers show whole: the script of the lamp, and the page of five lines.
fn files_of_papers() -> [(&'static str, String); 2] {
    let all = blocks();
    let only = |paper: &str, is_it: fn(&Block) -> bool| {
        let block = all.iter().find(|block| block.paper == paper && is_it(block));
        block.unwrap_or_else(|| panic!("{paper} does not show it any more")).text.clone()
    };
    [
        ("lamp.sh", only("docs/shell.md", |block| block.text.starts_with("#!"))),
        ("my-page/index.html", only("docs/your-own-page.md", |block| block.language == "html")),
    ]
}

/// Waits until somebody is in the channel at this path.
pub fn wait_for_client(server: &Server, path: &str) {
    eventually(&format!("somebody is in {path}"), || {
        let figures = server.get(&format!("{path}?status"));
        serde_json::from_slice(&figures.body).is_ok_and(|figures: serde_json::Value| figures["clients"] == 1)
    });
}
