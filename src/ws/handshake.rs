//! The opening handshake (RFC 6455 section 4.2): what a client asks for, and the answer.
//!
//! Leaves joining to `join`. What must stay true: whatever is not understood is refused with a sentence, never guessed.

use async_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::http::body::is_token_byte;
use crate::http::head::Head;
use crate::http::query;
use crate::http::refusal::{
    BAD_AFTER, BAD_ECHO, BAD_HANDSHAKE, BAD_HISTORY, BAD_VERSION, LOCKED, NO_CODE, Refusal, WRONG_CODE,
};
use crate::hub::frame::Frame;
use crate::hub::position::Position;

/// The close code of one that may come back later (1013 from the IANA registry).
const TRY_AGAIN_LATER: u16 = 1013;

/// The close code of one that has to bring a code, or another one. Our own, after the status 401 (4000 to 4999 are for such, RFC 6455
/// section 7.4.2).
pub const CODE_NEEDED: u16 = 4401;

/// The close code of one that has to wait before it brings a code again, after the status 429.
pub const CODES_LOCKED: u16 = 4429;

/// The sub-protocol of clients that resume.
pub const SUBPROTOCOL: &str = "foghorn.v1";

/// A valid WebSocket handshake, and what the client wishes.
#[derive(Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// `Sec-WebSocket-Key`: 16 bytes in base64.
    pub key: String,
    /// The sub-protocol to agree on: [`SUBPROTOCOL`] if offered, else the first one offered, as the Node library `ws` does.
    /// Browsers fail a connection if the server accepts none of their offers.
    pub subprotocol: Option<String>,
    /// Whether [`SUBPROTOCOL`] was offered.
    pub resumes: bool,
    /// `?echo=`: whether the client wants its own messages.
    pub echo: Option<bool>,
    /// `?after=`: where the client wants to go on.
    pub after: Option<Position>,
    /// `?history=`: how many of the last messages the client wants.
    pub history: Option<u64>,
    /// `?replaces=`: the client's earlier connection, by the `id` that its hello gave. Of an unknown one, it is told that.
    pub replaces: Option<String>,
}

