//! The channel against the simplest model there is: every client gets exactly what was published since it came, and if it
//! comes back, what it lacks, or is told how much of that is gone.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;
use std::time::Instant;

use super::*;
use crate::hub::epochs::Beginning;
use crate::hub::frame::Frame;
use crate::hub::publishing::{Admitted, Posted, Published};
use crate::hub::record::Chain;
use proptest::prelude::*;

/// What one client has seen.
#[derive(Debug)]
struct Seen {
    slot: usize,
    number: u32,
    echo: bool,
    bytes: Received,
    /// The frames that it has to get, own ones left out if it wants none: the rest of the published ones from here on.
    first: u64,
}

/// What a client has received: the channel's transport to it.
type Received = Rc<RefCell<Vec<u8>>>;

/// A channel, all that was ever published in it, and the clients' views.
struct Model {
    channel: Channel<Received>,
    published: Vec<(u32, Vec<u8>)>,
    /// Accepted, but waiting for room in the backlog.
    waiting: VecDeque<(u32, Vec<u8>)>,
    /// Accepted, and not in the file yet, if there is one.
    staged: VecDeque<(u32, Vec<u8>)>,
    clients: Vec<Seen>,
    now: Instant,
}

impl Model {
    fn new(backlog_bytes: usize) -> Self {
        Self {
            channel: Channel::new(backlog_bytes, Duration::from_secs(2), "epoch".into()).expect("there is memory"),
            published: Vec::new(),
            waiting: VecDeque::new(),
            staged: VecDeque::new(),
            clients: Vec::new(),
            now: Instant::now(),
        }
    }

    /// The same with a file.
    fn kept(backlog_bytes: usize) -> Self {
        let mut model = Self::new(backlog_bytes);
        model.channel.keep(Chain::new(7), 0);
        model
    }

    fn is_kept(&self) -> bool {
        self.channel.chain().is_some()
    }

    /// Writes what is staged.
    fn keep(&mut self) {
        let Some(batch) = self.channel.take_staged() else { return };
        assert_eq!((batch.messages, self.channel.has_next_batch()), (self.staged.len(), false));
        assert_eq!(self.channel.head(), self.published.len() as u64, "nothing is told before it is written");
        self.channel.commit(batch);
        self.published.extend(self.staged.drain(..));
        assert_eq!(self.channel.head(), self.published.len() as u64);
    }

    fn join(&mut self, echo: bool, start: Start) -> Joined {
        let bytes = Received::default();
        let joined = self.channel.join(Rc::clone(&bytes), echo, start);
        let number = self.channel.subscribers[joined.slot].number;
        assert_eq!(joined.head, self.published.len() as u64);
        self.clients.push(Seen { slot: joined.slot, number, echo, bytes, first: joined.seq + 1 });
        joined
    }

    fn publish(&mut self, nth: usize, payload_bytes: usize) {
        let Some(nth) = nth.checked_rem(self.clients.len()) else { return };
        let (slot, number) = (self.clients[nth].slot, self.clients[nth].number);
        if self.waiting.iter().any(|(waiting, _)| *waiting == number) {
            return;
        }
        let nth = self.published.len() + self.staged.len() + self.waiting.len();
        let mut payload = nth.to_be_bytes().to_vec();
        payload.resize(payload_bytes, 0xab);
        let frame = Frame::binary(payload);
        let bytes = frame.to_vec();
        match self.channel.publish(slot, frame, 0, None) {
            Published::Now if self.is_kept() => self.staged.push_back((number, bytes)),
            Published::Now => self.published.push((number, bytes)),
            Published::Later => self.waiting.push_back((number, bytes)),
        }
    }

