//! Addresses and ports ([`listener`]), and how a connection ends ([`lingering_close`]).

mod lingering_close;
mod listener;
