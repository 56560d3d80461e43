//! How the values of flags are written: lists, sizes, durations, numbers.
//!
//! Leaves to `flags` which flag has what. What must stay true: an error says what would be right.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;

use crate::config::limits::{CHANNELS_MAX, GREETING_BYTES_MAX, HEARTBEAT_RANGE, PATIENCE_RANGE};

/// What one flag, or its variable, lists with commas.
#[derive(Debug, Clone)]
pub(super) struct List<T>(Vec<T>);

pub(super) fn members<T>(lists: Vec<List<T>>) -> Vec<T> {
    lists.into_iter().flat_map(|list| list.0).collect()
}

/// A list with commas. Blanks around a member and empty members are passed over: a comma too many is no mistake that matters.
pub(super) fn parse_list<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<List<T>, String> {
    let members: Vec<T> =
        text.split(',').map(str::trim).filter(|member| !member.is_empty()).map(parse).collect::<Result<_, _>>()?;
    if members.is_empty() {
        return Err("a value is required".to_owned());
    }
    Ok(List(members))
}

pub(super) fn parse_names(text: &str) -> Result<List<String>, String> {
    parse_list(text, |name| Ok(name.to_owned()))
}

/// What lists of codes have. Nothing is refused here: an error of clap's would show it.
pub(super) fn code_texts(lists: &[OsString]) -> Vec<String> {
    let members_of = |list: &OsString| match parse_names(&list.to_string_lossy()) {
        Ok(List(members)) => members,
        Err(_) => vec![String::new()],
    };
    lists.iter().flat_map(members_of).collect()
}

pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is no socket address such as 192.168.1.5:1920 or [::]:1920"))
}

pub(super) fn parse_greeting(text: &str) -> Result<String, String> {
    if text.len() > GREETING_BYTES_MAX {
        return Err(format!("it has {} bytes, and {GREETING_BYTES_MAX} are allowed", text.len()));
    }
    Ok(text.to_owned())
}

pub(super) fn parse_size(text: &str, [min, max]: [u64; 2]) -> Result<usize, String> {
    let size: ByteSize = text.parse().map_err(|_| "write a size such as 512KiB, 1MiB or 100kB".to_owned())?;
    if !(min..=max).contains(&size.as_u64()) {
        return Err(format!("it has to be from {} to {}", ByteSize(min), ByteSize(max)));
    }
    usize::try_from(size.as_u64()).map_err(|_| "that is more than this machine can address".to_owned())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "write a duration with its unit, such as 500ms, 2s or 1m".to_owned())
}

pub(super) fn parse_patience(text: &str) -> Result<Duration, String> {
    let [min, max] = PATIENCE_RANGE;
    let patience = parse_duration(text)?;
    if !(min..=max).contains(&patience) {
        let [min, max] = PATIENCE_RANGE.map(humantime::format_duration);
        return Err(format!("it has to be from {min} to {max}"));
    }
    Ok(patience)
}

pub(super) fn parse_heartbeat(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let heartbeat = parse_duration(text)?;
    let [min, max] = HEARTBEAT_RANGE;
    if !heartbeat.is_zero() && !(min..=max).contains(&heartbeat) {
        let [min, max] = HEARTBEAT_RANGE.map(humantime::format_duration);
        return Err(format!("it has to be 0 or from {min} to {max}"));
    }
    Ok(heartbeat)
}

pub(super) fn parse_count<N: FromStr + Default + PartialEq>(text: &str) -> Result<N, String> {
    let count = text.parse().ok().filter(|count| *count != N::default());
    count.ok_or_else(|| "write a whole number from 1 on".to_owned())
}

pub(super) fn parse_channels(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count <= CHANNELS_MAX => Ok(count),
        _ => Err(format!("write a whole number from 0 to {CHANNELS_MAX}")),
    }
}
