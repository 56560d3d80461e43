//! Messages get into the log once and in order, or not at all.

use super::*;

#[test]
fn messages_get_the_next_numbers_whichever_board_they_are_from() {
    let redis = Redis::start();
    let (one, two) = (Board::join(&redis, 1), Board::join(&redis, 2));
    let epoch = one.look(&main());
    assert_eq!(one.append_all(&main(), epoch, 1, &["a", "b", "c"]), [1, 2, 3].map(Some));
    assert_eq!(two.append_all(&main(), epoch, 1, &["d"]), [Some(4)]);
    assert_eq!(one.append_all(&main(), epoch, 4, &["e"]), [Some(5)]);
    let newest = two.newest(&main()).expect("one");
    let Content::Message { author, at_unix_secs, frame } = newest.content else { panic!("{newest:?}") };
    assert_eq!((newest.id, author, &frame[..]), (EntryId { seq: 5, ..epoch }, one.author(4), &b"\x81\x01e"[..]));
    assert!(at_unix_secs.abs_diff(epoch.epoch / 1_000_000) < 100);
}

#[test]
fn what_is_sent_again_is_appended_once() {
    let redis = Redis::start();
    let (one, two) = (Board::join(&redis, 1), Board::join(&redis, 2));
    let epoch = one.look(&main());
    assert_eq!(one.append_all(&main(), epoch, 1, &["a", "b"]), [Some(1), Some(2)]);
    assert_eq!(two.append_all(&main(), epoch, 1, &["x"]), [Some(3)]);
    assert_eq!(one.append_all(&main(), epoch, 1, &["a", "b", "c"]), [None, None, Some(4)]);
    assert_eq!(one.append_all(&main(), epoch, 1, &["a", "b", "c"]), [None; 3]);
    assert_eq!(one.append_all(&main(), epoch, 4, &["d"]), [Some(5)]);
    assert_eq!(redis.cli(&["XLEN", "foghorn:stream:"]), "6");
    // Also in the next epoch: a message is in one of them.
    let clear = Order::Clear { channel: main(), epoch: None };
    let next = one.place(clear).newest;
    assert_eq!(one.append_all(&main(), next, 4, &["d", "e"]), [None, Some(1)]);
}

#[test]
fn a_board_that_is_elsewhere_appends_nothing() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    board.append_all(&main(), epoch, 1, &["a"]);
    let earlier = EntryId { epoch: epoch.epoch - 1, seq: 0 };
    let later = EntryId { epoch: epoch.epoch + 1, seq: 0 };
    let further = EntryId { seq: 2, ..epoch };
    for seen in [earlier, later, further] {
        assert_eq!(board.append(&main(), seen, 2, vec![text("b")]), Ok(Answer::NotHere));
    }
    assert_eq!(board.append(&channel("a"), epoch, 1, vec![text("b")]), Ok(Answer::NotHere));
    assert_eq!(redis.cli(&["XLEN", "foghorn:stream:"]), "2");
    assert_eq!(board.append_all(&main(), EntryId { seq: 1, ..epoch }, 2, &["b"]), [Some(2)]);
}

