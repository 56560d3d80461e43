//! The flush and the heartbeat step by step, for streams.

use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::task::Context;

use smol::future;

use super::{After, Batch, Turn};
use crate::broadcast::live_channel::Client;
use crate::broadcast::tests::{LARGE_BYTES, Stage, Wakes, large, received};
use crate::config::limits::{
    FLUSH_BYTES_MAX, PAST_EPOCHS_MAX, STREAM_BATCH_PIECES, STREAM_PIECE_BYTES, STREAM_TURN_BYTES_MAX,
    SWEEPS_PER_HEARTBEAT,
};
use crate::hub::channel::Start;
use crate::hub::channel_name::ChannelName;
use crate::hub::close_reason::CloseReason;
use crate::hub::frame::Frame;
use crate::hub::stream_delivery::{NewEpoch, Surroundings};
use crate::hub::stream_encoding::{Encoding, SLACK_BYTES};

#[test]
fn a_stream_has_a_share_of_a_turn_and_takes_nothing_of_anybody_elses() {
    let stage = Stage::new();
    let (client, socket) = stage.join();
    let streams = [Encoding::Lines, Encoding::Events, Encoding::Json].map(|encoding| stage.join_stream(encoding));
    stage.broadcaster.flush();
    stage.publish(&client, large());
    stage.broadcaster.flush();
    assert_eq!(received(&socket).len(), FLUSH_BYTES_MAX);
    let share =
        STREAM_TURN_BYTES_MAX..=STREAM_TURN_BYTES_MAX + STREAM_BATCH_PIECES[1] * (STREAM_PIECE_BYTES + SLACK_BYTES);
    for (stream, socket) in &streams {
        let bytes = received(socket).len();
        assert!(share.contains(&bytes), "{bytes} bytes in one turn");
        assert!(!stream.transport.write_blocked.get(), "its socket would take more");
    }
    stage.broadcaster.flush();
    assert!(streams.iter().all(|(_, socket)| share.contains(&received(socket).len())), "the next turn goes on");
}

#[test]
fn a_batch_is_of_so_many_pieces_at_most_and_ends_with_what_there_is() {
    const PIECE: usize = STREAM_PIECE_BYTES;
    let stage = Stage::new();
    let ((client, _socket), (stream, _its_socket)) = (stage.join(), stage.join_stream(Encoding::Lines));
    stage.publish(&client, Frame::text("x".repeat(2 * PIECE + 99)));
    let channel = stream.live.channel.borrow();
    let place = channel.place(stream.transport.slot.get().unwrap()).unwrap();
    let surroundings = Surroundings { clock_began: 0, hello: |_, _: NewEpoch| Vec::new() };
    let ends = |pieces_max| {
        let mut batch = Batch::default();
        batch.fill(&channel, place, None, pieces_max, &surroundings);
        batch.pieces.iter().map(|(end, _)| *end).collect::<Vec<_>>()
    };
    assert_eq!(ends(1), [PIECE]);
    assert_eq!(ends(2), [PIECE, 2 * PIECE]);
    assert_eq!(ends(16), [PIECE, 2 * PIECE, 2 * PIECE + 100], "with the end of the line");
}

#[test]
fn streams_that_are_not_far_from_each_other_meet() {
    let stage = Stage::new();
    let (client, _socket) = stage.join();
    let streams = [(); 2].map(|()| stage.join_stream(Encoding::Lines));
    let [behind, ahead] = streams.each_ref().map(|(stream, _)| stream);
    stage.broadcaster.flush();
    behind.transport.write_blocked.set(true);
    stage.publish(&client, Frame::text("x".repeat(1000)));
    stage.broadcaster.flush();
    behind.transport.write_blocked.set(false);
    stage.broadcaster.schedule(behind);
    stage.publish(&client, large());
    let place = |stream: &Client| stream.live.channel.borrow().place(stream.transport.slot.get().unwrap());
    assert_ne!(place(behind), place(ahead));
    stage.broadcaster.flush();
    assert_eq!(place(behind), place(ahead));
    assert!(ahead.is_within_message());
}

