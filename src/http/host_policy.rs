//! Who may come in: the rules for Host and Origin, which keep foreign web pages out although any program may enter.
//!
//! Leaves reading headers to `head`, and what is a host or an origin to `host` and `origin`. What must stay true: names are compared whole,
//! never by part of a label; Host is checked for every request, because under DNS rebinding an Origin that equals Host proves
//! nothing.

use crate::http::host::Host;
use crate::http::origin::{Origin, default_port};

/// A name that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum AllowedHost {
    /// This one.
    Is(Host),
    /// A domain, and all names in it.
    In(String),
}

/// An origin that may connect although it is foreign.
#[derive(Debug, Clone, PartialEq, Eq)]
enum AllowedOrigin {
    Any,
    /// This one, as a whole: scheme, host and port.
    Is(Origin),
    /// A host with any scheme, and with a port or any.
    At {
        host: Host,
        port: Option<u16>,
    },
}

/// The rules, ready for use.
#[derive(Debug, Clone)]
pub struct HostPolicy {
    own_name: Option<Host>,
    hosts: Vec<AllowedHost>,
    origins: Vec<AllowedOrigin>,
}

impl HostPolicy {
    /// Reads the rules. `own_name` is the machine's own name.
    ///
    /// # Errors
    /// A sentence that names the value which is not a host name or an origin, and what would be one.
    pub fn new(own_name: Option<&str>, allow_hosts: &[String], allow_origins: &[String]) -> Result<Self, String> {
        Ok(Self {
            own_name: own_name.and_then(Host::parse).map(|(host, _)| host),
            hosts: allow_hosts.iter().map(|text| parse_allowed_host(text)).collect::<Result<_, _>>()?,
            origins: allow_origins.iter().map(|text| parse_allowed_origin(text)).collect::<Result<_, _>>()?,
        })
    }

    /// Whether requests to this host are for us. In each of the search domains the machine's own name is its own; they change while we
    /// run, so nothing is kept of them here.
    pub fn allows_host(&self, host: &Host, search_domains: &[String]) -> bool {
        host.is_local()
            || self.own_name.as_ref() == Some(host)
            || self.hosts.iter().any(|allowed| match allowed {
                AllowedHost::Is(allowed) => allowed == host,
                AllowedHost::In(domain) => {
                    matches!(host, Host::Name(name) if name == domain) || host.label_in(domain).is_some()
                }
            })
            || self.own_domain(host).is_some_and(|domain| {
                search_domains.iter().any(|known| known.trim_end_matches('.').eq_ignore_ascii_case(domain))
            })
    }

    /// Where a host is the machine's own name in some domain, that domain: whether it is one of the search domains is another question.
    pub fn own_domain<'a>(&self, host: &'a Host) -> Option<&'a str> {
        let (Some(Host::Name(own)), Host::Name(name)) = (&self.own_name, host) else { return None };
        let own_label = own.split('.').next()?;
        let (label, domain) = name.split_once('.')?;
        (label == own_label).then_some(domain)
    }

    /// Whether a page of this origin may connect to `host`.
    pub fn allows_origin(&self, origin: &Origin, host: &Host) -> bool {
        match origin {
            Origin::Program => return true,
            Origin::Page { scheme, host: its_host, .. }
                if (scheme == "http" || scheme == "https") && its_host == host =>
            {
                return true;
            }
            _ => {}
        }
        self.origins.iter().any(|allowed| match (allowed, origin) {
            (AllowedOrigin::Any, _) => true,
            (AllowedOrigin::Is(allowed), _) => allowed == origin,
            (AllowedOrigin::At { host, port }, Origin::Page { scheme, host: its_host, port: its_port }) => {
                host == its_host && port.is_none_or(|port| Some(port) == its_port.or(default_port(scheme)))
            }
            (AllowedOrigin::At { .. }, _) => false,
        })
    }
}

