//! Redis fails in every way in which it can: who listens keeps what it has and misses nothing, who sends waits or is told, who comes is told
//! when to come back, and whoever runs the server is told what to do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use crate::harness::{
    At, Client, Cut, How, Launch, Proxy, Redis, Response, Server, Stream, Way, eventually, post, request_head, resume,
};

/// How the answer begins with which Redis says that messages are appended.
const APPENDED: &[u8] = b"*4\r\n$1\r\n1\r\n";
/// What Redis cannot be reached at, while it does not run.
const NOBODY_LISTENS: &str = "nothing listens there; is Redis running?";
const CLOSED: &str = "Redis has closed the connection";
const SILENT: &str = "Redis has not answered for 5 s";

/// A board that is told of this Redis, and does not wait for it. Nothing but what is said comes from it.
fn start(url: &str, args: &[&str]) -> Server {
    Launch::new(&[&["--redis", url, "--heartbeat", "0"], args].concat()).start()
}

fn redis_url(address: SocketAddr) -> String {
    format!("redis://{address}")
}

fn word(board: &Server, pointer: &str) -> String {
    board.status().pointer(pointer).and_then(|word| word.as_str()).unwrap_or_default().to_owned()
}

fn is_up(board: &Server) -> bool {
    let metrics = board.get("/metrics").text();
    let figure =
        metrics.lines().find_map(|line| line.strip_prefix("foghorn_redis_up ")).expect("there is such a figure");
    figure == "1"
}

fn wait_until_connected(board: &Server) {
    eventually("the board is connected", || word(board, "/redis/state") == "connected");
    assert!(is_up(board));
}

/// Waits until the board says that Redis is away, and why.
fn wait_until_away(board: &Server, problem: &str) {
    eventually(&format!("the problem is {problem:?}"), || word(board, "/redis/problem").contains(problem));
    eventually("it is away", || !is_up(board));
    assert_ne!(word(board, "/redis/state"), "connected");
}

/// Waits until the board says that it is connected all the same, and what is wrong.
fn wait_for_problem(board: &Server, problem: &str) {
    eventually(&format!("the problem is {problem:?}"), || word(board, "/redis/problem").contains(problem));
    assert_eq!(word(board, "/redis/state"), "connected");
    assert!(is_up(board));
}

/// All is well again, and it was told once what was wrong.
fn expect_told_once(board: &Server, problem: &str) {
    wait_until_connected(board);
    eventually("it has no problem any more", || board.status().pointer("/redis/problem").unwrap().is_null());
    let log = board.log();
    assert_eq!(log.lines().filter(|line| line.contains(problem)).count(), 1, "{problem:?} in {log}");
}

/// Says this as somebody who hears nothing, and stays until it is heard.
fn speaker(board: &Server) -> Client {
    Client::join_at(board.address(), "/?echo=0")
}

/// Waits until so many messages of a board are on their way.
fn wait_until_under_way(board: &Server, count: u64) {
    board.wait_for_figure("/redis/messagesWaiting", count);
}

fn expect_not_done(response: &Response) {
    assert_eq!(response.status, 503, "{}", response.text());
    assert!(response.text().contains("nothing was done, try again"), "{}", response.text());
    assert_eq!(response.header("Retry-After"), Some("5"));
}

/// Nobody is let into a channel that this board has not read, and each is told so that it comes back.
fn expect_no_entry(board: &Server, path: &str) {
    let at = board.address();
    let mut counting = Client::connect(at);
    counting.upgrade(at, path, "Sec-WebSocket-Protocol: foghorn.v1\r\n");
    counting.expect_close(1013);
    expect_not_done(&Client::connect(at).try_upgrade(at, path, ""));
    let mut browser = Client::connect(at);
    browser.send(request_head(at, "GET", &format!("{path}?as=events"), "").as_bytes());
    assert_eq!(browser.response(true).status, 200);
    let rest = browser.rest();
    assert_eq!(String::from_utf8_lossy(&rest), "retry: 5000\n\n");
    assert_eq!(board.get("/").status, 200, "the page is served");
}

/// All get these next.
fn expect_all<'a>(listeners: impl IntoIterator<Item = &'a mut Listeners>, texts: &[&str]) {
    for its in listeners {
        its.expect(texts);
    }
}

/// Who listens at a board in each way: a plain client, one that counts, and a browser's stream.
struct Listeners {
    at: SocketAddr,
    plain: Client,
    counting: Client,
    id: String,
    stream: Stream,
    /// The position of the last message.
    epoch: String,
    seq: u64,
}

