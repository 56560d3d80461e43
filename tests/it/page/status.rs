//! The figures in `/status`, and the QR code.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use crate::harness::{Client, Server, request, request_head, upgrade_head};

#[test]
fn the_status_is_json_that_is_never_stored() {
    let server = Server::start(&[]);
    let response = server.get("/status");
    assert!(response.header("Content-Type").unwrap().starts_with("application/json"));
    assert!(matches!(response.header("Cache-Control"), Some("no-cache" | "no-store")));
    let status = server.status();
    for name in ["uptimeSeconds", "clients", "messages", "deliveries", "bytesIn", "bytesOut", "backlogBytes"] {
        assert!(status[name].is_u64(), "{name} in {status}");
    }
    assert_eq!(status["address"], format!("http://{}/", server.address()), "where the visitor has come to");
    for method_and_query in ["/status?x=y", "/status?"] {
        assert_eq!(server.get(method_and_query).status, 200);
    }
}

#[test]
fn the_figures_count_what_has_happened() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (server.join(), server.join());
    one.send_text("12345");
    assert_eq!((one.text(), two.text()), ("12345".into(), "12345".into()));
    let status = server.status();
    for (figure, expected) in [
        ("clients", 2),
        ("clientsPeak", 2),
        ("clientsTotal", 2),
        ("clientsBehind", 0),
        ("publishersWaiting", 0),
        ("messages", 1),
        ("posts", 0),
        ("postsBytes", 0),
        ("deliveries", 2),
        ("maxMessage", 1 << 20),
        ("backlogBytesMax", 4 << 20),
    ] {
        assert_eq!(status[figure], expected, "{figure} in {status}");
    }
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert!(status["bytesIn"].as_u64() >= Some(2 + 4 + 5), "{status}");
    assert!(status["bytesOut"].as_u64() >= Some(2 * (2 + 5)), "{status}");
    assert!(status["backlogBytes"].as_u64() >= Some(2 + 5), "{status}");
    drop(one);
    server.wait_for_figure("/clients", 1);
    assert_eq!(server.figure("/clientsPeak"), 2);
}

