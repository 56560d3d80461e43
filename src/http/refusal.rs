//! All refusals of the server itself: a status and one sentence each. The page's own sentences are with the page.
//!
//! Leaves to others when. What must stay true: a refusal says what to do, its status is one of [`STATUSES`], and nothing of a
//! request is echoed.

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

impl Refusal {
    /// The whole answer, after which the connection ends. A HEAD request gets no body. `more_lines` are header lines, each with its
    /// `\r\n`: what a browser has to know before its page may read the answer.
    pub fn answer(&self, head_only: bool, more_lines: &str) -> String {
        let Self { status, sentence, header } = self;
        let reason = reason_phrase(*status);
        format!(
            "HTTP/1.1 {status} {reason}\r\n{header}{more_lines}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n\
             {}",
            sentence.len() + 1,
            if head_only { String::new() } else { format!("{sentence}\n") },
        )
    }
}

/// The statuses with which a request is refused, the page's (404, 405, 412, 416, 500) included. `/status` has a figure for each.
pub const STATUSES: [u16; 17] = [400, 401, 403, 404, 405, 408, 411, 412, 413, 415, 416, 426, 429, 431, 500, 503, 504];

const fn refuse(status: u16, sentence: &'static str) -> Refusal {
    refuse_with(status, sentence, "")
}

/// Does not compile with a status that is not one of [`STATUSES`].
const fn refuse_with(status: u16, sentence: &'static str, header: &'static str) -> Refusal {
    let mut nth = 0;
    while STATUSES[nth] != status {
        nth += 1;
    }
    Refusal { status, sentence, header }
}

/// The bytes are not HTTP.
pub const NOT_HTTP: Refusal = refuse(400, "This is not an HTTP request; open http:// (not https://) and this address.");
/// What two servers may read in two ways, such as two Host headers.
pub const AMBIGUOUS: Refusal =
    refuse(400, "The header lines of this request can be read in two ways; send plain ones.");
/// Another coding than `chunked`, twice, or in HTTP/1.0.
pub const BAD_TRANSFER_ENCODING: Refusal =
    refuse(400, "The only Transfer-Encoding is chunked, once and in HTTP/1.1; send it so, or a Content-Length.");
/// A body in chunks that are none, or with more than
/// [`BODY_EXTRA_BYTES_MAX`](crate::config::limits::BODY_EXTRA_BYTES_MAX) beside its data.
pub const BAD_CHUNKS: Refusal =
    refuse(400, "The chunks of this body are not those of RFC 9112 section 7.1; send them so, or a Content-Length.");
/// A part of something in place of a message (RFC 9110 section 14.5).
pub const PARTIAL: Refusal = refuse(400, "Send the whole message, without a Content-Range.");
/// No Host header, or one that is neither a name nor an address.
pub const NO_HOST: Refusal = refuse(400, "The request needs exactly one Host header with a name or an address.");
/// A target that is neither a path nor a whole address of ours.
pub const BAD_TARGET: Refusal =
    refuse(400, "The address of a request has to be a path such as /, or a whole one with http://.");
/// An upgrade that is none (RFC 6455 section 4.2.1).
pub const BAD_HANDSHAKE: Refusal =
    refuse(400, "This WebSocket handshake is incomplete; see RFC 6455 section 4.1 for what it needs.");
/// `?echo=` with something else than 0 or 1.
pub const BAD_ECHO: Refusal = refuse(400, "In the address, echo has to be 0 or 1.");
/// `?after=` with something else than `EPOCH:SEQ`.
pub const BAD_AFTER: Refusal = refuse(400, "In the address, after has to be EPOCH:SEQ as the server has told them.");
/// `?history=` with something else than a number.
pub const BAD_HISTORY: Refusal = refuse(400, "In the address, history has to be a whole number of messages.");
/// `?as=` with something else than the forms of a stream.
pub const BAD_AS: Refusal = refuse(400, "In the address, as has to be events, lines or json.");
/// `?count=` with something else than a number.
pub const BAD_COUNT: Refusal = refuse(400, "In the address, count has to be a whole number of messages.");
/// No code, where one is needed. `Basic` in place of `Bearer` would have browsers ask in a window of their own.
pub const NO_CODE: Refusal = refuse_with(
    401,
    "This channel needs a code: ?code=CODE, curl -u :CODE, or Authorization: Bearer CODE.",
    "WWW-Authenticate: Bearer\r\n",
);
/// Another code.
pub const WRONG_CODE: Refusal =
    refuse_with(401, "This is not the code of this channel; ask for that.", "WWW-Authenticate: Bearer\r\n");
/// A message, or a deletion, with a code that is not enough for it.
pub const RECEIVE_ONLY: Refusal =
    refuse(403, "This code may receive only; sending, or deleting messages, needs another one.");
/// A name that a foreign page may have.
pub const FOREIGN_HOST: Refusal =
    refuse(403, "The server does not go by this name; start it with --allow-host and the name to change that.");
