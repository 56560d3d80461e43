//! What can be set: flags and environment in, a checked [`Config`] out; and every limit that cannot be set.
//!
//! Leaves sockets, files and names of the network to others. What must stay true: a limit stands here and nowhere else,
//! with its unit in its name or as a `Duration`.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use log::LevelFilter;

/// The longest request head, in bytes. What is longer is answered with 431.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// The most header lines of a request. More are answered with 431.
pub const HEADERS_MAX: usize = 64;
/// How long a client may take over a request head, and a kept-alive connection over its next request. Then 408.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a reader of an HTTP answer may take nothing of it.
pub const RESPONSE_STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The most HTTP requests in work at the same time. More wait.
pub const HTTP_IN_WORK_MAX: usize = 32;
/// How long a request waits for its turn before it is answered with 503, and how long an answer may take to be made.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before the page's server is started anew after that has failed: the first, and the longest.
pub const HTTP_RESTART_BACKOFF: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];
/// The largest body that tiny_http hands over, in bytes. A larger file is streamed from disk past it, so that a slow
/// reader of a large file holds none of its threads.
pub const HTTP_BODY_BYTES_MAX: usize = 64 * 1024;
/// What is read of such a file at a time, in bytes.
pub const FILE_CHUNK_BYTES: u64 = 64 * 1024;
/// The most of these reads at the same time; each takes a thread while it lasts.
pub const DISK_READS_MAX: usize = 4;
/// How long the closing handshake of a WebSocket may take.
pub const CLOSING_TIMEOUT: Duration = Duration::from_secs(2);
/// What is read from a client that goes on sending during that time, in bytes, so that it can hear why it was closed.
pub const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long the server waits at its end for clients to take what is theirs.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server waits at its end for those who have just come in to say what they want.
pub const FIRST_WORDS_TIMEOUT: Duration = Duration::from_millis(500);
/// The longest greeting, in bytes.
pub const GREETING_BYTES_MAX: usize = 4 * 1024;
/// What may wait for one client beside the backlog, in bytes: pongs that it provoked and does not read.
pub const CONTROL_BYTES_MAX: usize = 1024;
/// The most bytes that one client is handed in one turn of the flush.
pub const FLUSH_BYTES_MAX: usize = 256 * 1024;
/// The most slices in one vectored write. The kernel takes 1,024 (`IOV_MAX`); most writes have one.
pub const FLUSH_SLICES_MAX: usize = 32;
/// The most bytes that are read from one client in one turn, before others get theirs.
pub const TURN_BYTES_MAX: usize = 64 * 1024;
/// A client that others wait for has to take this many bytes in each `--patience`, or all that it lacks.
pub const PROGRESS_BYTES_MIN: u64 = 64 * 1024;
/// What the kernel may hold unsent for one client, in bytes. The rest stays in the backlog, where it is shared.
pub const UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// The buffer that tungstenite reads into, in bytes, one for each client.
pub const READ_BUFFER_BYTES: usize = 1024;
/// Connections that the kernel keeps for us until they are accepted: phones come in bursts.
pub const ACCEPT_QUEUE: i32 = 1024;
/// Pause after a failed accept: the first, and the longest after it has doubled again and again.
pub const ACCEPT_BACKOFF: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];
/// The most connections that are not WebSockets (yet). When one more comes, the oldest of them is dropped.
pub const STRANGERS_MAX: usize = 1024;
/// The most visitors who are being sent an answer and have not taken it all at once. When one more comes, the oldest of them
/// is dropped.
pub const SLOW_READERS_MAX: usize = 128;
/// Descriptors for each of them: the connection, and a file.
pub const DESCRIPTORS_PER_SLOW_READER: usize = 2;
/// What a machine with 32-bit addresses has for messages that are being received: tungstenite reserves the memory for a frame
/// as soon as it knows its length. Some of its 2 to 3 GiB is taken by other things.
pub const RECEIVE_BYTES_MAX_32_BIT: usize = 1 << 30;
/// Descriptors for everything but connections: standard streams, listeners, epoll, signals, the log, the notify socket.
pub const DESCRIPTORS_FOR_HOUSE: usize = 24;
/// Descriptors for each HTTP request in work: our end, tiny_http's end twice, a file.
pub const DESCRIPTORS_PER_HTTP: usize = 4;
/// Log lines that wait to be written, before more of them are left out.
pub const LOG_QUEUE_LINES: usize = 1000;
/// How long the end of the process waits for the log.
pub const LOG_FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// Log lines each second, on average, and at once after a quiet time. Debug lines are not counted.
pub const LOG_LINES_PER_SEC: u32 = 20;
/// See [`LOG_LINES_PER_SEC`].
pub const LOG_LINES_BURST: u32 = 200;
/// Heartbeats are looked after this many times in each `--heartbeat`, for all clients together, so that a board with
/// idle clients sleeps: every timer wakes it.
pub const SWEEPS_PER_HEARTBEAT: u32 = 2;

