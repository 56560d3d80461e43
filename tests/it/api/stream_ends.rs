//! How streams end, and what their readers may cost: those that are slow, stalled, vanished or too many.

use std::fs;
use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    Client, Launch, OWN_ADDRESSES, Server, Stream, expect_numbered, get, in_own_network, numbered, post_head,
    publish_numbered, request_head,
};

const LEN: usize = 64 * 1024;

/// A stream whose reader's kernel takes little.
fn narrow(server: &Server, target: &str) -> Stream {
    let client = Client::connect_narrow(server.address(), 4096);
    Stream::open_with(client, server.address(), target, "")
}

#[test]
fn a_reader_that_stalls_is_closed_with_a_reset_and_costs_the_others_nothing() {
    const MESSAGES: u32 = 400;
    let server = Server::start(&["--patience", "1s"]);
    let mut stalled = narrow(&server, "/?as=lines");
    let mut listener = server.join();
    let speaker = publish_numbered(&server, MESSAGES, LEN);
    expect_numbered(&mut listener, MESSAGES, LEN);
    speaker.join().unwrap();
    server.wait_for_figure("/closed/tooSlow", 1);
    let (rest, is_in_order) = stalled.rest();
    // What ends in order is whole.
    assert!(!is_in_order || rest.len() % (LEN + 1) == 0, "{} bytes, and the end", rest.len());
}

#[test]
fn a_slow_reader_that_keeps_moving_gets_all() {
    const MESSAGES: u32 = 100;
    let server = Server::start(&["--patience", "2s", "--backlog", "256KiB", "--max-message", "128KiB"]);
    let mut slow = narrow(&server, "/?as=lines");
    let speaker = publish_numbered(&server, MESSAGES, LEN);
    for number in 0..MESSAGES {
        // Whatever is in them: each is as long as it is.
        let message = slow.client().bytes(LEN + 1).expect("it stays");
        assert!(message[..LEN] == numbered(number, LEN) && message[LEN] == b'\n', "message {number}");
    }
    speaker.join().unwrap();
    assert_eq!(server.figure("/closed/tooSlow"), 0);
}

#[test]
fn readers_at_many_places_all_get_all() {
    const MESSAGES: u32 = 60;
    const READERS: usize = 24;
    let server = Server::start(&["--patience", "10s"]);
    let readers: Vec<_> = (0..READERS)
        .map(|nth| {
            let form = ["events", "json", "lines"][nth % 3];
            let mut stream = narrow(&server, &format!("/?as={form}&count={MESSAGES}"));
            // In pieces of many sizes, so that they are hardly ever all at one place.
            let bytes_max = 1000 + nth * 3000;
            thread::spawn(move || {
                let mut all = Vec::new();
                let mut piece = vec![0; bytes_max];
                while let bytes @ 1.. = stream.read(&mut piece) {
                    all.extend_from_slice(&piece[..bytes]);
                }
                all
            })
        })
        .collect();
    server.wait_for_figure("/clients", READERS as u64);
    publish_numbered(&server, MESSAGES, LEN).join().unwrap();
    let got: Vec<Vec<u8>> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    let lines: Vec<u8> = (0..MESSAGES).flat_map(|number| [numbered(number, LEN), vec![b'\n']].concat()).collect();
    for (nth, all) in got.iter().enumerate() {
        match nth % 3 {
            2 => assert!(*all == lines, "reader {nth}"),
            form => {
                let first = [":1\nevent: binary\n", "{\"seq\":1,"][form];
                let behind_hello = |all: &[u8]| {
                    let at = all.windows(first.len()).position(|bytes| bytes == first.as_bytes());
                    all[at.expect("the first message")..].to_vec()
                };
                let all = behind_hello(all);
                assert!(all.len() > MESSAGES as usize * LEN * 4 / 3 && all == behind_hello(&got[form]), "reader {nth}");
            }
        }
    }
    server.wait_for_figure("/closed/complete", READERS as u64);
}

