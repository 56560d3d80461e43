//! The way of a message: encoded, into the backlog, through a room of members who come, go and take what they take, out
//! again in pieces, and decoded by a client. What is decoded is what was published, in order, from where it began.
//!
//! The input is a list of orders, three bytes each: what, who, how much.

use std::collections::BTreeMap;
use std::io::{Cursor, IoSlice};
use std::time::{Duration, Instant};

use foghorn::hub::channel::{Published, Room, Start};
use foghorn::hub::frame::Frame;
use tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};

use crate::{Kind, kind};

const BACKLOG_BYTES: usize = 2048;
const PATIENCE: Duration = Duration::from_secs(2);
const MEMBERS_MAX: usize = 12;

/// One who has joined, and what its socket was given.
struct Member {
    echo: bool,
    /// The number before the first message that it gets.
    seq: u64,
    received: Vec<u8>,
    waits: bool,
}

struct Scene {
    room: Room<()>,
    members: BTreeMap<usize, Member>,
    /// Everything published, with the joining (by its number) that sent it; the first has number 1.
    published: Vec<(usize, Message)>,
    /// What waits for room in the backlog, in order.
    waiting: Vec<(usize, Message)>,
    /// Who holds a place: which joining.
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
        room: Room::new(BACKLOG_BYTES, PATIENCE),
        members: BTreeMap::new(),
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
        let ids: Vec<usize> = scene.members.keys().copied().collect();
        let somebody = ids.get(usize::from(*who) % ids.len().max(1)).copied();
        match (what % 8, somebody) {
            (0, _) if ids.len() < MEMBERS_MAX => scene.join(*who, u64::from(*amount)),
            (1, Some(id)) => scene.leave(id),
            (2 | 3, Some(id)) => had_to_wait += usize::from(scene.publish(id, *amount, what / 8)),
            (4, Some(id)) => scene.write(id, usize::from(*amount)),
            (5, _) => ids.into_iter().for_each(|id| scene.write(id, usize::MAX)),
            (6, _) => scene.end_round(),
            (7, _) => scene.review(Duration::from_millis(u64::from(*amount) * 32)),
            _ => {}
        }
        scene.check_bounds();
    }
    let members = scene.members.len();
    scene.drain();
    kind((members, scene.joined.min(20), had_to_wait.min(5), scene.late.min(5), scene.published.len().min(40) / 4))
}

impl Scene {
    fn join(&mut self, how: u8, amount: u64) {
        let echo = how & 1 == 0;
        let start = if how & 2 == 0 { Start::History(amount % 8) } else { Start::After(amount) };
        let head = self.room.head();
        let joined = self.room.join((), echo, start);
        assert_eq!(joined.head, head);
        assert!(joined.seq <= head, "nobody begins in the future");
        if let Start::After(seq) = start {
            assert_eq!(joined.seq, seq.min(head) + joined.lost, "what is lost is counted");
        }
        let member = Member { echo, seq: joined.seq, received: Vec::new(), waits: false };
        assert!(self.members.insert(joined.id, member).is_none(), "a place is held by one");
        self.joined += 1;
        self.joinings.insert(joined.id, self.joined);
    }

    fn leave(&mut self, id: usize) {
        let ((), rest) = self.room.leave(id);
        let mut member = self.members.remove(&id).expect("it is a member");
        member.received.extend(rest);
        let joining = self.joinings[&id];
        self.check(joining, &member, false);
    }

    /// Returns whether it has to wait.
    fn publish(&mut self, id: usize, amount: u8, seed: u8) -> bool {
        let joining = self.joinings[&id];
        let member = self.members.get_mut(&id).expect("it is a member");
        if member.waits {
            return false;
        }
        // Up to more than the backlog holds.
        let len = usize::from(amount) * if seed & 1 == 0 { 1 } else { 10 };
        let (frame, message) = if seed & 2 == 0 {
            let text = format!("{joining}:").repeat(len / 2 + 1)[..len].to_owned();
            (Frame::text(text.clone()), Message::text(text))
        } else {
            (Frame::binary(vec![seed; len]), Message::binary(vec![seed; len]))
        };
        match self.room.publish(id, frame) {
            Published::Now => self.published.push((joining, message)),
            Published::Later => {
                member.waits = true;
                self.waiting.push((joining, message));
            }
        }
        self.room.is_anybody_waiting()
    }

