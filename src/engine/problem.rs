//! What can be wrong with Redis, as sentences that say what to do.
//!
//! Leaves it to `writer` what becomes of an order then. What must stay true: no sentence has the password, nor more than one line.

use std::io::{self, ErrorKind};

use crate::config::limits::{REDIS_ANSWER_TIMEOUT, REDIS_WORDS_CHARS_MAX};
use crate::config::redis_url::{RedisAddress, RedisUrl};

/// An error that Redis has answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its first word.
    pub code: String,
    /// The others.
    pub words: String,
}

impl Refusal {
    /// For people.
    pub fn sentence(&self) -> String {
        // Which script, and where in it, is nothing to people.
        let words = match self.words.rsplit_once(" script: ") {
            Some((words, place)) if place.contains(", on @") => one_line(words),
            _ => one_line(&self.words),
        };
        // What a script may not do has the code of any error.
        let is_no_right =
            ["The user executing the script", "ACL failure in script"].map(|start| words.starts_with(start));
        let code = if is_no_right.contains(&true) { "NOPERM" } else { self.code.as_str() };
        match code {
            "NOAUTH" => "Redis wants a password: write it into --redis, as in redis://:PASSWORD@host".to_owned(),
            "WRONGPASS" => "Redis refuses the password, or its user: correct them in --redis".to_owned(),
            "NOPERM" => {
                format!("Redis does not let this user do what Foghorn needs ({words}): allow it with ACL SETUSER")
            }
            "DENIED" => "Redis is in protected mode: give it a password, or a Unix socket".to_owned(),
            "LOADING" => "Redis is still loading its data".to_owned(),
            "READONLY" => "Redis is a replica here, and takes no messages: name its primary in --redis".to_owned(),
            "MASTERDOWN" => "Redis is a replica here that has lost its primary: name the primary in --redis".to_owned(),
            "BUSY" | "UNKILLABLE" => "Redis is busy with a script that takes too long".to_owned(),
            "NOREPLICAS" => "Redis takes no messages, since it has too few replicas (min-replicas-to-write)".to_owned(),
            "OOM" => "Redis is out of memory: raise its maxmemory, or delete something there".to_owned(),
            "MISCONF" => "Redis takes no messages, since it cannot save to its disk: its log says why".to_owned(),
            "WRONGTYPE" => {
                "a key in Redis is something else than Foghorn has made: take another --redis-prefix".to_owned()
            }
            code => format!("Redis refuses: {} {words}", one_line(code)),
        }
    }

    /// The same for the answer to a password. Its words may have that in them.
    pub fn sentence_to_password(&self) -> String {
        match self.code.as_str() {
            "ERR" if self.words.contains("without any password configured") => {
                "Redis has no password for this user: leave it out of --redis".to_owned()
            }
            "WRONGPASS" | "LOADING" | "DENIED" => self.sentence(),
            code => format!("Redis takes no password ({}): is it Redis or Valkey?", one_line(code)),
        }
    }

    /// Whether it is no matter of what was asked, but of the server, and it may soon be another one at this address.
    pub fn is_of_the_server(&self) -> bool {
        ["LOADING", "READONLY", "MASTERDOWN", "NOAUTH", "DENIED", "BUSY", "UNKILLABLE"].contains(&self.code.as_str())
    }

    /// Whether it does not know the script.
    pub fn is_no_script(&self) -> bool {
        self.code == "NOSCRIPT"
    }

    /// Whether a script has found as many channels as may be.
    pub fn is_no_place(&self) -> bool {
        self.code == "NOPLACE"
    }
}

/// The host was not found.
pub fn of_look_up(host: &str, error: &io::Error) -> String {
    format!("cannot find the host {} ({}): is its name in --redis right?", one_line(host), one_line(&error.to_string()))
}

/// There is no connection to be had.
pub fn of_connect(url: &RedisUrl, error: &io::Error) -> String {
    let hint = match (&url.address, error.kind()) {
        (RedisAddress::Unix(_), ErrorKind::NotFound) => "is Redis running, with this unixsocket in its redis.conf?",
        (RedisAddress::Unix(_), ErrorKind::PermissionDenied) => {
            "let Foghorn's user use the socket: unixsocketperm 770, and the user in its group"
        }
        (_, ErrorKind::ConnectionRefused) => "nothing listens there; is Redis running?",
        (_, ErrorKind::TimedOut | ErrorKind::WouldBlock) => "no answer; is it switched on, and on this network?",
        (_, ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable) => "is this machine on its network?",
        _ => "is the address in --redis right?",
    };
    format!("cannot connect to Redis at {}: {hint} ({})", one_line(&url.to_string()), plain(error))
}

