//! `--exec`: one command that runs for one message.
//!
//! Leaves to its caller when SIGCHLD says that it has ended (`signals`), and when its standard input takes more. What must stay
//! true: nothing here waits for the command; and it starts as if a shell had started it, with none of our descriptors, with the
//! signals as they were when we were started, and with an end of its input.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use rustix::fs::{OFlags, fcntl_setfl};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::low_level::signal_name;

/// What a shell ends with when a program cannot be run, or is not there (POSIX, 2.8.2 Exit Status for Commands).
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;
/// A shell adds the number of the signal that has ended a program.
const SIGNALLED: i32 = 128;

/// A command with the message that it reads.
#[derive(Debug)]
pub struct RunningCommand {
    child: Child,
    /// There while something of the message is left.
    stdin: Option<ChildStdin>,
    input: Vec<u8>,
    written: usize,
}

impl RunningCommand {
    /// Starts `sh -c LINE` with these variables besides our own, and gives it as much of its standard input as its pipe takes. Its
    /// output goes where ours goes.
    ///
    /// # Errors
    /// If there can be no process, or no pipe.
    pub fn start(line: &OsStr, input: Vec<u8>, variables: &[(&str, String)]) -> io::Result<Self> {
        let variables = variables.iter().map(|(name, value)| (name, value));
        // Behind `--`, a line that begins with a minus is a line too.
        let mut child =
            Command::new("sh").arg("-c").arg("--").arg(line).envs(variables).stdin(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let mut command = Self { child, stdin, input, written: 0 };
        if let Some(stdin) = &command.stdin {
            // Only our end: what the command reads from stays as programs expect it.
            fcntl_setfl(stdin, OFlags::NONBLOCK)?;
        }
        command.feed();
        Ok(command)
    }

    /// While something of the message is left: what to poll for room to write. When it is ready, or has an error, `feed`.
    pub fn stdin_fd(&self) -> Option<BorrowedFd<'_>> {
        self.stdin.as_ref().map(AsFd::as_fd)
    }

    /// Writes what the pipe takes, and closes it behind the last byte. A command that does not read all of its input is fine.
    pub fn feed(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        while self.written < self.input.len() {
            match stdin.write(&self.input[self.written..]) {
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The command has closed it.
                Err(_) => break,
            }
        }
        self.close_stdin();
    }

    /// How it has ended; `None` while it runs. What it has left running does not count.
    ///
    /// # Errors
    /// If somebody else has waited for it.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let ended = self.child.try_wait()?;
        if ended.is_some() {
            self.close_stdin();
        }
        Ok(ended)
    }

    fn close_stdin(&mut self) {
        self.stdin = None;
        self.input = Vec::new();
    }
}

