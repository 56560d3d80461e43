//! The client's end of a connection.
//!
//! Leaves the server's end to `server_end`. What must stay true: what one end has sent arrives at the other whole and in order, or the
//! connection is broken.

/// The client's end of a connection. Clones are the same end; nothing happens when it is dropped.
#[derive(Debug, Clone)]
pub struct Wire;

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
    /// Sends bytes. What the server's window does not take waits here.
    pub fn send(&self, _bytes: &[u8]) {
        todo!()
    }

    /// How many of the bytes sent wait here since the server's window takes none.
    pub fn unsent_bytes(&self) -> usize {
        todo!()
    }

    /// Appends at most so many of the bytes that have arrived, and says how many. Frees the server's window.
    pub fn receive(&self, _into: &mut Vec<u8>, _bytes_max: usize) -> usize {
        todo!()
    }

    /// What is known of the connection.
    pub fn state(&self) -> WireState {
        todo!()
    }

    /// Finishes sending: a FIN behind all that was sent.
    pub fn shut_down_writing(&self) {
        todo!()
    }

    /// Closes in order: a FIN behind all that was sent, and what arrives from now on is answered with a reset. Nothing more is told.
    pub fn close(&self) {
        todo!()
    }

    /// Breaks the connection; the server is told, unless it has vanished. Nothing more is told.
    pub fn reset(&self) {
        todo!()
    }

    /// From now on nothing passes, in either direction, and nobody is told. The client's end is told nothing more either.
    pub fn vanish(&self) {
        todo!()
    }
}
