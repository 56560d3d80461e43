//! From an address to a connection that has been greeted: looking up the name, connecting, the handshakes. On a thread of its own,
//! since looking up a name can wait for seconds.
//!
//! What must stay true: it ends in time, whatever the server does (a look-up ends when the system says so); who speaks no `foghorn.v1` is
//! told from who does.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::Instant;

use async_tungstenite::tungstenite::client::client_with_config;
use async_tungstenite::tungstenite::error::{Error, ProtocolError};
use async_tungstenite::tungstenite::handshake::HandshakeError;
use async_tungstenite::tungstenite::handshake::client::{Request, generate_key};
use async_tungstenite::tungstenite::http::{Response, header};
use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use async_tungstenite::tungstenite::{Bytes, Message, WebSocket};
use socket2::SockRef;

use crate::client::address::Address;
use crate::client::failure::Failure;
use crate::client::hello::Hello;
use crate::client::wire::Wire;
use crate::config::client_limits::{
    CLIENT_MESSAGE_BYTES_MAX, CLIENT_UNSENT_BYTES_MAX, CLIENT_WRITE_BYTES, CONNECT_TIMEOUT, GREETING_BYTES_MAX,
    REFUSAL_BYTES_MAX, REFUSAL_TIMEOUT,
};

/// The sub-protocol that we speak.
const SUBPROTOCOL: &str = "foghorn.v1";

/// A connection that has been greeted.
#[derive(Debug)]
pub struct Opened {
    /// The connection, which waits for nothing any more.
    pub websocket: WebSocket<Wire>,
    /// Who it is.
    pub greeting: Greeting,
}

/// What came first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// A hub has said where we start.
    Hello(Hello),
    /// A WebSocket server that speaks no `foghorn.v1`, and its first message if one came.
    Stranger(Option<Message>),
}

/// A connection that is being opened.
#[derive(Debug)]
pub struct Opening {
    result: Receiver<Result<Opened, Failure>>,
    done: UnixStream,
}

impl Opening {
    /// Begins. `wishes` are the parameters of the request.
    ///
    /// # Errors
    /// If there is no thread or socket for it.
    pub fn start(address: Address, wishes: Vec<(&'static str, String)>) -> io::Result<Self> {
        let (done, works) = UnixStream::pair()?;
        let (told, result) = channel();
        thread::Builder::new().name("connect".into()).spawn(move || {
            // Nobody may wait for it any more.
            let _ = told.send(open(&address, &wishes));
            drop(works);
        })?;
        Ok(Self { result, done })
    }

    /// The result, if there is one by now.
    pub fn take(&self) -> Option<Result<Opened, Failure>> {
        match self.result.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            // Its thread has panicked, and nothing will come.
            Err(TryRecvError::Disconnected) => Some(Err(Failure::of_this_machine(&io::Error::other("it broke off")))),
        }
    }
}

impl AsFd for Opening {
    /// Readable when there is a result.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}

fn open(address: &Address, wishes: &[(&str, String)]) -> Result<Opened, Failure> {
    let (mut websocket, greeting) = match shake_hands(address, wishes, Some(SUBPROTOCOL))? {
        Some(mut websocket) => {
            let greeting = greeting(address, &mut websocket)?;
            (websocket, greeting)
        }
        // It may still take one that asks for nothing.
        None => match shake_hands(address, wishes, None)? {
            Some(websocket) => (websocket, Greeting::Stranger(None)),
            None => return Err(Failure::of_subprotocol(address)),
        },
    };
    let message_bytes_max = match &greeting {
        Greeting::Hello(hello) => hello.message_bytes_max,
        Greeting::Stranger(_) => CLIENT_MESSAGE_BYTES_MAX,
    };
    websocket.set_config(|config| {
        *config = config.max_message_size(Some(message_bytes_max)).max_frame_size(Some(message_bytes_max));
    });
    websocket.get_mut().stop_waiting().map_err(|error| Failure::of_connect(address, &error))?;
    Ok(Opened { websocket, greeting })
}

/// `None` if the server does not agree on the sub-protocol, or on that there is none.
fn shake_hands(
    address: &Address,
    wishes: &[(&str, String)],
    subprotocol: Option<&str>,
) -> Result<Option<WebSocket<Wire>>, Failure> {
    let socket = connect(address)?;
    // Each message goes out at once, and what goes out slowly is seen to go. It works without, too.
    let _ = socket.set_nodelay(true);
    let _ = SockRef::from(&socket).set_tcp_notsent_lowat(CLIENT_UNSENT_BYTES_MAX);
    let for_refusal = socket.try_clone().map_err(|error| Failure::of_connect(address, &error))?;
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let config = WebSocketConfig::default()
        .max_message_size(Some(GREETING_BYTES_MAX))
        .max_frame_size(Some(GREETING_BYTES_MAX))
        .write_buffer_size(CLIENT_WRITE_BYTES);
    let wire = Wire::until(deadline, socket);
    match client_with_config(request(address, wishes, subprotocol)?, wire, Some(config)) {
        Ok((websocket, _)) => Ok(Some(websocket)),
        Err(HandshakeError::Failure(Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)))) => Ok(None),
        Err(HandshakeError::Failure(mut error)) => {
            if let Error::Http(response) = &mut error {
                read_words(response, for_refusal);
            }
            Err(Failure::of_handshake(address, &error))
        }
        Err(HandshakeError::Interrupted(_)) => {
            Err(Failure::of_handshake(address, &Error::Io(ErrorKind::TimedOut.into())))
        }
    }
}