#[test]
fn whose_socket_takes_a_part_is_handed_nothing_more_until_it_takes_more() {
    let stage = Stage::new();
    let ((client, _socket), (stream, socket)) = (stage.join(), stage.join_stream(Encoding::Lines));
    stage.broadcaster.flush();
    stage.publish(&client, Frame::text("fog"));
    let mut channel = stream.live.channel.borrow_mut();
    let slot = stream.transport.slot.get().unwrap();
    let place = channel.place(slot).unwrap();
    let batch = Batch { bytes: vec![b'x'; LARGE_BYTES], pieces: vec![(LARGE_BYTES, place)] };
    let turn = Turn { slot, transport: Rc::clone(&stream.transport), handed_bytes: 0 };
    let after = stage.broadcaster.write_batch(&stream.live, &mut channel, turn, &batch);
    let taken = received(&socket).len();
    assert!(taken > 0 && matches!(after, After::Full), "{taken} bytes");
    assert_eq!(taken + stream.transport.control_bytes(), LARGE_BYTES, "it keeps the rest");
}

#[test]
fn a_stream_that_has_got_all_at_the_end_of_the_server_is_told_so() {
    let stage = Stage::new();
    let ((client, _socket), (stream, socket)) = (stage.join(), stage.join_stream(Encoding::Lines));
    stage.publish(&client, Frame::text("x".repeat(STREAM_TURN_BYTES_MAX / 2 * 3)));
    let (task, wakes) = Wakes::waker();
    stream.transport.wake_with(&Context::from_waker(&task));
    stage.broadcaster.flush();
    assert_eq!((received(&socket).len(), wakes.get()), (STREAM_TURN_BYTES_MAX, 0), "that is its share of a turn");
    stage.broadcaster.stop();
    stream.transport.wake_with(&Context::from_waker(&task));
    assert_eq!((stream.is_up_to_date(), wakes.get()), (false, 1));
    stage.broadcaster.flush();
    assert_eq!((received(&socket).last(), stream.is_up_to_date(), wakes.get()), (Some(&b'\n'), true, 2));
}

#[test]
fn deletions_before_one_flush_take_no_more_memory_than_one() {
    let stage = Stage::new();
    let streams = [Encoding::Json, Encoding::Lines].map(|encoding| stage.join_stream(encoding));
    stage.broadcaster.flush();
    let live = &streams[0].0.live;
    for _ in 0..3 {
        future::block_on(stage.broadcaster.clear(live));
    }
    assert_eq!(live.pending_writes.borrow().len(), streams.len());
}

#[test]
fn a_stream_that_is_too_many_epochs_behind_has_to_go() {
    let stage = Stage::new();
    let (speaker, _socket) = stage.join();
    let (slow, _its_socket) = stage.join_stream(Encoding::Json);
    let delete_one = || {
        stage.publish(&speaker, Frame::text("x"));
        future::block_on(stage.broadcaster.clear(&speaker.live));
    };
    for _ in 0..PAST_EPOCHS_MAX {
        delete_one();
    }
    let (other, _other_socket) = stage.join_stream(Encoding::Json);
    assert_eq!(slow.transport.ending(), None, "it can still be told of each");
    delete_one();
    assert_eq!(slow.transport.ending(), Some(CloseReason::TooSlow));
    for _ in 0..2 * PAST_EPOCHS_MAX {
        stage.broadcaster.flush();
        delete_one();
    }
    assert_eq!(other.transport.ending(), None, "it has got what came");
}

