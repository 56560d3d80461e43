//! The bad clients: what each kind of them does, and a bounded number of them at a time, for ever new ones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::steps::{Actor, READ_BYTES_MAX, Step};

/// Everybody gets a turn this often.
const TICK: Duration = Duration::from_millis(10);
/// New connections in each tick: 300 a second, so that the kernel's ports do not run out.
const JOINS_PER_TICK: usize = 3;
/// What all of them together may send in each tick: 2 MB a second. A client that resumes may be away for as long as half
/// the backlog takes.
const BYTES_PER_TICK: usize = 20 * 1024;

/// A kind of client: what it does is drawn anew for each.
type Scene = (&'static str, fn(&mut Rng) -> Vec<Step>);

/// All kinds.
const SCENES: [Scene; 47] = [
    ("connects, says nothing", |rng| vec![Step::Wait(time(rng, 7000))]),
    ("head: stops halfway", |rng| vec![Step::Send(cut(rng, &upgrade("/", ""))), Step::Wait(time(rng, 7000))]),
    ("head: dribbles", |rng| vec![Step::Dribble(upgrade("/", ""), 1 + rng.usize(..3)), Step::ReadHead]),
    ("head: garbage", |rng| vec![Step::Send(garbage(rng)), Step::ReadToEnd]),
    ("head: TLS", |_| vec![Step::Send(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec()), Step::ReadToEnd]),
    ("head: too large", |_| vec![Step::Send(upgrade("/", &format!("A: {}\r\n", "x".repeat(17_000)))), Step::ReadToEnd]),
    ("head: two lengths", |_| {
        vec![Step::Send(page("/", "Content-Length: 0\r\nContent-Length: 9\r\n")), Step::ReadToEnd]
    }),
    ("head: foreign origin", |_| vec![Step::Send(upgrade("/", "Origin: https://evil.example\r\n")), Step::ReadToEnd]),
    ("head: bad after", |_| vec![Step::Send(upgrade("/?after=%ff:1", "")), Step::ReadToEnd]),
    ("head: flood behind it", |rng| {
        vec![Step::Send(b"NOT HTTP\n".to_vec()), Step::Flood(vec![b'x'; 4096], time(rng, 1000), 4096)]
    }),
    ("page: loads some", |rng| {
        let paths = ["/", "/app.js", "/style.css", "/status", "/qr.svg", "/nothing", "/..%2f..%2fetc/passwd"];
        let pages = (0..=rng.usize(..6)).flat_map(|_| page(paths[rng.usize(..paths.len())], "")).collect();
        vec![Step::Send(pages), Step::Read(READ_BYTES_MAX, time(rng, 800))]
    }),
    ("page: reads slowly", |rng| {
        vec![Step::Send(page("/foghorn.js", "").repeat(8)), Step::Read(20, time(rng, 5000)), Step::Reset]
    }),
    ("page: goes at once", |_| vec![Step::Send(page("/", "").repeat(3)), Step::Reset]),
    ("last message: asks often", |rng| {
        let ways = ["/?last", "/?status", "/metrics", "/c/nobody?last"];
        let asks = (0..=rng.usize(..12)).flat_map(|_| page(ways[rng.usize(..ways.len())], "")).collect();
        vec![Step::Send(asks), Step::Read(READ_BYTES_MAX, time(rng, 800))]
    }),
    ("last message: reads slowly", |rng| {
        vec![Step::Send(page("/?last", "").repeat(8)), Step::Read(20, time(rng, 5000)), Step::Reset]
    }),
    ("posts, reads", |rng| {
        let posts = (0..=rng.usize(..3)).flat_map(|_| post("/", &vec![0; rng.usize(..2000)], rng)).collect();
        vec![Step::Send(posts), Step::Read(READ_BYTES_MAX, time(rng, 800))]
    }),
    ("posts, goes at once", |rng| vec![Step::Send(post("/", &[0; 500], rng)), Step::Reset]),
    ("posts, half-closes", |rng| vec![Step::Send(post("/", &[0; 500], rng)), Step::HalfClose, Step::ReadToEnd]),
    ("posts: stops halfway", |rng| {
        let whole = post("/", &[0; 9000], rng);
        vec![Step::Send(cut(rng, &whole)), Step::Wait(time(rng, 9000))]
    }),
    ("posts: dribbles", |rng| vec![Step::Dribble(post("/", &[0; 3000], rng), 1 + rng.usize(..3)), Step::ReadToEnd]),
    ("posts: a request within", |_| {
        let within = page("/", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n");
        vec![Step::Send([within, b"0\r\n\r\n".to_vec(), page("/", "")].concat()), Step::ReadToEnd]
    }),
    ("stream: reads slowly", |rng| vec![Step::Send(stream("/", rng)), Step::Read(200, time(rng, 5000)), Step::Reset]),
    ("stream: stalls", |rng| vec![Step::Send(stream("/", rng)), Step::ReadHead, Step::Wait(time(rng, 7000))]),
    ("stream: says more, goes", |rng| {
        let more = page("/", "").repeat(rng.usize(..200));
        vec![Step::Send(stream("/", rng)), Step::Send(more), Step::Read(READ_BYTES_MAX, time(rng, 800))]
    }),
    ("channel: floods it, reads", |rng| {
        let (path, len) = (channel(rng), rng.usize(..20_000));
        let posts = (0..=rng.usize(..5)).flat_map(|_| post(&path, &vec![0; len], rng)).collect();
        vec![Step::Send(posts), Step::Read(READ_BYTES_MAX, time(rng, 800))]
    }),
    ("channel: never reads", |rng| {
        vec![Step::Send(upgrade(&(channel(rng) + "?history=50"), "")), Step::ReadHead, Step::Wait(time(rng, 5000))]
    }),
    ("channel: reads slowly", |rng| {
        vec![Step::Send(stream(&channel(rng), rng)), Step::Read(200, time(rng, 5000)), Step::Reset]
    }),
    ("channel: speaks, deletes", |rng| {
        let path = channel(rng);
        let delete = format!("DELETE {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
        let talk = [post(&path, &[0; 500], rng), delete].concat().repeat(1 + rng.usize(..20));
        vec![Step::Send(talk), Step::Send(page(&(path + "?last"), "")), Step::Read(READ_BYTES_MAX, time(rng, 800))]
    }),
    ("joins, says goodbye", |rng| joined(&[frame(0x88, b"\x03\xe8bye")], vec![Step::ReadToEnd], rng)),
    ("joins, goes", |rng| joined(&[], vec![], rng)),
    ("joins, resets", |rng| joined(&[], vec![Step::Reset], rng)),
    ("joins, goes unanswered", |_| vec![Step::Send(upgrade("/", ""))]),
    ("joins, half-closes", |rng| joined(&[], vec![Step::HalfClose, Step::ReadToEnd], rng)),
    ("joins, never reads", |rng| vec![Step::Send(upgrade("/", "")), Step::ReadHead, Step::Wait(time(rng, 9000))]),
    ("joins, never reads, resets", |rng| vec![Step::Send(resuming("")), Step::Wait(time(rng, 6000)), Step::Reset]),
    ("joins, trickles", |rng| {
        vec![Step::Send(upgrade("/", "")), Step::ReadHead, Step::Read(1 + rng.usize(..400), time(rng, 9000))]
    }),
    ("joins, asks for all again", |rng| {
        vec![Step::Send(resuming("?after=aaaaaa:0&replaces=0000000000000000")), Step::Read(4096, time(rng, 3000))]
    }),
    ("sends bad UTF-8", |rng| joined(&[frame(0x01, b"\xc3"), frame(0x80, b"(")], vec![Step::ReadToEnd], rng)),
    ("sends unmasked", |rng| joined(&[b"\x81\x02hi".to_vec()], vec![Step::ReadToEnd], rng)),
    ("sends too much", |rng| {
        joined(&[b"\x82\xff\0\0\0\0\x7f\xff\xff\xff\0\0\0\0".to_vec()], vec![Step::ReadToEnd], rng)
    }),
    ("sends half a frame", |rng| {
        let half = cut(rng, &frame(0x82, &[7; 2000]));
        joined(&[half], vec![Step::Wait(time(rng, 3000))], rng)
    }),
    ("sends fragments for ever", |rng| {
        let flood = Step::Flood(frame(0x00, b"").repeat(100), time(rng, 2000), 4096);
        joined(&[frame(0x02, b"")], vec![flood, Step::Reset], rng)
    }),
    ("sends byte by byte", |rng| {
        let dribble = Step::Dribble(frame(0x82, &[0; 300]), 1);
        joined(&[], vec![dribble, Step::Read(READ_BYTES_MAX, time(rng, 500))], rng)
    }),
    ("pings, reads nothing", |rng| {
        let flood = Step::Flood(frame(0x89, &[0; 125]), time(rng, 3000), 2048);
        vec![Step::Send(upgrade("/", "")), flood, Step::Reset]
    }),
    ("talks, reads", |rng| {
        let messages = (0..3).map(|_| frame(0x82, &vec![0; rng.usize(..2000)])).collect::<Vec<_>>();
        joined(&messages, vec![Step::Read(READ_BYTES_MAX, time(rng, 4000))], rng)
    }),
    ("talks a lot, reads", |rng| {
        let len = 20_000 + rng.usize(..40_000);
        joined(&[frame(0x82, &vec![0; len]).repeat(4)], vec![Step::Read(READ_BYTES_MAX, time(rng, 2000))], rng)
    }),
    ("talks, reads nothing", |rng| {
        let flood = Step::Flood(frame(0x82, &[0; 3000]), time(rng, 4000), 6000);
        vec![Step::Send(upgrade("/", "")), flood, Step::Reset]
    }),
];

/// Lets the crowd loose until `goes`, then has everybody leave. Returns what was done how often.
pub fn run(address: SocketAddr, clients: usize, goes: &AtomicBool, mut rng: Rng) -> BTreeMap<&'static str, u64> {
    let mut times: BTreeMap<_, _> = SCENES.iter().map(|(name, _)| (*name, 0)).collect();
    let mut actors: Vec<Actor> = Vec::new();
    while !goes.load(Relaxed) {
        let now = Instant::now();
        for _ in 0..JOINS_PER_TICK.min(clients - actors.len()) {
            let (name, scene) = SCENES[rng.usize(..SCENES.len())];
            let is_small = name.contains("never reads") || name.contains("trickles") || name.contains("slowly");
            // Not accepted in time: the kernel's queue is full, which is no fault of anybody.
            if let Ok(actor) = Actor::connect(address, is_small, scene(&mut rng)) {
                actors.push(actor);
                *times.get_mut(name).expect("all names are there") += 1;
            }
        }
        let mut budget_bytes = BYTES_PER_TICK;
        // So that it is not always the same who find nothing left of the budget.
        rng.shuffle(&mut actors);
        actors.retain_mut(|actor| actor.turn(now, &mut budget_bytes));
        thread::sleep(TICK.saturating_sub(now.elapsed()));
    }
    times
}

fn time(rng: &mut Rng, ms_max: u64) -> Duration {
    Duration::from_millis(rng.u64(..ms_max))
}

fn page(path: &str, lines: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").into_bytes()
}

/// One of some channels, more than there are places for. No honest client is there.
fn channel(rng: &mut Rng) -> String {
    format!("/c/{}", rng.usize(..8))
}

/// A binary message that is posted, with its length or in chunks.
fn post(path: &str, message: &[u8], rng: &mut Rng) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n");
    if rng.bool() {
        return [format!("{head}Content-Length: {}\r\n\r\n", message.len()).as_bytes(), message].concat();
    }
    let chunks =
        message.chunks(300).flat_map(|data| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat());
    let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    head.into_iter().chain(chunks).chain(*b"0\r\n\r\n").collect()
}

/// A request for a stream of some form.
fn stream(path: &str, rng: &mut Rng) -> Vec<u8> {
    let form = ["events", "lines", "json"][rng.usize(..3)];
    let history = rng.usize(..50);
    page(&format!("{path}?as={form}&history={history}"), "Last-Event-ID: what:1\r\n")
}

fn upgrade(path: &str, lines: &str) -> Vec<u8> {
    let lines = format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}"
    );
    page(path, &lines)
}