    fn write(&mut self, id: usize, bytes_max: usize) {
        let mut slices = [IoSlice::new(&[]); 8];
        let filled = self.room.pending(id, &mut slices, bytes_max);
        let written: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
        assert!(written.len() <= bytes_max);
        self.members.get_mut(&id).expect("it is a member").received.extend(&written);
        self.room.advance(id, written.len());
    }

    /// What the flush does for everybody once in a turn.
    fn end_round(&mut self) {
        for id in self.members.keys().copied().collect::<Vec<_>>() {
            self.room.settle(id);
        }
        self.room.end_round();
        let before = self.room.head();
        let admitted = self.room.admit();
        let count = usize::try_from(self.room.head() - before).expect("few");
        self.published.extend(self.waiting.drain(..count));
        for id in admitted {
            self.members.get_mut(&id).expect("only those who are here").waits = false;
        }
    }

    fn review(&mut self, later: Duration) {
        self.now += later;
        let (late, look_again) = self.room.review(self.now);
        assert!(look_again.is_none_or(|at| at <= self.now + PATIENCE), "never longer than the patience");
        assert!(late.is_empty() || self.room.is_anybody_waiting(), "nobody is late for nobody");
        for id in late {
            self.late += 1;
            self.leave(id);
        }
    }

    fn check_bounds(&self) {
        let backlog = self.room.backlog();
        let is_alone = backlog.next_seq() - backlog.first_seq() == 1;
        assert!(backlog.held_bytes() <= BACKLOG_BYTES || is_alone, "{} bytes are held", backlog.held_bytes());
        assert_eq!(self.room.head(), self.published.len() as u64, "what is published is numbered");
        assert_eq!(self.room.len(), self.members.len());
        assert_eq!(self.room.waiting_len(), self.waiting.len());
    }

    /// Everybody takes all there is until nothing moves; then all have all.
    fn drain(&mut self) {
        for _ in 0..2000 {
            for id in self.members.keys().copied().collect::<Vec<_>>() {
                self.write(id, 1000);
            }
            self.end_round();
            if self.waiting.is_empty() && self.members.keys().all(|&id| self.room.is_up_to_date(id)) {
                break;
            }
        }
        assert!(self.waiting.is_empty(), "who reads is not waited for");
        for (id, member) in std::mem::take(&mut self.members) {
            self.check(self.joinings[&id], &member, true);
        }
    }

    /// What a client decodes is what was published, from where it began; up to the end, if it has `all`.
    fn check(&self, joining: usize, member: &Member, all: bool) {
        let is_for_it = |(sender, _): &&(usize, Message)| member.echo || *sender != joining;
        let seq = usize::try_from(member.seq).expect("few");
        let expected: Vec<&Message> =
            self.published[seq..].iter().filter(is_for_it).map(|(_, message)| message).collect();
        let settings = Some(WebSocketConfig::default());
        let mut client = WebSocket::from_raw_socket(Cursor::new(member.received.clone()), Role::Client, settings);
        let mut decoded = Vec::new();
        while let Ok(message) = client.read() {
            decoded.push(message);
        }
        let whole: usize = decoded.iter().map(|message| frame_bytes(message.len())).sum();
        assert_eq!(whole, member.received.len(), "it ends between two frames");
        assert!(decoded.len() <= expected.len(), "nothing but what was published");
        assert!(decoded.iter().zip(&expected).all(|(its, published)| its == *published), "unchanged and in order");
        assert!(!all || decoded.len() == expected.len(), "{} of {}", decoded.len(), expected.len());
    }
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
