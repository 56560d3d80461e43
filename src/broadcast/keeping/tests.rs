//! Nothing is told before it is written: the test does what the thread of the files would do, when it wants to.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use std::{task, thread};

use super::super::kept_state::KeptState;
use super::super::tests::{Stage, Wakes, received};
use smol::future;

use super::*;
use crate::broadcast::waiting_post::PostOutcome;
use crate::config::limits::POSTS_WAITING_MAX;
use crate::hub::backlog::Backlog;
use crate::hub::channel::Start;
use crate::hub::channel_name::ChannelName;
use crate::hub::close_reason::CloseReason;
use crate::hub::frame::Frame;
use crate::hub::record::Chain;
use crate::hub::stream_encoding::Encoding;
use crate::storage::connection_record::epoch_checksum;
use crate::storage::damage::KeepingEnded;
use crate::storage::opening::{self, Settings};
use crate::storage::restored::{Restored, RestoredChannel, RestoredConnection};
use crate::storage::store::{Hand, Store};

/// A stage whose files are in the hands of the test.
fn stage() -> (Stage, Hand) {
    let (store, hand) = Store::by_hand();
    (Stage::with(KeptState::On(Rc::new(Keeper::new(store)), Restored::default())), hand)
}

/// A folder for one channel beside the main one.
fn settings(within: &Path) -> Settings {
    Settings {
        folder: within.join("state"),
        boot_id: None,
        now: Clocks { boot_secs: 1, unix_secs: 1 },
        main_capacity_bytes: 1 << 20,
        channel_capacity_bytes: 1 << 20,
        channels_max: 1,
        kept: BTreeSet::new(),
    }
}

/// A stage whose files are real.
fn stage_in(settings: &Settings) -> Stage {
    let (writer, restored) = opening::open(settings).unwrap();
    let store = Store::new(writer, "state".to_owned()).unwrap();
    Stage::with(KeptState::On(Rc::new(Keeper::new(store)), restored))
}

/// What a job is, in a word.
fn name_of(job: &Job) -> &'static str {
    match job {
        Job::Begin(..) => "begin",
        Job::Append(..) => "append",
        Job::Remove(_) => "remove",
        Job::BeginConnections(_) => "begin connections",
        Job::AppendConnections(_) => "append connections",
    }
}

/// Has the next jobs done, and flushes; they have to be these.
fn write(stage: &Stage, hand: &Hand, expected: &[&str]) {
    for expected in expected {
        let job = hand.take().expect("there is a job");
        assert_eq!(name_of(&job), *expected);
        hand.done(job, Ok(()));
    }
    assert!(hand.take().is_none());
    stage.broadcaster.apply_done();
    stage.broadcaster.flush();
}

/// A client that counts messages.
fn join_with_id(stage: &Stage) -> (Client, UnixStream) {
    let (client, theirs) = stage.connect(&ChannelName::MAIN);
    stage.broadcaster.assign_connection_id(&client, None);
    stage.broadcaster.join(&client, true, Start::History(0), |_, _| b"hello".to_vec());
    stage.broadcaster.flush();
    (client, theirs)
}

fn disk_full(files_removed: bool) -> Result<(), KeepingEnded> {
    Err(KeepingEnded { why: "the disk is full".to_owned(), files_removed })
}

#[test]
fn a_message_is_told_when_it_is_written_and_so_is_its_number() {
    let (stage, hand) = stage();
    assert_eq!(stage.broadcaster.channels().main_epoch(), None, "nor is its epoch");
    let begin = hand.take().unwrap();
    let Job::Begin(_, beginning) = &begin else { panic!("{begin:?}") };
    assert_eq!((beginning.first_seq, beginning.keeps_previous), (1, false));
    hand.done(begin, Ok(()));
    write(&stage, &hand, &[]);
    assert!(stage.broadcaster.channels().main_epoch().is_some());
    let (speaker, _theirs) = stage.join();
    let (_listener, heard) = stage.join();
    stage.publish(&speaker, Frame::text("fog"));
    stage.broadcaster.flush();
    stage.broadcaster.flush();
    assert_eq!(received(&heard), b"", "it is not written");
    let figures = speaker.live.figures();
    assert_eq!((figures.messages, speaker.live.head_position().seq, figures.backlog_bytes), (0, 0, 0));
    write(&stage, &hand, &["append"]);
    assert_eq!(received(&heard), b"\x81\x03fog");
    assert_eq!((speaker.live.figures().messages, speaker.live.head_position().seq), (1, 1));
}

