//! The flags of `foghorn send` and `foghorn listen`, and what their help teaches.
//!
//! Leaves what an address is to `client::address`. What must stay true: no variable is read here, least of all one of the server's; no error
//! shows a code.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, ValueHint};

use crate::config::flag_values::parse_count;
use crate::config::hidden_codes::without_codes;

/// The variable with the address that `:` stands for.
pub const URL_VARIABLE: &str = "FOGHORN_URL";
/// The variable with the code, where neither `--code` nor the address has one.
pub const CODE_VARIABLE: &str = "FOGHORN_CODE";

const ADDRESS_HELP: &str = "\
Address, always the first word:
  board                  a name such as raspberrypi.local, or an IP address; port 1919
  board:1920/c/lights    another port; the channel lights
  http://board:1920      as a browser has it, or ws://; without a port it is 80
  [fd00::5]:1920         IPv6 is in brackets; with a zone it is [fe80::1%eth0]
  user:pass@board        a login (Basic); the server takes the password as the code
  :  or  :/c/lights      FOGHORN_URL, with this path; without it this machine

Environment:
  FOGHORN_URL            the address that : stands for
  FOGHORN_CODE           the code, where neither --code nor the address has one";

/// Send a message into a channel: words, or standard input
///
/// Ends with 0 when it is in the server's log, so that all will get it. When the line breaks, it comes back and goes on, and
/// nothing is sent twice.
#[derive(Parser)]
#[command(name = "send", max_term_width = 100, after_long_help = send_help())]
#[expect(clippy::doc_markdown, reason = "the comments are the help, too")]
pub struct SendArgs {
    /// Where to; always the first word: board, board:1920/c/lights, http://board, or : for this machine
    ///
    /// `foghorn send hello` looks for a machine named hello; `foghorn send : hello` says hello to this one.
    #[arg(value_hint = ValueHint::Hostname)]
    pub address: String,

    /// The message: the words with a blank between them; without any, or with -, standard input is one message
    ///
    /// All of standard input goes out just as it is, with a line feed at its end, too. Words that begin with - stand behind --,
    /// but for numbers such as -5.
    #[arg(allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub text: Vec<OsString>,

    /// Send each line of standard input at once, as a message of its own
    ///
    /// It goes out without its line feed; an empty line is an empty message.
    #[arg(long)]
    pub lines: bool,

    /// Send binary messages, not texts
    ///
    /// They may be any bytes; a text has to be UTF-8.
    #[arg(long)]
    pub binary: bool,

    /// The code that the channel needs
    ///
    /// It wins over one in the address, and that over FOGHORN_CODE; with "" none is brought. Others who use this machine see it
    /// in the list of processes, unlike the variable.
    #[arg(long, value_name = "CODE", value_hint = ValueHint::Other)]
    pub code: Option<String>,

    /// Do not tell of connections that were lost and are there again
    #[arg(short, long)]
    pub quiet: bool,
}

/// Write what is said in a channel to standard output, or run a command for each message
///
/// A text and a line feed, or a binary message just as it is. When the line breaks, it comes back and gets what it has missed;
/// what is lost all the same is told on standard error.
#[derive(Parser)]
#[command(name = "listen", max_term_width = 100, after_long_help = listen_help())]
#[expect(clippy::doc_markdown, reason = "the comments are the help, too")]
pub struct ListenArgs {
    /// Where: board, board:1920/c/lights, http://board, or : for this machine
    #[arg(value_hint = ValueHint::Hostname)]
    pub address: String,

    /// Write a JSON object a line for each message
    ///
    /// Such as {"epoch":"kjxwqa","seq":42,"at":1764081234,"text":"on"}, or with "base64" where it is binary. "at" is when it
    /// came, in seconds since 1970; messages from before the connection have none. With --exec, the command gets that line.
    #[arg(long)]
    pub json: bool,

    /// Begin with the last N messages; without it, the server decides
    #[arg(long, value_name = "N")]
    pub history: Option<u64>,

    /// End after N messages
    #[arg(long, value_name = "N", value_parser = parse_count::<u64>)]
    pub count: Option<u64>,

