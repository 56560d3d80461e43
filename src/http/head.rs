//! The head of a request: read with a limit and a deadline, parsed, and held against the rules of who may come in.
//!
//! Leaves answering to the door. What must stay true: whatever gets past here is small, complete and unambiguous, so
//! that no server behind it can read it differently; a refusal says what to do, and nothing of a request is echoed.

use std::io::{self, Read};
use std::net::TcpStream;

use percent_encoding::percent_decode_str;

use crate::config::flags::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::http::host_policy::{Access, Host};
use crate::runtime::reactor::Async;

/// The sub-protocol of clients that resume.
pub const SUBPROTOCOL: &str = "foghorn.v1";

/// Why a request is refused: a status, one sentence that says what to do, and perhaps a header line that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// One sentence.
    pub sentence: &'static str,
    /// A header line with its `\r\n`, or nothing.
    pub header: &'static str,
}

const fn refuse(status: u16, sentence: &'static str) -> Refusal {
    Refusal { status, sentence, header: "" }
}

/// The bytes are not HTTP.
pub const NOT_HTTP: Refusal = refuse(400, "This is not an HTTP request; open http:// (not https://) and this address.");
const AMBIGUOUS: Refusal = refuse(400, "The header lines of this request can be read in two ways; send plain ones.");
const NO_HOST: Refusal = refuse(400, "The request needs exactly one Host header with a name or an address.");
const BAD_TARGET: Refusal = refuse(400, "The address of a request has to start with a slash.");
const BAD_HANDSHAKE: Refusal =
    refuse(400, "This WebSocket handshake is incomplete; see RFC 6455 section 4.1 for what it needs.");
const BAD_ECHO: Refusal = refuse(400, "In the address, echo has to be 0 or 1.");
const BAD_AFTER: Refusal = refuse(400, "In the address, after has to be EPOCH:SEQ as the server has told them.");
const FOREIGN_HOST: Refusal =
    refuse(403, "The server does not go by this name; start it with --allow-host and the name to change that.");
const FOREIGN_ORIGIN: Refusal = refuse(
    403,
    "Pages from elsewhere may not connect; start the server with --allow-origin and the page's origin to change that.",
);
const BAD_METHOD: Refusal = Refusal {
    status: 405,
    sentence: "Only GET and HEAD are answered here; messages are sent over the WebSocket.",
    header: "Allow: GET, HEAD\r\n",
};
/// The head did not come in time.
pub const HEAD_TOO_SLOW: Refusal = refuse(408, "The request took too long; send it again.");
const NO_LENGTH: Refusal = refuse(411, "Send no body; messages are sent over the WebSocket.");
const BODY: Refusal = refuse(413, "Send no body; messages are sent over the WebSocket.");
const BAD_VERSION: Refusal = Refusal {
    status: 426,
    sentence: "The server speaks version 13 of the WebSocket protocol.",
    header: "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n",
};
/// Too many WebSockets from one address.
pub const TOO_MANY_FROM_IP: Refusal =
    refuse(429, "Too many connections from your address; close some, or raise --max-clients-per-ip.");
const HEAD_TOO_LARGE: Refusal = refuse(431, "The header of the request is larger than 8 KiB; send fewer cookies.");
/// Too many WebSockets.
pub const FULL: Refusal = Refusal {
    status: 503,
    sentence: "All places are taken; come back in a few seconds.",
    header: "Retry-After: 5\r\n",
};
/// The page's server is busy or does not answer.
pub const BUSY: Refusal =
    Refusal { status: 503, sentence: "The server is busy; come back in a few seconds.", header: "Retry-After: 2\r\n" };

/// A request that may come in.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// What it wants.
    pub wants: Wants,
    /// The Host header, checked.
    pub host: String,
    /// Whether the client wants to send further requests on this connection.
    pub keep_alive: bool,
}

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Wants {
    /// To join the broadcast.
    WebSocket(Upgrade),
    /// A page, or only its head.
    Page {
        /// `HEAD` in place of `GET`.
        head_only: bool,
        /// Path and query, as they came.
        target: String,
        /// The `If-None-Match` header.
        if_none_match: Option<String>,
    },
}

/// A valid WebSocket handshake, and what the client wishes.
#[derive(Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// `Sec-WebSocket-Key`: 16 bytes in base64.
    pub key: String,
    /// The sub-protocol to agree on: [`SUBPROTOCOL`] if offered, else the first offered, as `ws` did; browsers end a
    /// connection whose offers are all declined.
    pub subprotocol: Option<String>,
    /// Whether [`SUBPROTOCOL`] was offered.
    pub resumes: bool,
    /// `?echo=`: whether the client wants its own messages.
    pub echo: Option<bool>,
    /// `?after=`: where the client wants to go on.
    pub after: Option<After>,
    /// `?replaces=`: the client's earlier connection, by the name that its hello gave. Unknown names are ignored.
    pub replaces: Option<String>,
}

