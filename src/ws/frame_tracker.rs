//! Where the frames of a client begin and end, in the bytes that are handed to tungstenite; and the code of its Close frame.
//!
//! Judges nothing: tungstenite does, by the same parser of frame heads, and the session, which code a client may give. What must
//! stay true: no byte is handed out past the end of a large message, so that at its end tungstenite has nothing of the client but
//! that message.

use std::io::Cursor;

use async_tungstenite::tungstenite::protocol::frame::FrameHeader;
use async_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};

use crate::config::limits::READ_BUFFER_BYTES;

/// The longest head of a client's frame, in bytes (RFC 6455 section 5.2).
const HEAD_BYTES_MAX: usize = 14;

/// A message with a frame of more payload is large: tungstenite's buffer grows for it.
const LARGE_FRAME_BYTES: u64 = READ_BUFFER_BYTES as u64 / 2;

/// Follows the frames of one client.
#[derive(Debug, Default)]
pub struct FrameTracker {
    place: Place,
    /// The first bytes of a head that has not come whole.
    head: [u8; HEAD_BYTES_MAX],
    head_bytes: u8,
    is_in_message: bool,
    is_large: bool,
    is_after_large: bool,
    messages: u32,
}

/// What the next byte is.
#[derive(Debug, Default)]
enum Place {
    /// Part of a frame's head.
    #[default]
    Head,
    /// Part of a payload, unless that is at its end.
    Payload { left_bytes: u64, ends_message: bool },
    /// Part of a Close frame's payload, or behind it, where nobody reads.
    Close(ClosePayload),
    /// Nothing that could be a frame: tungstenite will find that too, and the connection ends.
    Lost,
}

/// The first bytes of a Close frame's payload.
#[derive(Debug)]
struct ClosePayload {
    mask: [u8; 4],
    left_bytes: u64,
    code: [u8; 2],
    code_bytes: u8,
}

impl ClosePayload {
    /// Takes what belongs to the code.
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let at = usize::from(self.code_bytes);
            if self.left_bytes == 0 || at == self.code.len() {
                return;
            }
            self.code[at] = byte ^ self.mask[at];
            self.code_bytes += 1;
            self.left_bytes -= 1;
        }
    }
}

impl FrameTracker {
    /// How many of these bytes, the next ones of the client, may be handed out: all, or those up to the end of a large message.
    pub fn follow(&mut self, bytes: &[u8]) -> usize {
        self.is_after_large = false;
        let mut at = 0;
        loop {
            if let Place::Payload { left_bytes, ends_message } = &mut self.place {
                let here = usize::try_from(*left_bytes).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += here;
                *left_bytes -= here as u64;
                if *left_bytes > 0 {
                    return at;
                }
                if *ends_message {
                    self.messages = self.messages.wrapping_add(1);
                    self.is_in_message = false;
                    self.is_after_large = std::mem::take(&mut self.is_large);
                }
                self.place = Place::Head;
            }
            if at == bytes.len() || self.is_after_large {
                return at;
            }
            match &mut self.place {
                Place::Close(payload) => {
                    payload.take(&bytes[at..]);
                    return bytes.len();
                }
                Place::Lost => return bytes.len(),
                Place::Head | Place::Payload { .. } => {}
            }
            at += self.follow_head(&bytes[at..]);
        }
    }

