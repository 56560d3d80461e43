//! Request heads: what gets past the door is small, complete, unambiguous and meant for us.

use std::net::SocketAddr;
use std::time::SystemTime;

use foghorn::api::channel_request::{ChannelRequest, Way};
use foghorn::api::post::Post;
use foghorn::api::stream_request::StreamRequest;
use foghorn::config::limits::HEAD_BYTES_MAX;
use foghorn::http::body::Framing;
use foghorn::http::conditions::Conditions;
use foghorn::http::cors::Cors;
use foghorn::http::head::{self, Head};
use foghorn::http::host_policy::HostPolicy;
use foghorn::http::refusal::{Refusal, STATUSES};
use foghorn::http::short_answer::Asked;
use foghorn::hub::channel_name::ChannelName;
use foghorn::hub::stream_encoding::Encoding;
use foghorn::page::page_request::PageRequest;
use foghorn::server::route::{Reason, Refused, Route};
use foghorn::ws::handshake::{SUBPROTOCOL, Upgrade};
use httpdate::fmt_http_date;

use crate::host_policy::{rules, search_domains};
use crate::{Kind, byte_range, everybody, kind};

/// Any bytes as what a client sends first.
///
/// # Panics
/// If the end of the head depends on how it was cut, or something gets through that another server could read otherwise.
pub fn target(bytes: &[u8]) -> Kind {
    let bytes = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let whole = without_empty_lines(bytes, bytes.len().max(1));
    for step in [1, 2, 3, 7, 64, 1024] {
        assert_eq!(without_empty_lines(bytes, step), whole, "in pieces of {step}");
    }
    let (has_begun, bytes) = (whole.0, &whole.1[..]);
    if !has_begun {
        return kind("nothing but empty lines");
    }
    assert!(!bytes.starts_with(b"\r\n"), "they are taken away");
    let end = head::scan(bytes, 0);
    for step in [1, 2, 3, 7, 64, 1024] {
        assert_eq!(scan_in_pieces(bytes, step), end, "in pieces of {step}");
    }
    let head_bytes = match end {
        Ok(Some(head_bytes)) => head_bytes,
        Ok(None) => return kind("no end"),
        Err(refusal) => return check_refusal(refusal),
    };
    let head = &bytes[..head_bytes];
    assert!(head.ends_with(b"\r\n\r\n"), "a head ends with an empty line");
    assert!(!head.contains(&0), "no NUL gets through");
    assert_eq!(head.windows(4).filter(|window| window == b"\r\n\r\n").count(), 1, "it ends with the first empty line");

    let read = |head: &[u8], own_address: Option<SocketAddr>| {
        Route::of(head, &rules(), &search_domains(), || own_address, everybody).map(|(route, _)| route)
    };
    match read(head, Some(own_address())) {
        Err(refused) => {
            check_reason(&refused);
            check_refusal(refused.refusal)
        }
        Ok(route) => {
            let is_post = matches!(&route, Route::Post(..));
            check_lines(head, is_post);
            let authority = Head::parse(head, || Some(own_address())).expect("its route is known").authority;
            assert_eq!(authority, asked_host(head), "the host that is asked");
            check(&authority);
            check_fields(&route);
            let again = read(render(&route).as_bytes(), None);
            match (&again, &route) {
                (Ok(Route::Channel(again, _)), Route::Channel(request, _)) => assert_eq!(again, request),
                (Ok(Route::Stream(channel, again, _)), Route::Stream(its_channel, request, _)) => {
                    assert_eq!((channel, again), (its_channel, request));
                }
                (Ok(Route::Post(again, _)), Route::Post(post, _)) => assert_eq!(again, post),
                (Ok(Route::Reload(again, _)), Route::Reload(page, _)) => assert_eq!(again, page),
                _ => assert_eq!(again.as_ref(), Ok(&route), "it is read the same again"),
            }
            match route {
                Route::WebSocket(channel, Upgrade { subprotocol, resumes, echo, after, history, .. }) => {
                    kind((channel.is_main(), subprotocol.is_some(), resumes, echo, after.is_some(), history.is_some()))
                }
                Route::Post(Post { channel, asked, framing, is_binary, waits_for_continue }, cors) => {
                    let post = (std::mem::discriminant(&framing), is_binary, waits_for_continue);
                    kind((channel.is_main(), post, asked.keep_alive, cors.origin().is_some()))
                }
                Route::Channel(ChannelRequest { channel, way, asked }, cors) => {
                    let way = std::mem::discriminant(&way);
                    kind((channel.is_main(), way, asked.head_only, asked.keep_alive, cors.origin().is_some()))
                }
                Route::Stream(channel, StreamRequest { encoding, after, history, count }, cors) => {
                    let after = after.map(|after| after.epoch.is_empty());
                    let wishes = (after, history.is_some(), count.is_some());
                    kind((channel.is_main(), encoding, wishes, cors.origin().is_some()))
                }
                Route::Metrics(Asked { head_only, keep_alive }) => kind(("metrics", head_only, keep_alive)),
                Route::Redirect(location, Asked { head_only, keep_alive }) => kind((location, head_only, keep_alive)),
                Route::Reload(PageRequest { keep_alive, .. }, cors) => {
                    kind(("reload", keep_alive, cors.origin().is_some()))
                }
                Route::Page(PageRequest { head_only, conditions, keep_alive, .. }) => {
                    let Conditions { if_match, if_unmodified_since, if_none_match, if_modified_since, range, if_range } =
                        conditions;
                    assert!(range.is_none() || !head_only, "ranges are for GET");
                    assert!(if_range.is_none() || range.is_some(), "the state of nothing");
                    let is_meant = (if_match.is_some(), if_unmodified_since.is_some());
                    let conditions = (is_meant, if_none_match.is_some(), if_modified_since.is_some(), range.is_some());
                    kind((head_only, conditions, if_range.is_some(), keep_alive))
                }
            }
        }
    }
}

