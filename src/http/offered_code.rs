//! The code that a request brings: in its address, or as `Authorization` (RFC 7617 and RFC 6750).
//!
//! Leaves to others whether it is right. What must stay true: nothing of it is shown, in whatever way this is printed; what cannot be read
//! is a code that is wrong, and not none.

use std::fmt;

use data_encoding::BASE64;
use percent_encoding::percent_decode_str;

use crate::http::head::{Head, Headers};
use crate::http::query;

/// A code that came with a request.
#[derive(Clone, PartialEq, Eq)]
pub struct OfferedCode {
    text: Result<String, Unreadable>,
    /// Where it stood.
    pub place: Place,
}

/// What was brought in place of a code.
#[derive(Clone, PartialEq, Eq)]
struct Unreadable;

/// Where a code stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `?code=`: meant for us.
    Query,
    /// `Authorization`: perhaps meant for a proxy.
    Header,
}

impl OfferedCode {
    /// The code of this request, if it brings one. The address wins.
    pub fn of(head: &Head<'_>) -> Option<Self> {
        let mut in_query = query::pairs(&head.target).filter(|(name, _)| *name == "code").map(|(_, value)| value);
        if let Some(value) = in_query.next() {
            // Of two of them one could be right, and the other be tried along with it.
            let text = value.filter(|_| in_query.next().is_none()).and_then(percent_decoded).ok_or(Unreadable);
            return Some(Self { text, place: Place::Query });
        }
        let text = authorization(&head.headers)?;
        Some(Self { text, place: Place::Header })
    }

    /// The code; `None` if it cannot be read, and so is wrong.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref().ok()
    }
}

impl fmt::Debug for OfferedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OfferedCode").field("place", &self.place).finish_non_exhaustive()
    }
}

fn percent_decoded(value: &str) -> Option<String> {
    percent_decode_str(value).decode_utf8().ok().map(Into::into)
}

/// The code that stands in `Authorization`, if there is one of a scheme that has one.
fn authorization(headers: &Headers<'_>) -> Option<Result<String, Unreadable>> {
    let Ok(value) = headers.one("authorization") else { return Some(Err(Unreadable)) };
    let value = value?.trim();
    let (scheme, credentials) = value.split_once([' ', '\t']).unwrap_or((value, ""));
    let credentials = credentials.trim_start();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Ok(credentials.to_owned()));
    }
    scheme.eq_ignore_ascii_case("basic").then(|| password(credentials).ok_or(Unreadable))
}

/// The password of Basic authentication. A user's name has no colon (RFC 7617 section 2).
fn password(credentials: &str) -> Option<String> {
    // The crate takes pieces one behind the other, each with its padding.
    if credentials.trim_end_matches('=').contains('=') {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(credentials.as_bytes()).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brought, and cannot be read.
    const UNREADABLE: &str = "\0";

    /// The code of a request with this target and these lines, and where it stood.
    fn offered(target: &str, lines: &[&str]) -> Option<(String, Place)> {
        let first = format!("GET {target} HTTP/1.1");
        let lines = [&[&*first, "Host: x"], lines, &[""]].concat();
        let head = lines.iter().flat_map(|line| [*line, "\r\n"]).collect::<String>();
        let code = OfferedCode::of(&Head::parse(head.as_bytes(), || None).unwrap())?;
        let shown = format!("{code:?}");
        assert!(code.text().is_none_or(|text| text.is_empty() || !shown.contains(text)), "{shown}");
        Some((code.text().unwrap_or(UNREADABLE).to_owned(), code.place))
    }

    fn in_query(target: &str) -> Option<String> {
        offered(target, &[]).map(|(text, place)| {
            assert_eq!(place, Place::Query);
            text
        })
    }

    fn in_header(line: &str) -> Option<String> {
        offered("/c/x?last", &[line]).map(|(text, place)| {
            assert_eq!(place, Place::Header);
            text
        })
    }

    #[test]
    fn it_stands_in_the_address() {
        assert_eq!(in_query("/?code=4711").as_deref(), Some("4711"));
        assert_eq!(in_query("/any/path?last&code=a-Z.0_9~&x").as_deref(), Some("a-Z.0_9~"));
        assert_eq!(in_query("/?code=%34%37a%2Eb").as_deref(), Some("47a.b"));
        assert_eq!(in_query("/?code=a%2541").as_deref(), Some("a%41"), "decoded once");
        assert_eq!(in_query("/?code=a+b=c").as_deref(), Some("a+b=c"));
        assert_eq!(in_query("/?code=").as_deref(), Some(""));
        for target in ["/", "/?Code=1", "/?xcode=1", "/code=1", "/?x=code=1"] {
            assert_eq!(in_query(target), None, "{target}");
        }
        for target in ["/?code", "/?code=%ff", "/?code=1&code=2", "/?code=1&code=1", "/?code&code=1", "/?code=1&code"] {
            assert_eq!(in_query(target).as_deref(), Some(UNREADABLE), "{target}");
        }
    }

    #[test]
    fn it_is_the_password_of_basic_whoever_the_user_is() {
        for (credentials, code) in [(":4711", "4711"), ("pi:4711", "4711"), ("pi:a:b", "a:b"), ("pi:", ""), (":", "")] {
            let encoded = BASE64.encode(credentials.as_bytes());
            for scheme in ["Basic ", "basic ", "BASIC   ", "Basic\t"] {
                assert_eq!(
                    in_header(&format!("authorization: {scheme}{encoded}")).as_deref(),
                    Some(code),
                    "{scheme}{credentials}"
                );
            }
        }
        let not_utf8 = BASE64.encode(b"pi:\xff");
        for credentials in
            ["", "4711", "cGk=", "cGk6NDcxMQ", "cGk6NDcxMR==", "cGk6 NDcx", "cGk6NDcx,", "cGk6MQ==cGk6MQ==", &not_utf8]
        {
            assert_eq!(
                in_header(&format!("Authorization: Basic {credentials}")).as_deref(),
                Some(UNREADABLE),
                "{credentials}"
            );
        }
        assert_eq!(in_header("Authorization: Basic").as_deref(), Some(UNREADABLE));
    }

    #[test]
    fn it_is_a_bearer_token() {
        assert_eq!(in_header("Authorization: Bearer 4711").as_deref(), Some("4711"));
        assert_eq!(in_header("Authorization: bEARER \t 4711 ").as_deref(), Some("4711"));
        assert_eq!(in_header("Authorization: Bearer a b").as_deref(), Some("a b"));
        assert_eq!(in_header("Authorization: Bearer").as_deref(), Some(""));
    }

    #[test]
    fn other_schemes_are_none_and_what_is_ambiguous_is_wrong() {
        for line in ["Authorization:", "Authorization: Digest username=\"pi\"", "Authorization: 4711", "X: Bearer 4711"]
        {
            assert_eq!(in_header(line), None, "{line}");
        }
        let two = ["Authorization: Bearer 4711", "Authorization: Bearer 4711"];
        assert_eq!(offered("/", &two), Some((UNREADABLE.into(), Place::Header)));
        assert_eq!(in_header("Authorization: Bearer \u{e9}").as_deref(), Some(UNREADABLE));
    }

    #[test]
    fn the_address_wins() {
        let line = "Authorization: Bearer header";
        assert_eq!(offered("/?code=query", &[line]), Some(("query".into(), Place::Query)));
        assert_eq!(offered("/?code=%ff", &[line]), Some((UNREADABLE.into(), Place::Query)));
        assert_eq!(offered("/?code=query", &[line, line]), Some(("query".into(), Place::Query)));
    }
}