    /// Takes the next bytes of a head, and returns how many these are.
    fn follow_head(&mut self, bytes: &[u8]) -> usize {
        let before = usize::from(self.head_bytes);
        let more = bytes.len().min(HEAD_BYTES_MAX - before);
        let (parsed, end) = if before == 0 {
            let mut cursor = Cursor::new(bytes);
            (FrameHeader::parse(&mut cursor), cursor.position())
        } else {
            self.head[before..before + more].copy_from_slice(&bytes[..more]);
            let mut cursor = Cursor::new(&self.head[..before + more]);
            (FrameHeader::parse(&mut cursor), cursor.position())
        };
        match parsed {
            Ok(Some((header, left_bytes))) => {
                self.head_bytes = 0;
                let is_data = matches!(header.opcode, OpCode::Data(_));
                self.place = if header.opcode == OpCode::Control(Control::Close) {
                    let mask = header.mask.unwrap_or_default();
                    Place::Close(ClosePayload { mask, left_bytes, code: [0; 2], code_bytes: 0 })
                } else {
                    Place::Payload { left_bytes, ends_message: is_data && header.is_final }
                };
                self.is_in_message |= is_data;
                self.is_large |= left_bytes > LARGE_FRAME_BYTES;
                usize::try_from(end).expect("it is within the bytes") - before
            }
            Ok(None) => {
                self.head[before..before + more].copy_from_slice(&bytes[..more]);
                self.head_bytes = u8::try_from(before + more).expect("a head is short");
                more
            }
            Err(_) => {
                self.place = Place::Lost;
                bytes.len()
            }
        }
    }

    /// How many messages have been handed out to their ends, modulo 2^32.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// Whether the last byte that was handed out was that of a large message.
    pub fn is_after_large(&self) -> bool {
        self.is_after_large
    }

    /// The code of the client's Close frame, as it came: tungstenite tells what it does not know as 1002, and it does not know 1014.
    pub fn close_code(&self) -> Option<u16> {
        match &self.place {
            Place::Close(ClosePayload { code, code_bytes: 2, .. }) => Some(u16::from_be_bytes(*code)),
            _ => None,
        }
    }

    /// Whether no frame and no message has been handed out in part.
    pub fn is_between_messages(&self) -> bool {
        matches!(self.place, Place::Head) && self.head_bytes == 0 && !self.is_in_message
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind, Read, Write};

