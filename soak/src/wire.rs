//! How clients speak with the server: WebSockets, requests, and lines that come in a stream.
//!
//! Leaves to others what a silence means. What must stay true: a connection that breaks is no fault, since servers are killed all the time; what no
//! server may send is one.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use tungstenite::client::IntoClientRequest;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::Message;
use tungstenite::{Error, HandshakeError, WebSocket};

/// How long anything may take that should be quick, on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client that waits for the next message looks up, to see whether it should do something else.
pub const LOOK_UP: Duration = Duration::from_millis(3);

/// Why a client does not go on with a connection.
#[derive(Debug)]
pub enum Broken {
    /// It has ended; there may be another one.
    Gone,
    /// It is there, and nothing comes, or nothing is taken.
    Silent,
    /// Something is wrong.
    Wrong(String),
}

impl Broken {
    /// What is wrong, for those to whom a silence is wrong, too.
    pub fn sentence(self) -> Option<String> {
        match self {
            Self::Gone => None,
            Self::Silent => Some("nothing has come, or was taken, in time".to_owned()),
            Self::Wrong(sentence) => Some(sentence),
        }
    }
}

impl From<String> for Broken {
    fn from(sentence: String) -> Self {
        Self::Wrong(sentence)
    }
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Silent,
            _ => Self::Gone,
        }
    }
}

/// Connects; nothing on the connection may take longer than the timeout. The sockets are the tool's own, so nobody is refused, whoever is dead.
///
/// # Errors
/// If nobody listens there.
pub fn connect(address: SocketAddr, timeout: Duration) -> Result<TcpStream, Broken> {
    let socket = TcpStream::connect_timeout(&address, timeout)?;
    socket.set_read_timeout(Some(timeout))?;
    socket.set_write_timeout(Some(timeout))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// A WebSocket, with `foghorn.v1` if its client counts.
///
/// # Errors
/// If it is not let in.
///
/// # Panics
/// Never.
pub fn join(address: SocketAddr, path: &str, counts: bool, timeout: Duration) -> Result<WebSocket<TcpStream>, Broken> {
    let socket = connect(address, timeout)?;
    let request = format!("ws://{address}{path}").into_client_request();
    let mut request = request.map_err(|error| Broken::Wrong(error.to_string()))?;
    if counts {
        request.headers_mut().insert("Sec-WebSocket-Protocol", "foghorn.v1".parse().expect("a name"));
    }
    match tungstenite::client::client(request, socket) {
        Ok((socket, _)) => Ok(socket),
        Err(HandshakeError::Failure(Error::Io(error))) => Err(error.into()),
        // The end within the answer.
        Err(HandshakeError::Failure(Error::Protocol(_))) => Err(Broken::Gone),
        Err(HandshakeError::Failure(Error::Http(answer))) if answer.status() == 503 => Err(Broken::Gone),
        Err(HandshakeError::Failure(error)) => Err(Broken::Wrong(format!("{path}: a client was not let in: {error}"))),
        Err(HandshakeError::Interrupted(_)) => Err(Broken::Silent),
    }
}

/// The next message on a WebSocket, which has to come in time.
///
/// # Errors
/// If it has ended, or something else comes.
pub fn next(socket: &mut WebSocket<TcpStream>) -> Result<Message, Broken> {
    match socket.read() {
        Ok(Message::Close(close)) => closed(close.as_ref().map(|close| (u16::from(close.code), close.reason.as_str()))),
        Ok(message) => Ok(message),
        Err(Error::Io(error)) => Err(error.into()),
        Err(error) if is_end(&error) => Err(Broken::Gone),
        Err(error) => Err(Broken::Wrong(format!("what comes on a WebSocket is wrong: {error}"))),
    }
}

/// The next message if there is one soon.
///
/// # Errors
/// If it has ended, or something else comes.
pub fn next_soon(socket: &mut WebSocket<TcpStream>) -> Result<Option<Message>, Broken> {
    socket.get_ref().set_read_timeout(Some(LOOK_UP))?;
    match socket.read() {
        Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
        Ok(Message::Close(close)) => closed(close.as_ref().map(|close| (u16::from(close.code), close.reason.as_str()))),
        Ok(message) => Ok(Some(message)),
        Err(error) if is_end(&error) => Err(Broken::Gone),
        Err(error) => Err(Broken::Wrong(format!("what comes on a WebSocket is wrong: {error}"))),
    }
}

fn is_end(error: &Error) -> bool {
    matches!(
        error,
        Error::Io(_)
            | Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    )
}

fn closed<T>(close: Option<(u16, &str)>) -> Result<T, Broken> {
    match close {
        // Its own goodbye, its next connection, the server's end, a deletion.
        None | Some((1000 | 1001 | 1012, _)) => Err(Broken::Gone),
        // A server that stops lets nobody in.
        Some((1013, reason)) if reason != "too slow" => Err(Broken::Gone),
        Some((code, reason)) => Err(Broken::Wrong(format!("a client was closed with {code} ({reason})"))),
    }
}

/// An answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    head: String,
    /// All of its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (its, value) = line.split_once(':')?;
            its.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// If it is none.
    pub fn json(&self) -> Result<Value, Broken> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Broken::Wrong(format!("{:?} is no JSON: {error}", self.body)))
    }

    /// What `Foghorn-Seq` says.
    pub fn position(&self) -> Option<(&str, u64)> {
        let (epoch, seq) = self.header("Foghorn-Seq")?.split_once(':')?;
        Some((epoch, seq.parse().ok()?))
    }
}