const MESSAGE_BYTES_RANGE: [u64; 2] = [125, 1 << 30];
const BACKLOG_BYTES_RANGE: [u64; 2] = [1024, 1 << 30];
const PATIENCE_RANGE: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(3600)];

const _: () = assert!(FLUSH_SLICES_MAX <= 1024, "IOV_MAX");
const _: () = assert!(CONTROL_BYTES_MAX >= 4 * 127, "a few pongs of full size fit");
const _: () = assert!(HEAD_TIMEOUT.as_secs() <= DRAIN_TIMEOUT.as_secs(), "a head in work ends within the drain");
const _: () = assert!(CLOSING_TIMEOUT.as_secs() < DRAIN_TIMEOUT.as_secs());

/// A WebSocket broadcaster for a local network: what one client sends, all receive. Serves its own page for phones.
#[derive(Debug, Parser)]
#[command(name = "foghorn", version, max_term_width = 100)]
pub struct Args {
    #[arg(help = "Address to listen on; may be given more than once; port 0 picks a free one \
                  [default: [::]:1919 and [::]:1920]")]
    #[arg(long, env = "FOGHORN_LISTEN", value_name = "ADDR:PORT", value_delimiter = ',', hide_env_values = true)]
    listen: Vec<SocketAddr>,

    /// First message to every new client; an empty one sends none
    #[arg(long, env = "FOGHORN_GREETING", value_name = "TEXT", default_value = "connected to WebSocket server")]
    #[arg(value_parser = parse_greeting, hide_env_values = true)]
    greeting: String,

    /// Do not send a client its own messages (a client overrides this with ?echo=1 or ?echo=0)
    #[arg(long, env = "FOGHORN_NO_ECHO", value_parser = clap::builder::FalseyValueParser::new(), hide_env_values = true)]
    no_echo: bool,

    /// How many of the last messages a new client gets
    #[arg(long, env = "FOGHORN_HISTORY", value_name = "N", default_value_t = 0, hide_env_values = true)]
    history: u64,

    /// Serve this folder, live from disk, in place of the built-in page
    #[arg(long, env = "FOGHORN_WWW", value_name = "DIR", hide_env_values = true)]
    www: Option<PathBuf>,

    /// Largest message that a client may send
    #[arg(long, env = "FOGHORN_MAX_MESSAGE", value_name = "SIZE", default_value = "1MiB", hide_env_values = true)]
    #[arg(value_parser = |text: &str| parse_size(text, MESSAGE_BYTES_RANGE))]
    max_message: usize,

    /// Memory for messages that somebody has still to get, and for resuming
    #[arg(long, env = "FOGHORN_BACKLOG", value_name = "SIZE", default_value = "4MiB", hide_env_values = true)]
    #[arg(value_parser = |text: &str| parse_size(text, BACKLOG_BYTES_RANGE))]
    backlog: usize,

    /// How long one slow client may keep others waiting before it is closed
    #[arg(long, env = "FOGHORN_PATIENCE", value_name = "DURATION", default_value = "2s", hide_env_values = true)]
    #[arg(value_parser = parse_patience)]
    patience: Duration,

    /// Most WebSocket clients at a time; fewer if the limit of open files says so
    #[arg(long, env = "FOGHORN_MAX_CLIENTS", value_name = "N", default_value_t = 4096, hide_env_values = true)]
    #[arg(value_parser = parse_count)]
    max_clients: usize,

    /// Most WebSocket clients from one address, loopback excepted; 0 is no limit
    #[arg(long, env = "FOGHORN_MAX_CLIENTS_PER_IP", value_name = "N", default_value_t = 256, hide_env_values = true)]
    max_clients_per_ip: usize,

