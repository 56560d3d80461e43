//! The command line: flags and environment variables in, a checked [`Config`] out.
//!
//! Leaves sockets, files and names of the network to others. What must stay true: a value that cannot work is refused here, by
//! the name of its flag and with what would work; a variable that is empty is one that is not set.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{self, Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, CommandFactory, FromArgMatches, Parser, ValueHint};
use log::LevelFilter;

use crate::config::flag_values::{
    List, code_texts, members, parse_address, parse_channels, parse_count, parse_greeting, parse_heartbeat, parse_list,
    parse_names, parse_patience, parse_size,
};
use crate::config::hidden_codes::without_codes;
use crate::config::limits::{BACKLOG_BYTES_RANGE, MESSAGE_BYTES_MAX_DEFAULT, MESSAGE_BYTES_RANGE};
use crate::config::redis_flags::{Keeping, RedisFlags, refused_variable};
use crate::config::settings::{CodeSettings, Config, Limits};

/// A message hub for a local network: what one client sends, all receive, over WebSocket and HTTP. Serves its own page for
/// phones.
#[derive(Parser)]
#[command(name = "foghorn", version, max_term_width = 100)]
#[expect(clippy::struct_excessive_bools, reason = "a flag without a value is one")]
pub struct Args {
    #[arg(help = "Address to listen on; may be given more than once; port 0 picks a free one \
                  [default: [::]:1919 and [::]:1920]")]
    #[arg(long, env = "FOGHORN_LISTEN", value_name = "ADDR:PORT", hide_env_values = true)]
    #[arg(value_parser = |text: &str| parse_list(text, parse_address))]
    listen: Vec<List<SocketAddr>>,

    /// First message to every new client; --greeting "" sends none (an empty variable is as if it were not set)
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

    /// List the folders of --www that have no index.html
    #[arg(long, env = "FOGHORN_LIST", value_parser = clap::builder::FalseyValueParser::new(), hide_env_values = true)]
    list: bool,

    /// Watch --www, and have its pages that load /reload.js loaded anew when a file is saved
    #[arg(long, env = "FOGHORN_RELOAD", value_parser = clap::builder::FalseyValueParser::new(), hide_env_values = true)]
    reload: bool,

    /// Largest message that a client may send; at most half of the backlog [default: 1MiB]
    #[arg(long, env = "FOGHORN_MAX_MESSAGE", value_name = "SIZE", hide_env_values = true)]
    #[arg(value_parser = |text: &str| parse_size(text, MESSAGE_BYTES_RANGE))]
    max_message: Option<usize>,

    /// Memory for messages that somebody has still to get, and for resuming
    #[arg(long, env = "FOGHORN_BACKLOG", value_name = "SIZE", default_value = "4MiB", hide_env_values = true)]
    #[arg(value_parser = |text: &str| parse_size(text, BACKLOG_BYTES_RANGE))]
    backlog: usize,

    /// Most channels beside the main one, at /c/NAME; one that nobody uses gives way to a new one
    #[arg(long, env = "FOGHORN_MAX_CHANNELS", value_name = "N", default_value_t = 32, hide_env_values = true)]
    #[arg(value_parser = parse_channels)]
    max_channels: usize,

    /// The backlog of each channel beside the main one; their messages have at most half of it
    #[arg(long, env = "FOGHORN_CHANNEL_BACKLOG", value_name = "SIZE", default_value = "1MiB", hide_env_values = true)]
    #[arg(value_parser = |text: &str| parse_size(text, BACKLOG_BYTES_RANGE))]
    channel_backlog: usize,

    /// Keep what was said in this folder, so that a restart or a crash of the server loses nothing and nobody notices it
    #[arg(long, env = "FOGHORN_STATE", value_name = "DIR", hide_env_values = true)]
    state: Option<PathBuf>,

    #[command(flatten)]
    redis: RedisFlags,

    /// How long one slow client may keep others waiting before it is closed
    #[arg(long, env = "FOGHORN_PATIENCE", value_name = "DURATION", default_value = "2s", hide_env_values = true)]
    #[arg(value_parser = parse_patience)]
    patience: Duration,

    /// Most clients at a time, WebSockets and streams; fewer if the limit of open files says so
    #[arg(long, env = "FOGHORN_MAX_CLIENTS", value_name = "N", default_value_t = 4096, hide_env_values = true)]
    #[arg(value_parser = parse_count::<usize>)]
    max_clients: usize,

    /// Most clients from one address, loopback excepted; 0 is no limit
    #[arg(long, env = "FOGHORN_MAX_CLIENTS_PER_IP", value_name = "N", default_value_t = 256, hide_env_values = true)]
    max_clients_per_ip: usize,

    /// Ping a client that was silent for this long, and drop it after twice as long; 0 is never
    #[arg(long, env = "FOGHORN_HEARTBEAT", value_name = "DURATION", default_value = "25s", hide_env_values = true)]
    #[arg(value_parser = parse_heartbeat)]
    heartbeat: Duration,

