//! Each kind of contradiction, planted.

use super::*;
use crate::said::FIRST_POSTER;

const WHO: Who = Who("test", 0);

fn book() -> Book {
    Book::new(&[1 << 20, 1 << 20], 10)
}

fn name(writer: u32, nth: u32) -> Name {
    Name { writer, nth }
}

fn at(epoch: u64, seq: u64) -> Position {
    Position { epoch, seq }
}

/// A board tells which message has a number; it was sent.
fn say(book: &Book, board: usize, position: Position, name: Name) -> Result<Name, String> {
    book.note_sent(0, name);
    tell(book, board, position, name)
}

fn tell(book: &Book, board: usize, position: Position, name: Name) -> Result<Name, String> {
    let text = name.text();
    book.message(0, Some(board), position, (text.as_bytes(), name.is_binary()), book.told(WHO, "a frame"))
}

fn refused<T>(result: Result<T, String>, words: &str) {
    let sentence = result.err().expect("that is wrong");
    assert!(sentence.contains(words), "{sentence}");
}

/// Until the clock has gone on.
fn tick() -> u64 {
    let before = now_micros();
    while now_micros() <= before {}
    now_micros()
}

#[test]
fn a_number_names_one_message_on_all_boards() {
    let book = book();
    say(&book, 0, at(7, 1), name(1, 1)).unwrap();
    say(&book, 1, at(7, 1), name(1, 1)).unwrap();
    refused(say(&book, 2, at(7, 1), name(2, 1)), "7:1 is message 1 of writer 2");
}

#[test]
fn what_nobody_has_said_is_seen() {
    let book = book();
    let told = book.told(WHO, "a frame");
    let hear = |bytes: &[u8], is_binary| book.message(0, Some(0), at(7, 1), (bytes, is_binary), told);
    refused(hear(b"1 1 cut", false), "not what anybody has said");
    refused(hear(name(1, 1).text().as_bytes(), true), "the other kind");
    refused(tell(&book, 0, at(7, 1), name(1, 1)), "nobody has sent");
    book.note_sent(1, name(1, 1));
    refused(tell(&book, 0, at(7, 1), name(1, 1)), "was sent to channel 1");
    refused(say(&book, 0, at(7, 0), name(1, 2)), "no such number");
}

#[test]
fn a_board_does_not_go_back_but_may_be_behind_another() {
    let book = book();
    say(&book, 0, at(7, 2), name(1, 1)).unwrap();
    let told = book.told(WHO, "a hello");
    let since = book.mark(0, 0);
    book.head(0, at(7, 2), &since, told).unwrap();
    refused(book.head(0, at(7, 1), &since, told), "was at 7:2 before");
    book.head(0, at(7, 1), &book.mark(0, 1), told).expect("it is another board");
    book.head(0, at(7, 1), &Mark::unbound(0), told).expect("it may be from before");
    book.note_deletion(0);
    book.head(0, at(8, 0), &since, told).unwrap();
    refused(book.head(0, at(7, 9), &book.mark(0, 0), told), "was at 8:0 before");
}

#[test]
fn an_epoch_is_a_decimal_number() {
    for wrong in ["kjxwqa", "", "-1", "007", "1.5", "99999999999999999999999"] {
        refused(Position::of(wrong, 1), "no decimal number");
    }
    assert_eq!(Position::of("1764081234000000", 1), Ok(at(1_764_081_234_000_000, 1)));
}

#[test]
fn an_epoch_begins_only_once_for_each_reason() {
    let book = book();
    let told = book.told(WHO, "a hello");
    let head = |epoch| book.head(0, at(epoch, 0), &Mark::unbound(0), told);
    head(1).unwrap();
    refused(head(2), "a new epoch 2");
    book.note_deletion(0);
    head(2).unwrap();
    refused(head(3), "there were 1 deletions, and Redis has forgotten 0 times");
    book.begin_forgetting(&[0]);
    head(3).unwrap();
    refused(head(4), "a new epoch 4");
    book.head(1, at(4, 0), &Mark::unbound(0), told).expect("it is another channel");
}

#[test]
fn what_is_new_is_behind_all_that_any_board_has_told() {
    let book = book();
    say(&book, 2, at(7, 3), name(1, 1)).unwrap();
    let (since, told) = (book.mark(0, 0), book.told(WHO, "the answer to a post"));
    since.check_made(at(7, 4), told).unwrap();
    since.check_made(at(8, 1), told).unwrap();
    refused(since.check_made(at(7, 3), told), "was there before");
    refused(since.check_made(at(6, 9), told), "was there before");
}

#[test]
fn what_is_missing_doubled_or_out_of_order_is_seen_in_the_end() {
    let check = |names: &[Option<Name>], confirmed: &[Name]| {
        let book = book();
        for name in confirmed {
            book.note_sent(0, *name);
            book.note_confirmed(*name, book.told(WHO, "a pong"));
        }
        for (seq, name) in (1..).zip(names) {
            if let Some(name) = name {
                say(&book, 0, at(7, seq), *name).unwrap();
            }
        }
        book.check_all().map(|total| total.messages)
    };
    let [one, two, three] = [1, 2, 3].map(|nth| Some(name(1, nth)));
    assert_eq!(check(&[one, two, three], &[name(1, 3)]), Ok(3));
    refused(check(&[one, two], &[name(1, 3)]), "message 3 of writer 1 was confirmed");
    refused(check(&[one, None, two], &[]), "nobody has got 7:2");
    refused(check(&[one, two, one], &[]), "is 7:1 and 7:3");
    refused(check(&[one, three, two], &[]), "behind its message 3");
    let posted = [2, 1].map(|nth| Some(name(FIRST_POSTER, nth)));
    assert_eq!(check(&posted, &[]), Ok(2), "a post without an answer may come late");
}

