//! Streams against the simplest model there is: each gets every message from where it began, encoded whole, whoever else is where, and
//! however their sockets take it.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::hub::epochs::Beginning;
use crate::hub::frame::Frame;
use crate::hub::publishing::Published;
use crate::hub::stream_encoding::SLACK_BYTES;

const ENCODINGS: [Encoding; 3] = [Encoding::Events, Encoding::Lines, Encoding::Json];
/// When all is published, by the clock of the log, and when that began.
/// Before the clock began.
const AT_SECS: i32 = -1000;
const CLOCK_BEGAN: u64 = 1_764_000_000;

/// What was said, in which epoch.
struct Said {
    epoch: usize,
    is_text: bool,
    payload: Vec<u8>,
}

/// A stream, and what its socket has taken or is kept for it.
struct Reader {
    slot: usize,
    encoding: Encoding,
    /// How many messages there were before its first, the epoch that it was told when it came, and how many it wants.
    before: usize,
    epoch: usize,
    count: Option<u64>,
    bytes: Vec<u8>,
}

struct Model {
    channel: Channel<()>,
    publisher: usize,
    said: Vec<Said>,
    /// How many messages there were before each epoch.
    epochs: Vec<usize>,
    readers: Vec<Reader>,
}

fn epoch_name(nth: usize) -> String {
    format!("epoch{nth}")
}

fn hello(encoding: Encoding, NewEpoch { position, .. }: NewEpoch) -> Vec<u8> {
    if encoding == Encoding::Lines { Vec::new() } else { format!("<{position}>\n").into_bytes() }
}

impl Model {
    fn new(backlog_bytes: usize) -> Self {
        let mut channel = Channel::new(backlog_bytes, Duration::from_secs(2), epoch_name(0)).expect("there is memory");
        let publisher = channel.join((), false, Start::History(0)).slot;
        Self { channel, publisher, said: Vec::new(), epochs: vec![0], readers: Vec::new() }
    }

    fn join(&mut self, encoding: Encoding, history: u64, count: Option<u64>) {
        let joined = self.channel.join_stream((), encoding, Start::History(history), count);
        let epoch = self.epochs.len() - 1;
        assert_eq!(joined.epoch, epoch_name(epoch));
        let before = self.epochs[epoch] + usize::try_from(joined.seq).unwrap();
        self.readers.push(Reader { slot: joined.slot, encoding, before, epoch, count, bytes: Vec::new() });
    }

    /// Publishes a message if there is room for it.
    fn publish(&mut self, is_text: bool, payload: Vec<u8>) {
        let frame = if is_text { Frame::text(payload.clone()) } else { Frame::binary(payload.clone()) };
        match self.channel.publish(self.publisher, frame, AT_SECS, None) {
            Published::Now => self.said.push(Said { epoch: self.epochs.len() - 1, is_text, payload }),
            Published::Later => self.channel.withdraw(self.publisher),
        }
        // Everybody is passed over.
        for reader in &self.readers {
            self.channel.reindex(reader.slot);
        }
        self.channel.advance(self.publisher, 0);
        self.channel.end_round();
    }

    fn clear(&mut self) {
        assert!(self.channel.clear(epoch_name(self.epochs.len())).is_empty(), "nobody is so many epochs behind");
        self.epochs.push(self.said.len());
    }

    /// Hands one piece to a reader and all at its place, which ends where `other` is if that is ahead. Returns whether it has all.
    fn write(&mut self, nth: usize, other: usize, bytes_max: usize) -> bool {
        let place = self.channel.place(self.readers[nth].slot).unwrap();
        if self.channel.is_complete(place) {
            return true;
        }
        let next = self.channel.place(self.readers[other].slot);
        let surroundings = Surroundings { clock_began: CLOCK_BEGAN, hello };
        let mut piece = Vec::new();
        let behind = self.channel.encode_piece(place, next, &surroundings, bytes_max, &mut piece);
        assert!(piece.len() <= bytes_max + SLACK_BYTES);
        assert_eq!(
            piece.is_empty(),
            self.channel.has_all(place) || behind.encoding == Encoding::Lines && piece.is_empty()
        );
        for reader in &mut self.readers {
            if self.channel.place(reader.slot) == Some(place) {
                reader.bytes.extend(&piece);
                self.channel.move_to(reader.slot, behind);
            }
        }
        self.channel.has_all(behind)
    }

    /// What a reader has. An epoch in which nothing was said is told to those only who were written to meanwhile.
    fn has(&self, reader: &Reader) -> String {
        let mut has = String::from_utf8_lossy(&reader.bytes).into_owned();
        for epoch in (0..self.epochs.len() - 1).filter(|&epoch| self.epochs[epoch] == self.epochs[epoch + 1]) {
            has = has.replace(&format!("<{}:0>\n", epoch_name(epoch)), "");
        }
        has
    }