impl Listeners {
    /// Joins the main channel, of which nothing is told that was said before.
    fn at(board: &Server) -> Self {
        wait_until_connected(board);
        let (counting, hello) = resume(board, "/");
        let word = |name: &str| hello[name].as_str().expect("a word").to_owned();
        let mut stream = Stream::open(board, "/?as=events");
        assert_eq!(stream.event().kind, "hello");
        let (id, epoch, seq) = (word("id"), word("epoch"), hello["seq"].as_u64().expect("a number"));
        Self { at: board.address(), plain: board.join(), counting, id, stream, epoch, seq }
    }

    /// Each gets these next, and nothing between.
    fn expect(&mut self, texts: &[&str]) {
        for text in texts {
            self.seq += 1;
            assert_eq!(self.plain.text(), *text);
            assert_eq!(self.counting.text(), *text);
            let event = self.stream.event();
            assert_eq!((event.data.as_str(), event.id), (*text, format!("{}:{}", self.epoch, self.seq)));
        }
    }

    /// Those that count are told that numbers begin again. The plain client is told nothing.
    fn expect_new_epoch(&mut self, board: &Server) {
        assert_eq!(board.address(), self.at, "it is theirs");
        self.counting.expect_close(1012);
        let path = format!("/?after={}:{}&replaces={}&history=1000", self.epoch, self.seq, self.id);
        let (counting, hello) = resume(board, &path);
        let new = hello["epoch"].as_str().expect("a word").to_owned();
        let number = |epoch: &str| epoch.parse::<u64>().expect("a number");
        assert!(number(&new) > number(&self.epoch), "{new} comes behind {}", self.epoch);
        assert!(hello["lost"].is_null() && hello["seq"] == 0, "what it has heard is nothing to this epoch: {hello}");
        let event = self.stream.event();
        assert_eq!((event.kind.as_str(), event.id), ("hello", format!("{new}:0")));
        (self.counting, self.epoch, self.seq) = (counting, new, 0);
    }
}

/// What was under way when this connection of a board broke there. The first connection is the one that appends, the second reads.
fn break_once(nth: usize, at: At, how: How) {
    let redis = Redis::start();
    let network = Proxy::cutting(redis.address(), move |its| (its == nth).then_some(Cut { at, how }));
    let (near, far) = (start(&redis.url_at(network.address()), &[]), start(&redis.url(), &[]));
    let (mut here, mut there) = (Listeners::at(&near), Listeners::at(&far));
    let mut speaker = speaker(&near);
    let posted = post(&near, "/", "", b"message-1");
    assert_eq!(posted.status, 200, "{}", posted.text());
    assert_eq!(posted.header("Foghorn-Seq"), Some(&*format!("{}:1", here.epoch)));
    speaker.send_text("message-2");
    speaker.send_text("message-3");
    expect_all([&mut here, &mut there], &["message-1", "message-2", "message-3"]);
    assert_eq!(post(&far, "/", "", b"message-4").status, 200);
    expect_all([&mut here, &mut there], &["message-4"]);
    expect_told_once(&near, CLOSED);
    assert_eq!([&near, &far].map(|board| board.figure("/redis/connections")), [2, 1]);
}

#[test]
fn what_was_on_its_way_to_redis_is_sent_again() {
    for how in [How::Reset, How::End] {
        break_once(0, At::Before(Way::Up, b"message-1"), how);
        break_once(0, At::Before(Way::Up, b"message-2"), how);
    }
}

#[test]
fn what_redis_has_is_not_appended_twice_although_its_answer_is_lost() {
    for how in [How::Reset, How::End] {
        break_once(0, At::Before(Way::Down, APPENDED), how);
    }
}

#[test]
fn a_post_that_was_under_way_when_the_connection_broke_may_have_arrived_and_one_behind_it_has_not() {
    let redis = Redis::start();
    // Neither that it is appended nor itself comes through.
    let network = Proxy::cutting(redis.address(), |nth| {
        let before = [APPENDED, b"it has arrived"].get(nth)?;
        Some(Cut { at: At::Before(Way::Down, before), how: How::End })
    });
    let (near, far) = (start(&redis.url_at(network.address()), &[]), start(&redis.url(), &[]));
    let (mut here, mut there) = (Listeners::at(&near), Listeners::at(&far));
    let mut speaker = speaker(&near);
    network.lead_nowhere();
    thread::scope(|scope| {
        let under_way = scope.spawn(|| post(&near, "/", "", b"it has arrived"));
        there.expect(&["it has arrived"]);
        wait_until_away(&near, CLOSED);
        speaker.send_text("behind it");
        expect_not_done(&post(&near, "/", "", b"certainly not"));
        assert_eq!(under_way.join().unwrap().status, 504);
    });
    network.lead_to(redis.address());
    here.expect(&["it has arrived", "behind it"]);
    there.expect(&["behind it"]);
}

