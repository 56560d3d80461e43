//! The query of an address: what is wanted of a channel, in which form, from where on, and for how long.
//!
//! The input is a query, and behind line ends what a browser adds: `Accept`, and `Last-Event-ID`.

use foghorn::api::channel_request::Way;
use foghorn::hub::stream_encoding::Encoding;
use foghorn::server::route::Route;

use crate::host_policy::{rules, search_domains};
use crate::{Kind, everybody, kind, percent_decoded};

/// What is wanted, as the oracle reads it.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Wish {
    Status,
    Last,
    Stream {
        form: &'static str,
        after: Option<(String, u64)>,
        history: Option<u64>,
        count: Option<u64>,
    },
    Page,
    /// It cannot be read.
    Nonsense,
}

/// Any text as a query.
///
/// # Panics
/// If something else is read than docs/wire.md says.
pub fn target(bytes: &[u8]) -> Kind {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let (query, accept, id) = (lines.next().unwrap_or_default(), lines.next(), lines.next());
    let is_visible = |text: &str| text.chars().all(|char| ('!'..='~').contains(&char));
    if !is_visible(query) || ![accept, id].into_iter().flatten().all(is_visible) {
        return kind("not what a head can have");
    }
    let line = |name: &str, value: Option<&str>| value.map_or_else(String::new, |value| format!("{name}: {value}\r\n"));
    let head = format!(
        "GET /c/x?{query} HTTP/1.1\r\nHost: localhost\r\n{}{}\r\n",
        line("Accept", accept),
        line("Last-Event-ID", id)
    );
    let route = Route::of(head.as_bytes(), &rules(), &search_domains(), || None, everybody).map(|(route, _)| route);
    let read = match route {
        Ok(Route::Page(page)) => {
            assert_eq!(page.target, format!("/?{query}"), "the page gets the query");
            Wish::Page
        }
        Ok(Route::Channel(request, _)) => match request.way {
            Way::Status => Wish::Status,
            Way::Last(_) => Wish::Last,
            other => panic!("{query:?} is {other:?}"),
        },
        Ok(Route::Stream(name, stream, _)) => {
            assert_eq!(name.as_str(), "x");
            let form = match stream.encoding {
                Encoding::Events => "events",
                Encoding::Lines => "lines",
                Encoding::Json => "json",
            };
            let after = stream.after.map(|position| (position.epoch, position.seq));
            Wish::Stream { form, after, history: stream.history, count: stream.count }
        }
        Ok(other) => panic!("{query:?} is {other:?}"),
        Err(refused) => {
            assert_eq!(refused.refusal.status, 400, "{query:?}");
            Wish::Nonsense
        }
    };
    assert_eq!(
        read,
        expected(query, accept.unwrap_or_default(), id.unwrap_or_default()),
        "{query:?} {accept:?} {id:?}"
    );
    let shape =
        (query.matches('&').count().min(4), query.contains('%'), accept.is_some(), id.map(|id| id.len().min(3)));
    match read {
        Wish::Stream { form, after, history, count } => {
            let known = after.map(|(epoch, _)| epoch.len().min(2));
            kind((form, known, history.is_some(), count.is_some(), shape))
        }
        other => kind((other, shape)),
    }
}

fn expected(query: &str, accept: &str, id: &str) -> Wish {
    let pairs: Vec<(&str, &str)> = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    if let Some((name, _)) = pairs.iter().find(|(name, _)| ["status", "last"].contains(name)) {
        return if *name == "last" { Wish::Last } else { Wish::Status };
    }
    let values = |wanted: &'static str| pairs.iter().filter(move |(name, _)| *name == wanted).map(|(_, value)| *value);
    let mut form = None;
    for value in values("as") {
        let decoded = percent_decoded(value);
        form = ["events", "lines", "json"].into_iter().find(|form| decoded.as_deref() == Some(form));
        if form.is_none() {
            return Wish::Nonsense;
        }
    }
    let is_browser = accept.split(',').any(|member| {
        let media_type = member.split(';').next().unwrap_or_default();
        media_type.eq_ignore_ascii_case("text/event-stream")
    });
    let Some(form) = form.or(is_browser.then_some("events")) else { return Wish::Page };
    // The last one of a name counts, and all of them have to be right.
    let last = |name, is_right: &dyn Fn(&str) -> bool| -> Option<Option<String>> {
        let mut found = None;
        for value in values(name) {
            found = Some(percent_decoded(value).filter(|text| is_right(text))?);
        }
        Some(found)
    };
    let is_number = |text: &str| number(text).is_some();
    let is_position = |text: &str| position(text).is_some();
    let (Some(after), Some(history), Some(count)) =
        (last("after", &is_position), last("history", &is_number), last("count", &is_number))
    else {
        return Wish::Nonsense;
    };
    let after = if id.is_empty() {
        after.and_then(|text| position(&text))
    } else {
        // What cannot be read is a place that nobody knows.
        Some(position(id).unwrap_or_default())
    };
    let number_of = |text: Option<String>| text.and_then(|text| number(&text));
    Wish::Stream { form, after, history: number_of(history), count: number_of(count) }
}

/// By hand: `u64::from_str` takes a plus sign.
fn number(text: &str) -> Option<u64> {
    let add = |number: u64, char: char| number.checked_mul(10)?.checked_add(u64::from(char.to_digit(10)?));
    if text.is_empty() { None } else { text.chars().try_fold(0, add) }
}

fn position(text: &str) -> Option<(String, u64)> {
    let at = text.find(':')?;
    let (epoch, seq) = (&text[..at], number(&text[at + 1..])?);
    let is_epoch = !epoch.is_empty() && epoch.len() <= 32 && epoch.chars().all(|char| char.is_ascii_alphanumeric());
    is_epoch.then(|| (epoch.to_owned(), seq))
}
