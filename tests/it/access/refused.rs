//! What those are told who may not come in, when, and what it costs.

use serde_json::Value;

use super::asking::{Asker, HIGH, IN, LOW, OFFER, OUT, Place, WRONG, Way, stranger, with_codes};
use crate::harness::{Bystanders, Client, Server, eventually, post_head, request, request_head};

#[test]
fn a_body_is_not_waited_for_and_not_read_before_the_code_is_right() {
    let server = with_codes(&["--max-message", "1MiB"]);
    let bystanders = Bystanders::start(&server);
    let address = server.address();
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (query, lines, status) in [
        ("", "Content-Length: 1000000\r\n", 401),
        ("?code=wrong", "Content-Length: 1000000\r\n", 401),
        ("?code=wrong", chunked, 401),
        (&*format!("?code={LOW}"), "Content-Length: 1000000\r\n", 403),
        ("", "Content-Length: 100000000000\r\n", 401),
    ] {
        let mut client = Client::connect(address);
        client.send(request_head(address, "POST", &format!("/c/both{query}"), lines).as_bytes());
        assert_eq!(client.response(false).status, status, "{query} {lines}");
        // And whoever sends it all the same is told so, too.
        let mut eager = Client::connect(address);
        eager.send(request_head(address, "PUT", &format!("/c/both{query}"), lines).as_bytes());
        let _ = eager.try_send(&vec![b'x'; 500_000]);
        assert_eq!(eager.response(false).status, status, "{query} {lines}");
        assert_eq!(server.figure("/postsBytes"), 0);
    }
    bystanders.finish();
}

#[test]
fn who_waits_for_a_word_before_its_body_is_refused_in_its_place() {
    let server = with_codes(&[]);
    let ask = |query: &str| {
        let mut client = Client::connect(server.address());
        let lines = "Expect: 100-continue\r\n";
        client.send(post_head(server.address(), &format!("/c/both{query}"), lines, 5).as_bytes());
        let first = client.response(true);
        (first.status, client)
    };
    assert_eq!(ask("").0, 401);
    assert_eq!(ask("?code=wrong").0, 401);
    assert_eq!(ask(&format!("?code={LOW}")).0, 403);
    let (status, mut client) = ask(&format!("?code={HIGH}"));
    assert_eq!(status, 100);
    client.send(b"hello");
    assert_eq!(client.response(false).status, 200);
}

#[test]
fn a_page_that_may_join_can_read_why_not_and_a_foreign_one_is_refused_before() {
    let server = with_codes(&[]);
    let own = format!("http://{}:5173", server.address().ip());
    let ways = Way::ALL.into_iter().filter(|way| !way.joins());
    for (nth, way) in ways.enumerate() {
        for origin in [&*own, "http://evil.example"] {
            let lines = format!("Origin: {origin}\r\n");
            let is_own = origin == own;
            let asker = Asker { lines: &lines, ..Asker::new(&server, stranger(nth), "/c/both") };
            for offered in [None, Some((Place::Query, LOW)), Some((Place::Basic, WRONG))] {
                let answer = asker.ask(way, offered);
                let allowed = answer.head.header("Access-Control-Allow-Origin");
                assert_eq!(allowed, is_own.then_some(origin), "{way:?} {offered:?}");
                assert_eq!(answer.head.header("Access-Control-Allow-Credentials"), None);
                assert!(is_own || answer.code == 403, "{way:?} {offered:?}: {answer:?}");
            }
        }
    }
    let server = Server::start(&["--code", "4711"]);
    for path in ["/status", "/metrics"] {
        let refused = request(server.address(), "GET", path, &format!("Origin: {own}\r\n"));
        assert_eq!((refused.status, refused.header("Access-Control-Allow-Origin")), (401, Some(&*own)), "{path}");
    }
    for _ in 0..100 {
        let foreign = Asker { lines: "Origin: http://evil.example\r\n", ..Asker::new(&server, stranger(0), "/") };
        assert_eq!(foreign.ask(Way::Request("GET", "last"), Some((Place::Query, WRONG))).code, 403, "never a guess");
    }
}

#[test]
fn a_preflight_needs_no_code() {
    let server = Server::start(&["--code", "4711", "--send-code", "0815"]);
    let own = format!("http://{}:5173", server.address().ip());
    let lines = format!(
        "Origin: {own}\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: authorization\r\n"
    );
    for path in ["/", "/c/lights?last", "/status", "/metrics"] {
        let response = request(server.address(), "OPTIONS", path, &lines);
        assert_eq!((response.status, response.header("Access-Control-Allow-Headers")), (204, Some("authorization")));
    }
}

#[test]
fn what_a_proxy_sends_as_its_own_login_is_ignored_by_a_server_without_codes() {
    let server = Server::start(&[]);
    for lines in [
        "Authorization: Basic cGk6cGFzc3dvcmQ=\r\n",
        "Authorization: Basic ???\r\n",
        "Authorization: Bearer token\r\n",
        "Authorization: Digest username=\"pi\"\r\n",
        "Authorization: Basic cGk6cGFzc3dvcmQ=\r\nAuthorization: Bearer token\r\n",
    ] {
        for _ in 0..10 {
            for way in Way::ALL {
                let asker = Asker { lines, ..Asker::new(&server, stranger(0), "/c/lights") };
                assert!(asker.ask(way, None).code < 300, "{way:?} with {lines}");
            }
        }
    }
    for path in ["/", "/status", "/metrics"] {
        assert_eq!(request(server.address(), "GET", path, "Authorization: Basic ???\r\n").status, 200);
    }
}

