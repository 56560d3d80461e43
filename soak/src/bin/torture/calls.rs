//! Which system calls can fail, and how: what their manual pages name, as far as it can happen to us.
//!
//! Leaves to `plan` when they fail. What must stay true: a call that Foghorn makes and that is not here ends the run, so that nothing new goes
//! untested; and no failure is made up that no kernel could give. Never made to fail are the results of sending with `EAGAIN`, and of
//! `epoll_wait`: each socket is registered once, edge-triggered, and a false "try again" is followed by no edge.

use std::collections::BTreeMap;

/// What is done with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It fails with each of these.
    Fails(&'static [&'static str]),
    /// It is let be, for a reason.
    LetBe(&'static str),
}

use Way::{Fails, LetBe};

const ONLY_WRONG_USE: &str = "it fails only for those who use it wrongly";
const OF_THREADS: &str = "the C library starts and ends threads with it, and takes no failure";
const NO_END: &str = "it does not come back";
const OPEN: &[&str] = &["EMFILE", "ENFILE", "ENOMEM", "EACCES", "EINTR", "ENOSPC"];
const FOLDERS: &[&str] = &["EACCES", "ENOSPC", "EROFS", "ENOMEM"];
const SEND: &[&str] = &["EPIPE", "ECONNRESET", "ENOBUFS", "ENOMEM", "EINTR"];
const STAT: &[&str] = &["EACCES", "ENOMEM"];

