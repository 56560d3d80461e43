//! `/metrics`: what a client library of Prometheus reads there is what `/status` says.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Client, Response, Server, request};

/// Reads the text as its users do, and says it as JSON.
const READER: &str = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = text_string_to_metric_families(sys.stdin.buffer.read().decode())
json.dump([[f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]] for f in families], sys.stdout)
";

/// All samples, by their names and labels as the text has them.
fn read(response: &Response) -> BTreeMap<String, f64> {
    assert_eq!(response.status, 200);
    assert_eq!(response.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut reader = Command::new("/usr/bin/python3")
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is there");
    reader.stdin.take().unwrap().write_all(&response.body).expect("it reads all");
    let output = reader.wait_with_output().expect("it ends");
    assert!(output.status.success(), "python3-prometheus-client is there, and understands {}", response.text());
    let families: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut samples = BTreeMap::new();
    for family in families.as_array().unwrap() {
        assert!(family[0] == "counter" || family[0] == "gauge", "{family}");
        assert!(family[1].as_str().unwrap().ends_with('.'), "{family}");
        for sample in family[2].as_array().unwrap() {
            let labels = sample[1].as_object().unwrap().iter();
            let labels: Vec<String> =
                labels.map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
            let name = format!("{}{{{}}}", sample[0].as_str().unwrap(), labels.join(","));
            assert_eq!(samples.insert(name.clone(), sample[2].as_f64().unwrap()), None, "{name} comes twice");
        }
    }
    samples
}

fn scrape(server: &Server) -> BTreeMap<String, f64> {
    read(&server.get("/metrics"))
}

/// The figures of `/status`, and what they are called here.
const FIGURES: [(&str, &str); 19] = [
    ("/channels", "foghorn_channels{}"),
    ("/clients", "foghorn_clients{}"),
    ("/clientsPeak", "foghorn_clients_peak{}"),
    ("/clientsTotal", "foghorn_joins_total{}"),
    ("/clientsBehind", "foghorn_clients_behind{}"),
    ("/publishersWaiting", "foghorn_publishers_waiting{}"),
    ("/messages", "foghorn_messages_total{}"),
    ("/deliveries", "foghorn_deliveries_total{}"),
    ("/bytesIn", "foghorn_received_bytes_total{}"),
    ("/bytesOut", "foghorn_sent_bytes_total{}"),
    ("/backlogBytes", "foghorn_backlog_bytes{}"),
    ("/backlogBytesMax", "foghorn_backlog_limit_bytes{}"),
    ("/posts", "foghorn_posts_total{}"),
    ("/postsBytes", "foghorn_posts_bytes{}"),
    ("/maxMessage", "foghorn_message_limit_bytes{}"),
    ("/httpRestarts", "foghorn_page_server_restarts_total{}"),
    ("/pendingDropped", "foghorn_pending_dropped_total{}"),
    ("/acceptErrors", "foghorn_accept_errors_total{}"),
    ("/refused/403", "foghorn_refused_total{status=403}"),
];

#[test]
fn all_figures_of_the_status_are_there_under_names_of_their_own() {
    let server = Server::start(&[]);
    let mut client = server.join();
    client.expect_echo("hello");
    server.join().send_close(1000, "");
    server.wait_for_figure("/closed/closedByClient", 1);
    let foreign = request(server.address(), "GET", "/?status", "Origin: http://evil.example\r\n");
    assert_eq!(foreign.status, 403);
    let (status, samples) = (server.status(), scrape(&server));
    for (pointer, name) in FIGURES {
        let figure = status.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer}"));
        assert_eq!(samples.get(name), Some(&figure), "{pointer} is {name}");
    }
    for (kind, label) in [("closed", "reason"), ("refused", "status")] {
        for (key, count) in status[kind].as_object().expect("by their keys") {
            let name = format!("foghorn_{kind}_total{{{label}={key}}}");
            assert_eq!(samples.get(&name).copied(), count.as_f64(), "{name}");
        }
    }
    let version = format!("foghorn_build_info{{version={}}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(samples.get(&version), Some(&1.0));
    assert!(samples["foghorn_http_requests_total{}"] >= 1.0);
    let known: Vec<&str> = FIGURES.iter().map(|(pointer, _)| &pointer[1..]).collect();
    for (key, value) in status.as_object().unwrap() {
        let is_said = !value.is_u64() || known.contains(&&**key) || ["uptimeSeconds", "httpRequests"].contains(&&**key);
        assert!(is_said, "{key} is not among the metrics");
    }
}

#[test]
fn the_start_of_the_server_stays() {
    let server = Server::start(&[]);
    let started = scrape(&server)["process_start_time_seconds{}"];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - 3600.0..=now + 1.0).contains(&started), "{started} is not before {now}");
    for _ in 0..20 {
        assert_eq!(scrape(&server)["process_start_time_seconds{}"].to_bits(), started.to_bits());
    }
}

#[test]
fn a_channel_is_there_while_it_exists_and_what_was_counted_for_all_stays() {
    let server = Server::start(&["--max-channels", "1"]);
    let of = |samples: &BTreeMap<String, f64>, name: &str, channel: &str| {
        samples.get(&format!("foghorn_channel_{name}{{channel={channel}}}")).copied()
    };
    let mut lamp = Client::join_at(server.address(), "/c/lamp");
    lamp.expect_echo("on");
    server.join().expect_echo("hello");
    server.wait_for_figure("/clients", 1);
    let samples = scrape(&server);
    assert_eq!(of(&samples, "messages_total", "lamp"), Some(1.0));
    assert_eq!(of(&samples, "clients", "lamp"), Some(1.0));
    assert_eq!(of(&samples, "clients", "/"), Some(0.0), "the main one");
    assert_eq!(of(&samples, "messages_total", "/"), Some(1.0));
    assert_eq!(of(&samples, "deliveries_total", "lamp"), Some(1.0));
    for name in ["clients_behind", "publishers_waiting"] {
        assert_eq!(of(&samples, name, "lamp"), Some(0.0));
    }
    assert!(of(&samples, "backlog_bytes", "lamp").unwrap() > 0.0);
    assert_eq!((samples["foghorn_messages_total{}"], samples["foghorn_channels{}"]), (2.0, 2.0));
    drop(lamp);
    server.wait_for_figure("/clients", 0);
    // It takes the place of the other one.
    let mut door = Client::join_at(server.address(), "/c/door");
    door.expect_echo("open");
    let samples = scrape(&server);
    assert_eq!((of(&samples, "messages_total", "lamp"), of(&samples, "messages_total", "door")), (None, Some(1.0)));
    assert_eq!((samples["foghorn_messages_total{}"], samples["foghorn_channels{}"]), (3.0, 2.0));
    assert_eq!(request(server.address(), "DELETE", "/c/door", "").status, 200);
    assert_eq!(scrape(&server)["foghorn_messages_total{}"].to_bits(), 3.0_f64.to_bits());
}

#[test]
fn only_get_and_head_are_answered() {
    let server = Server::start(&[]);
    assert_eq!(request(server.address(), "HEAD", "/metrics", "").status, 200);
    assert!(request(server.address(), "POST", "/metrics", "Content-Length: 0\r\n").status >= 400);
    assert_eq!(request(server.address(), "GET", "/metrics", "Content-Length: 1\r\n").status, 413);
}
