//! `docs/wire.md` is true: its tables and its example are held against a server.

use serde_json::Value;

use super::read;
use super::reference::table;
use crate::harness::{Client, Server, Stream, post};

const PAPER: &str = "docs/wire.md";

/// The blocks of code in this language, in their order.
fn blocks(language: &str) -> Vec<String> {
    let text = read(PAPER);
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// A head of the example, as it goes over the wire.
fn head(block: &str) -> String {
    block.lines().chain([""]).fold(String::new(), |head, line| head + line + "\r\n")
}

#[test]
fn the_example_is_what_a_server_says_byte_by_byte() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    let [_, request, response] = &blocks("http")[..] else { panic!("a post's answer, a request and a response") };
    client.send(head(request).as_bytes());
    assert_eq!(client.response(true).head, head(response));
    let frames = &blocks("text")[0];
    assert!(frames.lines().count() > 10, "is this test blind?");
    for line in frames.lines() {
        let (side, rest) = line.split_once("  ").expect("who, and what");
        let digits = rest.split('#').next().unwrap().split_whitespace();
        let bytes: Vec<u8> = digits.map(|byte| u8::from_str_radix(byte, 16).expect("two digits")).collect();
        match side {
            "client" => client.send(&bytes),
            "server" => assert_eq!(client.bytes(bytes.len()).expect("as many come"), bytes, "{line}"),
            _ => panic!("who is that: {line}"),
        }
    }
    client.expect_end();
}

#[test]
fn the_hello_has_the_fields_that_are_described_and_no_others() {
    let server = Server::start(&[]);
    let hello = |path: &str| -> Value {
        let mut client = Client::connect(server.address());
        client.upgrade(server.address(), path, "Sec-WebSocket-Protocol: foghorn.v1\r\n");
        serde_json::from_str(&client.text()).expect("the hello is JSON")
    };
    let first = hello("/");
    let next = hello(&format!("/?replaces={}", first["id"].as_str().expect("an id")));
    let example: Value = serde_json::from_str(&blocks("json")[0]).expect("the example is JSON");
    let described = table(PAPER, "field");
    // The last one comes only where it is asked for.
    assert_eq!(described.last().expect("fields")[0], "`taken`");
    for (whose, shown, left_out) in [("the server's", &first, 1), ("the next", &next, 0), ("the example", &example, 1)]
    {
        let fields = shown.as_object().expect("an object");
        let names: Vec<String> = fields.keys().map(|name| format!("`{name}`")).collect();
        let rows = &described[..described.len() - left_out];
        assert!(names.iter().eq(rows.iter().map(|row| &row[0])), "{whose}: {shown}");
        for (row, value) in described.iter().zip(fields.values()) {
            let is_right = match &*row[1] {
                "boolean" => value.is_boolean(),
                "string" => value.is_string(),
                _ => row[1].starts_with("number") && value.is_u64(),
            };
            assert!(is_right, "{whose}: {} is no {}", row[0], row[1]);
        }
    }
    // Of another epoch or connection nothing is known.
    let stranger = hello("/?after=another:1&replaces=another");
    assert!(stranger["lost"].is_null() && stranger["taken"].is_null(), "{stranger}");
}

#[test]
fn a_post_is_answered_as_it_is_shown() {
    let server = Server::start(&[]);
    let answer = post(&server, "/", "", b"hello");
    let said: Value = serde_json::from_slice(&answer.body).expect("the answer is JSON");
    let epoch = said["epoch"].as_str().expect("an epoch");
    let as_here = [("kjxwqa", epoch), (":42", ":1"), ("\"clients\":7", "\"clients\":0")];
    let shown = as_here.iter().fold(blocks("http").remove(0), |shown, (there, here)| shown.replace(there, here));
    let (head, body) = shown.split_once("\n\n").expect("a head and a body");
    assert_eq!(answer.text(), body);
    for line in head.lines() {
        assert!(answer.head.contains(&format!("{line}\r\n")), "{line} is not in {}", answer.head);
    }
}

#[test]
fn a_stream_of_events_looks_as_it_is_shown() {
    let server = Server::start(&[]);
    let mut stream = Stream::open(&server, "/?as=events&count=2");
    let mut speaker = server.join();
    speaker.send_text("the first line of a text\nthe second");
    speaker.send_binary(b"\0\xff");
    let (all, _) = stream.rest();
    let all = String::from_utf8(all).expect("events are UTF-8");
    let epoch = all.split_once("id: ").and_then(|(_, rest)| rest.split_once(':')).expect("an id").0;
    let shown = blocks("event-stream").remove(0);
    let as_here = [("kjxwqa", epoch), (":41", ":0"), (":42", ":1"), (":43", ":2"), ("\"clients\":7", "\"clients\":1")];
    assert_eq!(all, as_here.iter().fold(shown, |shown, (there, here)| shown.replace(there, here)));
}
