//! Where a hub's channel is, as people write it: `board`, `board:1920/c/lights`, `http://…`, `:` for this machine.
//!
//! Leaves looking names up, and connecting, to others. What must stay true: what goes into a request is visible ASCII, whatever was written;
//! no code and no login is in a sentence about an address, an error's included.

use std::fmt;
use std::net::Ipv6Addr;

use data_encoding::BASE64;
use percent_encoding::{percent_decode_str, utf8_percent_encode};

use crate::client::resource::{NOT_IN_VALUE, Resource, expect_visible};
use crate::config::settings::PORTS;

/// The port where none is written, behind a scheme.
const HTTP_PORT: u16 = 80;

/// Where a hub's channel is.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// What to look up, one after the other until one answers: names, and addresses without brackets.
    pub hosts: Vec<String>,
    /// Never 0.
    pub port: u16,
    /// As a Host header has it, without the port.
    host: String,
    is_this_machine: bool,
    resource: Resource,
    /// The bytes of `user:password`.
    login: Option<Vec<u8>>,
}

impl Address {
    /// Reads an address. One that begins with a colon is `url_variable`, which is `FOGHORN_URL`, with the path behind the colon; without that
    /// variable, or where it is empty, it is this machine.
    ///
    /// # Errors
    /// A sentence that says what is wrong, and what would be right.
    pub fn parse(text: &str, url_variable: Option<&str>) -> Result<Self, String> {
        let of_the_word = |wrong| format!("the address {wrong}");
        let Some(behind_colon) = text.strip_prefix(':') else { return Self::read(text).map_err(of_the_word) };
        let resource = Resource::behind_colon(behind_colon).map_err(of_the_word)?;
        let mut address = match url_variable.filter(|url| !url.is_empty()) {
            None => Self::this_machine(),
            Some(url) if url.starts_with(':') => {
                return Err("FOGHORN_URL begins with a colon, which stands for FOGHORN_URL itself: \
                            set it to an address such as http://raspberrypi.local:1920, or unset it for this machine"
                    .to_owned());
            }
            Some(url) => Self::read(url).map_err(|wrong| format!("FOGHORN_URL {wrong}"))?,
        };
        address.resource.go_on_with(resource);
        Ok(address)
    }

    /// Brings a code: that of the flag, else the one that the address has, else that of the variable `FOGHORN_CODE`. An empty flag is none
    /// at all, and an empty variable is one that is not set.
    #[must_use]
    pub fn with_code(mut self, flag: Option<&str>, variable: Option<&str>) -> Self {
        let encoded = |code: &str| Some(utf8_percent_encode(code, NOT_IN_VALUE).to_string());
        // A login of a user alone is none of the server's codes.
        let has_password = self.login.as_ref().is_some_and(|login| !login.ends_with(b":"));
        self.resource.code = match (flag, variable) {
            (Some(""), _) => None,
            (Some(code), _) => encoded(code),
            (None, Some(code)) if self.resource.code.is_none() && !has_password && !code.is_empty() => encoded(code),
            _ => self.resource.code,
        };
        self
    }

    /// Path and query for a request, with these wishes added; a wish wins over one of its name that the address has.
    pub fn target(&self, wishes: &[(&str, String)]) -> String {
        self.resource.target(wishes)
    }

    /// Whether its path is neither the root, of a hub or behind a proxy, nor that of a channel. To a hub it means the main channel, and may
    /// be a slip.
    pub fn is_beside_channels(&self) -> bool {
        self.resource.is_beside_channels()
    }

