//! HTTP and WebSocket as a client speaks them. Whatever it waits for has a deadline.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::frames::{BINARY, CLOSE, FIN, Frame, TEXT, masked};
use super::http::{Response, post_head, request_head, upgrade_head};
use super::server::Server;
use super::wait::patience;

pub const GREETING: &str = "connected to WebSocket server";

/// A client that does what it is told, right or wrong.
#[derive(Debug)]
pub struct Client {
    socket: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, patience()).expect("the server takes connections"))
    }

    /// A client with this address of its own.
    pub fn connect_from(ip: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(ip, 0).into()).expect("an address of this machine");
        socket.connect_timeout(&address.into(), patience()).expect("the server takes connections");
        Self::over(socket.into())
    }

    /// A client whose kernel takes only so many bytes for it (the kernel doubles the number).
    pub fn connect_narrow(address: SocketAddr, receive_bytes: usize) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(receive_bytes).expect("it is set before connecting");
        socket.connect_timeout(&address.into(), patience()).expect("the server takes connections");
        Self::over(socket.into())
    }

    fn over(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(patience())).unwrap();
        socket.set_write_timeout(Some(patience())).unwrap();
        Self { socket: BufReader::new(socket) }
    }

    /// Connects, joins, and reads the greeting.
    pub fn join(address: SocketAddr) -> Self {
        Self::join_at(address, "/")
    }

    /// The same with a path and a query.
    pub fn join_at(address: SocketAddr, path: &str) -> Self {
        let mut client = Self::connect(address);
        client.upgrade(address, path, "");
        assert_eq!(client.text(), GREETING);
        client
    }

    /// Does the handshake, and leaves the frames that follow unread.
    pub fn upgrade(&mut self, address: SocketAddr, path: &str, lines: &str) -> Response {
        let response = self.try_upgrade(address, path, lines);
        assert_eq!(response.status, 101, "{path}: {response:?} {}", response.text());
        assert_eq!(response.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        response
    }

    /// Asks for the handshake, which may be refused.
    pub fn try_upgrade(&mut self, address: SocketAddr, path: &str, lines: &str) -> Response {
        self.send(upgrade_head(&address.to_string(), path, lines).as_bytes());
        self.response(false)
    }

    pub fn socket(&self) -> &TcpStream {
        self.socket.get_ref()
    }

    /// The same connection once more, for a thread that only writes.
    pub fn writer(&self) -> TcpStream {
        self.socket().try_clone().expect("a descriptor")
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the server takes what is sent");
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket().write_all(bytes)
    }

    pub fn send_text(&mut self, text: &str) {
        self.send(&masked(FIN | TEXT, text.as_bytes()));
    }

    pub fn send_binary(&mut self, payload: &[u8]) {
        self.send(&masked(FIN | BINARY, payload));
    }

    pub fn send_close(&mut self, code: u16, words: &str) {
        self.send(&masked(FIN | CLOSE, &[&code.to_be_bytes()[..], words.as_bytes()].concat()));
    }

    /// Reads the head and the body of an answer.
    pub fn response(&mut self, head_only: bool) -> Response {
        self.try_response(head_only).expect("a whole answer comes")
    }

    pub fn try_response(&mut self, head_only: bool) -> io::Result<Response> {
        Response::read_from(&mut self.socket, head_only)
    }

    /// Reads bytes as they are.
    pub fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.socket.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads what there is, up to as much as fits.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.read(into)
    }

    /// Reads up to the next line feed, or to the end.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.socket.read_until(b'\n', &mut line).map(|_| line)
    }

    /// Reads to the end of the connection, and says whether it ends in order, with no reset.
    pub fn rest_and_end(&mut self) -> (Vec<u8>, bool) {
        let mut rest = Vec::new();
        match self.socket.read_to_end(&mut rest) {
            Ok(_) => (rest, true),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => (rest, false),
            Err(error) => panic!("the connection does not end: {error}"),
        }
    }

    /// Reads the next frame, and sees to it that it is one that a server may send.
    pub fn frame(&mut self) -> Frame {
        self.try_frame().expect("a whole frame comes")
    }

    pub fn try_frame(&mut self) -> io::Result<Frame> {
        Frame::read_from(&mut self.socket)
    }

    /// The next frame, which has to be a text.
    pub fn text(&mut self) -> String {
        let frame = self.frame();
        assert_eq!(frame.opcode, TEXT, "{frame:?}");
        String::from_utf8(frame.payload).expect("text is UTF-8")
    }

    /// The next frame, which has to be binary.
    pub fn binary(&mut self) -> Vec<u8> {
        let frame = self.frame();
        assert_eq!(frame.opcode, BINARY, "{frame:?}");
        frame.payload
    }

    /// The next frame has to close with this code, and the connection has to end after it.
    pub fn expect_close(&mut self, code: u16) {
        let frame = self.frame();
        assert_eq!(frame.opcode, CLOSE, "{frame:?}");
        assert_eq!(frame.close_parts().0, Some(code), "{frame:?}");
        self.expect_end();
    }

    /// Reads to the end of the connection, and returns the code of the Close frame before it.
    pub fn closed_with(&mut self) -> Option<u16> {
        loop {
            let frame = self.frame();
            if frame.opcode == CLOSE {
                self.expect_end();
                return frame.close_parts().0;
            }
        }
    }

    /// The server ends the connection, and sends nothing before.
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        match self.socket.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection does not end: {error}"),
        }
        assert!(rest.is_empty(), "more came: {:?}", String::from_utf8_lossy(&rest));
    }

    /// All that still comes until the connection ends, however it does.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        if let Err(error) = self.socket.read_to_end(&mut rest) {
            assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "the connection does not end");
        }
        rest
    }

    /// Shows that the connection works in both directions, by an echo of its own. Messages of others are passed over.
    pub fn expect_echo(&mut self, text: &str) {
        self.send_text(text);
        while self.text() != text {}
    }

    /// Breaks the connection with a reset.
    pub fn reset(self) {
        SockRef::from(self.socket()).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// Asks for a page on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Response {
    request(address, "GET", path, "")
}

/// Sends a request with more header lines (each with its `\r\n`), and reads the answer.
pub fn request(address: SocketAddr, method: &str, path: &str, lines: &str) -> Response {
    let mut client = Client::connect(address);
    client.send(request_head(address, method, path, lines).as_bytes());
    client.response(method == "HEAD")
}

/// Posts a message on a connection of its own, with more header lines, and reads the answer.
pub fn post(server: &Server, path: &str, lines: &str, body: &[u8]) -> Response {
    let mut client = Client::connect(server.address());
    client.send(&[post_head(server.address(), path, lines, body.len()).as_bytes(), body].concat());
    client.response(false)
}

/// Sends these bytes on a connection of their own, and reads the one answer, with which the connection ends.
pub fn refused(address: SocketAddr, bytes: &[u8]) -> Response {
    let mut client = Client::connect(address);
    client.send(bytes);
    let response = client.response(false);
    client.expect_end();
    response.expect_a_sentence();
    response
}
