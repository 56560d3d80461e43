//! The code that a request brings: where it may stand, and what counts as one that is wrong.
//!
//! The input is a query, and behind line ends the values of `Authorization`.

use foghorn::http::head::Head;
use foghorn::http::offered_code::{OfferedCode, Place};

use crate::{Kind, kind, percent_decoded};

/// What is brought, as the oracle reads it: `None` in place of the code where that cannot be read.
type Brought = Option<(bool, Option<String>)>;

/// Any bytes as a query and header lines.
///
/// # Panics
/// If another code is found than docs/wire.md says, or one is shown.
pub fn target(bytes: &[u8]) -> Kind {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let query = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    if !query.bytes().all(|byte| byte.is_ascii_graphic()) {
        return kind("not what a target can have");
    }
    let values: Vec<&[u8]> = lines.collect();
    let mut head = format!("GET /c/x?{query} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
    for value in &values {
        head.extend_from_slice(&[b"Authorization: ", *value, b"\r\n"].concat());
    }
    head.extend_from_slice(b"\r\n");
    let Ok(head) = Head::parse(&head, || None) else { return kind("no head") };
    let read = OfferedCode::of(&head);
    let found: Brought = read.as_ref().map(|code| (code.place == Place::Query, code.text().map(str::to_owned)));
    assert_eq!(found, expected(&query, &values), "{query:?} {values:?}");
    if let Some(text) = read.as_ref().and_then(OfferedCode::text) {
        // Words that it is shown with anyway are no secret.
        let shown = format!("{read:?}");
        assert!(text.len() < 12 || !shown.contains(text), "{shown}");
    }
    let shape = found.map(|(is_in_query, text)| (is_in_query, text.map(|text| text.len().min(3))));
    kind((shape, query.matches("code").count().min(3), query.contains('%'), values.len().min(3)))
}

fn expected(query: &str, values: &[&[u8]]) -> Brought {
    let in_query: Vec<&str> = query.split('&').filter(|pair| *pair == "code" || pair.starts_with("code=")).collect();
    match in_query[..] {
        [] => {}
        [one] => return Some((true, one.strip_prefix("code=").and_then(percent_decoded))),
        _ => return Some((true, None)),
    }
    let [value] = values[..] else { return (!values.is_empty()).then_some((false, None)) };
    let is_blank = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let begins = value.iter().position(|byte| !is_blank(byte))?;
    let ends = value.iter().rposition(|byte| !is_blank(byte)).expect("one is none") + 1;
    let value = &value[begins..ends];
    if !value.iter().all(|byte| (0x20..0x7f).contains(byte) || *byte == b'\t') {
        return Some((false, None));
    }
    let scheme_ends = value.iter().position(is_blank).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(scheme_ends);
    let rest: String = rest.iter().skip_while(|byte| is_blank(byte)).copied().map(char::from).collect();
    match &*scheme.to_ascii_lowercase() {
        b"bearer" => Some((false, Some(rest))),
        b"basic" => {
            let decoded = base64(&rest).and_then(|bytes| String::from_utf8(bytes).ok());
            Some((false, decoded.and_then(|text| text.find(':').map(|at| text[at + 1..].to_owned()))))
        }
        _ => None,
    }
}

/// By hand, as the other opinion on what `data-encoding` does for the server.
fn base64(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    if text.len() % 4 != 0 || padding > 2 {
        return None;
    }
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in digits.bytes() {
        let value = DIGITS.iter().position(|its| *its == digit)?;
        bits = bits << 6 | u32::try_from(value).expect("64 digits");
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).expect("8 bits"));
            bits &= (1 << held) - 1;
        }
    }
    // What is left over says nothing.
    (bits == 0).then_some(bytes)
}