/// Where the client has come in, in these tests.
fn own_address() -> SocketAddr {
    SocketAddr::from(([192, 168, 1, 5], 1920))
}

/// The simplest reading of a good head, for the host that it asks: the one of a whole address, the header's, or where it has come in.
fn asked_host(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head);
    let mut words = text.split([' ', '\r']);
    let target = words.nth(1).expect("it has a target");
    let lines = text.split("\r\n").filter_map(|line| line.split_once(':'));
    let mut hosts = lines.filter(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, value)| value.trim());
    let host = if target.starts_with('/') {
        hosts.next().filter(|host| !host.is_empty()).unwrap_or("192.168.1.5:1920")
    } else {
        let after_scheme = target.find("//").map_or("", |at| &target[at + 2..]);
        after_scheme.split(['/', '?', '#']).next().unwrap_or_default()
    };
    let Some((address, zone)) = host.split_once('%') else { return host.to_owned() };
    let (_, after) = zone.split_once(']').expect("a zone ends");
    let address: std::net::Ipv6Addr = address[1..].parse().expect("only these have zones");
    // An empty port is none.
    let port = after.trim_start_matches([':', '0']);
    let port = if port.is_empty() && after.contains('0') { "0" } else { port };
    if port.is_empty() { format!("[{address}]") } else { format!("[{address}]:{port}") }
}

/// What is told of a request to those who run the server: a Host can be allowed as it is told, and nothing is told that is not visible.
fn check_reason(refused: &Refused) {
    let Some((header, Some(value))) = refused.reason.as_deref().map(Reason::header) else { return };
    assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\t'), "{value:?}");
    assert!(
        header == "Origin" || HostPolicy::new(None, std::slice::from_ref(&value), &[]).is_ok(),
        "{value:?} cannot be allowed"
    );
}

/// Whether there is more than empty lines before a request, and what is left of the bytes, which come in pieces.
fn without_empty_lines(bytes: &[u8], piece_bytes: usize) -> (bool, Vec<u8>) {
    let mut buffer = Vec::new();
    let mut pieces = bytes.chunks(piece_bytes);
    while !head::has_begun(&mut buffer) {
        let Some(piece) = pieces.next() else { return (false, buffer) };
        buffer.extend(piece);
    }
    buffer.extend(pieces.flatten());
    (true, buffer)
}

fn scan_in_pieces(bytes: &[u8], step: usize) -> Result<Option<usize>, Refusal> {
    let mut scanned = 0;
    while scanned < bytes.len() {
        let until = (scanned + step).min(bytes.len());
        match head::scan(&bytes[..until], scanned) {
            Ok(None) => scanned = until,
            decided => return decided,
        }
    }
    Ok(None)
}

fn check_refusal(refusal: Refusal) -> Kind {
    let Refusal { status, sentence, header } = refusal;
    assert!(STATUSES.contains(&status), "{status} is counted");
    assert!(sentence.is_ascii() && sentence.ends_with('.'), "{sentence:?} is a sentence");
    assert!(header.is_empty() || header.ends_with("\r\n") && !header.contains("\r\n\r\n"), "{header:?}");
    kind((status, sentence))
}

