//! CORS: what the browser of a page is told, so that the page may ask from another origin, and read what it gets (the Fetch standard,
//! "CORS protocol").
//!
//! Leaves to `host_policy` which pages may. What must stay true: only an origin that may come in is named, as its browser has written it
//! and never as `*`; nothing is allowed with credentials; whether there is an Origin or not, an answer says that it depends on it.

use std::fmt::Write;

use crate::config::limits::{PREFLIGHT_HEADERS_BYTES_MAX, PREFLIGHT_MAX_AGE};
use crate::http::body::is_token_byte;
use crate::http::head::Head;
use crate::http::host_policy::HostPolicy;
use crate::http::origin::Origin;

/// The methods with which a channel can be used from a page.
const METHODS: &str = "GET, HEAD, POST, PUT, DELETE";

/// What a page may read of an answer beside its body, and what every page may read: `Cache-Control`, `Content-Type`, `Content-Length`.
const EXPOSED: &str = "Foghorn-Seq, Foghorn-Lost, Age, ETag, Retry-After";

/// Header lines of every answer that has messages in it: whatever somebody has sent is shown as what it says it is, runs no script
/// in the name of the board, and is no part of a foreign page.
pub const MESSAGE_LINES: &str = "X-Content-Type-Options: nosniff\r\n\
     Content-Security-Policy: sandbox\r\n\
     Cross-Origin-Resource-Policy: same-site\r\n";

/// What a request that may come in is told about its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// The origin as it came, if a page can have sent it.
    origin: Option<String>,
}

impl Cors {
    /// Reads who asks.
    ///
    /// # Errors
    /// The origin, if that may not come in.
    pub fn check(head: &Head<'_>, policy: &HostPolicy) -> Result<Self, Origin> {
        let (text, origin) = match head.headers.one("origin") {
            Ok(text) => (text.unwrap_or_default(), Origin::parse(text.unwrap_or_default())),
            Err(_) => ("", Origin::Other(String::new())),
        };
        if !policy.allows_origin(&origin, &head.host) {
            return Err(origin);
        }
        // What has blanks in it no browser has sent.
        let is_named = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        Ok(Self { origin: is_named.then(|| text.to_owned()) })
    }

    /// The origin as it came, if a page can have sent it.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Header lines for every answer to it, refusals too.
    pub fn lines(&self) -> String {
        let mut lines = "Vary: Origin\r\n".to_owned();
        if let Some(origin) = &self.origin {
            let _ =
                write!(lines, "Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Expose-Headers: {EXPOSED}\r\n");
        }
        lines
    }
}

/// Whether a browser asks whether its page may send what no page could send without scripts.
pub fn is_preflight(head: &Head<'_>) -> bool {
    head.method == "OPTIONS" && head.headers.has_any(|name| name.eq_ignore_ascii_case("access-control-request-method"))
}

/// Header lines more for the answer to an `OPTIONS` request. For a preflight they say what may be sent: any header, since a page that may come in may
/// send what a program may, and each by its name, since browsers before 2019 take no `*`.
///
/// `Access-Control-Allow-Private-Network` is not among them: Chromium asked for it for some years, but went on without it, and
/// asks its user now.
pub fn options_lines(head: &Head<'_>) -> String {
    let mut lines = format!("Allow: {METHODS}, OPTIONS\r\n");
    if !is_preflight(head) {
        return lines;
    }
    let _ = write!(lines, "Access-Control-Allow-Methods: {METHODS}\r\n");
    let wanted = head.headers.tokens("access-control-request-headers").filter(|name| is_token(name));
    let wanted = wanted.collect::<Vec<_>>().join(", ");
    if (1..=PREFLIGHT_HEADERS_BYTES_MAX).contains(&wanted.len()) {
        let _ = write!(lines, "Access-Control-Allow-Headers: {wanted}\r\n");
    }
    let _ = write!(lines, "Access-Control-Max-Age: {}\r\n", PREFLIGHT_MAX_AGE.as_secs());
    lines
}

