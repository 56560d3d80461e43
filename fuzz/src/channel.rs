//! The way of a message: encoded, into the backlog, through a channel of subscribers who come, go and take what they take, out
//! again in pieces, as frames or as a stream, and decoded by a client. What is decoded is what was published, in order, from where it began.
//!
//! The input is a list of orders, three bytes each: what, who, how much.

use std::collections::BTreeMap;
use std::io::{Cursor, IoSlice};
use std::time::{Duration, Instant};

use foghorn::hub::channel::{Channel, Start};
use foghorn::hub::frame::Frame;
use foghorn::hub::publishing::{Admitted, Published};
use foghorn::hub::stream_delivery::{NewEpoch, Surroundings};
use foghorn::hub::stream_encoding::{self, Encoding, SLACK_BYTES};
use tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};

use crate::{Kind, kind};

const BACKLOG_BYTES: usize = 2048;
const PATIENCE: Duration = Duration::from_secs(2);
const EPOCH: &str = "epoch";
type Hello = fn(Encoding, NewEpoch) -> Vec<u8>;
/// What streams need beside the log. The epoch is one and the same, so there is no second hello.
const SURROUNDINGS: Surroundings<Hello> =
    Surroundings { clock_began: 1_764_081_234, hello: |_, _| unreachable!("there is one epoch") };
const SUBSCRIBERS_MAX: usize = 12;

/// One who has joined, and what its socket was given.
struct Subscriber {
    echo: bool,
    /// How it shows messages, if it is a stream.
    encoding: Option<Encoding>,
    /// The number before the first message that it gets.
    seq: u64,
    received: Vec<u8>,
    waits: bool,
}

struct Scene {
    channel: Channel<()>,
    subscribers: BTreeMap<usize, Subscriber>,
    /// Everything published, with the joining (by its number) that sent it; the first has number 1.
    published: Vec<(usize, Message)>,
    /// What waits for room in the backlog, in order.
    waiting: Vec<(usize, Message)>,
    /// Who holds a slot: which joining.
    joinings: BTreeMap<usize, usize>,
    joined: usize,
    now: Instant,
    late: usize,
}

/// Any bytes as orders.
///
/// # Panics
/// If anybody gets something else than what is theirs.
pub fn target(bytes: &[u8]) -> Kind {
    let mut scene = Scene {
        channel: Channel::new(BACKLOG_BYTES, PATIENCE, "epoch".into()).expect("there is memory"),
        subscribers: BTreeMap::new(),
        published: Vec::new(),
        waiting: Vec::new(),
        joinings: BTreeMap::new(),
        joined: 0,
        now: Instant::now(),
        late: 0,
    };
    let mut had_to_wait = 0;
    for order in bytes.chunks_exact(3).take(400) {
        let [what, who, amount] = order else { unreachable!("chunks of three") };
        let slots: Vec<usize> = scene.subscribers.keys().copied().collect();
        let somebody = slots.get(usize::from(*who) % slots.len().max(1)).copied();
        match (what % 8, somebody) {
            (0, _) if slots.len() < SUBSCRIBERS_MAX => scene.join(*who, u64::from(*amount)),
            (1, Some(slot)) => scene.leave(slot),
            (2 | 3, Some(slot)) => had_to_wait += usize::from(scene.publish(slot, *amount, what / 8)),
            (4, Some(slot)) => scene.write(slot, usize::from(*amount)),
            (5, _) => slots.into_iter().for_each(|slot| scene.write(slot, usize::MAX)),
            (6, _) => scene.end_round(),
            (7, _) => scene.review(Duration::from_millis(u64::from(*amount) * 32)),
            _ => {}
        }
        scene.check_bounds();
    }
    let subscribers = scene.subscribers.len();
    scene.drain();
    kind((subscribers, scene.joined.min(20), had_to_wait.min(5), scene.late.min(5), scene.published.len().min(40) / 4))
}

