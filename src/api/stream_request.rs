//! `GET` for a stream: in which form, from where on, and for how long.
//!
//! Leaves serving it to `stream`. What must stay true: what stands in an address and cannot be read is refused with a sentence; what a
//! browser sends by itself never is, since it would give up for good.

use crate::http::head::Head;
use crate::http::query;
use crate::http::refusal::{BAD_AFTER, BAD_AS, BAD_COUNT, BAD_HISTORY, Refusal, STREAM_BY_GET};
use crate::hub::position::Position;
use crate::hub::stream_encoding::Encoding;

/// What a stream is to be.
#[derive(Debug, PartialEq, Eq)]
pub struct StreamRequest {
    /// `?as=`, or `Accept: text/event-stream`.
    pub encoding: Encoding,
    /// `Last-Event-ID`, or `?after=`: where the client wants to go on.
    pub after: Option<Position>,
    /// `?history=`: how many of the last messages it wants.
    pub history: Option<u64>,
    /// `?count=`: after how many messages it ends.
    pub count: Option<u64>,
}

impl StreamRequest {
    /// Reads what is wanted. `None`: no stream.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn parse(head: &Head<'_>) -> Result<Option<Self>, Refusal> {
        let (mut form, mut after, mut history, mut count) = (None, None, None, None);
        for (name, value) in query::pairs(&head.target) {
            if name == "as" {
                form = Some(query::value(value.unwrap_or_default(), form_of, BAD_AS)?);
            }
        }
        let Some(encoding) = form.or(wants_events(head).then_some(Encoding::Events)) else { return Ok(None) };
        if head.method != "GET" {
            return Err(STREAM_BY_GET);
        }
        head.framing.check_no_body()?;
        for (name, value) in query::pairs(&head.target) {
            let value = value.unwrap_or_default();
            match name {
                "after" => after = Some(query::value(value, Position::parse, BAD_AFTER)?),
                "history" => history = Some(query::value(value, query::number, BAD_HISTORY)?),
                "count" => count = Some(query::value(value, query::number, BAD_COUNT)?),
                _ => {}
            }
        }
        if let Some(id) = last_event_id(head) {
            after = Some(id);
        }
        Ok(Some(Self { encoding, after, history, count }))
    }
}

/// Whether somebody asks as the `EventSource` of a browser does.
pub fn wants_events(head: &Head<'_>) -> bool {
    head.method == "GET" && head.headers.tokens("accept").any(is_events)
}

/// Whether a member of `Accept` is the media type of events, whatever its parameters.
fn is_events(member: &str) -> bool {
    member.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("text/event-stream"))
}

fn form_of(text: &str) -> Option<Encoding> {
    match text {
        "events" => Some(Encoding::Events),
        "lines" => Some(Encoding::Lines),
        "json" => Some(Encoding::Json),
        _ => None,
    }
}

/// Where a browser goes on by itself. One that cannot be read is a place that nobody knows.
fn last_event_id(head: &Head<'_>) -> Option<Position> {
    let nowhere = || Position { epoch: String::new(), seq: 0 };
    match head.headers.one("last-event-id") {
        Ok(None | Some("")) => None,
        Ok(Some(id)) => Some(Position::parse(id).unwrap_or_else(nowhere)),
        Err(_) => Some(nowhere()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(first: &str, lines: &[&str]) -> Result<Option<StreamRequest>, Refusal> {
        let lines = [&[first, "Host: x"], lines, &[""]].concat();
        let head = lines.iter().flat_map(|line| [*line, "\r\n"]).collect::<String>();
        StreamRequest::parse(&Head::parse(head.as_bytes(), || None)?)
    }

    fn get(target: &str, lines: &[&str]) -> Result<StreamRequest, u16> {
        let parsed = parse(&format!("GET {target} HTTP/1.1"), lines);
        parsed.map(|stream| stream.expect("a stream")).map_err(|refusal| refusal.status)
    }

    fn position(seq: u64) -> Position {
        Position { epoch: "abc".into(), seq }
    }

    #[test]
    fn a_stream_is_asked_for_by_the_address_or_by_a_browser() {
        let form = |target, lines: &[&str]| get(target, lines).map(|stream| stream.encoding);
        assert_eq!(form("/?as=events", &[]), Ok(Encoding::Events));
        assert_eq!(form("/c/x?a&as=lines", &[]), Ok(Encoding::Lines));
        assert_eq!(form("/", &["Accept: text/event-stream"]), Ok(Encoding::Events));
        assert_eq!(form("/", &["Accept: text/html, Text/Event-Stream;q=0.5"]), Ok(Encoding::Events));
        assert_eq!(form("/?as=json", &["Accept: text/event-stream"]), Ok(Encoding::Json), "the address wins");
        assert_eq!(parse("GET /?after=x HTTP/1.1", &["Accept: */*"]), Ok(None));
        assert_eq!(parse("HEAD / HTTP/1.1", &["Accept: text/event-stream"]), Ok(None));
        assert_eq!(parse("HEAD /?as=events HTTP/1.1", &[]), Err(STREAM_BY_GET));
    }

    #[test]
    fn wishes_stand_in_the_address() {
        let stream = get("/?as=json&after=abc%3A41&history=5&count=2", &[]).unwrap();
        assert_eq!((stream.after, stream.history, stream.count), (Some(position(41)), Some(5), Some(2)));
        for query in
            ["as", "as=", "as=xml", "after=", "after=abc", "history=-1", "history", "count=", "count=x", "count"]
        {
            assert_eq!(get(&format!("/?as=json&{query}"), &[]), Err(400), "{query}");
        }
    }

    #[test]
    fn the_last_event_id_wins_and_is_never_refused() {
        let after = |lines: &[&str]| get("/?as=events&after=abc:1", lines).unwrap().after;
        assert_eq!(after(&["Last-Event-ID: abc:2"]), Some(position(2)));
        assert_eq!(after(&["Last-Event-ID:"]), Some(position(1)));
        let nowhere = Some(Position { epoch: String::new(), seq: 0 });
        assert_eq!(after(&["Last-Event-ID: who knows"]), nowhere);
        assert_eq!(after(&["Last-Event-ID: abc:2", "Last-Event-ID: abc:3"]), nowhere);
        assert_eq!(after(&["Last-Event-ID: \u{e9}"]), nowhere);
    }
}
