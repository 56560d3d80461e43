//! A message as it goes over the wire: one encoded WebSocket frame.
//!
//! Leaves reading, unmasking and control frames to tungstenite; of it only the encoding of frame headers is used here, which does
//! no I/O. What must stay true: a frame's bytes are the same for every client (a server does not mask, RFC 6455 section 5.1), so
//! they are encoded once.

use async_tungstenite::tungstenite::Bytes;
use async_tungstenite::tungstenite::protocol::frame::FrameHeader;
use async_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// The longest header of a server's frame in bytes: two, and eight of extended length (RFC 6455 section 5.2).
pub const HEADER_BYTES_MAX: usize = 10;

/// An empty Ping frame of a server, ready to send (RFC 6455 section 5.5.2).
pub const PING: [u8; 2] = [0x89, 0];

/// One message as a final, unmasked WebSocket frame.
#[derive(Debug, Clone)]
pub struct Frame {
    header: [u8; HEADER_BYTES_MAX],
    header_len: usize,
    payload: Bytes,
}

impl Frame {
    /// Encodes a text message. The payload has to be UTF-8, which tungstenite has checked for what clients send.
    pub fn text(payload: impl Into<Bytes>) -> Self {
        Self::new(OpCode::Data(Data::Text), payload.into())
    }

    /// Encodes a binary message.
    pub fn binary(payload: impl Into<Bytes>) -> Self {
        Self::new(OpCode::Data(Data::Binary), payload.into())
    }

    /// Encodes a Close frame. Without a code it is empty (RFC 6455 section 5.5.1); `reason` has at most 123 bytes.
    pub fn close(code: Option<u16>, reason: &str) -> Self {
        let payload = code.map_or_else(Vec::new, |code| [&code.to_be_bytes()[..], reason.as_bytes()].concat());
        Self::new(OpCode::Control(Control::Close), payload.into())
    }

    fn new(opcode: OpCode, payload: Bytes) -> Self {
        let mut header = [0; HEADER_BYTES_MAX];
        let mut unwritten = &mut header[..];
        FrameHeader { opcode, ..FrameHeader::default() }
            .format(payload.len() as u64, &mut unwritten)
            .expect("an unmasked header takes at most HEADER_BYTES_MAX bytes");
        let header_len = HEADER_BYTES_MAX - unwritten.len();
        Self { header, header_len, payload }
    }

    /// The frame's bytes, in two parts: header and payload.
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.header[..self.header_len], &self.payload]
    }

    /// The number of bytes on the wire, header included; never zero.
    #[allow(clippy::len_without_is_empty, reason = "a frame has a header, so it is never empty")]
    pub fn len(&self) -> usize {
        self.header_len + self.payload.len()
    }

    /// The frame as one piece, for the first frame to a new client.
    pub fn to_vec(&self) -> Vec<u8> {
        self.parts().concat()
    }
}

/// Whether the first byte of a data frame's header says that it is text (RFC 6455 section 5.2).
pub fn is_text(first: u8) -> bool {
    first & 0x0f == u8::from(OpCode::Data(Data::Text))
}

/// How many bytes the header of an unmasked frame has whose second byte is this one (RFC 6455 section 5.2).
pub fn header_bytes(second: u8) -> u64 {
    match second {
        0..126 => 2,
        126 => 4,
        127.. => 10,
    }
}

/// Whether these bytes are one whole message as [`Frame`] has it: a final, unmasked data frame.
pub fn is_message(bytes: &[u8]) -> bool {
    let [first, second, rest @ ..] = bytes else { return false };
    let payload_bytes = match second {
        0..126 => Some(u64::from(*second)),
        126 => rest.first_chunk().map(|length| u16::from_be_bytes(*length).into()),
        127 => rest.first_chunk().map(|length| u64::from_be_bytes(*length)),
        128.. => None,
    };
    let is_data = [Data::Text, Data::Binary].iter().any(|data| *first == 0x80 | u8::from(OpCode::Data(*data)));
    is_data && payload_bytes.and_then(|bytes| bytes.checked_add(header_bytes(*second))) == Some(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header_of(payload_len: usize) -> Vec<u8> {
        Frame::binary(vec![0; payload_len]).parts()[0].to_vec()
    }

    #[test]
    fn a_header_has_the_shortest_form_of_the_length() {
        assert_eq!(header_of(0), [0x82, 0]);
        assert_eq!(header_of(125), [0x82, 125]);
        assert_eq!(header_of(126), [0x82, 126, 0, 126]);
        assert_eq!(header_of(65_535), [0x82, 126, 255, 255]);
        assert_eq!(header_of(65_536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_header_says_what_it_is_and_how_long() {
        for payload_len in [0, 125, 126, 65_535, 65_536] {
            let header = header_of(payload_len);
            assert_eq!(header_bytes(header[1]), header.len() as u64, "{payload_len}");
            assert!(!is_text(header[0]));
        }
        assert!(is_text(Frame::text("fog").parts()[0][0]));
    }

    #[test]
    fn a_frame_is_header_and_payload() {
        let frame = Frame::text("fog");
        assert_eq!(frame.to_vec(), b"\x81\x03fog");
        assert_eq!(frame.len(), 5);
    }

    #[test]
    fn only_a_whole_final_unmasked_data_frame_is_a_message() {
        for payload_len in [0, 125, 126, 65_535, 65_536] {
            let message = Frame::binary(vec![0; payload_len]).to_vec();
            assert!(is_message(&message), "{payload_len}");
            assert!(!is_message(&message[..message.len() - 1]) && !is_message(&[&message[..], &[0]].concat()));
        }
        assert!(is_message(b"\x81\x03fog"));
        for other in
            [&b""[..], b"\x81", b"\x01\x03fog", b"\xc1\x03fog", b"\x88\x00", b"\x81\x83fog", b"\x81\x7e\0", &PING]
        {
            assert!(!is_message(other), "{other:?}");
        }
        assert!(!is_message(b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"));
    }

    #[test]
    fn a_close_frame_has_code_and_reason_or_nothing() {
        assert_eq!(Frame::close(Some(1001), "bye").to_vec(), b"\x88\x05\x03\xe9bye");
        assert_eq!(Frame::close(None, "").to_vec(), [0x88, 0]);
    }
}
