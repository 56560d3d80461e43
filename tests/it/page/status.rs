//! The figures in `/status`, and the QR code.

use crate::harness::{Client, Server};

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
    for (host, query) in [("other.local", ""), ("board.local", "?scheme=https"), ("board.local", "?path=/hub/")] {
        let other = of(host, query);
        assert_eq!(other.status, 200, "{host}{query}");
        assert_ne!(code, other.body, "{host}{query}");
    }
    for (host_bytes, status) in [(220, 200), (252, 200), (254, 200), (256, 400), (600, 400), (2000, 400)] {
        let host = "a.".repeat(host_bytes / 2 - 2) + "lan";
        let answer = of(&host, "");
        assert_eq!(answer.status, status, "a host of {} bytes", host.len());
    }
    for query in ["?scheme=ftp", "?path=hub", "?host=other.local"] {
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
