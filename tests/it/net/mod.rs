//! Addresses and ports: [`listener`].

mod listener;
