//! What goes over the wire: a message as one encoded WebSocket frame, and the reasons for which a connection ends.
//!
//! Leaves reading, unmasking and control frames to tungstenite. What must stay true: a frame's bytes are the same for
//! every client (a server does not mask, RFC 6455 section 5.1), so they are encoded once.

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

    /// Encodes a Close frame. Without a code it is empty (RFC 6455 section 5.5.1); `words` have at most 123 bytes.
    pub fn close(code: Option<u16>, words: &str) -> Self {
        let payload = code.map_or_else(Vec::new, |code| [&code.to_be_bytes()[..], words.as_bytes()].concat());
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

    /// The frame as one piece, for the first words to a new client.
    pub fn to_vec(&self) -> Vec<u8> {
        self.parts().concat()
    }
}

/// Why a WebSocket connection ended: behind it stand the close code, the words in the log and the counter in `/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The client said goodbye; its code is answered.
    ClosedByClient,
    /// The connection broke without a closing handshake.
    Vanished,
    /// The server stops.
    ServerStops,
    /// The client broke RFC 6455: unmasked frames, reserved bits or opcodes, bad fragments or control frames.
    ProtocolError,
    /// A text message was not UTF-8.
    InvalidUtf8,
    /// A message was larger than `--max-message`.
    MessageTooBig,
    /// The client kept others waiting for longer than `--patience`, or did not take its control frames.
    TooSlow,
    /// Nothing came from the client for two heartbeats.
    Silent,
    /// The client has come back over another connection.
    Replaced,
}

impl CloseReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 9] = [
        Self::ClosedByClient,
        Self::Vanished,
        Self::ServerStops,
        Self::ProtocolError,
        Self::InvalidUtf8,
        Self::MessageTooBig,
        Self::TooSlow,
        Self::Silent,
        Self::Replaced,
    ];

    /// The close code that the server sends (RFC 6455 section 7.4.1; 1013 from the IANA registry), where it sends one
    /// of its own: a client's goodbye is answered with the client's code, and a dead connection is told nothing.
    pub fn code(self) -> Option<u16> {
        match self {
            Self::ClosedByClient | Self::Vanished | Self::Silent => None,
            Self::Replaced => Some(1000),
            Self::ServerStops => Some(1001),
            Self::ProtocolError => Some(1002),
            Self::InvalidUtf8 => Some(1007),
            Self::MessageTooBig => Some(1009),
            Self::TooSlow => Some(1013),
        }
    }

    /// The words for the log and for the reason field of the Close frame (at most 123 bytes, RFC 6455 section 5.5).
    pub fn words(self) -> &'static str {
        match self {
            Self::ClosedByClient => "closed by the client",
            Self::Vanished => "connection lost",
            Self::ServerStops => "the server stops",
            Self::ProtocolError => "protocol error",
            Self::InvalidUtf8 => "text is not UTF-8",
            Self::MessageTooBig => "message too big",
            Self::TooSlow => "too slow",
            Self::Silent => "no sign of life",
            Self::Replaced => "came back over another connection",
        }
    }

    /// The name of the counter in `/status`.
    pub fn key(self) -> &'static str {
        match self {
            Self::ClosedByClient => "closedByClient",
            Self::Vanished => "vanished",
            Self::ServerStops => "serverStops",
            Self::ProtocolError => "protocolError",
            Self::InvalidUtf8 => "invalidUtf8",
            Self::MessageTooBig => "messageTooBig",
            Self::TooSlow => "tooSlow",
            Self::Silent => "silent",
            Self::Replaced => "replaced",
        }
    }
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
    fn a_frame_is_header_and_payload() {
        let frame = Frame::text("fog");
        assert_eq!(frame.to_vec(), b"\x81\x03fog");
        assert_eq!(frame.len(), 5);
    }

    #[test]
    fn a_close_frame_has_code_and_words_or_nothing() {
        assert_eq!(Frame::close(Some(1001), "bye").to_vec(), b"\x88\x05\x03\xe9bye");
        assert_eq!(Frame::close(None, "").to_vec(), [0x88, 0]);
    }

    #[test]
    fn the_words_of_every_reason_fit_into_a_close_frame() {
        for reason in CloseReason::ALL {
            assert!(reason.words().len() <= 123, "{reason:?}");
        }
    }
}