    use async_tungstenite::tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};
    use async_tungstenite::tungstenite::{Bytes, Error};
    use proptest::prelude::*;

    use super::*;

    /// A client's frame, masked with zeros.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            len @ 0..126 => frame.push(0x80 | u8::try_from(len).unwrap()),
            len @ 126..65_536 => {
                frame.push(0xfe);
                frame.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            len => {
                frame.push(0xff);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        frame
    }

    /// Hands out what the tracker lets through of pieces that come one after the other.
    struct Socket {
        pieces: std::vec::IntoIter<Vec<u8>>,
        piece: Vec<u8>,
        frames: FrameTracker,
    }

    impl Read for Socket {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.piece.is_empty() {
                self.piece = self.pieces.next().ok_or(ErrorKind::WouldBlock)?;
            }
            let bytes = self.frames.follow(&self.piece[..self.piece.len().min(buffer.len())]);
            assert!(bytes > 0, "it goes on");
            buffer[..bytes].copy_from_slice(&self.piece[..bytes]);
            self.piece.drain(..bytes);
            Ok(bytes)
        }
    }

    impl Write for Socket {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn websocket(socket: Socket) -> WebSocket<Socket> {
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
        WebSocket::from_raw_socket(socket, Role::Server, Some(config))
    }

    /// What comes out of these pieces if the WebSocket is made anew wherever it may be, and how often it was.
    fn messages(pieces: Vec<Vec<u8>>) -> (Vec<Bytes>, usize) {
        let socket = Socket { pieces: pieces.into_iter(), piece: Vec::new(), frames: FrameTracker::default() };
        let (mut server, mut messages, mut renewed) = (websocket(socket), Vec::new(), 0);
        loop {
            match server.read() {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => messages.push(message.into_data()),
                Ok(_) => continue,
                Err(Error::Io(error)) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    assert!(server.get_ref().frames.is_between_messages());
                    return (messages, renewed);
                }
                Err(error) => panic!("{error}"),
            }
            let frames = &server.get_ref().frames;
            if frames.is_after_large() && frames.messages() as usize == messages.len() {
                server = websocket(server.into_inner());
                renewed += 1;
            }
        }
    }

    /// Cuts bytes into pieces of these lengths, over and over.
    fn cut(mut bytes: &[u8], lens: &[usize]) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        for len in lens.iter().cycle() {
            if bytes.is_empty() {
                break;
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(*len));
            pieces.push(piece.to_vec());
            bytes = rest;
        }
        pieces
    }

    #[test]
    fn a_large_message_is_the_last_that_is_handed_out() {
        let large = frame(0x82, &[1; 600]);
        let bytes = [&frame(0x82, &[0; 512])[..], &large, &large, &frame(0x82, b"small")].concat();
        let (received, renewed) = messages(vec![bytes]);
        assert_eq!(received.iter().map(Bytes::len).collect::<Vec<_>>(), [512, 600, 600, 5]);
        assert_eq!(renewed, 2);
    }

    #[test]
    fn a_message_is_out_in_part_until_its_last_fragment_is_whole() {
        let mut frames = FrameTracker::default();
        assert!(frames.is_between_messages());
        let ping = frame(0x89, b"ping");
        let last = frame(0x80, b"g");
        for (bytes, is_between) in [
            (&frame(0x02, b"fo")[..], false),
            (&ping, false),
            (&last[..1], false),
            (&last[1..6], false),
            (&last[6..], true),
            (&ping[..1], false),
            (&ping[1..], true),
            (&frame(0x81, b"fog"), true),
        ] {
            assert_eq!(frames.follow(bytes), bytes.len());
            assert_eq!(frames.is_between_messages(), is_between, "{bytes:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_frame_are_all_handed_out_for_tungstenite_to_judge() {
        for bytes in [b"\x83\x80\0\0\0\0\x01\x02\x03", &[0x8f; 100][..]] {
            let mut frames = FrameTracker::default();
            assert_eq!(frames.follow(bytes), bytes.len());
            assert_eq!(frames.follow(&[0; 1000]), 1000);
            assert!(!frames.is_between_messages() && !frames.is_after_large());
        }
    }

    #[test]
    fn the_code_of_a_close_frame_is_found_however_it_is_cut() {
        let masked = |payload: &[u8]| {
            let mask = [1, 2, 3, 4];
            let mut frame = vec![0x88, 0x80 | u8::try_from(payload.len()).unwrap()];
            frame.extend(mask);
            frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
            frame
        };
        for (payload, code) in [(&b""[..], None), (&[3], None), (&[3, 246], Some(1014)), (b"\x03\xe8bye", Some(1000))] {
            // What comes behind it belongs to no code.
            let bytes = [frame(0x82, b"before"), masked(payload), vec![9; 10]].concat();
            for piece_bytes in 1..bytes.len() {
                let mut frames = FrameTracker::default();
                for piece in bytes.chunks(piece_bytes) {
                    assert_eq!(frames.follow(piece), piece.len());
                }
                assert_eq!(frames.close_code(), code, "{payload:?} in pieces of {piece_bytes}");
            }
        }
    }

    proptest! {
        /// Messages of all sizes, whole or in fragments with pings between, in pieces cut anywhere.
        #[test]
        fn however_they_are_cut_no_message_is_lost_when_the_websocket_is_made_anew(
            sent in prop::collection::vec(prop::collection::vec(
                prop_oneof![0_usize..10, 100_usize..140, 500_usize..530, 1000_usize..1100, 65_530_usize..65_540], 1..4), 1..8),
            cuts in prop::collection::vec(prop_oneof![1_usize..20, 500_usize..2000, 60_000_usize..70_000], 1..5),
        ) {
            let (mut bytes, mut expected, mut large) = (Vec::new(), Vec::new(), 0);
            for (nth, fragments) in sent.iter().enumerate() {
                let mut message = Vec::new();
                for (at, len) in fragments.iter().enumerate() {
                    let payload = vec![u8::try_from(nth).unwrap(); *len];
                    let fin = if at + 1 == fragments.len() { 0x80 } else { 0 };
                    bytes.extend(frame(fin | if at == 0 { 2 } else { 0 }, &payload));
                    bytes.extend(frame(0x89, b"ping"));
                    message.extend(payload);
                }
                large += usize::from(fragments.iter().any(|len| *len > 512));
                expected.push(Bytes::from(message));
            }
            prop_assert_eq!(messages(cut(&bytes, &cuts)), (expected, large));
        }
    }
}
