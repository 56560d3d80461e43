//! Channels by name: each is a room of its own, made at first use and forgotten when another needs its place.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{
    Client, FIN, GREETING, PING, PONG, Server, eventually, get, masked, numbered, post, request, sleeper,
};

const OFFER: &str = "Sec-WebSocket-Protocol: foghorn.v1\r\n";

fn resume(address: SocketAddr, path: &str) -> (Client, Value) {
    let mut client = Client::connect(address);
    client.upgrade(address, path, OFFER);
    let hello = client.text();
    (client, serde_json::from_str(&hello).expect("the first frame is JSON"))
}

fn status(server: &Server, path: &str) -> Value {
    let response = server.get(&format!("{path}?status"));
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("Content-Type"), Some("application/json"));
    serde_json::from_slice(&response.body).expect("it is JSON")
}

/// Shows that nothing has come but the answer to a ping.
fn expect_nothing(client: &mut Client) {
    client.send(&masked(FIN | PING, b"?"));
    assert_eq!(client.frame().opcode, PONG, "nothing came before");
}

#[test]
fn what_is_said_in_one_is_heard_in_no_other() {
    let server = Server::start(&[]);
    let mut main = Client::join_at(server.address(), "/");
    let mut elsewhere = Client::join_at(server.address(), "/chat");
    let mut lights = Client::join_at(server.address(), "/c/lights");
    let mut folded = Client::join_at(server.address(), "/c/LIGHTS?echo=0");
    let mut doors = Client::join_at(server.address(), "/c/doors");
    main.send_text("main");
    lights.send_text("on");
    assert_eq!((main.text(), elsewhere.text()), ("main".into(), "main".into()));
    assert_eq!((lights.text(), folded.text()), ("on".into(), "on".into()), "capitals count as small letters");
    for client in [&mut main, &mut elsewhere, &mut lights, &mut folded, &mut doors] {
        expect_nothing(client);
    }
    assert_eq!(server.figure("/channels"), 3);
    assert_eq!(server.figure("/clients"), 5, "of all channels together");
    for path in ["/", "/c/lights", "/c/nobody"] {
        assert_eq!(status(&server, path)["server"], json!({ "clients": 5, "channels": 3 }), "{path}");
    }
    server.wait_for_figure("/messages", 2);
}

#[test]
fn each_has_its_own_numbers_epoch_history_and_largest_message() {
    let server = Server::start(&["--max-message", "2KiB", "--channel-backlog", "2KiB"]);
    let (mut main, main_hello) = resume(server.address(), "/");
    let (mut a, a_hello) = resume(server.address(), "/c/a");
    let (_, b_hello) = resume(server.address(), "/c/b");
    assert_eq!((&main_hello["channel"], &a_hello["channel"]), (&json!(""), &json!("a")));
    assert_eq!((&main_hello["maxMessage"], &a_hello["maxMessage"]), (&json!(2048), &json!(1024)));
    assert_ne!(main_hello["epoch"], a_hello["epoch"]);
    assert_ne!(b_hello["epoch"], a_hello["epoch"]);
    for text in ["1", "2", "3"] {
        a.send_text(text);
        assert_eq!(a.text(), text);
    }
    main.send_text("main");
    assert_eq!(main.text(), "main");
    let (mut late, hello) = resume(server.address(), "/c/a?history=2");
    assert_eq!((&hello["seq"], &hello["head"], &hello["clients"]), (&json!(1), &json!(3), &json!(2)));
    assert_eq!((late.text(), late.text()), ("2".into(), "3".into()));
    let path = format!("/c/a?after={}:2", a_hello["epoch"].as_str().unwrap());
    let (mut back, hello) = resume(server.address(), &path);
    assert_eq!((&hello["seq"], &hello["lost"]), (&json!(2), &json!(0)));
    assert_eq!(back.text(), "3");
    let path = format!("/c/b?after={}:2", a_hello["epoch"].as_str().unwrap());
    assert_eq!(resume(server.address(), &path).1["lost"], Value::Null, "another channel's epoch means nothing");
    a.send_text(&"x".repeat(1025));
    a.expect_close(1009);
}

#[test]
fn plain_clients_choose_their_history_too() {
    let server = Server::start(&["--history", "1"]);
    let mut speaker = server.join();
    for text in ["1", "2", "3"] {
        speaker.expect_echo(text);
    }
    for (path, expected) in
        [("/", &["3"][..]), ("/?history=2", &["2", "3"]), ("/?history=0", &[]), ("/?history=99", &["1", "2", "3"])]
    {
        let mut client = Client::join_at(server.address(), path);
        for text in expected {
            assert_eq!(client.text(), *text, "{path}");
        }
        expect_nothing(&mut client);
    }
    let mut client = Client::connect(server.address());
    assert_eq!(client.try_upgrade(server.address(), "/?history=all", "").status, 400);
}

