//! The head of a request: read with a limit and a deadline, and parsed.
//!
//! Knows no routes; `server::route` decides what a request is for. What must stay true: an accepted head is small, complete and
//! unambiguous, so no server behind this one can read it differently.

use std::borrow::Cow;
use std::io::{self, Read};
use std::net::SocketAddr;

use crate::config::limits::{HEAD_BYTES_MAX, HEAD_SMALL_BYTES, HEADERS_MAX};
use crate::http::body::Framing;
use crate::http::host::{Host, authority_of};
use crate::http::refusal::{
    AMBIGUOUS, BAD_METHOD, BAD_TARGET, HEAD_TOO_LARGE, NO_HOST, NOT_HTTP, Refusal, TOO_MANY_HEADERS,
};
use crate::runtime::socket::Async;
use crate::runtime::tcp::TcpSocket;

/// How much is read at a time, in bytes: what most heads need.
pub const CHUNK_BYTES: usize = 1024;

/// Waits until a head has begun, and takes the empty lines before it away. False: the client has closed the connection.
///
/// # Errors
/// If there are more of these than a head may be long.
pub async fn wait_for_head(socket: &Async<TcpSocket>, buffer: &mut Vec<u8>) -> Result<bool, Refusal> {
    let mut skipped_bytes = 0;
    loop {
        let before = buffer.len();
        if has_begun(buffer) {
            return Ok(true);
        }
        skipped_bytes += before - buffer.len();
        if skipped_bytes > HEAD_BYTES_MAX {
            return Err(HEAD_TOO_LARGE);
        }
        if !read_more(socket, buffer, HEAD_BYTES_MAX).await {
            return Ok(false);
        }
    }
}

/// Reads until a head that has begun is complete, and returns its length within `buffer`; what follows it stays there too. `None`:
/// the client has closed the connection. When the head becomes a large one, a permit is taken into `large`.
///
/// # Errors
/// As soon as the bytes cannot become an acceptable head, or there is no permit.
pub async fn read_head<P>(
    socket: &Async<TcpSocket>,
    buffer: &mut Vec<u8>,
    large: &mut Option<P>,
    admit_large: impl Fn() -> Result<P, Refusal>,
) -> Result<Option<usize>, Refusal> {
    let mut scanned = 0;
    loop {
        if let Some(head_bytes) = scan(buffer, scanned)? {
            return Ok(Some(head_bytes));
        }
        scanned = buffer.len();
        if scanned == HEAD_BYTES_MAX {
            return Err(HEAD_TOO_LARGE);
        }
        if scanned >= HEAD_SMALL_BYTES && large.is_none() {
            *large = Some(admit_large()?);
        }
        let bytes_max = if large.is_some() { HEAD_BYTES_MAX } else { HEAD_SMALL_BYTES };
        if !read_more(socket, buffer, bytes_max - scanned).await {
            return Ok(None);
        }
    }
}