#[test]
fn what_is_published_in_one_turn_is_one_write() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (speaker, heard) = stage.join();
    for _ in 0..100 {
        stage.publish(&speaker, Frame::text("fog"));
    }
    stage.broadcaster.flush();
    write(&stage, &hand, &["append"]);
    assert_eq!(received(&heard).len(), 100 * 5);
    stage.broadcaster.flush();
    write(&stage, &hand, &[]);
}

#[test]
fn a_hello_with_an_id_waits_for_the_file_and_for_what_it_counts() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (first, theirs) = join_with_id(&stage);
    assert_eq!(received(&theirs), b"", "its id is not written");
    write(&stage, &hand, &["begin connections"]);
    assert_eq!(received(&theirs), b"hello");
    stage.publish(&first, Frame::text("fog"));
    stage.broadcaster.replace(&first.transport.connection_id.get().unwrap().to_string(), false);
    assert_eq!(first.transport.known().taken, 1, "it is told that one got through");
    let (_second, theirs) = join_with_id(&stage);
    let append = hand.take().unwrap();
    assert_eq!(name_of(&append), "append", "the message goes before what counts it");
    hand.done(append, Ok(()));
    stage.broadcaster.apply_done();
    stage.broadcaster.flush();
    assert_eq!(received(&theirs), b"", "the id is not written");
    write(&stage, &hand, &["append connections"]);
    assert_eq!(received(&theirs), b"hello\x81\x03fog", "it has come before the message was written");
}

#[test]
fn a_stream_waits_for_the_epoch_of_its_channel_and_nobody_sees_it_before() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let lights = ChannelName::parse("lights").unwrap();
    let (client, theirs) = stage.connect(&lights);
    stage.broadcaster.join_stream(&client, Encoding::Events, Start::History(0), None, |_, _| b"hello".to_vec());
    stage.broadcaster.flush();
    assert_eq!(received(&theirs), b"");
    assert!(stage.broadcaster.channels().find(&lights).is_none(), "its epoch is not written");
    write(&stage, &hand, &["begin"]);
    assert_eq!(received(&theirs), b"hello");
    assert!(stage.broadcaster.channels().find(&lights).is_some());
}

#[test]
fn a_post_is_answered_when_it_is_written() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let live = stage.broadcaster.channels().open(&ChannelName::MAIN).unwrap();
    let outcome = stage.broadcaster.post(&live, Frame::text("fog"));
    let PostOutcome::Waiting(waiting) = outcome else { panic!("it is not written") };
    assert!(!waiting.can_be_taken_back(), "it cannot be taken back");
    let mut published = std::pin::pin!(waiting.published());
    let mut poll = || future::block_on(future::poll_once(&mut published));
    stage.broadcaster.flush();
    assert_eq!(poll(), None);
    write(&stage, &hand, &["append"]);
    assert_eq!(poll().flatten().map(|position| position.seq), Some(1));
}

#[test]
fn messages_are_deleted_when_that_is_written_and_those_before_and_behind_are_of_their_epochs() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (speaker, heard) = stage.join();
    stage.publish(&speaker, Frame::text("old"));
    let mut cleared = std::pin::pin!(stage.broadcaster.clear(&speaker.live));
    let mut poll = || future::block_on(future::poll_once(&mut cleared));
    assert_eq!(poll(), None);
    stage.publish(&speaker, Frame::text("new"));
    stage.broadcaster.flush();
    let before = speaker.live.head_position().epoch;
    write(&stage, &hand, &["append", "begin"]);
    let position = poll().expect("it is done");
    write(&stage, &hand, &["append"]);
    assert_ne!(position.epoch, before);
    assert_eq!(position.seq, 0, "as it was then");
    assert_eq!(speaker.live.head_position(), Position { seq: 1, ..position });
    assert_eq!(received(&heard), b"\x81\x03old\x81\x03new", "who counts nothing notices nothing");
}

