//! The loads of channels, streams and posts against hubs that cheat, each way of them by one message.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use foghorn_bench::client::{Target, Way};
use foghorn_bench::fleet::Waiting;
use foghorn_bench::load::{Kind, Load};
use foghorn_bench::loads;
use foghorn_bench::outcome::Figures;
use foghorn_bench::server::Server;
use foghorn_bench::tally::Fault;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

/// What a hub does to the messages of a channel.
#[derive(Clone, Copy)]
struct Cheat {
    /// How often a receiver gets the message of this number that goes to this way.
    copies: fn(u64, Way) -> usize,
    /// Where a message comes in that was sent here.
    channel: fn(u64, &str) -> &str,
    /// The answer to the post that is the message of this number in its channel and in all.
    answer: fn(u64, u64) -> (u16, u64),
}

const HONEST: Cheat = Cheat { copies: |_, _| 1, channel: |_, path| path, answer: |number, _| (200, number) };

enum Receiver {
    WebSocket(Box<WebSocket<TcpStream>>),
    Events(TcpStream),
}

impl Receiver {
    fn send(&mut self, message: &[u8], copies_by: impl Fn(Way) -> usize) {
        match self {
            Self::WebSocket(socket) => {
                for _ in 0..copies_by(Way::WebSocket) {
                    let _ = socket.send(Message::binary(message.to_vec()));
                }
            }
            Self::Events(stream) => {
                let event = [b"data: ", message, b"\n\n"].concat();
                let _ = stream.write_all(&event.repeat(copies_by(Way::Events)));
            }
        }
    }
}

#[derive(Default)]
struct Channel {
    receivers: Vec<Receiver>,
    messages: u64,
}

/// A hub with a thread for each connection, which ends with its client.
struct Hub {
    channels: Mutex<HashMap<String, Channel>>,
    cheat: Cheat,
}

impl Hub {
    fn start(cheat: Cheat) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let hub = Arc::new(Self { channels: Mutex::default(), cheat });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hub = Arc::clone(&hub);
                std::thread::spawn(move || hub.serve(stream));
            }
        });
        addr
    }

    fn serve(&self, stream: TcpStream) {
        let mut head = [0; 512];
        // The requests of the loads are shorter than that, and come in one piece.
        let Ok(head_bytes) = stream.peek(&mut head) else { return };
        let head = String::from_utf8_lossy(&head[..head_bytes]).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        if head.contains("Upgrade") {
            self.serve_websocket(stream, &path);
        } else if head.contains("event-stream") {
            self.join(&path, || {
                let mut writer = stream.try_clone().unwrap();
                writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").unwrap();
                Some(Receiver::Events(writer))
            });
            let _ = std::io::copy(&mut &stream, &mut std::io::sink());
        } else {
            self.serve_posts(stream);
        }
    }

    fn serve_websocket(&self, stream: TcpStream, path: &str) {
        let writing = stream.try_clone().unwrap();
        let mut accepted = None;
        self.join(path, || {
            accepted = accept(stream).ok();
            accepted
                .is_some()
                .then(|| Receiver::WebSocket(Box::new(WebSocket::from_raw_socket(writing, Role::Server, None))))
        });
        let Some(mut socket) = accepted else { return };
        while let Ok(message) = socket.read() {
            self.publish(path, &message.into_data());
        }
    }

    fn serve_posts(&self, stream: TcpStream) {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        let mut posts = 0;
        loop {
            let (mut first, mut length, mut line) = (String::new(), 0, String::new());
            while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
                if let Some(value) = line.strip_prefix("Content-Length: ") {
                    length = value.trim().parse().unwrap();
                }
                first = if first.is_empty() { line.clone() } else { first };
                line.clear();
            }
            let mut body = vec![0; length];
            let Some(path) = first.split(' ').nth(1).filter(|_| reader.read_exact(&mut body).is_ok()) else { return };
            posts += 1;
            let (status, number) = (self.cheat.answer)(self.publish(path, &body), posts);
            let body = format!("{{\"seq\":{number}}}");
            let answer = format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            if writer.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    /// Whoever is answered is there: nothing is published between the two.
    fn join(&self, path: &str, answer: impl FnOnce() -> Option<Receiver>) {
        let mut channels = self.channels.lock().unwrap();
        channels.entry(path.to_owned()).or_default().receivers.extend(answer());
    }

    fn publish(&self, path: &str, message: &[u8]) -> u64 {
        let mut channels = self.channels.lock().unwrap();
        let channel = channels.entry(path.to_owned()).or_default();
        channel.messages += 1;
        let number = channel.messages;
        let channel = channels.entry((self.cheat.channel)(number, path).to_owned()).or_default();
        for receiver in &mut channel.receivers {
            receiver.send(message, |way| (self.cheat.copies)(number, way));
        }
        number
    }
}

fn run(kind: Kind, cheat: Cheat) -> Result<Figures> {
    let server = Server::running(std::process::id(), Target::new(Hub::start(cheat), "/"));
    let load = Load { channels: 3, ..Load::new(kind, 6, 0.2) };
    loads::run(&load, &server, Waiting::Sleep)
}

fn fault(kind: Kind, cheat: Cheat) -> Fault {
    let error = run(kind, cheat).expect_err("the run has to be void");
    error.downcast_ref::<Fault>().unwrap_or_else(|| panic!("no fault: {error:#}")).clone()
}

fn why_void(kind: Kind, cheat: Cheat) -> String {
    format!("{:#}", run(kind, cheat).expect_err("the run has to be void"))
}

#[test]
fn an_honest_hub_gets_figures() {
    for (kind, figure) in [
        (Kind::Streams, "stream_deliveries_per_s"),
        (Kind::Posts, "posts_per_s"),
        (Kind::Channels, "channels_deliveries_per_s"),
        (Kind::Forgotten, "channels_per_s"),
    ] {
        assert!(run(kind, HONEST).unwrap()[figure] > 0.0, "{figure}");
    }
}

#[test]
fn a_doubled_event_makes_a_run_of_streams_void() {
    let doubled = |number, way| if number == 30 && way == Way::Events { 2 } else { 1 };
    assert!(matches!(fault(Kind::Streams, Cheat { copies: doubled, ..HONEST }), Fault::OutOfTurn { .. }));
}

#[test]
fn a_lost_message_makes_a_run_of_posts_void() {
    let lost = |number, _| usize::from(number != 30);
    assert!(matches!(fault(Kind::Posts, Cheat { copies: lost, ..HONEST }), Fault::OutOfTurn { .. }));
}

#[test]
fn a_refused_post_makes_a_run_of_posts_void() {
    let refused = |number, _| if number == 30 { (503, number) } else { (200, number) };
    let why = why_void(Kind::Posts, Cheat { answer: refused, ..HONEST });
    assert!(why.contains("a post was refused") && why.contains("503"), "{why}");
}

#[test]
fn a_message_in_another_channel_makes_a_run_of_channels_void() {
    fn astray(number: u64, path: &str) -> &str {
        if number == 30 && path == "/c/bench-0" { "/c/bench-1" } else { path }
    }
    assert!(matches!(fault(Kind::Channels, Cheat { channel: astray, ..HONEST }), Fault::OutOfTurn { .. }));
}

#[test]
fn numbers_that_go_on_in_another_channel_make_a_run_of_forgotten_ones_void() {
    let why = why_void(Kind::Forgotten, Cheat { answer: |_, posts| (200, posts), ..HONEST });
    assert!(why.contains("channel warm-up-1") && why.contains("where 1 was due"), "{why}");
}