impl Scene {
    fn join(&mut self, how: u8, amount: u64) {
        let echo = how & 1 == 0;
        let start = if how & 2 == 0 { Start::History(amount % 8) } else { Start::After(amount) };
        let head = self.channel.head();
        let encoding = (how & 0b1100 == 0b1100)
            .then_some([Encoding::Events, Encoding::Lines, Encoding::Json][usize::from(how % 3)]);
        let joined = match encoding {
            Some(encoding) => self.channel.join_stream((), encoding, start, None),
            None => self.channel.join((), echo, start),
        };
        assert_eq!(joined.head, head);
        assert!(joined.seq <= head, "nobody begins in the future");
        if let Start::After(seq) = start {
            assert_eq!(joined.seq, seq.min(head) + joined.lost, "what is lost is counted");
        }
        let echo = echo || encoding.is_some();
        let subscriber = Subscriber { echo, encoding, seq: joined.seq, received: Vec::new(), waits: false };
        assert!(self.subscribers.insert(joined.slot, subscriber).is_none(), "a place is held by one");
        self.joined += 1;
        self.joinings.insert(joined.slot, self.joined);
    }

    fn leave(&mut self, slot: usize) {
        let ((), frame_tail) = self.channel.leave(slot);
        let mut subscriber = self.subscribers.remove(&slot).expect("it is a subscriber");
        subscriber.received.extend(frame_tail);
        let joining = self.joinings[&slot];
        self.check(joining, &subscriber, false);
    }

    /// Returns whether it has to wait.
    fn publish(&mut self, slot: usize, amount: u8, seed: u8) -> bool {
        let joining = self.joinings[&slot];
        let subscriber = self.subscribers.get_mut(&slot).expect("it is a subscriber");
        if subscriber.waits {
            return false;
        }
        // Up to half of the backlog, with header and index entry.
        let len = (usize::from(amount) * if seed & 1 == 0 { 1 } else { 10 }).min(BACKLOG_BYTES / 2 - 20);
        let (frame, message) = if seed & 2 == 0 {
            let text = format!("{joining}:").repeat(len / 2 + 1)[..len].to_owned();
            (Frame::text(text.clone()), Message::text(text))
        } else {
            (Frame::binary(vec![seed; len]), Message::binary(vec![seed; len]))
        };
        match self.channel.publish(slot, frame, 0, None) {
            Published::Now => self.published.push((joining, message)),
            Published::Later => {
                subscriber.waits = true;
                self.waiting.push((joining, message));
            }
        }
        self.channel.blocked_len() > 0
    }

    fn write(&mut self, slot: usize, bytes_max: usize) {
        if let Some(place) = self.channel.place(slot) {
            let mut piece = Vec::new();
            let next = self.subscribers.keys().find_map(|&other| self.channel.place(other));
            let bytes_max = bytes_max.clamp(1, BACKLOG_BYTES);
            let behind = self.channel.encode_piece(place, next, &SURROUNDINGS, bytes_max, &mut piece);
            assert!(piece.len() <= bytes_max + SLACK_BYTES);
            self.subscribers.get_mut(&slot).expect("it is a subscriber").received.extend(&piece);
            self.channel.move_to(slot, behind);
            return;
        }
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = self.channel.pending(slot, &mut slices, bytes_max);
        let written: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
        assert!(written.len() <= bytes_max);
        self.subscribers.get_mut(&slot).expect("it is a subscriber").received.extend(&written);
        self.channel.advance(slot, written.len());
    }

    /// What the flush does for everybody once in a turn.
    fn end_round(&mut self) {
        for slot in self.subscribers.keys().copied().collect::<Vec<_>>() {
            self.channel.reindex(slot);
        }
        self.channel.end_round();
        let before = self.channel.head();
        let admitted = self.channel.admit(0, |()| None);
        let count = usize::try_from(self.channel.head() - before).expect("few");
        self.published.extend(self.waiting.drain(..count));
        for admitted in admitted {
            let Admitted::Subscriber(slot) = admitted else { unreachable!("nobody posts") };
            self.subscribers.get_mut(&slot).expect("only those who are here").waits = false;
        }
    }