#[test]
fn a_full_disk_ends_the_keeping_and_not_the_serving() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (speaker, heard) = stage.join();
    let before = speaker.live.head_position().epoch;
    stage.publish(&speaker, Frame::text("one"));
    stage.broadcaster.flush();
    stage.publish(&speaker, Frame::text("two"));
    stage.broadcaster.flush();
    for _ in 0..2 {
        hand.done(hand.take().unwrap(), disk_full(true));
        stage.broadcaster.apply_done();
        stage.broadcaster.flush();
    }
    assert_eq!(received(&heard), b"\x81\x03one\x81\x03two");
    let figures = stage.broadcaster.state_figures();
    assert_eq!((&figures["channelsKept"], &figures["problem"]), (&0.into(), &"/ is not kept: the disk is full".into()));
    assert_eq!(speaker.live.head_position().epoch, before, "its numbers are in no file");
    let mut kept = speaker.live.kept.borrow_mut();
    kept.as_mut().unwrap().again_at = Some(clock::now());
    drop(kept);
    stage.publish(&speaker, Frame::text("six"));
    stage.broadcaster.flush();
    write(&stage, &hand, &["append", "begin"]);
    let figures = stage.broadcaster.state_figures();
    assert_eq!((&figures["channelsKept"], &figures["problem"]), (&1.into(), &Value::Null), "it is tried again");
}

#[test]
fn where_the_files_stay_behind_the_epoch_changes_before_anybody_is_told() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (counting, theirs) = join_with_id(&stage);
    write(&stage, &hand, &["begin connections"]);
    let before = counting.live.head_position().epoch;
    stage.publish(&counting, Frame::text("fog"));
    stage.broadcaster.flush();
    hand.done(hand.take().unwrap(), disk_full(false));
    stage.broadcaster.apply_done();
    stage.broadcaster.flush();
    assert_eq!(received(&theirs), b"hello", "the message is of the new epoch");
    assert_eq!(counting.transport.ending(), Some(CloseReason::NewEpoch));
    let after = counting.live.head_position();
    assert_eq!((after.epoch != before, after.seq), (true, 1));
}

#[test]
fn who_goes_on_talking_does_not_put_off_the_next_try() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (speaker, _theirs) = join_with_id(&stage);
    let fail = |expected: &[&str]| {
        for expected in expected {
            let job = hand.take().expect("there is a job");
            assert_eq!(name_of(&job), *expected);
            hand.done(job, disk_full(true));
        }
        stage.broadcaster.apply_done();
        stage.broadcaster.flush();
    };
    let due = || {
        let keeper = stage.broadcaster.keeper.as_ref().unwrap();
        let kept = speaker.live.kept.borrow();
        (kept.as_ref().unwrap().again_at.unwrap(), keeper.connections_again_at.get().unwrap())
    };
    stage.publish(&speaker, Frame::text("one"));
    stage.broadcaster.flush();
    fail(&["begin connections", "append"]);
    let first = due();
    stage.publish(&speaker, Frame::text("two"));
    let (_other, _theirs) = join_with_id(&stage);
    fail(&["append", "append connections"]);
    assert_eq!(due(), first);
}

#[test]
fn what_was_not_handed_over_when_files_stayed_behind_is_counted_once() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (speaker, _heard) = stage.join();
    stage.publish(&speaker, Frame::text("one"));
    stage.broadcaster.flush();
    stage.publish(&speaker, Frame::text("two"));
    stage.broadcaster.flush();
    stage.publish(&speaker, Frame::text("six"));
    hand.done(hand.take().unwrap(), disk_full(false));
    stage.broadcaster.apply_done();
    speaker.live.kept.borrow_mut().as_mut().unwrap().again_at = Some(clock::now());
    stage.broadcaster.flush();
    hand.done(hand.take().unwrap(), disk_full(true));
    let begin = hand.take().expect("it is tried again");
    let Job::Begin(_, beginning) = &begin else { panic!("{begin:?}") };
    stage.broadcaster.apply_done();
    let head = speaker.live.head_position();
    assert_eq!((head.seq, beginning.first_seq), (3, 4));
    assert_eq!(beginning.epoch, head.epoch);
}

