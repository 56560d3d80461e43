//! What is said: each message names who has said it, and which of its messages it is.
//!
//! What must stay true: all of a message follows from its name, so one that is cut, mixed or changed is seen.

use std::fmt::{self, Display, Formatter};

/// From here on, writers are `foghorn send`, which sends lines.
pub const FIRST_SENDER: u32 = 1000;

/// Who has said it, and which of its messages it is, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Who has said it.
    pub writer: u32,
    /// Which of its messages it is.
    pub nth: u32,
}

impl Name {
    /// The bytes of the message: most are short, a few are long.
    pub fn text(self) -> String {
        let hash = (self.writer.wrapping_mul(0x9e37_79b9) ^ self.nth).wrapping_mul(0x85eb_ca6b);
        let (kind, length) = (hash >> 26, (hash >> 8 & 0xffff) as usize);
        let padding = match kind {
            0 => length % 3000,
            1..8 => length % 500,
            _ => length % 40,
        };
        format!("{} {} {}", self.writer, self.nth, ".".repeat(padding))
    }

    /// Whether it is a binary message.
    pub fn is_binary(self) -> bool {
        self.writer < FIRST_SENDER && self.nth % 8 == 5
    }

    /// The name of a message that was received.
    ///
    /// # Errors
    /// If nobody has said it.
    pub fn of(bytes: &[u8], is_binary: bool) -> Result<Self, String> {
        let wrong =
            || format!("{:?} is not what anybody has said", String::from_utf8_lossy(&bytes[..bytes.len().min(80)]));
        let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
        let mut words = text.split(' ');
        let (Some(Ok(writer)), Some(Ok(nth))) = (words.next().map(str::parse), words.next().map(str::parse)) else {
            return Err(wrong());
        };
        let name = Self { writer, nth };
        if name.text() != text || name.is_binary() != is_binary {
            return Err(format!("{}, or is of the other kind", wrong()));
        }
        Ok(name)
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "message {} of writer {}", self.nth, self.writer)
    }
}