/// Reads what is there, up to `bytes_max`. False: the client has closed the connection.
async fn read_more(socket: &Async<TcpSocket>, buffer: &mut Vec<u8>, bytes_max: usize) -> bool {
    // No await while the buffer is longer than the bytes read: at a deadline it holds what has come and nothing else.
    socket.readable().await;
    let before = buffer.len();
    buffer.resize(before + bytes_max.min(CHUNK_BYTES), 0);
    let read = socket.try_read(|mut socket| socket.read(&mut buffer[before..]));
    buffer.truncate(before + read.as_ref().copied().unwrap_or(0));
    match read {
        Ok(bytes) => bytes > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Takes the empty lines before a request away, and says whether it has begun. Some clients send one behind a body (RFC 9112
/// section 2.2). A bare LF is none: who ends lines so ends the lines of a head so too, which [`scan`] refuses.
pub fn has_begun(buffer: &mut Vec<u8>) -> bool {
    let empty_lines = buffer.chunks_exact(2).take_while(|line| *line == b"\r\n").count();
    buffer.drain(..2 * empty_lines);
    !matches!(buffer[..], [] | [b'\r'])
}

/// Looks for the end of the head in what is new since `scanned`, each byte once however it dribbles in, and for what no
/// head has. Returns the length of the head, once it is complete.
///
/// # Errors
/// As soon as the bytes cannot become an acceptable head.
pub fn scan(buffer: &[u8], scanned: usize) -> Result<Option<usize>, Refusal> {
    if buffer.first().is_some_and(|byte| !byte.is_ascii_alphabetic()) {
        return Err(NOT_HTTP);
    }
    for at in scanned..buffer.len() {
        match buffer[at] {
            b'\n' if at == 0 || buffer[at - 1] != b'\r' => return Err(AMBIGUOUS),
            b'\n' if buffer[..at].ends_with(b"\r\n\r") => return Ok(Some(at + 1)),
            0 => return Err(AMBIGUOUS),
            _ => {}
        }
    }
    Ok(None)
}

/// A complete head.
#[derive(Debug)]
pub struct Head<'a> {
    /// Such as `GET`.
    pub method: &'a str,
    /// The minor version: 1 for HTTP/1.1.
    pub minor_version: u8,
    /// The host that was asked, with its port, as it came but for a zone.
    pub authority: Cow<'a, str>,
    /// The name or address in it.
    pub host: Host,
    /// Path and query, in visible ASCII: all else has to be percent-encoded (RFC 3986 section 2), and tiny_http ends a connection
    /// over it.
    pub target: Cow<'a, str>,
    /// All header lines.
    pub headers: Headers<'a>,
    /// Where the body ends that follows the head.
    pub framing: Framing,
}

impl<'a> Head<'a> {
    /// Parses a complete head. `own_address` is the one of ours that the client has used: the host of those who name none.
    ///
    /// # Errors
    /// If it is not HTTP, can be read in two ways, has no Host, or its target is no path.
    pub fn parse(bytes: &'a [u8], own_address: impl FnOnce() -> Option<SocketAddr>) -> Result<Self, Refusal> {
        let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut lines);
        match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(TOO_MANY_HEADERS),
            Ok(httparse::Status::Partial) | Err(httparse::Error::Token | httparse::Error::Version) => {
                return Err(NOT_HTTP);
            }
            Err(_) => return Err(AMBIGUOUS),
        }
        let (Some(method), Some(target), Some(minor_version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(NOT_HTTP);
        };
        let headers = Headers(parsed.headers.to_vec());
        let framing = Framing::of(minor_version, headers.all("content-length"), headers.all("transfer-encoding"))?;
        let (in_target, target) = split_target(method, target)?;
        let host_header = headers.one("host")?;
        let (authority, host) = match (host_header, minor_version) {
            // Before HTTP/1.1 there was none.
            (None | Some(""), 0) => {
                let own = own_address().ok_or(NO_HOST)?;
                (Cow::Owned(authority_of(own)), Host::from(own.ip()))
            }
            (header, _) => parse_authority(header.ok_or(NO_HOST)?).ok_or(NO_HOST)?,
        };
        // It counts in place of the header (RFC 9112 section 3.2.2), which has to be right all the same (section 3.2).
        let (authority, host) = match in_target {
            Some(authority) => parse_authority(authority).ok_or(BAD_TARGET)?,
            None => (authority, host),
        };
        Ok(Self { method, minor_version, authority, host, target, headers, framing })
    }

    /// Whether the client wants to send further requests on this connection.
    pub fn keep_alive(&self) -> bool {
        self.minor_version == 1 && !self.headers.has_token("connection", "close")
    }
}

/// Takes a target apart into the authority that it has as a whole address (the absolute form of RFC 9112 section 3.2.2), and
/// path and query.
fn split_target<'a>(method: &str, target: &'a str) -> Result<(Option<&'a str>, Cow<'a, str>), Refusal> {
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BAD_TARGET);
    }
    if target.starts_with('/') {
        return Ok((None, target.into()));
    }
    // The targets of other methods (RFC 9112 sections 3.2.3 and 3.2.4).
    if (method == "OPTIONS" && target == "*") || method == "CONNECT" {
        return Err(BAD_METHOD);
    }
    let (scheme, rest) = target.split_once("://").ok_or(BAD_TARGET)?;
    if !["http", "https", "ws", "wss"].into_iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(BAD_TARGET);
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = if path.starts_with('/') { path.into() } else { format!("/{path}").into() };
    Ok((Some(authority), path))
}

/// Reads a host with its port. A zone (`[fe80::1%eth0]`) is the client's own way here and leads nobody else.
fn parse_authority(text: &str) -> Option<(Cow<'_, str>, Host)> {
    let (host, port) = Host::parse(text)?;
    let authority = match (text.contains('%'), port) {
        (false, _) => text.into(),
        (true, None) => host.to_string().into(),
        (true, Some(port)) => format!("{host}:{port}").into(),
    };
    Some((authority, host))
}

/// The header lines of a request.
#[derive(Debug)]
pub struct Headers<'a>(Vec<httparse::Header<'a>>);

impl<'a> Headers<'a> {
    /// The raw values of all header lines of this name.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// Whether there is a header line with a name that `is_wanted`.
    pub fn has_any(&self, is_wanted: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|header| is_wanted(header.name))
    }

    /// The value of a header that may come once and has to be plain ASCII.
    ///
    /// # Errors
    /// If it comes twice, or is something else.
    pub fn one(&self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        let mut values = self.all(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(AMBIGUOUS);
        }
        let is_plain = value.iter().all(|&byte| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t');
        std::str::from_utf8(value).ok().filter(|_| is_plain).map(Some).ok_or(AMBIGUOUS)
    }

    /// The comma-separated members of a list header.
    pub fn tokens(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
    }

    /// Whether a list header has this member, in any case.
    pub fn has_token(&self, name: &'static str, token: &str) -> bool {
        self.tokens(name).any(|its| its.eq_ignore_ascii_case(token))
    }
}

#[cfg(test)]
mod tests;