#[test]
fn what_was_read_when_the_other_connection_broke_is_read_again() {
    for how in [How::Reset, How::End] {
        break_once(1, At::Before(Way::Down, b"message-1"), how);
        break_once(1, At::Before(Way::Down, b"message-3"), how);
    }
}

#[test]
fn a_connection_that_breaks_again_and_again_costs_no_message() {
    const MESSAGES: u64 = 600;
    let redis = Redis::start();
    let network = Proxy::to(redis.address());
    let (near, far) = (start(&redis.url_at(network.address()), &[]), start(&redis.url(), &[]));
    let (mut here, mut there) = (Listeners::at(&near), Listeners::at(&far));
    let mut speaker = speaker(&near);
    for number in 0..MESSAGES {
        if number % 150 == 75 {
            network.break_all(if number % 300 == 75 { How::Reset } else { How::End });
        }
        speaker.send_text(&number.to_string());
        if number % 100 == 0 {
            eventually("some of it gets through", || near.figure("/messages") > number);
        }
    }
    for number in 0..MESSAGES {
        expect_all([&mut here, &mut there], &[&number.to_string()]);
    }
    assert_eq!(here.epoch, there.epoch);
}

#[test]
fn what_a_slow_network_holds_comes_when_it_goes_on() {
    let redis = Redis::start();
    let network = Proxy::to(redis.address());
    let (near, far) = (start(&redis.url_at(network.address()), &[]), start(&redis.url(), &[]));
    let (mut here, mut there) = (Listeners::at(&near), Listeners::at(&far));
    network.hold();
    let mut speaker = speaker(&near);
    for text in ["1", "2"] {
        speaker.send_text(text);
    }
    wait_until_under_way(&near, 2);
    thread::scope(|scope| {
        let posted = scope.spawn(|| post(&near, "/", "", b"3"));
        wait_until_under_way(&near, 3);
        // Longer than the reader waits for something new, and not as long as anything may take.
        thread::sleep(Duration::from_secs(2));
        network.go_on();
        assert_eq!(posted.join().unwrap().status, 200);
    });
    expect_all([&mut here, &mut there], &["1", "2", "3"]);
    assert_eq!(post(&far, "/", "", b"4").status, 200);
    expect_all([&mut here, &mut there], &["4"]);
}

#[test]
fn what_redis_does_after_it_stood_still_is_done_once() {
    let redis = Redis::start();
    let (near, far) = (start(&redis.url(), &[]), start(&redis.url(), &[]));
    let (mut here, mut there) = (Listeners::at(&near), Listeners::at(&far));
    let mut speaker = speaker(&near);
    redis.stop();
    thread::scope(|scope| {
        let under_way = scope.spawn(|| post(&near, "/", "", b"it may come"));
        wait_until_under_way(&near, 1);
        speaker.send_text("late");
        wait_until_under_way(&near, 2);
        let behind = scope.spawn(|| post(&near, "/", "", b"certainly not"));
        let unsure = under_way.join().unwrap();
        assert_eq!(unsure.status, 504, "{}", unsure.text());
        assert!(unsure.text().contains("may be done, or may still come"), "{}", unsure.text());
        expect_not_done(&behind.join().unwrap());
    });
    for board in [&near, &far] {
        wait_until_away(board, SILENT);
        expect_no_entry(board, "/c/new");
    }
    redis.cont();
    expect_all([&mut here, &mut there], &["it may come", "late"]);
    wait_until_connected(&far);
    assert_eq!(post(&far, "/", "", b"in time").status, 200);
    expect_all([&mut here, &mut there], &["in time"]);
    expect_told_once(&near, SILENT);
}