#[test]
fn of_a_connection_with_a_fence_nothing_is_appended_and_how_many_were_is_known() {
    let redis = Redis::start();
    let (one, two) = (Board::join(&redis, 1), Board::join(&redis, 2));
    let epoch = one.look(&main());
    let append = |first, messages| match one.append(&main(), epoch, first, messages) {
        Ok(Answer::Appended { fates, .. }) => numbers(&fates),
        outcome => panic!("{outcome:?}"),
    };
    assert_eq!(two.fence(99), None, "nobody knows it");
    for connection in [7, 8, 9] {
        assert_eq!(one.ask(Order::Join { channel: main(), id: connection }), Ok(Answer::Done));
    }
    assert_eq!(two.fence(9), Some(0));
    assert_eq!(append(1, vec![text_of(7, 1, "a"), text_of(8, 1, "b"), text_of(7, 2, "c")]), [1, 2, 3].map(Some));
    assert_eq!(
        one.ask(Order::Join { channel: main(), id: 7 }),
        Ok(Answer::Done),
        "joined already: that changes nothing"
    );
    assert_eq!(two.fence(7), Some(2));
    let messages = vec![text_of(7, 3, "d"), text_of(8, 2, "e"), text_of(9, 1, "f"), text("g"), text_of(7, 4, "h")];
    assert_eq!(append(4, messages.clone()), [None, Some(4), None, Some(5), None]);
    assert_eq!([7, 8, 9].map(|connection| two.fence(connection)), [Some(2), Some(2), Some(0)]);
    assert_eq!(append(4, messages), [None; 5], "sent again");
    assert_eq!(append(9, vec![text("i")]), [Some(6)]);
}

#[test]
fn what_no_board_holds_any_more_leaves_the_stream() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    let kib = "x".repeat(1024);
    for batch in 0..40 {
        let oldest_seq = (50 * batch + 1_u64).saturating_sub(100).max(1);
        let messages = vec![text(&kib); 50];
        let (channel, first_counter) = (main(), 50 * batch + 1);
        let messages = messages.into_iter().map(Some).collect();
        let order = Order::Append { channel, seen: epoch, first_counter, oldest_seq, messages };
        assert!(matches!(board.ask(order), Ok(Answer::Appended { .. })));
    }
    let left: u64 = redis.cli(&["XLEN", "foghorn:stream:"]).parse().unwrap();
    assert!((150..=400).contains(&left), "{left} of 2000");
}

#[test]
fn a_message_of_a_mebibyte_goes_through_as_it_is() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    board.begin(1, &[(&main(), epoch)]);
    let payloads: Vec<Vec<u8>> =
        (0..6_u8).map(|nth| (0..1 << 20).map(|at: u32| (at % 251) as u8 ^ nth).collect()).collect();
    let frames: Vec<Frame> = payloads.into_iter().map(Frame::binary).collect();
    let messages = frames.iter().map(|frame| Appended { frame: frame.clone(), origin: None }).collect();
    assert!(matches!(board.append(&main(), epoch, 1, messages), Ok(Answer::Appended { .. })));
    for ((_, entry), frame) in board.read(1, 6).into_iter().zip(frames) {
        let Content::Message { frame: came, .. } = entry.content else { panic!("{:?}", entry.id) };
        assert!(came == frame.to_vec());
    }
}

#[test]
fn orders_are_done_in_their_order_even_if_redis_loses_the_scripts() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let (a, b) = (channel("a"), channel("b"));
    let [in_a, in_b] = [&a, &b].map(|channel| board.look(channel));
    for round in 0..20 {
        redis.cli(&["SCRIPT", "FLUSH"]);
        let tickets: Vec<Ticket> = (1..=10)
            .flat_map(|nth| [(&a, in_a, 10 * round + nth), (&b, in_b, 10 * round + nth)])
            .map(|(channel, epoch, counter)| {
                board.link.submit(Board::append_order(channel, epoch, counter, vec![text(&counter.to_string())]))
            })
            .collect();
        for (nth, ticket) in tickets.into_iter().enumerate() {
            let Ok(Answer::Appended { fates, .. }) = board.outcome_of(ticket) else { panic!("{nth}") };
            assert_eq!(numbers(&fates), [Some(10 * round + nth as u64 / 2 + 1)]);
        }
    }
}

#[test]
fn what_was_given_before_the_end_is_in_the_log() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    for counter in 1..=100 {
        board.link.submit(Board::append_order(&main(), epoch, counter, vec![text("x")]));
    }
    drop(board);
    eventually("all are there", || redis.cli(&["XLEN", "foghorn:stream:"]) == "101");
    eventually("both connections are closed", || redis.cli(&["CLIENT", "LIST"]).lines().count() == 1);
}
