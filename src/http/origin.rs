//! What an Origin says: which page asks, or that it is none.
//!
//! Leaves to `host_policy` which of them may. What must stay true: only what no browser says for a page of the web counts as a program's
//! (RFC 6454 section 6.2, and the HTML standard's serialization of an origin, which has no path).

use crate::http::host::Host;

/// What an Origin says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nothing, or what programs make up: `file://`, `app://.`, `ws://` of any host, or an address with a path. Both common Arduino
    /// libraries send such ones.
    Program,
    /// `null`: a page from a disk, or in a sandbox.
    Null,
    /// Scheme, host, and the port if it is not the scheme's own.
    Page {
        /// In lower case; empty where there is none, as some programs have it.
        scheme: String,
        /// The host.
        host: Host,
        /// `None` is the scheme's own.
        port: Option<u16>,
    },
    /// Anything else, in lower case; empty if it is no text.
    Other(String),
}

impl Origin {
    /// Reads the header's value.
    pub fn parse(text: &str) -> Self {
        if text.is_empty() {
            return Self::Program;
        }
        let is_origin_byte = |byte: u8| byte.is_ascii_graphic() && !b",\"<>\\^`{|}?#".contains(&byte);
        let other = || Self::Other(text.to_ascii_lowercase());
        if !text.bytes().all(is_origin_byte) {
            return other();
        }
        let Some((scheme, authority)) = text.split_once("://") else {
            return match Host::parse(text) {
                // Also with an empty port or a dot at its end, since what a refusal shows has neither, and is what one allows.
                Some((Host::Name(name), None)) if name == "null" => Self::Null,
                Some((host, port)) => Self::Page { scheme: String::new(), host, port },
                None => other(),
            };
        };
        let scheme = scheme.to_ascii_lowercase();
        if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
            return other();
        }
        let (authority, has_path) =
            authority.split_once('/').map_or((authority, false), |(authority, _)| (authority, true));
        let host = Host::parse(authority);
        match (scheme.as_str(), host) {
            ("file", None) if authority.is_empty() => Self::Program,
            ("app", None) if authority == "." => Self::Program,
            ("ws" | "wss", Some(_)) => Self::Program,
            (_, Some(_)) if has_path => Self::Program,
            (_, Some((host, port))) => {
                let port = port.filter(|&port| Some(port) != default_port(&scheme));
                Self::Page { scheme, host, port }
            }
            (_, None) => other(),
        }
    }

    /// The form in which it can be allowed. `None` where nothing has to be, or there is no text.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Program => None,
            Self::Null => Some("null".to_owned()),
            Self::Page { scheme, host, port } => {
                let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
                let port = port.map_or_else(String::new, |port| format!(":{port}"));
                Some(format!("{scheme}{host}{port}"))
            }
            Self::Other(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        }
    }
}

/// The port of a scheme of the web.
pub fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_page_of_the_web_sends_is_a_program() {
        for text in [
            "",
            "file://",
            "FILE://",
            "file:///",
            "file:///android_asset/index.html",
            "app://.",
            "ws://board.local",
            "wss://board.example.com:443",
            "ws://evil.example:81",
            "https://github.com/gilmaimon/TinyWebsockets",
            "http://board.local/",
            "http://evil.example/",
        ] {
            assert_eq!(Origin::parse(text), Origin::Program, "{text:?}");
        }
    }

    #[test]
    fn a_page_is_seen_and_has_one_form() {
        for (text, expected) in [
            ("HTTP://Evil.Example", "http://evil.example"),
            ("http://evil.example.", "http://evil.example"),
            ("http://evil.example:80", "http://evil.example"),
            ("https://evil.example:443", "https://evil.example"),
            ("https://evil.example:80", "https://evil.example:80"),
            ("http://[0::1]:8080", "http://[::1]:8080"),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("capacitor://localhost:80", "capacitor://localhost:80"),
            ("app://obsidian.md", "app://obsidian.md"),
            ("file://board.local", "file://board.local"),
            ("content://", "content://"),
            ("other://.", "other://."),
            ("ESP32.local:80", "esp32.local:80"),
            ("sensor", "sensor"),
            ("Null", "null"),
            ("null:", "null"),
            ("null.", "null"),
            ("null:80", "null:80"),
            ("http://null", "http://null"),
        ] {
            let origin = Origin::parse(text);
            assert_eq!(origin.text().as_deref(), Some(expected), "{text}");
            assert_eq!(Origin::parse(expected), origin, "{text}");
            assert_eq!(origin == Origin::Null, expected == "null", "{text}");
        }
    }

    #[test]
    fn nothing_else_is_a_page_or_a_program() {
        for text in [
            "http://",
            "http:///",
            "http://./x",
            "file://[x",
            "app://..",
            "ws://",
            "://board.local",
            "board.local/x",
            "*",
            " ",
            "file:x",
            "h_ttp://board.local",
            "http://evil.example http://board.local/",
            "http://evil.example, http://board.local/",
            "http://user@evil.example/",
            "http://evil.example\\/",
            "http://evil.example#/",
            "http://evil.example?/",
            "http://evil.example/?",
            "http://evil.example/,http://board.local",
            "other://a?b",
            "other://./x",
            "http://évil.example/",
        ] {
            assert_eq!(Origin::parse(text), Origin::Other(text.to_ascii_lowercase()), "{text:?}");
        }
    }
}
