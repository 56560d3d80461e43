//! What a client sends over its WebSocket, through tungstenite with the settings of the server.
//!
//! The first byte of an input says in what pieces the rest comes out of the socket.

use std::io::{self, ErrorKind, Read, Write};

use foghorn::hub::frame::Frame;
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
}

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_ready = !self.is_ready;
        if !self.is_ready && !self.unread.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let bytes = self.piece_bytes.min(buffer.len()).min(self.unread.len());
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
/// If a message comes out that is too large or cannot be sent on unchanged, or more is answered than was provoked.
pub fn target(bytes: &[u8]) -> Kind {
    let Some((&pieces, sent)) = bytes.split_first() else { return kind("nothing") };
    let piece_bytes = usize::from(pieces) + 1;
    let socket = Socket { unread: sent, piece_bytes, is_ready: false, written: Vec::new() };
    let mut server = WebSocket::from_raw_socket(socket, Role::Server, Some(settings()));
    let (mut kinds, mut payload_bytes) = ([0_usize; 5], 0);
    let error = loop {
        match server.read() {
            Ok(Message::Text(text)) => {
                kinds[0] += 1;
                payload_bytes += text.len();
                check_sent_on(&Frame::text(text.clone()), &Message::Text(text));
            }
            Ok(Message::Binary(payload)) => {
                kinds[1] += 1;
                payload_bytes += payload.len();
                check_sent_on(&Frame::binary(payload.clone()), &Message::Binary(payload));
            }
            Ok(Message::Ping(_)) => kinds[2] += 1,
            Ok(Message::Pong(_)) => kinds[3] += 1,
            // The server answers with the client's code and reads no further.
            Ok(Message::Close(close)) => {
                let answer = Frame::close(close.map(|close| close.code.into()), "");
                assert!(answer.len() <= 4);
                break kind("closed");
            }
            Ok(Message::Frame(_)) => panic!("raw frames are not for us"),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => kinds[4] += 1,
            Err(error) => break kind_of(&error),
        }
    };
    assert!(payload_bytes <= sent.len(), "nothing comes out that was not sent");
    let answered = server.get_ref().written.len();
    assert!(answered <= sent.len(), "{answered} bytes are answered to {}", sent.len());
    kind((error, kinds.map(|count| count.min(3)), payload_bytes.min(64) / 16))
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
