//! One client of a load: a non-blocking connection, from connect over upgrade to counting.
//!
//! It is handed events by `fleet` and knows nothing of the other clients. It keeps no payload; what it may hold is a
//! message of its own that the socket has not taken yet.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use socket2::{Domain, Protocol, Socket, Type};

use crate::events::EventReader;
use crate::meter::Meter;
use crate::socketio::{self, Packet};
use crate::tally::{Fault, Tally};
use crate::wire::{Arrival, Content, FrameReader, PONG, masked};

/// The key and its answer from RFC 6455, 1.3: the same for every client, since no proxy has to be fooled here.
const UPGRADE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const UPGRADE_ANSWER: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An answer to the upgrade longer than this is none.
const ANSWER_BYTES_MAX: usize = 4096;

/// Where a load goes, and what it asks there.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's address.
    pub addr: SocketAddr,
    /// The path of the WebSocket, `/` for most.
    pub path: String,
    /// How its clients receive.
    pub way: Way,
}

/// How a client receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a WebSocket, over which it can publish too.
    WebSocket,
    /// The same, in packets of socket.io.
    SocketIo,
    /// By an event stream, as a browser's `EventSource` does.
    Events,
}

impl Way {
    /// What a client writes into its frames.
    pub fn content(self) -> Content {
        match self {
            Self::SocketIo => Content::SocketIo,
            Self::WebSocket | Self::Events => Content::Messages,
        }
    }
}

impl Target {
    /// The WebSocket at this path.
    pub fn new(addr: SocketAddr, path: &str) -> Self {
        Self { addr, path: path.into(), way: Way::WebSocket }
    }

    /// The same at another path.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        Self { path: path.into(), ..self.clone() }
    }

    /// Where a server with socket.io is.
    pub fn socket_io(addr: SocketAddr) -> Self {
        Self { way: Way::SocketIo, ..Self::new(addr, socketio::PATH) }
    }

    /// The event stream of the same path.
    #[must_use]
    pub fn events(&self) -> Self {
        Self { way: Way::Events, ..self.clone() }
    }

    fn request(&self) -> String {
        let asked = match self.way {
            Way::WebSocket | Way::SocketIo => format!(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {UPGRADE_KEY}"
            ),
            Way::Events => "Accept: text/event-stream".into(),
        };
        format!("GET {} HTTP/1.1\r\nHost: {}\r\n{asked}\r\n\r\n", self.path, self.addr)
    }
}

/// Counts what comes, whichever way.
#[derive(Debug)]
enum Reader {
    Frames(FrameReader),
    Events(EventReader),
}

#[derive(Debug)]
enum Phase {
    Connecting,
    Upgrading(Vec<u8>),
    /// Upgraded, and not let in yet: socket.io only.
    Joining,
    Open,
}

/// A connection and what has come over it.
#[derive(Debug)]
pub struct Client {
    socket: TcpStream,
    way: Way,
    phase: Phase,
    reader: Reader,
    tally: Tally,
    outgoing: Vec<u8>,
    outgoing_sent: usize,
    metered: bool,
}

impl Client {
    /// Starts to connect. `metered`: its deliveries count for the figures, so it must be there from the first message;
    /// one that is not may join late and is only checked.
    pub fn start(target: &Target, metered: bool) -> Result<Self> {
        let socket = Socket::new(Domain::for_address(target.addr), Type::STREAM, Some(Protocol::TCP))
            .context("no socket for a client: is the file limit (ulimit -n) large enough?")?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // Closing with a reset leaves no port in TIME_WAIT, so that many loads can follow each other.
        socket.set_linger(Some(Duration::ZERO))?;
        match socket.connect(&target.addr.into()) {
            Ok(()) => {}
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(e) => return Err(e).with_context(|| format!("cannot connect to {}", target.addr)),
        }
        Ok(Self {
            socket: socket.into(),
            way: target.way,
            phase: Phase::Connecting,
            reader: match target.way {
                Way::WebSocket | Way::SocketIo => Reader::Frames(FrameReader::of(target.way.content())),
                Way::Events => Reader::Events(EventReader::default()),
            },
            tally: if metered { Tally::default() } else { Tally::late() },
            outgoing: target.request().into_bytes(),
            outgoing_sent: 0,
            metered,
        })
    }

    /// For registering with epoll.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// What it has received.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether its deliveries count for the figures.
    pub fn is_metered(&self) -> bool {
        self.metered
    }

    /// Whether it is let in.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Bytes of its own that the socket has not taken yet.
    pub fn outgoing_bytes(&self) -> usize {
        self.outgoing.len() - self.outgoing_sent
    }

    /// Queues frames; [`Client::flush`] sends them.
    pub fn queue(&mut self, frames: &[u8]) {
        self.outgoing.extend_from_slice(frames);
    }

    /// Writes what is queued as far as the socket takes it.
    pub fn flush(&mut self) -> Result<()> {
        while self.outgoing_sent < self.outgoing.len() {
            match self.socket.write(&self.outgoing[self.outgoing_sent..]) {
                Ok(n) => self.outgoing_sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => bail!(Fault::Closed(format!("writing to it failed: {e}"))),
            }
        }
        self.outgoing.clear();
        self.outgoing_sent = 0;
        Ok(())
    }

