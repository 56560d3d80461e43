//! Fuzz targets: what strangers send, against rules that are written down a second time, in another way.
//!
//! - [`head`]: request heads · [`body`]: their bodies · [`host_policy`]: Host and Origin · [`path`]: paths of the page · [`byte_range`]: parts of files ·
//!   [`query`]: what is wanted of a channel · [`code`]: the code for it · [`after`]: where to go on
//! - [`address`]: the address that a client of the shell is given
//! - [`channel`]: published frames, through the backlog and partial writes, to what a client decodes
//! - [`stream`]: messages as streams over HTTP show them
//! - [`client`]: what a client sends over its WebSocket
//!
//! A target takes any bytes, panics where a rule is broken, and returns a [`Kind`]: a number for what the input turned out
//! to be. The runner keeps an input that is the first of its kind, and mutates it further; so, with no view into the
//! code (stable Rust has none to offer), it still finds its way past the first check.

#![forbid(unsafe_code)]

pub mod address;
pub mod after;
pub mod body;
pub mod byte_range;
pub mod channel;
pub mod client;
pub mod code;
pub mod head;
pub mod host_policy;
pub mod mutate;
pub mod path;
pub mod query;
pub mod stream;

use std::hash::{DefaultHasher, Hash, Hasher};

use foghorn::access::codes::Right;
use foghorn::http::offered_code::OfferedCode;
use foghorn::server::permission::{Denied, Need, Permission};

/// What an input turned out to be.
pub type Kind = u64;

/// A target by its name, which is that of its corpus too.
pub type Target = (&'static str, fn(&[u8]) -> Kind);

/// All of them.
pub const TARGETS: [Target; 12] = [
    ("head", head::target),
    ("body", body::target),
    ("host_policy", host_policy::target),
    ("path", path::target),
    ("byte_range", byte_range::target),
    ("query", query::target),
    ("code", code::target),
    ("after", after::target),
    ("address", address::target),
    ("channel", channel::target),
    ("stream", stream::target),
    ("client", client::target),
];

/// A number for anything that tells kinds apart.
pub fn kind(of: impl Hash) -> Kind {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// The answer of a server that needs no code.
///
/// # Errors
/// Never.
pub fn everybody(_: Need<'_>, _: Option<&OfferedCode>) -> Result<Permission, Denied> {
    Ok(Permission::without_code(Right::Send))
}

/// Decodes `%XX` once and leaves everything else as it is, the way that browsers do.
///
/// Written by hand, as the other opinion on what `percent-encoding` does for the server.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits"));
                bytes = ahead;
            }
            _ => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).ok()
}
