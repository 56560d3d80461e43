//! Whether a connection ended for a reason.
//!
//! Leaves what led there to `connection`. What must stay true: who reads, answers and breaks no rule is dropped by nobody but its own goodbye, its successor, the
//! network, a deletion, or the end of the server.

use std::time::Duration;

use crate::book::Book;

/// How a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// With a Close frame of this code.
    Closed(Option<u16>),
    /// In order, with none.
    Ended,
    /// Broken.
    Reset,
    /// The handshake was answered with this status.
    Status(u16),
}

/// A client's own Close frame, with this code, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goodbye(pub Option<u16>);

/// What may be the reason.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a reason of its own")]
pub struct Conduct {
    /// The network was at it.
    pub was_hit: bool,
    /// Which life of the server it began in.
    pub life: u64,
    /// It has ended the connection itself: with a Close frame of this code, or by breaking it.
    pub has_left: Option<Goodbye>,
    /// It has finished sending, closed or vanished.
    pub is_broken: bool,
    /// Its successor has come or was on its way.
    pub is_replaced: bool,
    /// It counts messages.
    pub resumes: bool,
    /// It is let in.
    pub is_in: bool,
    /// Nobody has a reason to wait for it.
    pub is_prompt: bool,
    /// It answers pings, over a way that is quick enough.
    pub answers: bool,
    /// To which channel.
    pub channel: usize,
    /// With how many its address had come by then, itself included, that the server may still have had.
    pub from_address: usize,
    /// There may have been no place for it.
    pub may_be_full: bool,
}

/// Why a connection may have ended like this. `None`: for no reason.
pub fn reason(how: How, conduct: &Conduct, book: &Book, now: Duration) -> Option<&'static str> {
    if conduct.was_hit {
        return Some("the network");
    }
    if book.life != conduct.life || book.is_stopping {
        return Some("the end of the server");
    }
    match how {
        How::Closed(Some(1001)) | How::Status(_) if book.is_stopping => Some("the end of the server"),
        How::Closed(code) if conduct.has_left == Some(Goodbye(code)) => Some("its goodbye"),
        How::Ended | How::Reset if conduct.has_left.is_some() || conduct.is_broken => Some("its going"),
        How::Closed(Some(1000)) | How::Ended | How::Reset if conduct.is_replaced => Some("its successor"),
        How::Closed(Some(1012))
            if conduct.resumes && (book.reasons(conduct.channel) > 0 || book.may_begin_anew(conduct.channel)) =>
        {
            Some("a deletion")
        }
        How::Closed(Some(1013)) if conduct.is_in && !conduct.is_prompt => Some("others that wait for it"),
        How::Closed(Some(1013)) if !conduct.is_in && conduct.resumes && conduct.may_be_full => Some("no place"),
        How::Status(429 | 503) if conduct.may_be_full => Some("no place"),
        How::Ended | How::Reset if !conduct.is_in && now < book.flooded_until => Some("too many who ask for nothing"),
        How::Status(408) if !conduct.is_prompt => Some("a slow request"),
        How::Ended | How::Reset if !conduct.answers && book.limits.heartbeat.is_some() => Some("its silence"),
        // A frame that is out in part may be lost with the rest of the connection.
        How::Ended | How::Reset if !conduct.is_prompt => Some("others that wait for it"),
        _ => None,
    }
}