#[test]
fn what_cannot_be_read_is_wrong_and_another_scheme_is_no_code() {
    let server = with_codes(&[]);
    for (nth, (query, lines)) in [
        ("", "Authorization: Basic ???\r\n"),
        ("", "Authorization: Basic\r\n"),
        ("", "Authorization: Bearer\r\n"),
        ("", "Authorization: Basic cGk=\r\n"),
        ("", "Authorization: Bearer \u{e9}\r\n"),
        ("", &*format!("Authorization: Bearer {IN}\r\nAuthorization: Bearer {IN}\r\n")),
        (&*format!("&code={IN}&code={IN}"), ""),
        ("&code=%ff", &*format!("Authorization: Bearer {IN}\r\n")),
        ("&code", ""),
        ("&code=", ""),
        (&*format!("&code={}", "x".repeat(4000)), ""),
    ]
    .into_iter()
    .enumerate()
    {
        // Each is a guess: the fifth of it is the last that is looked at.
        for expected in [401, 401, 401, 401, 401, 429] {
            let mut client = Client::connect_from(stranger(nth), server.address());
            client.send(request_head(server.address(), "GET", &format!("/c/in?last{query}"), lines).as_bytes());
            let response = client.response(false);
            assert_eq!(response.status, expected, "{query} {lines}");
            assert!(
                expected == 429 || response.text().contains("not the code"),
                "{query} {lines}: {}",
                response.text()
            );
        }
    }
    for lines in
        ["Authorization: Digest username=\"pi\"\r\n", "Authorization:\r\n", "Proxy-Authorization: Bearer x\r\n"]
    {
        for _ in 0..6 {
            let response = request(server.address(), "GET", "/c/in?last", lines);
            assert_eq!(response.status, 401);
            assert!(response.text().contains("needs a code"), "{lines}");
        }
    }
}

#[test]
fn refusals_are_counted_and_listed_but_a_page_that_is_asked_for_a_code_was_not_kept_out() {
    let server = with_codes(&[]);
    let ask = |nth, way, offered| Asker::new(&server, stranger(nth), "/c/both").ask(way, offered).code;
    assert_eq!(ask(0, Way::Resuming, None), 4401);
    assert_eq!(ask(1, Way::Plain, None), 401);
    assert_eq!(ask(2, Way::Resuming, Some((Place::Query, WRONG))), 4401);
    assert_eq!(ask(3, Way::Request("POST", ""), Some((Place::Query, LOW))), 403);
    let status = server.status();
    assert_eq!((&status["refused"]["401"], &status["refused"]["403"]), (&3.into(), &1.into()), "{status}");
    let why: Vec<&str> =
        status["refusals"].as_array().unwrap().iter().map(|refusal| refusal["why"].as_str().unwrap()).collect();
    let starts = ["This code may receive only", "This is not the code", "This channel needs a code"];
    assert_eq!(why.len(), starts.len(), "{why:?}");
    assert!(why.iter().zip(starts).all(|(why, start)| why.starts_with(start)), "{why:?}");
}

#[test]
fn no_code_is_in_the_log_or_the_figures_or_an_answer_right_or_wrong() {
    let server = with_codes(&["-v"]);
    let mut said = String::new();
    for (nth, code) in [IN, OUT, LOW, HIGH, WRONG, "Vhq0wzmf!bad", "Vhq0wzmf-%3d"].into_iter().enumerate() {
        for path in ["/c/in", "/c/out", "/c/both", "/c/free", "/nothing", "/c", "/c/no.name"] {
            for place in [Place::Query, Place::Basic, Place::Bearer] {
                for way in Way::ALL.into_iter().chain([Way::Request("PATCH", ""), Way::Stream("as=xml")]) {
                    let answer = Asker::new(&server, stranger(nth), path).ask(way, Some((place, code)));
                    said += &format!("{}{}", answer.head.head, answer.words);
                }
            }
        }
        // What is understood by nobody, and who may not come in at all.
        let address = server.address();
        for bytes in [
            format!("GET /?code={code} HTTP/9.9\r\n\r\n"),
            format!("GET /?code={code} HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
            format!("GET /?code={code} HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
            format!("GET /?last&code={code} HTTP/1.1\r\nHost: {address}\r\nOrigin: http://evil.example\r\n\r\n"),
            format!("GET /c/in?code={code}&after=x HTTP/1.1\r\nHost: {address}\r\n{OFFER}Upgrade: websocket\r\n\r\n"),
        ] {
            let mut client = Client::connect_from(stranger(nth), address);
            client.send(bytes.as_bytes());
            said += &String::from_utf8_lossy(&client.rest());
        }
    }
    for path in ["/status", "/metrics", "/c/free?status", "/"] {
        let response = server.get(path);
        said += &format!("{}{}", response.head, response.text());
    }
    assert!(!said.contains("Vhq0wzmf"), "{:?}", said.split('\n').find(|line| line.contains("Vhq0wzmf")));
    eventually("the log is written", || server.log().contains("refused with 405"));
    let log = server.log();
    assert!(log.contains("codes: needed to come in to /c/both, /c/in"), "{log}");
    assert!(!log.contains("Vhq0wzmf"), "{:?}", log.lines().find(|line| line.contains("Vhq0wzmf")));
    // The server knows its codes from its arguments, which a list of processes shows: --codes is for that.
    let status: Value = serde_json::from_slice(&server.get("/status").body).unwrap();
    assert!(status["refused"]["401"].as_u64() > Some(10), "{status}");
}