    /// Ping a client that was silent for this long, and drop it after twice as long; 0 is never
    #[arg(long, env = "FOGHORN_HEARTBEAT", value_name = "DURATION", default_value = "25s", hide_env_values = true)]
    #[arg(value_parser = parse_heartbeat)]
    heartbeat: Duration,

    /// Host name under which the server is reached, beside the local ones; may be given more than once
    #[arg(long, env = "FOGHORN_ALLOW_HOST", value_name = "NAME", value_delimiter = ',', hide_env_values = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    allow_host: Vec<String>,

    #[arg(help = "Origin of a foreign page that may connect, such as https://example.com, null or *; may be given \
                  more than once")]
    #[arg(long, env = "FOGHORN_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', hide_env_values = true)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    allow_origin: Vec<String>,

    /// What to log
    #[arg(long, env = "FOGHORN_LOG_LEVEL", value_name = "LEVEL", default_value = "info", hide_env_values = true)]
    #[arg(value_parser = ["off", "error", "warn", "info", "debug"])]
    log_level: String,

    /// Log more; the same as --log-level debug
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,

    /// Log only what went wrong; the same as --log-level warn
    #[arg(short, long)]
    quiet: bool,
}

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
    /// Names by which the server may be called, beside the local ones.
    pub allow_hosts: Vec<String>,
    /// Origins that may connect, beside the server's own.
    pub allow_origins: Vec<String>,
    /// The most verbose level that is logged.
    pub log_level: LevelFilter,
    /// What bounds clients and memory.
    pub limits: Limits,
}

/// The limits that have a flag.
#[derive(Debug, Clone)]
pub struct Limits {
    /// `--max-message`: the largest payload of a message.
    pub message_bytes_max: usize,
    /// `--backlog`: frames and their index.
    pub backlog_bytes: usize,
    /// `--patience`: how long one client may keep others waiting.
    pub patience: Duration,
    /// `--max-clients`: WebSockets at a time.
    pub clients_max: usize,
    /// `--max-clients-per-ip`: WebSockets from one address; `None` is no limit.
    pub clients_per_ip_max: Option<usize>,
    /// `--heartbeat`: the silence after which a client is pinged; `None` is never.
    pub heartbeat: Option<Duration>,
}

impl From<Args> for Config {
    fn from(args: Args) -> Self {
        let log_level = match (args.verbose, args.quiet) {
            (true, _) => LevelFilter::Debug,
            (_, true) => LevelFilter::Warn,
            _ => args.log_level.parse().expect("clap lets only names of levels through"),
        };
        Self {
            listen: args.listen,
            greeting: args.greeting,
            echo: !args.no_echo,
            history: args.history,
            www: args.www,
            allow_hosts: args.allow_host,
            allow_origins: args.allow_origin,
            log_level,
            limits: Limits {
                message_bytes_max: args.max_message,
                backlog_bytes: args.backlog,
                patience: args.patience,
                clients_max: args.max_clients,
                clients_per_ip_max: Some(args.max_clients_per_ip).filter(|&max| max > 0),
                heartbeat: Some(args.heartbeat).filter(|beat| !beat.is_zero()),
            },
        }
    }
}

impl Default for Config {
    /// The settings of a start with no flag at all.
    fn default() -> Self {
        Args::parse_from(["foghorn"]).into()
    }
}

/// The addresses that are bound where none is given, on every interface, for IPv6 and IPv4.
pub fn default_listen() -> [SocketAddr; 2] {
    [1919, 1920].map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
}

/// How many connections of which kind fit into the process's limit of open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// HTTP requests in work.
    pub http: usize,
    /// Connections that are not WebSockets (yet).
    pub strangers: usize,
    /// Those of them who are slow to take their answer.
    pub slow_readers: usize,
    /// WebSocket clients.
    pub clients: usize,
}

impl Places {
    /// Shares `descriptors` out: first what the page needs, then a quarter for strangers, the rest for clients.
    pub fn within(descriptors: usize, clients_max: usize) -> Self {
        let http = (descriptors / 16).clamp(1, HTTP_IN_WORK_MAX);
        let connections = descriptors.saturating_sub(DESCRIPTORS_FOR_HOUSE + http * DESCRIPTORS_PER_HTTP).max(2);
        let strangers = (connections / 4).clamp(1, STRANGERS_MAX);
        let slow_readers = (connections / 8).clamp(1, SLOW_READERS_MAX);
        // A slow reader is a stranger too: what it needs beside its connection is counted here.
        let for_readers = slow_readers * (DESCRIPTORS_PER_SLOW_READER - 1);
        let clients = connections.saturating_sub(strangers + for_readers).max(1).min(clients_max);
        Self { http, strangers, slow_readers, clients }
    }
}