#[test]
fn a_redis_that_lost_nothing_goes_on_in_the_same_epoch() {
    let mut redis = Redis::lasting();
    let boards = [start(&redis.url(), &[]), start(&redis.url(), &[])];
    let mut listeners = boards.each_ref().map(Listeners::at);
    let mut speaker = speaker(&boards[0]);
    speaker.send_text("1");
    expect_all(&mut listeners, &["1"]);
    redis.kill();
    speaker.send_text("2");
    for board in &boards {
        wait_until_away(board, NOBODY_LISTENS);
    }
    // Its failing tries to connect are told once, however many there are.
    expect_not_done(&post(&boards[1], "/", "", b"in vain"));
    expect_no_entry(&boards[0], "/c/new");
    // What a board has is told by it.
    let (mut late, hello) = resume(&boards[0], &format!("/?after={}:0", listeners[0].epoch));
    assert_eq!((hello["head"].as_u64(), late.text()), (Some(1), "1".to_owned()));
    redis.start_again();
    expect_all(&mut listeners, &["2"]);
    wait_until_connected(&boards[1]);
    assert_eq!(post(&boards[1], "/", "", b"3").status, 200);
    expect_all(&mut listeners, &["3"]);
    assert_eq!([late.text(), late.text()], ["2", "3"]);
    for board in &boards {
        expect_told_once(board, NOBODY_LISTENS);
    }
}

#[test]
fn a_redis_that_lost_all_begins_an_epoch_that_is_the_same_for_all() {
    let mut redis = Redis::start();
    let boards = [start(&redis.url(), &[]), start(&redis.url(), &[]), start(&redis.url(), &[])];
    let mut listeners = boards.each_ref().map(Listeners::at);
    let _lights = boards.each_ref().map(|board| Client::join_at(board.address(), "/c/lights"));
    let (_, lights_before) = resume(&boards[0], "/c/lights");
    let mut speaker = speaker(&boards[0]);
    for text in ["1", "2"] {
        speaker.send_text(text);
    }
    expect_all(&mut listeners, &["1", "2"]);
    redis.kill();
    wait_until_away(&boards[0], NOBODY_LISTENS);
    speaker.send_text("under way");
    wait_until_under_way(&boards[0], 1);
    redis.start_again();
    for (board, its) in boards.iter().zip(&mut listeners) {
        its.expect_new_epoch(board);
        its.expect(&["under way"]);
    }
    assert_eq!(post(&boards[1], "/", "", b"and on").status, 200);
    expect_all(&mut listeners, &["and on"]);
    assert!(listeners.iter().all(|its| its.epoch == listeners[0].epoch), "they agree");
    let epochs = boards.each_ref().map(|board| resume(board, "/c/lights").1["epoch"].clone());
    assert!(epochs.iter().all(|epoch| *epoch == epochs[0] && *epoch != lights_before["epoch"]), "{epochs:?}");
}

#[test]
fn a_redis_that_was_restored_begins_an_epoch_behind_that_which_was_heard() {
    let mut redis = Redis::start();
    let boards = [start(&redis.url(), &[]), start(&redis.url(), &[])];
    let mut listeners = boards.each_ref().map(Listeners::at);
    let mut speaker = speaker(&boards[0]);
    speaker.send_text("1");
    expect_all(&mut listeners, &["1"]);
    let snapshot = redis.snapshot();
    speaker.send_text("2");
    expect_all(&mut listeners, &["2"]);
    redis.restore(&snapshot);
    for (board, its) in boards.iter().zip(&mut listeners) {
        its.expect_new_epoch(board);
    }
    speaker.send_text("3");
    assert_eq!(listeners[0].epoch, listeners[1].epoch);
    expect_all(&mut listeners, &["3"]);
}

#[test]
fn no_number_is_told_for_two_messages_although_a_restored_redis_goes_on_with_a_board_that_knows_nothing_of_it() {
    let mut redis = Redis::start();
    let network = Proxy::to(redis.address());
    let near = start(&redis.url_at(network.address()), &[]);
    let mut here = Listeners::at(&near);
    assert_eq!(post(&near, "/", "", b"1").status, 200);
    let snapshot = redis.snapshot();
    assert_eq!(post(&near, "/", "", b"2").status, 200);
    here.expect(&["1", "2"]);
    network.lead_nowhere();
    network.break_all(How::End);
    wait_until_away(&near, CLOSED);
    redis.restore(&snapshot);
    let other = start(&redis.url(), &[]);
    let mut there = Listeners::at(&other);
    assert_eq!((&there.epoch, there.seq), (&here.epoch, 1), "nothing tells it that there was a second");
    for text in ["another 2", "another 3"] {
        assert_eq!(post(&other, "/", "", text.as_bytes()).status, 200);
    }
    there.expect(&["another 2", "another 3"]);
    network.lead_to(redis.address());
    here.expect_new_epoch(&near);
    there.expect_new_epoch(&other);
    assert_eq!(here.epoch, there.epoch);
    assert_eq!(post(&near, "/", "", b"common").status, 200);
    here.expect(&["common"]);
    there.expect(&["common"]);
}