/// The simplest reading of a head that there is, and what must not be in one that gets through.
fn check_lines(head: &[u8], may_have_body: bool) {
    let text = String::from_utf8_lossy(head);
    let lines: Vec<&str> = text.split("\r\n").collect();
    let values = |wanted: &str| {
        let fields = lines[1..].iter().filter_map(|line| line.split_once(':'));
        fields
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(lines[0].split(' ').count(), 3, "method, target and version: {:?}", lines[0]);
    for line in &lines[1..lines.len() - 2] {
        assert!(!line.contains(['\r', '\n']), "a line within a line: {line:?}");
        let (name, _) = line.split_once(':').expect("every line has a name");
        assert!(!name.is_empty() && !name.contains([' ', '\t']), "the name {name:?}");
    }
    let hosts = values("host").len();
    assert!(hosts == 1 || hosts == 0 && lines[0].ends_with("1.0"), "one Host");
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    assert!(lengths.iter().all(|length| !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit())));
    assert!(lengths.len() + codings.len() <= 1, "one end of the body");
    assert!(codings.iter().all(|coding| coding.eq_ignore_ascii_case("chunked")), "{codings:?}");
    let is_empty = codings.is_empty() && lengths.iter().all(|length| length.trim_matches('0').is_empty());
    assert!(may_have_body || is_empty, "no body");
}

