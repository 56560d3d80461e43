//! The packets of socket.io 4 in text frames, as far as a load needs them: joining, staying, and one event with a message.
//!
//! Frames and stamps are left to `wire`. What must stay true: nothing here parses JSON, so a client of socket.io costs the
//! load what any other does.
//!
//! A packet of engine.io begins with its type (0 open, 1 close, 2 ping, 3 pong, 4 message), and in a message stands a packet of
//! socket.io, with a type of its own (0 connect, 1 disconnect, 2 event, 4 refusal). Clients connect to the namespace `/`.

/// Where its WebSocket is; without a poll first.
pub const PATH: &str = "/socket.io/?EIO=4&transport=websocket";

/// Asks to be let into the namespace.
pub const CONNECT: &[u8] = b"40";

/// Answers a ping.
pub const PONG: &[u8] = b"3";

/// What stands before a message,
pub const EVENT_BEGIN: &[u8] = br#"42["message",""#;

/// and what behind it.
pub const EVENT_END: &[u8] = br#""]"#;

/// The byte of a stamp that a string of JSON cannot hold as it is, and the one that stands for it, which no stamp has.
const ESCAPED: (u8, u8) = (b'\\', b'<');

/// What a packet of the server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// The session has begun; the client may ask to be let in.
    Open,
    /// The client is in.
    Connected,
    /// To be answered, or the server closes.
    Ping,
    /// The beginning of an event that may bear a message.
    Event,
    /// The client is not let in, or sent away.
    End,
    /// Anything else.
    Other,
}

/// What the packet is that begins so; the beginning is as long as [`EVENT_BEGIN`], or the whole packet.
#[inline]
pub fn packet(beginning: &[u8]) -> Packet {
    match beginning {
        _ if beginning.starts_with(EVENT_BEGIN) => Packet::Event,
        [b'0', ..] => Packet::Open,
        [b'1', ..] | [b'4', b'1' | b'4', ..] => Packet::End,
        [b'2', ..] => Packet::Ping,
        [b'4', b'0', ..] => Packet::Connected,
        _ => Packet::Other,
    }
}

/// A stamp as it may stand in a string of JSON, as long as it was.
#[inline]
pub fn escape<const N: usize>(stamp: [u8; N]) -> [u8; N] {
    stamp.map(|byte| if byte == ESCAPED.0 { ESCAPED.1 } else { byte })
}

/// The inverse of [`escape`].
#[inline]
pub fn unescape<const N: usize>(stamp: [u8; N]) -> [u8; N] {
    stamp.map(|byte| if byte == ESCAPED.1 { ESCAPED.0 } else { byte })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_known_by_its_beginning() {
        for (beginning, expected) in [
            (&br#"0{"sid":"abc"#[..], Packet::Open),
            (br#"40{"sid":"ab"#, Packet::Connected),
            (b"2", Packet::Ping),
            (br#"42["message",""#, Packet::Event),
            (br#"42["greeting""#, Packet::Other),
            (br#"44{"message""#, Packet::End),
            (b"41", Packet::End),
            (b"1", Packet::End),
            (b"6", Packet::Other),
            (b"", Packet::Other),
        ] {
            assert_eq!(packet(beginning), expected, "{}", beginning.escape_ascii());
        }
    }
}