fn parse_greeting(text: &str) -> Result<String, String> {
    if text.len() > GREETING_BYTES_MAX {
        return Err(format!("it has {} bytes, and {GREETING_BYTES_MAX} are allowed", text.len()));
    }
    Ok(text.to_owned())
}

fn parse_size(text: &str, [min, max]: [u64; 2]) -> Result<usize, String> {
    let size: ByteSize = text.parse().map_err(|_| "write a size such as 512KiB, 1MiB or 100kB".to_owned())?;
    if !(min..=max).contains(&size.as_u64()) {
        return Err(format!("it has to be from {} to {}", ByteSize(min), ByteSize(max)));
    }
    usize::try_from(size.as_u64()).map_err(|_| "that is more than this machine can address".to_owned())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "write a duration with its unit, such as 500ms, 2s or 1m".to_owned())
}

fn parse_patience(text: &str) -> Result<Duration, String> {
    let [min, max] = PATIENCE_RANGE;
    let patience = parse_duration(text)?;
    if !(min..=max).contains(&patience) {
        let [min, max] = PATIENCE_RANGE.map(humantime::format_duration);
        return Err(format!("it has to be from {min} to {max}"));
    }
    Ok(patience)
}

fn parse_heartbeat(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let heartbeat = parse_duration(text)?;
    if !heartbeat.is_zero() && !(Duration::from_millis(100)..=Duration::from_secs(86_400)).contains(&heartbeat) {
        return Err("it has to be 0 or from 100ms to 1day".to_owned());
    }
    Ok(heartbeat)
}

fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a whole number from 1 on".to_owned()),
        Ok(count) => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(args: &[&str]) -> Result<Config, String> {
        let args = [&["foghorn"], args].concat();
        Args::try_parse_from(args).map(Config::from).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn sizes_and_durations_read_as_people_write_them() {
        let config = parse(&["--max-message", "64KiB", "--backlog=8MiB", "--patience", "500ms", "--heartbeat", "0"]);
        let limits = config.unwrap().limits;
        assert_eq!((limits.message_bytes_max, limits.backlog_bytes), (65_536, 8 << 20));
        assert_eq!((limits.patience, limits.heartbeat), (Duration::from_millis(500), None));
    }

    #[test]
    fn a_bad_value_is_named_with_what_would_be_right() {
        for (args, hint) in [
            (["--max-message", "big"], "such as 512KiB"),
            (["--max-message", "1TiB"], "from 125 B to"),
            (["--patience", "2"], "with its unit"),
            (["--patience", "0s"], "from 10ms"),
            (["--heartbeat", "1ms"], "from 100ms"),
            (["--max-clients", "0"], "from 1 on"),
            (["--listen", "nonsense"], "socket address"),
            (["--log-level", "loud"], "debug"),
        ] {
            let error = parse(&args).unwrap_err();
            assert!(error.contains(args[0]) && error.contains(hint), "{args:?}: {error}");
        }
    }

    #[test]
    fn a_greeting_has_its_limit() {
        assert!(parse(&["--greeting", &"x".repeat(GREETING_BYTES_MAX)]).is_ok());
        let error = parse(&["--greeting", &"x".repeat(GREETING_BYTES_MAX + 1)]).unwrap_err();
        assert!(error.contains("4097 bytes, and 4096 are allowed"), "{error}");
    }

    #[test]
    fn places_fit_into_any_limit_of_open_files() {
        for descriptors in [64, 256, 1024, 20_000, 1 << 20] {
            let places = Places::within(descriptors, 1 << 20);
            let taken = DESCRIPTORS_FOR_HOUSE
                + places.http * DESCRIPTORS_PER_HTTP
                + places.strangers
                + places.slow_readers * (DESCRIPTORS_PER_SLOW_READER - 1)
                + places.clients;
            assert!(taken <= descriptors && places.clients > 0, "{descriptors}: {places:?}");
        }
    }

    #[test]
    fn few_clients_are_all_let_in() {
        assert_eq!(
            Places::within(20_000, 4096),
            Places { http: 32, strangers: 1024, slow_readers: 128, clients: 4096 }
        );
    }
}