/// Nothing but visible ASCII and blanks.
fn check(field: &str) {
    assert!(field.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\t'), "{field:?}");
}

/// What a browser is told.
fn check_cors(cors: &Cors) {
    check_header_lines(&cors.lines());
    assert!(cors.origin().is_none_or(|origin| !origin.is_empty() && !origin.contains([' ', '\t'])));
}

/// What is asked of the page.
fn check_page(PageRequest { target, host, conditions, .. }: &PageRequest) {
    check(host);
    assert!(target.starts_with('/') && !target.contains([' ', '\t']), "{target:?}");
    check(target);
    for tags in [&conditions.if_match, &conditions.if_none_match, &conditions.if_range].into_iter().flatten() {
        check(tags);
    }
}

/// What is passed on to tiny_http, or comes back in an answer.
fn check_fields(route: &Route) {
    match route {
        Route::Page(page) => check_page(page),
        Route::Reload(page, cors) => {
            check_page(page);
            check_cors(cors);
        }
        // A name is checked when it is read, and is no more than it was then.
        Route::Redirect(..) | Route::Metrics(_) => {}
        Route::Post(_, cors) => check_cors(cors),
        Route::Stream(_, StreamRequest { after, .. }, cors) => {
            check_header_lines(&cors.lines());
            let epoch = after.as_ref().map_or("", |after| &after.epoch);
            assert!(epoch.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{epoch:?}");
        }
        Route::Channel(ChannelRequest { way, .. }, cors) => {
            check_cors(cors);
            if let Way::Options(lines) = way {
                check_header_lines(lines);
            }
        }
        Route::WebSocket(_, upgrade) => {
            check(&upgrade.key);
            if let Some(name) = &upgrade.subprotocol {
                check(name);
            }
            assert_eq!(upgrade.resumes, upgrade.subprotocol.as_deref() == Some(SUBPROTOCOL));
        }
    }
}

/// Lines of ours for the head of an answer.
fn check_header_lines(lines: &str) {
    assert!(lines.ends_with("\r\n"), "{lines:?}");
    for line in lines.strip_suffix("\r\n").unwrap_or_default().split("\r\n") {
        check(line);
        let (name, value) = line.split_once(": ").expect("a name and a value");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') && !value.is_empty(), "{line:?}");
    }
}

/// The plainest lines for these.
fn render_conditions(conditions: &Conditions) -> String {
    let tags = |name, tags: &Option<String>| tags.as_ref().map(|tags| format!("{name}: {tags}\r\n"));
    let date = |name, date: Option<SystemTime>| date.map(|date| format!("{name}: {}\r\n", fmt_http_date(date)));
    let meant = tags("If-Match", &conditions.if_match);
    let until = date("If-Unmodified-Since", conditions.if_unmodified_since);
    let known = tags("If-None-Match", &conditions.if_none_match);
    let since = date("If-Modified-Since", conditions.if_modified_since);
    let range = conditions.range.map(|range| format!("Range: {}\r\n", byte_range::render(range)));
    let state = tags("If-Range", &conditions.if_range);
    [meant, until, known, since, range, state].into_iter().flatten().collect()
}

fn path_of(channel: &ChannelName) -> String {
    if channel.is_main() { "/".to_owned() } else { format!("/c/{channel}") }
}

fn render_plain(method: &str, target: &str, asked: Asked, lines: &str) -> String {
    let close = if asked.keep_alive { "" } else { "Connection: close\r\n" };
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{close}{lines}\r\n")
}

/// What a browser asks to be told this.
fn render_preflight(told: &str) -> String {
    let value = |name: &str| told.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let method = value("Access-Control-Allow-Methods").map(|_| "Access-Control-Request-Method: PUT\r\n".to_owned());
    let names =
        value("Access-Control-Allow-Headers").map(|names| format!("Access-Control-Request-Headers: {names}\r\n"));
    [method, names].into_iter().flatten().collect()
}

fn render_post(post: &Post) -> String {
    let framing = match post.framing {
        Framing::None => String::new(),
        Framing::Length(bytes) => format!("Content-Length: {bytes}\r\n"),
        Framing::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
    };
    let expect = if post.waits_for_continue { "Expect: 100-continue\r\n" } else { "" };
    let kind = if post.is_binary { "Content-Type: image/png\r\n" } else { "" };
    format!("{framing}{expect}{kind}")
}

fn render_page(page: &PageRequest, lines: &str) -> String {
    let PageRequest { target, host, conditions, keep_alive, .. } = page;
    let (method, close) = (page.method(), if *keep_alive { "" } else { ", close" });
    // What looks like a channel's address has lost a `/c`.
    let below = if target.starts_with("/c/") { "/c" } else { "" };
    let conditions = render_conditions(conditions);
    format!("{method} {below}{target} HTTP/1.1\r\nHost: {host}\r\nConnection: x{close}\r\n{lines}{conditions}\r\n")
}

/// The plainest head that asks for the same.
fn render(route: &Route) -> String {
    match route {
        Route::Page(page) => render_page(page, ""),
        Route::Reload(page, _) => render_page(page, "Accept: text/event-stream\r\n"),
        Route::Channel(ChannelRequest { channel, way, asked }, _) => {
            let look = if asked.head_only { "HEAD" } else { "GET" };
            let (method, query, lines) = match way {
                Way::Status => (look, "?status", String::new()),
                Way::Last(conditions) => (look, "?last", render_conditions(conditions)),
                Way::Deletion => ("DELETE", "", String::new()),
                Way::Options(told) => ("OPTIONS", "", render_preflight(told)),
            };
            render_plain(method, &format!("{}{query}", path_of(channel)), *asked, &lines)
        }
        Route::Post(post, _) => render_plain("POST", &path_of(&post.channel), post.asked, &render_post(post)),
        Route::Stream(channel, StreamRequest { encoding, after, history, count }, _) => {
            let form = match encoding {
                Encoding::Events => "events",
                Encoding::Lines => "lines",
                Encoding::Json => "json",
            };
            let history = history.map_or_else(String::new, |history| format!("&history={history}"));
            let count = count.map_or_else(String::new, |count| format!("&count={count}"));
            // A place that nobody knows can only have come as an id.
            let id = after.as_ref().map_or_else(String::new, |after| {
                if after.epoch.is_empty() {
                    "Last-Event-ID: ?\r\n".to_owned()
                } else {
                    format!("Last-Event-ID: {after}\r\n")
                }
            });
            let target = format!("{}?as={form}{history}{count}", path_of(channel));
            render_plain("GET", &target, Asked { head_only: false, keep_alive: true }, &id)
        }
        Route::Metrics(asked) => render_plain(if asked.head_only { "HEAD" } else { "GET" }, "/metrics", *asked, ""),
        Route::Redirect(location, asked) => {
            let path = if *location == "./" { "/c" } else { "/c/" };
            render_plain(if asked.head_only { "HEAD" } else { "GET" }, path, *asked, "")
        }
        Route::WebSocket(channel, Upgrade { key, subprotocol, echo, after, history, replaces, .. }) => {
            let path = path_of(channel);
            let history = history.map_or_else(String::new, |history| format!("&history={history}"));
            let echo = echo.map_or_else(String::new, |echo| format!("&echo={}", u8::from(echo)));
            let after =
                after.as_ref().map_or_else(String::new, |after| format!("&after={}:{}", after.epoch, after.seq));
            let replaces = replaces.as_ref().map_or_else(String::new, |name| format!("&replaces={name}"));
            let offer =
                subprotocol.as_ref().map_or_else(String::new, |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
            format!(
                "GET {path}?{echo}{after}{history}{replaces} HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offer}\r\n"
            )
        }
    }
}