#[test]
fn a_new_epoch_whose_file_stays_behind_is_followed_by_another() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (speaker, _heard) = stage.join();
    let mut cleared = std::pin::pin!(stage.broadcaster.clear(&speaker.live));
    let mut poll = || future::block_on(future::poll_once(&mut cleared));
    assert_eq!(poll(), None);
    stage.publish(&speaker, Frame::text("fog"));
    stage.broadcaster.flush();
    let begin = hand.take().unwrap();
    let Job::Begin(_, beginning) = &begin else { panic!("{begin:?}") };
    let left = beginning.epoch.clone();
    hand.done(begin, disk_full(false));
    stage.broadcaster.apply_done();
    let position = poll().expect("it is done");
    assert_ne!(position.epoch, left, "a file has this one, and none of its messages");
    hand.done(hand.take().unwrap(), disk_full(true));
    stage.broadcaster.apply_done();
    assert_eq!(speaker.live.head_position(), Position { seq: 1, ..position });
    speaker.live.kept.borrow_mut().as_mut().unwrap().again_at = Some(clock::now());
    stage.broadcaster.flush();
    let begin = hand.take().expect("it is tried again");
    let Job::Begin(_, beginning) = &begin else { panic!("{begin:?}") };
    assert_eq!((&beginning.epoch, beginning.first_seq), (&speaker.live.head_position().epoch, 2));
}

#[test]
fn a_new_channel_whose_file_stays_behind_has_another_epoch() {
    // In memory if there is such a place, where files are written in line.
    let within = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let settings = settings(within.path());
    let stage = stage_in(&settings);
    // What cannot be removed as a file is.
    fs::create_dir(settings.folder.join("c-lights.1")).unwrap();
    let lights = ChannelName::parse("lights").unwrap();
    let live = stage.broadcaster.channels().open(&lights).unwrap();
    while !live.is_told() {
        stage.broadcaster.apply_done();
        thread::yield_now();
    }
    let left = fs::read(settings.folder.join("c-lights.0")).unwrap();
    let epoch = live.head_position().epoch;
    assert!(!left.windows(epoch.len()).any(|bytes| bytes == epoch.as_bytes()), "a file has {epoch}");
    assert_eq!(live.epoch_checksum(), epoch_checksum(&epoch), "as the file of connections is told");
    assert!(stage.broadcaster.state_figures()["problem"].as_str().is_some_and(|problem| problem.contains("/c/lights")));
}

#[test]
fn a_forgotten_channel_leaves_the_files_of_its_name_alone() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let name = |text: &str| ChannelName::parse(text).unwrap();
    let forgotten = stage.broadcaster.channels().open(&name("lights")).unwrap();
    write(&stage, &hand, &["begin"]);
    forgotten.kept.borrow_mut().as_mut().unwrap().again_at = Some(clock::now());
    for nth in 0..stage.broadcaster.config().limits.channels_max {
        stage.broadcaster.channels().open(&name(&format!("c{nth}"))).unwrap();
    }
    assert!(stage.broadcaster.channels().find(&name("lights")).is_none());
    let jobs: Vec<_> = std::iter::from_fn(|| hand.take()).collect();
    assert!(jobs.iter().any(|job| matches!(job, Job::Remove(name) if *name == forgotten.name)), "{jobs:?}");
    stage.broadcaster.mark_dirty(&forgotten);
    stage.broadcaster.flush();
    assert!(hand.take().is_none(), "they may be those of another by now");
}

#[test]
fn who_is_held_and_goes_is_closed_although_the_file_is_awaited() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (counting, theirs) = join_with_id(&stage);
    let (stream, its) = stage.connect(&ChannelName::parse("lights").unwrap());
    stage.broadcaster.join_stream(&stream, Encoding::Events, Start::History(0), None, |_, _| b"hello".to_vec());
    stage.broadcaster.flush();
    for (client, mut theirs) in [(counting, theirs), (stream, its)] {
        stage.broadcaster.leave(&client);
        stage.broadcaster.forget(&client);
        drop(client);
        let read = std::io::Read::read(&mut theirs, &mut [0; 9]);
        assert_eq!(read.ok(), Some(0), "nobody has its socket any more");
    }
    stage.broadcaster.flush();
    write(&stage, &hand, &["begin connections", "begin", "append connections"]);
}

#[test]
fn nobody_is_ended_for_a_wait_that_is_only_for_the_file() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (speaker, _theirs) = stage.join();
    let (_sleeper, _its_socket) = stage.join();
    stage.publish(&speaker, super::super::tests::large());
    stage.broadcaster.flush();
    write(&stage, &hand, &["append", "begin"]);
    stage.broadcaster.flush();
    assert!(speaker.live.figures().clients_behind > 0);
    stage.publish(&speaker, Frame::text("fog"));
    let outcome = stage.broadcaster.publish(&speaker, super::super::tests::large());
    assert_eq!(outcome, crate::hub::publishing::Published::Later, "so much is not staged at once");
    assert_eq!(stage.broadcaster.flush(), None, "nobody is waited for but the file");
}

