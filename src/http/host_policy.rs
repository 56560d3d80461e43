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
mod tests;
