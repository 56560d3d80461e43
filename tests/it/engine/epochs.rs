//! Epochs: all boards agree on them, and a number never names two messages.

use super::*;

fn with_seq(id: EntryId, seq: u64) -> EntryId {
    EntryId { seq, ..id }
}

#[test]
fn the_first_board_that_looks_begins_an_epoch_and_all_agree() {
    let redis = Redis::start();
    let (one, two) = (Board::join(&redis, 1), Board::join(&redis, 2));
    let order = Order::Look { channel: main(), seen: None, is_strict: true, is_use: true };
    let place = one.place(order);
    assert_eq!(place.newest, EntryId { epoch: place.now_unix_micros, seq: 0 });
    assert!(place.newest.epoch > 1_600_000_000_000_000, "microseconds");
    assert_eq!(two.look(&main()), place.newest);
    assert_eq!(one.newest(&main()), Some(Entry { id: place.newest, content: Content::Marker }));
    assert_ne!(one.look(&channel("a")), place.newest);
}

#[test]
fn nothing_is_made_by_asking_for_the_newest() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    assert_eq!(board.newest(&channel("a")), None);
    assert_eq!(redis.cli(&["DBSIZE"]), "0");
}

#[test]
fn a_stream_that_is_gone_gets_a_later_epoch() {
    for key in ["foghorn:stream:", "foghorn:head:"] {
        let redis = Redis::start();
        let board = Board::join(&redis, 1);
        let first = board.look(&main());
        board.append_all(&main(), first, 1, &["a"]);
        redis.cli(&["DEL", key]);
        let outcome = board.append(&main(), first, 2, vec![text("b")]);
        assert_eq!(outcome, Ok(Answer::NotHere), "{key}");
        let second = board.look_again(&main(), with_seq(first, 1), None);
        assert!(second.epoch > first.epoch && second.seq == 0, "{key}");
        assert_eq!(board.append_all(&main(), second, 2, &["b"]), [Some(1)], "{key}");
        assert_eq!(redis.cli(&["XLEN", "foghorn:stream:"]), "2", "{key}: of the first epoch nothing is left");
    }
}

#[test]
fn what_was_seen_has_to_be_there_and_the_same_after_a_new_connection() {
    let redis = Redis::start();
    let (one, two) = (Board::join(&redis, 1), Board::join(&redis, 2));
    let first = one.look(&main());
    one.append_all(&main(), first, 1, &["a", "b"]);
    two.append_all(&main(), first, 1, &["c"]);
    for (seq, author) in [(1, one.author(1)), (2, one.author(2)), (3, two.author(1))] {
        assert_eq!(one.look_again(&main(), with_seq(first, seq), Some(author)), with_seq(first, 3));
    }
    assert_eq!(one.look_again(&main(), first, None), with_seq(first, 3));
    // Redis has another message with this number than was seen: one of another board, or another one of this board.
    let mut last = with_seq(first, 3);
    for (seq, author) in [(3, one.author(1)), (2, one.author(20)), (2, two.author(2))] {
        let id = with_seq(last, seq);
        let next = one.look_again(&main(), id, Some(author));
        assert!(next.epoch > last.epoch && next.seq == 0);
        assert_eq!(two.look_again(&main(), last, Some(two.author(1))), next, "the second board finds the new one");
        one.append_all(&main(), next, 10 * seq, &["d", "e", "f"]);
        last = with_seq(next, 3);
    }
    // It has not come as far.
    let next = one.look_again(&main(), with_seq(last, 4), None);
    assert!(next.epoch > last.epoch);
    let next = one.look_again(&main(), EntryId { epoch: next.epoch + 1_000_000_000, seq: 1 }, None);
    assert!(next.epoch > last.epoch + 1_000_000_000, "later than what was seen, whatever the clock says");
}

#[test]
fn an_entry_that_is_gone_is_a_new_epoch_only_if_it_has_to_be_there() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let first = board.look(&main());
    board.append_all(&main(), first, 1, &["a", "b"]);
    redis.cli(&["XDEL", "foghorn:stream:", &with_seq(first, 1).to_string()]);
    assert_eq!(board.look_again(&main(), with_seq(first, 1), None), with_seq(first, 2));
    assert!(board.look_again(&main(), with_seq(first, 1), Some(board.author(1))).epoch > first.epoch);
}