/// A stage whose main channel is kept by hand.
fn stage_with_patience(patience: Duration) -> (Stage, Hand) {
    let (store, hand) = Store::by_hand();
    let kept = KeptState::On(Rc::new(Keeper::new(store)), Restored::default());
    (Stage::with_patience(kept, patience), hand)
}

/// Has somebody come who is held back, since its id is in no file; a message waits for room that only it can make.
fn hold_someone_back<'a>(stage: &'a Stage, hand: &Hand) -> (Client, impl Sized + use<'a>) {
    write(stage, hand, &["begin"]);
    let live = stage.broadcaster.channels().open(&ChannelName::MAIN).unwrap();
    let post = || stage.broadcaster.post(&live, super::super::tests::large());
    let first = post();
    stage.broadcaster.flush();
    write(stage, hand, &["append", "begin"]);
    let (held, theirs) = stage.connect(&ChannelName::MAIN);
    stage.broadcaster.assign_connection_id(&held, None);
    stage.broadcaster.join(&held, true, Start::History(1), |_, _| b"hello".to_vec());
    let second = post();
    stage.broadcaster.flush();
    hand.done(hand.take().unwrap(), Ok(()));
    stage.broadcaster.apply_done();
    stage.broadcaster.flush();
    let third = post();
    assert_eq!(held.live.figures().publishers_waiting, 1, "for it");
    (held, (theirs, first, second, third))
}

#[test]
fn patience_ends_for_nobody_who_is_held_back() {
    let (stage, hand) = stage_with_patience(Duration::ZERO);
    let (held, _others) = hold_someone_back(&stage, &hand);
    stage.broadcaster.flush();
    assert_eq!(held.transport.ending(), None, "nothing could be written to it");
    write(&stage, &hand, &["begin connections", "append connections", "begin"]);
    assert_eq!(held.transport.ending(), Some(CloseReason::TooSlow));
}

#[test]
fn the_account_of_who_is_held_back_begins_anew_until_then() {
    let (stage, hand) = stage_with_patience(Duration::from_secs(3600));
    let (held, _others) = hold_someone_back(&stage, &hand);
    let charged_until = stage.broadcaster.flush().expect("others wait");
    let _fourth = stage.broadcaster.post(&held.live, super::super::tests::large());
    assert!(stage.broadcaster.flush() > Some(charged_until), "the time before was the disk's");
}

#[test]
fn a_channel_that_came_back_gives_way_to_no_other_until_its_clients_have_had_time_to_come() {
    let (store, hand) = Store::by_hand();
    let name = |nth: usize| ChannelName::parse(&format!("c{nth}")).unwrap();
    let channels_max = crate::config::settings::Config::default().limits.channels_max;
    let restored = |nth| RestoredChannel {
        name: name(nth),
        epoch: "abc".to_owned(),
        backlog: Backlog::restored_at(2000, 4).unwrap(),
        chain: Chain::new(0),
        segment_cost_bytes: 0,
    };
    let channels = (0..channels_max).map(restored).collect();
    let restored = Restored { channels, ..Restored::default() };
    let stage = Stage::with(KeptState::On(Rc::new(Keeper::new(store)), restored));
    write(&stage, &hand, &["begin"]);
    let all = stage.broadcaster.channels();
    assert!(all.open(&name(channels_max)).is_err(), "those who were there are on their way");
    let (client, _theirs) = stage.connect(&name(5));
    stage.broadcaster.join(&client, true, Start::History(0), |_, _| Vec::new());
    stage.broadcaster.leave(&client);
    all.open(&name(channels_max)).unwrap();
    assert!(all.find(&name(5)).is_none(), "somebody was there, and is there no more");
    assert_eq!(all.all().len(), 1 + channels_max);
}

#[test]
fn a_channel_whose_file_is_under_way_is_not_forgotten_for_another() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let channels_max = stage.broadcaster.config().limits.channels_max;
    let name = |nth: usize| ChannelName::parse(&format!("c{nth}")).unwrap();
    let all = stage.broadcaster.channels();
    for nth in 0..channels_max {
        all.open(&name(nth)).unwrap();
    }
    assert!(all.open(&name(channels_max)).is_err(), "or there is no end of what waits for a disk that hangs");
    write(&stage, &hand, &vec!["begin"; channels_max]);
    all.open(&name(channels_max)).unwrap();
}

