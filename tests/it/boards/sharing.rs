//! What is said at one board is heard at all, in every way, in one order and under the same numbers.

use std::collections::BTreeMap;
use std::io::Write;
use std::thread;

use serde_json::{Value, json};

use crate::harness::{Client, Proxy, Redis, Response, Server, Stream, boards, eventually, masked, post, request};

fn position(response: &Response) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    response.header("Foghorn-Seq").expect("it says where").to_owned()
}

fn epoch_of(position: &str) -> &str {
    position.split(':').next().unwrap()
}

#[test]
fn what_one_board_is_sent_all_others_tell() {
    let redis = Redis::start();
    let boards = boards(3, &redis);
    let mut listeners: Vec<_> = boards.iter().map(|board| Client::join_at(board.address(), "/c/lights")).collect();
    let mut elsewhere: Vec<_> = boards.iter().map(Server::join).collect();
    for (nth, board) in boards.iter().enumerate() {
        let said = format!("from {nth}");
        Client::join_at(board.address(), "/c/lights").send_text(&said);
        for listener in &mut listeners {
            assert_eq!(listener.text(), said);
        }
    }
    elsewhere[0].send_text("main");
    for listener in &mut elsewhere {
        assert_eq!(listener.text(), "main", "and nothing of the channel");
    }
}

#[test]
fn text_and_binary_come_as_they_were_sent_whatever_their_length() {
    let redis = Redis::start();
    let boards = boards(2, &redis);
    let (mut speaker, mut listener) = (boards[0].join(), boards[1].join());
    for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let payload: Vec<u8> = (0..length).map(|nth: usize| nth.to_le_bytes()[0]).collect();
        speaker.send_binary(&payload);
        assert!(listener.binary() == payload, "{length} bytes");
        let text = "ü".repeat(length / 2);
        speaker.send_text(&text);
        assert!(listener.text() == text, "{length} bytes of text");
        assert!(speaker.binary() == payload && speaker.text() == text);
    }
}

#[test]
fn all_boards_have_one_order_and_numbers_without_a_gap() {
    const EACH: u64 = 400;
    let redis = Redis::start();
    let boards = boards(3, &redis);
    let mut streams: Vec<_> = boards.iter().map(|board| Stream::open(board, "/?as=json")).collect();
    thread::scope(|scope| {
        for (nth, board) in boards.iter().enumerate() {
            scope.spawn(move || {
                let speaker = Client::join_at(board.address(), "/?history=0");
                let mut writer = speaker.writer();
                thread::spawn(move || {
                    let mut speaker = speaker;
                    while speaker.try_frame().is_ok() {}
                });
                for number in 0..EACH {
                    writer.write_all(&masked(0x81, format!("{nth}-{number}").as_bytes())).unwrap();
                }
                eventually("all are in the log", || board.figure("/messages") == 3 * EACH);
            });
        }
    });
    let stories: Vec<Vec<(u64, String)>> = streams
        .iter_mut()
        .map(|stream| {
            let hello = stream.json();
            assert_eq!(hello["seq"], 0);
            (0..3 * EACH)
                .map(|_| {
                    let message = stream.json();
                    (message["seq"].as_u64().unwrap(), message["text"].as_str().unwrap().to_owned())
                })
                .collect()
        })
        .collect();
    assert!(stories.iter().all(|story| *story == stories[0]), "one story");
    assert!(stories[0].iter().map(|(seq, _)| *seq).eq(1..=3 * EACH), "without a gap");
    let mut next: BTreeMap<&str, u64> = BTreeMap::new();
    for (_, text) in &stories[0] {
        let (speaker, number) = text.split_once('-').unwrap();
        let expected = next.entry(speaker).or_default();
        assert_eq!(number.parse(), Ok(*expected), "each speaker's messages are in its order");
        *expected += 1;
    }
}

#[test]
fn a_post_says_where_it_is_for_all_boards() {
    let redis = Redis::start();
    let boards = boards(2, &redis);
    for number in 1..=6 {
        let board = &boards[number % 2];
        let answer = post(board, "/c/lights", "", number.to_string().as_bytes());
        assert!(position(&answer).ends_with(&format!(":{number}")), "{answer:?}");
    }
    for board in &boards {
        let last = board.get("/c/lights?last");
        assert_eq!((last.text().as_str(), position(&last).ends_with(":6")), ("6", true));
    }
}