#[test]
fn what_is_no_name_is_no_channel() {
    let server = Server::start(&[]);
    for path in ["/c/", "/c/a.b", "/c/a/b", "/c/a%62", "/c/lights/", &format!("/c/{}", "x".repeat(65))] {
        let mut client = Client::connect(server.address());
        let response = client.try_upgrade(server.address(), path, "");
        assert_eq!(response.status, 404, "{path}");
        response.expect_a_sentence();
        assert_eq!(request(server.address(), "DELETE", path, "").status, 404, "{path}");
    }
    assert_eq!(server.figure("/channels"), 1);
}

#[test]
fn a_look_makes_no_channel() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/c/quiet").status, 200);
    assert_eq!(request(server.address(), "DELETE", "/c/quiet", "").status, 204);
    let figures = status(&server, "/c/quiet");
    assert_eq!(
        (&figures["channel"], &figures["epoch"], &figures["clients"]),
        (&json!("quiet"), &Value::Null, &json!(0))
    );
    assert_eq!(server.figure("/channels"), 1);
}

#[test]
fn one_that_nobody_uses_gives_way_and_comes_back_anew() {
    let server = Server::start(&["--max-channels", "2"]);
    let (mut a, hello) = resume(server.address(), "/c/a");
    a.expect_echo("kept");
    drop(a);
    server.wait_for_figure("/clients", 0);
    let (b, _) = resume(server.address(), "/c/b");
    drop(b);
    server.wait_for_figure("/clients", 0);
    let (_c, _) = resume(server.address(), "/c/c");
    assert_eq!(status(&server, "/c/b")["epoch"], Value::Null, "it had no message");
    assert_eq!(status(&server, "/c/a")["epoch"], hello["epoch"]);
    let (d, _) = resume(server.address(), "/c/d");
    assert_eq!(status(&server, "/c/a")["epoch"], Value::Null, "it was used by nobody");
    assert_eq!(server.figure("/backlogBytes"), 0, "nothing of it is counted any more");

    let mut refused = Client::connect(server.address());
    let response = refused.try_upgrade(server.address(), "/c/a", "");
    assert_eq!((response.status, response.header("Retry-After")), (503, Some("5")), "all are in use");
    response.expect_a_sentence();
    let response = post(&server, "/c/a", "", b"in vain");
    assert_eq!((response.status, response.header("Retry-After")), (503, Some("5")), "for a message, too");
    response.expect_a_sentence();
    server.join().expect_echo("the main one is always there");
    drop(d);
    server.wait_for_figure("/clients", 1);
    let path = format!("/c/a?after={}:1", hello["epoch"].as_str().unwrap());
    let (_, again) = resume(server.address(), &path);
    assert_ne!(again["epoch"], hello["epoch"], "a name that comes back has a new epoch");
    assert_eq!(again["lost"], Value::Null);
}

#[test]
fn one_that_a_setting_names_gives_way_to_nobody() {
    let server = Server::start(&["--max-channels", "2", "--send-code", "KEPT=4711"]);
    assert_eq!(server.figure("/channels"), 1, "it is made at its first use, as any");
    let (kept, hello) = resume(server.address(), "/c/kept");
    drop(kept);
    server.wait_for_figure("/clients", 0);
    let (b, _) = resume(server.address(), "/c/b");
    drop(b);
    server.wait_for_figure("/clients", 0);
    let (_c, _) = resume(server.address(), "/c/c");
    assert_eq!(status(&server, "/c/b")["epoch"], Value::Null);
    assert_eq!(status(&server, "/c/kept")["epoch"], hello["epoch"], "though it was unused for longer");
    let mut refused = Client::connect(server.address());
    assert_eq!(refused.try_upgrade(server.address(), "/c/d", "").status, 503);
    assert_eq!(status(&server, "/c/kept")["epoch"], hello["epoch"]);
}

#[test]
fn one_that_a_setting_names_has_its_place_before_anybody_comes() {
    let server = Server::start(&["--max-channels", "3", "--code", "kept=4711", "--code", "/=4712"]);
    let _others = ["/c/a", "/c/b"].map(|path| resume(server.address(), path));
    let mut refused = Client::connect(server.address());
    assert_eq!(refused.try_upgrade(server.address(), "/c/c", "").status, 503, "strangers have no more than the rest");
    let mut kept = Client::connect(server.address());
    kept.upgrade(server.address(), "/c/kept?code=4711", "");
    assert_eq!(kept.text(), GREETING);
    let (_main, hello) = resume(server.address(), "/?code=4712");
    assert_eq!(hello["channel"], "", "the main one has its place anyway");
}

#[test]
fn who_cannot_see_a_status_is_let_in_and_told_to_come_back() {
    let server = Server::start(&["--max-channels", "0", "--max-clients", "1"]);
    let _only = server.join();
    for (path, word) in [("/", "places"), ("/c/x", "places")] {
        let mut client = Client::connect(server.address());
        client.upgrade(server.address(), path, OFFER);
        let close = client.frame();
        let (code, reason) = close.close_parts();
        assert_eq!(code, Some(1013));
        assert!(reason.contains(word), "{reason}");
        client.send_close(1013, "");
        client.expect_end();
        let mut plain = Client::connect(server.address());
        assert_eq!(plain.try_upgrade(server.address(), path, "").status, 503);
    }
    assert_eq!(server.figure("/refused/503"), 4);
    assert_eq!(server.figure("/clientsTotal"), 1);
}

