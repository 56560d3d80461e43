//! What the file of codes may be, and what may stand in it.

use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;
use crate::config::flags::Args;

/// A file that only its owner may use.
fn file(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("codes");
    fs::write(&path, text).unwrap();
    allow(&path, 0o600);
    (folder, path)
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn no_variable(_: &str) -> Option<OsString> {
    None
}

/// The codes of this command line, as the log tells them; with this environment.
fn summary(words: &[&str], variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<String>, String> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let args = Args::read(&words).unwrap();
    codes(&args.try_into().unwrap(), variable).map(|codes| codes.summary())
}

#[test]
fn codes_come_from_flags_and_from_a_file_and_each_is_told_by_its_place() {
    let (_folder, path) = file("\u{feff}# For the club:\r\nsend-code show=1 # till May\r\r  code\tlights=2\n");
    let path = path.to_str().unwrap();
    let all = summary(&["--code", "a=3", "--send-code", "b=4", "--codes", path], no_variable);
    assert_eq!(all, Ok(Some("codes: needed to come in to /c/a, /c/lights; needed to send in /c/b, /c/show".into())));
    assert_eq!(summary(&[], no_variable), Ok(None));
    for (words, place) in [
        (&["--code", "?"][..], "--code (FOGHORN_CODES): "),
        (&["--send-code", "a=1", "--send-code", "?"], "--send-code (FOGHORN_SEND_CODES), number 2: "),
    ] {
        assert!(summary(words, no_variable).is_err_and(|why| why.starts_with(place)), "{place}");
    }
    for (text, place, part) in [
        ("\ncode ?", ":2: ", "this can be no code"),
        ("code", ":1: ", "the code is empty"),
        ("code a=1 b=2", ":1: ", "behind code there is one word"),
        ("#\r\n\r\nsend-code a =1", ":3: ", "behind send-code there is one word"),
        ("codes a=1", ":1: ", "a line is code [NAME=]CODE or send-code"),
    ] {
        let why = of_lines(Path::new("file"), text).unwrap_err();
        assert!(why.starts_with(&format!("file{place}")) && why.contains(part), "{text:?}: {why}");
    }
}

#[test]
fn only_a_plain_file_is_read_and_nobody_waits_for_another() {
    let (folder, path) = file("code 1");
    assert_eq!(read(&path, None), Ok("code 1".into()));
    let [fifo, socket] = ["fifo", "socket"].map(|name| folder.path().join(name));
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _listener = UnixListener::bind(&socket).unwrap();
    let null = PathBuf::from("/dev/null");
    for (path, kind) in [(folder.path().to_owned(), "folder"), (fifo, "pipe"), (socket, "socket"), (null, "device")] {
        assert!(read(&path, None).is_err_and(|why| why.contains(&format!(" is a {kind}: "))), "{kind}");
    }
    // What is only a name may be a code.
    let missing = |path: &str| read(Path::new(path), None).unwrap_err();
    assert!(!missing("a-code-4711").contains("4711"));
    assert!(missing("/missing/codes-4711").contains("/missing/codes-4711 cannot be read"));
    let below = path.join("below");
    assert!(missing(below.to_str().unwrap()).contains("codes/below cannot be read"));
}

#[test]
fn a_file_has_so_many_bytes_at_most() {
    let most = usize::try_from(CODES_FILE_BYTES_MAX).unwrap();
    for (bytes, is_read) in [(most, true), (most + 1, false), (most + 2, false)] {
        let (_folder, path) = file(vec![b'#'; bytes]);
        assert_eq!(read(&path, None).map(|text| text.len()).ok(), is_read.then_some(bytes), "{bytes}");
    }
}

#[test]
fn a_file_that_others_may_use_is_not_used_unless_systemd_looks_after_it() {
    let (folder, path) = file("code lights=1");
    let other = tempfile::tempdir().unwrap();
    for mode in [0o600, 0o400, 0o700] {
        allow(&path, mode);
        assert!(read(&path, None).is_ok(), "{mode:o}");
    }
    for mode in [0o640, 0o604, 0o620, 0o601, 0o777] {
        allow(&path, mode);
        for credentials in [None, Some(other.path()), Some(Path::new("/missing"))] {
            let why = read(&path, credentials).unwrap_err();
            assert!(why.contains(&format!("(mode {mode:03o}): chmod 600 ")), "{why}");
        }
        assert!(read(&path, Some(folder.path())).is_ok(), "{mode:o}");
    }
    let words = ["--codes", path.to_str().unwrap()];
    let credentials = |at: &Path| {
        let at = at.as_os_str().to_owned();
        move |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| at.clone())
    };
    assert!(summary(&words, credentials(folder.path())).is_ok_and(|codes| codes.is_some()));
    assert!(summary(&words, credentials(Path::new(""))).is_err());
    assert!(summary(&words, no_variable).is_err());
}

#[test]
fn a_variable_that_is_close_to_ours_is_warned_of_where_no_code_was_set() {
    let set = |variable: &'static str, value: &'static str| move |name: &str| (name == variable).then(|| value.into());
    let none = Codes::default();
    let warned = mistaken(&none, set("FOGHORN_CODE", "1")).unwrap();
    assert!(warned.contains("FOGHORN_CODE sets none for a server, FOGHORN_CODES does"), "{warned}");
    assert!(mistaken(&none, set("FOGHORN_SEND_CODE", "1")).unwrap().contains("FOGHORN_SEND_CODES does"));
    assert_eq!(mistaken(&none, set("FOGHORN_CODE", "")), None);
    assert_eq!(mistaken(&none, set("FOGHORN_CODES", "1")), None);
    let some = Codes::new(vec![Setting::parse("here".into(), Right::Receive, "1").unwrap()], 1).unwrap();
    assert_eq!(mistaken(&some, set("FOGHORN_CODE", "1")), None);
}
