//! Where a Redis or Valkey server is, as `--redis` says it: `redis://[user:password@]host[:port][/db]`, or a Unix socket.
//!
//! Leaves connecting to `engine`. What must stay true: the password is in no text that is shown.

use std::ffi::OsString;
use std::fmt;
use std::net::Ipv6Addr;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// The port where the URL has none.
const PORT: u16 = 6379;
/// The longest path of a Unix socket, in bytes (`unix(7)`, without the zero at its end).
const SOCKET_PATH_BYTES_MAX: usize = 107;

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

impl RedisUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// A sentence that says what would be right, and shows nothing of the URL: any part of it may be one of a password that was not
    /// written as it should be.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).map_err(|problem| {
            format!(
                "{problem}. Write redis://[user:password@]host[:port][/db], or redis+unix:///path[?db=N&user=..&pass=..] for a \
                 Unix socket; in user and password, what is no letter and no digit as %XX, such as %40 for @"
            )
        })
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("it is empty");
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it has a blank, or something else that no URL has");
        }
        let (scheme, rest) = text.split_once("://").ok_or("it does not begin with redis://")?;
        if rest.contains('#') {
            return Err("a # is in it: in a password that is %23");
        }
        match scheme.to_ascii_lowercase().as_str() {
            "redis" => Self::read_tcp(rest),
            "redis+unix" | "unix" => Self::read_unix(rest),
            "rediss" => Err(
                "rediss:// is TLS, which is left to a tunnel (stunnel, WireGuard, ssh -L): name its near end with redis://",
            ),
            _ => {
                Err("it begins with something else than redis:// (which is for Valkey, too), redis+unix:// or unix://")
            }
        }
    }

    fn read_tcp(rest: &str) -> Result<Self, &'static str> {
        if rest.contains('?') {
            return Err("there is nothing to be said behind a ?, but for a Unix socket: in a password it is %3F");
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains('@') {
            return Err("there is a / before the @: in a password it is %2F");
        }
        let (user, password, place) = read_user(authority)?;
        let (host, port) = read_place(place)?;
        let database = if path.is_empty() { 0 } else { read_database(path)? };
        Ok(Self { address: RedisAddress::Tcp(host, port), user, password, database })
    }

    /// The password may stand in the query, as the crate `redis` has it, or before an `@`, as redis-py has it, too.
    fn read_unix(rest: &str) -> Result<Self, &'static str> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let at = place.find('/').ok_or("the path of the socket is missing: it begins with a third /")?;
        let (authority, path) = place.split_at(at);
        let (mut user, mut password, host) = read_user(authority)?;
        if !host.is_empty() {
            return Err("a Unix socket is on this machine, and its path begins with a third /");
        }
        let path = decoded(path)?;
        if path.len() < 2 || path.len() > SOCKET_PATH_BYTES_MAX {
            return Err("the path of a Unix socket has from 2 to 107 bytes");
        }
        let mut database = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or("what stands behind the ? has no =")?;
            if value.contains('+') {
                return Err("a + is in what stands behind the ?, where some read it as a blank: write %2B or %20");
            }
            let is_first = match name {
                "db" => database.replace(read_database(value)?).is_none(),
                "user" | "username" => user.replace(decoded_text(value)?).is_none(),
                "pass" | "password" => password.replace(decoded_text(value)?).is_none(),
                _ => return Err("behind the ? stands something else than db, user and pass"),
            };
            if !is_first {
                return Err("db, user or password stand in it twice");
            }
        }
        let user = user.filter(|user| !user.is_empty());
        if user.is_some() && password.is_none() {
            return Err(NO_PASSWORD);
        }
        let path = PathBuf::from(OsString::from_vec(path));
        Ok(Self { address: RedisAddress::Unix(path), user, password, database: database.unwrap_or(0) })
    }
}

const NO_PASSWORD: &str =
    "there is a user without a password: write user:password@, or :password@ for a password alone";

/// User, password and what follows them, as far as they are there.
fn read_user(authority: &str) -> Result<(Option<String>, Option<String>, &str), &'static str> {
    // A password may have an @, too: a host has none.
    let Some((login, place)) = authority.rsplit_once('@') else { return Ok((None, None, authority)) };
    let (user, password) = login.split_once(':').ok_or(NO_PASSWORD)?;
    let user = Some(decoded_text(user)?).filter(|user| !user.is_empty());
    let password = decoded_text(password)?;
    // An empty one is one only for a user, who may need none.
    let password = (user.is_some() || !password.is_empty()).then_some(password);
    Ok((user, password, place))
}

