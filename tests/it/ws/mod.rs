//! RFC 6455: how a WebSocket begins ([`handshake`]), and what ends it ([`protocol`]); the common clients of boards, byte by byte
//! ([`arduino`]).

mod arduino;
mod handshake;
mod protocol;
