//! Why there is no connection, as a sentence that says what to do, and whether it can be another time.
//!
//! What must stay true: the server's own words are shown as one line without control characters, whatever it sends.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use async_tungstenite::tungstenite::error::{Error, ProtocolError};
use async_tungstenite::tungstenite::http::{Response, header};
use async_tungstenite::tungstenite::protocol::CloseFrame;

use crate::client::address::Address;
use crate::config::client_limits::{CODES_LOCKED_RETRY, SAID_CHARS_MAX};

/// What to do where a code is missing or wrong.
const BRING_A_CODE: &str = "give the right one with --code CODE or FOGHORN_CODE";

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What to tell people.
    pub sentence: String,
    /// Whether it would be the same the next time, until somebody changes something.
    pub is_final: bool,
    /// The earliest time for the next try, if the server has said.
    pub retry_after: Option<Duration>,
}

impl Failure {
    fn new(sentence: String) -> Self {
        Self { sentence, is_final: false, retry_after: None }
    }

    fn last(sentence: String) -> Self {
        Self { sentence, is_final: true, retry_after: None }
    }

    /// The name of the server could not be looked up.
    pub fn of_look_up(host: &str, error: &io::Error) -> Self {
        let hint = if host.to_ascii_lowercase().ends_with(".local") {
            "for names under .local this machine needs avahi-daemon and libnss-mdns; its IP address works without"
        } else {
            "the first word is the address; for this machine write :"
        };
        Self::new(format!("cannot find {host} ({}): {hint}", said(&error.to_string())))
    }

    /// The server could not be reached.
    pub fn of_connect(address: &Address, error: &io::Error) -> Self {
        let hint = match error.kind() {
            ErrorKind::ConnectionRefused => ": nothing listens there; is Foghorn running, and on this port?",
            ErrorKind::TimedOut | ErrorKind::WouldBlock => ": no answer; is it switched on, and on this network?",
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => ": is this machine on its network?",
            _ => "",
        };
        Self::new(format!("cannot connect to {address}{hint} ({})", plain(error)))
    }

    /// This machine has no means to connect at all.
    pub fn of_this_machine(error: &io::Error) -> Self {
        let hint = "raise the limits of processes and open files (ulimit -u, ulimit -n)";
        Self::new(format!("cannot start to connect ({}): {hint}", plain(error)))
    }

    /// The server speaks another sub-protocol, whatever it is asked for.
    pub fn of_subprotocol(address: &Address) -> Self {
        Self::new(format!("{address} is a WebSocket server, but one of another sub-protocol, and not of foghorn.v1"))
    }

    /// A server that was a hub has become another one.
    pub fn of_stranger(address: &Address) -> Self {
        Self::new(format!("{address} is no Foghorn now: what it is asked, it does not know"))
    }

