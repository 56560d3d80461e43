//! The loads of pages against servers that cheat: a wrong status, a length that changes, other bytes for a phone.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use foghorn_bench::client::Target;
use foghorn_bench::fleet::Waiting;
use foghorn_bench::load::{Kind, Load};
use foghorn_bench::loads;
use foghorn_bench::outcome::Figures;
use foghorn_bench::server::Server;
use tokio_tungstenite::tungstenite::accept;

const PAGE: &str = r#"<script type="module" src="app.js"></script>"#;
const SCRIPT: &str = "'use strict';";

/// The whole answer to the request of this number.
type Answer = fn(u64, String) -> String;

/// A server with a thread for each connection, which ends with its client.
fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    addr
}

fn start_pages(answer: Answer) -> SocketAddr {
    let requests = AtomicU64::new(0);
    start(move |stream| {
        let mut writer = stream.try_clone().unwrap();
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        while let Some(line) = lines.next() {
            let body = if line.contains("/app.js") { SCRIPT } else { PAGE };
            let honest = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            lines.by_ref().find(String::is_empty);
            let answer = answer(requests.fetch_add(1, Ordering::Relaxed), honest);
            if writer.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn start_websockets() -> SocketAddr {
    start(|stream| {
        if let Ok(mut socket) = accept(stream) {
            while socket.read().is_ok() {}
        }
    })
}

fn run(kind: Kind, answer: Answer) -> Result<Figures> {
    let server = |addr| Server::running(std::process::id(), Target::new(addr, "/"));
    let pair = server(start_pages(answer)).with_websockets(server(start_websockets()));
    loads::run(&Load::new(kind, 5, 0.2), &pair, Waiting::Sleep)
}

fn why_void(kind: Kind, answer: Answer) -> String {
    format!("{:#}", run(kind, answer).expect_err("the run has to be void"))
}

#[test]
fn an_honest_server_gets_figures_for_requests() {
    let figures = run(Kind::PageRequests, |_, honest| honest).unwrap();
    assert!(figures["requests_per_s"] > 0.0);
    assert!(figures["total_us_per_request"] > 0.0);
}

#[test]
fn a_storm_of_phones_is_over_when_all_have_the_page_and_are_joined() {
    let figures = run(Kind::PageStorm, |_, honest| honest).unwrap();
    assert!((figures["requests_per_phone"] - 2.0).abs() < 1e-9);
    assert!(figures["slowest_phone_ms"] >= figures["median_phone_ms"]);
    assert!(figures["peak_kib"] > 0.0);
}

#[test]
fn another_length_makes_a_run_of_requests_void() {
    let shorter = |count, honest: String| match count {
        20 => "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n<".into(),
        _ => honest,
    };
    assert!(why_void(Kind::PageRequests, shorter).contains("came with 1 bytes"));
}

#[test]
fn another_status_makes_a_run_of_requests_void() {
    let refused = |count, honest: String| match count {
        20 => honest.replace("200 OK", "503 Service Unavailable"),
        _ => honest,
    };
    assert!(why_void(Kind::PageRequests, refused).contains("status 503"));
}

#[test]
fn other_bytes_of_the_same_length_make_a_storm_void() {
    let other = |count, honest: String| match count {
        8 => honest.replace("script", "scribe").replace("strict", "struck"),
        _ => honest,
    };
    assert!(why_void(Kind::PageStorm, other).contains("other bytes than at the first visit"));
}

#[test]
fn a_number_that_is_not_due_makes_a_run_of_posts_void() {
    let stuck = |_, _| "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"seq\":1}".into();
    assert!(why_void(Kind::NewPosts, stuck).contains("where 2 was due"));
}