impl Upgrade {
    /// Reads a handshake, and what the client wishes (RFC 6455 section 4.2.1).
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn parse(head: &Head<'_>) -> Result<Self, Refusal> {
        let Head { method, minor_version, headers, .. } = head;
        if *method != "GET" || *minor_version != 1 || !headers.has_token("connection", "upgrade") {
            return Err(BAD_HANDSHAKE);
        }
        head.framing.check_no_body()?;
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
        let mut upgrade = Self {
            key: key.to_owned(),
            subprotocol: subprotocol.map(str::to_owned),
            resumes,
            echo: None,
            after: None,
            history: None,
            replaces: None,
        };
        for (name, value) in query::pairs(&head.target) {
            match (name, value) {
                ("echo", Some(value)) => upgrade.echo = Some(parse_echo(value)?),
                ("after", Some(value)) => upgrade.after = Some(query::value(value, Position::parse, BAD_AFTER)?),
                ("history", Some(value)) => upgrade.history = Some(query::value(value, query::number, BAD_HISTORY)?),
                ("replaces", Some(value)) => upgrade.replaces = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(upgrade)
    }

    /// The answer to one that may come back later, or with a code, where it is one that would not see the status of a refusal: an answer
    /// that takes it in, and a Close frame at once.
    pub fn answer_and_close(&self, refusal: Refusal) -> Option<Vec<u8>> {
        let code = match refusal {
            NO_CODE | WRONG_CODE => CODE_NEEDED,
            LOCKED => CODES_LOCKED,
            Refusal { status: 429 | 503, .. } => TRY_AGAIN_LATER,
            _ => return None,
        };
        let close = Frame::close(Some(code), refusal.sentence);
        self.resumes.then(|| [self.answer(), close.to_vec()].concat())
    }

    /// The connection that this one replaces. Only clients that resume can.
    pub fn predecessor(&self) -> Option<&str> {
        self.replaces.as_deref().filter(|_| self.resumes)
    }

    /// The answer (RFC 6455 section 4.2.2). The offered extensions are declined by not naming them.
    pub fn answer(&self) -> Vec<u8> {
        let accept = derive_accept_key(self.key.as_bytes());
        let subprotocol =
            self.subprotocol.as_ref().map_or_else(String::new, |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{subprotocol}\r\n"
        )
        .into_bytes()
    }
}

/// Whether it is 16 bytes in base64 (RFC 6455 section 4.1).
fn is_key(key: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    key.strip_suffix("==").is_some_and(|digits| digits.len() == 22 && digits.bytes().all(is_base64))
}

fn parse_echo(value: &str) -> Result<bool, Refusal> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(BAD_ECHO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::refusal::{FULL, NO_CHANNEL_LEFT, RECEIVE_ONLY, TOO_MANY_FROM_IP};

    fn parse(lines: &[&str]) -> Result<Upgrade, Refusal> {
        let head = lines.iter().flat_map(|line| [*line, "\r\n"]).chain(["\r\n"]).collect::<String>();
        Upgrade::parse(&Head::parse(head.as_bytes(), || None)?)
    }

    fn status_of(lines: &[&str]) -> u16 {
        parse(lines).map_or_else(|refusal| refusal.status, |_| 101)
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
        parse(&[&head, extra].concat())
    }

    #[test]
    fn a_handshake_needs_all_its_parts() {
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        let head = ["GET / HTTP/1.1", "Host: x", "Upgrade: websocket"];
        assert!(upgrade("/any/path", &[]).is_ok());
        for first in ["POST / HTTP/1.1", "GET / HTTP/1.0"] {
            let rest = ["Host: x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", key];
            assert_eq!(status_of(&[&[first], &rest[..]].concat()), 400, "{first}");
        }
        assert_eq!(status_of(&[&head[..], &["Sec-WebSocket-Version: 13", key]].concat()), 400);
        let head = [&head[..], &["Connection: Upgrade"]].concat();
        assert_eq!(status_of(&[&head[..], &["Sec-WebSocket-Version: 13"]].concat()), 400);
        assert_eq!(status_of(&[&head[..], &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: short"]].concat()), 400);
        assert_eq!(status_of(&[&head[..], &["Sec-WebSocket-Version: 8", key]].concat()), 426);
        assert_eq!(status_of(&[&head[..], &[key]].concat()), 426);
        assert_eq!(upgrade("/", &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]).unwrap_err().status, 400);
        assert_eq!(upgrade("/", &["Content-Length: 5"]).unwrap_err().status, 413);
    }

    #[test]
    fn a_key_is_16_bytes_in_base64() {
        assert!(["dGhlIHNhbXBsZSBub25jZQ==", "++++++++++//////////AA=="].iter().all(|key| is_key(key)));
        for key in [
            "",
            "==",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQA==",
            "dGhlIHNhbXBsZSBub25jZ==",
            "dGhlIHNhbXBsZSBub2-_ZQ==",
        ] {
            assert!(!is_key(key), "{key}");
        }
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
    fn a_refusal_that_a_page_could_not_see_is_a_close_code_with_the_sentence() {
        let offer = "Sec-WebSocket-Protocol: foghorn.v1";
        let resuming = upgrade("/", &[offer]).unwrap();
        for (refusal, code) in [
            (NO_CODE, Some(4401)),
            (WRONG_CODE, Some(4401)),
            (LOCKED, Some(4429)),
            (TOO_MANY_FROM_IP, Some(1013)),
            (FULL, Some(1013)),
            (NO_CHANNEL_LEFT, Some(1013)),
            (RECEIVE_ONLY, None),
            (BAD_HANDSHAKE, None),
        ] {
            let close = |code| [&resuming.answer()[..], &Frame::close(Some(code), refusal.sentence).to_vec()].concat();
            assert_eq!(resuming.answer_and_close(refusal), code.map(close), "{refusal:?}");
            assert_eq!(upgrade("/", &[]).unwrap().answer_and_close(refusal), None, "{refusal:?}");
            assert!(code.is_none() || refusal.sentence.len() <= 123, "RFC 6455 section 5.5: {refusal:?}");
        }
    }

    #[test]
    fn wishes_stand_in_the_address() {
        let plain = upgrade("/?echo=0&x=y", &[]).unwrap();
        assert_eq!((plain.echo, plain.after), (Some(false), None));
        assert_eq!(upgrade("/?echo=1", &[]).unwrap().echo, Some(true));
        let after = Position { epoch: "abc123".into(), seq: 41 };
        assert_eq!(upgrade("/?after=abc123%3A41", &[]).unwrap().after, Some(after));
        assert_eq!(upgrade("/?history=5", &[]).unwrap().history, Some(5));
        assert_eq!(upgrade("/c/x?history", &[]).unwrap().history, None);
        let offer = "Sec-WebSocket-Protocol: foghorn.v1";
        assert_eq!(upgrade("/?replaces=abc", &[offer]).unwrap().predecessor(), Some("abc"));
        assert_eq!(upgrade("/?replaces=abc", &[]).unwrap().predecessor(), None, "it has no id");
        for query in [
            "echo=yes",
            "echo=",
            "after=",
            "after=abc",
            "after=%ff:1",
            "history=",
            "history=-1",
            "history=+1",
            "history=all",
        ] {
            assert_eq!(upgrade(&format!("/?{query}"), &[]).unwrap_err().status, 400, "{query}");
        }
    }
}