    /// Keep in FILE which message was the last, and go on behind it the next time
    ///
    /// So a script that is restarted misses nothing. The file has EPOCH:SEQ, and is written when the message is out or its
    /// command has ended: after a crash a message may come twice.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub cursor: Option<PathBuf>,

    /// Run COMMAND for each message, which is on its standard input
    ///
    /// It is run by sh -c, one at a time and in order. The message is on its standard input and never in its words, without a
    /// line feed; FOGHORN_SEQ, FOGHORN_EPOCH and FOGHORN_KIND (text or binary) are in its environment. One that fails is told
    /// of, and the next one runs.
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    pub exec: Option<OsString>,

    /// The code that the channel needs
    ///
    /// It wins over one in the address, and that over FOGHORN_CODE; with "" none is brought. Others who use this machine see it
    /// in the list of processes, unlike the variable.
    #[arg(long, value_name = "CODE", value_hint = ValueHint::Other)]
    pub code: Option<String>,

    /// Do not tell of connections that were lost and are there again
    #[arg(short, long)]
    pub quiet: bool,
}

const SEND_EXAMPLES: &str = "\
Examples:
  foghorn send raspberrypi.local hello, room    # all who listen get it
  foghorn send board/c/lights on                # in the channel lights
  date | foghorn send :                         # standard input, to this machine
  journalctl -f | foghorn send board/c/log --lines
  foghorn send board/c/bells --binary <bell.ogg";

const SEND_EXIT_STATUS: &str = "\
Exit status:
  0  all is in the server's log
  1  it failed: no connection, refused, no input
  2  a flag or the address is wrong
  3  something was not sent: it is too large or no UTF-8, or a signal came before
  4  of something nobody knows whether it got through, as the channel has begun anew";

const LISTEN_EXAMPLES: &str = "\
Examples:
  foghorn listen raspberrypi.local
  foghorn listen board/c/lights --count 1       # wait for one message
  foghorn listen board/c/bell --exec 'aplay ring.wav'
  foghorn listen :/c/sensors --json | jq .text
  foghorn listen board/c/jobs --cursor jobs.at --exec ./job.sh    # misses none";

const LISTEN_EXIT_STATUS: &str = "\
Exit status:
  0  after --count messages, after a signal, or when nobody reads the output any more
  1  it failed: no connection, refused, no place for the output or the cursor
  2  a flag or the address is wrong";

fn send_help() -> String {
    [SEND_EXAMPLES, ADDRESS_HELP, SEND_EXIT_STATUS].join("\n\n")
}

fn listen_help() -> String {
    [LISTEN_EXAMPLES, ADDRESS_HELP, LISTEN_EXIT_STATUS].join("\n\n")
}

impl SendArgs {
    /// Reads the words behind `send`.
    ///
    /// # Errors
    /// If a word or a value cannot work; asking for help is such an error, too.
    pub fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        let args: Self = read(
            words,
            "no address: it is the first word, and the message comes behind it, such as\n\n  \
             foghorn send raspberrypi.local hello\n  foghorn send : hello    (to this machine)",
        )?;
        if args.lines && !args.text.is_empty() && args.text != ["-"] {
            let sentence = "--lines sends what comes from standard input: leave the words out, or --lines";
            return Err(named::<Self>().error(ErrorKind::ArgumentConflict, sentence));
        }
        Ok(args)
    }
}

impl ListenArgs {
    /// Reads the words behind `listen`.
    ///
    /// # Errors
    /// If a word or a value cannot work; asking for help is such an error, too.
    pub fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        read(
            words,
            "no address: it is the first word, such as\n\n  \
             foghorn listen raspberrypi.local/c/lights\n  foghorn listen :    (to this machine)",
        )
    }
}

/// Without an address the only thing that has to be there is missing, and then `no_address` is said.
fn read<T: CommandFactory + FromArgMatches>(words: &[OsString], no_address: &str) -> Result<T, clap::Error> {
    let name = OsString::from("foghorn");
    let matches = named::<T>().try_get_matches_from([&name].into_iter().chain(words));
    let matches = matches.map_err(|error| match error.kind() {
        ErrorKind::MissingRequiredArgument => named::<T>().error(ErrorKind::MissingRequiredArgument, no_address),
        _ => without_codes(error, words, named::<T>()),
    })?;
    T::from_arg_matches(&matches)
}