    fn expected(&self, reader: &Reader) -> String {
        let mut bytes = Vec::new();
        let mut told = reader.epoch;
        let last = reader.count.map_or(usize::MAX, |count| reader.before + usize::try_from(count).unwrap());
        let mut tell = |epoch: usize, bytes: &mut Vec<u8>| {
            if epoch != told {
                let position = Position { epoch: epoch_name(epoch), seq: 0 };
                bytes.extend(hello(reader.encoding, NewEpoch { position, lost: 0, head: 0 }));
                told = epoch;
            }
        };
        for (nth, said) in self.said.iter().enumerate().take(last).skip(reader.before) {
            tell(said.epoch, &mut bytes);
            let message = Message {
                seq: (nth - self.epochs[said.epoch] + 1) as u64,
                epoch: &epoch_name(said.epoch),
                at_unix_secs: CLOCK_BEGAN - 1000,
                is_text: said.is_text,
                payload: [&said.payload, b""],
            };
            reader.encoding.encode(&message, None, usize::MAX, &mut bytes);
        }
        if self.said.len() < last {
            tell(self.epochs.len() - 1, &mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Join { encoding: usize, history: u64, count: Option<u64> },
    Leave(usize),
    Publish(bool, Vec<u8>),
    Write(usize, usize, usize),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let count = prop_oneof![4 => Just(None), 1 => (0_u64..6).prop_map(Some)];
    // Bytes of which most have a meaning to one of the forms.
    let payload = (any::<u64>(), 0_usize..300).prop_map(|(seed, len)| {
        let mut rng = fastrand::Rng::with_seed(seed);
        std::iter::repeat_with(|| b"\r\n\"\0ab"[rng.usize(..6)]).take(len).collect::<Vec<u8>>()
    });
    let step = prop_oneof![
        2 => (0_usize..3, 0_u64..6, count).prop_map(|(encoding, history, count)| Step::Join { encoding, history, count }),
        1 => any::<usize>().prop_map(Step::Leave),
        6 => (any::<bool>(), payload).prop_map(|(is_text, payload)| Step::Publish(is_text, payload)),
        8 => (any::<usize>(), any::<usize>(), 1_usize..150).prop_map(|(nth, other, bytes)| Step::Write(nth, other, bytes)),
        1 => Just(Step::Clear),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn everybody_gets_all_that_is_said_in_every_form(backlog_bytes in 700_usize..3000, steps in steps()) {
        let mut model = Model::new(backlog_bytes);
        for step in steps {
            let readers = model.readers.len().max(1);
            match step {
                Step::Join { encoding, history, count } => model.join(ENCODINGS[encoding], history, count),
                Step::Publish(is_text, payload) => model.publish(is_text, payload),
                Step::Clear => model.clear(),
                _ if model.readers.is_empty() => {}
                Step::Leave(nth) => {
                    let reader = model.readers.swap_remove(nth % readers);
                    let ((), tail) = model.channel.leave(reader.slot);
                    prop_assert!(tail.is_empty(), "it has no use for a frame's");
                    prop_assert!(model.expected(&reader).starts_with(&model.has(&reader)));
                }
                Step::Write(nth, other, bytes) => drop(model.write(nth % readers, other % readers, bytes)),
            }
        }
        for nth in 0..model.readers.len() {
            while !model.write(nth, nth, 100) {}
            let reader = &model.readers[nth];
            prop_assert_eq!(model.has(reader), model.expected(reader));
        }
    }
}

#[test]
fn those_who_are_not_far_from_each_other_meet() {
    let mut model = Model::new(64 * 1024);
    model.join(Encoding::Lines, 0, None);
    for size in [50, 50, 5000].into_iter().chain([50; 100]) {
        model.publish(true, vec![b'x'; size]);
    }
    model.write(0, 0, 51);
    model.join(Encoding::Lines, 103, None);
    let place = |model: &Model, nth: usize| model.channel.place(model.readers[nth].slot).unwrap();
    assert!(place(&model, 1) < place(&model, 0));
    model.write(1, 0, 4096);
    assert_eq!(place(&model, 1), place(&model, 0), "a piece ends where somebody stands between two messages");
    // Within the large message, they are at different bytes of it.
    model.write(0, 0, 1000);
    model.join(Encoding::Lines, 103, None);
    model.write(2, 2, 700);
    for (nth, bytes) in [(0, 3000), (0, 3000), (2, 4000), (2, 4000)] {
        model.write(nth, nth, bytes);
    }
    assert_eq!(place(&model, 2), place(&model, 0), "and meet at its end");
}

#[test]
fn a_stream_holds_what_it_lacks_and_is_late_as_others_are() {
    let mut model = Model::new(4 * (100 + 2 + crate::hub::backlog::INDEX_ENTRY_BYTES));
    model.join(Encoding::Events, 0, None);
    for _ in 0..6 {
        model.publish(false, vec![7; 100]);
    }
    assert_eq!(model.said.len(), 4, "nothing is overwritten that it has still to get");
    assert_eq!(model.channel.laggards_len(), 1);
    model.write(0, 0, 300);
    model.publish(false, vec![7; 100]);
    assert_eq!(model.said.len(), 5);
    model.channel.publish(model.publisher, Frame::binary(vec![7; 300]), 0, None);
    let start = std::time::Instant::now();
    model.channel.review(start);
    assert_eq!(model.channel.review(start + Duration::from_secs(2)).0, [model.readers[0].slot]);
    assert!(!model.channel.is_within_message(model.publisher));
    model.write(0, 0, 20);
    assert!(model.channel.is_within_message(model.readers[0].slot));
}

#[test]
fn a_stream_is_outside_of_the_round_and_costs_nobody_a_share_of_it() {
    let mut model = Model::new(4096);
    model.join(Encoding::Lines, 0, None);
    model.channel.join((), true, Start::History(0));
    model.channel.publish(model.publisher, Frame::text("fog"), 0, None);
    let mut written = 0;
    let others = model.channel.share_unflushed(4096, |(), slices| {
        written += 1;
        Some(slices.iter().map(|slice| slice.len()).sum())
    });
    assert_eq!((written, others), (1, vec![(model.publisher, None), (model.readers[0].slot, None)]));
}

#[test]
fn a_piece_goes_on_past_the_place_of_a_stream_in_another_form() {
    let mut model = Model::new(4096);
    model.join(Encoding::Lines, 0, None);
    model.join(Encoding::Json, 0, None);
    for _ in 0..3 {
        model.publish(true, b"fog".to_vec());
    }
    model.write(1, 1, 1);
    assert!(!model.write(1, 1, 1000), "it has the rest of the first one");
    assert!(model.write(0, 1, 1000), "and the other all at once");
}

#[test]
fn a_stream_is_told_how_far_a_new_epoch_is_and_what_it_gets_is_counted() {
    let mut model = Model::new(4096);
    model.join(Encoding::Lines, 0, None);
    model.join(Encoding::Json, 0, None);
    let slot = model.readers[0].slot;
    assert_eq!(model.channel.streams().collect::<Vec<_>>(), [slot, model.readers[1].slot]);
    assert!(model.channel.is_stream(slot) && !model.channel.is_stream(model.publisher));
    for _ in 0..2 {
        model.publish(true, b"fog".to_vec());
    }
    model.clear();
    for _ in 0..3 {
        model.publish(true, b"fog".to_vec());
    }
    let hello = |_, NewEpoch { position, lost, head }| format!("<{position} of {head}, {lost} lost>\n").into_bytes();
    let surroundings = Surroundings { clock_began: CLOCK_BEGAN, hello };
    let mut piece = Vec::new();
    let place = model.channel.place(slot).unwrap();
    let behind = model.channel.encode_piece(place, None, &surroundings, 1000, &mut piece);
    assert_eq!(String::from_utf8(piece).unwrap(), "fog\nfog\n<epoch1:0 of 3, 0 lost>\nfog\nfog\nfog\n");
    model.channel.move_to(slot, behind);
    assert_eq!(model.channel.deliveries(), 5);
    assert!(!model.channel.is_within_message(slot));
}

#[test]
fn a_stream_is_told_what_was_missed_and_goes_on_with_the_numbers_behind_it() {
    let mut model = Model::new(4096);
    model.join(Encoding::Json, 0, None);
    let slot = model.readers[0].slot;
    model.publish(true, b"fog".to_vec());
    let place = model.channel.place(slot).unwrap();
    model.channel.clear(Beginning { name: epoch_name(0), numbers_before: 41, lost: 40 });
    model.publish(true, b"fog".to_vec());
    let hello = |_, NewEpoch { position, lost, head }| format!("<{position} of {head}, {lost} lost>\n").into_bytes();
    let surroundings = Surroundings { clock_began: CLOCK_BEGAN, hello };
    let mut piece = Vec::new();
    model.channel.encode_piece(place, None, &surroundings, 1000, &mut piece);
    let piece = String::from_utf8(piece).unwrap();
    let lines: Vec<&str> = piece.lines().collect();
    assert!(lines[0].starts_with(r#"{"seq":1,"#) && lines[2].starts_with(r#"{"seq":42,"#), "{lines:?}");
    assert_eq!(lines[1], "<epoch0:41 of 42, 40 lost>");
}