/// Reads what a refusal says, as far as it comes in time. What does not is not shown.
fn read_words(response: &mut Response<Option<Vec<u8>>>, socket: TcpStream) {
    let length = response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = response.body_mut().get_or_insert_default();
    let rest = length.unwrap_or(REFUSAL_BYTES_MAX).min(REFUSAL_BYTES_MAX).saturating_sub(body.len());
    let wire = Wire::until(Instant::now() + REFUSAL_TIMEOUT, socket);
    let _ = wire.take(u64::try_from(rest).unwrap_or_default()).read_to_end(body);
}

fn request(address: &Address, wishes: &[(&str, String)], subprotocol: Option<&str>) -> Result<Request, Failure> {
    let mut request = Request::builder()
        .uri(format!("ws://{}{}", address.host_header(), address.target(wishes)))
        .header(header::HOST, address.host_header())
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .header(header::USER_AGENT, concat!("foghorn/", env!("CARGO_PKG_VERSION")));
    if let Some(login) = address.authorization() {
        request = request.header(header::AUTHORIZATION, login);
    }
    if let Some(name) = subprotocol {
        request = request.header(header::SEC_WEBSOCKET_PROTOCOL, name);
    }
    request.body(()).map_err(|error| Failure::of_handshake(address, &error.into()))
}

fn connect(address: &Address) -> Result<TcpStream, Failure> {
    let mut failure = None;
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    for host in &address.hosts {
        let found = match (host.as_str(), address.port).to_socket_addrs() {
            Ok(found) => found.collect::<Vec<SocketAddr>>(),
            Err(error) => {
                failure.get_or_insert(Failure::of_look_up(host, &error));
                continue;
            }
        };
        for (nth, addr) in found.iter().enumerate() {
            // One that does not answer leaves time for the others.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(found.len() - nth).unwrap_or(1);
            let connected = match share {
                share if share.is_zero() => Err(ErrorKind::TimedOut.into()),
                share => TcpStream::connect_timeout(addr, share),
            };
            match connected {
                Ok(socket) => return Ok(socket),
                Err(error) => failure = Some(Failure::of_connect(address, &error)),
            }
        }
    }
    Err(failure.unwrap_or_else(|| Failure::of_connect(address, &ErrorKind::NotFound.into())))
}

/// The first frame. A hub sends its hello before anything else; other servers may have nothing to say, but answer a ping. One that does
/// neither is no stranger: it may be a hub behind a slow network, and to take it for one would be to lose count.
fn greeting(address: &Address, websocket: &mut WebSocket<Wire>) -> Result<Greeting, Failure> {
    // Whether it goes out is told by the next read.
    let _ = websocket.send(Message::Ping(Bytes::new()));
    loop {
        match websocket.read() {
            Ok(Message::Text(text)) => {
                let hello = Hello::parse(&text).map(Greeting::Hello);
                return Ok(hello.unwrap_or(Greeting::Stranger(Some(Message::Text(text)))));
            }
            Ok(binary @ Message::Binary(_)) => return Ok(Greeting::Stranger(Some(binary))),
            Ok(Message::Pong(_)) => return Ok(Greeting::Stranger(None)),
            Ok(Message::Close(frame)) => {
                // The answer to it, if it goes out: there is nobody to hear more.
                let _ = websocket.flush();
                return Err(Failure::of_close(address, frame.as_ref()));
            }
            Ok(_) => {}
            Err(error) => return Err(Failure::of_handshake(address, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_whose_thread_has_gone_has_failed_and_is_waited_for_no_more() {
        let (done, works) = UnixStream::pair().unwrap();
        let (told, result) = channel();
        let opening = Opening { result, done };
        assert!(opening.take().is_none(), "it may still come");
        drop((told, works));
        let failure = opening.take().expect("nothing will come").unwrap_err();
        assert!(!failure.is_final && failure.sentence.contains("it broke off"), "{failure}");
    }
}
