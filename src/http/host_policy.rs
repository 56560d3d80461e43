//! Who may come in: the rules for Host and Origin, which keep foreign web pages out although any program may enter.
//!
//! Leaves reading headers to `head`. What must stay true: names are compared whole, never by part of a label; Host is checked for
//! every request, because under DNS rebinding an Origin that equals Host proves nothing.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Endings of names that the public DNS does not have, so that nobody outside of the network can point one here:
/// RFC 6762 (`local`), RFC 8375 (`home.arpa`), ICANN's reserved `internal`, and what routers use.
const LOCAL_ENDINGS: [&str; 6] = ["local", "lan", "home", "home.arpa", "internal", "localdomain"];

/// The name or address in a Host or Origin, lower case, with no port, no brackets and no final dot.
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
    /// Reads `host`, `host:port`, or the same with an IPv6 address in brackets (RFC 3986 section 3.2.2). `None` for
    /// anything else, user names and zones included.
    pub fn parse(text: &str) -> Option<(Self, Option<u16>)> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, after) = rest.split_once(']')?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
            (Self::V6(address.parse().ok()?), port)
        } else {
            let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
            (Self::parse_name(name)?, port)
        };
        let port = match port {
            None => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            Some(_) => return None,
        };
        Some((host, port))
    }

    fn parse_name(name: &str) -> Option<Self> {
        if let Ok(address) = name.parse() {
            return Some(Self::V4(address));
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        // Lengths: RFC 1035 section 2.3.4, in text as it is written.
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        (name.len() <= 253 && name.split('.').all(is_label)).then(|| Self::Name(name.to_ascii_lowercase()))
    }

    /// Whether nobody outside of the network can have given this name.
    fn is_local(&self) -> bool {
        let Self::Name(name) = self else { return true };
        !name.contains('.')
            || LOCAL_ENDINGS.iter().any(|ending| name.strip_suffix(ending).is_some_and(|rest| rest.ends_with('.')))
    }
}

/// An origin that may connect although it is foreign.
#[derive(Debug, Clone, PartialEq, Eq)]
enum AllowedOrigin {
    Any,
    Null,
    /// With a scheme or any; with a port or any.
    At {
        scheme: Option<String>,
        host: Host,
        port: Option<u16>,
    },
}

/// The rules, ready for use.
#[derive(Debug, Clone)]
pub struct HostPolicy {
    hosts: Vec<Host>,
    origins: Vec<AllowedOrigin>,
}

impl HostPolicy {
    /// Reads the rules. `own_name` is the machine's own name.
    ///
    /// # Errors
    /// A sentence that names the value which is not a host name or an origin, and what would be one.
    pub fn new(own_name: Option<&str>, allow_hosts: &[String], allow_origins: &[String]) -> Result<Self, String> {
        let mut hosts: Vec<Host> = own_name.and_then(Host::parse).map(|(host, _)| host).into_iter().collect();
        for text in allow_hosts {
            match Host::parse(text) {
                Some((host, None)) => hosts.push(host),
                _ => {
                    return Err(format!("--allow-host {text:?} is not a name such as board.example.com, with no port"));
                }
            }
        }
        let origins = allow_origins.iter().map(|text| parse_allowed(text)).collect::<Result<_, _>>()?;
        Ok(Self { hosts, origins })
    }

    /// Whether requests to this host are for us.
    pub fn allows_host(&self, host: &Host) -> bool {
        host.is_local() || self.hosts.contains(host)
    }

