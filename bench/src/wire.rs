//! The bytes of a WebSocket (RFC 6455) as far as a load needs them: stamped messages out, a counting reader in.
//!
//! It leaves sockets to `client`, judging what arrived to `tally`, and what socket.io puts around a message to `socketio`. What must stay true: the reader never holds a
//! payload, only the few bytes of a frame head that a read has cut in two, so ten thousand clients cost the load little
//! and one read of many frames is gone through by arithmetic.

use crate::socketio::{self, EVENT_BEGIN, EVENT_END, Packet};

/// Bytes of the stamp at the start of every message.
pub const STAMP_BYTES: usize = 16;

/// How many publishers a stamp can tell apart, and a tally keeps count of.
pub const PUBLISHERS_MAX: usize = 8;

/// The longest head of a server's frame, what may stand before a message, and the stamp.
const HEAD_BYTES_MAX: usize = 10 + EVENT_BEGIN.len() + STAMP_BYTES;

/// Marks our own messages; whatever else comes (a greeting, say) is let pass uncounted.
const MAGIC: u64 = 0x1a;

/// Every client must mask (RFC 6455, 5.3); the key need not be secret here, so one serves for all.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Who sent a message, as how manieth, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Index of the publisher, below [`PUBLISHERS_MAX`].
    pub publisher: usize,
    /// Counts this publisher's messages, from 0.
    pub seq: u64,
    /// Nanoseconds since the load's own clock started: 48 bits of them, three days.
    pub sent_ns: u64,
}

impl Stamp {
    pub(crate) fn encode(self) -> [u8; STAMP_BYTES] {
        let id = MAGIC << 43 | (self.publisher as u64) << 40 | self.seq;
        let mut bytes = [0; STAMP_BYTES];
        bytes[..8].copy_from_slice(&spread(id));
        bytes[8..].copy_from_slice(&spread(self.sent_ns));
        bytes
    }

    pub(crate) fn decode(bytes: [u8; STAMP_BYTES]) -> Option<Self> {
        let (id, sent) = bytes.split_at(8);
        let (id, sent_ns) = (gather(id.try_into().ok()?)?, gather(sent.try_into().ok()?)?);
        let stamp = Self { publisher: (id >> 40 & 0x7) as usize, seq: id & 0xff_ffff_ffff, sent_ns };
        (id >> 43 == MAGIC).then_some(stamp)
    }
}

/// Writes 48 bits as eight bytes from 0x40 to 0x7f, so that a stamp is valid UTF-8, goes into a text message, and has no
/// end of a line in it, which would cut it in two on an event stream.
fn spread(value: u64) -> [u8; 8] {
    let mut bytes = [0; 8];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = 0x40 | (value >> (6 * i) & 0x3f) as u8;
    }
    bytes
}

/// The inverse of [`spread`]: closes the gaps pairwise, which is cheaper than eight shifts for each of millions.
fn gather(bytes: [u8; 8]) -> Option<u64> {
    let x = u64::from_le_bytes(bytes);
    if x & 0xc0c0_c0c0_c0c0_c0c0 != 0x4040_4040_4040_4040 {
        return None;
    }
    let x = x & 0x003f_003f_003f_003f | (x & 0x3f00_3f00_3f00_3f00) >> 2;
    let x = x & 0x0000_0fff_0000_0fff | (x & 0x0fff_0000_0fff_0000) >> 4;
    Some(x & 0x00ff_ffff | (x & 0x00ff_ffff_0000_0000) >> 8)
}

/// The payload of a message with this stamp, for ways that have no frames; it must have room for the stamp.
pub fn payload(payload_bytes: usize, stamp: Stamp) -> Vec<u8> {
    assert!(payload_bytes >= STAMP_BYTES, "a payload has to hold its stamp");
    let mut payload = stamp.encode().to_vec();
    payload.resize(payload_bytes, b'x');
    payload
}

/// What is in the frames of a WebSocket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// A message is a frame.
    #[default]
    Messages,
    /// A message is in a packet of socket.io.
    SocketIo,
}

/// A masked text frame made once; only its stamp changes from message to message.
#[derive(Debug)]
pub struct Template {
    frame: Vec<u8>,
    payload_at: usize,
    /// Where in the payload the stamp is.
    stamp_at: usize,
    content: Content,
}

impl Template {
    /// A frame with a message of `payload_bytes`, which must have room for the stamp.
    pub fn new(payload_bytes: usize, content: Content) -> Self {
        let message = payload(payload_bytes, Stamp { publisher: 0, seq: 0, sent_ns: 0 });
        let (begin, end) = match content {
            Content::Messages => (&[][..], &[][..]),
            Content::SocketIo => (EVENT_BEGIN, EVENT_END),
        };
        let frame = masked(&[begin, &message, end].concat());
        let payload_at = frame.len() - begin.len() - message.len() - end.len();
        Self { frame, payload_at, stamp_at: begin.len(), content }
    }