/// The host, without brackets, and the port.
fn read_place(place: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or("there is a [ without a ]")?;
        let (bare, zone) = address.split_once('%').map_or((address, None), |(bare, zone)| (bare, Some(zone)));
        let zone = zone.map(|zone| zone.strip_prefix("25").filter(|rest| !rest.is_empty()).unwrap_or(zone));
        if bare.parse::<Ipv6Addr>().is_err() || zone.is_some_and(|zone| !is_name(zone)) {
            return Err("in the brackets is no IPv6 address such as [fd00::5] or [fe80::1%eth0]");
        }
        (zone.map_or(bare.to_owned(), |zone| format!("{bare}%{zone}")), port)
    } else {
        let (host, _) = place.split_once(':').unwrap_or((place, ""));
        if host.is_empty() {
            return Err("there is no host");
        }
        if !is_name(host) {
            return Err("the host is no name and no address");
        }
        (host.to_owned(), &place[host.len()..])
    };
    if port.is_empty() {
        return Ok((host, PORT));
    }
    let port = port.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    match port.and_then(|port| port.parse().ok()) {
        Some(port @ 1..) => Ok((host, port)),
        _ => Err("the port behind the host is no number from 1 to 65535 (an IPv6 address is in brackets)"),
    }
}

/// Whether it can be the name of a host, an IPv4 address, or the name of a network interface.
fn is_name(text: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(is_fine)
}

fn read_database(text: &str) -> Result<i64, &'static str> {
    let database = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let database: Option<u16> = database.and_then(|text| text.parse().ok());
    database.map(i64::from).ok_or("the database is no number from 0 to 65535 that ends the URL")
}

/// The bytes behind each `%XX` in place of it.
fn decoded(text: &str) -> Result<Vec<u8>, &'static str> {
    let is_hex = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(is_hex) {
        return Err("a % is in it with no two hex digits behind it: in a password it is %25");
    }
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    if bytes.contains(&0) { Err("a %00 is in it") } else { Ok(bytes) }
}

