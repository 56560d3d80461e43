//! The checked settings of a server.
//!
//! Leaves to `flags` where they come from, so that a test can make its own. What must stay true: whatever is in here works.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use log::{Level, LevelFilter};

use crate::config::redis_url::RedisUrl;

/// The checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses to bind; empty for the default ones.
    pub listen: Vec<SocketAddr>,
    /// First text to a client; none if empty.
    pub greeting: String,
    /// Whether a client gets its own messages, unless it says otherwise.
    pub echo: bool,
    /// How many of the last messages a newcomer gets.
    pub history: u64,
    /// The folder to serve in place of the built-in page.
    pub www: Option<PathBuf>,
    /// Whether folders of `www` that have no `index.html` are listed; never without `www`.
    pub list_folders: bool,
    /// Whether pages of `www` are told when something in it changes; never without `www`.
    pub reload: bool,
    /// The folder in which what was said outlives the process; `None` keeps nothing.
    pub state: Option<PathBuf>,
    /// The server that has the channels, which are shared with other boards; never with `state`.
    pub redis: Option<RedisSettings>,
    /// What the log has to say of settings that give way to others.
    pub notice: Option<(Level, String)>,
    /// Names by which the server may be called, beside the local ones.
    pub allow_hosts: Vec<String>,
    /// Origins that may connect, beside the server's own.
    pub allow_origins: Vec<String>,
    /// Who may come in, and who may send.
    pub codes: CodeSettings,
    /// The most verbose level that is logged.
    pub log_level: LevelFilter,
    /// What bounds clients and memory.
    pub limits: Limits,
}

/// Where the channels are that several boards share.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// `--redis`: the server.
    pub url: RedisUrl,
    /// `--redis-prefix`: what the names of all keys begin with.
    pub prefix: String,
}

/// Codes as they were given: only `access::codes` knows whether they can be any.
#[derive(Clone, Default)]
pub struct CodeSettings {
    /// `--code`: `[NAME=]CODE`, needed to come in.
    pub to_receive: Vec<String>,
    /// `--send-code`: the same, needed to send.
    pub to_send: Vec<String>,
    /// `--codes`: a file with more of both.
    pub file: Option<PathBuf>,
}

impl fmt::Debug for CodeSettings {
    /// Shows no code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeSettings").field("file", &self.file).finish_non_exhaustive()
    }
}

/// The limits that have a flag.
#[derive(Debug, Clone)]
pub struct Limits {
    /// `--max-message`: the largest payload of a message; at most half of `backlog_bytes`.
    pub message_bytes_max: usize,
    /// `--backlog`: frames and their index.
    pub backlog_bytes: usize,
    /// `--max-channels`: channels beside the main one.
    pub channels_max: usize,
    /// `--channel-backlog`: the same as `--backlog`, for each of them.
    pub channel_backlog_bytes: usize,
    /// `--patience`: how long one client may keep others waiting.
    pub patience: Duration,
    /// `--max-clients`: clients at a time.
    pub clients_max: usize,
    /// `--max-clients-per-ip`: clients from one address; `None` is no limit.
    pub clients_per_ip_max: Option<usize>,
    /// `--heartbeat`: the silence after which a client is pinged; `None` is never.
    pub heartbeat: Option<Duration>,
}

/// The ports where none is given: of a server, and of an address with none (the first of them).
pub const PORTS: [u16; 2] = [1919, 1920];

/// The addresses that are bound where none is given, on every interface, for IPv6 and IPv4.
pub fn default_listen() -> [SocketAddr; 2] {
    PORTS.map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
}