    /// The frame with this stamp in it.
    pub fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        let bytes = match self.content {
            Content::Messages => stamp.encode(),
            Content::SocketIo => socketio::escape(stamp.encode()),
        };
        let payload = &mut self.frame[self.payload_at..];
        for (i, byte) in (self.stamp_at..).zip(bytes) {
            payload[i] = byte ^ MASK[i % 4];
        }
        &self.frame
    }
}

/// A masked text frame.
pub fn masked(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 14);
    frame.push(0x81);
    push_length(&mut frame, payload.len(), 0x80);
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Appends a frame's length in the shortest form, as RFC 6455, 5.2 demands.
pub fn push_length(frame: &mut Vec<u8>, payload_bytes: usize, mask_bit: u8) {
    match payload_bytes {
        0..=125 => frame.push(mask_bit | payload_bytes as u8),
        126..=0xffff => {
            frame.push(mask_bit | 0x7e);
            frame.extend_from_slice(&(payload_bytes as u16).to_be_bytes());
        }
        _ => {
            frame.push(mask_bit | 0x7f);
            frame.extend_from_slice(&(payload_bytes as u64).to_be_bytes());
        }
    }
}

/// A pong that answers any ping of a server; its (empty) payload differs from the ping's, which no server here minds.
pub const PONG: [u8; 6] = [0x8a, 0x80, MASK[0], MASK[1], MASK[2], MASK[3]];

/// What the reader has met in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// One of our messages, complete.
    Message(Stamp),
    /// Text or binary that no load has sent, such as a greeting.
    Other,
    /// A ping, to be answered.
    Ping,
    /// A packet of socket.io that the client has to do something about.
    Packet(Packet),
    /// A close frame: the server ends this connection.
    Close,
    /// Bytes that the load cannot count: a fragment, or no frame of a server.
    Unreadable,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    bytes: usize,
    payload_bytes: u64,
    arrival: Arrival,
}

/// Goes through the bytes of one server's stream, in whatever pieces they come.
#[derive(Debug)]
pub struct FrameReader {
    /// A head (and stamp) that a read has cut off.
    carry: [u8; HEAD_BYTES_MAX],
    carry_len: usize,
    /// Payload still to come of the frame that `pending` will report when it is complete.
    skip: u64,
    pending: Arrival,
    content: Content,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::of(Content::Messages)
    }
}

impl FrameReader {
    /// For frames with this in them.
    pub fn of(content: Content) -> Self {
        Self { carry: [0; HEAD_BYTES_MAX], carry_len: 0, skip: 0, pending: Arrival::Other, content }
    }

    /// Reports every frame that these bytes complete.
    #[inline]
    pub fn feed(&mut self, mut bytes: &[u8], mut report: impl FnMut(Arrival)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let step = self.skip.min(bytes.len() as u64);
                self.skip -= step;
                bytes = &bytes[step as usize..];
                if self.skip == 0 {
                    report(self.pending);
                }
                continue;
            }
            let head = if self.carry_len == 0 {
                let Some(head) = parse_head(bytes, self.content) else {
                    self.carry[..bytes.len()].copy_from_slice(bytes);
                    self.carry_len = bytes.len();
                    return;
                };
                bytes = &bytes[head.bytes..];
                head
            } else {
                self.carry[self.carry_len] = bytes[0];
                self.carry_len += 1;
                bytes = &bytes[1..];
                let Some(head) = parse_head(&self.carry[..self.carry_len], self.content) else {
                    continue;
                };
                self.carry_len = 0;
                head
            };
            if head.payload_bytes == 0 {
                report(head.arrival);
            } else {
                self.skip = head.payload_bytes;
                self.pending = head.arrival;
            }
        }
    }
}

/// Reads a frame's head and stamp; `payload_bytes` is what comes after them. None: more bytes are needed, and there are
/// fewer than [`HEAD_BYTES_MAX`] of them so far.
#[inline]
fn parse_head(bytes: &[u8], content: Content) -> Option<Head> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (head_bytes, payload_bytes) = match second {
        0..=125 => (2, u64::from(second)),
        126 => (4, u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        _ => return Some(unreadable(bytes.len())),
    };
    let arrival = match first {
        0x81 if content == Content::SocketIo => return parse_packet(bytes, head_bytes, payload_bytes),
        0x81 | 0x82 if payload_bytes >= STAMP_BYTES as u64 => {
            let stamp = Stamp::decode(*bytes.get(head_bytes..)?.first_chunk()?);
            return Some(Head {
                bytes: head_bytes + STAMP_BYTES,
                payload_bytes: payload_bytes - STAMP_BYTES as u64,
                arrival: stamp.map_or(Arrival::Other, Arrival::Message),
            });
        }
        0x81 | 0x82 | 0x8a => Arrival::Other,
        0x88 => Arrival::Close,
        0x89 => Arrival::Ping,
        _ => return Some(unreadable(bytes.len())),
    };
    Some(Head { bytes: head_bytes, payload_bytes, arrival })
}