    /// Whether a page of this origin may connect to `host`. `None` is no browser.
    pub fn allows_origin(&self, origin: Option<&str>, host: &Host) -> bool {
        let Some(origin) = origin else { return true };
        let parsed = parse_origin(origin);
        let is_own = parsed
            .as_ref()
            .is_some_and(|(scheme, its_host, _)| (scheme == "http" || scheme == "https") && its_host == host);
        is_own
            || self.origins.iter().any(|allowed| match (allowed, &parsed) {
                (AllowedOrigin::Any, _) => true,
                (AllowedOrigin::Null, _) => origin.eq_ignore_ascii_case("null"),
                (AllowedOrigin::At { scheme, host, port }, Some((its_scheme, its_host, its_port))) => {
                    scheme.as_ref().is_none_or(|scheme| scheme == its_scheme)
                        && host == its_host
                        && port.is_none_or(|port| Some(port) == its_port.or(default_port(its_scheme)))
                }
                (AllowedOrigin::At { .. }, None) => false,
            })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Reads `scheme://host[:port]` (RFC 6454 section 6.2).
fn parse_origin(text: &str) -> Option<(String, Host, Option<u16>)> {
    let (scheme, authority) = text.split_once("://")?;
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if scheme.is_empty() || !is_scheme {
        return None;
    }
    let (host, port) = Host::parse(authority)?;
    Some((scheme.to_ascii_lowercase(), host, port))
}

fn parse_allowed(text: &str) -> Result<AllowedOrigin, String> {
    if text == "*" {
        return Ok(AllowedOrigin::Any);
    }
    if text.eq_ignore_ascii_case("null") {
        return Ok(AllowedOrigin::Null);
    }
    let allowed = if text.contains("://") {
        parse_origin(text).map(|(scheme, host, port)| AllowedOrigin::At { scheme: Some(scheme), host, port })
    } else {
        Host::parse(text).map(|(host, port)| AllowedOrigin::At { scheme: None, host, port })
    };
    allowed.ok_or_else(|| {
        format!("--allow-origin {text:?} is not an origin such as https://example.com, with no path, nor null or *")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(hosts: &[&str], origins: &[&str]) -> HostPolicy {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        HostPolicy::new(Some("beacon.example.org"), &owned(hosts), &owned(origins)).unwrap()
    }

    fn lets_in(policy: &HostPolicy, host: &str, origin: Option<&str>) -> bool {
        Host::parse(host).is_some_and(|(host, _)| policy.allows_host(&host) && policy.allows_origin(origin, &host))
    }

    #[test]
    fn local_names_and_addresses_are_ours() {
        let policy = policy(&["board.example.com"], &[]);
        for host in [
            "192.168.1.5",
            "192.168.1.5:1920",
            "[::1]",
            "[fe80::1]:1919",
            "localhost",
            "LOCALHOST:80",
            "raspberrypi",
            "raspberrypi.local",
            "RaspberryPi.Local.:1920",
            "a.b.lan",
            "x.home",
            "x.home.arpa",
            "x.internal",
            "x.localdomain",
            "board.example.com",
            "Board.Example.Com:443",
            "beacon.example.org",
        ] {
            assert!(lets_in(&policy, host, None), "{host}");
        }
    }

    #[test]
    fn foreign_names_are_refused() {
        let policy = policy(&["board.example.com"], &[]);
        for host in [
            "",
            ":80",
            "evil.com",
            "evil.com:1919",
            "evil.com.",
            "evillocal.com",
            "local.evil.com",
            "xlocal.",
            ".local",
            "..local",
            "evil.com.localhost.evil.com",
            "notboard.example.com",
            "board.example.com.evil.com",
            "x.board.example.com",
            "user@board.local",
            "board.local:80:80",
            "board.local:x",
            "board.local:99999",
            "[::1",
            "[::1]x",
            "::1",
            "[127.0.0.1]",
            "[fe80::1%eth0]",
            "a b.local",
            "192.168.1.5.evil.com",
            "board.local/evil",
            "evil.com?.local",
            "evil.com#.local",
            "evil.com\\.local",
            "évil.local",
        ] {
            let is_plain_name = host == "xlocal.";
            assert_eq!(lets_in(&policy, host, None), is_plain_name, "{host:?}");
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
    fn an_origin_has_to_be_of_the_same_host_on_any_port() {
        let policy = policy(&[], &[]);
        for (host, origin, expected) in [
            ("board.local:1919", "http://board.local:1920", true),
            ("board.local", "https://BOARD.local", true),
            ("board.local", "http://board.local.", true),
            ("[::1]:1919", "http://[::1]:8080", true),
            ("[::1]", "http://[0:0:0:0:0:0:0:1]", true),
            ("192.168.1.5", "http://192.168.1.5:1920", true),
            ("board.local", "http://board.local.evil.com", false),
            ("board.local", "http://evilboard.local", false),
            ("board.local", "http://board", false),
            ("board.local", "http://board.local@evil.com", false),
            ("board.local", "http://evil.com/board.local", false),
            ("board.local", "ftp://board.local", false),
            ("board.local", "board.local", false),
            ("board.local", "null", false),
            ("board.local", "", false),
            ("board.local", "http://", false),
            ("board.local", "://board.local", false),
            ("127.0.0.1", "http://localhost", false),
        ] {
            assert_eq!(lets_in(&policy, host, Some(origin)), expected, "{origin} to {host}");
        }
    }

    #[test]
    fn allowed_origins_may_connect_too() {
        let policy = policy(&[], &["https://example.com", "http://example.net:8080", "dev.example", "null"]);
        for (origin, expected) in [
            ("https://example.com", true),
            ("https://EXAMPLE.com:8443", true),
            ("http://example.com", false),
            ("https://www.example.com", false),
            ("http://example.net:8080", true),
            ("http://example.net", false),
            ("http://dev.example:3000", true),
            ("null", true),
            ("NULL", true),
            ("", false),
        ] {
            assert_eq!(lets_in(&policy, "board.local", Some(origin)), expected, "{origin}");
        }
        let anybody = super::HostPolicy::new(None, &[], &["*".to_owned()]).unwrap();
        assert!(lets_in(&anybody, "board.local", Some("https://anywhere.example")));
        assert!(!lets_in(&anybody, "evil.com", Some("http://evil.com")), "the Host is checked all the same");
    }

    #[test]
    fn an_origin_without_a_port_has_its_scheme_s_default_port() {
        let policy = policy(&[], &["https://example.com:443"]);
        assert!(lets_in(&policy, "board.local", Some("https://example.com")));
        assert!(!lets_in(&policy, "board.local", Some("https://example.com:444")));
    }

    #[test]
    fn a_value_that_can_never_match_is_named() {
        let host = |text: &str| HostPolicy::new(None, &[text.to_owned()], &[]).unwrap_err();
        assert!(host("http://board").contains("such as board.example.com"));
        assert!(host("board:80").contains("with no port"));
        let origin = HostPolicy::new(None, &[], &["https://example.com/".to_owned()]).unwrap_err();
        assert!(origin.contains("with no path"), "{origin}");
    }
}
