//! A folder without an `index.html` as a page, for `--list`: names, sizes and times, to be sorted by links.
//!
//! Leaves what is served to `served_root`. What must stay true: a page is never larger than a body may be, whatever lies in the folder;
//! nothing is named that is not served; a name is text, and its link leads to it alone.

use std::cmp::Ordering;
use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytesize::ByteSize;

use crate::config::limits::{HTTP_BODY_BYTES_MAX, LISTED_ENTRIES_MAX};
use crate::page::linkless_path::read_folder;
use crate::page::representation::{Representation, entity_tag};
use crate::page::served_root::ServedRoot;
use crate::page::url_path::{decode_path, encode_part, is_hidden};

/// It loads nothing, and no other page has it in a frame.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// In the colours of the built-in page.
const STYLE: &str = "\
:root {
  --fog: #e9eff2;
  --card: #fff;
  --ink: #12252f;
  --soft: #4f6470;
  --line: #c9d6dc;
  --link: #0b5871;
  color-scheme: light dark;
  font: 16px/1.45 system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root { --fog: #0b161d; --card: #17272f; --ink: #e3edf1; --soft: #97adb8; --line: #2b404b; --link: #7fcbe2; }
}
body { margin: 0; background: var(--fog); color: var(--ink); }
main { max-width: 46rem; margin: auto; padding: 12px; }
h1 { margin: 8px 12px 12px; font-size: 1.25rem; overflow-wrap: anywhere; }
p { margin: 12px; color: var(--soft); }
a { color: var(--link); }
p a { display: inline-block; padding: 10px 0; }
p a + a { margin-left: 24px; }
:focus-visible { outline: 3px solid var(--link); outline-offset: -3px; }
table { width: 100%; border-radius: 14px; border-collapse: collapse; background: var(--card); }
th, td { padding: 0; text-align: right; vertical-align: baseline; font-size: .875rem; color: var(--soft); font-variant-numeric: tabular-nums; }
td { padding: 10px 12px 10px 0; border-top: 1px solid var(--line); }
th a { display: block; padding: 10px 12px 10px 0; }
th:first-child, td:first-child { text-align: left; }
th:first-child a { padding-left: 12px; }
td:first-child { padding: 0; font-size: 1rem; overflow-wrap: anywhere; }
td:first-child > * { display: block; padding: 10px 12px; }
td + td { white-space: nowrap; }
wbr { white-space: normal; }
@media (min-width: 40rem) { th { white-space: nowrap; } wbr { display: none; } td:last-child { padding-left: 12px; } }
[aria-sort=ascending] a::after { content: \" ↑\"; content: \" ↑\" / \"\"; }
[aria-sort=descending] a::after { content: \" ↓\"; content: \" ↓\" / \"\"; }
";
/// What is kept of a page for what comes behind its rows, in bytes.
const FOOT_BYTES_MAX: usize = 1024;

/// The page of a folder that is served and has been resolved, of which these are the parts. The query says how it is sorted.
///
/// # Errors
/// If the folder cannot be read.
pub fn list(root: &ServedRoot, folder: &Path, parts: &[String], query: &str) -> io::Result<Representation> {
    let mut found = read_folder(folder)?;
    let first = found.by_ref().take(LISTED_ENTRIES_MAX).flatten();
    let mut entries: Vec<Entry> = first.filter_map(|entry| Entry::find(root, folder, &entry)).collect();
    let view = View::parse(query);
    entries.sort_by(|one, other| view.order(one, other));
    let mut left_out = String::new();
    if found.next().is_some() {
        left_out = format!(
            "<p>This folder has more than {LISTED_ENTRIES_MAX} entries. Only so many are looked at, so some are left out.</p>\n"
        );
    }
    if root.is_exhausted() {
        left_out.push_str("<p>This folder has links with a very long way, so some are left out.</p>\n");
    }
    let page = page(parts, &entries, &left_out, view);
    let etag = entity_tag(&page);
    let mut listing = Representation::new("text/html; charset=utf-8", page.into_bytes());
    listing.etag = Some(etag);
    Ok(listing.with("Content-Security-Policy", POLICY))
}

/// A file or a folder that is served.
#[derive(Debug)]
struct Entry {
    name: String,
    /// Whether there is an address that leads to it: not to a name that is not UTF-8.
    has_address: bool,
    is_folder: bool,
    bytes: u64,
    modified: SystemTime,
}

impl Entry {
    fn find(root: &ServedRoot, folder: &Path, entry: &DirEntry) -> Option<Self> {
        let name = entry.file_name();
        if is_hidden(name.as_encoded_bytes(), false) {
            return None;
        }
        let mut metadata = entry.metadata().ok()?;
        if metadata.is_symlink() {
            metadata = fs::symlink_metadata(root.step(folder, &name).ok()?).ok()?;
        }
        let is_served = metadata.is_dir() || metadata.is_file();
        let shown = name.to_string_lossy().into_owned();
        is_served.then_some(Self {
            has_address: name
                .to_str()
                .is_some_and(|name| decode_path(&encode_part(name)).is_some_and(|parts| parts == [name])),
            name: shown,
            is_folder: metadata.is_dir(),
            bytes: metadata.len(),
            modified: metadata.modified().unwrap_or(UNIX_EPOCH),
        })
    }

    fn row(&self) -> String {
        let slash = if self.is_folder { "/" } else { "" };
        let name = format!("<bdi>{}</bdi>{slash}", escaped(&self.name));
        let name = if self.has_address {
            format!("<a href=\"{}{slash}\">{name}</a>", encode_part(&self.name))
        } else {
            format!("<span>{name}</span>")
        };
        let size = if self.is_folder { String::new() } else { ByteSize(self.bytes).to_string() };
        format!("<tr><td>{name}<td>{size}<td>{}\n", time(self.modified))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SortedBy {
    Name,
    Size,
    Time,
}

/// How a folder is shown.
#[derive(Debug, Clone, Copy)]
struct View {
    by: SortedBy,
    is_descending: bool,
    /// The first entry to be shown.
    from: usize,
}

impl View {
    /// What a query does not say, or says in other words, is as it is without one.
    fn parse(query: &str) -> Self {
        let value = |key: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|(its, _)| *its == key);
        let by = match value("sort") {
            Some((_, "size")) => SortedBy::Size,
            Some((_, "time")) => SortedBy::Time,
            _ => SortedBy::Name,
        };
        let from = value("from").and_then(|(_, from)| from.parse().ok()).unwrap_or(0);
        Self { by, is_descending: value("order") == Some(("order", "desc")), from }
    }

    /// The query that asks for it.
    fn query(self) -> String {
        let by = match self.by {
            SortedBy::Name => "name",
            SortedBy::Size => "size",
            SortedBy::Time => "time",
        };
        let order = if self.is_descending { "desc" } else { "asc" };
        let from = if self.from > 0 { format!("&amp;from={}", self.from) } else { String::new() };
        format!("?sort={by}&amp;order={order}{from}")
    }

    /// Folders first, whatever it is sorted by; they have no size.
    fn order(self, one: &Entry, other: &Entry) -> Ordering {
        let by_name = || natural_order(&one.name, &other.name);
        let order = match self.by {
            SortedBy::Name => by_name(),
            SortedBy::Size if one.is_folder && other.is_folder => return by_name(),
            SortedBy::Size => one.bytes.cmp(&other.bytes).then_with(by_name),
            SortedBy::Time => one.modified.cmp(&other.modified).then_with(by_name),
        };
        other.is_folder.cmp(&one.is_folder).then(if self.is_descending { order.reverse() } else { order })
    }

    /// The head of a column. What is sorted by it already is turned round; else numbers begin with the largest.
    fn column(self, by: SortedBy, word: &str) -> String {
        let is_current = by == self.by;
        let is_descending = if is_current { !self.is_descending } else { by != SortedBy::Name };
        let sort = match (is_current, self.is_descending) {
            (false, _) => "",
            (true, false) => " aria-sort=ascending",
            (true, true) => " aria-sort=descending",
        };
        format!("<th scope=col{sort}><a href=\"{}\">{word}</a>", Self { by, is_descending, from: 0 }.query())
    }
}

/// The whole page; `left_out` says what was not looked at.
fn page(parts: &[String], entries: &[Entry], left_out: &str, view: View) -> String {
    let title = escaped(parts.last().map_or("Files", String::as_str));
    let mut page = format!(
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n<main>\n<h1><bdi>{title}</bdi></h1>\n"
    );
    if !parts.is_empty() {
        page.push_str("<p><a href=\"../\">Up one folder</a></p>\n");
    }
    if entries.is_empty() && left_out.is_empty() {
        page.push_str("<p>This folder is empty.</p>\n");
    } else {
        let columns = [(SortedBy::Name, "Name"), (SortedBy::Size, "Size"), (SortedBy::Time, "Changed (UTC)")];
        page.push_str("<table>\n<thead><tr>");
        page.extend(columns.map(|(by, word)| view.column(by, word)));
        page.push_str("\n<tbody>\n");
        let from = if view.from < entries.len() { view.from } else { 0 };
        let mut to = from;
        for row in entries[from..].iter().map(Entry::row) {
            if page.len() + row.len() + FOOT_BYTES_MAX > HTTP_BODY_BYTES_MAX {
                break;
            }
            page.push_str(&row);
            to += 1;
        }
        page.push_str("</table>\n");
        if to - from < entries.len() {
            page.push_str(&format!("<p>{} to {to} of {}</p>\n<p>", from + 1, entries.len()));
            if from > 0 {
                page.push_str(&format!("<a href=\"{}\">The first</a>\n", View { from: 0, ..view }.query()));
            }
            if to < entries.len() {
                page.push_str(&format!("<a href=\"{}\">The next</a>\n", View { from: to, ..view }.query()));
            }
            page.push_str("</p>\n");
        }
    }
    page.push_str(left_out);
    page
}

/// A text within markup; characters without a form are shown as such.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char if char.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            char => escaped.push(char),
        }
    }
    escaped
}

