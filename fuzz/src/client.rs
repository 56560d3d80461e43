//! What a client sends over its WebSocket, through tungstenite with the settings of the server.
//!
//! The first byte of an input says in what pieces the rest comes out of the socket. All is read twice: once straight, and once as the
//! server does, which makes the WebSocket anew after large messages.

use std::io::{self, ErrorKind, Read, Write};

use foghorn::hub::close_reason::may_be_sent;
use foghorn::hub::frame::Frame;
use foghorn::ws::frame_tracker::FrameTracker;
use tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, error::CapacityError};

use crate::{Kind, kind};

const MESSAGE_BYTES_MAX: usize = 2000;

/// A socket that gives a piece, then says that there is no more for now, and so on.
struct Socket<'a> {
    unread: &'a [u8],
    piece_bytes: usize,
    is_ready: bool,
    written: Vec<u8>,
    /// Follows what is handed out, if the WebSocket is to be made anew.
    frames: Option<FrameTracker>,
}

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_ready = !self.is_ready;
        if !self.is_ready && !self.unread.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut bytes = self.piece_bytes.min(buffer.len()).min(self.unread.len());
        if let Some(frames) = &mut self.frames {
            bytes = frames.follow(&self.unread[..bytes]);
        }
        let (piece, rest) = self.unread.split_at(bytes);
        buffer[..bytes].copy_from_slice(piece);
        self.unread = rest;
        Ok(bytes)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Any bytes as what comes after the handshake.
///
/// # Panics
/// If a message comes out that is too large or cannot be sent on unchanged, more is answered than was provoked, a close code
/// is not the one that came, or it matters that the WebSocket is made anew.
pub fn target(bytes: &[u8]) -> Kind {
    let Some((&pieces, sent)) = bytes.split_first() else { return kind("nothing") };
    let piece_bytes = usize::from(pieces) + 1;
    let straight = read(sent, piece_bytes, None);
    let made_anew = read(sent, piece_bytes, Some(FrameTracker::default()));
    assert_eq!(straight.messages, made_anew.messages, "the same comes out");
    assert_eq!((straight.end, &straight.answered), (made_anew.end, &made_anew.answered), "and it ends in the same way");
    straight.kind(sent)
}

/// What came out.
struct Outcome {
    messages: Vec<Message>,
    waits: usize,
    end: Kind,
    answered: Vec<u8>,
}

impl Outcome {
    fn kind(&self, sent: &[u8]) -> Kind {
        let mut kinds = [0_usize; 5];
        let mut payload_bytes = 0;
        for message in &self.messages {
            match message {
                Message::Text(text) => {
                    kinds[0] += 1;
                    payload_bytes += text.len();
                    check_sent_on(&Frame::text(text.clone()), message);
                }
                Message::Binary(payload) => {
                    kinds[1] += 1;
                    payload_bytes += payload.len();
                    check_sent_on(&Frame::binary(payload.clone()), message);
                }
                Message::Ping(_) => kinds[2] += 1,
                Message::Pong(_) => kinds[3] += 1,
                Message::Close(_) | Message::Frame(_) => {}
            }
        }
        kinds[4] = self.waits;
        assert!(payload_bytes <= sent.len(), "nothing comes out that was not sent");
        assert!(self.answered.len() <= sent.len(), "{} bytes are answered to {}", self.answered.len(), sent.len());
        kind((self.end, kinds.map(|count| count.min(3)), payload_bytes.min(64) / 16))
    }
}

fn read(sent: &[u8], piece_bytes: usize, frames: Option<FrameTracker>) -> Outcome {
    let socket = Socket { unread: sent, piece_bytes, is_ready: false, written: Vec::new(), frames };
    let mut server = WebSocket::from_raw_socket(socket, Role::Server, Some(settings()));
    let (mut messages, mut taken, mut waits) = (Vec::new(), 0, 0);
    let end = loop {
        match server.read() {
            // The server answers with the client's code, or with 1002, and reads no further.
            Ok(Message::Close(close)) => {
                let code = close.map(|close| close.code.into());
                if let Some(frames) = &server.get_ref().frames {
                    check_close_code(frames.close_code(), code);
                }
                break kind(("closed", code.map(|code| code == 1002)));
            }
            Ok(Message::Frame(_)) => panic!("raw frames are not for us"),
            Ok(message) => {
                taken += u32::from(message.is_text() || message.is_binary());
                messages.push(message);
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => waits += 1,
            Err(error) => break kind_of(&error),
        }
        let frames = server.get_ref().frames.as_ref();
        if frames.is_some_and(|frames| frames.is_after_large() && frames.messages() == taken) {
            server = WebSocket::from_raw_socket(server.into_inner(), Role::Server, Some(settings()));
        }
    };
    Outcome { messages, waits, end, answered: server.get_ref().written.clone() }
}

/// tungstenite tells a code that it refuses as 1002. What it takes is as it came, and may be sent.
fn check_close_code(came: Option<u16>, told: Option<u16>) {
    if came != told {
        assert!(told == Some(1002) && came.is_some(), "{came:?} came, {told:?} is told");
        assert!(came == Some(1014) || !came.is_some_and(may_be_sent), "{came:?} is told as 1002");
    } else if let Some(code) = came {
        assert!(may_be_sent(code), "{code}");
    }
}

/// The frame that all get is the message that one has sent.
fn check_sent_on(frame: &Frame, message: &Message) {
    assert!(message.len() <= MESSAGE_BYTES_MAX, "{} bytes", message.len());
    let mut client = WebSocket::from_raw_socket(io::Cursor::new(frame.to_vec()), Role::Client, None);
    assert_eq!(&client.read().expect("a frame of ours"), message);
}

/// The server's own settings.
fn settings() -> WebSocketConfig {
    foghorn::ws::reader::websocket_config(MESSAGE_BYTES_MAX)
}

fn kind_of(error: &Error) -> Kind {
    match error {
        Error::Protocol(protocol) => kind(format!("{protocol:?}").split(['(', ' ', '{']).next()),
        Error::Capacity(CapacityError::MessageTooLong { .. }) => kind("too long"),
        Error::Utf8(_) => kind("not UTF-8"),
        other => kind(std::mem::discriminant(other)),
    }
}