/// All calls that are known, in the order of the alphabet.
pub const CALLS: &[(&str, Way)] = &[
    ("accept4", Fails(&["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "EPROTO", "EPERM", "EINTR"])),
    ("access", LetBe("the loader's alone")),
    ("arch_prctl", LetBe(OF_THREADS)),
    ("bind", Fails(&["EADDRINUSE", "EACCES", "ENOMEM"])),
    ("brk", LetBe("its failure is no error: the kernel says where the break is, as it was")),
    ("clock_nanosleep", Fails(&["EINTR"])),
    ("clone3", Fails(&["EAGAIN", "ENOMEM"])),
    ("close", LetBe("the descriptor is gone in any case, and would not be if it were not called")),
    ("connect", Fails(&["ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL", "EACCES"])),
    ("dup", Fails(&["EMFILE"])),
    ("epoll_create1", Fails(&["EMFILE", "ENFILE", "ENOMEM"])),
    ("epoll_ctl", Fails(&["ENOMEM", "ENOSPC"])),
    ("epoll_pwait", LetBe("see above")),
    ("epoll_pwait2", LetBe("see above")),
    ("epoll_wait", LetBe("see above")),
    ("eventfd2", Fails(&["EMFILE", "ENFILE", "ENOMEM"])),
    ("execve", LetBe("it is how we come in")),
    ("exit", LetBe(NO_END)),
    ("exit_group", LetBe(NO_END)),
    ("fcntl", Fails(&["EMFILE"])),
    ("fdatasync", Fails(&["EIO", "ENOSPC", "EINTR"])),
    ("flock", Fails(&["EINTR", "ENOLCK", "EAGAIN"])),
    ("fstat", Fails(STAT)),
    ("fstatfs", Fails(&["EINTR", "EIO", "ENOMEM", "ENOSYS"])),
    ("fsync", Fails(&["EIO", "ENOSPC", "EINTR"])),
    ("ftruncate", Fails(&["EIO", "EINTR", "EPERM"])),
    ("futex", LetBe("locks are built on it, which have no failures")),
    ("getdents64", Fails(&["ENOENT", "EIO"])),
    ("geteuid", LetBe("it cannot fail")),
    ("getpeername", Fails(&["ENOBUFS", "ENOTCONN"])),
    ("getpid", LetBe("it cannot fail")),
    ("getrandom", Fails(&["EAGAIN", "EINTR"])),
    ("getsockname", Fails(&["ENOBUFS"])),
    ("getsockopt", Fails(&["ENOPROTOOPT", "ENOMEM"])),
    ("gettid", LetBe("it cannot fail")),
    ("ioctl", LetBe("what it asks for here, of sockets and terminals, cannot fail on them")),
    ("listen", Fails(&["EADDRINUSE"])),
    ("lseek", LetBe(ONLY_WRONG_USE)),
    ("madvise", Fails(&["EAGAIN", "ENOMEM"])),
    ("mkdir", Fails(FOLDERS)),
    ("mkdirat", Fails(FOLDERS)),
    ("mmap", Fails(&["ENOMEM"])),
    ("mprotect", Fails(&["ENOMEM"])),
    ("mremap", Fails(&["ENOMEM"])),
    ("munmap", Fails(&["ENOMEM"])),
    ("newfstatat", Fails(STAT)),
    ("open", Fails(OPEN)),
    ("openat", Fails(OPEN)),
    ("poll", Fails(&["EINTR", "ENOMEM"])),
    ("ppoll", Fails(&["EINTR", "ENOMEM"])),
    ("prctl", LetBe("it names threads for people")),
    ("pread64", Fails(&["EIO", "EINTR"])),
    ("prlimit64", Fails(&["EPERM"])),
    ("read", Fails(&["EIO", "EINTR"])),
    ("readlink", Fails(&["EACCES", "EIO", "ENOMEM"])),
    ("readlinkat", Fails(&["EACCES", "EIO", "ENOMEM"])),
    ("recvfrom", Fails(&["ECONNRESET", "ETIMEDOUT", "EINTR", "ENOMEM"])),
    ("recvmsg", Fails(&["EINTR", "ENOMEM", "ENOBUFS"])),
    ("rename", Fails(FOLDERS)),
    ("renameat", Fails(FOLDERS)),
    ("restart_syscall", LetBe("the kernel's own")),
    ("rmdir", Fails(&["EACCES", "EBUSY", "ENOTEMPTY"])),
    ("rseq", LetBe(OF_THREADS)),
    ("rt_sigaction", LetBe(ONLY_WRONG_USE)),
    ("rt_sigprocmask", LetBe(ONLY_WRONG_USE)),
    ("rt_sigreturn", LetBe(NO_END)),
    ("sched_getaffinity", LetBe(ONLY_WRONG_USE)),
    ("sched_yield", LetBe("it cannot fail")),
    ("sendmsg", Fails(SEND)),
    ("sendto", Fails(SEND)),
    ("set_robust_list", LetBe(OF_THREADS)),
    ("set_tid_address", LetBe(OF_THREADS)),
    ("setsockopt", Fails(&["ENOPROTOOPT", "ENOMEM"])),
    ("shutdown", Fails(&["ENOTCONN"])),
    ("sigaltstack", LetBe(OF_THREADS)),
    ("socket", Fails(&["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EACCES"])),
    ("socketpair", Fails(&["EMFILE", "ENFILE", "ENOMEM"])),
    ("statx", Fails(STAT)),
    ("sysinfo", LetBe(ONLY_WRONG_USE)),
    ("uname", LetBe(ONLY_WRONG_USE)),
    ("unlink", Fails(&["EACCES", "EIO", "EBUSY", "EROFS"])),
    ("unlinkat", Fails(&["EACCES", "EIO", "EBUSY", "EROFS"])),
    ("write", Fails(&["EIO", "ENOSPC", "EINTR", "EDQUOT"])),
    ("writev", Fails(SEND)),
];

/// What passes with the call that meets it: a signal that came, a connection that was given up. They do not fail for ever.
pub const PASSING: [&str; 3] = ["EINTR", "ECONNABORTED", "EPROTO"];

/// What is done with this call; `None` if it is not known.
pub fn way_of(call: &str) -> Option<Way> {
    CALLS.iter().find(|(name, _)| *name == call).map(|(_, way)| *way)
}

/// Whether a line of the trace with a failure that was made shows one that no kernel could give: such a run says nothing.
pub fn is_impossible(line: &str) -> bool {
    let Some((call, rest)) = call_of(line) else { return false };
    let words = rest.split_once(") = ").map_or(rest, |(words, _)| words);
    match call {
        // Each descriptor of another kind has other ends; a count of wakes has none.
        "write" | "read" => words.contains("<anon_inode:[eventfd]>"),
        // All but to make a second descriptor.
        "fcntl" => !words.contains("F_DUPFD"),
        // Who does not say that it may be, is never told so.
        "getrandom" => rest.contains("EAGAIN") && !words.contains("GRND_NONBLOCK"),
        // The bytes by which handlers of signals wake a thread of the same process: one, or up to 64 at a time, lie in a pair of sockets.
        "recvfrom" => [", 1, 0, NULL", ", 64, 0, NULL"].iter().any(|bytes| words.contains(bytes)),
        "sendto" => words.contains(", \"X\", 1, MSG_DONTWAIT"),
        _ => false,
    }
}

/// The lines of a trace that tell of a failure that was made, each whole: where another thread came between, strace writes it in two.
pub fn failures(trace: &str) -> Vec<String> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for line in trace.lines() {
        let thread = line.split_whitespace().next().unwrap_or_default();
        if let Some(beginning) = line.strip_suffix("<unfinished ...>") {
            begun.insert(thread, beginning);
        } else if line.ends_with("(INJECTED)") {
            let resumed = line.split_once(" resumed>").and_then(|(_, rest)| Some([*begun.get(thread)?, rest].concat()));
            found.push(resumed.unwrap_or_else(|| line.to_owned()));
        }
    }
    found
}

/// The name of the call in a line of a trace (`PID TIME CALL(...`), and what stands behind it.
pub fn call_of(line: &str) -> Option<(&str, &str)> {
    let behind_time = line.trim_start().split_once(' ')?.1.trim_start().split_once(' ')?.1;
    let (call, rest) = behind_time.split_once('(')?;
    call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some((call, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_call_once_and_in_order() {
        assert!(CALLS.windows(2).all(|two| two[0].0 < two[1].0));
        assert_eq!(way_of("no_such_call"), None);
    }

    #[test]
    fn nothing_is_made_up_that_no_kernel_gives() {
        for (call, way) in CALLS {
            let Fails(errnos) = way else { continue };
            assert!(!errnos.is_empty(), "{call}");
            let sends_or_waits = ["send", "write", "recv", "read", "epoll_pw", "epoll_w", "accept"];
            let is_edge = sends_or_waits.iter().any(|prefix| call.starts_with(prefix));
            assert!(!(is_edge && errnos.contains(&"EAGAIN")), "{call}: no edge follows a false EAGAIN");
        }
        assert!(is_impossible(
            "12  1.5 write(11<anon_inode:[eventfd]>, \"\", 8) = -1 EIO (Input/output error) (INJECTED)"
        ));
        assert!(!is_impossible("12  1.5 write(2</dev/pts/1>, \"\", 8) = -1 EIO (Input/output error) (INJECTED)"));
        assert!(is_impossible("12  1.5 fcntl(3<x>, F_GETFL) = -1 EMFILE (Too many open files) (INJECTED)"));
    }

    #[test]
    fn a_failure_in_two_lines_is_one() {
        let trace = "7 1.0 fcntl(3<x>, F_GETFL <unfinished ...>\n8 1.1 read(4, 1) = 1\n\
                     7 1.2 <... fcntl resumed>) = -1 EMFILE (Too many) (INJECTED)\n7 1.3 fcntl(4, F_GETFL) = 0\n";
        let found = failures(trace);
        assert_eq!(found, ["7 1.0 fcntl(3<x>, F_GETFL ) = -1 EMFILE (Too many) (INJECTED)"]);
        assert!(is_impossible(&found[0]));
    }

    #[test]
    fn a_call_is_found_in_its_line() {
        assert_eq!(
            call_of("2565  1796.6 write(13</x>, \"a\", 72 <unfinished ...>").map(|found| found.0),
            Some("write")
        );
        assert_eq!(call_of("2565  1796.6 <... write resumed>) = 72"), None);
        assert_eq!(call_of("2565  1796.6 --- SIGTERM {si_signo=SIGTERM} ---"), None);
        assert_eq!(call_of("2565  1796.6 +++ exited with 0 +++"), None);
    }
}
