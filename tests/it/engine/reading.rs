//! What is appended is read, by every board, in the order of the stream.

use super::*;

fn seen_all(came: Vec<(ChannelName, Entry)>) -> Vec<String> {
    came.into_iter().map(|(channel, entry)| format!("{channel} {} {}", entry.id.seq, seen(&entry))).collect()
}

#[test]
fn a_board_reads_what_it_and_others_append_and_begins_behind_what_it_has() {
    let redis = Redis::start();
    let (one, two) = (Board::join(&redis, 1), Board::join(&redis, 2));
    let epoch = one.look(&main());
    one.append_all(&main(), epoch, 1, &["a", "b", "c"]);
    one.begin(1, &[(&main(), EntryId { seq: 1, ..epoch })]);
    two.begin(9, &[(&main(), EntryId::default())]);
    assert_eq!(seen_all(one.read(1, 2)), [" 2 b", " 3 c"]);
    assert_eq!(seen_all(two.read(9, 4)), [" 0 -", " 1 a", " 2 b", " 3 c"]);
    two.append_all(&main(), epoch, 1, &["d"]);
    one.append_all(&main(), epoch, 4, &["e"]);
    for (board, number) in [(&one, 1), (&two, 9)] {
        let came = board.read(number, 2);
        let authors: Vec<Author> = came
            .iter()
            .map(|(_, entry)| match &entry.content {
                Content::Message { author, .. } => *author,
                content => panic!("{content:?}"),
            })
            .collect();
        assert_eq!(authors, [two.author(1), one.author(4)]);
        assert_eq!(seen_all(came), [" 4 d", " 5 e"]);
    }
}

#[test]
fn the_next_epoch_follows_in_the_same_stream() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let first = board.look(&main());
    board.begin(1, &[(&main(), first)]);
    redis.cli(&["DEL", "foghorn:stream:"]);
    let second = board.look_again(&main(), first, None);
    board.append_all(&main(), second, 1, &["a"]);
    let came = board.read(1, 2);
    assert_eq!([came[0].1.id, came[1].1.id], [second, EntryId { seq: 1, ..second }]);
    assert_eq!(came[0].1.content, Content::Marker);
}

#[test]
fn streams_are_added_and_left_while_it_reads() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let [a, b] = ["a", "b"].map(channel);
    let [in_a, in_b] = [&a, &b].map(|channel| board.look(channel));
    board.begin(1, &[]);
    board.append_all(&a, in_a, 1, &["x"]);
    board.link.read(ReadOrder::Read(a.clone(), in_a));
    assert_eq!(seen_all(board.read(1, 1)), ["a 1 x"]);
    board.link.read(ReadOrder::Leave(a.clone()));
    board.link.read(ReadOrder::Read(b.clone(), in_b));
    board.append_all(&b, in_b, 1, &["y"]);
    assert_eq!(seen_all(board.read(1, 1)), ["b 1 y"]);
    board.append_all(&a, in_a, 2, &["z"]);
    board.append_all(&b, in_b, 2, &["z"]);
    assert_eq!(seen_all(board.read(1, 1)), ["b 2 z"]);
    // From elsewhere on.
    board.link.read(ReadOrder::Read(b.clone(), in_b));
    assert_eq!(seen_all(board.read(1, 2)), ["b 1 y", "b 2 z"]);
    board.begin(2, &[(&a, in_a)]);
    assert_eq!(seen_all(board.read(2, 2)), ["a 1 x", "a 2 z"]);
}

#[test]
fn a_reader_that_waits_is_woken_for_what_it_is_asked_and_waits_again() {
    let redis = Redis::start();
    let board = Board::join(&redis, 0x2f);
    let waits = || {
        eventually("the reader waits", || {
            let clients = redis.cli(&["CLIENT", "LIST"]);
            clients.lines().any(|line| line.contains("cmd=xread") && line.contains("flags=b"))
        });
    };
    board.begin(1, &[]);
    waits();
    board.link.read(ReadOrder::Read(channel("a"), EntryId::default()));
    eventually("it is woken", || redis.cli(&["XLEN", "foghorn:wake:000000000000002f"]) == "1");
    waits();
}

#[test]
fn what_no_board_has_written_is_read_as_such() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    board.begin(1, &[(&main(), epoch)]);
    let id = format!("{}-*", epoch.epoch);
    let add = |fields: &[&[u8]]| {
        let words: [&[u8]; 3] = [b"XADD", b"foghorn:stream:", id.as_bytes()];
        redis.cli_bytes(&[&words, fields].concat());
    };
    add(&[b"x", b"y"]);
    add(&[b"m", b"000000000000002f 1 1", b"f", b"\x81\x04fog"]);
    add(&[b"m", b"000000000000002f 1 1", b"f", b"\x81\x03fog"]);
    assert_eq!(board.append_all(&main(), epoch, 1, &["a"]), [Some(4)]);
    assert_eq!(seen_all(board.read(1, 4)), [" 1 ?", " 2 ?", " 3 fog", " 4 a"]);
}

#[test]
fn what_is_not_taken_is_not_read_ahead_of_and_comes_later() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    board.begin(1, &[(&main(), epoch)]);
    let texts: Vec<String> = (1..=3000_u64).map(|nth| nth.to_string()).collect();
    for (nth, texts) in texts.chunks(100).enumerate() {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        board.append_all(&main(), epoch, 100 * nth as u64 + 1, &texts);
    }
    let came = board.read(1, 3000);
    assert!(came.iter().map(|(_, entry)| seen(entry)).eq(texts));
}

#[test]
fn of_many_channels_each_is_read() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let channels: Vec<ChannelName> = (0..300).map(|nth| channel(&nth.to_string())).collect();
    let streams: Vec<(&ChannelName, EntryId)> = channels.iter().map(|channel| (channel, board.look(channel))).collect();
    board.begin(1, &streams);
    for round in 1..=2 {
        for (channel, epoch) in &streams {
            board.append_all(channel, *epoch, round, &["x"]);
        }
        let mut came: Vec<ChannelName> = board.read(1, 300).into_iter().map(|(channel, _)| channel).collect();
        came.sort();
        let mut all = channels.clone();
        all.sort();
        assert_eq!(came, all);
    }
}

#[test]
fn a_reader_says_that_it_has_begun_before_anything_else() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    board.append_all(&main(), epoch, 1, &["a"]);
    for (number, streams) in [(1, &[][..]), (2, &[(&main(), epoch)])] {
        board.begin(number, streams);
        assert!(matches!(board.told(), ReadEvent::Begun(its) if its == number));
    }
    assert!(matches!(board.told(), ReadEvent::Entries(2, _)));
}

#[test]
fn a_reader_whose_connection_ends_says_so_and_begins_again_when_it_is_told() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    board.begin(1, &[(&main(), epoch)]);
    eventually("it reads", || redis.cli(&["CLIENT", "LIST"]).contains("cmd=xread"));
    let clients = redis.cli(&["CLIENT", "LIST"]);
    let reader = clients.lines().find(|line| line.contains("cmd=xread")).unwrap();
    let id = reader.split(' ').find_map(|word| word.strip_prefix("id=")).unwrap();
    redis.cli(&["CLIENT", "KILL", "ID", id]);
    assert!(matches!(board.next_read(), ReadEvent::Down(1, sentence) if sentence.contains("closed")));
    board.link.read(ReadOrder::Read(channel("lost"), EntryId::default()));
    board.append_all(&main(), epoch, 1, &["a"]);
    board.begin(2, &[(&main(), epoch)]);
    assert_eq!(seen_all(board.read(2, 1)), [" 1 a"]);
}
