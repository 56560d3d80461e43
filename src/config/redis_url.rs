//! Where a Redis or Valkey server is, as `--redis` says it: `redis://[user:password@]host[:port][/db]`, or a Unix socket.
//!
//! Leaves connecting to `engine`. What must stay true: the password is in no text that is shown.

use std::fmt;
use std::path::PathBuf;

/// A server, and how one comes in.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// Where it listens.
    pub address: RedisAddress,
    /// The user of an ACL, if one is given.
    pub user: Option<String>,
    /// The password, if one is given.
    pub password: Option<String>,
    /// The number of the database.
    pub database: i64,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisAddress {
    /// At a host, by its name or address, and a port.
    Tcp(String, u16),
    /// At a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for RedisUrl {
    /// Without user, password and database.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            RedisAddress::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            RedisAddress::Tcp(host, port) => write!(f, "{host}:{port}"),
            RedisAddress::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}
