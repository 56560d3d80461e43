//! Why a WebSocket connection ended: behind each reason stand its close code, its text and its counter.
//!
//! Leaves sending and counting to others. What must stay true: every connection ends with exactly one of these.

/// Why a WebSocket connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The client said goodbye; its code is answered.
    ClosedByClient,
    /// The connection broke without a closing handshake.
    Vanished,
    /// The server stops.
    ServerStops,
    /// The client broke RFC 6455: unmasked frames, reserved bits or opcodes, bad fragments or control frames, a close code that
    /// nobody may send.
    ProtocolError,
    /// A text message was not UTF-8.
    InvalidUtf8,
    /// A message was larger than `--max-message`.
    MessageTooBig,
    /// The client kept others waiting for longer than `--patience`, or did not take its control frames.
    TooSlow,
    /// Nothing came from the client for two heartbeats.
    Silent,
    /// The client has come back over another connection.
    Replaced,
    /// Numbers begin anew in the client's channel, and it counts them.
    NewEpoch,
    /// The client sent a message, and may receive only.
    MayNotSend,
    /// It was a stream that wanted so many messages, and has them.
    Complete,
}

impl CloseReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 12] = [
        Self::ClosedByClient,
        Self::Vanished,
        Self::ServerStops,
        Self::ProtocolError,
        Self::InvalidUtf8,
        Self::MessageTooBig,
        Self::TooSlow,
        Self::Silent,
        Self::Replaced,
        Self::NewEpoch,
        Self::MayNotSend,
        Self::Complete,
    ];

    /// The close code that the server sends (RFC 6455 section 7.4.1; 1012 and 1013 from the IANA registry), where it sends one
    /// of its own: a client's goodbye is answered with the client's code, and a dead connection is told nothing.
    pub fn code(self) -> Option<u16> {
        match self {
            Self::ClosedByClient | Self::Vanished | Self::Silent | Self::Complete => None,
            Self::Replaced => Some(1000),
            Self::ServerStops => Some(1001),
            Self::ProtocolError => Some(1002),
            Self::InvalidUtf8 => Some(1007),
            Self::MayNotSend => Some(1008),
            Self::MessageTooBig => Some(1009),
            Self::NewEpoch => Some(1012),
            Self::TooSlow => Some(1013),
        }
    }

    /// The text for the log and for the reason field of the Close frame (at most 123 bytes, RFC 6455 section 5.5).
    pub fn text(self) -> &'static str {
        match self {
            Self::ClosedByClient => "closed by the client",
            Self::Vanished => "connection lost",
            Self::ServerStops => "the server stops",
            Self::ProtocolError => "protocol error",
            Self::InvalidUtf8 => "text is not UTF-8",
            Self::MessageTooBig => "message too big",
            Self::TooSlow => "too slow",
            Self::Silent => "no sign of life",
            Self::Replaced => "came back over another connection",
            Self::NewEpoch => "the channel's messages were deleted, or lost; come back and begin anew",
            Self::MayNotSend => "may receive only; sending needs a code",
            Self::Complete => "has as many messages as it wanted",
        }
    }

    /// The name of the counter in `/status`.
    pub fn key(self) -> &'static str {
        match self {
            Self::ClosedByClient => "closedByClient",
            Self::Vanished => "vanished",
            Self::ServerStops => "serverStops",
            Self::ProtocolError => "protocolError",
            Self::InvalidUtf8 => "invalidUtf8",
            Self::MessageTooBig => "messageTooBig",
            Self::TooSlow => "tooSlow",
            Self::Silent => "silent",
            Self::Replaced => "replaced",
            Self::NewEpoch => "newEpoch",
            Self::MayNotSend => "mayNotSend",
            Self::Complete => "complete",
        }
    }
}

/// Whether an endpoint may send this code in a Close frame (RFC 6455 section 7.4; 1012 to 1014 from the IANA registry). 1004 has
/// no meaning, 1005, 1006 and 1015 are for libraries to tell their programs, and the others below 3000 are nobody's yet.
pub fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_text_of_its_own_that_fits_into_a_close_frame_and_a_counter_of_its_own() {
        let texts: BTreeSet<_> = CloseReason::ALL.map(CloseReason::text).into();
        assert!(texts.iter().all(|text| (1..=123).contains(&text.len())), "{texts:?}");
        let keys: BTreeSet<_> = CloseReason::ALL.map(CloseReason::key).into();
        assert_eq!((texts.len(), keys.len()), (CloseReason::ALL.len(), CloseReason::ALL.len()));
    }

    #[test]
    fn whoever_can_be_told_is_told_a_code_that_an_endpoint_may_send() {
        let codes: Vec<_> = CloseReason::ALL.iter().filter_map(|reason| reason.code()).collect();
        assert_eq!(codes, [1001, 1002, 1007, 1009, 1013, 1000, 1012, 1008]);
        assert!(codes.into_iter().all(may_be_sent));
    }

    #[test]
    fn only_some_codes_may_be_sent() {
        let sendable: Vec<u16> = (0..=u16::MAX).filter(|code| may_be_sent(*code)).collect();
        let expected = [1000..1004, 1007..1015, 3000..5000].into_iter().flatten();
        assert_eq!(sendable, expected.collect::<Vec<u16>>());
    }
}
