//! Servers that are no Foghorn: WebSocket servers in several manners, and what is no WebSocket server at all.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::{Message, WebSocket, accept_hdr};

use super::network::free_listener;
use super::wait::{eventually, patience};

/// What a WebSocket server does that knows nothing of Foghorn.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// It agrees on the first sub-protocol that is offered, as many do.
    pub agrees: bool,
    /// What it says first.
    pub greeting: Option<&'static str>,
}

/// A WebSocket server that keeps what it is told, answers pings, and sends what a test wants.
pub struct Stranger {
    address: SocketAddr,
    state: Arc<Mutex<Told>>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Told {
    messages: Vec<Message>,
    /// What all connections are sent, in order.
    said: Vec<Message>,
    connections: usize,
    breaks: usize,
    is_over: bool,
}

impl Stranger {
    pub fn start(manner: Manner) -> Self {
        let listener = free_listener();
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(Told::default()));
        let its = Arc::clone(&state);
        let acceptor = thread::spawn(move || {
            let is_over = Arc::clone(&its);
            accept_until(
                &listener,
                move || is_over.lock().unwrap().is_over,
                move |socket| converse(socket, manner, &its),
            );
        });
        Self { address, state, acceptor: Some(acceptor) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was sent to it so far.
    pub fn messages(&self) -> Vec<Message> {
        self.state.lock().unwrap().messages.clone()
    }

    /// How many connections have become WebSockets. A client whose offer was not agreed on has to end its connection (RFC 6455 section 4.1).
    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Sends a message to all who are connected.
    pub fn say(&self, message: Message) {
        self.state.lock().unwrap().said.push(message);
    }

    /// Breaks all connections with a reset.
    pub fn break_all(&self) {
        self.state.lock().unwrap().breaks += 1;
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.state.lock().unwrap().is_over = true;
        let joined = self.acceptor.take().expect("it runs").join();
        assert!(joined.is_ok() || thread::panicking(), "the stranger has failed");
    }
}

// What tungstenite wants of a callback.
#[allow(clippy::result_large_err, clippy::unnecessary_wraps)]
fn converse(socket: TcpStream, manner: Manner, state: &Mutex<Told>) {
    let mut is_agreed = true;
    let answer = |request: &Request, mut response: Response| {
        const NAME: &str = "Sec-WebSocket-Protocol";
        let offers = request.headers().get(NAME).and_then(|offers| offers.to_str().ok());
        is_agreed = offers.is_none() || manner.agrees;
        if let Some(first) = offers.and_then(|offers| offers.split(',').next()).filter(|_| manner.agrees) {
            response.headers_mut().insert(NAME, HeaderValue::from_str(first.trim()).expect("a name"));
        }
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr(socket, answer) else { return };
    let (breaks, mut said) = {
        let mut state = state.lock().unwrap();
        state.connections += usize::from(is_agreed);
        (state.breaks, state.said.len())
    };
    socket.get_ref().set_read_timeout(Some(Duration::from_millis(2))).expect("a socket can time out");
    if let Some(greeting) = manner.greeting {
        let _ = socket.send(Message::text(greeting));
    }
    loop {
        let new = {
            let state = state.lock().unwrap();
            if state.is_over {
                return;
            }
            if state.breaks > breaks {
                return SockRef::from(socket.get_ref()).set_linger(Some(Duration::ZERO)).expect("a socket can linger");
            }
            state.said[said..].to_vec()
        };
        said += new.len();
        if new.into_iter().any(|message| socket.send(message).is_err()) || !read(&mut socket, state) {
            return;
        }
    }
}

/// Reads one message, if there is one; says whether the connection goes on.
fn read(socket: &mut WebSocket<TcpStream>, state: &Mutex<Told>) -> bool {
    match socket.read() {
        Ok(message) if message.is_text() || message.is_binary() => state.lock().unwrap().messages.push(message),
        Ok(_) => {}
        Err(tungstenite::Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
        Err(_) => return false,
    }
    true
}

/// Something that takes connections, reads a request, and answers with bytes of the test's own.
pub struct Oddity {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    is_over: Arc<Mutex<bool>>,
    acceptor: Option<JoinHandle<()>>,
}

impl Oddity {
    /// Answers every request with this, and ends the connection.
    pub fn answering(answer: &'static [u8]) -> Self {
        Self::at(free_listener(), answer, false)
    }

    /// Answers every request with this, and then says nothing more.
    pub fn hanging_after(answer: &'static [u8]) -> Self {
        Self::at(free_listener(), answer, true)
    }

    /// The same for a socket of the test's own.
    pub fn at(listener: TcpListener, answer: &'static [u8], hangs: bool) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let (heads, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(false)));
        let (its_heads, over) = (Arc::clone(&heads), Arc::clone(&is_over));
        let acceptor = thread::spawn(move || {
            let (is_over, over) = (Arc::clone(&over), move || *over.lock().unwrap());
            accept_until(&listener, over, move |mut socket| {
                socket.set_read_timeout(Some(patience())).expect("a socket can time out");
                its_heads.lock().unwrap().push(head(&socket));
                let _ = socket.write_all(answer);
                while hangs && !*is_over.lock().unwrap() {
                    thread::sleep(Duration::from_millis(5));
                }
            });
        });
        Self { address, heads, is_over, acceptor: Some(acceptor) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The head of the first request.
    pub fn first_head(&self) -> String {
        eventually("a request comes", || !self.heads.lock().unwrap().is_empty());
        self.heads.lock().unwrap()[0].clone()
    }
}

impl Drop for Oddity {
    fn drop(&mut self) {
        *self.is_over.lock().unwrap() = true;
        let joined = self.acceptor.take().expect("it runs").join();
        assert!(joined.is_ok() || thread::panicking(), "the server has failed");
    }
}

/// The head of a request, or what came of it.
fn head(socket: &TcpStream) -> String {
    let mut lines = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && matches!(lines.read_line(&mut head), Ok(1..)) {}
    head
}

/// Takes connections, each in a thread of its own, and waits for these threads.
fn accept_until(listener: &TcpListener, is_over: impl Fn() -> bool, serve: impl Fn(TcpStream) + Send + Sync + 'static) {
    listener.set_nonblocking(true).expect("a listener need not block");
    let serve = Arc::new(serve);
    let mut threads = Vec::new();
    while !is_over() {
        match listener.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(false).and_then(|()| socket.set_nodelay(true)).expect("a socket may block");
                let serve = Arc::clone(&serve);
                threads.push(thread::spawn(move || serve(socket)));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
    for thread in threads {
        thread.join().expect("the connection's thread has not failed");
    }
}