/// A connection has ended.
pub fn of_break(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            format!("Redis has not answered for {} s", REDIS_ANSWER_TIMEOUT.as_secs())
        }
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "Redis has closed the connection".to_owned()
        }
        _ => format!("the connection to Redis has broken ({})", plain(error)),
    }
}

/// An answer is none that was asked for.
pub fn of_nonsense() -> String {
    "what answers is not understood: is it Redis 7 or Valkey, or later ones?".to_owned()
}

/// The server is of a kind that cannot be used, by what it says of itself with `INFO`.
pub fn of_server(info: &[(String, String)]) -> Option<String> {
    let value = |name: &str| info.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let version = value("redis_version").unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major < 7) {
        return Some(format!("Redis there is {}: Foghorn needs Redis 7 or Valkey, or later ones", one_line(version)));
    }
    if value("redis_mode") == Some("cluster") {
        return Some("Redis there is a cluster: Foghorn needs a single server".to_owned());
    }
    let is_replica = value("role") == Some("slave");
    is_replica.then(|| Refusal { code: "READONLY".to_owned(), words: String::new() }.sentence())
}

/// The system's words without its number.
fn plain(error: &io::Error) -> String {
    let words = error.to_string();
    one_line(words.split(" (os error").next().unwrap_or_default())
}

fn one_line(words: &str) -> String {
    words.chars().map(|char| if char.is_control() { ' ' } else { char }).take(REDIS_WORDS_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &str, words: &str) -> Refusal {
        Refusal { code: code.to_owned(), words: words.to_owned() }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        assert!(refusal("OOM", "command not allowed").sentence().contains("raise its maxmemory"));
        let sentence = refusal("NOPERM", "this user has no permissions to run the 'xadd' command").sentence();
        assert!(sentence.contains("the 'xadd' command") && sentence.contains("ACL SETUSER"));
        let sentence = refusal("ERR", "ACL failure in script: no 'xadd' script: 5e0c, on @user_script:68.").sentence();
        assert!(sentence.contains("(ACL failure in script: no 'xadd')"), "{sentence}");
        let sentence = refusal("ERR", "ACL failure in script: no 'xadd'").sentence();
        assert!(sentence.contains("(ACL failure in script: no 'xadd')"), "{sentence}");
        assert_eq!(refusal("ERR", "a\r\nb").sentence(), "Redis refuses: ERR a  b");
        assert!(refusal("ERR", &"x".repeat(10_000)).sentence().len() < 300);
    }

    #[test]
    fn a_password_is_never_shown() {
        let sentence =
            refusal("ERR", "unknown command 'AUTH', with args beginning with: 'secret'").sentence_to_password();
        assert!(!sentence.contains("secret"), "{sentence}");
        let sentence = refusal("ERR", "AUTH <password> called without any password configured").sentence_to_password();
        assert!(sentence.contains("leave it out"), "{sentence}");
    }

    #[test]
    fn a_server_that_cannot_be_used_is_told_by_its_info() {
        let info = |pairs: &[(&str, &str)]| {
            of_server(&pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect::<Vec<_>>())
        };
        assert_eq!(info(&[("redis_version", "7.0.15"), ("redis_mode", "standalone"), ("role", "master")]), None);
        assert_eq!(info(&[("redis_version", "255.255.255")]), None);
        assert_eq!(info(&[]), None);
        assert!(info(&[("redis_version", "6.2.14")]).unwrap().contains("6.2.14"));
        assert!(info(&[("redis_mode", "cluster")]).unwrap().contains("single server"));
        assert!(info(&[("role", "slave")]).unwrap().contains("primary"));
    }

    #[test]
    fn a_connection_that_cannot_be_had_says_what_to_look_at() {
        let url = |address| RedisUrl { address, user: None, password: Some("secret".into()), database: 0 };
        let tcp = url(RedisAddress::Tcp("board".into(), 6379));
        let unix = url(RedisAddress::Unix("/run/redis.sock".into()));
        for (url, kind, hint) in [
            (&tcp, ErrorKind::ConnectionRefused, "board:6379: nothing listens there"),
            (&tcp, ErrorKind::TimedOut, "switched on"),
            (&unix, ErrorKind::NotFound, "/run/redis.sock: is Redis running, with this unixsocket"),
            (&unix, ErrorKind::PermissionDenied, "unixsocketperm"),
        ] {
            let sentence = of_connect(url, &kind.into());
            assert!(sentence.contains(hint) && !sentence.contains("secret"), "{sentence}");
        }
        assert!(of_break(&ErrorKind::WouldBlock.into()).contains("has not answered for 5 s"));
    }
}
