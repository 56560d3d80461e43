//! A server that is to be started: arguments, environment, and what it inherits.

use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::output::Finished;
use super::server::{Server, runtime_folder};
use super::wait::eventually;

/// What a server is started with.
pub struct Launch {
    args: Vec<OsString>,
    envs: Vec<(String, OsString)>,
    before: String,
    stdin: Stdio,
    stdout: Stdio,
    addresses_expected: usize,
    runtime: TempDir,
}

impl Launch {
    /// A server on one free port of the loopback interface.
    pub fn new(args: &[&str]) -> Self {
        Self::bare(&[&["--listen", "127.0.0.1:0"], args].concat()).expecting(1)
    }

    /// A server with these arguments and no others.
    pub fn bare(args: &[&str]) -> Self {
        Self {
            args: args.iter().map(OsString::from).collect(),
            envs: Vec::new(),
            before: String::new(),
            stdin: Stdio::null(),
            stdout: Stdio::piped(),
            addresses_expected: 0,
            runtime: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// Waits for so many addresses in the log before the server counts as started.
    pub fn expecting(mut self, addresses: usize) -> Self {
        self.addresses_expected = addresses;
        self
    }

    /// One more argument, which need not be UTF-8.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.envs.push((name.to_owned(), value.into()));
        self
    }

    /// Shell commands to run in the process before it becomes the server, such as `ulimit`.
    pub fn before(mut self, commands: &str) -> Self {
        self.before.push_str(commands);
        self.before.push('\n');
        self
    }

    /// A server that finds `/tmp` read-only. For a test in its [own network](super::in_own_network), since it mounts something.
    pub fn with_read_only_tmp(self) -> Self {
        let script = "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && exec \"$@\"";
        self.before(&format!("set -- unshare --mount sh -c '{script}' sh \"$@\""))
    }

    /// Takes the rights of root away, which reads everything: then it is like any user.
    pub fn without_rights(self) -> Self {
        self.before(
            r#"[ "$(id -u)" != 0 ] || exec setpriv --bounding-set=-all --inh-caps=-all --pdeathsig KILL -- "$@""#,
        )
    }

    /// Puts this socket where `sd_listen_fds(3)` has the only one, and names the process itself.
    pub fn hand_over(self, socket: impl Into<OwnedFd>) -> Self {
        self.stdin(socket).before("exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1")
    }

    /// Gives the process this socket as its standard input, for `before` to put in place.
    pub fn stdin(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.stdin = Stdio::from(socket.into());
        self
    }

    /// Gives the process this socket as its standard output.
    pub fn stdout(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.stdout = Stdio::from(socket.into());
        self
    }

    /// Starts the process, and waits until it says where it listens.
    pub fn start(self) -> Server {
        let expected = self.addresses_expected;
        let mut server = self.spawn();
        eventually("the server says where it listens", || {
            assert!(server.try_exit().is_none(), "the server has ended: {}", server.log());
            server.find_addresses();
            server.addresses.len() >= expected
        });
        server
    }

    /// Starts the process and waits for its end. For those that cannot start.
    pub fn run(self) -> Finished {
        self.spawn().finish()
    }

    fn spawn(self) -> Server {
        let mut command = program(&self.before, &self.args);
        let folder = runtime_folder(&self.runtime);
        fs::create_dir(&folder).expect("the temporary folder is empty");
        command.env("RUNTIME_DIRECTORY", &folder).env("TMPDIR", &folder).env_remove("XDG_RUNTIME_DIR");
        command.envs(self.envs);
        command.stdin(self.stdin).stdout(self.stdout).stderr(Stdio::piped());
        Server::of(command.spawn().expect("the server's process starts"), self.runtime)
    }
}

/// The binary with these arguments, behind these shell commands, with nothing in its environment that it could read.
pub(super) fn program(before: &str, args: &[OsString]) -> Command {
    let mut words: Vec<OsString> = Vec::new();
    if let Some(runner) = std::env::var_os("FOGHORN_RUNNER") {
        words.extend(runner.to_string_lossy().split_whitespace().map(OsString::from));
    }
    words.push(std::env::var_os("FOGHORN_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_foghorn").into()));
    words.extend(args.iter().cloned());
    let mut command = Command::new("env");
    // Ended with this process, even if that is killed and drops nothing.
    let script = format!("{before}exec setpriv --pdeathsig KILL -- \"$@\"");
    // Whoever runs the tests may ignore some of these, as a script does for what it starts with `&`.
    command.args(["--default-signal=HUP,INT,TERM", "sh", "-c"]).arg(script).arg("sh").args(words);
    for (name, _) in std::env::vars_os() {
        let is_for_foghorn = ["FOGHORN_", "LISTEN_", "NOTIFY_", "WATCHDOG_", "JOURNAL_", "RUST_"];
        if is_for_foghorn.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}