fn parse_allowed_host(text: &str) -> Result<AllowedHost, String> {
    let (name, is_domain) = text.strip_prefix('.').map_or((text, false), |domain| (domain, true));
    match (Host::parse(name), is_domain) {
        (Some((Host::Name(domain), None)), true) => Ok(AllowedHost::In(domain)),
        (Some((host, None)), false) if !text.ends_with(':') => Ok(AllowedHost::Is(host)),
        _ => Err(format!(
            "--allow-host {text:?} is not a name such as board.example.com, or .example.com for all in it, with no port"
        )),
    }
}

fn parse_allowed_origin(text: &str) -> Result<AllowedOrigin, String> {
    let not_one =
        |why| Err(format!("--allow-origin {text:?} is not an origin such as https://example.com{why}, nor null or *"));
    if text == "*" {
        return Ok(AllowedOrigin::Any);
    }
    let has_path = text.split_once("://").is_some_and(|(_, authority)| authority.contains('/'));
    match Origin::parse(text) {
        // Let in without this, but only when it is sent like that: a browser leaves the path out.
        Origin::Program if has_path => not_one(", with no path"),
        // Any text that is refused can be allowed as it is, but for what is more likely a slip.
        Origin::Other(text) if is_slip(&text) => not_one(""),
        Origin::Page { scheme, host, port } if scheme.is_empty() => Ok(AllowedOrigin::At { host, port }),
        origin => Ok(AllowedOrigin::Is(origin)),
    }
}

