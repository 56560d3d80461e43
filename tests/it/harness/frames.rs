//! Frames of RFC 6455: those that clients send, some of which they may not, and those that a server may send.

use std::io::{self, Read};

/// Opcodes of RFC 6455 section 5.2.
pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
/// The bit of a frame that ends its message.
pub const FIN: u8 = 0x80;

/// A masked frame, as a client has to send it. `first` is the first byte: FIN, reserved bits and opcode.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = header(first, payload.len(), 0x80);
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame without a mask, which no client may send.
pub fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len(), 0);
    frame.extend(payload);
    frame
}

fn header(first: u8, len: usize, mask_bit: u8) -> Vec<u8> {
    let mut header = vec![first];
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ 0..=125), _) => header.push(mask_bit | len),
        (_, Ok(len)) => {
            header.push(mask_bit + 126);
            header.extend(len.to_be_bytes());
        }
        _ => {
            header.push(mask_bit + 127);
            header.extend((len as u64).to_be_bytes());
        }
    }
    header
}

/// A frame from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Reads a frame, and sees to it that it is one that a server may send.
    pub fn read_from(from: &mut impl Read) -> io::Result<Self> {
        let [first, second] = array(from)?;
        assert_eq!(first & 0xf0, FIN, "whole, no reserved bits: {first:#x}");
        assert_eq!(second & 0x80, 0, "not masked");
        let len = match second {
            126 => u64::from(u16::from_be_bytes(array(from)?)),
            127 => u64::from_be_bytes(array(from)?),
            short => short.into(),
        };
        let shortest = header(first, usize::try_from(len).unwrap(), 0);
        assert_eq!(second, shortest[1], "the shortest form of the length {len}");
        let mut payload = vec![0; usize::try_from(len).unwrap()];
        from.read_exact(&mut payload)?;
        Ok(Self { opcode: first & 0x0f, payload })
    }

    /// The code and the words of a Close frame.
    pub fn close_parts(&self) -> (Option<u16>, String) {
        assert_eq!(self.opcode, CLOSE, "{self:?}");
        match self.payload.split_first_chunk() {
            Some((code, words)) => (Some(u16::from_be_bytes(*code)), String::from_utf8(words.to_vec()).unwrap()),
            None => (None, String::new()),
        }
    }
}

fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
