//! A board and the log of all, whatever is lost between them.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::hub::channel::Start;
use crate::hub::directory::Usage;
use crate::hub::epochs::Beginning;
use crate::hub::frame::Frame;
use crate::hub::publishing::{Posted, Published};
use crate::hub::record::Origin;

fn channel(capacity_bytes: usize) -> Channel<()> {
    let mut channel = Channel::new(capacity_bytes, Duration::from_secs(2), "1".to_owned()).expect("there is memory");
    channel.share(0);
    channel
}

fn frame_bytes(frame: &Frame) -> Vec<u8> {
    frame.to_vec()
}

/// The log of all boards, as Redis has it.
#[derive(Default)]
struct Log {
    /// Each with the counter of ours, or of others.
    entries: Vec<(Option<u64>, Vec<u8>)>,
    counted: u64,
}

impl Log {
    /// Appends what was not appended before.
    fn append(&mut self, parcel: &Parcel) {
        for (counter, message) in (parcel.first_counter..).zip(&parcel.messages) {
            if counter <= self.counted {
                continue;
            }
            self.counted = counter;
            if let Some((frame, _)) = message {
                self.entries.push((Some(counter), frame_bytes(frame)));
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Publish,
    Post,
    /// Somebody gives up the post that was sent so many posts ago.
    Withdraw(usize),
    /// Hands over; whether it arrives, and whether its answer does.
    HandOver(bool, bool),
    /// Another board says something.
    Other,
    /// Reads so many entries.
    Read(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Publish),
        2 => Just(Step::Post),
        1 => (0..3_usize).prop_map(Step::Withdraw),
        4 => any::<(bool, bool)>().prop_map(|(arrives, is_answered)| Step::HandOver(arrives, is_answered)),
        1 => Just(Step::Other),
        3 => (0..5_usize).prop_map(Step::Read),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn what_is_lost_on_the_way_comes_once_and_in_its_order(steps in steps()) {
        let mut channel = channel(1 << 20);
        let slot = channel.join((), true, Start::History(0)).slot;
        let (mut log, mut read, mut said, mut posts) = (Log::default(), 0, 0_u64, Vec::new());
        let (mut expected, mut answered, mut withdrawn) = (Vec::new(), Vec::new(), Vec::new());
        let mut settled = Vec::new();
        let read_one = |channel: &mut Channel<()>, log: &Log, read: &mut usize, settled: &mut Vec<SettledPost>| {
            if let Some((counter, frame)) = log.entries.get(*read) {
                settled.extend(channel.receive(frame, *counter, 0));
                *read += 1;
            }
        };
        for step in steps {
            match step {
                Step::Publish | Step::Post => {
                    said += 1;
                    let frame = Frame::text(said.to_string());
                    expected.push(frame_bytes(&frame));
                    if matches!(step, Step::Publish) {
                        prop_assert_eq!(channel.publish(slot, frame, 0, None), Published::Now);
                    } else {
                        let Posted::Staged(number) = channel.post(frame, 0) else { panic!("it is queued") };
                        posts.push((number, said));
                    }
                }
                Step::Withdraw(ago) => {
                    if let Some((number, said)) = posts.iter().rev().nth(ago).copied() {
                        if channel.can_withdraw_post(number) {
                            let gone = frame_bytes(&Frame::text(said.to_string()));
                            expected.retain(|frame| *frame != gone);
                            withdrawn.push(number);
                        }
                        channel.withdraw_post(number);
                        prop_assert!(!channel.can_withdraw_post(number));
                    }
                }
                Step::HandOver(arrives, is_answered) => {
                    if let Some(parcel) = channel.take_parcel() {
                        if arrives {
                            log.append(&parcel);
                        }
                        if arrives && is_answered {
                            let last = parcel.first_counter + parcel.messages.len() as u64 - 1;
                            answered.push((last, log.entries.len()));
                        } else {
                            channel.take_back_parcels(None);
                        }
                    }
                }
                Step::Other => log.entries.push((None, frame_bytes(&Frame::binary(b"other".to_vec())))),
                Step::Read(count) => {
                    for _ in 0..count {
                        read_one(&mut channel, &log, &mut read, &mut settled);
                    }
                }
            }
            while answered.first().is_some_and(|(_, newest)| *newest <= read) {
                settled.extend(channel.settle_through(answered.remove(0).0));
            }
        }
        channel.take_back_parcels(None);
        if let Some(parcel) = channel.take_parcel() {
            log.append(&parcel);
            answered.push((parcel.first_counter + parcel.messages.len() as u64 - 1, log.entries.len()));
        }
        while read < log.entries.len() {
            read_one(&mut channel, &log, &mut read, &mut settled);
        }
        if let Some((last, _)) = answered.pop() {
            settled.extend(channel.settle_through(last));
        }
        let ours: Vec<_> = log.entries.iter().filter(|(counter, _)| counter.is_some()).map(|(_, frame)| frame.clone()).collect();
        prop_assert_eq!(ours, expected);
        prop_assert_eq!(channel.head(), log.entries.len() as u64);
        let (staged, done) = channel.staged();
        prop_assert_eq!((staged, done, channel.is_staging()), (said, said, false));
        // Each post was settled once, those that were not taken back with the place where they are.
        settled.sort_by_key(|post| post.number);
        prop_assert_eq!(settled.len(), posts.len());
        for (post, (number, said)) in settled.iter().zip(&posts) {
            prop_assert_eq!(post.number, *number);
            let frame = frame_bytes(&Frame::text(said.to_string()));
            let place = log.entries.iter().position(|(counter, entry)| counter.is_some() && *entry == frame);
            prop_assert_eq!(place.is_none(), withdrawn.contains(number));
            prop_assert_eq!(post.position.as_ref().map(|position| position.seq), place.map(|place| place as u64 + 1));
        }
    }
}

#[test]
fn a_message_of_ours_is_no_echo_for_its_sender_and_one_of_others_is_for_all() {
    let mut channel = channel(1 << 16);
    let slot = channel.join((), false, Start::History(0)).slot;
    channel.publish(slot, Frame::text("mine"), 0, None);
    let parcel = channel.take_parcel().unwrap();
    assert_eq!((parcel.first_counter, parcel.messages.len(), channel.head()), (1, 1, 0));
    channel.receive(&frame_bytes(&Frame::text("theirs")), None, 0);
    channel.receive(&frame_bytes(&Frame::text("mine")), Some(1), 0);
    let mut got = Vec::new();
    let mut slices = [std::io::IoSlice::new(&[]); 4];
    let filled = channel.pending(slot, &mut slices, 1000);
    slices[..filled].iter().for_each(|slice| got.extend_from_slice(slice));
    assert_eq!(got, frame_bytes(&Frame::text("theirs")));
}

#[test]
fn which_message_of_which_connection_it_is_goes_along() {
    let mut channel = channel(1 << 16);
    let slot = channel.join((), true, Start::History(0)).slot;
    let origin = Origin { connection: 7, taken: 3 };
    channel.publish(slot, Frame::text("fog"), 0, Some(origin));
    assert_eq!(channel.take_parcel().unwrap().messages[0].as_ref().unwrap().1, Some(origin));
    assert!(channel.take_parcel().is_none() && !channel.has_parcel());
}

#[test]
fn no_more_is_queued_than_fits_into_half_of_the_log_and_the_rest_waits_in_its_turn() {
    let mut channel = channel(4000);
    let mut queued = 0_u64;
    while let Posted::Staged(_) = channel.post(Frame::binary(vec![0; 300]), 0) {
        queued += 1;
    }
    assert!((2..6).contains(&queued) && channel.blocked_len() == 1, "{queued}, each with what is known of it");
    let parcel = channel.take_parcel().unwrap();
    assert!(channel.admit(0, |()| None).is_empty() && channel.blocked_len() == 1, "it is not back yet");
    for nth in 0..2 {
        channel.receive(&frame_bytes(&parcel.messages[nth].as_ref().unwrap().0), Some(nth as u64 + 1), 0);
    }
    channel.admit(0, |()| None);
    assert_eq!((channel.blocked_len(), channel.has_parcel()), (0, true));
    assert_eq!(channel.take_parcel().unwrap().first_counter, queued + 1);
}

#[test]
fn posts_that_are_taken_back_take_their_place_until_they_are_settled() {
    let mut channel = channel(4000);
    let mut posted = 0;
    while let Posted::Staged(number) = channel.post(Frame::text("fog"), 0) {
        channel.withdraw_post(number);
        posted += 1;
        assert!(posted < 40, "so many at a time, and not as many as anybody likes");
    }
    let parcel = channel.take_parcel().unwrap();
    assert!(parcel.messages.iter().all(Option::is_none));
    assert_eq!(channel.settle_through(posted).len(), usize::try_from(posted).unwrap());
    channel.admit(0, |()| None);
    assert_eq!(channel.blocked_len(), 0);
}

#[test]
fn a_channel_that_comes_back_goes_on_with_other_counters() {
    let mut channel = channel(1 << 16);
    channel.share(57);
    assert_eq!(channel.staged(), (57, 57));
    channel.post(Frame::text("fog"), 0);
    assert_eq!((channel.take_parcel().unwrap().first_counter, channel.staged()), (58, (58, 57)));
}

#[test]
fn what_is_refused_takes_nothing_back_that_has_arrived_before_it() {
    let mut channel = channel(1 << 16);
    let slot = channel.join((), false, Start::History(0)).slot;
    channel.publish(slot, Frame::text("mine"), 0, None);
    let Posted::Staged(first) = channel.post(Frame::text("first"), 0) else { panic!("it is queued") };
    channel.take_parcel();
    let Posted::Staged(second) = channel.post(Frame::text("second"), 0) else { panic!("it is queued") };
    let refused = channel.take_parcel().unwrap();
    channel.take_back_parcels(Some(refused.first_counter));
    assert!(!channel.can_withdraw_post(first) && channel.can_withdraw_post(second));
    channel.receive(&frame_bytes(&Frame::text("mine")), Some(1), 0);
    assert_eq!(channel.pending(slot, &mut [std::io::IoSlice::new(&[]); 4], 1000), 0, "no echo, though it goes again");
    let posts = channel.receive(&frame_bytes(&Frame::text("first")), Some(2), 0);
    assert_eq!(posts.iter().map(|post| post.number).collect::<Vec<_>>(), [first]);
    assert_eq!(channel.take_parcel().unwrap().first_counter, 3, "the rest");
}

#[test]
fn what_a_subscriber_here_has_still_to_get_is_waited_for_and_the_wait_is_its_own() {
    let mut channel = channel(1000);
    let slot = channel.join((), true, Start::History(0)).slot;
    let frame = frame_bytes(&Frame::binary(vec![0; 384]));
    for _ in 0..2 {
        assert!(channel.has_room_to_receive(frame.len()));
        channel.receive(&frame, None, 0);
        channel.reindex(slot);
        channel.end_round();
    }
    assert!(!channel.has_room_to_receive(frame.len()) && channel.can_hold(frame.len()) && !channel.can_hold(500));
    let began = Instant::now();
    assert_eq!(channel.review(began), (Vec::new(), None), "nobody waits");
    channel.note_arriving(frame.len());
    assert!(channel.needs_review() && channel.is_staging() && channel.usage() == Usage::InUse);
    let (late, look_again) = channel.review(began);
    assert_eq!((late, look_again), (Vec::new(), Some(began + Duration::from_secs(2))));
    assert_eq!(channel.review(began + Duration::from_secs(2)).0, [0]);
    channel.note_arriving(0);
    assert!(!channel.is_staging());
}

#[test]
fn what_was_said_before_counts_as_nothing_that_was_published_here() {
    let mut channel = channel(1 << 16);
    channel.clear(Beginning { name: "5".to_owned(), numbers_before: 40, lost: 0 });
    assert_eq!(channel.oldest_held(), 41);
    for _ in 0..3 {
        channel.receive_past(&frame_bytes(&Frame::text("past")), 0);
    }
    assert_eq!((channel.head(), channel.published(), channel.oldest_held()), (43, 0, 41));
    assert!(!channel.has_unflushed());
    channel.receive(&frame_bytes(&Frame::text("now")), None, 0);
    assert_eq!((channel.head(), channel.published()), (44, 1));
    channel.clear("6".to_owned());
    assert_eq!(channel.oldest_held(), 1);
}

#[test]
fn a_post_that_does_not_come_back_is_where_it_was_told_to_be_or_nobody_knows() {
    let mut channel = channel(1 << 16);
    let numbers = ["a", "b"].map(|text| {
        let Posted::Staged(number) = channel.post(Frame::text(text), 0) else { panic!("it is queued") };
        number
    });
    channel.take_parcel();
    let position = Position { epoch: "5".to_owned(), seq: 9 };
    channel.note_told(1, || position.clone());
    let posts = channel.settle_through(2);
    let expected = numbers.iter().zip([Some(position), None]);
    assert_eq!(posts, expected.map(|(&number, position)| SettledPost { number, position }).collect::<Vec<_>>());
    assert_eq!(channel.settle_through(9), [], "what was not handed over is not settled");
}