#[test]
fn what_was_deleted_comes_no_more_and_who_counts_is_told() {
    let server = Server::start(&["--history", "9"]);
    let mut plain = Client::join_at(server.address(), "/c/a");
    let (mut counting, hello) = resume(server.address(), "/c/a");
    let mut other = Client::join_at(server.address(), "/");
    plain.expect_echo("1");
    assert_eq!(counting.text(), "1");
    other.expect_echo("main");
    let answer = request(server.address(), "DELETE", "/c/A", "");
    assert_eq!(answer.status, 200);
    let said: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((&said["seq"], &said["clients"]), (&json!(0), &json!(2)));
    let epoch = said["epoch"].as_str().unwrap();
    assert_ne!(epoch, hello["epoch"]);
    assert_eq!(answer.header("Foghorn-Seq"), Some(&*format!("{epoch}:0")));
    counting.expect_close(1012);
    assert_eq!(server.figure("/closed/newEpoch"), 1);
    let mut late = Client::join_at(server.address(), "/c/a");
    plain.send_text("2");
    assert_eq!((plain.text(), late.text()), ("2".into(), "2".into()), "plain clients notice nothing");
    let path = format!("/c/a?after={}:1", hello["epoch"].as_str().unwrap());
    let (mut back, hello) = resume(server.address(), &path);
    assert_eq!(
        (&hello["epoch"], &hello["seq"], &hello["head"], &hello["lost"]),
        (&json!(epoch), &json!(0), &json!(1), &Value::Null)
    );
    assert_eq!(back.text(), "2");
    assert_eq!(status(&server, "/c/a")["head"], 1);
    let mut newcomer = server.join();
    assert_eq!(newcomer.text(), "main", "the other channel has kept its own");
}

#[test]
fn who_is_behind_still_gets_what_was_deleted_meanwhile() {
    let server = Server::start(&["--backlog", "64MiB", "--max-message", "1MiB"]);
    let mut sleeping = sleeper(&server);
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    for number in 0..20 {
        speaker.send_binary(&numbered(number, 1 << 20));
    }
    server.wait_for_figure("/messages", 20);
    assert_eq!(request(server.address(), "DELETE", "/", "").status, 200);
    speaker.send_text("after");
    for number in 0..20 {
        assert_eq!(sleeping.binary(), numbered(number, 1 << 20));
    }
    assert_eq!(sleeping.text(), "after");
}

#[test]
fn a_foreign_page_may_neither_look_nor_delete() {
    let server = Server::start(&[]);
    let foreign = "Origin: http://evil.example\r\n";
    assert_eq!(request(server.address(), "DELETE", "/", foreign).status, 403);
    assert_eq!(request(server.address(), "GET", "/?status", foreign).status, 403);
    let own = format!("Origin: http://{}\r\n", server.address());
    assert_eq!(request(server.address(), "GET", "/?status", &own).status, 200);
    assert_eq!(request(server.address(), "DELETE", "/", "Content-Length: 1\r\n").status, 413);
}

#[test]
fn below_c_lies_the_page() {
    let server = Server::start(&[]);
    let page = server.get("/");
    assert_eq!(server.get("/c/lights").body, page.body);
    assert_eq!(server.get("/c/app.js").body, server.get("/app.js").body, "relative links of the page work");
    for (path, location) in [("/c", "./"), ("/c/", "../"), ("/c?x", "./")] {
        let response = server.get(path);
        assert_eq!((response.status, response.header("Location")), (308, Some(location)), "{path}");
    }
    assert_eq!(get(server.address(), "/c/none.txt").status, 404);
}

#[test]
fn a_client_that_stalls_one_channel_costs_the_others_nothing() {
    let server = Server::start(&["--patience", "1h", "--channel-backlog", "64KiB"]);
    let (stalled, _) = resume(server.address(), "/c/a");
    let mut flood = Client::join_at(server.address(), "/c/a?echo=0");
    flood.socket().set_nonblocking(true).unwrap();
    let frame = masked(FIN | 2, &vec![7; 32_000]);
    // Until the server takes no more of it, since the stalled one still needs what is there.
    eventually("the channel is full", || {
        while flood.try_send(&frame).is_ok() {}
        status(&server, "/c/a")["publishersWaiting"] == 1
    });
    let mut speaker = Client::join_at(server.address(), "/c/b");
    for number in 0..1000 {
        speaker.expect_echo(&number.to_string());
    }
    server.join().expect_echo("main");
    assert_eq!(status(&server, "/c/a")["clientsBehind"], 1);
    assert_eq!(status(&server, "/c/b")["clientsBehind"], 0);
    drop(stalled);
    eventually("the flood goes on", || status(&server, "/c/a")["publishersWaiting"] == 0);
}
