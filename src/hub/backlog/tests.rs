//! What is held, where it lies and what is forgotten, against a model that keeps all.

use proptest::prelude::*;

use super::*;

fn backlog(capacity_bytes: usize) -> Backlog {
    Backlog::new(capacity_bytes).expect("there is memory")
}

fn bytes(log: &Backlog, from: u64) -> Vec<u8> {
    log.slices(from..log.end()).concat()
}

#[test]
fn frames_are_numbered_from_one_and_found_again() {
    let mut log = backlog(1024);
    assert_eq!((log.first_seq(), log.next_seq()), (1, 1));
    log.append(&Frame::text("a"), 0, 0);
    log.append(&Frame::text("bc"), 0, 0);
    assert_eq!((log.first_seq(), log.next_seq(), log.held_frames()), (1, 3, 2));
    assert_eq!([1, 2, 3, 4].map(|seq| log.position_of(seq)), [Some(0), Some(3), Some(7), None]);
    assert_eq!([0, 2, 3, 6, 7].map(|position| log.seq_at(position)), [1, 1, 2, 2, 3]);
    assert_eq!([0, 1, 3, 4, 7].map(|position| log.boundary_from(position)), [0, 3, 3, 7, 7]);
    assert_eq!(bytes(&log, 3), b"\x81\x02bc");
}

#[test]
fn the_oldest_frames_give_way_and_the_low_water_mark_says_so_beforehand() {
    let frame = Frame::binary(vec![7; 10]);
    let mut log = backlog(2 * (frame.len() + INDEX_ENTRY_BYTES));
    log.append(&frame, 0, 0);
    log.append(&frame, 0, 0);
    assert_eq!(log.low_water_mark_for(frame.len()), frame.len() as u64);
    log.append(&frame, 0, 0);
    assert_eq!((log.first_seq(), log.next_seq()), (2, 4));
    assert_eq!(log.position_of(1), None);
    assert_eq!(log.held_bytes(), log.capacity_bytes());
}

#[test]
fn the_newer_half_always_has_the_newest_frame_and_the_next_one_finds_room_beside_it() {
    for backlog_bytes in [1024, 1025] {
        let largest = Frame::binary(vec![9; backlog_bytes / 2]);
        let mut log = backlog(Backlog::capacity_bytes_for(backlog_bytes));
        for seq in 1..20 {
            log.append(&largest, 0, 0);
            assert_eq!(log.first_seq_of_newer_half(), seq);
            assert!(log.low_water_mark_for(largest.len()) <= log.position_of(seq).unwrap());
        }
    }
}

#[test]
fn two_of_the_largest_frames_fill_the_log() {
    let largest = Frame::binary(vec![9; 1 << 16]);
    let mut log = backlog(Backlog::capacity_bytes_for(2 << 16));
    for _ in 0..2 {
        log.append(&largest, 0, 0);
    }
    assert_eq!((log.first_seq(), log.held_bytes()), (1, log.capacity_bytes()));
}

#[test]
fn the_index_has_room_for_as_many_of_the_smallest_frames_as_the_log_holds_and_for_no_more() {
    let mut log = backlog(64 * (FRAME_BYTES_MIN + INDEX_ENTRY_BYTES));
    assert_eq!(log.entries.capacity(), 64);
    for _ in 0..200 {
        log.append(&Frame::text(""), 0, 0);
    }
    assert_eq!((log.held_frames(), log.entries.capacity()), (64, 64));
}

#[test]
fn a_log_that_goes_on_counts_on_and_takes_frames_as_bytes() {
    let mut log = Backlog::restored_at(1024, 40).expect("there is memory");
    assert_eq!((log.first_seq(), log.first_seq_of_newer_half(), log.next_seq()), (40, 40, 40));
    assert_eq!((log.position_of(39), log.position_of(40), log.frame(40).is_some()), (None, Some(0), false));
    log.append_bytes(&Frame::text("a").to_vec(), 7, -5);
    log.append(&Frame::binary("b"), 8, 3);
    let held = [40, 41].map(|seq| log.frame(seq).map(|frame| (frame.at_secs, frame.is_text, frame.payload.concat())));
    assert_eq!(held, [Some((-5, true, b"a".to_vec())), Some((3, false, b"b".to_vec()))]);
    assert_eq!(log.ranges_without(7, 0).collect::<Vec<_>>(), vec![3..6]);
}