/// Whether it is an address of the web that is no origin, or a pattern.
fn is_slip(text: &str) -> bool {
    let is_host = |part: &str| part.contains('.') && Host::parse(part).is_some();
    ["http:", "https:", "ws:", "wss:"].into_iter().any(|scheme| text.starts_with(scheme))
        || text.contains('*')
        || text.split_once('/').is_some_and(|(host, _)| is_host(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(hosts: &[&str], origins: &[&str]) -> HostPolicy {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        HostPolicy::new(Some("beacon.example.org"), &owned(hosts), &owned(origins)).unwrap()
    }

    fn lets_in(policy: &HostPolicy, host: &str, origin: Option<&str>) -> bool {
        let origin = Origin::parse(origin.unwrap_or_default());
        Host::parse(host)
            .is_some_and(|(host, _)| policy.allows_host(&host, &[]) && policy.allows_origin(&origin, &host))
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
            "foghorn.localhost",
            "x.intranet",
            "x.private:1920",
            "x.corp",
            "x.test",
            "board:",
            "[fe80::1%eth0]:1919",
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
            "evil.com",
            "evil.com:1919",
            "evil.com.",
            "evillocal.com",
            "local.evil.com",
            "localhost.evil.com",
            "evilcorp.com",
            "xlocal.",
            "..local",
            "evil.com.localhost.evil.com",
            "notboard.example.com",
            "board.example.com.evil.com",
            "x.board.example.com",
            "beacon.example.net",
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
    fn a_domain_can_be_allowed_with_all_in_it() {
        let policy = policy(&[".Example.net", ".zone"], &[]);
        for (host, expected) in [
            ("example.net", true),
            ("board.example.net:1920", true),
            ("a.b.EXAMPLE.net.", true),
            ("x.zone", true),
            ("xexample.net", false),
            ("example.net.evil.com", false),
            ("xzone.com", false),
        ] {
            assert_eq!(lets_in(&policy, host, None), expected, "{host}");
        }
    }

    #[test]
    fn the_own_name_is_its_own_in_every_search_domain() {
        let policy = policy(&[], &[]);
        let host = |text: &str| Host::parse(text).unwrap().0;
        assert_eq!(policy.own_domain(&host("Beacon.fritz.box.:80")), Some("fritz.box"));
        let domains = ["Fritz.Box.".to_owned(), ".".to_owned(), "a b".to_owned(), "1.2.3.4".to_owned()];
        for (name, expected) in [
            ("beacon.fritz.box", true),
            ("Beacon.fritz.box:1920", true),
            ("beacon.example.org", true),
            ("fritz.box", false),
            ("other.fritz.box", false),
            ("x.beacon.fritz.box", false),
            ("beacon.x.fritz.box", false),
            ("beacon.box", false),
            ("beacon.evil.com", false),
        ] {
            assert_eq!(policy.allows_host(&host(name), &domains), expected, "{name}");
        }
        assert!(!policy.allows_host(&host("beacon.fritz.box"), &[]), "it was another network");
        let nameless = HostPolicy::new(None, &[], &[]).unwrap();
        assert_eq!(nameless.own_domain(&host("beacon.fritz.box")), None);
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
            ("board.local", "ftp://board.local", false),
            ("board.local", "file://board.local", false),
            ("board.local", "chrome-extension://board.local", false),
            ("board.local", "http://evil.com", false),
            ("board.local", "board.local", false),
            ("board.local", "null", false),
            ("board.local", "http://", false),
            ("board.local", "", true),
            ("board.local", "file://", true),
            ("board.local", "http://evil.com/board.local", true),
            ("127.0.0.1", "http://localhost", false),
        ] {
            assert_eq!(lets_in(&policy, host, Some(origin)), expected, "{origin} to {host}");
        }
    }

    #[test]
    fn allowed_origins_may_connect_too() {
        let policy = policy(
            &[],
            &[
                "https://example.com",
                "http://example.net:8080",
                "dev.example",
                "port.example:3000",
                "null",
                "file://",
                "app://.",
                "capacitor://localhost",
                "app://obsidian.md",
                "content://",
            ],
        );
        for (origin, expected) in [
            ("https://example.com", true),
            ("https://EXAMPLE.com:443", true),
            ("https://example.com:8443", false),
            ("http://example.com", false),
            ("https://www.example.com", false),
            ("http://example.net:8080", true),
            ("http://example.net", false),
            ("http://dev.example:3000", true),
            ("other://dev.example", true),
            ("http://port.example:3000", true),
            ("http://port.example", false),
            ("null", true),
            ("NULL", true),
            ("capacitor://localhost", true),
            ("capacitor://localhost:1", false),
            ("ionic://localhost", false),
            ("APP://obsidian.md", true),
            ("content://", true),
            ("content://x", false),
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
    fn what_is_refused_can_be_allowed_as_it_is_shown() {
        let nobody = policy(&[], &[]);
        for text in [
            "http://evil.com",
            "https://[::1]:8443",
            "sensor",
            "sensor:80",
            "null",
            "x-y.z://a_b:1",
            "content://",
            "moz-extension://0-f",
            "my sensor",
            "sensor/1",
            "custom:app",
        ] {
            let origin = Origin::parse(text);
            let host = Host::Name("board.local".into());
            assert!(!nobody.allows_origin(&origin, &host), "{text}");
            assert!(policy(&[], &[&origin.text().unwrap()]).allows_origin(&origin, &host), "{text}");
        }
    }

    #[test]
    fn a_value_that_can_never_match_is_named() {
        let host = |text: &str| HostPolicy::new(None, &[text.to_owned()], &[]).unwrap_err();
        for text in ["http://board", "board:80", "board:", ".", "..", ".board:80", ".1.2.3.4", "*"] {
            assert!(host(text).contains("such as board.example.com, or .example.com"), "{text}");
        }
        assert!(host("board:80").contains("with no port"));
        let origin = |text: &str| HostPolicy::new(None, &[], &[text.to_owned()]).unwrap_err();
        assert!(origin("https://example.com/").contains("with no path"));
        for text in
            ["https:/example.com", "http://user@example.com", "http://", "*.example.com", "example.com/", "WS:x"]
        {
            assert!(origin(text).contains("such as https://example.com"), "{text}");
        }
    }
}