/// The same of a frame with a packet of socket.io.
fn parse_packet(bytes: &[u8], head_bytes: usize, payload_bytes: u64) -> Option<Head> {
    let mut read_bytes = payload_bytes.min(EVENT_BEGIN.len() as u64) as usize;
    let packet = socketio::packet(bytes.get(head_bytes..head_bytes + read_bytes)?);
    let mut arrival = Arrival::Packet(packet);
    if packet == Packet::Event && payload_bytes >= (EVENT_BEGIN.len() + STAMP_BYTES) as u64 {
        let stamp = bytes.get(head_bytes + read_bytes..)?.first_chunk()?;
        read_bytes += STAMP_BYTES;
        if let Some(stamp) = Stamp::decode(socketio::unescape(*stamp)) {
            arrival = Arrival::Message(stamp);
        }
    }
    Some(Head { bytes: head_bytes + read_bytes, payload_bytes: payload_bytes - read_bytes as u64, arrival })
}

/// Swallows what there is: after it nothing in this stream can be made out.
fn unreadable(bytes: usize) -> Head {
    Head { bytes, payload_bytes: 0, arrival: Arrival::Unreadable }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x81];
        push_length(&mut frame, payload.len(), 0);
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn a_stamp_comes_back_as_it_was_and_is_ascii_on_one_line() {
        for seq in [0, 1, 127, 128, 0xff_ffff_ffff] {
            let stamp = Stamp { publisher: 7, seq, sent_ns: seq << 8 | 0x55 };
            let bytes = stamp.encode();
            assert!(bytes.iter().all(|byte| (0x40..0x80).contains(byte)));
            assert_eq!(Stamp::decode(bytes), Some(stamp));
        }
    }

    #[test]
    fn packets_of_socket_io_are_told_apart_however_a_stream_is_cut() {
        let mut stream = server_frame(br#"0{"sid":"lv_VI97HAXpY6yYWAAAB","pingInterval":25000}"#);
        stream.extend(server_frame(br#"40{"sid":"oSO0OpakMV_3jnilAAAA"}"#));
        let mut sent = Vec::new();
        // A stamp of this time has each value of its bytes, the one too that JSON would have escaped.
        for seq in 0..64 {
            let stamp = Stamp { publisher: 2, seq, sent_ns: seq << 42 | 0x1c };
            let mut template = Template::new(70, Content::SocketIo);
            let masked = &template.stamped(stamp)[2..];
            let payload: Vec<u8> =
                masked[4..].iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            let event: (String, String) = serde_json::from_slice(&payload[2..]).unwrap();
            assert_eq!((event.0.as_str(), event.1.len()), ("message", 70));
            stream.extend(server_frame(&payload));
            sent.push(Arrival::Message(stamp));
        }
        stream.extend(server_frame(br#"42["message","short"]"#));
        stream.extend(server_frame(br#"42["message","a message that no load has sent"]"#));
        stream.extend(server_frame(b"2"));
        stream.extend(server_frame(b"41"));
        for piece_bytes in [1, 2, 3, 15, 16, 17, 32, 1000, stream.len()] {
            let (mut reader, mut seen) = (FrameReader::of(Content::SocketIo), Vec::new());
            for piece in stream.chunks(piece_bytes) {
                reader.feed(piece, |arrival| seen.push(arrival));
            }
            let mut expected = vec![Arrival::Packet(Packet::Open), Arrival::Packet(Packet::Connected)];
            expected.extend(&sent);
            expected.extend([Packet::Event, Packet::Event, Packet::Ping, Packet::End].map(Arrival::Packet));
            assert_eq!(seen, expected, "in pieces of {piece_bytes}");
        }
    }

    #[test]
    fn frames_are_counted_however_a_stream_is_cut() {
        let mut stream = server_frame(b"connected to WebSocket server");
        let mut sent = Vec::new();
        for (seq, extra) in [0, 48, 110, 70_000, 300].into_iter().enumerate() {
            let stamp = Stamp { publisher: 3, seq: seq as u64, sent_ns: 99 };
            let mut payload = stamp.encode().to_vec();
            payload.resize(STAMP_BYTES + extra, b'x');
            stream.extend(server_frame(&payload));
            sent.push(Arrival::Message(stamp));
        }
        stream.extend([0x89, 0, 0x88, 2, 3, 0xe8]);
        for piece_bytes in [1, 2, 3, 7, 25, 26, 27, 1000, stream.len()] {
            let (mut reader, mut seen) = (FrameReader::default(), Vec::new());
            for piece in stream.chunks(piece_bytes) {
                reader.feed(piece, |arrival| seen.push(arrival));
            }
            let mut expected = vec![Arrival::Other];
            expected.extend(&sent);
            expected.extend([Arrival::Ping, Arrival::Close]);
            assert_eq!(seen, expected, "in pieces of {piece_bytes}");
        }
    }
}