/// Sends a request with more header lines, and reads the answer.
///
/// # Errors
/// If there is none.
pub fn request(
    socket: &mut BufReader<TcpStream>,
    method: &str,
    path: &str,
    lines: &str,
    body: &[u8],
) -> Result<Answer, Broken> {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}{length}\r\n");
    socket.get_ref().write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = head_of(socket)?;
    let length = answer.header("Content-Length").and_then(|length| length.parse().ok());
    if !matches!(answer.status, 204 | 304) {
        answer.body = vec![0; length.ok_or(Broken::Gone)?];
        socket.read_exact(&mut answer.body)?;
    }
    Ok(answer)
}

/// Reads the head of an answer.
///
/// # Errors
/// If there is none.
pub fn head_of(socket: &mut BufReader<TcpStream>) -> Result<Answer, Broken> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if socket.read_line(&mut head)? == 0 {
            return Err(Broken::Gone);
        }
    }
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| Broken::Wrong(format!("{head:?} is no answer")))?;
    Ok(Answer { status, head, body: Vec::new() })
}

/// A stream over HTTP, line by line.
pub struct Lines {
    socket: BufReader<TcpStream>,
    line: Vec<u8>,
}

impl Lines {
    /// Asks for one, which has to begin.
    ///
    /// # Errors
    /// If it does not.
    pub fn open(address: SocketAddr, path: &str, lines: &str, timeout: Duration) -> Result<Self, Broken> {
        let mut socket = BufReader::new(connect(address, timeout)?);
        write!(socket.get_ref(), "GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")?;
        let head = head_of(&mut socket)?;
        match head.status {
            200 => {}
            503 => return Err(Broken::Gone),
            status => return Err(Broken::Wrong(format!("{path} was answered with {status}"))),
        }
        socket.get_ref().set_read_timeout(Some(LOOK_UP))?;
        Ok(Self { socket, line: Vec::new() })
    }

    /// The next line without its end, if there is one soon.
    ///
    /// # Errors
    /// If it has ended.
    pub fn next_soon(&mut self) -> Result<Option<String>, Broken> {
        match self.socket.read_until(b'\n', &mut self.line) {
            Ok(_) if self.line.last() == Some(&b'\n') => {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8(line).map_err(|_| Broken::Wrong("a stream has no UTF-8".to_owned()))?;
                Ok(Some(line.trim_end_matches('\n').to_owned()))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            _ => Err(Broken::Gone),
        }
    }
}
