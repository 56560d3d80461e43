//! A phone that loses one board and opens the page of another goes on where it was.

use serde_json::{Value, json};

use crate::harness::{Client, PING, PONG, Redis, Server, boards, masked, post};

const OFFER: &str = "Sec-WebSocket-Protocol: foghorn.v1\r\n";

/// Joins as a client that counts, and returns its hello.
fn join(board: &Server, path: &str) -> (Client, Value) {
    let mut client = Client::connect(board.address());
    client.upgrade(board.address(), path, OFFER);
    let hello = serde_json::from_str(&client.text()).expect("the hello is JSON");
    (client, hello)
}

fn word<'a>(hello: &'a Value, name: &str) -> &'a str {
    hello[name].as_str().unwrap_or_else(|| panic!("{name} of {hello}"))
}

/// Returns when all that the client has sent is in the log.
fn confirm(client: &mut Client) {
    client.send(&masked(0x80 | PING, b"all?"));
    while client.frame().opcode != PONG {}
}

#[test]
fn who_comes_back_at_another_board_misses_nothing_and_gets_nothing_twice() {
    let redis = Redis::start();
    let boards = boards(2, &redis);
    let (mut client, hello) = join(&boards[0], "/");
    for number in 1..=10 {
        post(&boards[number % 2], "/", "", number.to_string().as_bytes());
    }
    for number in 1..=10 {
        assert_eq!(client.text(), number.to_string());
    }
    drop(client);
    for number in 11..=20 {
        post(&boards[0], "/", "", number.to_string().as_bytes());
    }
    let (mut client, hello) =
        join(&boards[1], &format!("/?after={}:10&replaces={}", word(&hello, "epoch"), word(&hello, "id")));
    assert_eq!((&hello["seq"], &hello["lost"], &hello["head"]), (&json!(10), &json!(0), &json!(20)));
    assert_eq!(hello["taken"], 0);
    for number in 11..=20 {
        assert_eq!(client.text(), number.to_string());
    }
}

#[test]
fn what_of_its_last_connection_got_through_is_told_at_another_board_and_no_more_does() {
    let redis = Redis::start();
    let boards = boards(2, &redis);
    let (mut first, hello) = join(&boards[0], "/c/lights");
    for number in 1..=5 {
        first.send_text(&number.to_string());
    }
    confirm(&mut first);
    let path = format!("/c/lights?replaces={}", word(&hello, "id"));
    let (mut second, hello) = join(&boards[1], &path);
    assert_eq!((&hello["taken"], &hello["head"]), (&json!(5), &json!(5)));
    // The old one is still connected, and does not know that it was replaced.
    first.send_text("from the dead");
    assert_eq!(first.closed_with(), Some(1000));
    second.send_text("6");
    assert_eq!(second.text(), "6");
    // It has heard of the sixth, which the first board may not have read yet.
    let path = format!("{path}&after={}:6", word(&hello, "epoch"));
    let (_third, hello) = join(&boards[0], &path);
    assert_eq!((&hello["taken"], &hello["head"]), (&json!(5), &json!(6)), "it is told the same again");
}

#[test]
fn an_id_vouches_for_its_own_channel_and_a_made_up_one_for_nothing() {
    let redis = Redis::start();
    let boards = boards(2, &redis);
    let (mut client, hello) = join(&boards[0], "/c/lights");
    client.send_text("1");
    confirm(&mut client);
    for (path, id) in [("/", word(&hello, "id")), ("/c/lights", "0123456789abcdef")] {
        let (_client, hello) = join(&boards[1], &format!("{path}?replaces={id}"));
        assert_eq!(hello["taken"], Value::Null, "{path}");
    }
}

#[test]
fn who_has_heard_more_than_a_board_has_read_is_told_where_it_was() {
    let redis = Redis::start();
    let boards = boards(2, &redis);
    // The second board has never had the channel, and so has read nothing of it.
    let place = post(&boards[0], "/c/lights", "", b"1").header("Foghorn-Seq").unwrap().to_owned();
    let (_client, hello) = join(&boards[1], &format!("/c/lights?after={place}"));
    assert_eq!((&hello["seq"], &hello["lost"], format!("{}:1", word(&hello, "epoch"))), (&json!(1), &json!(0), place));
}

#[test]
fn a_place_in_an_epoch_that_nobody_knows_is_an_unknown_one() {
    let redis = Redis::start();
    let boards = boards(1, &redis);
    post(&boards[0], "/", "", b"1");
    for after in ["17:3", "99999999999999999:3", "abc:3"] {
        let (_client, hello) = join(&boards[0], &format!("/?after={after}"));
        assert_eq!((&hello["lost"], &hello["head"]), (&Value::Null, &json!(1)), "{after}");
    }
}
