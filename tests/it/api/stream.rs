//! What is said in a channel as a stream over HTTP: as events, as lines or as JSON.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Client, Event, Server, Stream, request, request_head};

/// Has a text published, and waits until it is.
fn say(speaker: &mut Client, text: &str) {
    speaker.expect_echo(text);
}

fn hello(event: &Event) -> Value {
    assert_eq!(event.kind, "hello");
    serde_json::from_str(&event.data).expect("the hello is JSON")
}

/// A stream of events, behind its hello.
fn events(server: &Server, query: &str) -> Stream {
    let mut stream = Stream::open(server, &format!("/?as=events{query}"));
    hello(&stream.event());
    stream
}

#[test]
fn who_only_reads_takes_no_place_from_a_channel_with_messages() {
    let server = Server::start(&["--max-channels", "1"]);
    Client::join_at(server.address(), "/c/a").expect_echo("kept");
    server.wait_for_figure("/clients", 0);
    assert_eq!(server.get("/c/b?as=lines").status, 503);
    assert_eq!(server.get("/c/a?last").text(), "kept");
    let _speaker = Client::join_at(server.address(), "/c/b");
    let _reader = Stream::open(&server, "/c/b?as=lines");
    server.wait_for_figure("/clients", 2);
    assert_eq!(server.get("/c/a?last").status, 204, "a speaker takes it");
}

#[test]
fn each_form_has_all_that_is_said_in_its_channel() {
    let server = Server::start(&[]);
    let mut lines = Stream::open(&server, "/c/a?as=lines");
    let mut json = Stream::open(&server, "/c/a?as=json");
    let mut events = Stream::open(&server, "/c/a?as=events");
    let mut elsewhere = Stream::open(&server, "/?as=lines");
    let epoch = json.json()["epoch"].as_str().unwrap().to_owned();
    hello(&events.event());
    let mut speaker = Client::join_at(server.address(), "/c/A");
    speaker.send_text("fog");
    speaker.send_binary(b"\0\xff");
    speaker.send_text("");
    let mut other = server.join();
    say(&mut other, "elsewhere");
    assert_eq!([lines.line(), lines.line(), lines.line()], [b"fog".to_vec(), b"\0\xff".to_vec(), b"".to_vec()]);
    for (seq, key, value) in [(1, "text", "fog"), (2, "base64", "AP8="), (3, "text", "")] {
        let object = json.json();
        assert_eq!((object["seq"].as_u64(), object[key].as_str()), (Some(seq), Some(value)), "{object}");
        let age = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs().abs_diff(object["at"].as_u64().unwrap());
        assert!(age < 60, "{object}");
        let event = events.event();
        assert_eq!((event.id, event.data), (format!("{epoch}:{seq}"), value.to_owned()));
        assert_eq!(event.kind, if key == "text" { "message" } else { "binary" });
    }
    assert_eq!(elsewhere.text(), "elsewhere");
    assert_eq!((server.figure("/clients"), server.figure("/channels")), (6, 2), "they count as clients");
    server.wait_for_figure("/deliveries", 3 * 4 + 2);
}

#[test]
fn it_begins_with_where_it_begins() {
    let server = Server::start(&["--greeting", "hi"]);
    let mut speaker = Client::connect(server.address());
    speaker.upgrade(server.address(), "/?echo=1", "");
    assert_eq!(speaker.text(), "hi");
    say(&mut speaker, "one");
    let mut json = Stream::open(&server, "/?as=json&history=1");
    let fields = json.json();
    let epoch = fields["epoch"].as_str().unwrap().to_owned();
    let expected = json!({
        "foghorn": 1, "greeting": "hi", "channel": "", "epoch": epoch, "seq": 0, "lost": 0, "head": 1, "clients": 2,
        "maxMessage": 1 << 20, "send": true,
    });
    assert_eq!(fields, expected);
    assert_eq!(json.json()["text"], "one");
    let first = Stream::open(&server, "/?as=events").event();
    assert_eq!(first.id, format!("{epoch}:1"), "so a browser that has seen no message goes on here");
    let fields = hello(&first);
    assert_eq!((fields["seq"].as_u64(), fields["head"].as_u64()), (Some(1), Some(1)));

    let lines = Stream::open(&server, "/?as=lines&history=1").head;
    assert_eq!(lines.header("Foghorn-Seq"), Some(&*format!("{epoch}:0")));
    assert_eq!(lines.header("Foghorn-Lost"), Some("0"));
    let lines = Stream::open(&server, "/?as=lines&after=other:7").head;
    assert_eq!(lines.header("Foghorn-Seq"), Some(&*format!("{epoch}:1")));
    assert_eq!(lines.header("Foghorn-Lost"), Some("unknown"));
}

