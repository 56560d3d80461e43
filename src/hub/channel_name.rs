//! The name of a channel, as it stands in addresses.
//!
//! Leaves paths to `http`. What must stay true: two names of one channel are equal, whatever the case in which they came.

use std::fmt;

/// The longest name.
pub const NAME_BYTES_MAX: usize = 64;

/// 1 to 64 of `a-z 0-9 - _`; empty for the main channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(String);

impl ChannelName {
    /// The main channel's.
    pub const MAIN: Self = Self(String::new());

    /// Reads the name of a channel other than the main one. Capitals are folded, since phones capitalise. `None` for what is no name.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_name = (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_name_byte);
        is_name.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The name; empty for the main channel.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its address, as people write it.
    pub fn address(&self) -> String {
        if self.is_main() { "/".to_owned() } else { format!("/c/{}", self.0) }
    }

    /// Whether it is the main channel's.
    pub fn is_main(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain_and_its_case_does_not_count() {
        let name = |text: &str| ChannelName::parse(text).map(|name| name.to_string());
        assert_eq!(name("Lights-2_b"), Some("lights-2_b".into()));
        assert_eq!(name(&"X".repeat(64)), Some("x".repeat(64)));
        for text in ["", "a b", "a.b", "a/b", "a%41", "ä", "a?", &"x".repeat(65)] {
            assert_eq!(name(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_main_channel_has_no_name_and_every_channel_an_address() {
        let lights = ChannelName::parse("Lights").unwrap();
        assert_eq!((lights.as_str(), lights.is_main(), lights.address()), ("lights", false, "/c/lights".to_owned()));
        let main = ChannelName::MAIN;
        assert_eq!((main.as_str(), main.is_main(), main.address()), ("", true, "/".to_owned()));
    }
}