/// Where a client wants to go on.
#[derive(Debug, PartialEq, Eq)]
pub struct After {
    /// The run of the server.
    pub epoch: String,
    /// The last message that the client has.
    pub seq: u64,
}

/// Reads until a head is complete, and returns its length within `buffer`; what follows it stays there too. `None`: the
/// client has closed the connection.
///
/// # Errors
/// As soon as it is plain that no acceptable head is coming.
pub async fn read_head(socket: &Async<TcpStream>, buffer: &mut Vec<u8>) -> Result<Option<usize>, Refusal> {
    const CHUNK_BYTES: usize = 1024;
    let mut scanned = 0;
    loop {
        if let Some(head_bytes) = scan(buffer, scanned)? {
            return Ok(Some(head_bytes));
        }
        scanned = buffer.len();
        let room = (HEAD_BYTES_MAX - scanned).min(CHUNK_BYTES);
        if room == 0 {
            return Err(HEAD_TOO_LARGE);
        }
        // Nothing is awaited while the buffer is longer than what was read: at the deadline it has to tell a silent
        // client from one that has begun.
        socket.readable().await;
        buffer.resize(scanned + room, 0);
        let read = socket.try_read(|mut socket| socket.read(&mut buffer[scanned..]));
        buffer.truncate(scanned + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return Ok(None),
        }
    }
}

/// Looks for the end of the head in what is new since `scanned`, each byte once however it dribbles in, and for what no
/// head has. Returns the length of the head, once it is complete.
///
/// # Errors
/// As soon as it is plain that no acceptable head is coming.
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

/// Parses a complete head and holds it against the rules.
///
/// # Errors
/// Why it is refused.
pub fn parse(head: &[u8], access: &Access) -> Result<Request, Refusal> {
    let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut lines);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HEAD_TOO_LARGE),
        Ok(httparse::Status::Partial) | Err(httparse::Error::Token | httparse::Error::Version) => return Err(NOT_HTTP),
        Err(_) => return Err(AMBIGUOUS),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(NOT_HTTP);
    };
    let headers = Headers(parsed.headers);
    headers.check_framing()?;
    let host_text = headers.one("host")?.ok_or(NO_HOST)?;
    let (host, _) = Host::parse(host_text).ok_or(NO_HOST)?;
    if !access.allows_host(&host) {
        return Err(FOREIGN_HOST);
    }
    // What is not visible ASCII has to be percent-encoded (RFC 3986 section 2), and tiny_http ends a connection over it.
    if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BAD_TARGET);
    }
    let wants = if headers.has_token("upgrade", "websocket") {
        let origin = headers.one("origin").map_err(|_| FOREIGN_ORIGIN)?;
        if !access.allows_origin(origin, &host) {
            return Err(FOREIGN_ORIGIN);
        }
        Wants::WebSocket(parse_upgrade(method, minor, target, &headers)?)
    } else {
        if method != "GET" && method != "HEAD" {
            return Err(BAD_METHOD);
        }
        headers.check_no_body()?;
        let if_none_match = headers.one("if-none-match")?.map(str::to_owned);
        Wants::Page { head_only: method == "HEAD", target: target.to_owned(), if_none_match }
    };
    let keep_alive = minor == 1 && !headers.has_token("connection", "close");
    Ok(Request { wants, host: host_text.to_owned(), keep_alive })
}

struct Headers<'a>(&'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    /// The raw values of all header lines of this name.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// The value of a header that may come once and has to be plain ASCII.
    fn one(&self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        let mut values = self.all(name);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(AMBIGUOUS);
        }
        let is_plain = value.iter().all(|&byte| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t');
        std::str::from_utf8(value).ok().filter(|_| is_plain).map(Some).ok_or(AMBIGUOUS)
    }

    /// The comma-separated members of a list header.
    fn tokens(&self, name: &'static str) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
    }

    fn has_token(&self, name: &'static str, token: &str) -> bool {
        self.tokens(name).any(|its| its.eq_ignore_ascii_case(token))
    }

    /// Refuses what one server may take for the end of a message and another not (RFC 9112 section 11.2).
    fn check_framing(&self) -> Result<(), Refusal> {
        let length = self.one("content-length")?;
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if length.is_some_and(|digits| !is_number(digits)) {
            return Err(AMBIGUOUS);
        }
        if length.is_some() && self.all("transfer-encoding").next().is_some() {
            return Err(AMBIGUOUS);
        }
        Ok(())
    }

    fn check_no_body(&self) -> Result<(), Refusal> {
        if self.all("transfer-encoding").next().is_some() {
            return Err(NO_LENGTH);
        }
        match self.one("content-length")? {
            Some(digits) if digits.bytes().any(|byte| byte != b'0') => Err(BODY),
            _ => Ok(()),
        }
    }
}

