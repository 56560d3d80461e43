//! The rules for Host and Origin, against a second writing of them.
//!
//! The first line of an input is a Host, the second, if there is one, an Origin.

use std::net::{Ipv4Addr, Ipv6Addr};

use foghorn::http::host::Host;
use foghorn::http::host_policy::HostPolicy;
use foghorn::http::origin::Origin;

use crate::{Kind, kind};

/// The machine's own name in these tests.
pub const OWN_NAME: &str = "beacon.example.org";
/// The domains in which that name is looked up.
pub fn search_domains() -> Vec<String> {
    vec!["fritz.box".to_owned()]
}

/// Hosts that are allowed by name: one, and a domain.
pub const ALLOWED_HOSTS: [&str; 2] = ["board.example.com", ".example.net"];
/// Origins that are allowed by name.
pub const ALLOWED_ORIGINS: [&str; 5] =
    ["https://example.com", "http://example.net:8080", "dev.example", "capacitor://localhost", "content://"];

/// The rules with what these tests allow.
///
/// # Panics
/// If they are not taken.
pub fn rules() -> HostPolicy {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    HostPolicy::new(Some(OWN_NAME), &owned(&ALLOWED_HOSTS), &owned(&ALLOWED_ORIGINS))
        .expect("these are names and origins")
}

/// Any text as a Host, and as an Origin.
///
/// # Panics
/// If somebody is let in who should not be, or the other way round.
pub fn target(bytes: &[u8]) -> Kind {
    let text = String::from_utf8_lossy(bytes);
    let (host_text, origin) = text.split_once('\n').map_or((&*text, None), |(host, origin)| (host, Some(origin)));
    let rules = rules();

    let host = Host::parse(host_text).map(|(host, _)| host);
    let expected_host = name_of(host_text);
    assert_eq!(host.is_some(), expected_host.is_some(), "{host_text:?} is read as {host:?}");
    let (Some(host), Some(expected_host)) = (host, expected_host) else { return kind("no host") };
    let is_ours = rules.allows_host(&host, &search_domains());
    assert_eq!(is_ours, may_be_called(&expected_host), "Host {host_text:?}");
    check_neighbours(&rules, host_text, is_ours);

    let parsed = Origin::parse(origin.unwrap_or_default());
    let is_let_in = rules.allows_origin(&parsed, &host);
    let expected = origin.is_none_or(|origin| may_come_from(origin, &expected_host));
    assert_eq!(is_let_in, expected, "Origin {origin:?} to Host {host_text:?}");
    if let Some(text) = parsed.text() {
        assert_eq!(Origin::parse(&text), parsed, "it is shown as it is");
        match HostPolicy::new(None, &[], &[text]) {
            Ok(allowing) => assert!(allowing.allows_origin(&parsed, &host), "{parsed:?}"),
            Err(error) => assert!(matches!(parsed, Origin::Other(_)), "what is shown cannot be allowed: {error}"),
        }
    }
    let shape = |text: &str| (text.matches('.').count().min(3), text.contains(':'), text.contains('['));
    kind((is_ours, is_let_in, shape(host_text), origin.map(shape), std::mem::discriminant(&host)))
}

/// What is allowed does not become so, nor cease to be, by what nobody should look at.
fn check_neighbours(rules: &HostPolicy, host_text: &str, is_ours: bool) {
    let allows = |text: &str| Host::parse(text).is_some_and(|(host, _)| rules.allows_host(&host, &search_domains()));
    assert_eq!(allows(&host_text.to_ascii_uppercase()), is_ours, "the case of {host_text:?} counts");
    let (name, _) = host_text.rsplit_once(':').unwrap_or((host_text, ""));
    if !host_text.starts_with('[') {
        assert_eq!(allows(&format!("{name}:1919")), is_ours, "the port of {host_text:?} counts");
        assert!(!allows(&format!("{name}.evil.example")), "{host_text:?} is allowed as a prefix");
        assert!(!allows(&format!("evil.example/{name}")), "{host_text:?} is allowed as a path");
        assert!(!allows(&format!("evil.example@{name}")), "{host_text:?} is allowed with a user");
    }
    assert!(!allows(&format!(" {host_text}")) && !allows(&format!("{host_text}\t")), "{host_text:?} is trimmed");
}

