//! The id of a connection whose client counts messages, by which its next connection can replace it.
//!
//! Leaves to `replacing` what follows from an id. What must stay true: nobody can guess one, and one text names one.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// What ids are made with, so that nobody can guess one who does not have it.
#[derive(Debug)]
pub struct Key {
    random: RandomState,
    /// In place of it.
    #[cfg(feature = "simulation")]
    seed: Option<u64>,
}

impl Key {
    /// One that nobody has.
    pub fn new() -> Self {
        Self {
            random: RandomState::new(),
            #[cfg(feature = "simulation")]
            seed: crate::simulation::chance::key(),
        }
    }

    fn hash(&self, number: u64) -> u64 {
        #[cfg(feature = "simulation")]
        if let Some(seed) = self.seed {
            return std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default().hash_one((seed, number));
        }
        self.random.hash_one(number)
    }
}

/// 64 bits; as text, 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The id of the connection with this number, that nobody can guess who does not have the key.
    pub fn new(key: &Key, number: u64) -> Self {
        Self(key.hash(number))
    }

    /// The id as a number, as files have it.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The id that is this [number](Self::number).
    pub fn of_number(number: u64) -> Self {
        Self(number)
    }

    /// Reads an id as it is [written](fmt::Display). `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_id = text.len() == 16 && text.bytes().all(is_digit);
        is_id.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_in_no_other_way() {
        let parse = |text: &str| ConnectionId::parse(text).map(|id| id.to_string());
        for id in ["0000000000000000", "00000000000000ff", "ffffffffffffffff", "9f86d081884c7d65"] {
            assert_eq!(parse(id), Some(id.into()));
        }
        for text in
            ["", "0", "9f86d081884c7d6", "09f86d081884c7d65", "9F86d081884c7d65", "+f86d081884c7d65", "ä0000000000000"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn in_files_an_id_is_the_number_that_its_text_is() {
        for number in [0, 255, u64::MAX] {
            let id = ConnectionId::of_number(number);
            assert_eq!(id.number(), number);
            assert_eq!(id.to_string(), format!("{number:016x}"));
        }
    }

    #[test]
    fn each_key_makes_other_ids() {
        let [one, other] = [Key::new(), Key::new()];
        assert_ne!(ConnectionId::new(&one, 1), ConnectionId::new(&other, 1));
        assert_ne!(ConnectionId::new(&one, 1), ConnectionId::new(&one, 2));
        assert_eq!(ConnectionId::new(&one, 1), ConnectionId::new(&one, 1));
    }
}
