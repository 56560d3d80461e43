//! From the settings to the codes: what flags say, and what stands in the file.
//!
//! Leaves to `codes` which of them go together. What must stay true: a file that others could read is not used, nothing is waited
//! for, and no sentence shows a code.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::access::codes::{Codes, Right, Setting};
use crate::config::limits::CODES_FILE_BYTES_MAX;
use crate::config::settings::{CodeSettings, Config};

const FILE_FLAG: &str = "--codes (FOGHORN_CODES_FILE)";

/// With what editors of Windows begin a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The codes of these settings. `variable` is the environment, in which systemd says where it puts credentials.
///
/// # Errors
/// If there can be no such codes, or their file cannot be used; a sentence that says which flag it is, or which line of the file.
pub fn codes(config: &Config, variable: impl Fn(&str) -> Option<OsString>) -> Result<Codes, String> {
    let CodeSettings { to_receive, to_send, file } = &config.codes;
    let mut settings = of_flag("--code (FOGHORN_CODES)", Right::Receive, to_receive)?;
    settings.extend(of_flag("--send-code (FOGHORN_SEND_CODES)", Right::Send, to_send)?);
    if let Some(path) = file {
        let credentials = variable("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let text = read(path, credentials.as_deref())?;
        settings.extend(of_lines(path, &text)?);
    }
    Codes::new(settings, config.limits.channels_max)
}

/// What to warn of where no code was set, though somebody may have meant to: a variable that is a client's, or nobody's, and close to
/// ours. Without a word, everybody would come in.
pub fn mistaken(codes: &Codes, variable: impl Fn(&str) -> Option<OsString>) -> Option<String> {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let close = [("FOGHORN_CODE", "FOGHORN_CODES"), ("FOGHORN_SEND_CODE", "FOGHORN_SEND_CODES")];
    let (name, ours) = close.into_iter().find(|(name, _)| is_set(name))?;
    codes.summary().is_none().then(|| format!("codes: none is needed; {name} sets none for a server, {ours} does"))
}

fn of_flag(flag: &str, needed_to: Right, texts: &[String]) -> Result<Vec<Setting>, String> {
    let place = |nth| if texts.len() == 1 { flag.to_owned() } else { format!("{flag}, number {}", nth + 1) };
    texts.iter().enumerate().map(|(nth, text)| Setting::parse(place(nth), needed_to, text)).collect()
}

/// One setting a line, as flags have it; with comments and empty lines. Lines end as they do on any system, or what stands behind a
/// comment could be taken for a part of it, and all be let in.
fn of_lines(path: &Path, text: &str) -> Result<Vec<Setting>, String> {
    let mut settings = Vec::new();
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).replace("\r\n", "\n");
    for (nth, line) in text.split(['\n', '\r']).enumerate() {
        let place = format!("{}:{}", path.display(), nth + 1);
        let mut words = line.split_ascii_whitespace().take_while(|word| !word.starts_with('#'));
        let Some(first) = words.next() else { continue };
        let needed_to = match first {
            "code" => Right::Receive,
            "send-code" => Right::Send,
            _ => return Err(format!("{place}: a line is code [NAME=]CODE or send-code [NAME=]CODE")),
        };
        match (words.next(), words.next()) {
            (setting, None) => settings.push(Setting::parse(place, needed_to, setting.unwrap_or_default())?),
            _ => return Err(format!("{place}: behind {first} there is one word, NAME=CODE without blanks, or CODE")),
        }
    }
    Ok(settings)
}

/// What stands in the file.
fn read(path: &Path, credentials: Option<&Path>) -> Result<String, String> {
    let wrong = |what: String| format!("{FILE_FLAG} {} {what}", path.display());
    let unreadable = |error: io::Error| {
        if error.kind() == ErrorKind::NotFound && path.components().count() == 1 {
            // This may be a code, and is not shown.
            return format!("{FILE_FLAG}: there is no file of this name; a code itself is given with --code");
        }
        wrong(format!("cannot be read ({error}): give a file that exists and can be read"))
    };
    let check = |metadata: &Metadata| {
        check_kind(metadata).map_err(wrong)?;
        if is_within(path, credentials) { Ok(()) } else { check_mode(metadata, path).map_err(wrong) }
    };
    // Before it is opened, since opening a FIFO waits for who writes, and then what was opened.
    fs::metadata(path).map_err(unreadable).and_then(|metadata| check(&metadata))?;
    let file = File::open(path).map_err(unreadable)?;
    file.metadata().map_err(unreadable).and_then(|metadata| check(&metadata))?;
    let mut bytes = Vec::new();
    file.take(CODES_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > CODES_FILE_BYTES_MAX {
        return Err(wrong(format!(
            "has more than {} KiB: give one that has codes and little else",
            CODES_FILE_BYTES_MAX >> 10
        )));
    }
    // Comments may be in any encoding; what is not ASCII is no code.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn check_kind(metadata: &Metadata) -> Result<(), String> {
    let kind = metadata.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "folder",
        () if kind.is_fifo() => "pipe",
        () if kind.is_socket() => "socket",
        () => "device",
    };
    Err(format!("is a {what}: give a plain file"))
}

fn check_mode(metadata: &Metadata, path: &Path) -> Result<(), String> {
    let mode = metadata.permissions().mode() & 0o777;
    let of_others = mode & 0o077;
    if of_others == 0 {
        return Ok(());
    }
    Err(format!("may be used by others than its owner (mode {mode:03o}): chmod 600 {}", path.display()))
}

/// Whether it is a credential of systemd, which looks after who reads it: its modes may be those of an access list.
fn is_within(path: &Path, credentials: Option<&Path>) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    credentials.and_then(real).zip(real(path)).is_some_and(|(folder, path)| path.starts_with(folder))
}

#[cfg(test)]
mod tests;