/// Whether it can be the name of a header (RFC 9110 section 5.6.2).
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_token_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told to a request to `board.local` with these lines, if it may come in with these `--allow-origin`.
    fn told(lines: &[&str], allowed: &[&str], say: impl Fn(&Cors, &Head<'_>) -> String) -> Option<Vec<String>> {
        let head = ["OPTIONS / HTTP/1.1", "Host: board.local:1920"].iter().chain(lines);
        let head = head.flat_map(|line| [*line, "\r\n"]).chain(["\r\n"]).collect::<String>();
        let head = Head::parse(head.as_bytes(), || None).unwrap();
        let allowed: Vec<String> = allowed.iter().map(|&text| text.to_owned()).collect();
        let cors = Cors::check(&head, &HostPolicy::new(None, &[], &allowed).unwrap()).ok()?;
        let lines = say(&cors, &head);
        assert!(lines.is_empty() || lines.ends_with("\r\n"), "{lines:?}");
        Some(lines.lines().map(str::to_owned).collect())
    }

    fn answer(lines: &[&str], allowed: &[&str]) -> Option<Vec<String>> {
        told(lines, allowed, |cors, _| cors.lines())
    }

    fn options(lines: &[&str]) -> Vec<String> {
        told(lines, &[], |_, head| options_lines(head)).unwrap()
    }

    #[test]
    fn a_page_that_may_come_in_is_named_as_its_browser_has_written_it() {
        for (origin, allowed) in [
            ("http://board.local", &[][..]),
            ("http://board.local:8080", &[]),
            ("https://BOARD.local", &[]),
            ("http://laptop:5173", &["laptop"]),
            ("https://example.com", &["https://example.com"]),
            ("https://example.com:8443", &["*"]),
            ("null", &["null"]),
            ("null", &["*"]),
            ("capacitor://localhost", &["capacitor://localhost"]),
            ("content://", &["content://"]),
            ("file://", &[]),
            ("app://.", &[]),
        ] {
            let expected = [
                "Vary: Origin".to_owned(),
                format!("Access-Control-Allow-Origin: {origin}"),
                "Access-Control-Expose-Headers: Foghorn-Seq, Foghorn-Lost, Age, ETag, Retry-After".to_owned(),
            ];
            let lines = [&*format!("Origin: {origin}")];
            assert_eq!(answer(&lines, allowed).as_deref(), Some(&expected[..]), "{origin}");
            let named = told(&lines, allowed, |cors, _| format!("{}\r\n", cors.origin().expect("it has one")));
            assert_eq!(named, Some(vec![origin.to_owned()]));
        }
    }

    #[test]
    fn a_foreign_page_is_told_nothing() {
        for (origin, allowed) in [
            ("http://evil.example", &[][..]),
            ("null", &[]),
            ("http://board.local.evil.example", &["https://example.com"]),
            ("http://example.com", &["https://example.com"]),
            ("http://board.local, http://evil.example", &[]),
            ("é", &[]),
        ] {
            assert_eq!(answer(&[&format!("Origin: {origin}")], allowed), None, "{origin}");
        }
        let own = "Origin: http://board.local";
        assert_eq!(answer(&[own, own], &[]), None, "two");
    }

    #[test]
    fn who_says_no_origin_that_can_be_named_is_told_only_that_it_matters() {
        let own = "Origin: http://board.local";
        for lines in [&[][..], &["Origin:"], &["Origin: My Sensor"], &["Origin: a\tb"], &[own, own], &["Origin: é"]] {
            assert_eq!(answer(lines, &["*"]), Some(vec!["Vary: Origin".to_owned()]), "{lines:?}");
        }
    }

    #[test]
    fn nothing_is_ever_allowed_with_credentials_or_to_everybody() {
        for allowed in ["*", "https://example.com"] {
            for line in ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization"] {
                let lines = ["Origin: https://example.com", line];
                for said in [answer(&lines, &[allowed]), told(&lines, &[allowed], |_, head| options_lines(head))] {
                    let said = said.unwrap().join("\n");
                    assert!(!said.contains("Credentials") && !said.contains('*'), "{said}");
                }
            }
        }
    }

    const ALLOW: &str = "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS";

    #[test]
    fn a_preflight_is_told_methods_and_each_header_that_it_asks_for() {
        let asks = ["Origin: http://board.local:5173", "Access-Control-Request-Method: PUT"];
        let expected =
            [ALLOW, "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, DELETE", "Access-Control-Max-Age: 7200"];
        assert_eq!(options(&asks), expected);
        assert_eq!(options(&[&asks[..], &["Access-Control-Request-Private-Network: true"]].concat()), expected);
        for (wanted, allowed) in [
            ("content-type", "content-type"),
            ("authorization,x-requested-with", "authorization, x-requested-with"),
            (" last-event-id , ,if-none-match", "last-event-id, if-none-match"),
            ("x\"y, traceparent, a b", "traceparent"),
        ] {
            let header = format!("Access-Control-Request-Headers: {wanted}");
            let said = options(&[&asks[..], &[&header]].concat());
            assert_eq!(said[2], format!("Access-Control-Allow-Headers: {allowed}"), "{wanted}");
            assert_eq!(said.len(), 4);
        }
        assert_eq!(options(&[&asks[..], &["Access-Control-Request-Headers: \"\""]].concat()), expected);
    }

    #[test]
    fn a_preflight_that_asks_for_very_many_headers_is_not_told_their_names() {
        let has_names = |bytes: usize| {
            let header = format!("Access-Control-Request-Headers: {}", "x".repeat(bytes));
            let asks = ["Origin: http://board.local", "Access-Control-Request-Method: GET", &header];
            options(&asks).iter().any(|line| line.starts_with("Access-Control-Allow-Headers"))
        };
        assert!(has_names(PREFLIGHT_HEADERS_BYTES_MAX) && !has_names(PREFLIGHT_HEADERS_BYTES_MAX + 1));
    }

    #[test]
    fn an_options_request_that_is_no_preflight_is_told_the_methods() {
        for lines in [&[][..], &["Origin: http://board.local"], &["Access-Control-Request-Headers: x"]] {
            assert_eq!(options(lines), [ALLOW], "{lines:?}");
        }
    }
}