/// RFC 6455 section 4.2.1.
fn parse_upgrade(method: &str, minor: u8, target: &str, headers: &Headers<'_>) -> Result<Upgrade, Refusal> {
    if method != "GET" || minor != 1 || !headers.has_token("connection", "upgrade") {
        return Err(BAD_HANDSHAKE);
    }
    headers.check_no_body()?;
    if headers.one("sec-websocket-version")? != Some("13") {
        return Err(BAD_VERSION);
    }
    let key = headers.one("sec-websocket-key")?.filter(|key| is_key(key)).ok_or(BAD_HANDSHAKE)?;
    let offers: Vec<&str> = headers.tokens("sec-websocket-protocol").filter(|name| !name.is_empty()).collect();
    if offers.iter().any(|name| !name.bytes().all(is_token_byte)) {
        return Err(BAD_HANDSHAKE);
    }
    let resumes = offers.contains(&SUBPROTOCOL);
    let subprotocol = if resumes { Some(SUBPROTOCOL) } else { offers.first().copied() };
    let mut upgrade = Upgrade {
        key: key.to_owned(),
        subprotocol: subprotocol.map(str::to_owned),
        resumes,
        echo: None,
        after: None,
        replaces: None,
    };
    let query = target.split_once('?').map_or("", |(_, query)| query);
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("echo", value)) => upgrade.echo = Some(parse_echo(value)?),
            Some(("after", value)) => upgrade.after = Some(parse_after(value)?),
            Some(("replaces", value)) => upgrade.replaces = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(upgrade)
}

/// Whether it is 16 bytes in base64 (RFC 6455 section 4.1).
fn is_key(key: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.strip_suffix("==").is_some_and(|digits| digits.len() == 22 && digits.bytes().all(is_base64))
}

/// RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn parse_echo(value: &str) -> Result<bool, Refusal> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(BAD_ECHO),
    }
}