#[test]
fn the_last_message_and_history_are_there_at_a_board_that_has_never_had_the_channel() {
    let redis = Redis::start();
    let boards = boards(2, &redis);
    let position_there: Vec<String> =
        ["one", "two", "three"].map(|text| position(&post(&boards[0], "/c/lights", "", text.as_bytes()))).into();
    let last = boards[1].get("/c/lights?last");
    assert_eq!((last.text().as_str(), position(&last)), ("three", position_there[2].clone()));
    assert_eq!(boards[1].figure("/channels"), 1, "a look makes no channel");
    assert_eq!(boards[1].get("/c/nothing?last").status, 204);
    let mut listener = Client::join_at(boards[1].address(), "/c/lights?history=2");
    assert_eq!([listener.text(), listener.text()], ["two", "three"]);
    let mut stream = Stream::open(&boards[1], &format!("/c/lights?as=json&after={}", position_there[0]));
    assert_eq!(stream.json()["lost"], 0);
    assert_eq!([stream.json(), stream.json()].map(|message| message["text"].clone()), ["two", "three"]);
}

#[test]
fn a_board_that_comes_later_has_what_was_said_before_it() {
    let redis = Redis::start();
    let first = boards(1, &redis);
    for number in 1..=50 {
        post(&first[0], "/", "", number.to_string().as_bytes());
    }
    let second = boards(1, &redis);
    let mut listener = Client::join_at(second[0].address(), "/?history=3");
    for expected in ["48", "49", "50"] {
        assert_eq!(listener.text(), expected);
    }
    let [status, other] = [&first[0], &second[0]].map(|board| board.get("/?status").text());
    let [status, other]: [Value; 2] = [status, other].map(|text| serde_json::from_str(&text).unwrap());
    assert_eq!((&status["epoch"], &status["head"]), (&other["epoch"], &json!(50)));
    assert_eq!(
        (&other["head"], &other["messages"]),
        (&json!(50), &json!(0)),
        "nothing was published since it is there"
    );
}

#[test]
fn who_wants_no_echo_gets_none_of_its_own_and_all_of_the_others() {
    let redis = Redis::start();
    let boards = boards(2, &redis);
    let mut quiet = Client::join_at(boards[0].address(), "/?echo=0");
    let mut others = [boards[0].join(), boards[1].join()];
    quiet.send_text("mine");
    for other in &mut others {
        assert_eq!(other.text(), "mine");
    }
    others[1].send_text("theirs");
    assert_eq!(quiet.text(), "theirs");
}

#[test]
fn to_delete_at_one_board_begins_a_new_epoch_at_all() {
    let redis = Redis::start();
    let boards = boards(2, &redis);
    let before = position(&post(&boards[0], "/c/lights", "", b"old"));
    let mut plain = Client::join_at(boards[1].address(), "/c/lights");
    let mut events = Stream::open(&boards[1], "/c/lights?as=events");
    assert_eq!(events.event().kind, "hello");
    let mut counting = Client::connect(boards[1].address());
    counting.upgrade(boards[1].address(), "/c/lights", "Sec-WebSocket-Protocol: foghorn.v1\r\n");
    counting.text();
    let deleted = request(boards[0].address(), "DELETE", "/c/lights", "");
    let after = position(&deleted);
    assert!(epoch_of(&after) != epoch_of(&before) && after.ends_with(":0"), "{after}");
    assert_eq!(counting.closed_with(), Some(1012));
    let hello = events.event();
    assert_eq!((hello.kind.as_str(), hello.id.as_str()), ("hello", after.as_str()));
    let new = position(&post(&boards[1], "/c/lights", "", b"new"));
    assert_eq!(new, format!("{}:1", epoch_of(&after)));
    assert_eq!((plain.text().as_str(), events.event().data.as_str()), ("new", "new"));
    let mut newcomer = Client::join_at(boards[0].address(), "/c/lights?history=9");
    assert_eq!(newcomer.text(), "new");
    assert_eq!(request(boards[0].address(), "DELETE", "/c/nothing", "").status, 204);
}

