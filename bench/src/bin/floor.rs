//! The floor: the cheapest broadcaster that can exist, so that others have something to be measured against.
//!
//! One thread, one epoll, one prepared frame for each message and one `send` of it for each client: no batching, no
//! limits, no manners. It does not check what clients say beyond what it needs to find the frames, and it must never be
//! used for anything but measuring. Usage: `floor PORT`.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use anyhow::{Context, Result};
use foghorn_bench::wire::push_length;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const GREETING: &[u8] = b"\x81\x1dconnected to WebSocket server";
const READ_BUFFER_BYTES: usize = 1 << 18;
const LISTEN_BACKLOG: i32 = 4096;

struct Client {
    socket: OwnedFd,
    /// Bytes of a request or frame that is not complete yet.
    incoming: Vec<u8>,
    is_open: bool,
    /// Frames that the socket did not take, and how much of the first is sent.
    owed: VecDeque<Rc<[u8]>>,
    owed_sent: usize,
}

/// Clients by their file descriptor, and those descriptors in a dense list for the loop that counts.
struct Room {
    epoll: OwnedFd,
    clients: Vec<Option<Client>>,
    open: Vec<usize>,
}

fn main() -> Result<()> {
    let port = std::env::args().nth(1).and_then(|p| p.parse().ok()).context("usage: floor PORT")?;
    let listener = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    rustix::net::bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("cannot listen on port {port}"))?;
    rustix::net::listen(&listener, LISTEN_BACKLOG)?;
    let mut room = Room { epoll: epoll::create(CreateFlags::CLOEXEC)?, clients: Vec::new(), open: Vec::new() };
    let listener_fd = listener.as_raw_fd() as usize;
    epoll::add(&room.epoll, &listener, EventData::new_u64(listener_fd as u64), EventFlags::IN)?;
    let mut events: Vec<Event> = Vec::with_capacity(1024);
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    loop {
        events.clear();
        match epoll::wait(&room.epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e).context("waiting for events failed"),
        }
        for event in &events {
            let data = event.data;
            let fd = data.u64() as usize;
            if fd == listener_fd {
                room.accept_all(&listener)?;
            } else {
                room.ready(fd, &mut buffer);
            }
        }
    }
}

impl Room {
    fn accept_all(&mut self, listener: &OwnedFd) -> Result<()> {
        loop {
            let socket = match rustix::net::accept_with(listener, SocketFlags::NONBLOCK) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(e) => return Err(e).context("cannot accept"),
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let fd = socket.as_raw_fd() as usize;
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&self.epoll, &socket, EventData::new_u64(fd as u64), flags)?;
            if self.clients.len() <= fd {
                self.clients.resize_with(fd + 1, || None);
            }
            self.clients[fd] =
                Some(Client { socket, incoming: Vec::new(), is_open: false, owed: VecDeque::new(), owed_sent: 0 });
        }
    }

    fn ready(&mut self, fd: usize, buffer: &mut [u8]) {
        loop {
            let Some(client) = self.clients.get_mut(fd).and_then(Option::as_mut) else {
                return;
            };
            if client.pay().is_err() {
                return self.drop_client(fd);
            }
            let read_bytes = match rustix::net::recv(&client.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return self.drop_client(fd),
                Ok((n, _)) => n,
                Err(Errno::AGAIN) => return,
                Err(_) => return self.drop_client(fd),
            };
            client.incoming.extend_from_slice(&buffer[..read_bytes]);
            if self.advance(fd).is_none() {
                return self.drop_client(fd);
            }
            if read_bytes < buffer.len() {
                return;
            }
        }
    }

    /// Handles what is complete of this client's bytes; None if it is to go.
    fn advance(&mut self, fd: usize) -> Option<()> {
        let client = self.clients[fd].as_mut()?;
        let mut incoming = std::mem::take(&mut client.incoming);
        let mut done = 0;
        if !client.is_open {
            let Some(end) = incoming.windows(4).position(|w| w == b"\r\n\r\n") else {
                client.incoming = incoming;
                return Some(());
            };
            done = end + 4;
            client.pay_or_owe(&upgrade_answer(&incoming[..done])?).ok()?;
            client.is_open = true;
            self.open.push(fd);
        }
        loop {
            match take_frame(&incoming[done..]) {
                Taken::Frame(frame, used) => {
                    done += used;
                    self.broadcast(&frame);
                }
                Taken::Partial => break,
                Taken::Other => return None,
            }
        }
        incoming.drain(..done);
        self.clients[fd].as_mut()?.incoming = incoming;
        Some(())
    }

    /// What all of this is about.
    fn broadcast(&mut self, frame: &Rc<[u8]>) {
        let mut i = 0;
        while i < self.open.len() {
            let fd = self.open[i];
            let client = self.clients[fd].as_mut().expect("who is in the list is there");
            match client.pay_or_owe(frame) {
                Ok(()) => i += 1,
                Err(_) => self.drop_client(fd),
            }
        }
    }

    fn drop_client(&mut self, fd: usize) {
        self.clients[fd] = None;
        if let Some(i) = self.open.iter().position(|&f| f == fd) {
            self.open.swap_remove(i);
        }
    }
}