/// Reads the value of `?after=`: `EPOCH:SEQ`, where the colon may be percent-encoded.
///
/// # Errors
/// If it is anything else.
pub fn parse_after(value: &str) -> Result<After, Refusal> {
    let value = percent_decode_str(value).decode_utf8().map_err(|_| BAD_AFTER)?;
    let (epoch, seq) = value.split_once(':').ok_or(BAD_AFTER)?;
    let is_epoch = (1..=32).contains(&epoch.len()) && epoch.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_seq = !seq.is_empty() && seq.bytes().all(|byte| byte.is_ascii_digit());
    match seq.parse() {
        Ok(seq) if is_epoch && is_seq => Ok(After { epoch: epoch.to_owned(), seq }),
        _ => Err(BAD_AFTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[&str]) -> Result<Request, Refusal> {
        let head = lines.iter().flat_map(|line| [*line, "\r\n"]).chain(["\r\n"]).collect::<String>();
        match scan(head.as_bytes(), 0)? {
            Some(head_bytes) => parse(&head.as_bytes()[..head_bytes], &Access::new(None, &[], &[]).unwrap()),
            None => panic!("{head:?} has no end"),
        }
    }

    fn upgrade(path: &str, extra: &[&str]) -> Result<Upgrade, Refusal> {
        let first = format!("GET {path} HTTP/1.1");
        let head = [
            first.as_str(),
            "Host: board.local:1919",
            "Connection: keep-alive, Upgrade",
            "Upgrade: WebSocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
        request(&[&head, extra].concat()).map(|request| match request.wants {
            Wants::WebSocket(upgrade) => upgrade,
            Wants::Page { .. } => panic!("{path} was taken for a page"),
        })
    }

    fn status(lines: &[&str]) -> u16 {
        request(lines).map_or_else(|refusal| refusal.status, |_| 200)
    }

    #[test]
    fn a_page_is_asked_for_with_get_or_head() {
        let get = request(&["GET /a?b HTTP/1.1", "host:x", "If-None-Match: \"1\""]).unwrap();
        let page = Wants::Page { head_only: false, target: "/a?b".into(), if_none_match: Some("\"1\"".into()) };
        assert_eq!(get, Request { wants: page, host: "x".into(), keep_alive: true });
        assert!(!request(&["HEAD / HTTP/1.0", "Host: x"]).unwrap().keep_alive);
        assert!(!request(&["GET / HTTP/1.1", "Host: x", "Connection: close"]).unwrap().keep_alive);
        assert_eq!(status(&["POST / HTTP/1.1", "Host: x", "Content-Length: 0"]), 405);
        assert_eq!(status(&["OPTIONS * HTTP/1.1", "Host: x"]), 400);
    }

    #[test]
    fn a_handshake_needs_all_its_parts() {
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        let head = ["GET / HTTP/1.1", "Host: x", "Upgrade: websocket"];
        assert!(upgrade("/any/path", &[]).is_ok());
        assert_eq!(status(&[&head[..], &["Sec-WebSocket-Version: 13", key]].concat()), 400);
        let head = [&head[..], &["Connection: Upgrade"]].concat();
        assert_eq!(status(&[&head[..], &["Sec-WebSocket-Version: 13"]].concat()), 400);
        assert_eq!(status(&[&head[..], &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: short"]].concat()), 400);
        assert_eq!(status(&[&head[..], &["Sec-WebSocket-Version: 8", key]].concat()), 426);
        assert_eq!(status(&[&head[..], &[key]].concat()), 426);
        assert_eq!(upgrade("/", &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]).unwrap_err().status, 400);
        assert_eq!(upgrade("/", &["Content-Length: 5"]).unwrap_err().status, 413);
        assert_eq!(
            upgrade("/", &["Origin: http://board.local", "Origin: http://board.local"]).unwrap_err().status,
            403
        );
    }

    #[test]
    fn the_first_sub_protocol_is_taken_unless_ours_is_offered() {
        let agreed = |offer: &str| upgrade("/", &[offer]).map(|upgrade| (upgrade.subprotocol, upgrade.resumes));
        assert_eq!(agreed("X: y"), Ok((None, false)));
        assert_eq!(agreed("Sec-WebSocket-Protocol: chat, other"), Ok((Some("chat".into()), false)));
        assert_eq!(agreed("Sec-WebSocket-Protocol: chat, foghorn.v1"), Ok((Some(SUBPROTOCOL.into()), true)));
        assert_eq!(agreed("Sec-WebSocket-Protocol: a b").map_err(|refusal| refusal.status), Err(400));
    }

    #[test]
    fn wishes_stand_in_the_address() {
        let plain = upgrade("/?echo=0&x=y", &[]).unwrap();
        assert_eq!((plain.echo, plain.after), (Some(false), None));
        let after = After { epoch: "abc123".into(), seq: 41 };
        assert_eq!(upgrade("/?after=abc123%3A41", &[]).unwrap().after, Some(after));
        for query in [
            "echo=yes",
            "echo=",
            "after=",
            "after=abc",
            "after=:1",
            "after=abc:",
            "after=abc:-1",
            "after=abc:+1",
            "after=abc:1e3",
            "after=abc:99999999999999999999999",
            "after=%ff:1",
            "after=a%00b:1",
            "after=abc:1:2",
        ] {
            assert_eq!(upgrade(&format!("/?{query}"), &[]).unwrap_err().status, 400, "{query}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let get = "GET / HTTP/1.1";
        for lines in [
            &[get][..],
            &[get, "Host: x", "Host: y"],
            &[get, "Host:"],
            &[get, "Host: x", "Content-Length: 1", "Content-Length: 1"],
            &[get, "Host: x", "Content-Length: 1, 1"],
            &[get, "Host: x", "Content-Length: +1"],
            &[get, "Host: x", "Content-Length: 1", "Transfer-Encoding: chunked"],
            &[get, "Host : x"],
            &[get, "Host: x", "A: b", " folded"],
            &[get, "Host: x", "A: b\0c"],
            &[get, "Host: x\nA: b"],
            &[get, "Host: x", "If-None-Match: \"é\""],
            &["GET /é HTTP/1.1", "Host: x"],
            &["GET http://x/ HTTP/1.1", "Host: x"],
            &["GET x HTTP/1.1", "Host: x"],
            &["GET / HTTP/2.0", "Host: x"],
            &["GET /"],
        ] {
            assert_eq!(status(lines), 400, "{lines:?}");
        }
        assert_eq!(status(&[get, "Host: x", "Transfer-Encoding: chunked"]), 411);
        assert_eq!(status(&[get, "Host: x", "Content-Length: 1"]), 413);
        assert_eq!(status(&[get, "Host: evil.com"]), 403);
    }

    #[test]
    fn too_many_header_lines_are_too_large_a_head() {
        let mut lines = vec!["GET / HTTP/1.1", "Host: x"];
        lines.resize(HEADERS_MAX + 2, "A: b");
        assert_eq!(status(&lines), 431);
    }

    #[test]
    fn the_end_of_a_head_is_found_however_it_is_cut() {
        let bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nmore";
        for cut in 1..bytes.len() {
            let early = scan(&bytes[..cut], 0).unwrap();
            let end = early.or_else(|| scan(bytes, cut).unwrap());
            assert_eq!(end, Some(bytes.len() - 4), "cut at {cut}");
        }
    }
}