#[test]
fn a_channel_that_no_board_has_can_be_deleted_by_its_name() {
    let redis = Redis::start();
    {
        let boards = boards(1, &redis);
        post(&boards[0], "/c/lights", "", b"old");
    }
    let boards = boards(1, &redis);
    position(&request(boards[0].address(), "DELETE", "/c/lights", ""));
    assert_eq!(boards[0].get("/c/lights?last").status, 204);
}

#[test]
fn boards_with_another_prefix_hear_nothing() {
    let redis = Redis::start();
    let board = boards(1, &redis);
    let other = Server::start(&["--redis", &redis.unix_url(), "--redis-prefix", "other"]);
    let mut listener = other.join();
    post(&board[0], "/", "", b"not for you");
    post(&other, "/", "", b"for you");
    assert_eq!(listener.text(), "for you");
}

#[test]
fn a_message_that_is_too_large_for_another_board_is_missed_there_and_counted() {
    let redis = Redis::start();
    let boards = [("4MiB", "1MiB"), ("64KiB", "16KiB")].map(|(backlog, message)| {
        Server::start(&["--redis", &redis.url(), "--backlog", backlog, "--max-message", message])
    });
    let mut plain = boards[1].join();
    let mut counting = Client::connect(boards[1].address());
    counting.upgrade(boards[1].address(), "/", "Sec-WebSocket-Protocol: foghorn.v1\r\n");
    counting.text();
    post(&boards[0], "/", "", b"small");
    assert_eq!((plain.text().as_str(), counting.text().as_str()), ("small", "small"));
    post(&boards[0], "/", "", &vec![b'x'; 100_000]);
    let place = position(&post(&boards[0], "/", "", b"small again"));
    assert_eq!(plain.text(), "small again");
    assert_eq!(counting.closed_with(), Some(1012));
    boards[1].wait_for_log("give all boards the same --backlog");
    let mut back = Client::connect(boards[1].address());
    let after = format!("/?after={}:1", epoch_of(&place));
    back.upgrade(boards[1].address(), &after, "Sec-WebSocket-Protocol: foghorn.v1\r\n");
    let hello: Value = serde_json::from_str(&back.text()).unwrap();
    assert_eq!((&hello["lost"], &hello["seq"], &hello["head"]), (&json!(1), &json!(2), &json!(3)));
    assert_eq!(back.text(), "small again");
}

#[test]
fn a_channel_that_gave_way_to_another_and_comes_back_has_all_that_was_said_and_takes_more() {
    let redis = Redis::start();
    let board = Server::start(&["--redis", &redis.url(), "--max-channels", "1"]);
    for number in 1..=5 {
        post(&board, "/c/a", "", number.to_string().as_bytes());
    }
    post(&board, "/c/b", "", b"in its place");
    assert!(position(&post(&board, "/c/a", "", b"6")).ends_with(":6"));
    let mut listener = Client::join_at(board.address(), "/c/a?history=9");
    for number in 1..=6 {
        assert_eq!(listener.text(), number.to_string());
    }
}

#[test]
fn a_channel_that_somebody_waits_for_gives_way_to_no_other() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.address());
    let board = Server::start(&["--redis", &redis.url_at(proxy.address()), "--max-channels", "1"]);
    post(&board, "/", "", b"it is connected");
    proxy.hold();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| post(&board, "/c/a", "", b"1"));
        eventually("it is there, and nobody knows where", || board.figure("/channels") == 2);
        let refused = post(&board, "/c/b", "", b"in its place");
        assert!(refused.status == 503 && refused.text().contains("All places for channels"), "{refused:?}");
        proxy.go_on();
        assert!(position(&waiting.join().unwrap()).ends_with(":1"));
    });
}

#[test]
fn a_deletion_that_redis_refuses_was_not_done_and_one_that_it_has_not_answered_may_be() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.address());
    let board = Server::start(&["--redis", &redis.url_at(proxy.address())]);
    post(&board, "/c/a", "", b"1");
    let delete = || request(board.address(), "DELETE", "/c/a", "").status;
    redis.cli(&["ACL", "SETUSER", "default", "-xadd"]);
    assert_eq!(delete(), 503);
    redis.cli(&["ACL", "SETUSER", "default", "+xadd"]);
    assert_eq!(board.get("/c/a?last").text(), "1");
    proxy.hold();
    assert_eq!(delete(), 504);
    proxy.go_on();
    eventually("it was done", || board.get("/c/a?last").status == 204);
}