fn decoded_text(text: &str) -> Result<String, &'static str> {
    String::from_utf8(decoded(text)?).map_err(|_| "user or password are not UTF-8")
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

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn tcp(text: &str) -> (String, u16) {
        match RedisUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).address {
            RedisAddress::Tcp(host, port) => (host, port),
            RedisAddress::Unix(path) => panic!("{text} is {}", path.display()),
        }
    }

    /// The path, user and password, and the database.
    fn unix(text: &str) -> (PathBuf, [Option<String>; 2], i64) {
        let url = RedisUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        match url.address {
            RedisAddress::Unix(path) => (path, [url.user, url.password], url.database),
            RedisAddress::Tcp(host, _) => panic!("{text} is {host}"),
        }
    }

    #[test]
    fn a_host_may_be_a_name_or_an_address_with_a_port_or_the_usual_one() {
        for (text, host, port) in [
            ("redis://board", "board", 6379),
            ("redis://raspberrypi.local/", "raspberrypi.local", 6379),
            ("REDIS://192.168.1.5:6380/1", "192.168.1.5", 6380),
            ("redis://[::1]", "::1", 6379),
            ("redis://[fd00::5]:65535", "fd00::5", 65535),
            ("redis://[fe80::1%eth0]:1", "fe80::1%eth0", 1),
            ("redis://[fe80::1%25eth0]", "fe80::1%eth0", 6379),
            ("redis://my_redis", "my_redis", 6379),
        ] {
            assert_eq!(tcp(text), (host.to_owned(), port), "{text}");
        }
    }

    #[test]
    fn user_password_and_database_are_optional() {
        for (text, user, password, database) in [
            ("redis://board", None, None, 0),
            ("redis://board/15", None, None, 15),
            ("redis://:secret@board", None, Some("secret"), 0),
            ("redis://me:secret@board/2", Some("me"), Some("secret"), 2),
            ("redis://me:@board", Some("me"), Some(""), 0),
            ("redis://:@board", None, None, 0),
            ("redis://m%65:se:c%40ret@x@board", Some("me"), Some("se:c@ret@x"), 0),
            ("redis://:gr%C3%BCn@[::1]:7", None, Some("gr\u{fc}n"), 0),
        ] {
            let url = RedisUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (url.user.as_deref(), url.password.as_deref(), url.database),
                (user, password, database),
                "{text}"
            );
        }
    }

    #[test]
    fn a_unix_socket_is_written_as_for_other_clients() {
        let some = |text: &str| Some(text.to_owned());
        let path = PathBuf::from("/run/redis.sock");
        for (text, login, database) in [
            ("unix:///run/redis.sock", [None, None], 0),
            ("redis+unix:///run/redis.sock?db=3", [None, None], 3),
            ("unix:///run/redis.sock?pass=a%2Bb", [None, some("a+b")], 0),
            ("unix:///run/redis%2Esock?user=me&password=x%26&db=1", [some("me"), some("x&")], 1),
            ("unix://:secret@/run/redis.sock", [None, some("secret")], 0),
            ("unix://me:secret@/run/redis.sock?db=2", [some("me"), some("secret")], 2),
        ] {
            assert_eq!(unix(text), (path.clone(), login, database), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right_and_shows_nothing_of_the_url() {
        for (text, hint) in [
            ("", "empty"),
            ("redis://:hunter2 @board", "a blank"),
            ("redis://:hunter2\n@board", "a blank"),
            ("hunter2", "begin with redis://"),
            ("board:6379", "begin with redis://"),
            ("rediss://:hunter2@board", "stunnel, WireGuard, ssh -L"),
            ("http://hunter2", "something else than redis://"),
            ("redis://", "no host"),
            ("redis://:hunter2@", "no host"),
            ("redis://:hunter2@:6379", "no host"),
            ("redis:///1", "no host"),
            ("redis://hunter2@board", "user without a password"),
            ("redis://board:0", "from 1 to 65535"),
            ("redis://board:65536", "from 1 to 65535"),
            ("redis://board:", "from 1 to 65535"),
            ("redis://board:+1", "from 1 to 65535"),
            ("redis://:hunter2", "no host"),
            ("redis://me:hunter2", "from 1 to 65535"),
            ("redis://fd00::5:6379", "in brackets"),
            ("redis://[fd00::5", "without a ]"),
            ("redis://[board]", "no IPv6 address"),
            ("redis://[fe80::1%]", "no IPv6 address"),
            ("redis://[::1]6379", "from 1 to 65535"),
            ("redis://b%6fard", "no name"),
            ("redis://board/hunter2", "no number"),
            ("redis://board/-1", "no number"),
            ("redis://board/1/2", "ends the URL"),
            ("redis://board/1/", "ends the URL"),
            ("redis://board/65536", "65535"),
            ("redis://board?db=1", "%3F"),
            ("redis://:hunt?er2@board", "%3F"),
            ("redis://:hunt#er2@board", "%23"),
            ("redis://:hunt/er2@board", "%2F"),
            ("redis://:hunter2%@board", "%25"),
            ("redis://:hunter2%4@board", "%25"),
            ("redis://:hunter2%zz@board", "%25"),
            ("redis://:hunter2%ff@board", "not UTF-8"),
            ("redis://:hunter2%00@board", "%00"),
            ("unix://run/redis.sock", "third /"),
            ("unix://", "third /"),
            ("unix:///", "from 2 to 107 bytes"),
            ("unix:///run/redis.sock?protocol=resp3", "db, user and pass"),
            ("unix:///run/redis.sock?db", "no ="),
            ("unix:///run/redis.sock?db=1&db=2", "twice"),
            ("unix://:hunter2@/run/redis.sock?pass=hunter2", "twice"),
            ("unix:///run/redis.sock?pass=hunter2+x", "%2B or %20"),
            ("unix:///run/redis.sock?user=me", "user without a password"),
        ] {
            let error = RedisUrl::parse(text).expect_err(text);
            assert!(error.contains(hint) && error.contains("Write redis://"), "{text}: {error}");
            assert!(!error.contains("hunt") && !error.contains("er2"), "{text}: {error}");
        }
        let path = |bytes: usize| format!("unix:///{}", "x".repeat(bytes - 1));
        assert!(RedisUrl::parse(&path(SOCKET_PATH_BYTES_MAX)).is_ok());
        assert!(RedisUrl::parse(&path(SOCKET_PATH_BYTES_MAX + 1)).unwrap_err().contains("107 bytes"));
    }

    #[test]
    fn user_and_password_are_not_shown() {
        for (text, shown) in [
            ("redis://me:secret@board", "board:6379"),
            ("redis://:secret@[::1]:7/3", "[::1]:7"),
            ("unix:///run/redis.sock?user=me&pass=secret", "/run/redis.sock"),
        ] {
            let url = RedisUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("RedisUrl({shown})"));
        }
    }

    proptest! {
        #[test]
        fn what_was_written_as_it_should_be_comes_out_as_it_was(
            user in "[^\0]{0,9}",
            password in "[^\0]{1,40}",
            host in "[a-z0-9][a-z0-9.-]{0,20}",
            port in 1_u16..,
            database in 0_u16..,
            is_unix: bool,
        ) {
            let [user_text, password_text] = [&user, &password].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC));
            let text = if is_unix {
                format!("redis+unix:///{host}?user={user_text}&db={database}&pass={password_text}")
            } else {
                format!("redis://{user_text}:{password_text}@{host}:{port}/{database}")
            };
            let address = if is_unix { RedisAddress::Unix(format!("/{host}").into()) } else { RedisAddress::Tcp(host, port) };
            let user = Some(user).filter(|user| !user.is_empty());
            let url = RedisUrl { address, user, password: Some(password), database: database.into() };
            prop_assert!(RedisUrl::parse(&text) == Ok(url), "{}", text);
        }

        #[test]
        fn no_error_shows_a_password_wherever_it_stands(
            before in "(rediss?|unix|redis\\+unix|http)?(://|:)?[a:@/?#%0-9\\[\\]=&+ -]{0,8}",
            after in "[a:@/?#%0-9\\[\\]=&+ -]{0,8}(board)?[a:@/?#%0-9\\[\\]=&+ -]{0,8}",
        ) {
            if let Err(error) = RedisUrl::parse(&format!("{before}hunter2{after}")) {
                prop_assert!(!error.contains("hunter2"), "{}", error);
            }
        }
    }
}