#[test]
fn redis_that_has_forgotten_everything_gets_later_epochs_than_were_seen() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let first = board.look(&main());
    board.append_all(&main(), first, 1, &["a"]);
    redis.cli(&["FLUSHALL"]);
    assert_eq!(board.append(&main(), with_seq(first, 1), 2, vec![text("b")]), Ok(Answer::NotHere));
    let second = board.look_again(&main(), with_seq(first, 1), Some(board.author(1)));
    assert!(second.epoch > first.epoch);
    assert_eq!(board.append_all(&main(), second, 2, &["b"]), [Some(1)]);
}

#[test]
fn clearing_begins_the_next_epoch_once_and_only_where_there_is_a_stream() {
    let redis = Redis::start();
    let (one, two) = (Board::join(&redis, 1), Board::join(&redis, 2));
    let clear = |epoch| Order::Clear { channel: channel("a"), epoch };
    assert_eq!(one.ask(clear(None)), Ok(Answer::At(None)));
    assert_eq!(one.ask(clear(Some(17))), Ok(Answer::At(None)));
    assert_eq!(redis.cli(&["DBSIZE"]), "0");
    let first = one.look(&channel("a"));
    one.append_all(&channel("a"), first, 1, &["a", "b"]);
    let second = one.place(clear(Some(first.epoch))).newest;
    assert!(second.epoch > first.epoch && second.seq == 0);
    assert_eq!(redis.cli(&["XLEN", "foghorn:stream:a"]), "1");
    assert_eq!(two.place(clear(Some(first.epoch))).newest, second, "it is cleared already");
    assert_eq!(one.append(&channel("a"), with_seq(first, 2), 3, vec![text("c")]), Ok(Answer::NotHere));
    assert!(two.place(clear(None)).newest.epoch > second.epoch);
}

#[test]
fn somebody_else_in_the_stream_ends_the_epoch_and_no_more() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let mut seen = board.look(&main());
    for (counter, id) in [(1, "9007199254740000-7"), (2, "18446744073709551615-18446744073709551615")] {
        redis.cli(&["XADD", "foghorn:stream:", id, "x", "y"]);
        assert_eq!(board.append(&main(), seen, counter, vec![text("a")]), Ok(Answer::NotHere), "{id}");
        let next = board.look_again(&main(), seen, None);
        assert!(next.epoch > seen.epoch, "{id}");
        assert_eq!(board.append_all(&main(), next, counter, &["a"]), [Some(1)], "{id}");
        seen = next;
    }
    // The stream is another one than the head says.
    redis.cli(&["DEL", "foghorn:stream:"]);
    redis.cli(&["XADD", "foghorn:stream:", "1-1", "x", "y"]);
    assert_eq!(board.append(&main(), seen, 3, vec![text("b")]), Ok(Answer::NotHere));
    assert_eq!(redis.cli(&["XLEN", "foghorn:stream:"]), "0", "nothing was appended there, and what is older is let go");
    let next = board.look_again(&main(), seen, None);
    assert_eq!(board.append_all(&main(), next, 3, &["b"]), [Some(1)]);
}

#[test]
fn an_epoch_that_is_seen_nowhere_else_comes_to_an_end_by_time() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let first = board.look(&channel("a"));
    board.append_all(&channel("a"), first, 1, &["a"]);
    board.fence(5);
    board.ask(Order::Join { channel: main(), id: 6 }).unwrap();
    board.ask(Order::WakeReader).unwrap();
    for (key, secs) in [
        ("stream:a", 604_800),
        ("head:a", 604_800),
        ("count:a", 604_800),
        ("fence::0000000000000005", 86_400),
        ("connections", 86_400),
        ("taken::0000000000000006", 86_400),
        ("wake:0000000000000001", 3_600),
    ] {
        let left: i64 = redis.cli(&["TTL", &format!("foghorn:{key}")]).parse().unwrap();
        assert!((secs - 100..=secs).contains(&left), "{key}: {left}");
    }
    redis.cli(&["EXPIRE", "foghorn:stream:a", "1000"]);
    let look = |is_use| Order::Look { channel: channel("a"), seen: None, is_strict: true, is_use };
    board.place(look(false));
    assert!(redis.cli(&["TTL", "foghorn:stream:a"]).parse::<i64>().unwrap() <= 1000);
    board.place(look(true));
    assert!(redis.cli(&["TTL", "foghorn:stream:a"]).parse::<i64>().unwrap() > 1000);
}