#[test]
fn what_was_refused_must_not_be_there() {
    let book = book();
    say(&book, 0, at(7, 1), name(FIRST_POSTER, 1)).unwrap();
    book.note_refused(name(FIRST_POSTER, 1));
    refused(book.check_all(), "was refused");
}

#[test]
fn a_message_comes_twice_only_if_redis_forgot_while_it_was_under_way() {
    let check = |confirms: bool, is_late: bool, second: fn(u64) -> Position| {
        let book = book();
        if !is_late {
            say(&book, 0, at(1, 1), name(1, 1)).unwrap();
        }
        if confirms {
            book.note_confirmed(name(1, 1), book.told(WHO, "a pong"));
        }
        tick();
        book.begin_forgetting(&[0]);
        tick();
        book.end_forgetting(&[0]);
        if is_late {
            tick();
            say(&book, 0, at(1, 1), name(1, 1)).unwrap();
        }
        say(&book, 1, second(tick()), name(1, 1)).unwrap();
        book.check_all().map(|total| total.twice)
    };
    assert_eq!(check(false, false, |now| at(now, 1)), Ok(1));
    refused(check(true, false, |now| at(now, 1)), "is 1:1 and");
    refused(check(false, true, |now| at(now, 1)), "is 1:1 and");
    refused(check(false, false, |_| at(1, 2)), "is 1:1 and 1:2");
    refused(check(false, false, |_| at(2, 1)), "is 1:1 and 2:1");
}

#[test]
fn an_order_is_broken_only_if_redis_forgot_meanwhile() {
    let check = |forgets: bool| {
        let book = book();
        say(&book, 0, at(1, 1), name(1, 2)).unwrap();
        if forgets {
            book.begin_forgetting(&[0]);
        }
        say(&book, 0, at(1, 2), name(1, 1)).unwrap();
        book.check_all()
    };
    assert!(check(true).is_ok());
    refused(check(false), "behind its message 2");
}

#[test]
fn what_was_confirmed_is_missing_only_if_redis_forgot_just_then() {
    let check = |begins: u64, ends: u64| {
        let book = book();
        book.note_sent(0, name(1, 1));
        book.note_confirmed(name(1, 1), book.told(WHO, "a pong"));
        let now = now_micros();
        let forgetting = Forgetting { begins: now - 10_000_000 + begins, ends: now - 10_000_000 + ends };
        lock(&book.channels[0]).forgettings.push(forgetting);
        book.check_all()
    };
    assert!(check(11_000_000, 12_000_000).is_ok());
    assert!(check(9_000_000, 12_000_000).is_ok());
    refused(check(1_000_000, 2_000_000), "was confirmed");
    refused(check(19_000_000, 20_000_000), "was confirmed");
}

#[test]
fn the_newer_half_is_never_lost() {
    let book = Book::new(&[10_000], 10);
    for nth in 1..=3 {
        say(&book, 0, at(7, nth.into()), name(1, nth)).unwrap();
    }
    let told = book.told(WHO, "a hello");
    refused(book.lost(0, at(7, 0), 3, told, true), "although only");
    for nth in 4..=2000 {
        say(&book, 0, at(7, nth.into()), name(1, nth)).unwrap();
    }
    book.lost(0, at(7, 0), 3, told, true).unwrap();
}

#[test]
fn an_id_and_a_time_are_given_once() {
    let book = book();
    let told = book.told(WHO, "a hello");
    book.id("a", told).unwrap();
    refused(book.id("a", told), "that another had");
    say(&book, 0, at(7, 1), name(1, 1)).unwrap();
    book.came_at(0, at(7, 1), 100, told).unwrap();
    book.came_at(0, at(7, 1), 101, told).unwrap();
    refused(book.came_at(0, at(7, 1), 108, told), "came at 108");
}

#[test]
fn who_does_not_count_gets_all_while_there_and_in_order() {
    let check = |run: &[u32]| {
        let book = book();
        for nth in 1..=4 {
            say(&book, 0, at(7, nth.into()), name(1, nth)).unwrap();
        }
        let names = run.iter().map(|nth| name(1, *nth)).collect();
        book.note_run(0, book.told(WHO, "a frame"), names);
        book.check_all().map(|total| total.messages)
    };
    assert_eq!(check(&[2, 3, 4]), Ok(4));
    refused(check(&[2, 4]), "behind message 2 of writer 1 at 7:2 comes message 4");
    refused(check(&[3, 2]), "comes message 2");
    refused(check(&[3, 3]), "comes message 3");
    refused(check(&[4, 5]), "no reader who counts has got it");
}

#[test]
fn nobody_writes_before_all_readers_are_there_nor_far_ahead_of_one() {
    let book = book();
    let reader = book.add_reader(0);
    assert!(!book.has_room(0));
    book.head(0, at(7, 0), &book.mark(0, 0), book.told(WHO, "a hello")).unwrap();
    book.move_to(0, reader, at(7, 0));
    assert!(book.has_room(0) && book.is_read());
    for nth in 1..=10 {
        say(&book, 0, at(7, nth.into()), name(1, nth)).unwrap();
    }
    assert!(!book.has_room(0) && !book.is_read());
    book.move_to(0, reader, at(7, 10));
    assert!(book.has_room(0) && book.is_read());
    book.note_deletion(0);
    book.head(0, at(8, 0), &book.mark(0, 1), book.told(WHO, "a hello")).unwrap();
    assert!(!book.has_room(0) && !book.is_read(), "it is in an epoch of before");
}