#[test]
fn its_head_keeps_proxies_from_keeping_and_browsers_from_guessing() {
    let server = Server::start(&[]);
    for (form, media_type) in
        [("events", "text/event-stream"), ("lines", "text/plain; charset=utf-8"), ("json", "application/x-ndjson")]
    {
        let head = Stream::open(&server, &format!("/?as={form}")).head;
        for (name, value) in [
            ("Content-Type", media_type),
            ("Connection", "close"),
            ("Cache-Control", "no-store"),
            ("X-Accel-Buffering", "no"),
            ("X-Content-Type-Options", "nosniff"),
            ("Content-Security-Policy", "sandbox"),
            ("Cross-Origin-Resource-Policy", "same-site"),
        ] {
            assert_eq!(head.header(name), Some(value), "{form}");
        }
        assert!(head.header("Content-Length").is_none() && head.header("Transfer-Encoding").is_none());
    }
}

#[test]
fn a_browser_asks_by_accept_and_a_foreign_page_gets_nothing() {
    let server = Server::start(&[]);
    let open = |lines: &str| Stream::open_with(Client::connect(server.address()), server.address(), "/", lines);
    assert_eq!(open("Accept: text/event-stream\r\n").event().kind, "hello");
    let origin = format!("http://{}", server.address());
    let mut own = open(&format!("Accept: text/event-stream\r\nOrigin: {origin}\r\n"));
    assert_eq!(own.event().kind, "hello");
    assert_eq!(own.head.header("Access-Control-Allow-Origin"), Some(&*origin));
    let unreadable = request(server.address(), "GET", "/?as=xml", &format!("Origin: {origin}\r\n"));
    assert_eq!(unreadable.header("Access-Control-Allow-Origin"), Some(&*origin), "its page can read why");
    let foreign = "Accept: text/event-stream\r\nOrigin: http://evil.example\r\n";
    assert_eq!(request(server.address(), "GET", "/", foreign).status, 403);
    assert_eq!(request(server.address(), "HEAD", "/?as=events", "").status, 405);
    assert_eq!(request(server.address(), "GET", "/index.html", "Accept: text/event-stream\r\n").status, 200);
}

#[test]
fn wishes_that_cannot_be_read_are_refused_with_a_sentence() {
    let server = Server::start(&[]);
    for query in ["as=xml", "as", "as=json&after=x", "as=json&history=x", "as=json&count=-1", "as=json&count"] {
        let response = server.get(&format!("/?{query}"));
        assert_eq!(response.status, 400, "{query}");
        response.expect_a_sentence();
    }
    assert_eq!(server.get("/c/a.b?as=xml").status, 404, "it is no channel's");
}