    /// The value of the Host header: without the zone of an IPv6 address, and without port 80.
    pub fn host_header(&self) -> String {
        if self.port == HTTP_PORT { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    /// The value of the Authorization header, where the address has a login.
    pub fn authorization(&self) -> Option<String> {
        self.login.as_ref().map(|login| format!("Basic {}", BASE64.encode(login)))
    }

    fn this_machine() -> Self {
        Self {
            hosts: ["127.0.0.1", "::1"].map(str::to_owned).to_vec(),
            port: PORTS[0],
            host: "localhost".to_owned(),
            is_this_machine: true,
            resource: Resource::read("").expect("nothing is wrong with nothing"),
            login: None,
        }
    }

    /// Reads what does not begin with a colon. An error goes on where a sentence has said what is meant.
    fn read(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty: write the name or the address of a board, such as raspberrypi.local or \
                        192.168.1.5:1920, or : for this machine");
        }
        expect_visible(text)?;
        let (rest, port) = match split_scheme(text) {
            Some((scheme, rest)) if is_one_of(scheme, ["http", "ws"]) => (rest, HTTP_PORT),
            Some((scheme, _)) if is_one_of(scheme, ["https", "wss"]) => {
                return Err("asks for TLS, which Foghorn does not have (a reverse proxy in front of it may): on the \
                            local network write http://board:1920; from outside, use a tunnel, or a client that \
                            speaks TLS");
            }
            Some(_) => {
                return Err("begins with a scheme that is unknown here: write http:// or ws://, or none of both");
            }
            None => (text, PORTS[0]),
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (login, place) =
            authority.rsplit_once('@').map_or((None, authority), |(login, place)| (Some(login), place));
        let login = login.map(|login| {
            let login = if login.contains(':') { login.to_owned() } else { format!("{login}:") };
            percent_decode_str(&login).collect()
        });
        let (name, host, port) = read_place(place, port)?;
        let resource = Resource::read(rest)?;
        Ok(Self { hosts: vec![name], port, host, is_this_machine: false, resource, login })
    }
}

/// What stands before `://`, where that is at the beginning.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    text.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '?', '#']))
}

fn is_one_of(scheme: &str, ours: [&str; 2]) -> bool {
    ours.iter().any(|its| its.eq_ignore_ascii_case(scheme))
}

/// A host and perhaps a port: what to look up, the same for a Host header, and the port.
fn read_place(place: &str, default_port: u16) -> Result<(String, String, u16), &'static str> {
    let (name, host, port) = if let Some(rest) = place.strip_prefix('[') {
        let no_address = "has no IPv6 address in its brackets: write it like [::1] or [fe80::1%eth0]:1920";
        let (address, port) = rest.split_once(']').ok_or(no_address)?;
        let (bare, zone) = address.split_once('%').map_or((address, None), |(bare, zone)| (bare, Some(zone)));
        bare.parse::<Ipv6Addr>().map_err(|_| no_address)?;
        // As URLs write it (RFC 6874), and as people do.
        let zone = zone.map(|zone| zone.strip_prefix("25").filter(|rest| !rest.is_empty()).unwrap_or(zone));
        let is_zone_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if zone.is_some_and(|zone| zone.is_empty() || !zone.bytes().all(is_zone_byte)) {
            return Err(
                "has an IPv6 address with a zone that is no name of a network interface: write it like [fe80::1%eth0]",
            );
        }
        (zone.map_or(bare.to_owned(), |zone| format!("{bare}%{zone}")), format!("[{bare}]"), port)
    } else {
        if place.matches(':').count() > 1 {
            return Err(
                "has more than one colon: write an IPv6 address in brackets, like [::1] or [fe80::1%eth0]:1920",
            );
        }
        let (name, port) = place.split_at(place.find(':').unwrap_or(place.len()));
        expect_name(name)?;
        (name.to_owned(), name.to_owned(), port)
    };
    let port = match port {
        "" | ":" => default_port,
        port => {
            let digits = port.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
            let port = digits.and_then(|digits| digits.parse().ok()).filter(|&port| port > 0);
            port.ok_or(
                "has something behind its host that is no port: a port is a number from 1 to 65535, as in board:1920",
            )?
        }
    };
    Ok((name, host, port))
}

fn expect_name(name: &str) -> Result<(), &'static str> {
    // Lengths: RFC 1035 section 2.3.4, in text as it is written; a dot at the end is the root's.
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let whole = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return Err("has no host: write a name or an address before port and path, such as board:1920/c/lights");
    }
    if !name.is_ascii() {
        return Err(
            "has a host with other characters than ASCII has: write its IP address, or its name as the DNS has it (xn--…)",
        );
    }
    if whole.len() > 253 || !whole.split('.').all(is_label) {
        return Err("has a host that is no name and no address: names have letters, digits, dots and - (such as \
                    raspberrypi.local), addresses are like 192.168.1.5 or [fd00::5]");
    }
    Ok(())
}

impl fmt::Display for Address {
    /// As sentences name it, without anything that may be secret: the query is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = Some(self.resource.path.as_str()).filter(|path| *path != "/").unwrap_or_default();
        match (self.is_this_machine, path) {
            (true, "") => write!(f, "this machine (port {})", self.port),
            (true, path) => write!(f, "this machine (port {}, {path})", self.port),
            (false, path) => write!(f, "{}:{}{path}", self.host, self.port),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.to_string()).finish()
    }
}

#[cfg(test)]
mod tests;
