//! A message on its way out, and in which form it goes.
//!
//! What must stay true: a line of JSON is one line, whatever is in the message.

use std::time::{SystemTime, UNIX_EPOCH};

use async_tungstenite::tungstenite::Message;
use data_encoding::BASE64;
use serde_json::{Map, Value};

use crate::client::link::Received;
use crate::hub::position::Position;

/// A message that has come.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Where it is in the channel, if the server is a hub.
    pub position: Option<Position>,
    /// The message.
    pub received: Received,
}

/// Why listening ends before it was to.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Nobody reads what we write.
    NobodyReads,
    /// A sentence that says why.
    Failed(String),
}

impl Incoming {
    /// Whether it is a text.
    pub fn is_text(&self) -> bool {
        matches!(self.received.message, Message::Text(_))
    }

    /// Its bytes.
    pub fn payload(&self) -> &[u8] {
        match &self.received.message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            _ => unreachable!("only these two are messages"),
        }
    }

    /// As one line of JSON, with its end.
    pub fn json_line(&self) -> Vec<u8> {
        let mut fields = Map::new();
        if let Some(Position { epoch, seq }) = &self.position {
            fields.insert("epoch".into(), epoch.as_str().into());
            fields.insert("seq".into(), (*seq).into());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
        // When one came that was there before us is not known.
        if let Some(now) = now.filter(|_| self.received.is_live) {
            fields.insert("at".into(), now.as_secs().into());
        }
        let (name, value) = match &self.received.message {
            Message::Text(text) => ("text", text.to_string()),
            _ => ("base64", BASE64.encode(self.payload())),
        };
        fields.insert(name.into(), value.into());
        format!("{}\n", Value::Object(fields)).into_bytes()
    }
}

#[cfg(test)]
impl Incoming {
    /// One that was there before us, in the epoch `kjxwqa`.
    pub fn of(seq: u64, message: impl Into<Message>) -> Self {
        let position = Some(Position { epoch: "kjxwqa".into(), seq });
        Self { position, received: Received { seq, is_live: false, message: message.into() } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_is_one_line_with_all_that_is_known() {
        let line = |incoming: &Incoming| String::from_utf8(incoming.json_line()).unwrap();
        let text = Incoming::of(42, "two\nlines \"quoted\"");
        assert_eq!(line(&text), "{\"epoch\":\"kjxwqa\",\"seq\":42,\"text\":\"two\\nlines \\\"quoted\\\"\"}\n");
        let binary = Incoming::of(43, vec![0, 255]);
        assert_eq!(line(&binary), "{\"epoch\":\"kjxwqa\",\"seq\":43,\"base64\":\"AP8=\"}\n");
        let strangers =
            Incoming { position: None, received: Received { seq: 1, is_live: true, message: Message::text("") } };
        let fields: Value = serde_json::from_str(&line(&strangers)).unwrap();
        assert!(fields["at"].as_u64().unwrap() > 1_700_000_000 && fields["text"] == "");
        assert_eq!(fields.as_object().unwrap().len(), 2);
    }
}
