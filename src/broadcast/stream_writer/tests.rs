//! The flush and the heartbeat step by step, for streams.

use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

use smol::future;

use crate::broadcast::tests::{LARGE_BYTES, Stage, large, received};
use crate::config::limits::{
    FLUSH_BYTES_MAX, PAST_EPOCHS_MAX, STREAM_BATCH_PIECES, STREAM_PIECE_BYTES, STREAM_TURN_BYTES_MAX,
    SWEEPS_PER_HEARTBEAT,
};
use crate::hub::channel::Start;
use crate::hub::channel_name::ChannelName;
use crate::hub::close_reason::CloseReason;
use crate::hub::frame::Frame;
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
    stage.broadcaster.flush();
    assert_eq!(told(), [":\n\n", "\n", ""]);
    assert_eq!(told(), [":\n\n", "\n", ""]);
    stage.publish(&client, Frame::text("x".repeat(3 * STREAM_TURN_BYTES_MAX)));
    stage.broadcaster.flush();
    assert!(streams.iter().all(|(stream, _)| stream.is_within_message()));
    for (_, socket) in &streams {
        received(socket);
    }
    assert!(told().iter().all(|more| more.len() >= STREAM_TURN_BYTES_MAX && more.bytes().all(|byte| byte == b'x')));
}