#[test]
fn it_goes_on_behind_the_message_that_the_client_has() {
    let server = Server::start(&["--history", "1"]);
    let mut speaker = server.join();
    for number in 1..=5 {
        say(&mut speaker, &number.to_string());
    }
    let epoch = hello(&Stream::open(&server, "/?as=events").event())["epoch"].as_str().unwrap().to_owned();
    let first = |query: &str, lines: &str| {
        let client = Client::connect(server.address());
        let mut stream = Stream::open_with(client, server.address(), &format!("/?as=events{query}"), lines);
        let fields = hello(&stream.event());
        (fields["lost"].clone(), stream.event().data)
    };
    let known = |text: &str| (json!(0), text.to_owned());
    let unknown = |text: &str| (Value::Null, text.to_owned());
    assert_eq!(first("", ""), known("5"), "--history");
    assert_eq!(first("&history=3", ""), known("3"));
    assert_eq!(first(&format!("&after={epoch}:3"), ""), known("4"));
    assert_eq!(first(&format!("&after={epoch}:3&history=1"), ""), known("4"), "after wins over history");
    assert_eq!(first("&after=other:3&history=2", ""), unknown("4"));
    assert_eq!(first(&format!("&after={epoch}:6"), ""), unknown("5"), "there is no message 6");
    let id = format!("Last-Event-ID: {epoch}:1\r\n");
    assert_eq!(first(&format!("&after={epoch}:3&history=1"), &id), known("2"), "the id wins over both");
    assert_eq!(first(&format!("&after={epoch}:3"), "Last-Event-ID: what\r\n"), unknown("5"));
    assert_eq!(first("&history=2", "Last-Event-ID:\r\n"), known("4"), "an empty one says nothing");
}

#[test]
fn whoever_is_cut_off_at_any_byte_goes_on_without_a_gap() {
    let server = Server::start(&[]);
    let mut speaker = server.join();
    let said: Vec<String> =
        (0..12).map(|number| format!("{number}\r\nid: x:{number}\n\n{}", "ü".repeat(number))).collect();
    for text in &said {
        say(&mut speaker, text);
    }
    let shown: Vec<String> = said.iter().map(|text| text.replace("\r\n", "\n")).collect();
    let count = said.len();
    let (all, _) = Stream::open(&server, &format!("/?as=events&history={count}&count={count}")).rest();
    for cut in (0..all.len()).step_by(7) {
        // What a browser has of it: whole events.
        let had = all[..cut]
            .windows(2)
            .rposition(|end| end == b"\n\n")
            .map_or("", |at| std::str::from_utf8(&all[..at + 2]).unwrap());
        let id = had.lines().filter_map(|line| line.strip_prefix("id: ")).next_back();
        let had_messages = id.map_or(0, |id| id.split_once(':').unwrap().1.parse::<usize>().unwrap());
        let lines = id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let target = format!("/?as=events&history={count}&count={}", count - had_messages);
        let mut stream = Stream::open_with(Client::connect(server.address()), server.address(), &target, &lines);
        assert_eq!(hello(&stream.event())["lost"], 0);
        for text in &shown[had_messages..] {
            assert_eq!(stream.event().data, *text, "cut at byte {cut}");
        }
        assert!(stream.try_event().is_err(), "that was all");
    }
}

#[test]
fn messages_arrive_as_they_were_whatever_is_in_them() {
    let server = Server::start(&[]);
    let (mut events, mut json, mut lines) =
        (events(&server, ""), Stream::open(&server, "/?as=json"), Stream::open(&server, "/?as=lines"));
    json.json();
    let mut speaker = server.join();
    let large = "some \"ü\u{1}\\ \r".repeat(60_000);
    for text in ["", "\0", "\r\rdata: x\r\n\r\nevent: y\n", " leading", "\u{feff}bom", ":comment", "\n", large.as_str()]
    {
        assert!(text.len() <= 1 << 20);
        speaker.send_text(text);
        let shown = text.replace("\r\n", "\n").replace('\r', "\n");
        let event = events.event();
        assert!(event.data == shown && event.kind == "message", "{event:.80?}");
        assert_eq!(json.json()["text"].as_str(), Some(text));
        for line in text.split('\n') {
            assert!(lines.line() == line.as_bytes());
        }
    }
    let binary: Vec<u8> = (0..1 << 20).map(|number: u32| (number / 7).to_le_bytes()[0]).collect();
    speaker.send_binary(&binary);
    let event = events.event();
    assert_eq!((event.kind.as_str(), event.data.len()), ("binary", binary.len().div_ceil(3) * 4));
    assert_eq!(json.json()["base64"].as_str(), Some(&*event.data));
    let mut whole = Vec::new();
    while whole.len() <= binary.len() {
        whole.extend(lines.line());
        whole.push(b'\n');
    }
    assert!(whole[..binary.len()] == binary && whole.len() == binary.len() + 1);
}

