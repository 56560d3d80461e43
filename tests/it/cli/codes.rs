//! Codes as settings: where they come from, what the log says of them, and how those are told that cannot be. None is ever shown.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use foghorn::config::limits::{CODE_BYTES_MAX, CODES_FILE_BYTES_MAX};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::harness::{Closed, Launch, folder};

const SECRET: &str = "Secret-4711";

/// A file of codes that only its owner may use.
fn codes_file(text: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = folder(&[("codes", text.as_ref())]);
    let path = folder.path().join("codes");
    allow(&path, 0o600);
    (folder, path)
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn with_file(path: &Path) -> Launch {
    Launch::new(&["--codes"]).arg(path)
}

fn with_args(path: &Path, args: &[&str]) -> Launch {
    args.iter().fold(with_file(path), Launch::arg)
}

/// What the log says of codes at the start.
fn summary(launch: Launch) -> Option<String> {
    let log = launch.start().log();
    assert!(!log.contains(SECRET), "{log}");
    log.lines().find_map(|line| Some(line.split_once("codes: ")?.1.to_owned()))
}

/// It does not start, says all this in one sentence, and shows no code.
fn expect_refusal(launch: Launch, parts: &[&str]) {
    let finished = launch.run();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    finished.expect_a_sentence();
    for part in parts {
        assert!(finished.stderr.contains(part), "{part:?}: {finished:?}");
    }
    assert!(!finished.stderr.contains(SECRET), "{finished:?}");
}

#[test]
fn a_bad_code_is_told_by_its_flag() {
    let too_long = SECRET.repeat(CODE_BYTES_MAX);
    for bad in ["", "a=", " ,", &too_long, "a=b=Secret-4711", "Secret-4711/", "ä.Secret-4711"] {
        for (flag, its_variable) in [("--code", "FOGHORN_CODES"), ("--send-code", "FOGHORN_SEND_CODES")] {
            let place = format!("{flag} ({its_variable}): ");
            expect_refusal(Launch::new(&[flag, bad]), &[&place, "1 to 64 of A-Z a-z 0-9 - . _ ~"]);
        }
    }
    for bad in ["", "a b", "/c/a", &"x".repeat(65)] {
        let bad = format!("{bad}={SECRET}");
        let parts = ["--code (FOGHORN_CODES)", "no name of a channel", "/ for the main channel"];
        expect_refusal(Launch::new(&["--code", &bad]), &parts);
        expect_refusal(Launch::new(&[]).env("FOGHORN_CODES", bad), &parts);
    }
    let not_utf8 = std::ffi::OsString::from_vec([SECRET.as_bytes(), b"\xff"].concat());
    expect_refusal(Launch::new(&["--code"]).arg(not_utf8.clone()), &["--code (FOGHORN_CODES)"]);
    expect_refusal(Launch::new(&[]).env("FOGHORN_SEND_CODES", not_utf8), &["--send-code (FOGHORN_SEND_CODES)"]);
    expect_refusal(Launch::new(&["--code", "a=1", "--code", "b=2,c=/"]), &["--code (FOGHORN_CODES), number 3: "]);
}

#[test]
fn codes_that_do_not_go_together_are_told_by_their_places() {
    let (_folder, path) = codes_file(format!("\nsend-code show={SECRET}\n"));
    let place = format!("{}:2: ", path.display());
    for (args, parts) in [
        (&["--code", "1", "--code", "2"][..], &["--code (FOGHORN_CODES), number 2: ", "come in to all channels"][..]),
        (&["--code", "Lights=1,lights=2"], &["number 2: ", "number 1 has", "/c/lights"]),
        (&["--send-code", "show=Secret-4711"], &[&place, "--send-code (FOGHORN_SEND_CODES) has", "send in /c/show"]),
        (&["--code", "Secret-4711"], &[&place, "/c/show", "nobody could only receive"]),
        (&["--code", "show=Secret-4711"], &[&place, "/c/show", "nobody could only receive"]),
        (&["--code", "a=1,/=2", "--max-channels", "1"], &[&place, "--max-channels 1"]),
    ] {
        expect_refusal(with_args(&path, args), parts);
    }
    let launch = with_args(&path, &["--code", "a=1,/=2", "--max-channels", "2"]);
    assert_eq!(summary(launch).unwrap(), "needed to come in to /, /c/a; needed to send in /c/show");
}

/// clap shows a word that it does not know.
#[test]
fn a_word_beside_a_code_is_not_shown() {
    for args in [
        &["--code", "4711", SECRET][..],
        &["--send-code=4711", SECRET],
        &["--code", "--Secret-4711"],
        &["--code", "-Secret-4711"],
        &["--codes", SECRET],
        &["--cod", SECRET],
        &["--cod=Secret-4711"],
        &["--code:Secret-4711"],
        &["--send-codeSecret-4711"],
        &["--codesSecret-4711"],
    ] {
        let finished = Launch::new(args).run();
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("--code"), "{finished:?}");
        assert!(!finished.stderr.contains(SECRET) && finished.stdout.is_empty(), "{finished:?}");
    }
    let finished = Launch::new(&["--code", SECRET, "--no-ecko"]).run();
    assert!(finished.stderr.contains("--no-ecko") && !finished.stderr.contains(SECRET), "{finished:?}");
    let help = Launch::new(&["--help"]).env("FOGHORN_CODES", SECRET).env("FOGHORN_SEND_CODES", SECRET).run();
    assert!(help.code == Some(0) && !help.stdout.contains(SECRET), "{help:?}");
}