#[test]
fn there_are_only_so_many_channels_and_the_one_unused_for_longest_goes() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let old = board.look(&channel("old"));
    board.append_all(&channel("old"), old, 1, &["a"]);
    let now = redis.cli(&["TIME"]).lines().next().unwrap().to_owned();
    let fill = "for n = 1, 1023 do redis.call('ZADD', 'foghorn:channels', ARGV[1], 'c' .. n) end";
    redis.cli(&["EVAL", fill, "0", &now]);
    let look = Order::Look { channel: channel("new"), seen: None, is_strict: false, is_use: true };
    assert_eq!(board.ask(look.clone()), Err(Trouble::NoPlace));
    assert_eq!(redis.cli(&["EXISTS", "foghorn:stream:new", "foghorn:head:new"]), "0");
    board.look(&main());
    board.look(&channel("old"));
    let long_ago = (now.parse::<u64>().unwrap() - 301).to_string();
    redis.cli(&["ZADD", "foghorn:channels", &long_ago, "old"]);
    board.place(look.clone());
    assert_eq!(redis.cli(&["EXISTS", "foghorn:stream:old", "foghorn:head:old"]), "0");
    assert_eq!(redis.cli(&["ZCARD", "foghorn:channels"]), "1024");
    board.place(look);
}

#[test]
fn every_name_and_every_prefix_is_a_place_of_its_own() {
    let redis = Redis::start();
    let longest = "x".repeat(64);
    let names = ["a-z_09", "-", "_", "0", longest.as_str()];
    let channels: Vec<ChannelName> = [main()].into_iter().chain(names.map(channel)).collect();
    let prefixes = ["foghorn", "a b", "{x}:stream", "ä\r\n'\"*?[", "%s%d\\0"];
    let boards: Vec<Board> = prefixes.iter().map(|prefix| Board::join_as(redis.url(), prefix, 1)).collect();
    for (nth, board) in boards.iter().enumerate() {
        let streams: Vec<(&ChannelName, EntryId)> =
            channels.iter().map(|channel| (channel, board.look(channel))).collect();
        board.begin(1, &streams);
        for (channel, epoch) in &streams {
            let words = format!("{nth}{channel}");
            assert_eq!(board.append_all(channel, *epoch, 1, &[&words]), [Some(1)]);
        }
        for (channel, entry) in board.read(1, channels.len()) {
            assert_eq!(seen(&entry), format!("{nth}{channel}"));
        }
    }
}

#[test]
fn of_too_many_connections_the_first_to_come_is_forgotten() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    board.ask(Order::Join { channel: main(), id: 1 }).unwrap();
    board.fence(1);
    let others = "for nth = 1, 65535 do redis.call('ZADD', KEYS[1], '9999999999', 'x:' .. nth) end return 0";
    redis.cli(&["EVAL", others, "1", "foghorn:connections"]);
    assert_eq!((board.fence(1), redis.cli(&["ZCARD", "foghorn:connections"]).as_str()), (Some(0), "65536"));
    board.ask(Order::Join { channel: main(), id: 2 }).unwrap();
    assert_eq!(redis.cli(&["ZCARD", "foghorn:connections"]), "65536");
    assert_eq!(redis.cli(&["EXISTS", "foghorn:taken::0000000000000001", "foghorn:fence::0000000000000001"]), "0");
    assert_eq!(redis.cli(&["EXISTS", "foghorn:taken::0000000000000002"]), "1");
}

#[test]
fn boards_that_are_no_more_are_forgotten_when_there_are_many() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    board.append_all(&main(), epoch, 1, &["a"]);
    let others = "for nth = 1, 300 do redis.call('HSET', KEYS[1], 'x' .. nth, '5 1000') end return 0";
    redis.cli(&["EVAL", others, "1", "foghorn:count:"]);
    let look = |is_use| Order::Look { channel: main(), seen: None, is_strict: true, is_use };
    board.place(look(false));
    assert_eq!(redis.cli(&["HLEN", "foghorn:count:"]), "301");
    board.place(look(true));
    assert_eq!(redis.cli(&["HKEYS", "foghorn:count:"]), "0000000000000001", "it has just sent something");
    assert_eq!(board.append_all(&main(), epoch, 1, &["a"]), [None], "and that is known");
}