#[test]
fn after_so_many_messages_it_ends() {
    let server = Server::start(&[]);
    let mut speaker = server.join();
    say(&mut speaker, "before");
    let mut two = Stream::open(&server, "/?as=lines&history=1&count=2");
    let mut waiting = Stream::open(&server, "/?as=lines&count=1");
    let curl = Command::new("curl")
        .args(["-sSN", &format!("http://{}/?as=lines&count=1", server.address())])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("curl is there");
    server.wait_for_figure("/clients", 4);
    speaker.send_text("now");
    speaker.send_text("later");
    assert_eq!(two.rest(), (b"before\nnow\n".to_vec(), true));
    assert_eq!(waiting.rest(), (b"now\n".to_vec(), true));
    let printed = curl.wait_with_output().unwrap();
    assert_eq!((printed.status.code(), printed.stdout), (Some(0), b"now\n".to_vec()));
    assert_eq!(Stream::open(&server, "/?as=lines&count=0").rest(), (Vec::new(), true));
    server.wait_for_figure("/closed/complete", 4);
    server.wait_for_figure("/clients", 1);
}

#[test]
fn a_client_of_http_1_0_gets_the_same() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send(format!("GET /?as=lines HTTP/1.0\r\nHost: {}\r\n\r\n", server.address()).as_bytes());
    let head = client.response(true);
    assert_eq!((head.status, head.header("Connection")), (200, Some("close")));
    server.join().send_text("fog");
    assert_eq!(client.line().unwrap(), b"fog\n");
}

#[test]
fn a_channel_that_is_cleared_tells_its_new_epoch_between_the_old_messages_and_the_new() {
    let server = Server::start(&[]);
    let mut speaker = server.join();
    let (mut events, mut json, mut lines) =
        (Stream::open(&server, "/?as=events"), Stream::open(&server, "/?as=json"), Stream::open(&server, "/?as=lines"));
    let (old, _) = (hello(&events.event()), json.json());
    say(&mut speaker, "old");
    let cleared = request(server.address(), "DELETE", "/", "");
    let new = serde_json::from_slice::<Value>(&cleared.body).unwrap()["epoch"].clone();
    assert_ne!(old["epoch"], new);
    say(&mut speaker, "new");
    assert_eq!(events.event().data, "old");
    let event = events.event();
    let fields = hello(&event);
    assert_eq!((&fields["epoch"], &fields["seq"], &fields["lost"]), (&new, &json!(0), &json!(0)));
    assert_eq!(event.id, format!("{}:0", new.as_str().unwrap()));
    let event = events.event();
    assert_eq!((event.id, event.data), (format!("{}:1", new.as_str().unwrap()), "new".to_owned()));
    assert_eq!(json.json()["text"], "old");
    assert_eq!(json.json()["epoch"], new);
    assert_eq!((lines.text(), lines.text()), ("old".into(), "new".into()));
    // Without a message between, only the last is told.
    let mut idle = Stream::open(&server, "/?as=json");
    assert_eq!(idle.json()["epoch"], new);
    request(server.address(), "DELETE", "/", "");
    assert_eq!(idle.json()["seq"], 0, "at once");
}

#[test]
fn what_follows_a_request_is_not_read_and_the_stream_goes_on() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send(request_head(server.address(), "GET", "/?as=lines", "").as_bytes());
    assert_eq!(client.response(true).status, 200);
    let mut speaker = server.join();
    for number in 0..20 {
        client.send(&[b'x'; 1000]);
        say(&mut speaker, &number.to_string());
        assert_eq!(client.line().unwrap(), format!("{number}\n").into_bytes());
    }
    assert_eq!(server.figure("/httpRequests"), 0, "none of it was taken for a request");
}
