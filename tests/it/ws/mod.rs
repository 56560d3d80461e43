//! RFC 6455: how a WebSocket begins ([`handshake`]), and what ends it ([`protocol`]).

mod handshake;
mod protocol;