#[test]
fn what_a_socket_does_not_take_of_one_piece_is_all_that_a_stream_keeps() {
    let stage = Stage::new();
    let (client, socket) = stage.join();
    // Unlike pairs of sockets, TCP takes a part of what it is given.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    theirs.set_nonblocking(true).unwrap();
    let stream = stage.client(listener.accept().unwrap().0, &ChannelName::MAIN);
    stage.broadcaster.join_stream(&stream, Encoding::Events, Start::History(0), None, |_, _| Vec::new());
    stage.broadcaster.flush();
    let mut has_kept = false;
    let flush = stage.executor.spawn(Rc::clone(&stage.broadcaster).run_flush());
    // Whether a socket takes a part of a piece or all of it is the kernel's, and differs from one time to the next.
    for _ in 0..100 {
        stage.publish(&client, Frame::text("x".repeat(LARGE_BYTES)));
        let mut bytes = Vec::new();
        stage.run(async {
            // Full, then emptied, again and again, with the heartbeat in between.
            let is_done = || stream.is_up_to_date() && !stream.transport.has_control() && client.is_up_to_date();
            while bytes.len() <= LARGE_BYTES || !is_done() {
                received(&socket);
                if stream.transport.write_blocked.get() || stream.is_up_to_date() {
                    let kept_bytes = stream.transport.control_bytes();
                    assert!(kept_bytes <= STREAM_PIECE_BYTES + SLACK_BYTES, "{kept_bytes} bytes are kept");
                    has_kept |= kept_bytes > 0;
                    for _ in 0..=SWEEPS_PER_HEARTBEAT {
                        client.transport.note_heard();
                        stage.broadcaster.sweep_silent();
                    }
                    bytes.extend(received(&theirs));
                }
                future::yield_now().await;
            }
        });
        bytes.extend(received(&theirs));
        let text = String::from_utf8(bytes).unwrap();
        let text = text.split_once("\ndata: ").expect("it begins").1;
        assert!(text[..LARGE_BYTES].bytes().all(|byte| byte == b'x') && !text[LARGE_BYTES..].contains('x'));
        if has_kept {
            break;
        }
    }
    assert!(has_kept, "it has taken a part of a piece now and then, or this test shows nothing");
    drop(flush);
}

#[test]
fn a_stream_is_told_something_after_a_heartbeat_of_silence_but_never_within_a_message() {
    let stage = Stage::new();
    let (client, _socket) = stage.join();
    let streams = [Encoding::Events, Encoding::Json, Encoding::Lines].map(|encoding| stage.join_stream(encoding));
    let told = || {
        for _ in 0..SWEEPS_PER_HEARTBEAT {
            client.transport.note_heard();
            stage.broadcaster.sweep_silent();
        }
        stage.broadcaster.flush();
        streams.each_ref().map(|(_, socket)| String::from_utf8(received(socket)).unwrap())
    };
    for _ in 1..SWEEPS_PER_HEARTBEAT {
        client.transport.note_heard();
        stage.broadcaster.sweep_silent();
    }
    assert!(streams.iter().all(|(stream, _)| !stream.transport.has_control()), "less than a heartbeat has passed");
    for (stream, _) in &streams {
        stream.transport.note_heard();
    }
    stage.broadcaster.sweep_silent();
    stage.broadcaster.flush();
    assert_eq!(told(), [":\n\n", "\n", ""]);
    client.transport.note_heard();
    stage.broadcaster.sweep_silent();
    assert!(streams.iter().all(|(stream, _)| !stream.transport.has_control()), "nor since that was told");
    assert_eq!(told(), [":\n\n", "\n", ""]);
    assert!(streams.iter().all(|(stream, _)| !stream.is_within_message()));
    stage.publish(&client, Frame::text("fog"));
    stage.broadcaster.flush();
    assert!(streams.iter().all(|(_, socket)| !received(socket).is_empty()));
    assert_eq!(told(), ["", "", ""], "it has just been told something");
    stage.publish(&client, Frame::text("x".repeat(3 * STREAM_TURN_BYTES_MAX)));
    stage.broadcaster.flush();
    assert!(streams.iter().all(|(stream, _)| stream.is_within_message()));
    assert!(!client.is_within_message(), "it is no stream");
    for (_, socket) in &streams {
        received(socket);
    }
    assert!(told().iter().all(|more| more.len() >= STREAM_TURN_BYTES_MAX && more.bytes().all(|byte| byte == b'x')));
}
