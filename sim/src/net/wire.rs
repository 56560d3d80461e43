//! The client's end of a connection.
//!
//! Leaves the rules to `connection`, and the server's end to `server_end`. What must stay true: what one end has sent arrives at the other
//! whole and in order, or the connection is broken.

use std::rc::Rc;

use crate::net::connection::Connection;

/// The client's end of a connection. Clones are the same end; nothing happens when it is dropped.
#[derive(Debug, Clone)]
pub struct Wire {
    connection: Rc<Connection>,
}

/// What a client knows of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireState {
    /// Asked for, not answered yet. What is sent waits.
    Connecting,
    /// Both ways.
    Open,
    /// The server has finished sending, and all was received (`receive` gave it out).
    Ended,
    /// Broken. What had come before can still be received, if the machine is one that keeps it.
    Reset,
    /// There was nobody to connect to.
    Refused,
}

impl Wire {
    pub(crate) fn new(connection: Rc<Connection>) -> Self {
        Self { connection }
    }

    /// Sends bytes. What the server's window does not take waits here.
    pub fn send(&self, bytes: &[u8]) {
        self.connection.client_send(bytes);
    }

    /// How many of the bytes sent wait here since the server's window takes none.
    pub fn unsent_bytes(&self) -> usize {
        self.connection.client_unsent()
    }

    /// Appends at most so many of the bytes that have arrived, and says how many. Frees the server's window.
    pub fn receive(&self, into: &mut Vec<u8>, bytes_max: usize) -> usize {
        self.connection.client_receive(into, bytes_max)
    }

    /// What is known of the connection.
    pub fn state(&self) -> WireState {
        self.connection.client_state()
    }

    /// Finishes sending: an end behind all that was sent.
    pub fn shut_down_writing(&self) {
        self.connection.client_shut_down();
    }

    /// Closes in order: an end behind all that was sent, and what arrives from now on is answered with a reset. Nothing more is told. If
    /// something has arrived that was not received, a reset follows at once, behind all that was sent.
    pub fn close(&self) {
        self.connection.client_close();
    }

    /// Breaks the connection; the server is told, unless it has vanished. Nothing more is told.
    pub fn reset(&self) {
        self.connection.client_reset();
    }

    /// Whether the world has reset it, stalled it or had its network go away: then the server may do to it what it does to such.
    pub fn is_disturbed(&self) -> bool {
        self.connection.is_disturbed()
    }

    /// Whether the server may have its end of it still, whatever became of this one.
    pub fn is_at_server(&self) -> bool {
        self.connection.is_at_server()
    }

    /// From now on nothing passes, in either direction, and nobody is told. The client's end is told nothing more either.
    pub fn vanish(&self) {
        self.connection.vanish();
    }
}