#[test]
fn what_does_not_fit_into_its_memory_waits_until_there_is_room() {
    const FULL: &str = "Redis is out of memory: raise its maxmemory, or delete something there";
    let redis = Redis::start();
    let boards = [start(&redis.url(), &[]), start(&redis.url(), &[])];
    let mut listeners = boards.each_ref().map(Listeners::at);
    assert_eq!(post(&boards[1], "/", "", b"1").status, 200);
    redis.cli(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let mut speaker = speaker(&boards[0]);
    speaker.send_text("2");
    wait_for_problem(&boards[0], FULL);
    expect_not_done(&post(&boards[0], "/", "", b"in vain"));
    assert_eq!(boards[1].status().pointer("/redis/problem"), Some(&serde_json::Value::Null), "it has sent nothing");
    // Whoever comes is let in: nothing of what is there is in doubt.
    let (_newcomer, hello) = resume(&boards[0], "/c/new");
    assert_eq!(hello["head"], 0);
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    expect_all(&mut listeners, &["1", "2"]);
    assert_eq!(post(&boards[0], "/", "", b"3").status, 200);
    expect_all(&mut listeners, &["3"]);
    expect_told_once(&boards[0], FULL);
}

/// What is said of a replica.
const REPLICA: &str = "Redis is a replica here, and takes no messages: name its primary in --redis";

#[test]
fn a_redis_that_becomes_a_replica_takes_no_messages_until_it_is_none() {
    let redis = Redis::start();
    let boards = [start(&redis.url(), &[]), start(&redis.url(), &[])];
    let mut listeners = boards.each_ref().map(Listeners::at);
    assert_eq!(post(&boards[1], "/", "", b"1").status, 200);
    // Of one that nobody reaches: so it keeps what it has.
    redis.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    for board in &boards {
        wait_until_away(board, REPLICA);
        expect_no_entry(board, "/c/new");
    }
    let mut speaker = speaker(&boards[0]);
    speaker.send_text("2");
    expect_not_done(&post(&boards[1], "/", "", b"in vain"));
    redis.cli(&["REPLICAOF", "NO", "ONE"]);
    expect_all(&mut listeners, &["1", "2"]);
    wait_until_connected(&boards[1]);
    assert_eq!(post(&boards[1], "/", "", b"3").status, 200);
    expect_all(&mut listeners, &["3"]);
    for board in &boards {
        expect_told_once(board, REPLICA);
    }
}

#[test]
fn a_replica_that_takes_over_goes_on_in_the_same_epoch() {
    let mut primary = Redis::start();
    let replica = Redis::with(&[("replicaof", &format!("127.0.0.1 {}", primary.address().port()))]);
    let network = Proxy::to(primary.address());
    let board = start(&redis_url(network.address()), &[]);
    let mut listeners = Listeners::at(&board);
    assert_eq!(post(&board, "/", "", b"1").status, 200);
    eventually("the replica has it", || {
        replica.try_cli(&["XLEN", "foghorn:stream:"]).is_ok_and(|entries| entries == "2")
    });
    primary.kill();
    network.lead_to(replica.address());
    wait_until_away(&board, REPLICA);
    let mut speaker = speaker(&board);
    speaker.send_text("2");
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    listeners.expect(&["1", "2"]);
}

#[test]
fn a_replica_is_never_taken_for_its_primary() {
    let primary = Redis::start();
    let replica = Redis::with(&[("replicaof", &format!("127.0.0.1 {}", primary.address().port()))]);
    let board = start(&replica.url(), &[]);
    wait_until_away(&board, REPLICA);
    expect_no_entry(&board, "/");
    replica.cli(&["REPLICAOF", "NO", "ONE"]);
    let mut listeners = Listeners::at(&board);
    assert_eq!(post(&board, "/", "", b"1").status, 200);
    listeners.expect(&["1"]);
    expect_told_once(&board, REPLICA);
}

#[test]
fn a_channel_that_somebody_deletes_in_redis_begins_anew_although_nobody_says_anything() {
    let redis = Redis::start();
    let boards = [start(&redis.url(), &[]), start(&redis.url(), &[])];
    let mut listeners = boards.each_ref().map(Listeners::at);
    let lights = boards.each_ref().map(|board| resume(board, "/c/lights"));
    assert_eq!(lights[0].1["epoch"], lights[1].1["epoch"]);
    assert_eq!(post(&boards[0], "/", "", b"1").status, 200);
    expect_all(&mut listeners, &["1"]);
    for command in [&["DEL", "foghorn:stream:"][..], &["DEL", "foghorn:head:"], &["FLUSHALL"]] {
        redis.cli(command);
        for (board, its) in boards.iter().zip(&mut listeners) {
            its.expect_new_epoch(board);
        }
        assert_eq!(listeners[0].epoch, listeners[1].epoch, "{command:?}");
        for (nth, text) in [(0, "one"), (1, "two")] {
            assert_eq!(post(&boards[nth], "/", "", text.as_bytes()).status, 200);
            expect_all(&mut listeners, &[text]);
        }
    }
    // Only the last of these has deleted all.
    let epochs = boards.each_ref().map(|board| resume(board, "/c/lights").1["epoch"].clone());
    assert!(epochs[0] == epochs[1] && epochs[0] != lights[0].1["epoch"], "{epochs:?}");
    for (mut client, _) in lights {
        client.expect_close(1012);
    }
}

/// What is said of a password that is not the one.
const WRONG_PASSWORD: &str = "Redis refuses the password, or its user: correct them in --redis";

#[test]
fn a_wrong_password_is_said_and_when_it_is_the_right_one_all_works() {
    let redis = Redis::with(&[("requirepass", "hunter1")]);
    let board = start(&format!("redis://:hunter2@{}", redis.address()), &[]);
    wait_until_away(&board, WRONG_PASSWORD);
    expect_no_entry(&board, "/");
    eventually("it has tried again and again", || refusals(&redis) >= 4);
    redis.cli(&["CONFIG", "SET", "requirepass", "hunter2"]);
    let mut listeners = Listeners::at(&board);
    assert_eq!(post(&board, "/", "", b"1").status, 200);
    listeners.expect(&["1"]);
    expect_told_once(&board, WRONG_PASSWORD);
    assert!(!board.log().contains("hunter2") && !board.status().to_string().contains("hunter2"));
}

#[test]
fn one_without_a_password_says_that_redis_wants_one() {
    let redis = Redis::with(&[("requirepass", "hunter1")]);
    let board = start(&redis_url(redis.address()), &[]);
    wait_until_away(&board, "Redis wants a password: write it into --redis");
    expect_no_entry(&board, "/");
}

#[test]
fn a_password_that_is_changed_keeps_the_board_out_until_it_is_changed_back() {
    let redis = Redis::with(&[("requirepass", "hunter1")]);
    let board = start(&redis.url(), &[]);
    let mut listeners = Listeners::at(&board);
    assert_eq!(post(&board, "/", "", b"1").status, 200);
    redis.cli(&["CONFIG", "SET", "requirepass", "hunter2"]);
    redis.cli(&["-a", "hunter2", "CLIENT", "KILL", "TYPE", "normal"]);
    wait_until_away(&board, WRONG_PASSWORD);
    let mut speaker = speaker(&board);
    speaker.send_text("2");
    expect_not_done(&post(&board, "/", "", b"in vain"));
    redis.cli(&["-a", "hunter2", "CONFIG", "SET", "requirepass", "hunter1"]);
    listeners.expect(&["1", "2"]);
    expect_told_once(&board, WRONG_PASSWORD);
}

/// What is said of a user who may not do something.
const NOT_ALLOWED: &str = "Redis does not let this user do what Foghorn needs";

/// How often somebody was refused something.
fn refusals(redis: &Redis) -> u64 {
    let log = redis.cli(&["ACL", "LOG"]);
    let behind_count = |pair: &[&str]| (pair[0] == "count").then(|| pair[1].parse::<u64>().expect("a number"));
    log.lines().collect::<Vec<_>>().windows(2).filter_map(behind_count).sum()
}

#[test]
fn a_user_who_may_not_append_is_told_so_and_may_again() {
    let redis = Redis::start();
    redis.cli(&["ACL", "SETUSER", "board", "on", ">secret", "~foghorn:*", "+@all"]);
    let url = format!("redis://board:secret@{}", redis.address());
    let boards = [start(&url, &[]), start(&redis.url(), &[])];
    let mut listeners = boards.each_ref().map(Listeners::at);
    assert_eq!(post(&boards[0], "/", "", b"1").status, 200);
    redis.cli(&["ACL", "SETUSER", "board", "-xadd"]);
    let mut speaker = speaker(&boards[0]);
    speaker.send_text("behind");
    wait_for_problem(&boards[0], NOT_ALLOWED);
    expect_not_done(&post(&boards[0], "/", "", b"in vain"));
    expect_no_entry(&boards[0], "/c/new");
    assert_eq!(post(&boards[1], "/", "", b"2").status, 200, "the other one may");
    expect_all(&mut listeners, &["1", "2"]);
    redis.cli(&["ACL", "SETUSER", "board", "+xadd"]);
    expect_all(&mut listeners, &["behind"]);
    expect_told_once(&boards[0], NOT_ALLOWED);
}

#[test]
fn a_user_who_may_do_nothing_is_told_so_and_gets_in_when_it_may() {
    for rights in ["-xadd", "-@scripting", "-xread", "resetkeys", "nocommands"] {
        let redis = Redis::start();
        redis.cli(&["ACL", "SETUSER", "board", "on", ">secret", "~foghorn:*", "+@all", rights]);
        let board = start(&format!("redis://board:secret@{}", redis.address()), &[]);
        eventually(&format!("it says so: {rights}"), || word(&board, "/redis/problem").contains(NOT_ALLOWED));
        // Without an answer from the reader each of them waits until the time is over.
        if rights != "-xread" {
            expect_no_entry(&board, "/c/new");
        }
        expect_not_done(&post(&board, "/", "", b"in vain"));
        eventually("it has tried again and again", || refusals(&redis) >= 5);
        redis.cli(&["ACL", "SETUSER", "board", "on", "~foghorn:*", "+@all"]);
        wait_until_connected(&board);
        eventually("it is well", || board.status().pointer("/redis/problem").unwrap().is_null());
        // Each of the two connections may have a reason of its own; none is told again and again.
        let log = board.log();
        let mut told: Vec<_> =
            log.lines().filter_map(|line| line.split_once(NOT_ALLOWED)).map(|(_, why)| why).collect();
        let count = told.len();
        told.sort_unstable();
        told.dedup();
        assert!((1..=2).contains(&count) && told.len() == count, "{rights}: {log}");
        let mut listeners = Listeners::at(&board);
        assert_eq!(post(&board, "/", "", b"1").status, 200);
        listeners.expect(&["1"]);
    }
}

#[test]
fn a_board_waits_for_a_redis_that_is_not_there() {
    let mut redis = Redis::start();
    redis.end();
    let board = start(&redis.url(), &[]);
    wait_until_away(&board, NOBODY_LISTENS);
    assert!(board.log().contains("until there is a connection, the page is served and nobody can join"));
    expect_no_entry(&board, "/");
    expect_not_done(&post(&board, "/", "", b"in vain"));
    expect_not_done(&board.get("/?last"));
    redis.start_again();
    let mut listeners = Listeners::at(&board);
    assert_eq!(listeners.seq, 0);
    assert_eq!(post(&board, "/", "", b"1").status, 200);
    listeners.expect(&["1"]);
    expect_told_once(&board, NOBODY_LISTENS);
}

#[test]
fn a_stranger_at_its_port_is_not_believed() {
    const NOT_REDIS: &str = "what answers is not understood: is it Redis 7 or Valkey, or later ones?";
    let redis = Redis::start();
    for (answer, problem) in [
        (Some(&b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..]), NOT_REDIS),
        (Some(b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n"), NOT_REDIS),
        (Some(b"$999999999999\r\n+OK"), CLOSED),
        (Some(b""), CLOSED),
        (None, SILENT),
    ] {
        let stranger = Stranger::answering(answer);
        let network = Proxy::to(stranger.address);
        let board = start(&redis_url(network.address()), &[]);
        wait_until_away(&board, problem);
        assert_eq!(board.get("/").status, 200);
        network.lead_to(redis.address());
        network.break_all(How::End);
        wait_until_connected(&board);
        board.join().expect_echo("it works");
        expect_told_once(&board, problem);
    }
}

/// Takes connections and is no Redis.
struct Stranger {
    address: SocketAddr,
}

impl Stranger {
    /// Answers whatever comes with this, and closes; `None`: with nothing, for ever. It ends with the process.
    fn answering(answer: Option<&'static [u8]>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            let mut kept = Vec::new();
            for connection in listener.incoming() {
                let mut connection = connection.expect("a connection");
                let Some(answer) = answer else {
                    kept.push(connection);
                    continue;
                };
                // Whoever is answered may have gone.
                let _ = connection.read(&mut [0; 1024]).and_then(|_| connection.write_all(answer));
            }
        });
        Self { address }
    }
}