#[test]
fn a_reader_that_closes_is_found_at_once_and_in_lines_with_the_next_message() {
    let server = Server::start(&[]);
    let mut speaker = server.join();
    for form in ["events", "json", "lines"] {
        let stream = Stream::open(&server, &format!("/?as={form}"));
        server.wait_for_figure("/clients", 2);
        drop(stream);
        if form == "lines" {
            speaker.expect_echo("are you there?");
            speaker.expect_echo("no");
        }
        // Far from a heartbeat, which is 25 s.
        server.wait_for_figure("/clients", 1);
    }
    assert_eq!(server.figure("/closed/closedByClient"), 3);
}

#[test]
fn a_reader_of_lines_that_closes_is_found_by_the_kernel_although_nothing_is_said() {
    in_own_network(|| {
        // For so long the kernel of whoever has closed answers for it: 60 s elsewhere.
        fs::write("/proc/sys/net/ipv4/tcp_fin_timeout", "1").expect("it is a setting of this network");
        let server = Server::start(&[]);
        drop(Stream::open(&server, "/?as=lines"));
        server.wait_for_figure("/closed/closedByClient", 1);
    });
}

#[test]
fn the_end_of_one_that_has_said_more_is_seen_too() {
    let server = Server::start(&["--heartbeat", "0"]);
    let mut stream = Stream::open(&server, "/?as=events");
    stream.client().send(&[b'x'; 3000]);
    drop(stream);
    server.wait_for_figure("/closed/closedByClient", 1);
}

#[test]
fn what_comes_without_end_behind_its_request_is_not_read() {
    let server = Server::start(&[]);
    let mut stream = Stream::open(&server, "/?as=events");
    // Far more than both kernels hold: who is read gets rid of it.
    stream.client().socket().set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let sent = stream.client().try_send(&vec![b'x'; 64 << 20]);
    assert_eq!(sent.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    server.join().expect_echo("and it goes on as a stream");
    server.wait_for_figure("/clients", 1);
}

#[test]
fn a_reset_ends_it_at_once() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send(request_head(server.address(), "GET", "/?as=lines", "").as_bytes());
    client.response(true);
    client.reset();
    server.wait_for_figure("/closed/vanished", 1);
    server.wait_for_figure("/clients", 0);
}

#[test]
fn whoever_has_only_finished_sending_goes_on_reading() {
    let server = Server::start(&[]);
    let mut speaker = server.join();
    let mut events = Stream::open(&server, "/?as=events");
    let mut lines = Stream::open(&server, "/?as=lines");
    events.event();
    events.socket().shutdown(Shutdown::Write).unwrap();
    lines.socket().shutdown(Shutdown::Write).unwrap();
    assert_eq!((events.text(), events.text()), (":".into(), String::new()), "it is asked whether it is there");
    for text in ["one", "two"] {
        speaker.expect_echo(text);
        assert_eq!((events.event().data, lines.text()), (text.into(), text.into()));
    }
    assert_eq!(server.figure("/clients"), 3);
}

#[test]
fn a_heartbeat_comes_between_messages_and_in_lines_nothing_does() {
    let server = Server::start(&["--heartbeat", "200ms"]);
    let began = Instant::now();
    let mut events = Stream::open(&server, "/?as=events");
    let mut json = Stream::open(&server, "/?as=json");
    let mut lines = Stream::open(&server, "/?as=lines");
    events.event();
    json.json();
    for _ in 0..3 {
        assert_eq!((events.text(), events.text(), json.text()), (":".into(), String::new(), String::new()));
    }
    assert!(began.elapsed() >= Duration::from_millis(400), "not more often than there is a reason to");
    server.join().send_text("fog");
    assert_eq!((events.event().data, lines.text()), ("fog".into(), "fog".into()));
    while json.text().is_empty() {}
}

#[test]
fn one_that_has_vanished_is_found_in_two_heartbeats() {
    in_own_network(|| {
        let [ours, theirs] = OWN_ADDRESSES;
        let server = Launch::bare(&["--heartbeat", "1s"]).expecting(2).start();
        let streams: Vec<Stream> = ["events", "json", "lines"]
            .into_iter()
            .map(|form| {
                let address = SocketAddr::new(ours.into(), 1919);
                let client = Client::connect_from(theirs.into(), address);
                Stream::open_with(client, address, &format!("/?as={form}"), "")
            })
            .collect();
        server.wait_for_figure("/clients", 3);
        let gone = Command::new("ip").args(["addr", "del", &format!("{theirs}/32"), "dev", "lo"]).status().unwrap();
        assert!(gone.success());
        server.wait_for_figure("/closed/vanished", 3);
        drop(streams);
    });
}