#[test]
fn the_qr_code_is_a_picture_of_the_address_that_was_used() {
    let server = Server::start(&[]);
    let response = server.get("/qr.svg");
    assert_eq!(response.status, 200);
    assert!(response.header("Content-Type").unwrap().starts_with("image/svg+xml"));
    assert!(response.text().contains("<svg") && response.text().trim_end().ends_with("</svg>"));
    let of = |host: &str, query: &str| {
        let mut client = Client::connect(server.address());
        client.send(format!("GET /qr.svg{query} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        client.response(false)
    };
    let code = of("board.local", "").body;
    assert_eq!(code, of("board.local", "?scheme=http&path=/").body);
    for (host, query) in [
        ("other.local", ""),
        ("board.local", "?scheme=https"),
        ("board.local", "?path=/hub/"),
        ("board.local", "?code=4711"),
    ] {
        let other = of(host, query);
        assert_eq!(other.status, 200, "{host}{query}");
        assert_ne!(code, other.body, "{host}{query}");
    }
    for (host_bytes, status) in [(220, 200), (252, 200), (254, 200), (256, 400), (600, 400), (2000, 400)] {
        let host = "a.".repeat(host_bytes / 2 - 2) + "lan";
        let answer = of(&host, "");
        assert_eq!(answer.status, status, "a host of {} bytes", host.len());
    }
    for query in ["?scheme=ftp", "?path=hub", "?code=47/11", "?host=other.local"] {
        assert_eq!(of("board.local", query).status, 400, "{query}");
    }
}

#[test]
fn the_peak_of_clients_stays_when_they_have_gone() {
    let server = Server::start(&[]);
    let three = [server.join(), server.join(), server.join()];
    assert_eq!(server.figure("/clientsPeak"), 3);
    drop(three);
    server.wait_for_figure("/clients", 0);
    let again = server.join();
    assert_eq!((server.figure("/clients"), server.figure("/clientsPeak")), (1, 3));
    drop(again);
}

/// What `/status` tells this address of refusals, without the time.
fn refusals(server: &Server, asker: IpAddr) -> Vec<Value> {
    let mut client = Client::connect_from(asker, server.address());
    client.send(request_head(server.address(), "GET", "/status", "").as_bytes());
    let mut status: Value = serde_json::from_slice(&client.response(false).body).expect("/status is JSON");
    let mut listed = status["refusals"].take();
    for refusal in listed.as_array_mut().expect("a list") {
        let secs_ago = refusal.as_object_mut().unwrap().remove("secondsAgo").expect("when it was");
        assert!(secs_ago.as_u64() < Some(60), "{secs_ago}");
    }
    listed.as_array().unwrap().clone()
}

/// Asks for a handshake from an address, and expects to be refused.
fn be_refused(server: &Server, ip: IpAddr, host: &str, lines: &str) {
    let mut client = Client::connect_from(ip, server.address());
    client.send(upgrade_head(host, "/secret?after=code", lines).as_bytes());
    let response = client.response(false);
    assert!(response.status >= 400, "{response:?}");
    client.expect_end();
}

const LAPTOP: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const SENSOR: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

#[test]
fn the_last_refusals_are_listed_with_their_reason_and_their_address_only_for_itself() {
    let server = Server::start(&[]);
    assert_eq!(refusals(&server, LAPTOP), Vec::<Value>::new());
    let host = server.address().to_string();
    be_refused(&server, SENSOR, &host, "Sec-WebSocket-Version: 8\r\nCookie: secret\r\n");
    for _ in 0..3 {
        be_refused(&server, LAPTOP, &host, "Origin: http://Laptop.local:5173\r\n");
    }
    let origin = |with: &[(&str, &str)]| {
        let mut refusal = json!({
            "times": 3,
            "status": 403,
            "why": "Pages from elsewhere may not connect; start the server with --allow-origin and the page's origin to \
                    change that.",
            "header": "Origin",
            "value": "http://laptop.local:5173",
            "isLocal": true,
        });
        for (name, value) in with {
            refusal[*name] = (*value).into();
        }
        refusal
    };
    let listed = refusals(&server, LAPTOP);
    assert_eq!(listed[0], origin(&[("address", "127.0.0.2")]));
    assert_eq!(listed[1]["times"], 1);
    assert_eq!((&listed[1]["header"], &listed[1]["address"]), (&Value::Null, &Value::Null), "{listed:?}");
    assert_eq!(refusals(&server, SENSOR)[0], origin(&[]));
    assert!(!format!("{listed:?}").contains("secret"), "{listed:?}");
}

#[test]
fn it_is_told_of_a_value_whether_somebody_on_the_web_can_have_chosen_it() {
    let server = Server::start(&[]);
    let host = server.address().to_string();
    for (ip, line, expected) in [
        ([127, 0, 1, 1], "Origin: https://call-us-now.example.com", Some(("https://call-us-now.example.com", false))),
        ([127, 0, 1, 2], "Origin: http://192.0.2.1:8080", Some(("http://192.0.2.1:8080", true))),
        ([127, 0, 1, 3], "Origin: null", Some(("null", true))),
        ([127, 0, 1, 4], "Origin: strange://<b>call us</b>", Some(("strange://<b>call us</b>", false))),
        ([127, 0, 1, 7], "Origin: My Sensor", Some(("my sensor", false))),
        ([127, 0, 1, 8], "Origin: caf\u{e9}", None),
        ([127, 0, 1, 5], "Origin: strange://$$call.us$$", Some(("strange://$$call.us$$", false))),
    ] {
        be_refused(&server, ip.into(), &host, &format!("{line}\r\n"));
        let newest = refusals(&server, LAPTOP).remove(0);
        let value = newest["value"].as_str().map(|value| (value, newest["isLocal"].as_bool().expect("it is told")));
        assert_eq!((newest["header"].as_str(), value), (Some("Origin"), expected), "{line}");
    }
    be_refused(&server, [127, 0, 1, 6].into(), "call-us-now.example.com", "");
    let newest = refusals(&server, LAPTOP).remove(0);
    assert_eq!((newest["header"].as_str(), newest["value"].as_str()), (Some("Host"), Some("call-us-now.example.com")));
    assert_eq!(newest["isLocal"], false);
}

#[test]
fn a_long_value_is_cut_and_pages_that_are_not_there_are_no_refusals() {
    let server = Server::start(&[]);
    let host = server.address().to_string();
    let origin = format!("http://{}.local", "a".repeat(63));
    be_refused(&server, LAPTOP, &host, &format!("Origin: {origin}\r\n"));
    assert_eq!(refusals(&server, LAPTOP)[0]["value"], format!("{}…", &origin[..60]));
    assert_eq!(server.get("/nothing").status, 404);
    assert_eq!(refusals(&server, LAPTOP).len(), 1);
    assert_eq!(request(server.address(), "POST", "/nothing", "Content-Length: 2\r\n").status, 404);
    assert_eq!(refusals(&server, LAPTOP).len(), 2, "who posts is told what to do in an answer that it may not show");
}

#[test]
fn nobody_fills_the_list_of_refusals_alone() {
    let server = Server::start(&[]);
    let host = server.address().to_string();
    be_refused(&server, SENSOR, &host, "Sec-WebSocket-Version: 8\r\n");
    for port in 1..20 {
        be_refused(&server, LAPTOP, &host, &format!("Origin: http://laptop:{port}\r\n"));
    }
    let listed = refusals(&server, SENSOR);
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert_eq!((&listed[0]["value"], &listed[2]["address"]), (&json!("http://laptop:19"), &json!("127.0.0.3")));
    for last in 1..20 {
        be_refused(&server, [127, 0, 2, last].into(), &host, "Origin: null\r\n");
    }
    assert_eq!(refusals(&server, SENSOR).len(), 8);
}