/// A time to the minute; nothing for one that no calendar of four digits has.
fn time(time: SystemTime) -> String {
    const YEAR_10_000: Duration = Duration::from_secs(253_402_300_800);
    if time.duration_since(UNIX_EPOCH).map_or(true, |since| since >= YEAR_10_000) {
        return String::new();
    }
    let text = humantime::format_rfc3339_seconds(time).to_string();
    format!("<time datetime=\"{text}\">{} <wbr>{}</time>", &text[..10], &text[11..16])
}

/// As people sort: `2` before `10`, and capitals beside small letters.
fn natural_order(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    loop {
        let (Some(a), Some(b)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len()).then_with(|| one.cmp(other));
        };
        let order = if a.is_ascii_digit() && b.is_ascii_digit() {
            number(&mut left).cmp(&number(&mut right))
        } else {
            left = &left[a.len_utf8()..];
            right = &right[b.len_utf8()..];
            a.to_lowercase().cmp(b.to_lowercase())
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes the digits at the start of a text, however many, in a form whose order is that of the numbers.
fn number<'a>(text: &mut &'a str) -> (usize, &'a str) {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let digits = digits.trim_start_matches('0');
    (digits.len(), digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_in_which_people_look_for_them() {
        let sorted =
            ["", "-", "007", "7", "8", "10", "A", "a", "a1", "A02", "a2", "a10", "a10b2", "B", "z", "Ä", "ä", "٣"];
        for (nth, one) in sorted.iter().enumerate() {
            for (other_nth, other) in sorted.iter().enumerate() {
                assert_eq!(natural_order(one, other), nth.cmp(&other_nth), "{one} and {other}");
            }
        }
    }

    #[test]
    fn times_that_no_calendar_has_are_left_out() {
        assert_eq!(time(UNIX_EPOCH), "<time datetime=\"1970-01-01T00:00:00Z\">1970-01-01 <wbr>00:00</time>");
        assert!(time(UNIX_EPOCH + Duration::from_secs(253_402_300_799)).contains("9999-12-31 <wbr>23:59"));
        assert_eq!(time(UNIX_EPOCH + Duration::from_secs(253_402_300_800)), "");
        assert_eq!(time(UNIX_EPOCH - Duration::from_secs(1)), "");
    }

    #[test]
    fn a_page_is_never_larger_than_a_body_may_be_and_its_links_lead_to_all_entries() {
        // Each byte of the name takes six in text and three in a link.
        let entry = |nth: usize| Entry {
            name: format!("{nth:04}{}", "\"".repeat(251)),
            has_address: true,
            is_folder: false,
            bytes: u64::MAX,
            modified: UNIX_EPOCH,
        };
        let entries: Vec<Entry> = (0..LISTED_ENTRIES_MAX).map(entry).collect();
        let parts = ["\"".repeat(255)];
        let mut view = View { by: SortedBy::Name, is_descending: false, from: 0 };
        let mut seen = 0;
        while seen < LISTED_ENTRIES_MAX {
            let page = page(&parts, &entries, &"x".repeat(300), view);
            assert!(page.len() <= HTTP_BODY_BYTES_MAX, "{} bytes", page.len());
            assert!(page.contains(&format!("\"{seen:04}%22")), "it goes on where the last one has ended");
            let rows = page.matches("<tr><td>").count();
            assert!(rows > 10, "{rows}");
            seen += rows;
            let next = format!("from={seen}\">The next<");
            assert_eq!(page.contains(&next), seen < LISTED_ENTRIES_MAX, "{seen}");
            view.from = seen;
        }
        assert!(page(&parts, &entries, "", view).contains("\"0000%22"), "behind the end it begins anew");
    }
}
