//! What is known of a message from its writer: when it was sent, and what the writer was told of it.
//!
//! What must stay true: what was confirmed stays so, and what was refused, too.

use soak::told::Told;

/// Those who post, whose messages have no order among each other: a post without an answer may come later than the next.
pub const FIRST_POSTER: u32 = 500;
/// From here on, writers are numbered as they come, and say only text.
pub const FIRST_LATER: u32 = 1000;

/// What is known of one message.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    pub channel: usize,
    /// When it was first sent, in microseconds since 1970.
    pub sent: u64,
    /// When and by whom its writer was told that it is in the log.
    pub confirmed: Option<(u64, Told)>,
    /// Whether its writer was told that it never will be.
    pub is_refused: bool,
}

impl Said {
    /// For people.
    pub fn when(&self) -> String {
        match self.confirmed {
            Some((at, told)) => {
                format!("; sent {} ms before it was confirmed ({told})", (at - self.sent.min(at)) / 1000)
            }
            None => "; it was never confirmed".to_owned(),
        }
    }
}

/// Whether the messages of this writer come in their order.
pub fn is_ordered(writer: u32) -> bool {
    !(FIRST_POSTER..FIRST_LATER).contains(&writer)
}