#[test]
fn the_log_says_which_channels_need_a_code() {
    assert_eq!(summary(Launch::new(&[])), None);
    assert_eq!(summary(Launch::new(&[]).env("FOGHORN_CODES", " , ").env("FOGHORN_CODES_FILE", "")), None);
    let launch = Launch::new(&["--code", SECRET, "--send-code", "show=2", "--send-code=SHOW-2=Secret"]);
    assert_eq!(summary(launch).unwrap(), "needed to come in to all channels; needed to send in /c/show, /c/show-2");
    let launch = Launch::new(&[]).env("FOGHORN_CODES", ",lights=1, /=Secret-4711 ,").env("FOGHORN_SEND_CODES", "2");
    assert_eq!(summary(launch).unwrap(), "needed to come in to /, /c/lights; needed to send in all channels");
    let launch = Launch::new(&["--code", "a=1"]).env("FOGHORN_CODES", "b=2");
    assert_eq!(summary(launch).unwrap(), "needed to come in to /c/a", "a flag wins over its variable");
}

#[test]
fn a_variable_that_sets_no_code_is_warned_of() {
    let launch = Launch::new(&[]).env("FOGHORN_SEND_CODE", SECRET);
    let warning = summary(launch).unwrap();
    assert_eq!(warning, "none is needed; FOGHORN_SEND_CODE sets none for a server, FOGHORN_SEND_CODES does");
    let launch = Launch::new(&["--code", "a=1"]).env("FOGHORN_CODE", SECRET);
    assert_eq!(summary(launch).unwrap(), "needed to come in to /c/a", "a client's code is nothing to warn of");
    assert_eq!(summary(Launch::new(&[]).env("FOGHORN_CODE", "")), None);
}

#[test]
fn a_file_has_one_setting_a_line() {
    for text in ["", "\n\n", "# only a comment", "\r\n  # another\r\n", "\u{feff}# of Windows\r\n"] {
        assert_eq!(summary(with_file(&codes_file(text).1)), None, "{text:?}: no codes");
    }
    let text = "# For the club:\ncode Secret-4711  # till May\r\n\n  code\tlights=1\nsend-code /=2 \n# caf\u{e9}";
    let latin_1: Vec<u8> = text.chars().map(|char| char as u8).collect();
    for text in [text.as_bytes(), &latin_1, format!("\u{feff}{text}").as_bytes(), text.replace('\n', "\r").as_bytes()] {
        let (_folder, path) = codes_file(text);
        let expected = "needed to come in to all channels (one of its own: /c/lights); needed to send in /";
        assert_eq!(summary(with_file(&path)).as_deref(), Some(expected));
        let launch = Launch::new(&["--code", "b=3"]).env("FOGHORN_CODES_FILE", &path);
        assert!(summary(launch).unwrap().contains("(one of its own: /c/b, /c/lights)"), "both together");
    }
}