#[test]
fn how_many_came_of_whom_is_written_behind_messages_and_before_any_of_these_go() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (counting, _theirs) = join_with_id(&stage);
    write(&stage, &hand, &["begin connections"]);
    let expect = |taken: u64, jobs: &[&str]| {
        let mut is_counted = false;
        for &expected in jobs {
            let job = hand.take().expect("there is a job");
            assert_eq!(name_of(&job), expected);
            if let Job::AppendConnections(records) = &job {
                is_counted |= records.windows(8).any(|bytes| bytes == taken.to_le_bytes());
            }
            assert!(is_counted || expected != "begin", "before any go");
            hand.done(job, Ok(()));
        }
        stage.broadcaster.apply_done();
    };
    for _ in 0..0x123 {
        stage.publish(&counting, Frame::text("fog"));
    }
    stage.broadcaster.flush();
    write(&stage, &hand, &["append"]);
    stage.publish(&counting, super::super::tests::large());
    stage.broadcaster.flush();
    // The segment is full, and the next one begins.
    expect(0x124, &["append", "append connections", "begin"]);
    assert!(hand.take().is_none());
    stage.broadcaster.flush();
    stage.publish(&counting, Frame::text("fog"));
    let mut cleared = std::pin::pin!(stage.broadcaster.clear(&counting.live));
    let mut poll = || future::block_on(future::poll_once(&mut cleared));
    assert_eq!(poll(), None);
    expect(0x125, &["append", "append connections", "append connections", "begin"]);
    assert!(poll().is_some());
}

#[test]
fn nobody_is_up_to_date_and_no_channel_gives_way_while_a_message_is_on_its_way_into_the_file() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let lights = ChannelName::parse("lights").unwrap();
    let (speaker, _heard) = stage.connect(&lights);
    write(&stage, &hand, &["begin"]);
    stage.broadcaster.join(&speaker, true, crate::hub::channel::Start::History(0), |_, _| Vec::new());
    stage.broadcaster.flush();
    assert!(speaker.is_up_to_date());
    stage.publish(&speaker, Frame::text("fog"));
    assert!(!speaker.is_up_to_date());
    stage.broadcaster.flush();
    assert!(!speaker.is_up_to_date());
    stage.broadcaster.leave(&speaker);
    stage.broadcaster.flush();
    for nth in 0..stage.broadcaster.config().limits.channels_max {
        let _ = stage.broadcaster.channels().open(&ChannelName::parse(&format!("c{nth}")).unwrap());
    }
    assert!(stage.broadcaster.channels().find(&lights).is_some(), "it would lose a message");
}

#[test]
fn posts_that_wait_for_a_disk_leave_places_for_other_requests() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let live = stage.broadcaster.channels().open(&ChannelName::MAIN).unwrap();
    let post = || stage.broadcaster.post(&live, Frame::text("fog"));
    let waiting: Vec<_> = (0..POSTS_WAITING_MAX).map(|_| post()).collect();
    assert!(waiting.iter().all(|outcome| matches!(outcome, PostOutcome::Waiting(_))));
    assert!(matches!(post(), PostOutcome::TooMany));
    stage.broadcaster.flush();
    write(&stage, &hand, &["append"]);
    assert_eq!(live.head_position().seq, POSTS_WAITING_MAX as u64, "none that was refused");
    drop(waiting);
    assert!(matches!(post(), PostOutcome::Waiting(_)));
}

#[test]
fn where_room_is_short_the_fullest_channel_gives_way_by_one_turn_at_a_time_and_not_who_speaks() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (speaker, _heard) = stage.join();
    let lights = ChannelName::parse("lights").unwrap();
    let (filler, _theirs) = stage.connect(&lights);
    stage.broadcaster.join(&filler, true, Start::History(0), |_, _| Vec::new());
    for _ in 0..1000 {
        stage.publish(&filler, Frame::text("fog"));
    }
    stage.publish(&speaker, Frame::text("fog"));
    stage.broadcaster.flush();
    write(&stage, &hand, &["begin", "append", "append"]);
    hand.tell_bytes(1 << 30);
    let next_segment_of = |expected: &str| {
        let job = hand.take().expect("room is made");
        let Job::Begin(name, beginning) = &job else { panic!("{job:?}") };
        assert_eq!((name.as_str(), beginning.keeps_previous), (expected, true));
        hand.done(job, Ok(()));
        assert!(hand.take().is_none(), "one is under way");
    };
    for _ in 0..2 {
        stage.publish(&speaker, Frame::text("fog"));
        stage.broadcaster.flush();
        let append = hand.take().unwrap();
        assert_eq!(name_of(&append), "append");
        hand.done(append, Ok(()));
        next_segment_of("lights");
        stage.broadcaster.apply_done();
    }
    hand.tell_bytes(0);
    stage.publish(&speaker, Frame::text("fog"));
    stage.broadcaster.flush();
    write(&stage, &hand, &["append"]);
}