    /// Lets a client take up to so many bytes in one write.
    fn write(&mut self, nth: usize, bytes_max: usize) {
        let Some(nth) = nth.checked_rem(self.clients.len()) else { return };
        let client = &self.clients[nth];
        let mut slices = [IoSlice::new(&[]); 6];
        let filled = self.channel.pending(client.slot, &mut slices, bytes_max);
        let mut bytes = client.bytes.borrow_mut();
        let before = bytes.len();
        for slice in &slices[..filled] {
            bytes.extend_from_slice(slice);
        }
        let written = bytes.len() - before;
        assert!(written <= bytes_max);
        self.channel.advance(client.slot, written);
    }

    fn round(&mut self, bytes_max: usize) {
        self.keep();
        // Sockets that take no more than that, and one in three that is left alone.
        let mut nth = 0;
        let others = self.channel.share_unflushed(300, |received, slices| {
            nth += 1;
            if nth % 3 == 0 {
                return None;
            }
            let mut left = bytes_max;
            for slice in slices {
                let taken = left.min(slice.len());
                received.borrow_mut().extend_from_slice(&slice[..taken]);
                left -= taken;
            }
            Some(bytes_max - left)
        });
        for (slot, written) in others {
            match written {
                Some(bytes) => self.channel.advance(slot, bytes),
                None => self.write(self.clients.iter().position(|client| client.slot == slot).unwrap(), bytes_max),
            }
        }
        self.channel.end_round();
        let waiting = self.channel.blocked_len();
        self.channel.admit(0, |_| None);
        for _ in self.channel.blocked_len()..waiting {
            let admitted = self.waiting.pop_front().expect("as many wait here");
            if self.is_kept() {
                self.staged.push_back(admitted);
            } else {
                self.published.push(admitted);
            }
        }
    }

    /// Has everybody take everything.
    fn settle(&mut self) {
        while !self.waiting.is_empty()
            || self.channel.is_staging()
            || self.clients.iter().any(|client| !self.channel.is_up_to_date(client.slot))
        {
            self.round(usize::MAX);
        }
    }

    /// The frames that a client has to get, in order.
    fn wanted(&self, client: &Seen) -> impl Iterator<Item = &[u8]> {
        let (first, echo, number) = (client.first, client.echo, client.number);
        let from = &self.published[usize::try_from(first - 1).unwrap()..];
        from.iter().filter(move |(sender, _)| echo || *sender != number).map(|(_, bytes)| bytes.as_slice())
    }

    fn expected(&self, client: &Seen) -> Vec<u8> {
        self.wanted(client).collect::<Vec<_>>().concat()
    }

    /// How many of the frames that it has to get `bytes` hold in full, and how many bytes are beyond them.
    fn complete(&self, client: &Seen, bytes: usize) -> (u64, usize) {
        let mut left = bytes;
        let mut complete = 0;
        for frame in self.wanted(client) {
            let Some(rest) = left.checked_sub(frame.len()) else { break };
            left = rest;
            complete += 1;
        }
        (complete, left)
    }