impl Client {
    fn pay_or_owe(&mut self, frame: &Rc<[u8]>) -> rustix::io::Result<()> {
        if self.owed.is_empty() {
            match rustix::net::send(&self.socket, frame, SendFlags::NOSIGNAL) {
                Ok(n) if n == frame.len() => return Ok(()),
                Ok(n) => self.owed_sent = n,
                Err(Errno::AGAIN) => self.owed_sent = 0,
                Err(e) => return Err(e),
            }
        }
        self.owed.push_back(Rc::clone(frame));
        Ok(())
    }

    fn pay(&mut self) -> rustix::io::Result<()> {
        while let Some(frame) = self.owed.front() {
            match rustix::net::send(&self.socket, &frame[self.owed_sent..], SendFlags::NOSIGNAL) {
                Ok(n) => self.owed_sent += n,
                Err(Errno::AGAIN) => return Ok(()),
                Err(e) => return Err(e),
            }
            if self.owed_sent == frame.len() {
                self.owed.pop_front();
                self.owed_sent = 0;
            }
        }
        Ok(())
    }
}

/// The consent to an upgrade, with the greeting right after it; None if the request is none.
fn upgrade_answer(head: &[u8]) -> Option<Rc<[u8]>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(head).ok()?;
    let key = request.headers.iter().find(|h| h.name.eq_ignore_ascii_case("sec-websocket-key"))?;
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.value)
    )
    .into_bytes();
    answer.extend_from_slice(GREETING);
    Some(answer.into())
}

/// What the first bytes of a client are.
enum Taken {
    /// A message: the server's frame of it, and how many bytes the client's frame took.
    Frame(Rc<[u8]>, usize),
    /// Not a whole frame yet.
    Partial,
    /// A close, or something that is no whole message in one frame.
    Other,
}

fn take_frame(bytes: &[u8]) -> Taken {
    let [first, second, rest @ ..] = bytes else {
        return Taken::Partial;
    };
    let (length_bytes, payload_bytes) = match second & 0x7f {
        126 => (2, rest.first_chunk().map(|b| u64::from(u16::from_be_bytes(*b)))),
        127 => (8, rest.first_chunk().map(|b| u64::from_be_bytes(*b))),
        short => (0, Some(u64::from(short))),
    };
    if !matches!(first, 0x81 | 0x82) || second & 0x80 == 0 {
        return Taken::Other;
    }
    let Some(payload_bytes) = payload_bytes.and_then(|n| usize::try_from(n).ok()) else {
        return Taken::Partial;
    };
    let body = &rest[length_bytes..];
    if body.len() < 4 + payload_bytes {
        return Taken::Partial;
    }
    let (mask, payload) = body[..4 + payload_bytes].split_at(4);
    let mut frame = Vec::with_capacity(payload_bytes + 10);
    frame.push(*first);
    push_length(&mut frame, payload_bytes, 0);
    let head_bytes = frame.len();
    frame.extend_from_slice(payload);
    for chunk in frame[head_bytes..].chunks_mut(4) {
        chunk.iter_mut().zip(mask).for_each(|(byte, key)| *byte ^= key);
    }
    Taken::Frame(frame.into(), 2 + length_bytes + 4 + payload_bytes)
}
