//! What a post says of itself: how its body is framed, and of what kind the message is.
//!
//! Leaves reading the body to `body_reader`. What must stay true: text is UTF-8, as it has to be in a text frame (RFC 6455 section 5.6).

use crate::http::body::Framing;
use crate::http::head::Head;
use crate::http::refusal::{ENCODED, NOT_UTF8, PARTIAL, Refusal};
use crate::http::short_answer::Asked;
use crate::hub::channel_name::ChannelName;
use crate::hub::frame::Frame;

/// The head of a post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// The channel.
    pub channel: ChannelName,
    /// How the answer is wanted.
    pub asked: Asked,
    /// Where its body ends.
    pub framing: Framing,
    /// Whether its message is binary.
    pub is_binary: bool,
    /// Whether the client waits for a word before it sends the body (RFC 9110 section 10.1.1).
    pub waits_for_continue: bool,
}

impl Post {
    /// Reads the head of a `POST` or `PUT` to this channel.
    ///
    /// # Errors
    /// If the body is no message as it is: compressed, or a part of one.
    pub fn parse(head: &Head<'_>, channel: ChannelName) -> Result<Self, Refusal> {
        let Head { headers, framing, minor_version, .. } = head;
        if headers.tokens("content-encoding").any(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return Err(ENCODED);
        }
        if headers.one("content-range")?.is_some() {
            return Err(PARTIAL);
        }
        Ok(Self {
            channel,
            asked: Asked::of(head),
            framing: *framing,
            is_binary: headers.one("content-type")?.is_some_and(is_binary),
            // HTTP/1.0 knows no such word. Other expectations may be ignored.
            waits_for_continue: *minor_version == 1 && headers.has_token("expect", "100-continue"),
        })
    }

    /// The message.
    ///
    /// # Errors
    /// If it is text, and not UTF-8.
    pub fn message(&self, body: Vec<u8>) -> Result<Frame, Refusal> {
        if self.is_binary {
            return Ok(Frame::binary(body));
        }
        String::from_utf8(body).map(|text| Frame::text(text.into_bytes())).map_err(|_| NOT_UTF8)
    }
}

/// Whether what is of this type is binary. Its parameters do not matter.
fn is_binary(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let top = essence.split('/').next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/octet-stream")
        || ["image", "audio", "video"].into_iter().any(|known| top.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(lines: &str) -> Result<Post, u16> {
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        Head::parse(head.as_bytes(), || None)
            .and_then(|head| Post::parse(&head, ChannelName::MAIN))
            .map_err(|refusal| refusal.status)
    }

    #[test]
    fn the_type_says_whether_a_message_is_binary() {
        for (media_type, expected) in [
            ("application/octet-stream", true),
            ("Application/Octet-Stream", true),
            ("application/octet-stream ; a=b", true),
            ("image/png", true),
            ("IMAGE/svg+xml;charset=utf-8", true),
            ("audio/mpeg", true),
            ("video/mp4", true),
            ("text/plain", false),
            ("text/plain; a=image/png", false),
            ("application/x-www-form-urlencoded", false),
            ("application/octet-stream-of-text", false),
            ("application/json", false),
            ("images/png", false),
            ("", false),
            (";", false),
        ] {
            let post = post(&format!("Content-Type: {media_type}\r\n")).unwrap();
            assert_eq!(post.is_binary, expected, "{media_type:?}");
        }
        assert!(!post("").unwrap().is_binary);
        assert_eq!(post("Content-Type: a/b\r\nContent-Type: image/png\r\n"), Err(400));
    }

    #[test]
    fn text_has_to_be_utf8() {
        let first = |lines, body: &[u8]| {
            let frame = post(lines).unwrap().message(body.to_vec());
            frame.map(|frame| frame.to_vec()[0]).map_err(|refusal| refusal.status)
        };
        assert_eq!(first("", "fög".as_bytes()), Ok(0x81));
        assert_eq!(first("", b""), Ok(0x81));
        assert_eq!(first("", b"f\xf6g"), Err(415));
        assert_eq!(first("", b"\xed\xa0\x80"), Err(415), "half of a pair of surrogates");
        assert_eq!(first("Content-Type: image/png\r\n", b"f\xf6g"), Ok(0x82));
    }

    #[test]
    fn what_is_no_message_as_it_is_is_refused() {
        assert_eq!(post("Content-Encoding: gzip\r\n"), Err(415));
        assert_eq!(post("Content-Encoding: identity, br\r\n"), Err(415));
        assert!(post("Content-Encoding: Identity\r\n").is_ok());
        assert_eq!(post("Content-Range: bytes 0-1/3\r\n"), Err(400));
    }

    #[test]
    fn only_who_knows_the_word_waits_for_it() {
        let waits = |version: &str, expect: &str| {
            let head = format!("PUT / HTTP/{version}\r\nHost: x\r\nExpect: {expect}\r\nContent-Length: 1\r\n\r\n");
            let head = Head::parse(head.as_bytes(), || None).unwrap();
            Post::parse(&head, ChannelName::MAIN).unwrap().waits_for_continue
        };
        assert!(waits("1.1", "100-continue"));
        assert!(waits("1.1", "100-Continue"));
        assert!(!waits("1.0", "100-continue"));
        assert!(!waits("1.1", "something"));
    }
}
