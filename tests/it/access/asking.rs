//! Each way to use a channel, and a code in each place.

use std::net::{IpAddr, Ipv4Addr};

use data_encoding::BASE64;
use serde_json::Value;

use crate::harness::{CLOSE, Client, Response, Server, TEXT, request_head, upgrade_head};

pub const OFFER: &str = "Sec-WebSocket-Protocol: foghorn.v1\r\n";

/// The codes of the server that [`with_codes`] starts. Each stands in no other word that the server could say.
pub const IN: &str = "Vhq0wzmf-in";
pub const OUT: &str = "Vhq0wzmf-out";
pub const LOW: &str = "Vhq0wzmf-low";
pub const HIGH: &str = "Vhq0wzmf-high";
/// No code, but near enough.
pub const WRONG: &str = "Vhq0wzmf-iN";

/// A server whose channel `in` needs a code to come in, `out` one to send, and `both` one for each; `free` and the main one need none.
pub fn with_codes(args: &[&str]) -> Server {
    let to_receive = [format!("in={IN}"), format!("both={LOW}")];
    let to_send = [format!("out={OUT}"), format!("both={HIGH}")];
    let codes = [
        ["--code", &*to_receive[0], "--code", &*to_receive[1]],
        ["--send-code", &*to_send[0], "--send-code", &*to_send[1]],
    ];
    Server::start(&[&codes.concat(), args].concat())
}

/// Addresses of this machine that are not a proxy's, each another one.
pub fn stranger(nth: usize) -> IpAddr {
    let [_, a, b, c] = u32::try_from(nth + 2).unwrap().to_be_bytes();
    Ipv4Addr::new(127, a, b, c).into()
}

/// Where a code stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Query,
    EncodedQuery,
    Basic,
    BasicWithUser,
    Bearer,
}

impl Place {
    pub const ALL: [Self; 5] = [Self::Query, Self::EncodedQuery, Self::Basic, Self::BasicWithUser, Self::Bearer];

    pub fn is_header(self) -> bool {
        !matches!(self, Self::Query | Self::EncodedQuery)
    }

    /// What stands in the query, and the header line.
    fn write(self, code: &str) -> (String, String) {
        let basic = |user| format!("Authorization: Basic {}\r\n", BASE64.encode(format!("{user}:{code}").as_bytes()));
        match self {
            Self::Query => (format!("code={code}"), String::new()),
            Self::EncodedQuery => {
                (code.bytes().fold("code=".into(), |text, byte| format!("{text}%{byte:02x}")), String::new())
            }
            Self::Basic => (String::new(), basic("")),
            Self::BasicWithUser => (String::new(), basic("pi")),
            Self::Bearer => (String::new(), format!("authorization: bearer {code}\r\n")),
        }
    }
}

/// What is done with a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A WebSocket without a sub-protocol.
    Plain,
    /// One that offers `foghorn.v1`.
    Resuming,
    /// A method, and what stands in the query.
    Request(&'static str, &'static str),
    /// A stream, and what stands in the query.
    Stream(&'static str),
}

impl Way {
    pub const ALL: [Self; 13] = [
        Self::Plain,
        Self::Resuming,
        Self::Request("GET", "last"),
        Self::Request("HEAD", "last"),
        Self::Request("GET", "status"),
        Self::Request("HEAD", "status"),
        Self::Request("POST", ""),
        Self::Request("PUT", ""),
        Self::Request("DELETE", ""),
        Self::Request("OPTIONS", ""),
        Self::Stream("as=events"),
        Self::Stream("as=lines"),
        Self::Stream("as=json"),
    ];

    pub fn sends(self) -> bool {
        matches!(self, Self::Request("POST" | "PUT" | "DELETE", _))
    }

    pub fn joins(self) -> bool {
        matches!(self, Self::Plain | Self::Resuming)
    }
}

/// How a server has answered.
#[derive(Debug)]
pub struct Answer {
    /// The status, or the code with which a WebSocket is closed before its first frame.
    pub code: u16,
    /// What the hello says, if there is one.
    pub may_send: Option<bool>,
    /// Its id there.
    pub id: Option<String>,
    pub head: Response,
    /// What is told of it: the body, or the reason in the Close frame.
    pub words: String,
    pub client: Client,
}

/// One who asks for something of a channel.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    pub server: &'a Server,
    pub from: IpAddr,
    pub path: &'a str,
    pub lines: &'a str,
}

impl<'a> Asker<'a> {
    pub fn new(server: &'a Server, from: IpAddr, path: &'a str) -> Self {
        Self { server, from, path, lines: "" }
    }

    pub fn ask(&self, way: Way, offered: Option<(Place, &str)>) -> Answer {
        let (code, header) = offered.map(|(place, code)| place.write(code)).unwrap_or_default();
        let lines = [self.lines, &header].concat();
        let address = self.server.address();
        let target = |wish: &str| {
            let query = [wish, &code].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("&");
            format!("{}?{query}", self.path)
        };
        let host = address.to_string();
        let head = match way {
            Way::Plain => upgrade_head(&host, &target(""), &lines),
            Way::Resuming => upgrade_head(&host, &target(""), &format!("{OFFER}{lines}")),
            Way::Request(method, wish) => request_head(address, method, &target(wish), &lines),
            Way::Stream(wish) => request_head(address, "GET", &target(wish), &lines),
        };
        let mut client = Client::connect_from(self.from, address);
        client.send(head.as_bytes());
        let is_head = matches!(way, Way::Request("HEAD", _));
        // What has no length goes on.
        let mut head = client.response(true);
        if let Some(length) = head.header("Content-Length").filter(|_| !is_head) {
            head.body = client.bytes(length.parse().expect("a number")).expect("all of it comes");
        }
        let (mut code, mut hello, mut words) = (head.status, None, head.text());
        match (way, code) {
            (Way::Plain, 101) => assert_eq!(client.text(), crate::harness::GREETING),
            (Way::Resuming, 101) => {
                let frame = client.frame();
                if frame.opcode == CLOSE {
                    let (its_code, reason) = frame.close_parts();
                    (code, words) = (its_code.expect("a code"), reason);
                } else {
                    assert_eq!(frame.opcode, TEXT);
                    hello = Some(frame.payload);
                }
            }
            (Way::Stream("as=json"), 200) => {
                hello = Some(client.line().expect("a line comes"));
            }
            (Way::Stream("as=events"), 200) => {
                let mut line = String::new();
                while !line.starts_with("data: ") && !line.starts_with("retry: ") {
                    line = String::from_utf8(client.line().unwrap()).expect("UTF-8");
                }
                match line.strip_prefix("data: ") {
                    Some(fields) => hello = Some(fields.as_bytes().to_vec()),
                    None => words = line,
                }
            }
            _ => {}
        }
        let hello: Option<Value> = hello.map(|hello| serde_json::from_slice(&hello).expect("the hello is JSON"));
        let may_send = hello.as_ref().map(|hello| hello["send"].as_bool().expect("it says whether one may send"));
        let id = hello.and_then(|hello| hello["id"].as_str().map(str::to_owned));
        Answer { code, may_send, id, head, words, client }
    }
}