#[test]
fn who_waits_for_the_file_is_woken_when_its_own_messages_are_there_and_waits_for_no_others() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let ((first, _theirs), (second, _its)) = (stage.join(), stage.join());
    let (task, wakes) = Wakes::waker();
    let mut waits = [&first, &second].map(|client| {
        stage.publish(client, Frame::text("fog"));
        stage.broadcaster.flush();
        let mut kept = Box::pin(stage.broadcaster.wait_until_kept(client));
        assert!(kept.as_mut().poll(&mut task::Context::from_waker(&task)).is_pending());
        kept
    });
    for nth in 0..2 {
        assert_eq!(wakes.get(), nth);
        hand.done(hand.take().unwrap(), Ok(()));
        stage.broadcaster.apply_done();
        assert_eq!(wakes.get(), nth + 1);
        let is_kept = waits[nth..].iter_mut().map(|kept| future::block_on(future::poll_once(kept)).is_some());
        assert_eq!(is_kept.collect::<Vec<_>>(), [&[true, false][..], &[true]][nth]);
        let waiting = first.live.kept.borrow().as_ref().unwrap().waiting.len();
        assert_eq!(waiting > 0, nth == 0);
        stage.broadcaster.flush();
    }
}

#[test]
fn what_comes_while_a_file_is_written_goes_with_the_next_write_and_before_what_counts_it() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (speaker, heard) = stage.join();
    let lights = ChannelName::parse("lights").unwrap();
    let live = stage.broadcaster.channels().open(&lights).unwrap();
    write(&stage, &hand, &["begin"]);
    let say = |what: &'static str| {
        stage.publish(&speaker, Frame::text(what));
        stage.broadcaster.flush();
    };
    say("one");
    let one = hand.take().expect("nothing is written");
    say("two");
    say("six");
    assert!(hand.take().is_none());
    assert!(stage.broadcaster.dirty.borrow().is_empty(), "until then there is nothing to do");
    stage.broadcaster.post(&live, Frame::text("red"));
    stage.broadcaster.flush();
    hand.done(one, Ok(()));
    stage.broadcaster.apply_done();
    assert_eq!(name_of(&hand.take().expect("it is another file")), "append");
    stage.broadcaster.flush();
    let Some(Job::Append(_, batch)) = hand.take() else { panic!("it can be written") };
    assert_eq!(batch.messages, 2);
    assert_eq!(received(&heard), b"\x81\x03one");
    say("ten");
    assert!(hand.take().is_none());
    let (_counting, _theirs) = join_with_id(&stage);
    let next = [hand.take(), hand.take(), hand.take()].map(|job| job.as_ref().map(name_of));
    assert_eq!(next, [Some("append"), Some("begin connections"), None]);
}

#[test]
fn what_still_waits_for_its_turn_is_written_before_the_end() {
    let in_memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    for within in [tempfile::tempdir().unwrap(), in_memory] {
        let settings = settings(within.path());
        let stage = stage_in(&settings);
        let (speaker, _theirs) = stage.join();
        stage.publish(&speaker, Frame::text("one"));
        stage.broadcaster.flush();
        stage.publish(&speaker, Frame::text("two"));
        stage.broadcaster.end_keeping();
        let (_writer, restored) = opening::open(&settings).unwrap();
        let held: Vec<_> = restored.channels.iter().map(|channel| channel.backlog.held_frames()).collect();
        assert_eq!(held, [2]);
    }
}

#[test]
fn the_figures_name_the_folder_what_it_takes_and_what_is_wrong() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    hand.tell_bytes(123);
    let figures = json!({ "folder": "by hand", "channelsKept": 1, "bytes": 123, "problem": null });
    assert_eq!(stage.broadcaster.state_figures(), figures);
}

#[test]
fn nobody_gives_way_who_has_nothing_in_files() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    hand.tell_bytes(1 << 30);
    let live = stage.broadcaster.channels().open(&ChannelName::MAIN).unwrap();
    stage.broadcaster.mark_dirty(&live);
    stage.broadcaster.flush();
    assert!(hand.take().is_none(), "what takes the room is no message");
}

