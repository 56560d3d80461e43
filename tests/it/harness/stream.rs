//! A stream over HTTP, as a program reads it.

use std::io;
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::client::Client;
use super::http::{Response, request_head};
use super::server::Server;

/// An event, as the HTML standard has it dispatched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// `message` where it says nothing else.
    pub kind: String,
    /// The last id that was seen.
    pub id: String,
    pub data: String,
}

/// A stream that has begun.
pub struct Stream {
    client: Client,
    pub head: Response,
    last_id: String,
}

impl Stream {
    /// Asks for a stream, which has to begin.
    pub fn open(server: &Server, target: &str) -> Self {
        Self::open_with(Client::connect(server.address()), server.address(), target, "")
    }

    /// The same over this connection, with more header lines.
    pub fn open_with(mut client: Client, address: SocketAddr, target: &str, lines: &str) -> Self {
        client.send(request_head(address, "GET", target, lines).as_bytes());
        let head = client.response(true);
        assert_eq!(head.status, 200, "{target}: {head:?}");
        Self { client, head, last_id: String::new() }
    }

    pub fn socket(&self) -> &TcpStream {
        self.client.socket()
    }

    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Reads what there is, up to as much as fits; nothing at the end.
    pub fn read(&mut self, into: &mut [u8]) -> usize {
        self.client.read(into).expect("it is read to its end")
    }

    /// The next line, without its line feed.
    pub fn line(&mut self) -> Vec<u8> {
        let mut line = self.client.line().expect("a line comes");
        assert_eq!(line.pop(), Some(b'\n'), "the stream ends within {:?}", String::from_utf8_lossy(&line));
        line
    }

    /// The next line as text.
    pub fn text(&mut self) -> String {
        String::from_utf8(self.line()).expect("it is UTF-8")
    }

    /// The next line as JSON. Empty ones are passed over.
    pub fn json(&mut self) -> Value {
        loop {
            let line = self.line();
            if !line.is_empty() {
                return serde_json::from_slice(&line).expect("it is JSON");
            }
        }
    }

    /// The next event. Comments are passed over.
    pub fn event(&mut self) -> Event {
        self.try_event().expect("an event comes")
    }

    /// The next event; an error where the stream ends, even if it is within one.
    pub fn try_event(&mut self) -> io::Result<Event> {
        let mut event = Event { kind: "message".to_owned(), ..Event::default() };
        let mut data: Option<String> = None;
        loop {
            let line = self.client.line()?;
            let Some(line) = line.strip_suffix(b"\n") else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            let line = std::str::from_utf8(line).expect("events are UTF-8");
            assert!(!line.contains('\r'), "{line:?} would be more than one line to a browser");
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() => {
                    if let Some(data) = data.take() {
                        return Ok(Event { id: self.last_id.clone(), data, ..event });
                    }
                }
                "" => {}
                "data" => data = Some(data.map_or_else(|| value.to_owned(), |before| format!("{before}\n{value}"))),
                "id" => value.clone_into(&mut self.last_id),
                "event" => value.clone_into(&mut event.kind),
                _ => panic!("a field {field:?}"),
            }
        }
    }

    /// All that comes until the connection ends, and whether that is an end in order.
    pub fn rest(&mut self) -> (Vec<u8>, bool) {
        self.client.rest_and_end()
    }
}
