//! Redis goes away and comes back; nothing is lost that was said to be there, and nothing is there twice.

use super::*;

/// With its data on disk at every moment.
const LASTING: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

#[test]
fn a_redis_that_is_killed_is_away_and_another_one_is_not_the_same() {
    let mut redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    redis.kill();
    assert!(!board.down().is_empty());
    for _ in 0..3 {
        // A sentence that says why can come between.
        let ticket = board.link.submit(Board::append_order(&main(), epoch, 1, vec![text("a")]));
        let outcome = loop {
            match board.event() {
                Event::Done(done, outcome) if done == ticket => break outcome,
                Event::Down(_) => {}
                event => panic!("{event:?}"),
            }
        };
        assert!(is_away(&outcome), "{outcome:?}");
    }
    redis.restart();
    assert!(!board.up());
    assert!(board.look_again(&main(), epoch, None).epoch > epoch.epoch);
}

#[test]
fn a_redis_that_keeps_its_data_knows_what_it_has_after_a_kill() {
    let mut redis = Redis::with(&LASTING);
    let (one, two) = (Board::join(&redis, 1), Board::join(&redis, 2));
    let epoch = one.look(&main());
    assert!(one.append(&main(), epoch, 1, vec![text_of(7, 1, "a"), text_of(7, 2, "b")]).is_ok());
    two.append_all(&main(), epoch, 1, &["c"]);
    redis.restart();
    for board in [&one, &two] {
        board.down();
        assert!(!board.up());
    }
    let last = EntryId { seq: 3, ..epoch };
    assert_eq!(one.look_again(&main(), last, Some(two.author(1))), last);
    assert_eq!(one.append_all(&main(), last, 1, &["a", "b", "d"]), [None, None, Some(4)]);
    assert_eq!(two.fence(7), Some(2));
}

#[test]
fn a_connection_that_redis_closes_is_made_anew_to_the_same_redis() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    for round in 1..=3 {
        redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        // It is noticed with the next order.
        let outcome = board.append(&main(), epoch, round, vec![text("a")]);
        assert!(is_away(&outcome), "{outcome:?}");
        assert!(board.down().contains("closed the connection"));
        assert!(board.up(), "it is the same");
        assert_eq!(board.append_all(&main(), epoch, round, &["a"]), [Some(round)]);
    }
}

#[test]
fn a_connection_that_ends_while_there_is_nothing_to_do_is_noticed() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert!(board.down().contains("closed the connection"));
    assert!(board.up());
}

#[test]
fn a_redis_that_is_silent_is_away_and_what_it_does_later_does_no_harm() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    board.begin(1, &[(&main(), epoch)]);
    eventually("it reads", || redis.cli(&["CLIENT", "LIST"]).contains("cmd=xread"));
    redis.signal("STOP");
    let tickets: Vec<Ticket> = (1..=3)
        .map(|counter| {
            board.link.submit(Board::append_order(&main(), epoch, counter, vec![text(&counter.to_string())]))
        })
        .collect();
    for ticket in tickets {
        let outcome = board.outcome_of(ticket);
        assert!(matches!(&outcome, Err(Trouble::Away(why)) if why.contains("not answered for 5 s")), "{outcome:?}");
    }
    assert!(board.down().contains("not answered"));
    assert!(matches!(board.next_read(), ReadEvent::Down(1, why) if why.contains("not answered")));
    redis.signal("CONT");
    assert!(board.up(), "it is the same");
    let messages = ["1", "2", "3", "4"].map(text);
    let Ok(Answer::Appended { fates, .. }) = board.append(&main(), epoch, 1, messages.into()) else { panic!() };
    assert!(numbers(&fates)[3].is_some());
    board.begin(2, &[(&main(), epoch)]);
    let came: Vec<String> = board.read(2, 4).iter().map(|(_, entry)| seen(entry)).collect();
    assert_eq!(came, ["1", "2", "3", "4"]);
    assert_eq!(redis.cli(&["XLEN", "foghorn:stream:"]), "5");
}

#[test]
fn a_link_ends_while_there_is_nothing_to_connect_to() {
    let mut redis = Redis::start();
    redis.kill();
    let board = Board::start(redis.url(), "foghorn", 1);
    board.begin(1, &[]);
    board.down();
    assert!(matches!(board.next_read(), ReadEvent::Down(1, _)));
}