#[test]
fn what_an_earlier_process_knew_of_connections_is_written_once() {
    let (store, hand) = Store::by_hand();
    let connections = vec![RestoredConnection { id: 7, channel: ChannelName::MAIN, taken: 3 }];
    let restored = Restored { connections, ..Restored::default() };
    let stage = Stage::with(KeptState::On(Rc::new(Keeper::new(store)), restored));
    write(&stage, &hand, &["begin"]);
    assert_eq!(name_of(&hand.take().expect("it is to be known when any segment goes")), "begin connections");
    for _ in 0..2 {
        let live = stage.broadcaster.channels().open(&ChannelName::MAIN).unwrap();
        stage.broadcaster.mark_dirty(&live);
        stage.broadcaster.flush();
        assert!(hand.take().is_none());
    }
}

#[test]
fn messages_are_dated_by_the_clock_of_the_files_in_channels_that_came_back_and_in_new_ones() {
    const AHEAD_SECS: i32 = 1_000_000;
    let (store, hand) = Store::by_hand_ahead(AHEAD_SECS);
    let [main, back, new] =
        [ChannelName::MAIN, ChannelName::parse("back").unwrap(), ChannelName::parse("new").unwrap()];
    let restored = [&main, &back].map(|name| RestoredChannel {
        name: name.clone(),
        epoch: "abc".to_owned(),
        backlog: Backlog::restored_at(2000, 4).unwrap(),
        chain: Chain::new(0),
        segment_cost_bytes: 0,
    });
    let restored = Restored { channels: restored.into(), ..Restored::default() };
    let stage = Stage::with(KeptState::On(Rc::new(Keeper::new(store)), restored));
    for name in [&main, &back, &new] {
        let live = stage.broadcaster.channels().open(name).unwrap();
        let _post = stage.broadcaster.post(&live, Frame::text("fog"));
        let now_secs = stage.broadcaster.now_secs.get();
        stage.broadcaster.flush();
        let append = std::iter::from_fn(|| hand.take()).find(|job| matches!(job, Job::Append(..)));
        let Some(Job::Append(_, batch)) = append else { panic!("it is written") };
        let at_secs = i32::from_le_bytes(*batch.records[4..].first_chunk().unwrap());
        assert_eq!(at_secs - now_secs, AHEAD_SECS, "{name:?}");
    }
}

#[test]
fn what_fails_again_is_tried_again_a_while_later_and_what_is_kept_again_is_no_problem() {
    let (stage, hand) = stage();
    write(&stage, &hand, &["begin"]);
    let (speaker, _theirs) = join_with_id(&stage);
    let keeper = stage.broadcaster.keeper.as_ref().unwrap();
    let again_at = || {
        let of_channel = speaker.live.kept.borrow().as_ref().unwrap().again_at;
        (of_channel, keeper.connections_again_at.get())
    };
    let end = |expected: &[&str], result: fn() -> Result<(), KeepingEnded>| {
        for expected in expected {
            let job = hand.take().expect("there is a job");
            assert_eq!(name_of(&job), *expected);
            hand.done(job, result());
        }
        stage.broadcaster.apply_done();
    };
    let problem = || stage.broadcaster.state_figures()["problem"].clone();
    end(&["begin connections"], || disk_full(true));
    assert_eq!(problem(), "connections are not kept: the disk is full");
    stage.publish(&speaker, Frame::text("fog"));
    stage.broadcaster.flush();
    end(&["append"], || disk_full(true));
    assert_eq!(problem(), "/ is not kept: the disk is full");
    stage.broadcaster.flush();
    while let Some(job) = hand.take() {
        hand.done(job, disk_full(true));
    }
    stage.broadcaster.apply_done();
    for result in [|| disk_full(true), || Ok(())] as [fn() -> _; 2] {
        let due = clock::now();
        speaker.live.kept.borrow_mut().as_mut().unwrap().again_at = Some(due);
        keeper.connections_again_at.set(Some(due));
        let (_other, _its_socket) = join_with_id(&stage);
        end(&["begin connections", "append connections", "begin"], result);
        match result() {
            Err(_) => assert!(again_at() > (Some(due), Some(due)), "not at once"),
            Ok(()) => assert_eq!((again_at(), problem()), ((None, None), Value::Null)),
        }
    }
}