    #[arg(help = "Host name under which the server is reached, beside the local ones, or .DOMAIN for all in a \
                  domain; may be given more than once")]
    #[arg(long, env = "FOGHORN_ALLOW_HOST", value_name = "NAME", hide_env_values = true)]
    #[arg(value_parser = parse_names)]
    allow_host: Vec<List<String>>,

    #[arg(
        help = "Origin of a foreign page that may connect, such as https://example.com, a host name for any scheme \
                  and port, null or *; may be given more than once"
    )]
    #[arg(long, env = "FOGHORN_ALLOW_ORIGIN", value_name = "ORIGIN", hide_env_values = true)]
    #[arg(value_parser = parse_names)]
    allow_origin: Vec<List<String>>,

    #[arg(
        help = "Code that is needed to come in: to all channels but those with one of their own, or with NAME= to one \
                  (/ is the main channel); may be given more than once. Other users see it in the list of \
                  processes, unlike what stands in a file of codes"
    )]
    #[arg(long, env = "FOGHORN_CODES", value_name = "[NAME=]CODE", hide_env_values = true)]
    #[arg(value_hint = ValueHint::Other)]
    code: Vec<OsString>,

    /// Code that is needed to send, given in the same way; who has it may come in, too
    #[arg(long, env = "FOGHORN_SEND_CODES", value_name = "[NAME=]CODE", hide_env_values = true)]
    #[arg(value_hint = ValueHint::Other)]
    send_code: Vec<OsString>,

    /// File with more codes, which only its owner may use; a line is code [NAME=]CODE or send-code [NAME=]CODE
    #[arg(long, env = "FOGHORN_CODES_FILE", value_name = "FILE", hide_env_values = true)]
    codes: Option<PathBuf>,

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

impl fmt::Debug for Args {
    /// Shows no code, and so nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Args").finish_non_exhaustive()
    }
}

impl Args {
    /// Reads the words of the command line behind the program's name, as far as they are flags, and the variables that are not empty.
    ///
    /// # Errors
    /// If a flag or a value cannot work; asking for help or for the version is such an error, too.
    pub fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        let command = Self::command().mut_args(|arg| if says_nothing(&arg) { without_variable(arg) } else { arg });
        let name = OsString::from("foghorn");
        let matches = command.try_get_matches_from([&name].into_iter().chain(words));
        let matches = matches.map_err(|error| without_codes(error, words, Self::command()))?;
        if let Some(sentence) = refused_variable() {
            return Err(Self::command().error(ErrorKind::ValueValidation, sentence));
        }
        let mut args = Self::from_arg_matches(&matches)?;
        args.redis.note_sources(&matches);
        Ok(args)
    }
}

/// Whether the variable of a flag is empty, or a list of nothing but empty members.
fn says_nothing(arg: &Arg) -> bool {
    let is_list = matches!(arg.get_action(), ArgAction::Append);
    let is_nothing = |byte: &u8| is_list && (*byte == b',' || byte.is_ascii_whitespace());
    arg.get_env().and_then(env::var_os).is_some_and(|value| value.as_encoded_bytes().iter().all(is_nothing))
}

fn without_variable(arg: Arg) -> Arg {
    arg.env(Resettable::Reset)
}

impl TryFrom<Args> for Config {
    /// A sentence that names the flags that do not go together, and what would.
    type Error = String;

    fn try_from(args: Args) -> Result<Self, String> {
        let log_level = match (args.verbose, args.quiet) {
            (true, _) => LevelFilter::Debug,
            (_, true) => LevelFilter::Warn,
            _ => args.log_level.parse().expect("clap lets only names of levels through"),
        };
        let message_bytes_max = message_bytes_max(args.max_message, args.backlog)?;
        if args.list && args.www.is_none() {
            return Err("--list lists the folders of --www, which is not given: \
                        give one with --www DIR (FOGHORN_WWW), or leave --list (FOGHORN_LIST) out"
                .to_owned());
        }
        if args.reload && args.www.is_none() {
            return Err("--reload watches the folder of --www, which is not given: \
                        give one with --www DIR (FOGHORN_WWW), or leave --reload (FOGHORN_RELOAD) out"
                .to_owned());
        }
        let Keeping { state, redis, notice } = args.redis.settle(args.state)?;
        if let (Some(state), Some(www)) = (&state, &args.www) {
            must_not_be_served(state, www)?;
        }
        Ok(Self {
            listen: members(args.listen),
            greeting: args.greeting,
            echo: !args.no_echo,
            history: args.history,
            www: args.www,
            list_folders: args.list,
            reload: args.reload,
            state,
            redis,
            notice,
            allow_hosts: members(args.allow_host),
            allow_origins: members(args.allow_origin),
            codes: CodeSettings {
                to_receive: code_texts(&args.code),
                to_send: code_texts(&args.send_code),
                file: args.codes,
            },
            log_level,
            limits: Limits {
                message_bytes_max,
                backlog_bytes: args.backlog,
                channels_max: args.max_channels,
                channel_backlog_bytes: args.channel_backlog,
                patience: args.patience,
                clients_max: args.max_clients,
                clients_per_ip_max: Some(args.max_clients_per_ip).filter(|&max| max > 0),
                heartbeat: Some(args.heartbeat).filter(|beat| !beat.is_zero()),
            },
        })
    }
}

