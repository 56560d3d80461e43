//! The hello of `foghorn.v1`, as a client reads it (`docs/wire.md`).
//!
//! What must stay true: what a client counts on is checked; what it does not know is passed over.

use serde_json::Value;

use crate::config::client_limits::CLIENT_MESSAGE_BYTES_MAX;
use crate::hub::position::Position;

/// Where we start, and what the server knows of our last connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The name of the channel; empty for the main one.
    pub channel: String,
    /// The next frame is the message behind this one.
    pub position: Position,
    /// How many of the messages behind `after` are gone; `None` if the server does not know that place.
    pub lost: Option<u64>,
    /// The newest message at this moment.
    pub head: u64,
    /// The largest message, in bytes.
    pub message_bytes_max: usize,
    /// Whether we may send.
    pub may_send: bool,
    /// By what our next connection can replace this one.
    pub id: String,
    /// How many messages of the connection that we replace are in the log; `None` if the server does not know.
    pub taken: Option<u64>,
}

impl Hello {
    /// Reads a text; `None` if it is no hello.
    pub fn parse(text: &str) -> Option<Self> {
        let fields: Value = serde_json::from_str(text).ok()?;
        if fields.get("foghorn")?.as_u64()? != 1 {
            return None;
        }
        // From there we count, and that for long.
        let seq = fields.get("seq")?.as_u64().filter(|seq| *seq <= u64::MAX / 2)?;
        let position = Position::parse(&format!("{}:{seq}", fields.get("epoch")?.as_str()?))?;
        let number = |name: &str| fields.get(name).and_then(Value::as_u64);
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let message_bytes_max: Option<usize> = number("maxMessage").and_then(|bytes| bytes.try_into().ok());
        Some(Self {
            channel: text("channel"),
            position,
            lost: number("lost"),
            head: number("head").unwrap_or(seq),
            message_bytes_max: message_bytes_max.unwrap_or(CLIENT_MESSAGE_BYTES_MAX).min(CLIENT_MESSAGE_BYTES_MAX),
            may_send: fields.get("send").and_then(Value::as_bool).unwrap_or(true),
            id: text("id"),
            taken: number("taken"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_read_and_nothing_else() {
        let text = r#"{"foghorn":1,"greeting":"hi","channel":"","epoch":"kjxwqa","seq":41,"lost":0,"head":45,"clients":7,
            "maxMessage":1048576,"send":false,"id":"9f86d081884c7d65","taken":3,"later":{}}"#;
        let hello = Hello {
            channel: String::new(),
            position: Position { epoch: "kjxwqa".into(), seq: 41 },
            lost: Some(0),
            head: 45,
            message_bytes_max: 1 << 20,
            may_send: false,
            id: "9f86d081884c7d65".into(),
            taken: Some(3),
        };
        assert_eq!(Hello::parse(text), Some(hello));
        let short = Hello::parse(r#"{"foghorn":1,"epoch":"a","seq":0,"lost":null,"taken":null}"#).unwrap();
        assert_eq!((short.lost, short.taken, short.may_send), (None, None, true));
        for largest in ["", r#","maxMessage":18446744073709551615"#, r#","maxMessage":-1"#, r#","maxMessage":0.5"#] {
            let hello = Hello::parse(&format!(r#"{{"foghorn":1,"epoch":"a","seq":0{largest}}}"#)).unwrap();
            assert_eq!(hello.message_bytes_max, CLIENT_MESSAGE_BYTES_MAX, "{largest}");
        }
        for text in [
            "",
            "connected to WebSocket server",
            "[]",
            "{}",
            r#"{"foghorn":2,"epoch":"a","seq":0}"#,
            r#"{"foghorn":1,"epoch":"a"}"#,
            r#"{"foghorn":1,"epoch":"a","seq":-1}"#,
            r#"{"foghorn":1,"epoch":"a","seq":18446744073709551615}"#,
            r#"{"foghorn":1,"epoch":"a/b","seq":1}"#,
            r#"{"foghorn":1,"epoch":7,"seq":1}"#,
        ] {
            assert_eq!(Hello::parse(text), None, "{text}");
        }
    }
}
