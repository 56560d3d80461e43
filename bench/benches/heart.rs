//! Microbenchmarks of the heart, without sockets: encode a frame, append it to the backlog, make slices for a client, advance
//! its cursor. They say what a delivery costs beside the kernel's part.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use divan::{Bencher, black_box};
use foghorn::config::limits::STREAM_PIECE_BYTES;
use foghorn::hub::backlog::Backlog;
use foghorn::hub::channel::{Channel, Start};
use foghorn::hub::frame::Frame;
use foghorn::hub::stream_encoding::{Encoded, Encoding, Message};

const BACKLOG_BYTES: usize = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(2);

fn main() {
    divan::main();
}

/// A frame from a payload that is there already, as tungstenite hands it over.
#[divan::bench(args = [0, 64, 1024, 65_536])]
fn encode(bencher: Bencher<'_, '_>, payload_bytes: usize) {
    let payload = bytes::Bytes::from(vec![b'x'; payload_bytes]);
    bencher.bench(|| Frame::text(black_box(&payload).clone()));
}

/// A message for a stream, in pieces: text with an end of a line in each 64 bytes, and binary.
#[divan::bench(args = [(Encoding::Events, true), (Encoding::Json, true), (Encoding::Lines, true), (Encoding::Events, false)])]
fn encode_stream(bencher: Bencher<'_, '_>, (encoding, is_text): (Encoding, bool)) {
    let line = "x".repeat(63) + "\n";
    let payload = line.repeat(1024).into_bytes();
    let mut piece = Vec::with_capacity(2 * STREAM_PIECE_BYTES);
    let counter = divan::counter::BytesCount::new(payload.len());
    bencher.counter(counter).bench_local(move || {
        let payload = [black_box(&payload[..]), b""];
        let message = Message { seq: 42, epoch: "k3j9x2", at_unix_secs: 1_764_081_234, is_text, payload };
        let mut from = None;
        loop {
            piece.clear();
            let encoded = encoding.encode(&message, from, STREAM_PIECE_BYTES, &mut piece);
            black_box(&piece);
            let Encoded::Until(at) = encoded else { break };
            from = Some(at);
        }
    });
}

#[divan::bench(args = [0, 64, 1024, 65_536])]
fn append(bencher: Bencher<'_, '_>, payload_bytes: usize) {
    let frame = Frame::binary(vec![0; payload_bytes]);
    let mut backlog = Backlog::new(BACKLOG_BYTES).expect("there is memory");
    bencher.bench_local(move || backlog.append(black_box(&frame), 1, 0));
}

/// What one subscriber lacks, for one write, with so many subscribers who are up to date beside it: it must not matter.
#[divan::bench(args = [1, 100, 10_000])]
fn slice(bencher: Bencher<'_, '_>, subscribers: usize) {
    let mut channel = channel(subscribers);
    channel.publish(0, Frame::binary(vec![0; 64]), 0, None);
    bencher.bench_local(move || {
        let mut slices = [IoSlice::new(&[]); 32];
        black_box(channel.pending(black_box(0), &mut slices, usize::MAX))
    });
}

/// One message through the channel without its sockets, for each of so many subscribers.
#[divan::bench(args = [1, 100, 10_000])]
fn deliver(bencher: Bencher<'_, '_>, subscribers: usize) {
    let mut channel = channel(subscribers);
    let frame = Frame::binary(vec![0; 64]);
    let counter = divan::counter::ItemsCount::new(subscribers);
    bencher.counter(counter).bench_local(move || {
        channel.publish(0, frame.clone(), 0, None);
        let others =
            channel.share_unflushed(usize::MAX, |(), slices| Some(black_box(slices).iter().map(|s| s.len()).sum()));
        channel.end_round();
        others
    });
}

/// One message on, for a subscriber who is so many messages behind: it must not matter how many.
#[divan::bench(args = [1, 1000, 50_000])]
fn advance(bencher: Bencher<'_, '_>, messages_behind: usize) {
    let mut channel = channel(2);
    let frame = Frame::binary(vec![0; 64]);
    for _ in 0..messages_behind {
        channel.publish(1, frame.clone(), 0, None);
    }
    channel.reindex(0);
    let frame_bytes = frame.len();
    bencher.bench_local(move || {
        channel.publish(1, frame.clone(), 0, None);
        take(&mut channel, 1, usize::MAX);
        take(&mut channel, 0, frame_bytes);
    });
}

/// Coming back to the middle of a backlog that holds so many messages: a search in it, no walk.
#[divan::bench(args = [1, 1000, 50_000])]
fn resume(bencher: Bencher<'_, '_>, messages_held: u64) {
    let mut channel = channel(1);
    for _ in 0..messages_held {
        channel.publish(0, Frame::binary(vec![0; 64]), 0, None);
    }
    bencher.bench_local(move || {
        let joined = channel.join((), true, Start::After(black_box(messages_held / 2)));
        channel.leave(joined.slot)
    });
}

/// Coming and going, with so many subscribers beside and a backlog full of small messages.
#[divan::bench(args = [1, 100, 10_000])]
fn join_and_leave(bencher: Bencher<'_, '_>, subscribers: usize) {
    let mut channel = channel(subscribers);
    fill(&mut channel, subscribers);
    bencher.bench_local(move || {
        let joined = channel.join((), true, Start::History(0));
        channel.leave(joined.slot)
    });
}

/// Looking for who is late, with one blocked subscriber and so many who are not.
#[divan::bench(args = [1, 100, 10_000])]
fn review(bencher: Bencher<'_, '_>, subscribers: usize) {
    let mut channel = channel(subscribers);
    let blocked = channel.join((), true, Start::History(0)).slot;
    fill(&mut channel, subscribers);
    channel.reindex(blocked);
    channel.end_round();
    channel.publish(0, Frame::binary(vec![0; 64]), 0, None);
    bencher.bench_local(move || channel.review(Instant::now()));
}

fn channel(subscribers: usize) -> Channel<()> {
    let mut channel = Channel::new(BACKLOG_BYTES, PATIENCE, "epoch".into()).expect("there is memory");
    for _ in 0..subscribers {
        channel.join((), true, Start::History(0));
    }
    channel
}

/// Publishes until the backlog is full, with the first `subscribers` taking everything.
fn fill(channel: &mut Channel<()>, subscribers: usize) {
    while channel.backlog().held_bytes() + 1024 < BACKLOG_BYTES {
        channel.publish(0, Frame::binary(vec![0; 64]), 0, None);
    }
    for slot in 0..subscribers {
        take(channel, slot, usize::MAX);
    }
}

/// Writes a subscriber what it lacks, up to so many bytes, to nowhere.
fn take(channel: &mut Channel<()>, slot: usize, bytes_max: usize) {
    let mut slices = [IoSlice::new(&[]); 32];
    let filled = channel.pending(slot, &mut slices, bytes_max);
    let bytes = slices[..filled].iter().map(|slice| slice.len()).sum();
    channel.advance(slot, bytes);
    channel.reindex(slot);
}