/// What is kept is no part of the page, as far as the names of the folders tell.
fn must_not_be_served(state: &Path, www: &Path) -> Result<(), String> {
    let absolute = |folder| path::absolute(folder).unwrap_or_default();
    if !absolute(state).starts_with(absolute(www)) {
        return Ok(());
    }
    let [state, www] = [state, www].map(Path::display);
    Err(format!("--state {state} lies in the folder of --www, {www}, which everybody can read: give it one elsewhere"))
}

/// A given `--max-message` has to fit into half of the backlog; the default gives way.
fn message_bytes_max(given: Option<usize>, backlog_bytes: usize) -> Result<usize, String> {
    let half = backlog_bytes / 2;
    match given {
        None => Ok(MESSAGE_BYTES_MAX_DEFAULT.min(half)),
        Some(given) if given <= half => Ok(given),
        Some(given) => {
            let [given, backlog, needed, half] =
                [given, backlog_bytes, 2 * given, half].map(|bytes| ByteSize(bytes as u64));
            Err(format!(
                "--max-message {given} is more than half of --backlog {backlog}, which keeps the newest messages in one half: \
                 raise --backlog to {needed}, or lower --max-message to {half}"
            ))
        }
    }
}

impl Default for Config {
    /// The settings of a start with no flag and no variable at all, whatever the environment has.
    fn default() -> Self {
        let command = Args::command().mut_args(without_variable);
        let flags = command.try_get_matches_from(["foghorn"]).and_then(|none| Args::from_arg_matches(&none));
        let args = flags.expect("no flag has to be given, and every default is a good value");
        args.try_into().expect("the defaults go together")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limits::GREETING_BYTES_MAX;

    fn parse(args: &[&str]) -> Result<Config, String> {
        let words: Vec<OsString> = args.iter().map(OsString::from).collect();
        Args::read(&words).map_err(|error| error.to_string()).and_then(Config::try_from)
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
            (["--max-channels", "10001"], "from 0 to 10000"),
            (["--channel-backlog", "1"], "from 1.0 KiB"),
            (["--listen", "nonsense"], "socket address"),
            (["--log-level", "loud"], "debug"),
        ] {
            let error = parse(&args).unwrap_err();
            assert!(error.contains(args[0]) && error.contains(hint), "{args:?}: {error}");
        }
    }

    #[test]
    fn a_message_is_at_most_half_of_the_backlog() {
        let largest = |args: &[&str]| parse(args).map(|config| config.limits.message_bytes_max);
        assert_eq!(largest(&[]), Ok(1 << 20));
        assert_eq!(largest(&["--backlog", "1MiB"]), Ok(1 << 19), "the default gives way");
        assert_eq!(largest(&["--backlog", "2MiB", "--max-message", "1MiB"]), Ok(1 << 20));
        let error = largest(&["--backlog", "64KiB", "--max-message", "64MiB"]).unwrap_err();
        for part in ["--max-message 64.0 MiB", "--backlog to 128.0 MiB", "--max-message to 32.0 KiB"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn no_code_is_shown_with_the_settings() {
        let args = ["foghorn", "--code", "secret", "--send-code=a=secret", "--codes", "file"];
        let args = Args::try_parse_from(args).unwrap();
        assert!(!format!("{args:?}").contains("secret"));
        let config = Config::try_from(args).unwrap();
        assert_eq!(
            (config.codes.to_receive.concat(), config.codes.to_send.concat()),
            ("secret".into(), "a=secret".into())
        );
        let shown = format!("{config:?}");
        assert!(shown.contains("file") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn nothing_is_kept_unless_a_folder_for_it_is_given() {
        assert_eq!(parse(&[]).unwrap().state, None);
        assert_eq!(parse(&["--state", "/run/foghorn/state"]).unwrap().state, Some(PathBuf::from("/run/foghorn/state")));
        assert!(parse(&["--state", ""]).unwrap_err().contains("--state"));
    }

    #[test]
    fn what_is_kept_is_no_part_of_the_page() {
        for (state, www) in [("/srv/www/state", "/srv/www"), ("/srv/www", "/srv/www/"), ("state", ".")] {
            let error = parse(&["--state", state, "--www", www]).unwrap_err();
            assert!(error.contains(state) && error.contains("give it one elsewhere"), "{error}");
        }
        for (state, www) in [("/srv/state", "/srv/www"), ("/srv/www-state", "/srv/www"), ("/srv", "/srv/www")] {
            assert!(parse(&["--state", state, "--www", www]).is_ok(), "{state} {www}");
        }
    }

    #[test]
    fn a_greeting_has_its_limit() {
        assert!(parse(&["--greeting", &"x".repeat(GREETING_BYTES_MAX)]).is_ok());
        let error = parse(&["--greeting", &"x".repeat(GREETING_BYTES_MAX + 1)]).unwrap_err();
        assert!(error.contains("4097 bytes, and 4096 are allowed"), "{error}");
    }
}
