//! One connection to Redis: commands go out together, answers come one by one.
//!
//! Leaves it to `answer_reading` what an answer says. What must stay true: nothing here waits longer than its timeout, and a connection of
//! which an answer was awaited in vain is never used again, since the answer could come later.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, IntoConnectionInfo, RedisError, Value};

use crate::config::limits::{REDIS_ANSWER_TIMEOUT, REDIS_CONNECT_TIMEOUT};
use crate::config::redis_url::{RedisAddress, RedisUrl};
use crate::engine::command::Commands;
use crate::engine::problem::{self, Refusal};

/// A connection that is in.
pub struct Connection {
    redis: redis::Connection,
}

impl Connection {
    /// Connects and comes in. `may_wait`: how much longer than others the answer to a command may take.
    ///
    /// # Errors
    /// Why it did not, as a sentence.
    pub fn open(url: &RedisUrl, may_wait: Duration) -> Result<Self, String> {
        let redis = match &url.address {
            RedisAddress::Unix(path) => connect(ConnectionAddr::Unix(path.clone())),
            RedisAddress::Tcp(host, port) => {
                let addresses = (host.as_str(), *port).to_socket_addrs();
                connect_to_one(addresses.map_err(|error| problem::of_look_up(host, &error))?)
            }
        };
        let redis = redis.map_err(|error| problem::of_connect(url, &error))?;
        let is_set = redis
            .set_write_timeout(Some(REDIS_ANSWER_TIMEOUT))
            .and_then(|()| redis.set_read_timeout(Some(REDIS_ANSWER_TIMEOUT + may_wait)));
        is_set.map_err(|error| problem::of_break(&io_error(&error)))?;
        let mut connection = Self { redis };
        connection.come_in(url)?;
        Ok(connection)
    }

    fn come_in(&mut self, url: &RedisUrl) -> Result<(), String> {
        let mut commands = Commands::default();
        match (&url.user, &url.password) {
            (Some(user), Some(password)) => commands.add(&["AUTH", user, password]),
            (None, Some(password)) => commands.add(&["AUTH", password]),
            (_, None) => {}
        }
        let passwords = commands.count();
        if url.database != 0 {
            commands.add(&["SELECT", &url.database.to_string()]);
        }
        if commands.count() == 0 {
            // The crate takes nothing to send for a mistake.
            return Ok(());
        }
        self.send(&commands)?;
        for nth in 0..commands.count() {
            self.answer()?.map_err(|refusal| match nth {
                nth if nth < passwords => refusal.sentence_to_password(),
                _ => refusal.sentence(),
            })?;
        }
        Ok(())
    }

    /// Sends commands. Each has to be given its [`answer`](Self::answer).
    ///
    /// # Errors
    /// If the connection has ended, as a sentence.
    pub fn send(&mut self, commands: &Commands) -> Result<(), String> {
        let sent = self.redis.send_packed_command(commands.bytes());
        sent.map_err(|error| problem::of_break(&io_error(&error)))
    }

    /// Waits for the next answer.
    ///
    /// # Errors
    /// If the connection has ended, as a sentence.
    pub fn answer(&mut self) -> Result<Result<Value, Refusal>, String> {
        match self.redis.recv_response() {
            Ok(Value::ServerError(error)) => {
                let words = error.details().unwrap_or_default().to_owned();
                Ok(Err(Refusal { code: error.code().to_owned(), words }))
            }
            Ok(value) => Ok(Ok(value)),
            Err(error) if of_system(&error).is_some() => Err(problem::of_break(&io_error(&error))),
            Err(_) => Err(problem::of_nonsense()),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

fn connect_to_one(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<redis::Connection> {
    let mut last_error = ErrorKind::AddrNotAvailable.into();
    for address in addresses {
        let host = match address {
            SocketAddr::V6(address) if address.scope_id() != 0 => format!("{}%{}", address.ip(), address.scope_id()),
            address => address.ip().to_string(),
        };
        match connect(ConnectionAddr::Tcp(host, address.port())) {
            Ok(connection) => return Ok(connection),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

/// Without password and database: what Redis says to those is read here, not by the crate.
fn connect(address: ConnectionAddr) -> io::Result<redis::Connection> {
    let info = address.into_connection_info().map_err(|error| io_error(&error))?;
    let bare = info.redis_settings().clone().set_skip_set_lib_name();
    let info = info.set_redis_settings(bare).set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let client = redis::Client::open(info).map_err(|error| io_error(&error))?;
    client.get_connection_with_timeout(REDIS_CONNECT_TIMEOUT).map_err(|error| io_error(&error))
}

/// What the crate has from the system.
fn of_system(error: &RedisError) -> Option<&io::Error> {
    error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?.downcast_ref()
}

fn io_error(error: &RedisError) -> io::Error {
    match of_system(error) {
        Some(error) => error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error),
        None => io::Error::other(error.to_string()),
    }
}
