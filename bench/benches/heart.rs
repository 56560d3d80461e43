//! Microbenchmarks of the heart, without sockets: encode a frame, append it to the backlog, make slices for a client, advance
//! its cursor. They say what a delivery costs beside the kernel's part.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use divan::{Bencher, black_box};
use foghorn::hub::backlog::Backlog;
use foghorn::hub::channel::{Room, Start};
use foghorn::hub::frame::Frame;

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

#[divan::bench(args = [0, 64, 1024, 65_536])]
fn append(bencher: Bencher<'_, '_>, payload_bytes: usize) {
    let frame = Frame::binary(vec![0; payload_bytes]);
    let mut backlog = Backlog::new(BACKLOG_BYTES);
    bencher.bench_local(move || backlog.append(black_box(&frame), 1));
}

/// What one member lacks, for one write, with so many members who are up to date beside it: it must not matter.
#[divan::bench(args = [1, 100, 10_000])]
fn slice(bencher: Bencher<'_, '_>, members: usize) {
    let mut room = room(members);
    room.publish(0, Frame::binary(vec![0; 64]));
    bencher.bench_local(move || {
        let mut slices = [IoSlice::new(&[]); 32];
        black_box(room.pending(black_box(0), &mut slices, usize::MAX))
    });
}

/// One message through the room without its sockets, for each of so many members.
#[divan::bench(args = [1, 100, 10_000])]
fn deliver(bencher: Bencher<'_, '_>, members: usize) {
    let mut room = room(members);
    let frame = Frame::binary(vec![0; 64]);
    let counter = divan::counter::ItemsCount::new(members);
    bencher.counter(counter).bench_local(move || {
        room.publish(0, frame.clone());
        let others = room.share_news(usize::MAX, |(), slices| Some(black_box(slices).iter().map(|s| s.len()).sum()));
        room.end_round();
        others
    });
}

/// One message on, for a member who is so many messages behind: it must not matter how many.
#[divan::bench(args = [1, 1000, 50_000])]
fn advance(bencher: Bencher<'_, '_>, messages_behind: usize) {
    let mut room = room(2);
    let frame = Frame::binary(vec![0; 64]);
    for _ in 0..messages_behind {
        room.publish(1, frame.clone());
    }
    room.settle(0);
    let frame_bytes = frame.len();
    bencher.bench_local(move || {
        room.publish(1, frame.clone());
        take(&mut room, 1, usize::MAX);
        take(&mut room, 0, frame_bytes);
    });
}

/// Coming back to the middle of a backlog that holds so many messages: a search in it, no walk.
#[divan::bench(args = [1, 1000, 50_000])]
fn resume(bencher: Bencher<'_, '_>, messages_held: u64) {
    let mut room = room(1);
    for _ in 0..messages_held {
        room.publish(0, Frame::binary(vec![0; 64]));
    }
    bencher.bench_local(move || {
        let joined = room.join((), true, Start::After(black_box(messages_held / 2)));
        room.leave(joined.id)
    });
}

/// Coming and going, with so many members beside and a backlog full of small messages.
#[divan::bench(args = [1, 100, 10_000])]
fn join_and_leave(bencher: Bencher<'_, '_>, members: usize) {
    let mut room = room(members);
    fill(&mut room, members);
    bencher.bench_local(move || {
        let joined = room.join((), true, Start::History(0));
        room.leave(joined.id)
    });
}

/// Looking for who is late, with one blocked member and so many who are not.
#[divan::bench(args = [1, 100, 10_000])]
fn review(bencher: Bencher<'_, '_>, members: usize) {
    let mut room = room(members);
    let blocked = room.join((), true, Start::History(0)).id;
    fill(&mut room, members);
    room.settle(blocked);
    room.end_round();
    room.publish(0, Frame::binary(vec![0; 64]));
    bencher.bench_local(move || room.review(Instant::now()));
}

fn room(members: usize) -> Room<()> {
    let mut room = Room::new(BACKLOG_BYTES, PATIENCE);
    for _ in 0..members {
        room.join((), true, Start::History(0));
    }
    room
}

/// Publishes until the backlog is full, with the first `members` taking everything.
fn fill(room: &mut Room<()>, members: usize) {
    while room.backlog().held_bytes() + 1024 < BACKLOG_BYTES {
        room.publish(0, Frame::binary(vec![0; 64]));
    }
    for id in 0..members {
        take(room, id, usize::MAX);
    }
}

/// Writes a member what it lacks, up to so many bytes, to nowhere.
fn take(room: &mut Room<()>, id: usize, bytes_max: usize) {
    let mut slices = [IoSlice::new(&[]); 32];
    let filled = room.pending(id, &mut slices, bytes_max);
    let bytes = slices[..filled].iter().map(|slice| slice.len()).sum();
    room.advance(id, bytes);
    room.settle(id);
}