    fn review(&mut self, later: Duration) {
        self.now += later;
        let (late, look_again) = self.channel.review(self.now);
        assert!(look_again.is_none_or(|at| at <= self.now + PATIENCE), "never longer than the patience");
        assert!(late.is_empty() || self.channel.blocked_len() > 0, "nobody is late for nobody");
        for slot in late {
            self.late += 1;
            self.leave(slot);
        }
    }

    fn check_bounds(&self) {
        let backlog = self.channel.backlog();
        assert!(backlog.held_bytes() <= BACKLOG_BYTES, "{} bytes are held", backlog.held_bytes());
        assert_eq!(self.channel.head(), self.published.len() as u64, "what is published is numbered");
        assert_eq!(self.channel.len(), self.subscribers.len());
        assert_eq!(self.channel.blocked_len(), self.waiting.len());
    }

    /// Everybody takes all there is until nothing moves; then all have all.
    fn drain(&mut self) {
        for _ in 0..2000 {
            for slot in self.subscribers.keys().copied().collect::<Vec<_>>() {
                self.write(slot, 1000);
            }
            self.end_round();
            if self.waiting.is_empty() && self.subscribers.keys().all(|&slot| self.channel.is_up_to_date(slot)) {
                break;
            }
        }
        assert!(self.waiting.is_empty(), "who reads is not waited for");
        for (slot, subscriber) in std::mem::take(&mut self.subscribers) {
            self.check(self.joinings[&slot], &subscriber, true);
        }
    }

    /// What a client decodes is what was published, from where it began; up to the end, if it has `all`.
    fn check(&self, joining: usize, subscriber: &Subscriber, all: bool) {
        let is_for_it = |(sender, _): &&(usize, Message)| subscriber.echo || *sender != joining;
        let seq = usize::try_from(subscriber.seq).expect("few");
        let expected: Vec<&Message> =
            self.published[seq..].iter().filter(is_for_it).map(|(_, message)| message).collect();
        if let Some(encoding) = subscriber.encoding {
            let shown: Vec<u8> =
                expected.iter().zip(subscriber.seq + 1..).flat_map(|(said, seq)| show(encoding, seq, said)).collect();
            assert!(shown.starts_with(&subscriber.received), "unchanged and in order");
            assert!(
                !all || shown.len() == subscriber.received.len(),
                "{} of {}",
                subscriber.received.len(),
                shown.len()
            );
            return;
        }
        let settings = Some(WebSocketConfig::default());
        let mut client = WebSocket::from_raw_socket(Cursor::new(subscriber.received.clone()), Role::Client, settings);
        let mut decoded = Vec::new();
        while let Ok(message) = client.read() {
            decoded.push(message);
        }
        let whole: usize = decoded.iter().map(|message| frame_bytes(message.len())).sum();
        assert_eq!(whole, subscriber.received.len(), "it ends between two frames");
        assert!(decoded.len() <= expected.len(), "nothing but what was published");
        assert!(decoded.iter().zip(&expected).all(|(its, published)| its == *published), "unchanged and in order");
        assert!(!all || decoded.len() == expected.len(), "{} of {}", decoded.len(), expected.len());
    }
}

/// A message as a stream shows it, in one piece. What comes out of it is for the target `stream`.
fn show(encoding: Encoding, seq: u64, said: &Message) -> Vec<u8> {
    let payload = said.clone().into_data();
    let message = stream_encoding::Message {
        seq,
        epoch: EPOCH,
        at_unix_secs: SURROUNDINGS.clock_began,
        is_text: said.is_text(),
        payload: [&payload, b""],
    };
    let mut shown = Vec::new();
    encoding.encode(&message, None, usize::MAX, &mut shown);
    shown
}

/// RFC 6455 section 5.2, from a server.
fn frame_bytes(payload_bytes: usize) -> usize {
    let header_bytes = match payload_bytes {
        ..126 => 2,
        126..65_536 => 4,
        _ => 10,
    };
    header_bytes + payload_bytes
}
