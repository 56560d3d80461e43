//! Pages of other origins: those that may join may also post, stream and read, and their browsers are told so; others are told nothing.

use serde_json::Value;

use crate::harness::{Client, Response, Server, refused, request, request_head};

/// A page of the board's own host, on another port.
fn own(server: &Server) -> String {
    format!("http://{}:5173", server.address().ip())
}

fn from(server: &Server, method: &str, path: &str, origin: &str, lines: &str) -> Response {
    ask(server, method, path, &format!("Origin: {origin}\r\n{lines}"))
}

/// Asks, and reads no more than the head of a stream.
fn ask(server: &Server, method: &str, path: &str, lines: &str) -> Response {
    let mut client = Client::connect(server.address());
    client.send(request_head(server.address(), method, path, lines).as_bytes());
    client.response(method == "HEAD" || path.contains("?as="))
}

fn allowed(response: &Response) -> Option<&str> {
    assert_eq!(response.header("Access-Control-Allow-Credentials"), None);
    response.header("Access-Control-Allow-Origin")
}

/// A request for each way to use a channel, one after the other, and what it is answered with.
const WAYS: [(&str, &str, u16); 12] = [
    ("GET", "/?last", 204),
    ("HEAD", "/c/lights?last", 204),
    ("GET", "/?status", 200),
    ("POST", "/", 200),
    ("PUT", "/c/lights", 200),
    ("GET", "/?as=events&count=1&history=1", 200),
    ("GET", "/?as=lines&count=1&history=1", 200),
    ("GET", "/c/lights?as=json&count=1&history=1", 200),
    ("GET", "/?last", 200),
    ("DELETE", "/", 200),
    ("DELETE", "/c/lights", 200),
    ("OPTIONS", "/", 204),
];

#[test]
fn a_page_that_may_join_may_use_all_ways_and_read_the_answers() {
    let server = Server::start(&["--allow-origin", "https://example.com"]);
    let own = own(&server);
    for origin in [&*own, "https://example.com", "file://"] {
        for (method, path, status) in WAYS {
            let response = from(&server, method, path, origin, "");
            assert_eq!(response.status, status, "{method} {path} of {origin}");
            assert_eq!(allowed(&response), Some(origin), "{method} {path}");
            assert_eq!(response.header("Vary"), Some("Origin"), "{method} {path}");
            let exposed = response.header("Access-Control-Expose-Headers").expect("what may be read");
            for name in ["Foghorn-Seq", "Foghorn-Lost", "Age", "ETag", "Retry-After"] {
                assert!(exposed.split(", ").any(|its| its == name), "{name}");
            }
        }
    }
}

#[test]
fn a_foreign_page_is_refused_in_every_way_and_told_nothing() {
    let server = Server::start(&[]);
    server.join().expect_echo("hello");
    for origin in ["http://evil.example", "null", "http://127.0.0.1.evil.example"] {
        for (method, path, _) in WAYS {
            let response = from(&server, method, path, origin, "");
            assert_eq!((response.status, allowed(&response)), (403, None), "{method} {path} of {origin}");
        }
    }
    let status: Value = serde_json::from_slice(&server.get("/?status").body).expect("it is JSON");
    assert_eq!(status["head"], 1, "nothing was deleted");
}

#[test]
fn who_says_no_origin_is_told_that_the_answer_depends_on_it() {
    let server = Server::start(&[]);
    for (method, path, _) in WAYS {
        for origin in ["", "Origin:\r\n"] {
            let response = ask(&server, method, path, origin);
            assert!(response.status < 300, "{method} {path}");
            assert_eq!((allowed(&response), response.header("Vary")), (None, Some("Origin")), "{method} {path}");
        }
    }
}

#[test]
fn a_refusal_can_be_read_too_by_a_page_that_may_join() {
    let server = Server::start(&["--max-message", "125"]);
    for (method, path, lines, status) in [
        ("DELETE", "/c/no%20name", "", 404),
        ("POST", "/c/no.name", "", 404),
        ("POST", "/elsewhere", "", 404),
        ("POST", "/", "Content-Length: 126\r\n", 413),
        ("POST", "/", "Content-Encoding: gzip\r\n", 415),
        ("GET", "/?as=nothing", "", 400),
        ("PATCH", "/", "", 405),
        ("GET", "/?status", "Content-Length: 1\r\n", 413),
    ] {
        let response = from(&server, method, path, &own(&server), lines);
        assert_eq!(response.status, status, "{method} {path}");
        assert_eq!(allowed(&response), Some(&*own(&server)), "{method} {path}");
        let foreign = from(&server, method, path, "http://evil.example", lines);
        assert_eq!(allowed(&foreign), None, "{method} {path}");
    }
    let host = "Host: evil.example\r\nOrigin: http://evil.example\r\n\r\n";
    let rebound = refused(server.address(), format!("DELETE / HTTP/1.1\r\n{host}").as_bytes());
    assert_eq!((rebound.status, allowed(&rebound)), (403, None), "under a foreign name a page has our origin");
}

#[test]
fn a_preflight_is_answered_to_a_page_that_may_join_and_refused_to_others() {
    let server = Server::start(&["--allow-origin", "null"]);
    let asks =
        "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: content-type,x-requested-with\r\n";
    for path in ["/", "/c/lights?status", "/c/no.name", "/elsewhere"] {
        for origin in [&*own(&server), "null"] {
            let response = from(&server, "OPTIONS", path, origin, asks);
            assert_eq!((response.status, allowed(&response)), (204, Some(origin)), "{path}");
            for (name, value) in [
                ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE"),
                ("Access-Control-Allow-Headers", "content-type, x-requested-with"),
                ("Access-Control-Max-Age", "7200"),
                ("Vary", "Origin"),
            ] {
                assert_eq!(response.header(name), Some(value), "{path}");
            }
            assert_eq!((response.header("Content-Length"), response.body.len()), (None, 0));
        }
        let foreign = from(&server, "OPTIONS", path, "http://evil.example", asks);
        assert_eq!((foreign.status, allowed(&foreign)), (403, None), "{path}");
    }
    assert_eq!(server.figure("/channels"), 1, "asking makes no channel");
}

#[test]
fn who_asks_for_the_options_is_told_the_methods() {
    let server = Server::start(&[]);
    for path in ["/", "/c/lights"] {
        let response = request(server.address(), "OPTIONS", path, "");
        assert_eq!(response.status, 204);
        assert_eq!(response.header("Allow"), Some("GET, HEAD, POST, PUT, DELETE, OPTIONS"));
        assert_eq!(response.header("Access-Control-Allow-Methods"), None);
    }
}