/// The command as its usage and its errors name it.
fn named<T: CommandFactory>() -> clap::Command {
    let command = T::command();
    let name = format!("foghorn {}", command.get_name());
    command.bin_name(name)
}

impl fmt::Debug for SendArgs {
    /// Shows neither code nor message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendArgs").field("lines", &self.lines).field("binary", &self.binary).finish_non_exhaustive()
    }
}

impl fmt::Debug for ListenArgs {
    /// Shows no code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenArgs").field("count", &self.count).field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect()
    }

    fn send(text: &str) -> Result<SendArgs, String> {
        SendArgs::read(&words(text)).map_err(|error| error.to_string())
    }

    fn listen(text: &str) -> Result<ListenArgs, String> {
        ListenArgs::read(&words(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_commands_are_well_formed() {
        SendArgs::command().debug_assert();
        ListenArgs::command().debug_assert();
    }

    #[test]
    fn the_first_word_is_the_address_and_the_others_are_the_message() {
        for (text, address, message) in [
            ("board hello world", "board", "hello world"),
            (": -5", ":", "-5"),
            ("board -1.5e3 degrees", "board", "-1.5e3 degrees"),
            ("-q board - ", "board", "-"),
            ("board --binary --code 4711 -- -v --lines", "board", "-v --lines"),
            ("board on --quiet", "board", "on"),
            ("[fe80::1%eth0]:1920/c/x", "[fe80::1%eth0]:1920/c/x", ""),
        ] {
            let args = send(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((args.address.as_str(), args.text), (address, words(message)), "{text}");
        }
        let args = listen("board --history 3 --count=1 --cursor at --exec cat --json -q --code 4711").unwrap();
        assert_eq!((args.address.as_str(), args.history, args.count), ("board", Some(3), Some(1)));
        assert_eq!((args.cursor, args.exec), (Some("at".into()), Some("cat".into())));
        assert_eq!((args.json, args.quiet, args.code), (true, true, Some("4711".into())));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        for (text, hints) in [
            ("", ["no address", "foghorn send : hello"]),
            ("--lines", ["no address", "Usage: foghorn send"]),
            ("board on --lines", ["--lines", "leave the words out"]),
            ("board rm -rf", ["-r", "-- -r"]),
            ("board --line", ["--line", "--lines"]),
            ("board --code", ["--code", "required"]),
        ] {
            let error = send(text).unwrap_err();
            assert!(hints.iter().all(|hint| error.contains(hint)), "{text}: {error}");
        }
        for (text, hints) in [
            ("", ["no address", "foghorn listen :"]),
            ("board --count 0", ["--count", "from 1 on"]),
            ("board --count=-1", ["-1", "--count"]),
            ("board --history many", ["--history", "invalid digit"]),
            ("board hello", ["hello", "unexpected"]),
        ] {
            let error = listen(text).unwrap_err();
            assert!(hints.iter().all(|hint| error.contains(hint)), "{text}: {error}");
        }
    }

    #[test]
    fn no_code_is_shown() {
        for text in [
            "board --code secret --nonsense",
            "board --code x secret",
            "board --code=x secret",
            "board --codesecret",
            "board --code -secret",
            "board --code --secret",
            "board --code secret --code secret",
            "--code secret",
            "board --count 0 --code secret",
        ] {
            let error = listen(text).unwrap_err();
            assert!(!error.contains("secret") && !error.contains("-s"), "{text}: {error}");
        }
        let (send, listen) = (send("board on --code secret").unwrap(), listen("board --code secret").unwrap());
        assert!(!format!("{send:?} {listen:?}").contains("secret"));
    }

    #[test]
    fn the_help_fits_a_terminal() {
        for help in [send_help(), listen_help()] {
            assert!(help.lines().all(|line| line.chars().count() <= 88), "{help}");
        }
    }
}