#[test]
fn at_a_stop_it_ends_in_order_behind_what_was_published() {
    let mut server = Server::start(&[]);
    let mut events = Stream::open(&server, "/?as=events");
    let mut lines = Stream::open(&server, "/?as=lines");
    // Each reads all the time: the server waits for nobody for long.
    let lines = thread::spawn(move || lines.rest());
    events.event();
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    let last = "x".repeat(1 << 20);
    speaker.send_text(&last);
    server.wait_for_figure("/messages", 1);
    server.signal("TERM");
    assert_eq!(events.event().data.len(), last.len());
    assert_eq!(events.rest(), (b"retry: 5000\n\n".to_vec(), true), "browsers come back by themselves");
    let (rest, is_in_order) = lines.join().unwrap();
    assert!(is_in_order && rest.len() == last.len() + 1, "{} bytes, in order: {is_in_order}", rest.len());
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn one_that_is_asked_for_while_the_server_stops_is_told_to_come_back() {
    let mut server = Server::start(&[]);
    let mut listener = server.join();
    let mut browser = Client::connect(server.address());
    browser.send(request_head(server.address(), "GET", "/?status", "").as_bytes());
    assert_eq!(browser.response(false).status, 200);
    // It is waited for.
    let mut posting = Client::connect(server.address());
    posting.send(post_head(server.address(), "/", "Expect: 100-continue\r\n", 1).as_bytes());
    assert_eq!(posting.response(true).status, 100);
    server.signal("TERM");
    listener.expect_close(1001);
    let mut stream = Stream::open_with(browser, server.address(), "/?as=events", "");
    assert_eq!(stream.event().kind, "hello");
    assert_eq!(stream.rest(), (b"retry: 5000\n\n".to_vec(), true));
    posting.send(b"x");
    assert_eq!(posting.response(false).status, 200);
    drop((posting, listener));
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn they_count_as_clients_and_a_browser_is_told_to_come_back_where_others_are_refused() {
    let server = Server::start(&["--max-clients", "1", "--max-channels", "1"]);
    let held = Stream::open(&server, "/c/a?as=json");
    for form in ["json", "lines"] {
        let response = server.get(&format!("/?as={form}"));
        assert_eq!((response.status, response.header("Retry-After")), (503, Some("5")), "{form}");
    }
    let origin = format!("http://{}", server.address());
    let client = Client::connect(server.address());
    let lines = format!("Origin: {origin}\r\n");
    let mut told = Stream::open_with(client, server.address(), "/?as=events", &lines);
    assert_eq!(told.head.header("Access-Control-Allow-Origin"), Some(&*origin));
    assert_eq!(told.head.header("Content-Type"), Some("text/event-stream"));
    assert_eq!(told.rest(), (b"retry: 5000\n\n".to_vec(), true));
    assert_eq!(server.figure("/refused/503"), 3);
    drop(held);
    server.wait_for_figure("/clients", 0);
    Stream::open(&server, "/?as=events").event();
}

#[test]
fn too_many_from_one_address_are_told_to_come_back() {
    in_own_network(|| {
        let [ours, theirs] = OWN_ADDRESSES;
        let address = SocketAddr::new(ours.into(), 1919);
        let _server = Launch::bare(&["--max-clients-per-ip", "1"]).expecting(2).start();
        let open = |target| Stream::open_with(Client::connect_from(theirs.into(), address), address, target, "");
        let _held = open("/?as=lines");
        assert_eq!(open("/?as=events").rest(), (b"retry: 5000\n\n".to_vec(), true));
        let mut refused = Client::connect_from(theirs.into(), address);
        refused.send(request_head(address, "GET", "/?as=json", "").as_bytes());
        assert_eq!(refused.response(false).status, 429);
        assert_eq!(get(address, "/status").status, 200);
    });
}