/// The numbers with which texts begin, up to this one.
fn numbers_until(last: u64, mut next: impl FnMut() -> String) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        numbers.push(next().trim().parse().expect("a number"));
    }
    numbers
}

/// A board of which the network held everything, or broke, while others said more than Redis keeps of it.
fn miss_something(is_broken: bool) {
    const MESSAGES: u64 = 400;
    let redis = Redis::start();
    let network = Proxy::to(redis.address());
    let args = ["--backlog", "64KiB"];
    let (near, far) = (start(&redis.url_at(network.address()), &args), start(&redis.url(), &args));
    let (mut here, mut there) = (Listeners::at(&near), Listeners::at(&far));
    assert_eq!(post(&near, "/", "", b"0").status, 200);
    expect_all([&mut here, &mut there], &["0"]);
    if is_broken {
        network.lead_nowhere();
        network.break_all(How::Reset);
    } else {
        network.hold();
    }
    let long = |number: u64| format!("{number}{}", " ".repeat(1000));
    let mut speaker = speaker(&far);
    for number in 1..=MESSAGES {
        speaker.send_text(&long(number));
        there.expect(&[&long(number)]);
    }
    if is_broken {
        network.lead_to(redis.address());
    } else {
        network.go_on();
    }
    // Of what was on its way already some may come first.
    let plain = numbers_until(MESSAGES, || here.plain.text());
    let gap = (0..plain.len()).find(|&nth| plain[nth] != nth as u64 + 1).expect("there is a gap");
    let (heard, first) = (gap as u64, plain[gap]);
    assert!(first > heard + 100 && plain[gap..].iter().copied().eq(first..=MESSAGES), "it goes on: {plain:?}");
    if heard > 0 {
        assert!(numbers_until(heard, || here.counting.text()).into_iter().eq(1..=heard));
        assert!(numbers_until(heard, || here.stream.event().data).into_iter().eq(1..=heard));
    }
    here.counting.expect_close(1012);
    // The text with this number is the message after it.
    let at = heard + 1;
    let (mut counting, hello) = resume(&near, &format!("/?after={}:{at}&replaces={}", here.epoch, here.id));
    let (seq, lost) = (hello["seq"].as_u64().expect("a number"), hello["lost"].as_u64().expect("a number"));
    assert_eq!((hello["epoch"].as_str(), seq), (Some(&*here.epoch), at + lost), "{hello}");
    assert!(lost >= first - heard - 1, "{hello}");
    assert!(numbers_until(MESSAGES, || counting.text()).into_iter().eq(at + lost..=MESSAGES));
    let told = here.stream.event();
    let hello: serde_json::Value = serde_json::from_str(&told.data).expect("it is JSON");
    assert_eq!((told.kind.as_str(), told.id), ("hello", format!("{}:{first}", here.epoch)));
    assert_eq!((&hello["seq"], &hello["lost"]), (&first.into(), &(first - heard - 1).into()), "{hello}");
    for expected in first..=MESSAGES {
        let event = here.stream.event();
        assert_eq!((event.data.trim(), event.id), (&*expected.to_string(), format!("{}:{}", here.epoch, expected + 1)));
    }
    // Both go on, in the epoch that they have had.
    (here.counting, here.seq) = (counting, MESSAGES + 1);
    wait_until_connected(&near);
    for (board, text) in [(&near, "near"), (&far, "far")] {
        assert_eq!(post(board, "/", "", text.as_bytes()).status, 200);
        expect_all([&mut here, &mut there], &[text]);
    }
}

#[test]
fn what_was_trimmed_while_nothing_came_through_is_told_as_lost() {
    miss_something(false);
}

#[test]
fn what_was_trimmed_while_there_was_no_connection_is_told_as_lost() {
    miss_something(true);
}