    fn check_prefixes(&self) {
        for client in &self.clients {
            let expected = self.expected(client);
            assert!(
                expected.starts_with(&client.bytes.borrow()),
                "a client has something else than what was published"
            );
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Join { echo: bool, history: u64 },
    Leave(usize),
    Publish(usize, usize),
    Write(usize, usize),
    Round(usize),
    ComeBack(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => (any::<bool>(), 0_u64..6).prop_map(|(echo, history)| Step::Join { echo, history }),
        1 => any::<usize>().prop_map(Step::Leave),
        6 => (any::<usize>(), 0_usize..150).prop_map(|(nth, bytes)| Step::Publish(nth, bytes)),
        1 => (any::<usize>(), 300_usize..700).prop_map(|(nth, bytes)| Step::Publish(nth, bytes)),
        6 => (any::<usize>(), 0_usize..200).prop_map(|(nth, bytes)| Step::Write(nth, bytes)),
        3 => (0_usize..500).prop_map(Step::Round),
        2 => any::<usize>().prop_map(Step::ComeBack),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn everybody_gets_exactly_what_is_published(
        backlog_bytes in 60_usize..1200,
        is_kept in any::<bool>(),
        steps in steps(),
    ) {
        let mut model = if is_kept { Model::kept(backlog_bytes) } else { Model::new(backlog_bytes) };
        for step in steps {
            match step {
                Step::Join { echo, history } => drop(model.join(echo, Start::History(history))),
                Step::Leave(nth) => {
                    if let Some(nth) = nth.checked_rem(model.clients.len()) {
                        let client = model.clients.swap_remove(nth);
                        let (_, frame_tail) = model.channel.leave(client.slot);
                        let expected = model.expected(&client);
                        let bytes = [&client.bytes.borrow()[..], &frame_tail].concat();
                        prop_assert!(expected.starts_with(&bytes), "the tail completes the frame that was cut");
                        prop_assert_eq!(model.complete(&client, bytes.len()).1, 0, "nothing but whole frames");
                    }
                }
                // At most half of the backlog, header and index entry included.
                Step::Publish(nth, bytes) => model.publish(nth, bytes.min(backlog_bytes / 2 - 20)),
                Step::Write(nth, bytes) => model.write(nth, bytes),
                Step::Round(bytes) => model.round(bytes),
                Step::ComeBack(nth) => {
                    let Some(nth) = nth.checked_rem(model.clients.len()) else { continue };
                    if !model.clients[nth].echo {
                        continue; // Whoever resumes gets its own messages.
                    }
                    let gone = model.clients.swap_remove(nth);
                    model.channel.leave(gone.slot);
                    let has = gone.first - 1 + model.complete(&gone, gone.bytes.borrow().len()).0;
                    let oldest = model.channel.backlog().first_seq_of_newer_half();
                    let joined = model.join(true, Start::After(has));
                    prop_assert_eq!(joined.lost, (oldest - 1).saturating_sub(has));
                    prop_assert_eq!(joined.seq, has + joined.lost, "no gap but the lost ones, and no repeat");
                }
            }
            model.check_prefixes();
        }
        model.settle();
        for client in &model.clients {
            prop_assert_eq!(&*client.bytes.borrow(), &model.expected(client));
        }
        prop_assert_eq!(model.channel.laggards_len(), 0);
    }
}

/// A channel with one subscriber that has sent `frames` of 100 bytes, none of which the others have taken.
fn stalled(subscribers: usize, backlog_frames: usize) -> Model {
    let frame_bytes = Frame::binary(vec![0; 100]).len() + crate::hub::backlog::INDEX_ENTRY_BYTES;
    let mut model = Model::new(backlog_frames * frame_bytes);
    for _ in 0..subscribers {
        model.join(true, Start::History(0));
    }
    for _ in 0..backlog_frames {
        model.publish(0, 100);
    }
    model
}

#[test]
fn deliveries_are_whole_frames_to_each_who_wants_them() {
    let mut model = Model::new(4096);
    model.join(true, Start::History(0));
    model.join(false, Start::History(0));
    for sender in [0, 1, 1, 0] {
        model.publish(sender, 20);
    }
    model.write(0, 30);
    assert_eq!(model.channel.deliveries(), 1, "half a frame is none");
    model.settle();
    assert_eq!(model.channel.deliveries(), 4 + 2);
    for new in [1, 2] {
        for _ in 0..new {
            model.publish(0, 20);
        }
        model.round(usize::MAX);
    }
    assert_eq!(model.channel.deliveries(), 4 + 2 + 2 * 3, "each round counts what is new in it");
}

#[test]
fn a_newcomer_gets_as_many_of_the_last_messages_as_it_wants_and_there_are_in_the_epoch() {
    let mut model = Model::new(4096);
    for epoch in ["a", "b"] {
        model.channel.clear(epoch.to_owned());
        for _ in 0..5 {
            model.channel.post(Frame::text("fog"), 0);
        }
        for (history, seq) in [(0, 5), (1, 4), (5, 0), (6, 0), (u64::MAX, 0)] {
            let joined = model.channel.join(Received::default(), true, Start::History(history));
            assert_eq!((joined.seq, joined.lost, joined.head), (seq, 0, 5), "{history} of {epoch}");
        }
    }
}

#[test]
fn who_joins_behind_what_was_missed_is_told_how_much_and_gets_nothing_from_before_it() {
    let mut model = Model::new(4096);
    for _ in 0..5 {
        model.channel.post(Frame::text("fog"), 0);
    }
    model.channel.clear(Beginning { name: "a".to_owned(), numbers_before: 12, lost: 7 });
    let mut join = |start| {
        let joined = model.channel.join(Received::default(), true, start);
        (joined.seq, joined.lost, joined.head)
    };
    assert_eq!([0, 1, 50].map(|count| join(Start::History(count))), [(12, 0, 12); 3]);
    assert_eq!([5, 3, 12, 13].map(|seq| join(Start::After(seq))), [(12, 7, 12), (12, 9, 12), (12, 0, 12), (12, 0, 12)]);
    assert!(model.channel.last().is_none(), "the newest is not held");
    for _ in 0..2 {
        model.channel.post(Frame::text("fog"), 0);
    }
    let mut join = |start| {
        let joined = model.channel.join(Received::default(), true, start);
        (joined.seq, joined.lost, joined.head)
    };
    assert_eq!([0, 1, 50].map(|count| join(Start::History(count))), [(14, 0, 14), (13, 0, 14), (12, 0, 14)]);
    assert_eq!([5, 13, 20].map(|seq| join(Start::After(seq))), [(12, 7, 14), (13, 0, 14), (14, 0, 14)]);
    assert_eq!(model.channel.last().map(|(seq, _)| seq), Some(14));
}

#[test]
fn the_last_message_is_the_newest_of_the_epoch_while_it_is_held() {
    let mut channel = Channel::new(1024, Duration::from_secs(2), "a".to_owned()).expect("there is memory");
    let last = |channel: &Channel<()>| channel.last().map(|(seq, frame)| (seq, frame.payload.concat()));
    assert_eq!(last(&channel), None);
    channel.post(Frame::text("one"), 0);
    assert_eq!(last(&channel), Some((1, b"one".to_vec())));
    channel.post(Frame::text("two"), 0);
    assert_eq!(last(&channel), Some((2, b"two".to_vec())));
    channel.clear("b".to_owned());
    assert_eq!(last(&channel), None, "it is of another epoch");
    channel.post(Frame::text("new"), 0);
    assert_eq!(last(&channel), Some((1, b"new".to_vec())));
    let channel = Channel::<()>::restored(Backlog::restored_at(1024, 9).unwrap(), Duration::ZERO, "a".to_owned());
    assert_eq!((channel.head(), last(&channel)), (8, None), "it is not held");
}

#[test]
fn a_channel_is_in_use_while_somebody_is_there_or_a_message_waits() {
    let mut channel = Channel::new(1024, Duration::from_secs(2), "a".to_owned()).expect("there is memory");
    assert_eq!((channel.usage(), channel.is_empty(), channel.len()), (Usage::Empty, true, 0));
    let slots = ["first", "second"].map(|name| channel.join(name, true, Start::History(0)).slot);
    assert_eq!(channel.iter().collect::<Vec<_>>(), [(slots[0], &"first"), (slots[1], &"second")]);
    assert_eq!((channel.usage(), channel.is_empty(), channel.len()), (Usage::InUse, false, 2));
    channel.leave(slots[0]);
    assert_eq!(slots.map(|slot| channel.get(slot)), [None, Some(&"second")]);
    while matches!(channel.post(Frame::text("fog"), 0), Posted::Now(_)) {}
    channel.leave(slots[1]);
    assert_eq!((channel.usage(), channel.is_empty()), (Usage::InUse, true), "a message waits");
    channel.end_round();
    assert_eq!(channel.admit(0, |_| None).len(), 1);
    assert_eq!(channel.usage(), Usage::Unused);
    channel.clear("b".to_owned());
    assert_eq!(channel.usage(), Usage::Empty);
}

#[test]
fn what_lies_between_own_messages_is_handed_out_at_once_and_who_lacks_nothing_else_is_up_to_date() {
    let mut model = Model::new(4096);
    model.join(true, Start::History(0));
    model.join(false, Start::History(0));
    let slot = model.clients[1].slot;
    let pending = |model: &Model, bytes_max| {
        let mut slices = [IoSlice::new(&[]); 6];
        let filled = model.channel.pending(slot, &mut slices, bytes_max);
        slices[..filled].iter().map(|slice| slice.len()).collect::<Vec<_>>()
    };
    for sender in [0, 1, 0, 0, 1, 0, 1] {
        model.publish(sender, 10);
    }
    assert_eq!(pending(&model, usize::MAX), [12, 24, 12]);
    assert_eq!(pending(&model, 30), [12, 18]);
    model.channel.end_round();
    model.channel.advance(slot, 48);
    assert!(model.channel.is_up_to_date(slot), "behind the others' last comes only its own");
    assert_eq!((pending(&model, usize::MAX), model.channel.laggards_len()), (vec![], 0));
    let echo = model.clients[0].slot;
    model.channel.advance(echo, 7 * 12);
    let mut slices = [IoSlice::new(&[]); 6];
    assert_eq!(model.channel.pending(echo, &mut slices, usize::MAX), 0, "it has everything");
}

#[test]
fn a_publisher_waits_for_whoever_is_slow_and_in_its_turn() {
    let mut model = stalled(3, 4);
    model.publish(0, 100);
    model.publish(1, 0);
    assert_eq!(model.channel.blocked_len(), 2, "the small one does not overtake the large one");
    model.write(0, usize::MAX);
    model.write(1, usize::MAX);
    model.write(2, 0);
    model.channel.end_round();
    assert!(model.channel.admit(0, |_| None).is_empty(), "one still needs the oldest frame");
    model.write(2, 102);
    assert_eq!(model.channel.admit(0, |_| None), [Admitted::Subscriber(0)], "it has let one frame go");
}

#[test]
fn a_message_for_which_there_is_room_does_not_overtake_one_that_waits() {
    let mut model = stalled(2, 4);
    model.write(1, 102);
    model.write(0, usize::MAX);
    model.channel.end_round();
    model.publish(0, 200);
    model.publish(1, 0);
    let Posted::Later(post) = model.channel.post(Frame::text(""), 0) else { panic!("it would overtake two") };
    assert_eq!((model.channel.blocked_len(), model.channel.usage()), (3, Usage::InUse));
    model.write(1, usize::MAX);
    model.channel.end_round();
    let seq = 4 + 3;
    let epoch = "epoch".to_owned();
    let admitted = [0, 1].map(|nth| Admitted::Subscriber(model.clients[nth].slot));
    assert_eq!(
        model.channel.admit(0, |_| None),
        [&admitted[..], &[Admitted::Post(post, Position { epoch, seq })]].concat()
    );
}

#[test]
fn each_post_that_waits_goes_by_a_number_of_its_own() {
    let mut model = stalled(2, 4);
    model.write(0, 0);
    model.channel.end_round();
    let posts = ["a", "b", "c"].map(|text| model.channel.post(Frame::text(text), 0));
    let [Posted::Later(first), Posted::Later(second), Posted::Later(third)] = posts else { panic!("{posts:?}") };
    model.channel.withdraw_post(first);
    let waiting = [first, second, third].map(|number| model.channel.can_withdraw_post(number));
    assert_eq!((waiting, model.channel.blocked_len()), ([false, true, true], 2));
    for client in 0..2 {
        model.write(client, usize::MAX);
    }
    model.channel.end_round();
    let at = |seq| Position { epoch: "epoch".to_owned(), seq };
    let admitted = [Admitted::Post(second, at(5)), Admitted::Post(third, at(6))];
    assert_eq!(model.channel.admit(0, |_| None), admitted);
    assert!(!model.channel.can_withdraw_post(second));
}

#[test]
fn each_post_that_is_staged_is_named_when_it_is_committed_by_its_place_in_the_epoch() {
    let mut channel = Model::kept(4096).channel;
    let post = |channel: &mut Channel<_>, text: &'static str| match channel.post(Frame::text(text), 0) {
        Posted::Staged(number) => number,
        other => panic!("{other:?}"),
    };
    let commit = |channel: &mut Channel<_>| {
        let batch = channel.take_staged().expect("something is staged");
        channel.commit(batch)
    };
    let at = |epoch: &str, seq| Position { epoch: epoch.to_owned(), seq };
    let old = post(&mut channel, "old");
    assert_eq!((commit(&mut channel), channel.usage()), (vec![(old, at("epoch", 1))], Usage::Unused));
    channel.clear("later".to_owned());
    let [first, second] = ["a", "b"].map(|text| post(&mut channel, text));
    assert!(old != first && first != second);
    assert_eq!(channel.usage(), Usage::InUse, "they are on their way");
    assert_eq!(commit(&mut channel), [(first, at("later", 1)), (second, at("later", 2))]);
}

#[test]
fn what_is_staged_has_its_room_in_the_log() {
    let frame = || Frame::binary(vec![0; 100]);
    let mut model = Model::kept(8 * (frame().len() + crate::hub::backlog::INDEX_ENTRY_BYTES));
    model.join(true, Start::History(0));
    for _ in 0..6 {
        model.publish(0, 100);
        model.keep();
    }
    model.channel.reindex(model.clients[0].slot);
    for _ in 0..2 {
        assert!(matches!(model.channel.post(frame(), 0), Posted::Staged(_)));
    }
    assert!(matches!(model.channel.post(frame(), 0), Posted::Later(_)), "six are held, and two on their way");
}

#[test]
fn messages_are_counted_from_being_staged_to_being_committed() {
    let mut channel = Model::kept(4096).channel;
    let counts = |channel: &Channel<_>| {
        (channel.staged(), channel.staged_and_taken(), channel.has_next_batch(), channel.is_staging())
    };
    assert_eq!(counts(&channel), ((0, 0), 0, false, false));
    channel.post(Frame::text("a"), 0);
    channel.post(Frame::text("b"), 0);
    assert_eq!(counts(&channel), ((2, 0), 0, true, true));
    let batch = channel.take_staged().expect("there are two");
    assert_eq!(counts(&channel), ((2, 0), 2, false, true));
    assert!(channel.chain() == Some(batch.chain) && batch.chain != Chain::new(7));
    channel.post(Frame::text("c"), 0);
    assert_eq!(counts(&channel), ((3, 0), 2, false, true), "it goes with the next write");
    channel.commit(batch);
    assert_eq!(counts(&channel), ((3, 2), 0, true, true));
    let batch = channel.take_staged().expect("there is one");
    assert_eq!((batch.messages, counts(&channel)), (1, ((3, 2), 1, false, true)));
    channel.commit(batch);
    assert_eq!(counts(&channel), ((3, 3), 0, false, false));
    assert!(channel.take_staged().is_none());
    let mut channel = Model::new(4096).channel;
    channel.post(Frame::text("a"), 0);
    assert_eq!((counts(&channel), channel.chain()), (((0, 0), 0, false, false), None), "it has no file");
}

#[test]
fn what_comes_from_outside_is_nobodys_own_also_after_so_many_subscribers_that_numbers_begin_anew() {
    let mut model = Model::new(4096);
    model.join(false, Start::History(0));
    model.channel.next_number = u32::MAX;
    for _ in 0..2 {
        model.join(false, Start::History(0));
    }
    assert_eq!(model.clients.iter().map(|client| client.number).collect::<Vec<_>>(), [1, u32::MAX, 1]);
    assert!(matches!(model.channel.post(Frame::text("fog"), 0), Posted::Now(_)));
    for nth in 0..3 {
        model.write(nth, usize::MAX);
        assert_eq!(*model.clients[nth].bytes.borrow(), b"\x81\x03fog");
    }
}

#[test]
fn a_channel_that_goes_on_has_published_what_came_since() {
    let mut backlog = Backlog::restored_at(4096, 40).expect("there is memory");
    backlog.append(&Frame::text("old"), 0, -5);
    let mut channel = Channel::restored(backlog, Duration::from_secs(2), "epoch".to_owned());
    assert_eq!((channel.published(), channel.head(), channel.has_unflushed()), (0, 40, false));
    assert_eq!(channel.post(Frame::text("new"), 0), Posted::Now(Position { epoch: "epoch".to_owned(), seq: 41 }));
    assert_eq!((channel.published(), channel.head(), channel.has_unflushed()), (1, 41, true));
    let joined = channel.join((), true, Start::After(38));
    assert_eq!((joined.seq, joined.lost, joined.head), (39, 1, 41));
}

#[test]
fn patience_ends_for_whoever_does_not_move() {
    let mut model = stalled(2, 4);
    model.write(0, usize::MAX);
    model.write(1, 0);
    model.channel.end_round();
    let start = model.now;
    assert_eq!(model.channel.review(start), (vec![], None), "nobody waits yet");
    model.publish(0, 100);
    let ends = start + Duration::from_secs(2);
    assert_eq!(model.channel.review(start), (vec![], Some(ends)));
    assert_eq!(model.channel.review(start + Duration::from_millis(1999)), (vec![], Some(ends)));
    assert_eq!(model.channel.review(ends).0, [1]);
    model.channel.leave(1);
    assert_eq!(model.channel.admit(0, |_| None), [Admitted::Subscriber(0)], "the others go on without it");
}

#[test]
fn a_wait_ends_with_the_message_that_is_taken_back() {
    let mut model = stalled(2, 4);
    model.write(0, usize::MAX);
    model.write(1, 0);
    model.channel.end_round();
    let start = model.now;
    let publisher = model.clients[0].slot;
    model.publish(0, 100);
    model.channel.review(start);
    model.channel.withdraw(publisher);
    assert!(model.channel.needs_review(), "although nobody waits any longer");
    model.channel.review(start + Duration::from_millis(500));
    assert!(!model.channel.needs_review());
    model.waiting.clear();
    model.publish(0, 100);
    let later = start + Duration::from_secs(600);
    let ends = later + Duration::from_millis(1500);
    assert_eq!(model.channel.review(later), (vec![], Some(ends)), "it has kept others waiting for half a second");
}

#[test]
fn those_who_stall_one_after_the_other_share_one_patience_if_they_are_more_than_half_the_backlog_behind() {
    let mut model = stalled(4, 8);
    model.write(0, usize::MAX);
    let frame_bytes = 102;
    for (client, frames) in [(1, 0), (2, 2), (3, 6)] {
        model.write(client, frames * frame_bytes);
    }
    model.channel.end_round();
    model.publish(0, 100);
    let start = model.now;
    model.channel.review(start);
    assert_eq!(model.channel.blocked_len(), 1, "because of the first, which has taken nothing");
    let first = model.clients.remove(1);
    model.channel.leave(first.slot);
    model.round(0);
    while model.waiting.is_empty() {
        model.publish(0, 100);
        model.write(0, usize::MAX);
        model.channel.end_round();
    }
    let late = model.channel.review(start + Duration::from_secs(2)).0;
    let second = model.clients[1].slot;
    assert_eq!(late, [second], "its account ran while others waited for the first; that of the third did not");
}