/// A foreign page.
pub const FOREIGN_ORIGIN: Refusal = refuse(
    403,
    "Pages from elsewhere may not connect; start the server with --allow-origin and the page's origin to change that.",
);
/// Something below `/c/` that is no name of a channel.
pub const NO_CHANNEL_NAME: Refusal =
    refuse(404, "There is no such channel: a name has 1 to 64 of a-z, 0-9, - and _, as in /c/lights.");
/// A message to an address of the page.
pub const NO_CHANNEL: Refusal =
    refuse(404, "Nobody listens at this address; post messages to / or to /c/ and the name of a channel.");
/// Another method than GET and HEAD.
pub const BAD_METHOD: Refusal = refuse_with(
    405,
    "Only GET and HEAD are answered here; messages are posted to / or to /c/ and the name of a channel.",
    "Allow: GET, HEAD\r\n",
);
/// A method that means nothing to a channel.
pub const BAD_CHANNEL_METHOD: Refusal = refuse_with(
    405,
    "A channel answers GET, HEAD, POST, PUT and DELETE; send one of these.",
    "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS\r\n",
);
/// A stream that is asked for with HEAD.
pub const STREAM_BY_GET: Refusal = refuse_with(405, "A stream is asked for with GET.", "Allow: GET\r\n");
/// The head did not come in time.
pub const HEAD_TOO_SLOW: Refusal = refuse(408, "The request took too long; send it again.");
/// A body that did not come in time.
pub const BODY_TOO_SLOW: Refusal =
    refuse(408, "The message took too long; send it again, faster than 64 KiB a second.");
/// A body whose memory another one needed.
pub const BODY_DISPLACED: Refusal =
    refuse(408, "Too much was being sent at once, and this message stood still for longest; send it again.");
/// A body of unknown length.
pub const NO_LENGTH: Refusal =
    refuse(411, "Send no body with this request; a message is sent with POST, or over a WebSocket.");
/// A body.
pub const BODY: Refusal =
    refuse(413, "Send no body with this request; a message is sent with POST, or over a WebSocket.");
/// A body that is larger than a message of its channel may be.
pub const MESSAGE_TOO_LARGE: Refusal = refuse(
    413,
    "The message is larger than this channel takes; send it in parts, or start the server with a larger --max-message.",
);
/// A body that is no text, and does not say so.
pub const NOT_UTF8: Refusal = refuse(
    415,
    "The message is not UTF-8; send it as UTF-8, or, if it is not text, with Content-Type: application/octet-stream.",
);
/// A body that is compressed.
pub const ENCODED: Refusal = refuse(415, "Send the message as it is, without a Content-Encoding.");
/// Another version of the WebSocket protocol.
pub const BAD_VERSION: Refusal = refuse_with(
    426,
    "The server speaks version 13 of the WebSocket protocol.",
    "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n",
);
/// Too many WebSockets from one address.
pub const TOO_MANY_FROM_IP: Refusal =
    refuse(429, "Too many connections from your address; close some, or raise --max-clients-per-ip.");
/// A code, right or wrong, from where too many wrong ones have come.
pub const LOCKED: Refusal = refuse(429, "Too many wrong codes from your address: wait a minute.");
/// A head of more than [`HEAD_BYTES_MAX`](crate::config::limits::HEAD_BYTES_MAX) bytes.
pub const HEAD_TOO_LARGE: Refusal =
    refuse(431, "The head of the request is larger than 16 KiB; send a shorter address, or fewer cookies.");
/// More than [`HEADERS_MAX`](crate::config::limits::HEADERS_MAX) header lines.
pub const TOO_MANY_HEADERS: Refusal = refuse(431, "The request has more than 64 header lines; send fewer.");
/// Too many WebSockets.
pub const FULL: Refusal = refuse_with(503, "All places are taken; come back in a few seconds.", "Retry-After: 5\r\n");
/// As many channels as there may be, all of them in use.
pub const NO_CHANNEL_LEFT: Refusal = refuse_with(
    503,
    "All places for channels are in use; come back later, or raise --max-channels.",
    "Retry-After: 5\r\n",
);
/// The page's server is busy or does not answer, or too many connections are busy.
pub const BUSY: Refusal = refuse_with(503, "The server is busy; come back in a few seconds.", "Retry-After: 2\r\n");

/// A message for which there was no room in time.
pub const NO_ROOM: Refusal = refuse_with(
    503,
    "Others were slow to take what was sent before, so the message was not published; send it again in a few seconds.",
    "Retry-After: 2\r\n",
);

/// What needs the log that all boards share, which is away, or does not take what it is given.
pub const LOG_AWAY: Refusal = refuse_with(
    503,
    "This board waits for the Redis server that it shares with others; nothing was done, try again in a few seconds.",
    "Retry-After: 5\r\n",
);
/// A message, or a deletion, that was handed over to that log, which has not answered.
pub const MAY_COME: Refusal = refuse(
    504,
    "The Redis server has not answered: what was asked may be done, or may still come; look before you ask again.",
);

/// The reason phrase of RFC 9110 section 15 (429 and 431: RFC 6585), for what is answered from memory.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        304 => "Not Modified",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}