#[test]
fn a_bad_line_is_told_by_its_number() {
    for bad in [
        "Secret-4711",
        "lights=Secret-4711",
        "Code Secret-4711",
        "code: Secret-4711",
        "code=Secret-4711",
        "code",
        "send-code   # none",
        "code lights= Secret-4711",
        "code lights = Secret-4711",
        "code Secret-4711 Secret-4711",
        "code Secret-4711#",
        "code lights=",
        "code =Secret-4711",
        "code a/b=Secret-4711",
        "code Secret-4711\u{e9}",
        "code Secret-4711\0",
    ] {
        let (_folder, path) = codes_file(format!("# one\r\n\r\n{bad}\nneither is this one"));
        expect_refusal(with_file(&path), &[&format!("foghorn: {}:3: ", path.display())]);
    }
}

#[test]
fn a_file_that_others_may_use_is_not_read() {
    let (folder, path) = codes_file(format!("code {SECRET}"));
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666, 0o044] {
        allow(&path, mode);
        let its_mode = format!("(mode {mode:03o})");
        let parts = ["--codes (FOGHORN_CODES_FILE)", &its_mode, "chmod 600", path.to_str().unwrap()];
        expect_refusal(with_file(&path), &parts);
    }
    // What systemd hands over may have an access list, which looks like this.
    allow(&path, 0o440);
    let launch = with_file(&path).env("CREDENTIALS_DIRECTORY", folder.path());
    assert_eq!(summary(launch).unwrap(), "needed to come in to all channels");
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(&path, elsewhere.path().join("codes")).unwrap();
    for (path, credentials) in [
        (elsewhere.path().join("codes"), elsewhere.path()),
        (folder.path().join("codes"), elsewhere.path()),
        (folder.path().join("codes"), Path::new("")),
    ] {
        expect_refusal(with_file(&path).env("CREDENTIALS_DIRECTORY", credentials), &["chmod 600"]);
    }
    for mode in [0o400, 0o600, 0o700] {
        allow(&path, mode);
        assert!(summary(with_file(&path)).is_some(), "{mode:o}");
    }
}

#[test]
fn what_is_no_plain_file_is_named_and_never_waited_for() {
    let folder = folder(&[("sub/codes", b"")]);
    let at = |name: &str| folder.path().join(name);
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _listening = UnixListener::bind(at("socket")).unwrap();
    symlink(at("pipe"), at("link")).unwrap();
    for (path, what) in [
        (at("sub"), "is a folder"),
        (at("pipe"), "is a pipe"),
        (at("link"), "is a pipe"),
        (at("socket"), "is a socket"),
        (PathBuf::from("/dev/null"), "is a device"),
        (at("none"), "cannot be read (No such file"),
        (at("sub/codes/none"), "cannot be read (Not a directory"),
    ] {
        expect_refusal(with_file(&path), &["--codes (FOGHORN_CODES_FILE)", path.to_str().unwrap(), what]);
    }
    let _closed = Closed::new(at("sub/codes"));
    expect_refusal(with_file(&at("sub/codes")).without_rights(), &["cannot be read (Permission denied"]);
}

#[test]
fn a_file_of_more_than_64_kib_is_none_of_codes() {
    let longest = usize::try_from(CODES_FILE_BYTES_MAX).unwrap();
    let mut text = format!("code {SECRET}\n");
    text += &"#".repeat(longest - text.len());
    let (_folder, path) = codes_file(&text);
    assert_eq!(summary(with_file(&path)).unwrap(), "needed to come in to all channels");
    fs::write(&path, text + "#").unwrap();
    expect_refusal(with_file(&path), &["--codes (FOGHORN_CODES_FILE)", "has more than 64 KiB"]);
}