#[test]
fn memory_that_is_not_there_is_an_error() {
    assert!(Backlog::new(usize::MAX / 4).is_err());
}

#[test]
fn ranges_leave_out_the_frames_of_one_sender() {
    let mut log = backlog(1024);
    for (sender, text) in [(1, "a"), (2, "b"), (1, "c"), (1, "d"), (2, "e"), (1, "f")] {
        log.append(&Frame::text(text), sender, 0);
    }
    assert_eq!(log.ranges_without(1, 0).collect::<Vec<_>>(), [3..6, 12..15]);
    assert_eq!(log.ranges_without(2, 0).collect::<Vec<_>>(), [0..3, 6..12, 15..18]);
    assert_eq!(log.ranges_without(1, 4).collect::<Vec<_>>(), [4..6, 12..15]);
    assert_eq!(log.ranges_without(1, 15).count(), 0);
}

#[test]
fn the_newer_half_is_half_of_what_frames_and_index_cost() {
    for payload_bytes in [0, 100] {
        let frame = Frame::binary(vec![0; payload_bytes]);
        let mut log = backlog(8 * (frame.len() + INDEX_ENTRY_BYTES));
        assert_eq!(log.first_seq_of_newer_half(), 1);
        for _ in 0..20 {
            log.append(&frame, 0, 0);
        }
        assert_eq!((log.first_seq(), log.first_seq_of_newer_half(), log.next_seq()), (13, 17, 21));
    }
}

proptest! {
    /// Against the simplest model there is: all frames ever appended, kept for ever.
    #[test]
    fn whatever_is_appended_the_log_holds_the_newest_of_it_unchanged(
        capacity in 40_usize..400,
        percents in prop::collection::vec(0_usize..=50, 1..60),
    ) {
        let mut log = backlog(capacity);
        let mut everything = Vec::new();
        for (n, percent) in percents.into_iter().enumerate() {
            let len = percent * capacity / 100;
            let frame = Frame::binary(vec![u8::try_from(n).unwrap(); len.saturating_sub(INDEX_ENTRY_BYTES + 4)]);
            let mark = log.low_water_mark_for(frame.len());
            log.append(&frame, 0, i32::try_from(n).unwrap());
            everything.extend(frame.to_vec());
            prop_assert_eq!(log.start, mark, "append forgets just what low_water_mark_for announced");
            prop_assert!(log.held_bytes() <= capacity);
            prop_assert_eq!(log.end(), everything.len() as u64);
            prop_assert_eq!(bytes(&log, log.start), &everything[usize::try_from(log.start).unwrap()..]);
            prop_assert!(log.frame(log.next_seq()).is_none());
            for seq in log.first_seq()..log.next_seq() {
                let position = log.position_of(seq).unwrap();
                prop_assert_eq!(log.seq_at(position), seq);
                prop_assert_eq!(log.boundary_from(position), position);
                prop_assert_eq!(Some(log.boundary_from(position + 1)), log.position_of(seq + 1));
                let held = log.frame(seq).unwrap();
                prop_assert_eq!((held.start, Some(held.end)), (position, log.position_of(seq + 1)));
                prop_assert_eq!((u64::try_from(held.at_secs).unwrap() + 1, held.is_text), (seq, false));
                let payload = held.payload.concat();
                prop_assert_eq!(held.end - held.payload_start, payload.len() as u64);
                prop_assert!(payload.iter().all(|&byte| u64::from(byte) + 1 == seq));
            }
        }
    }
}
