//! A host as requests name it: an address or a name, in one form whatever it was written like.
//!
//! Leaves to `host_policy` which of them are ours. What must stay true: what is not wholly a host is none; nothing of it is guessed or
//! cut away but a port, a final dot and a zone.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Endings of names that the public DNS does not have, so that nobody outside of the network can point one here: RFC 6761 (`localhost`,
/// `test`), RFC 6762 (`local`, and in appendix G what networks use for themselves), RFC 8375 (`home.arpa`), ICANN's reserved
/// `internal`, and what routers use.
const LOCAL_ENDINGS: [&str; 11] = [
    "local",
    "lan",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "private",
    "corp",
    "localdomain",
    "localhost",
    "test",
];

/// The name or address in a Host or Origin, lower case, with no port, no brackets, no zone and no final dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// A name.
    Name(String),
}

impl Host {
    /// Reads `host`, `host:port`, or the same with an IPv6 address in brackets; the port may be empty (RFC 3986 sections 3.2.2 and
    /// 3.2.3). A zone (`[fe80::1%eth0]`, RFC 6874) says which way the client's packets go, and nothing about the host. `None` for
    /// anything else, user names included.
    pub fn parse(text: &str) -> Option<(Self, Option<u16>)> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, after) = rest.split_once(']')?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
            let (address, zone) = address.split_once('%').unwrap_or((address, "0"));
            let is_zone =
                !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte));
            (Self::V6(address.parse().ok().filter(|_| is_zone)?), port)
        } else {
            let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
            (Self::parse_name(name)?, port)
        };
        let port = match port {
            None | Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            Some(_) => return None,
        };
        Some((host, port))
    }

    fn parse_name(name: &str) -> Option<Self> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if let Ok(address) = name.parse() {
            return Some(Self::V4(address));
        }
        // Lengths: RFC 1035 section 2.3.4, in text as it is written.
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        (name.len() <= 253 && name.split('.').all(is_label)).then(|| Self::Name(name.to_ascii_lowercase()))
    }

    /// Whether nobody outside of the network can have given this name.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Name(name) => {
                !name.contains('.') || LOCAL_ENDINGS.iter().any(|ending| self.label_in(ending).is_some())
            }
            _ => true,
        }
    }

    /// What stands before this domain, without the dot between them. `None` if it is no name in this domain.
    pub fn label_in(&self, domain: &str) -> Option<&str> {
        let Self::Name(name) = self else { return None };
        name.strip_suffix(domain)?.strip_suffix('.')
    }
}

/// One of our own addresses as a Host names it.
pub fn authority_of(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

/// The page at one of our own addresses, as people type it.
pub fn page_address(address: SocketAddr) -> String {
    format!("http://{}/", authority_of(address))
}

impl From<IpAddr> for Host {
    /// An IPv4 address that came over an IPv6 socket is what it is.
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(ip),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_form_however_it_is_written() {
        for (text, expected) in [
            ("Board.Local.:1920", ("board.local", Some(1920))),
            ("board:", ("board", None)),
            ("192.168.1.5:80", ("192.168.1.5", Some(80))),
            ("my-board_2.local", ("my-board_2.local", None)),
            ("192.168.1.5.", ("192.168.1.5", None)),
            ("[0:0::1]:80", ("[::1]", Some(80))),
            ("[fe80::1%eth0]", ("[fe80::1]", None)),
            ("[fe80::1%25wlan0.1]:1919", ("[fe80::1]", Some(1919))),
        ] {
            let (host, port) = Host::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((host.to_string().as_str(), port), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_wholly_a_host_is_none() {
        for text in [
            "",
            ".",
            ":80",
            "a..b",
            "board.local:80:80",
            "board.local:x",
            "board.local:+80",
            "board.local:99999",
            "board.local/x",
            "user@board.local",
            "a b.local",
            "évil.local",
            "[::1",
            "[::1]x",
            "::1",
            "[127.0.0.1]",
            "[fe80::1%]",
            "[fe80::1%eth0 ]",
            "[fe80::1%a]b]",
            "[%eth0]",
            "board%25eth0",
        ] {
            assert_eq!(Host::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_name_is_as_long_as_dns_allows() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), 253);
        assert!(Host::parse(&longest).is_some() && Host::parse(&format!("{longest}.:80")).is_some());
        for name in [format!("{longest}a"), format!("a{label}.local"), "a.".repeat(200)] {
            assert_eq!(Host::parse(&name), None, "{name}");
        }
    }

    #[test]
    fn an_address_of_our_own_is_shown_as_people_type_it() {
        for (address, expected) in [
            ("192.168.1.5:1920", "http://192.168.1.5:1920/"),
            ("[::ffff:192.168.1.5]:1920", "http://192.168.1.5:1920/"),
            ("[fd00::1]:80", "http://[fd00::1]:80/"),
        ] {
            assert_eq!(page_address(address.parse().unwrap()), expected);
        }
    }

    #[test]
    fn a_domain_is_compared_by_whole_labels() {
        let host = |text| Host::parse(text).unwrap().0;
        assert_eq!(host("board.fritz.box").label_in("fritz.box"), Some("board"));
        assert_eq!(host("a.board.fritz.box").label_in("fritz.box"), Some("a.board"));
        for (name, domain) in [("xfritz.box", "fritz.box"), ("fritz.box", "fritz.box"), ("127.0.0.1", "0.1")] {
            assert_eq!(host(name).label_in(domain), None, "{name} in {domain}");
        }
    }
}
