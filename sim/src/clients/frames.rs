//! WebSocket frames as a client writes and reads them (RFC 6455 section 5).
//!
//! Leaves what is in a message to others. What must stay true: what a server must not send is told from what it may.

/// The opcode of a text message.
pub const TEXT: u8 = 1;
/// The opcode of a binary message.
pub const BINARY: u8 = 2;
/// The opcode of a Close frame.
pub const CLOSE: u8 = 8;
/// The opcode of a ping.
pub const PING: u8 = 9;
/// The opcode of a pong.
pub const PONG: u8 = 10;
/// The bit of the last fragment.
pub const FIN: u8 = 0x80;

/// A frame of the server, as its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub opcode: u8,
    /// The length of its head.
    pub head_bytes: usize,
    /// Its length with its head. It may not have come yet.
    pub bytes: usize,
}

/// The frame that begins here, if as much of its head is there as it takes.
///
/// # Errors
/// What the server must not send.
#[inline]
pub fn next(bytes: &[u8]) -> Result<Option<Frame>, String> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let opcode = first & 0x0f;
    if first & 0xf0 != FIN || !matches!(opcode, TEXT | BINARY | CLOSE | PING | PONG) || second & 0x80 != 0 {
        return Err(format!("frame: one begins with {first:02x} {second:02x}"));
    }
    let (head_bytes, payload_bytes) = match (second, rest) {
        (0..=125, _) => (2, usize::from(*second)),
        (126, [a, b, ..]) => (4, usize::from(u16::from_be_bytes([*a, *b]))),
        (127, [..]) if rest.len() >= 8 => {
            let length = rest.first_chunk().map_or(0, |length| u64::from_be_bytes(*length));
            (10, usize::try_from(length).unwrap_or(usize::MAX / 2))
        }
        _ => return Ok(None),
    };
    let is_short = match head_bytes {
        2 => true,
        4 => payload_bytes > 125,
        _ => payload_bytes > 0xffff,
    };
    if !is_short || opcode >= CLOSE && payload_bytes > 125 || payload_bytes > 1 << 31 {
        return Err(format!("frame: one of {payload_bytes} bytes begins with {first:02x} {second:02x}"));
    }
    Ok(Some(Frame { opcode, head_bytes, bytes: head_bytes + payload_bytes }))
}

/// Appends a frame with this first byte, masked.
pub fn put(into: &mut Vec<u8>, first: u8, payload: &[u8], mask: [u8; 4]) {
    into.push(first);
    put_length(into, payload.len(), 0x80);
    into.extend_from_slice(&mask);
    let at = into.len();
    into.extend_from_slice(payload);
    if mask == [0; 4] {
        return;
    }
    let long = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let mut chunks = into[at..].chunks_exact_mut(8);
    for chunk in &mut chunks {
        let masked = u64::from_ne_bytes(chunk.try_into().expect("eight bytes")) ^ long;
        chunk.copy_from_slice(&masked.to_ne_bytes());
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= mask;
    }
}

/// Appends the length of a frame, with the bit of the mask or without.
pub fn put_length(into: &mut Vec<u8>, bytes: usize, mask_bit: u8) {
    match u16::try_from(bytes) {
        Ok(bytes @ ..=125) => into.push(mask_bit | bytes.to_be_bytes()[1]),
        Ok(bytes) => {
            into.push(mask_bit | 0x7e);
            into.extend_from_slice(&bytes.to_be_bytes());
        }
        Err(_) => {
            into.push(mask_bit | 0x7f);
            into.extend_from_slice(&(bytes as u64).to_be_bytes());
        }
    }
}

/// The code of a Close frame's payload, if it has one.
pub fn close_code(payload: &[u8]) -> Option<u16> {
    payload.first_chunk().map(|code| u16::from_be_bytes(*code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_told_by_its_head_whole_or_not() {
        let frame = |bytes: &[u8]| next(bytes);
        assert_eq!(frame(&[0x81]), Ok(None));
        assert_eq!(frame(&[0x81, 5, b'H']), Ok(Some(Frame { opcode: TEXT, head_bytes: 2, bytes: 7 })));
        assert_eq!(frame(&[0x82, 126, 1]), Ok(None));
        assert_eq!(frame(&[0x82, 126, 1, 0]), Ok(Some(Frame { opcode: BINARY, head_bytes: 4, bytes: 260 })));
        let long = [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        assert_eq!(frame(&long), Ok(Some(Frame { opcode: BINARY, head_bytes: 10, bytes: 65_546 })));
    }

    #[test]
    fn what_a_server_must_not_send_is_told() {
        for bytes in [
            &[0x01, 1][..],
            &[0xc1, 1],
            &[0x81, 0x81],
            &[0x83, 0],
            &[0x80, 0],
            &[0x81, 126, 0, 125],
            &[0x89, 126, 0, 126],
            &[0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255],
        ] {
            next(bytes).expect_err("no server sends that");
        }
    }

    #[test]
    fn a_masked_frame_is_that_of_the_page_of_the_wire() {
        let mut frame = Vec::new();
        put(&mut frame, FIN | TEXT, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(frame, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn every_byte_of_any_length_is_masked() {
        for bytes in [0, 1, 7, 8, 9, 125, 126, 65_535, 65_536] {
            let (payload, mask) = (vec![b'x'; bytes], [1, 2, 3, 4]);
            let mut frame = Vec::new();
            put(&mut frame, FIN | BINARY, &payload, mask);
            let masked = &frame[frame.len() - bytes..];
            assert!(masked.iter().zip(mask.iter().cycle()).all(|(byte, mask)| byte ^ mask == b'x'));
        }
    }
}