    /// The handshake failed, or what was to be the first frame.
    pub fn of_handshake(address: &Address, error: &Error) -> Self {
        match error {
            Error::Http(response) => Self::of_refusal(address, response),
            Error::Io(error) if error.kind() == ErrorKind::TimedOut => Self::new(format!(
                "{address} takes connections and says nothing: is it a WebSocket server, and not too busy?"
            )),
            Error::Io(error) => Self::new(format!("{address} has broken the connection ({})", plain(error))),
            Error::ConnectionClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete) => {
                Self::new(format!("{address} has broken the connection: is it a WebSocket server?"))
            }
            error => Self::new(format!("{address} is no WebSocket server ({})", said(&error.to_string()))),
        }
    }

    fn of_refusal(address: &Address, response: &Response<Option<Vec<u8>>>) -> Self {
        let status = response.status();
        let is_text = response.headers().get(header::CONTENT_TYPE);
        let is_text = is_text.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
        let body = response.body().as_deref().filter(|_| is_text).unwrap_or_default();
        let words = said(&String::from_utf8_lossy(body));
        let words = if words.is_empty() { status.to_string() } else { format!("{} {words}", status.as_u16()) };
        let elsewhere = response.headers().get(header::LOCATION).filter(|_| status.is_redirection());
        let words = elsewhere
            .map_or(words.clone(), |place| format!("{words}, to {}", said(&String::from_utf8_lossy(place.as_bytes()))));
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|secs| secs.parse().ok()).map(Duration::from_secs);
        let (is_final, hint) = match status.as_u16() {
            401 => (true, format!(": {BRING_A_CODE}")),
            200..=299 => (false, ": it serves pages here, and takes no WebSocket; is the port right?".to_owned()),
            _ => (false, String::new()),
        };
        let words = if hint.is_empty() { &words } else { words.trim_end_matches('.') };
        Self { sentence: format!("{address} refuses: {words}{hint}"), is_final, retry_after }
    }

    /// The server has closed the connection, and these were its words.
    pub fn of_close(address: &Address, frame: Option<&CloseFrame>) -> Self {
        let code = frame.map_or(1005, |frame| frame.code.into());
        let reason = said(frame.map_or("", |frame| frame.reason.as_str()));
        let words = if reason.is_empty() { format!("close code {code}") } else { format!("{code} {reason}") };
        match code {
            4401 => Self::last(format!("{address} refuses: {}: {BRING_A_CODE}", words.trim_end_matches('.'))),
            4429 => Self { retry_after: Some(CODES_LOCKED_RETRY), ..Self::new(format!("{address} refuses: {words}")) },
            1008 => Self::last(format!("{address} refuses: {words}")),
            1013 => Self::new(format!("{address} has no time or place: {words}")),
            _ => Self::new(format!("{address} has closed the connection: {words}")),
        }
    }

    /// The connection has broken.
    pub fn of_break(address: &Address, error: &Error) -> Self {
        let why = match error {
            Error::Io(error) => plain(error),
            Error::ConnectionClosed | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                "it ended without a word".to_owned()
            }
            error => said(&error.to_string()),
        };
        Self::new(format!("the connection to {address} has broken ({why})"))
    }

    /// Nothing came for too long.
    pub fn of_silence(address: &Address) -> Self {
        Self::new(format!("nothing comes from {address} any more"))
    }

    /// We may not send here.
    pub fn may_not_send(address: &Address) -> Self {
        Self::last(format!("one may only listen to {address} without a code to send, or with this one: {BRING_A_CODE}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// What the system says, without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// What a stranger has said, in one short line.
fn said(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(SAID_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_says_is_one_short_line_that_moves_no_cursor() {
        assert_eq!(said("two\r\nlines\x1b[2J \t and\0more "), "two lines [2J and more");
        assert_eq!(said(&"ä".repeat(SAID_CHARS_MAX)), "ä".repeat(SAID_CHARS_MAX));
        assert_eq!(said(&"ä".repeat(SAID_CHARS_MAX + 1)), format!("{}…", "ä".repeat(SAID_CHARS_MAX)));
    }

    #[test]
    fn only_what_somebody_has_to_change_is_final() {
        let address = Address::parse("board", None).unwrap();
        for (code, is_final) in [(1000, false), (1001, false), (1008, true), (1013, false), (4401, true), (4429, false)]
        {
            let frame = CloseFrame { code: code.into(), reason: "why".into() };
            let failure = Failure::of_close(&address, Some(&frame));
            assert_eq!(failure.is_final, is_final, "{code}");
            assert!(failure.sentence.contains(&format!("{code} why")), "{failure}");
        }
        for (status, is_final) in [(401, true), (403, false), (404, false), (429, false), (502, false), (503, false)] {
            let body = Some(b"the reason".to_vec());
            let response = Response::builder().status(status).header("Content-Type", "text/plain; charset=utf-8");
            let response = response.header("Retry-After", "7").body(body).unwrap();
            let failure = Failure::of_handshake(&address, &Error::Http(Box::new(response)));
            assert_eq!((failure.is_final, failure.retry_after), (is_final, Some(Duration::from_secs(7))), "{status}");
            assert!(failure.sentence.contains(&format!("{status} the reason")), "{failure}");
        }
    }
}
