//! The server's end of a connection, as the server sees it.
//!
//! Leaves the rules to `connection`. What must stay true: dropped, it is closed.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;

use foghorn::simulation::socket::{Socket, SocketOption};

use crate::net::connection::Connection;

/// The server's end of a connection.
#[derive(Debug)]
pub struct ServerEnd {
    /// Until it is dropped.
    connection: Option<Rc<Connection>>,
}

impl ServerEnd {
    /// The end of a connection that was accepted.
    pub fn new(connection: Rc<Connection>) -> Self {
        let ends = &connection.network.ends;
        ends.set(ends.get() + 1);
        Self { connection: Some(connection) }
    }

    fn connection(&self) -> &Rc<Connection> {
        self.connection.as_ref().expect("it is not dropped")
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let network = Rc::clone(&connection.network);
        let _not_the_servers = network.foreign.begin();
        network.ends.set(network.ends.get() - 1);
        connection.close_server_end(false);
        // What the wire had is freed here, if the client has gone before.
        drop(connection);
    }
}

impl Socket for ServerEnd {
    fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        let _not_the_servers = self.connection().network.foreign.begin();
        self.connection().server_receive(into)
    }

    fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let _not_the_servers = self.connection().network.foreign.begin();
        self.connection().server_send(slices)
    }

    fn shut_down_writing(&self) -> io::Result<()> {
        let _not_the_servers = self.connection().network.foreign.begin();
        self.connection().server_shut_down()
    }

    fn local_addr(&self) -> SocketAddr {
        self.connection().server_local_addr()
    }

    fn take_error(&self) -> Option<io::Error> {
        self.connection().server_error()
    }

    fn set(&self, option: SocketOption) {
        let _not_the_servers = self.connection().network.foreign.begin();
        self.connection().server_set(option);
    }

    fn registered(&self, key: u64) {
        let _not_the_servers = self.connection().network.foreign.begin();
        self.connection().server_registered(key);
    }

    fn deregistered(&self) {
        self.connection().server_deregistered();
    }
}