/// A host as the oracle writes it: addresses in their one spelling, names lower case, with no final dot.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    Address(String),
    Labels(Vec<String>),
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn name_of(text: &str) -> Option<Name> {
    let (host, port) = match text.rfind(':') {
        Some(at) if !text.ends_with(']') => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    };
    if let Some(port) = port {
        let number = port.chars().try_fold(0_u32, |sum, char| Some((sum * 10 + char.to_digit(10)?).min(100_000)))?;
        if number > 65_535 {
            return None;
        }
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let (address, zone) = address.split_at(address.find('%').unwrap_or(address.len()));
        let is_zone_char = |char: char| char.is_ascii_alphanumeric() || "%-._~".contains(char);
        if zone == "%" || !zone.chars().all(is_zone_char) {
            return None;
        }
        return address.parse::<Ipv6Addr>().ok().map(|address| Name::Address(address.to_string()));
    }
    if let Ok(address) = host.strip_suffix('.').unwrap_or(host).parse::<Ipv4Addr>() {
        return Some(Name::Address(address.to_string()));
    }
    let mut labels: Vec<String> = host.split('.').map(str::to_ascii_lowercase).collect();
    if labels.len() > 1 && labels.last().is_some_and(String::is_empty) {
        labels.pop();
    }
    let is_label = |label: &String| {
        let is_short = label.len() < 64;
        is_short && !label.is_empty() && label.chars().all(|char| matches!(char, 'a'..='z' | '0'..='9' | '-' | '_'))
    };
    // RFC 1035 section 2.3.4 counts 255 bytes with a length before each label and an empty one at the end.
    let wire_bytes: usize = labels.iter().map(|label| label.len() + 1).sum::<usize>() + 1;
    (wire_bytes <= 255 && labels.iter().all(is_label)).then_some(Name::Labels(labels))
}

/// Section "Who may come in" of docs/reference.md, for the Host.
fn may_be_called(name: &Name) -> bool {
    let Name::Labels(labels) = name else { return true };
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let local = "local lan home internal intranet private corp localdomain localhost test";
    match labels[..] {
        [_] | [.., "example", "net"] | ["beacon", "fritz", "box"] | [_, .., "home", "arpa"] => true,
        [.., last] if local.split(' ').any(|local| local == last) => true,
        _ => [OWN_NAME, ALLOWED_HOSTS[0]].contains(&&*labels.join(".")),
    }
}

/// The same for the Origin, with [`ALLOWED_ORIGINS`].
fn may_come_from(origin: &str, host: &Name) -> bool {
    let is_visible = |char: char| ('!'..='~').contains(&char) && !"\"#,<>?\\^`{|}".contains(char);
    if origin.is_empty() {
        return true;
    }
    if !origin.chars().all(is_visible) {
        return false;
    }
    let Some(at) = origin.find("://") else { return name_of(origin) == Some(labels("dev.example")) };
    let scheme = origin[..at].to_ascii_lowercase();
    let (authority, path) = origin[at + 3..].split_at(origin[at + 3..].find('/').unwrap_or(origin.len() - at - 3));
    let is_scheme_char = |char: char| char.is_ascii_alphanumeric() || "+-.".contains(char);
    if scheme.is_empty() || !scheme.chars().all(is_scheme_char) {
        return false;
    }
    let Some(name) = name_of(authority) else {
        return matches!((&*scheme, authority), ("file", "") | ("app", "."))
            || scheme == "content" && authority.is_empty() && path.is_empty();
    };
    if !path.is_empty() || scheme == "ws" || scheme == "wss" {
        return true;
    }
    let is_web = scheme == "http" || scheme == "https";
    let port = authority.rsplit_once(':').filter(|_| !authority.ends_with(']')).map(|(_, port)| port);
    let port = port.and_then(|port| port.parse::<u16>().ok());
    is_web && name == *host
        || scheme == "https" && name == labels("example.com") && port.is_none_or(|port| port == 443)
        || scheme == "http" && name == labels("example.net") && port == Some(8080)
        || scheme == "capacitor" && name == labels("localhost") && port.is_none()
        || name == labels("dev.example")
}

fn labels(name: &str) -> Name {
    Name::Labels(name.split('.').map(str::to_owned).collect())
}
