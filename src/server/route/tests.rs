//! Which request leads where, and what is told of one that is refused.

use super::*;
use crate::http::body::Framing;
use crate::http::conditions::Conditions;

fn route(lines: &[&str]) -> Result<Route, Refused> {
    let head = lines.iter().flat_map(|line| [*line, "\r\n"]).chain(["\r\n"]).collect::<String>();
    let policy = HostPolicy::new(None, &[], &[]).unwrap();
    let everybody = |_: Need<'_>, _: Option<&OfferedCode>| Ok(Permission::without_code(Right::Send));
    Route::of(head.as_bytes(), &policy, &[], || "[::1]:1920".parse().ok(), everybody).map(|(route, _)| route)
}

fn page(lines: &[&str]) -> PageRequest {
    match route(lines) {
        Ok(Route::Page(page)) => page,
        other => panic!("{lines:?} is {other:?}"),
    }
}

fn status(lines: &[&str]) -> u16 {
    route(lines).map_or_else(|refused| refused.refusal.status, |_| 200)
}

const UPGRADE: [&str; 6] = [
    "GET /any/path HTTP/1.1",
    "Host: board.local:1919",
    "Connection: keep-alive, Upgrade",
    "Upgrade: WebSocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

#[test]
fn a_page_is_asked_for_with_get_or_head() {
    let asked = page(&["GET /a?b HTTP/1.1", "host:x", "If-None-Match: \"1\""]);
    let expected = PageRequest {
        head_only: false,
        target: "/a?b".into(),
        host: "x".into(),
        conditions: Conditions { if_none_match: Some("\"1\"".into()), ..Conditions::default() },
        keep_alive: true,
    };
    assert_eq!(asked, expected);
    assert!(page(&["HEAD / HTTP/1.0", "Host: x"]).head_only);
    assert!(!page(&["HEAD / HTTP/1.0", "Host: x"]).keep_alive);
    assert!(!page(&["GET / HTTP/1.1", "Host: x", "Connection: close"]).keep_alive);
    assert_eq!(status(&["POST /status HTTP/1.1", "Host: x", "Content-Length: 0"]), 404);
    assert_eq!(status(&["OPTIONS * HTTP/1.1", "Host: x"]), 405);
    assert_eq!(status(&["GET / HTTP/1.1", "Host: x", "If-None-Match: \"é\""]), 400);
    assert_eq!(status(&["GET / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"]), 411);
    assert_eq!(status(&["GET / HTTP/1.1", "Host: x", "Content-Length: 1"]), 413);
}

#[test]
fn who_names_no_host_has_asked_the_address() {
    assert_eq!(page(&["GET / HTTP/1.0"]).host, "[::1]:1920");
}

#[test]
fn a_whole_address_counts_in_place_of_the_host_for_both_rules() {
    assert_eq!(status(&["GET http://evil.com/ HTTP/1.1", "Host: board.local"]), 403);
    assert_eq!(page(&["GET http://board.local/a HTTP/1.1", "Host: evil.com"]).target, "/a");
    let mut upgrade = UPGRADE;
    upgrade[0] = "GET ws://board.lan/ HTTP/1.1";
    assert_eq!(status(&[&upgrade[..], &["Origin: http://board.local"]].concat()), 403);
    assert_eq!(status(&[&upgrade[..], &["Origin: http://board.lan"]].concat()), 200);
}

#[test]
fn what_was_the_reason_is_told() {
    let reason = |lines: &[&str]| route(lines).unwrap_err().reason.map(|reason| reason.header());
    assert_eq!(reason(&["GET / HTTP/1.1", "Host: Evil.com:80"]), Some(("Host", Some("evil.com".into()))));
    let origin = |line: &str| reason(&[&UPGRADE[..], &[line]].concat());
    assert_eq!(origin("Origin: HTTP://Evil.com"), Some(("Origin", Some("http://evil.com".into()))));
    assert_eq!(origin("Origin: My Sensor"), Some(("Origin", Some("my sensor".into()))));
    assert_eq!(origin("Origin: é"), Some(("Origin", None)));
    assert_eq!(reason(&["POST /status HTTP/1.1", "Host: x"]), None);
}

#[test]
fn what_nobody_on_the_web_can_choose_is_local() {
    let host = |text| Reason::Host(Host::parse(text).unwrap().0);
    let origin = |text| Reason::Origin(Origin::parse(text));
    for (reason, is_shown) in [
        (host("board.example.com"), false),
        (origin("https://call-us.example.com"), false),
        (origin("https://call-us.example.com:8443"), false),
        (origin("strange://-"), true),
        (origin("strange://$call us$"), false),
        (origin("strange://$$"), false),
        (origin("http://Laptop:5173"), true),
        (origin("http://laptop.local"), true),
        (origin("https://192.0.2.1"), true),
        (origin("null"), true),
    ] {
        assert_eq!(reason.is_local(), is_shown, "{reason:?}");
    }
}

#[test]
fn an_upgrade_is_a_websocket_at_any_path() {
    assert!(matches!(route(&UPGRADE), Ok(Route::WebSocket(name, _)) if name.is_main()));
}

#[test]
fn a_websocket_joins_the_channel_of_its_path_and_the_main_one_outside_of_c() {
    let channel = |path: &str| {
        let first = format!("GET {path} HTTP/1.1");
        match route(&[&[&*first], &UPGRADE[1..]].concat()) {
            Ok(Route::WebSocket(name, _)) => Ok(name.to_string()),
            Ok(other) => panic!("{path} is {other:?}"),
            Err(refused) => Err(refused.refusal.status),
        }
    };
    assert_eq!(channel("/c/Lights?echo=0"), Ok("lights".into()));
    for path in ["/", "/c", "/chat", "/C/x", "/a/c/x"] {
        assert_eq!(channel(path), Ok(String::new()), "{path}");
    }
    for path in ["/c/", "/c/a.b", "/c/a/b", "/c/a%62"] {
        assert_eq!(channel(path), Err(404), "{path}");
    }
}

#[test]
fn below_c_a_look_is_for_a_channel_or_else_for_the_page() {
    let get = |path: &str| page(&[&format!("GET {path} HTTP/1.1"), "Host: x"]).target;
    assert_eq!(get("/c/lights"), "/");
    assert_eq!(get("/c/lights?echo=0"), "/?echo=0");
    assert_eq!(get("/c/app.js"), "/app.js");
    assert_eq!(get("/c/qr.svg?path=/"), "/qr.svg?path=/");
    let redirect = |path: &str| match route(&[&format!("GET {path} HTTP/1.1"), "Host: x"]) {
        Ok(Route::Redirect(location, _)) => location,
        other => panic!("{path} is {other:?}"),
    };
    assert_eq!((redirect("/c"), redirect("/c/?a")), ("./", "../"));
    assert_eq!(status(&["GET /c HTTP/1.1", "Host: x", "Content-Length: 3"]), 413);
    for path in ["/c", "/c/", "/c/a.b"] {
        assert_eq!(status(&[&format!("DELETE {path} HTTP/1.1"), "Host: x"]), 404, "{path}");
    }
}

#[test]
fn a_message_is_posted_to_a_channel_and_nowhere_else() {
    let post = |first: &str, line: &str| match route(&[first, "Host: x", "Content-Length: 3", line]) {
        Ok(Route::Post(post, _)) => {
            assert_eq!(post.framing, Framing::Length(3));
            Ok(post.channel.to_string())
        }
        Ok(other) => panic!("{first} is {other:?}"),
        Err(refused) => Err(refused.refusal.status),
    };
    assert_eq!(post("POST / HTTP/1.1", "A: b"), Ok(String::new()));
    assert_eq!(post("PUT /c/Lights?a HTTP/1.1", "A: b"), Ok("lights".into()));
    for path in ["/chat", "/status", "//", "/c", "/c/", "/c/a.b", "/c/a%62"] {
        assert_eq!(post(&format!("POST {path} HTTP/1.1"), "A: b"), Err(404), "{path}");
    }
    assert_eq!(post("POST / HTTP/1.1", "Origin: http://evil.com"), Err(403));
    assert_eq!(post("PATCH / HTTP/1.1", "A: b"), Err(405));
}

#[test]
fn the_host_of_every_request_is_checked_and_the_origin_of_an_upgrade() {
    assert_eq!(status(&["GET / HTTP/1.1", "Host: evil.com"]), 403);
    assert_eq!(status(&["POST / HTTP/1.1", "Host: evil.com", "Content-Length: 1"]), 403);
    let mut foreign = UPGRADE;
    foreign[1] = "Host: evil.com";
    assert_eq!(status(&foreign), 403);
    assert_eq!(status(&[&UPGRADE[..], &["Origin: http://evil.com"]].concat()), 403);
    let own = "Origin: http://board.local";
    assert_eq!(status(&[&UPGRADE[..], &[own]].concat()), 200);
    assert_eq!(status(&[&UPGRADE[..], &[own, own]].concat()), 403);
    assert_eq!(status(&["GET / HTTP/1.1", "Host: x", "Origin: http://evil.com"]), 200, "a page is not asked for it");
}