/// Whether a request to stop has ended it. Ctrl-C goes to all that a terminal runs, and a service manager's SIGTERM to all of a
/// service, so it need not have been meant for the command alone.
pub fn was_stopped(status: ExitStatus) -> bool {
    let shell_s = status.code().map(|code| code - SIGNALLED);
    status.signal().or(shell_s).is_some_and(|signal| [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(&signal))
}

/// What a command has failed with, as the end of a sentence; `None` if it has not.
pub fn failure(status: ExitStatus) -> Option<String> {
    if let Some(signal) = status.signal() {
        return Some(format!("was ended by {}", named(signal)));
    }
    let code = status.code().filter(|code| *code != 0)?;
    Some(match code {
        NOT_EXECUTABLE => {
            format!("ended with status {code}: it cannot be run (is it a program, and may this user run it?)")
        }
        NOT_FOUND => format!("ended with status {code}: there is no such program (check its name, and PATH)"),
        _ if signal_name(code - SIGNALLED).is_some() => {
            format!("ended with status {code}: a program in it was ended by {}", named(code - SIGNALLED))
        }
        _ => format!("ended with status {code}"),
    })
}

fn named(signal: i32) -> String {
    signal_name(signal).map_or_else(|| format!("signal {signal}"), |name| format!("signal {signal} ({name})"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsRawFd;
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, poll};
    use signal_hook::consts::SIGCHLD;
    use tempfile::TempDir;

    use super::*;
    use crate::os::signals;

    /// More than any pipe holds, in bytes.
    const LARGE_BYTES: usize = 4 << 20;
    const DEADLINE: Duration = Duration::from_secs(60);

    /// A line for `sh` that runs in a folder of its own, in which `out` is what it has written.
    struct InFolder {
        folder: TempDir,
        line: String,
    }

    impl InFolder {
        fn new(line: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let line = format!("cd {} && exec >out && {line}", folder.path().display());
            Self { folder, line }
        }

        fn start(&self, input: impl Into<Vec<u8>>) -> RunningCommand {
            let variables = [("FOGHORN_SEQ", "42".to_owned()), ("FOGHORN_KIND", "text".to_owned())];
            RunningCommand::start(self.line.as_ref(), input.into(), &variables).unwrap()
        }

        /// Runs it with this message to its end, as a caller does: waiting for both at once.
        fn run(&self, input: impl Into<Vec<u8>>) -> ExitStatus {
            let children = signals::children().unwrap();
            let mut command = self.start(input);
            let began = Instant::now();
            loop {
                if let Some(status) = command.try_wait().unwrap() {
                    return status;
                }
                assert!(began.elapsed() < DEADLINE, "it does not end");
                let mut polled = vec![PollFd::new(&children, PollFlags::IN)];
                let stdin = command.stdin_fd();
                polled.extend(stdin.iter().map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
                let _ = poll(&mut polled, Some(&rustix::event::Timespec::try_from(DEADLINE).unwrap()));
                let is_fed = polled.get(1).is_some_and(|stdin| !stdin.revents().is_empty());
                drop(polled);
                signals::drain(&children);
                if is_fed {
                    command.feed();
                }
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn out(&self) -> String {
            fs::read_to_string(self.path("out")).unwrap()
        }
    }

    #[test]
    fn the_message_is_its_standard_input_as_it_is_and_ends() {
        for message in [&b""[..], b"on", b"two\nlines\n", b"\0\xff\n\r"] {
            let command = InFolder::new("cat");
            assert!(command.run(message).success());
            assert_eq!(fs::read(command.path("out")).unwrap(), message);
        }
    }

    #[test]
    fn a_message_that_no_pipe_holds_goes_in_as_the_command_reads() {
        let message: Vec<u8> = (0..=250).cycle().take(LARGE_BYTES).collect();
        let command = InFolder::new("cat");
        assert!(command.run(message.clone()).success());
        assert!(fs::read(command.path("out")).unwrap() == message);
    }

    #[test]
    fn a_command_that_does_not_read_is_fine_and_starting_it_does_not_wait() {
        // It does not end before the test has found that it runs.
        let command = InFolder::new("exec <&- && while [ -e out ] && [ ! -e go ]; do sleep 0.01; done");
        let mut running = command.start(vec![0; LARGE_BYTES]);
        assert_eq!(running.try_wait().unwrap(), None);
        fs::write(command.path("go"), "").unwrap();
        let began = Instant::now();
        while running.stdin_fd().is_some() {
            let stdin = running.stdin_fd().unwrap();
            poll(&mut [PollFd::new(&stdin, PollFlags::OUT)], None).unwrap();
            running.feed();
            assert!(began.elapsed() < DEADLINE, "a closed pipe is not noticed");
        }
        assert!(running.child.wait().unwrap().success());
        assert!(InFolder::new("true").run(vec![0; LARGE_BYTES]).success());
    }

    #[test]
    fn what_it_leaves_running_is_not_waited_for() {
        let command = InFolder::new("exec 3<&0; { while [ -e out ] && [ ! -e go ]; do sleep 0.01; done; } <&3 & true");
        assert!(command.run(vec![0; LARGE_BYTES]).success(), "though its input is still open");
        fs::write(command.path("go"), "").unwrap();
    }

    #[test]
    fn it_knows_the_message_s_number_and_all_that_we_know() {
        let command = InFolder::new(r#"echo "$FOGHORN_SEQ $FOGHORN_KIND ${PATH:+path}""#);
        assert!(command.run("on").success());
        assert_eq!(command.out(), "42 text path\n");
    }

    #[test]
    fn no_word_of_the_message_is_a_word_of_the_shell() {
        let command = InFolder::new("cat");
        assert!(command.run("$(touch there); touch there").success());
        assert!(!command.path("there").exists());
    }

    #[test]
    fn its_line_may_begin_with_a_minus() {
        let status = RunningCommand::start("-e".as_ref(), Vec::new(), &[]).unwrap().child.wait().unwrap();
        assert_eq!(status.code(), Some(NOT_FOUND), "a program of that name is looked for");
    }

    #[test]
    fn none_of_our_descriptors_is_its_own_and_sigpipe_ends_it_again() {
        let command = InFolder::new("ls -l /proc/self/fd && grep -E '^Sig(Ign|Blk)' /proc/self/status");
        let ours = File::create(command.path("of-ours")).unwrap();
        let children = signals::children().unwrap();
        assert!(command.run("").success());
        let out = command.out();
        assert!(!out.contains("of-ours"), "{out}");
        let socket = fs::read_link(format!("/proc/self/fd/{}", children.as_raw_fd())).unwrap();
        assert!(!out.contains(socket.to_str().unwrap()), "{out}");
        drop(ours);
        for name in ["SigIgn", "SigBlk"] {
            let mask = out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t")).unwrap();
            let mask = u64::from_str_radix(mask, 16).unwrap();
            assert_eq!(mask & (1 << (signal_hook::consts::SIGPIPE - 1) | 1 << (SIGCHLD - 1)), 0, "{out}");
        }
    }

    #[test]
    fn a_request_to_stop_is_told_from_other_ends() {
        for (line, expected) in [
            ("kill -TERM $$", true),
            ("kill -HUP $$", true),
            ("sh -c 'kill -TERM $$'; exit $?", true),
            ("kill -KILL $$", false),
            ("exit 1", false),
            ("true", false),
        ] {
            assert_eq!(was_stopped(InFolder::new(line).run("")), expected, "{line}");
        }
    }

    #[test]
    fn a_failure_says_what_to_look_at() {
        let failure = |line: &str| failure(InFolder::new(line).run(""));
        assert_eq!(failure("true"), None);
        assert_eq!(failure("exit 3").unwrap(), "ended with status 3");
        assert_eq!(failure("exit 255").unwrap(), "ended with status 255");
        assert_eq!(failure("kill -KILL $$").unwrap(), "was ended by signal 9 (SIGKILL)");
        assert_eq!(failure("kill -34 $$").unwrap(), "was ended by signal 34");
        let within = failure("sh -c 'kill -TERM $$'; exit $?").unwrap();
        assert_eq!(within, "ended with status 143: a program in it was ended by signal 15 (SIGTERM)");
        assert!(failure("exec 2>&- no-such-program").unwrap().contains("check its name, and PATH"));
        assert!(failure("2>&- ./out").unwrap().contains("may this user run it?"));
    }
}
