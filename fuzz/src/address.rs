//! The address that a client of the shell is given, and what goes out for it.
//!
//! The input is `FOGHORN_URL`, behind a line end the address, and behind another one a code.

use foghorn::client::address::Address;
use foghorn::http::head::Head;
use foghorn::http::host::Host;
use foghorn::http::offered_code::OfferedCode;

use crate::{Kind, kind};

/// Any text as an address.
///
/// # Panics
/// If what goes out for it is no request that the server reads as it was meant, or a code is shown.
pub fn target(bytes: &[u8]) -> Kind {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let [url, word, code] = [(); 3].map(|()| lines.next());
    let (Some(url), Some(word)) = (url, word) else { return kind("no address") };
    let address = match Address::parse(word, Some(url)) {
        Ok(address) => address.with_code(code, None),
        Err(sentence) => {
            assert!(sentence.starts_with("the address ") || sentence.starts_with("FOGHORN_URL "), "{sentence}");
            return kind(sentence);
        }
    };
    let shown = format!("{address} {address:?}");
    assert!(!shown.chars().any(char::is_control), "{shown:?}");

    let login = address.authorization().map(|login| format!("Authorization: {login}\r\n")).unwrap_or_default();
    let target = address.target(&[("after", word.to_owned())]);
    let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n{login}\r\n", address.host_header());
    let read = Head::parse(head.as_bytes(), || None).unwrap_or_else(|_| panic!("{head:?} is no head"));
    assert!(Host::parse(&address.host_header()).is_some(), "{head:?}");
    let offered = OfferedCode::of(&read);
    if let Some(code) = code.filter(|code| !code.is_empty()) {
        assert_eq!(offered.as_ref().and_then(OfferedCode::text), Some(code), "{head:?}");
        assert!(code.len() < 12 || !shown.contains(code) || word.contains(code) || url.contains(code), "{shown:?}");
    }
    let shape = (target.matches('/').count().min(4), target.matches('&').count().min(3), target.contains('%'));
    kind((shape, address.hosts.len(), address.port.min(81), offered.is_some(), login.is_empty(), word.starts_with(':')))
}