fn resuming(query: &str) -> Vec<u8> {
    upgrade(&format!("/{query}"), "Sec-WebSocket-Protocol: foghorn.v1\r\n")
}

/// Joins, reads a little, sends these frames in one piece, and goes on.
fn joined(frames: &[Vec<u8>], then: Vec<Step>, rng: &mut Rng) -> Vec<Step> {
    let mut steps = vec![Step::Send(upgrade("/", "")), Step::ReadHead, Step::Read(4096, time(rng, 600))];
    if !frames.is_empty() {
        steps.push(Step::Send(frames.concat()));
    }
    steps.extend(then);
    steps
}

/// A masked frame with a mask of zeros (RFC 6455 section 5.2); the first byte has FIN and the opcode.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match u16::try_from(payload.len()).expect("no larger ones are needed") {
        len @ ..126 => bytes.push(0x80 | u8::try_from(len).expect("below 126")),
        len => {
            bytes.push(0x80 | 0x7e);
            bytes.extend(len.to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

fn cut(rng: &mut Rng, bytes: &[u8]) -> Vec<u8> {
    bytes[..rng.usize(1..bytes.len())].to_vec()
}

fn garbage(rng: &mut Rng) -> Vec<u8> {
    let len = 1 + rng.usize(..2000);
    let mut bytes: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(len).collect();
    if rng.bool() {
        bytes.splice(..0, *b"GET / HTTP/1.1\r\n");
    }
    bytes
}