    /// Does everything that an epoll event of this socket may be about.
    pub fn ready(&mut self, buffer: &mut [u8], meter: &mut Meter) -> Result<()> {
        if matches!(self.phase, Phase::Connecting) {
            if let Some(e) = self.socket.take_error()? {
                return Err(e).context("a client could not connect");
            }
            if self.socket.peer_addr().is_err() {
                return Ok(()); // Not connected yet: this event was about something else.
            }
            self.phase = Phase::Upgrading(Vec::new());
        }
        if self.outgoing_bytes() > 0 {
            self.flush()?;
        }
        loop {
            let n = match self.socket.read(buffer) {
                Ok(0) => bail!(Fault::Closed("end of stream".into())),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => bail!(Fault::Closed(e.to_string())),
            };
            self.take(&buffer[..n], meter)?;
            // Edge-triggered epoll reports again what comes after a short read, so the read that finds nothing is
            // spared.
            if n < buffer.len() {
                return Ok(());
            }
        }
    }

    fn take(&mut self, bytes: &[u8], meter: &mut Meter) -> Result<()> {
        let Phase::Upgrading(head) = &mut self.phase else {
            return self.count(bytes, meter);
        };
        head.extend_from_slice(bytes);
        let Some(head_bytes) = (match self.reader {
            Reader::Frames(_) => upgrade_end(head)?,
            Reader::Events(_) => stream_begin(head)?,
        }) else {
            return Ok(());
        };
        let frames = head.split_off(head_bytes);
        self.phase = if self.way == Way::SocketIo { Phase::Joining } else { Phase::Open };
        self.count(&frames, meter)
    }

    fn count(&mut self, bytes: &[u8], meter: &mut Meter) -> Result<()> {
        let (tally, metered) = (&mut self.tally, self.metered);
        let mut fault = None;
        let mut pings = 0;
        let mut packets = Vec::new();
        meter.begin_read();
        let report = |arrival| match arrival {
            Arrival::Message(stamp) => {
                if let Err(e) = tally.count(stamp) {
                    fault.get_or_insert(e);
                }
                if metered {
                    meter.delivery(stamp.sent_ns);
                } else {
                    meter.checked_delivery();
                }
            }
            Arrival::Other => {}
            Arrival::Ping => pings += 1,
            Arrival::Packet(packet) => packets.push(packet),
            Arrival::Close => {
                fault.get_or_insert(Fault::Closed("it sent a close frame".into()));
            }
            Arrival::Unreadable => {
                fault.get_or_insert(Fault::Unreadable);
            }
        };
        match &mut self.reader {
            Reader::Frames(reader) => reader.feed(bytes, report),
            Reader::Events(reader) => reader.feed(bytes, report),
        }
        meter.end_read();
        if let Some(fault) = fault {
            bail!(fault);
        }
        if pings > 0 {
            self.queue(&PONG.repeat(pings));
            self.flush()?;
        }
        packets.into_iter().try_for_each(|packet| self.answer(packet))
    }

    /// Does what socket.io asks of a client.
    fn answer(&mut self, packet: Packet) -> Result<()> {
        match packet {
            Packet::Open => self.queue(&masked(socketio::CONNECT)),
            Packet::Ping => self.queue(&masked(socketio::PONG)),
            Packet::Connected => self.phase = Phase::Open,
            Packet::End => bail!(Fault::Closed("socket.io sent it away".into())),
            Packet::Event | Packet::Other => {}
        }
        self.flush()
    }
}

/// Where the answer to the upgrade ends, if it is complete; an error if it is no consent.
fn upgrade_end(head: &[u8]) -> Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let status = response.parse(head).context("the server's answer to the upgrade is no HTTP")?;
    let httparse::Status::Complete(head_bytes) = status else {
        if head.len() > ANSWER_BYTES_MAX {
            bail!("the server's answer to the upgrade has no end");
        }
        return Ok(None);
    };
    let answer = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case("sec-websocket-accept"));
    if response.code != Some(101) || answer.is_none_or(|h| h.value != UPGRADE_ANSWER.as_bytes()) {
        bail!(
            "the server refused the upgrade with status {} {}",
            response.code.unwrap_or(0),
            response.reason.unwrap_or("")
        );
    }
    Ok(Some(head_bytes))
}

/// Where the head of an event stream ends, if it is complete; an error if the answer is none.
fn stream_begin(head: &[u8]) -> Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let status = response.parse(head).context("the server's answer to an event stream is no HTTP")?;
    let httparse::Status::Complete(head_bytes) = status else {
        if head.len() > ANSWER_BYTES_MAX {
            bail!("the server's answer to an event stream has no end");
        }
        return Ok(None);
    };
    let kind = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-type"));
    if response.code != Some(200) || kind.is_none_or(|h| !h.value.starts_with(b"text/event-stream")) {
        bail!("the server refused an event stream with status {}", response.code.unwrap_or(0));
    }
    Ok(Some(head_bytes))
}
