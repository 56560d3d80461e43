//! The names of the keys in Redis that are named outside of the scripts.
//!
//! Leaves those of heads, counters, connections and fences to the scripts, which put them together in the same way. What must stay true: a key
//! is of one channel, or of one board, whatever the prefix is.

use crate::hub::channel_name::ChannelName;

/// The keys of one board.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Before each key, with a colon between.
    pub prefix: String,
    /// The board's number.
    pub board: u64,
}

impl Keys {
    /// The stream of a channel.
    pub fn stream(&self, channel: &ChannelName) -> String {
        format!("{}:stream:{channel}", self.prefix)
    }

    /// The channel of which this is the stream, if it is one.
    pub fn channel_of(&self, stream: &[u8]) -> Option<ChannelName> {
        let name = stream.strip_prefix(self.prefix.as_bytes())?.strip_prefix(b":stream:")?;
        let name = std::str::from_utf8(name).ok()?;
        if name.is_empty() { Some(ChannelName::MAIN) } else { ChannelName::parse(name) }
    }

    /// The stream by which this board's reader is woken.
    pub fn wake(&self) -> String {
        format!("{}:wake:{}", self.prefix, hex(self.board))
    }
}

/// A board or a connection as it stands in keys and entries.
pub fn hex(id: u64) -> String {
    format!("{id:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_of_one_channel() {
        let keys = Keys { prefix: "a:stream:{b}".into(), board: 17 };
        for channel in [ChannelName::MAIN, ChannelName::parse("a-z_09").unwrap()] {
            assert_eq!(keys.channel_of(keys.stream(&channel).as_bytes()), Some(channel));
        }
        assert_eq!(keys.stream(&ChannelName::MAIN), "a:stream:{b}:stream:");
        for other in
            [keys.wake().as_bytes(), b"", b"a:stream:", b"a:stream:{b}:stream:a.b", b"a:stream:{b}:stream:\xff"]
        {
            assert_eq!(keys.channel_of(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_number_has_sixteen_digits() {
        let keys = Keys { prefix: "foghorn".into(), board: 0x2f };
        assert_eq!(keys.wake(), "foghorn:wake:000000000000002f");
    }
}
