//! What every client may count on: one broadcast, one order, messages unchanged.

use std::thread;

use tungstenite::Message;

use crate::harness::{
    BINARY, CONTINUATION, Client, FIN, GREETING, Launch, PING, PONG, Server, TEXT, get, masked, patience,
};

#[test]
fn what_one_sends_all_receive_its_sender_included() {
    let server = Server::start(&[]);
    let mut clients = [server.join(), server.join(), server.join()];
    for (sender, text) in [(0, "one"), (2, "two"), (1, "three")] {
        clients[sender].send_text(text);
        for client in &mut clients {
            assert_eq!(client.text(), text);
        }
    }
}

#[test]
fn any_path_joins_the_one_channel() {
    let server = Server::start(&[]);
    let mut first = server.join();
    for path in ["/chat", "/a/b/../c?x=y&z", "//", "/%20%00%ff", "/status", "/index.html", "/?token=1#x"] {
        let mut other = Client::join_at(server.address(), path);
        other.send_text(path);
        assert_eq!((other.text(), first.text()), (path.to_owned(), path.to_owned()));
    }
}

#[test]
fn both_addresses_lead_to_one_channel_and_one_page() {
    let server = Launch::new(&["--listen", "127.0.0.1:0"]).expecting(2).start();
    let [one, two] = server.addresses[..] else { panic!("two addresses: {:?}", server.addresses) };
    assert_ne!(one.port(), two.port());
    let (mut here, mut there) = (Client::join(one), Client::join(two));
    here.send_text("across");
    assert_eq!(there.text(), "across");
    there.send_text("and back");
    assert_eq!([here.text(), here.text()], ["across", "and back"]);
    let (page, same_page) = (get(one, "/"), get(two, "/"));
    assert_eq!(page.status, 200);
    assert_eq!(page.body, same_page.body);
}

#[test]
fn a_sender_is_left_out_with_no_echo() {
    let server = Server::start(&["--no-echo"]);
    let (mut speaker, mut other) = (server.join(), server.join());
    speaker.send_text("not to me");
    assert_eq!(other.text(), "not to me");
    other.send_text("to you");
    assert_eq!(speaker.text(), "to you");
    speaker.send_text("nor this");
    assert_eq!(other.text(), "nor this");
}

#[test]
fn a_client_overrides_the_echo_for_itself_in_its_address() {
    for (flags, query, has_echo) in [
        (&[][..], "/?echo=0", false),
        (&[], "/?echo=1", true),
        (&["--no-echo"], "/?echo=0", false),
        (&["--no-echo"], "/x?a=b&echo=1", true),
    ] {
        let server = Server::start(flags);
        let mut client = Client::join_at(server.address(), query);
        let mut other = Client::join_at(server.address(), "/?echo=1");
        client.send_text("mine");
        assert_eq!(other.text(), "mine");
        other.send_text("theirs");
        let expected: &[&str] = if has_echo { &["mine", "theirs"] } else { &["theirs"] };
        for text in expected {
            assert_eq!(client.text(), *text, "{flags:?} {query}");
        }
    }
}

#[test]
fn messages_of_every_length_come_unchanged() {
    let server = Server::start(&[]);
    let (mut speaker, mut listener) = (server.join(), server.join());
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20] {
        let binary: Vec<u8> = (0..=255).cycle().take(len).collect();
        speaker.send_binary(&binary);
        let text = "ü".repeat(len / 2);
        speaker.send_text(&text);
        for client in [&mut speaker, &mut listener] {
            assert!(client.binary() == binary, "{len} bytes");
            assert!(client.text() == text, "{len} bytes of text");
        }
    }
}

#[test]
fn an_empty_message_is_a_message() {
    let server = Server::start(&[]);
    let (mut speaker, mut listener) = (server.join(), server.join());
    speaker.send_text("");
    speaker.send_binary(b"");
    speaker.send_text("end");
    assert_eq!((listener.text(), listener.binary(), listener.text()), (String::new(), vec![], "end".into()));
    assert_eq!(server.figure("/messages"), 3);
}

#[test]
fn a_fragmented_message_goes_out_as_one_frame() {
    let server = Server::start(&[]);
    let (mut speaker, mut listener) = (server.join(), server.join());
    // Control frames may come between fragments, and a character may be cut.
    let (first, second) = "a€b".as_bytes().split_at(2);
    speaker.send(&masked(TEXT, first));
    speaker.send(&masked(FIN | PING, b"between"));
    speaker.send(&masked(CONTINUATION, second));
    speaker.send(&masked(CONTINUATION, b""));
    speaker.send(&masked(FIN | CONTINUATION, b"!"));
    speaker.send(&masked(BINARY, b"\xff"));
    speaker.send(&masked(FIN | CONTINUATION, b"\xfe"));
    assert_eq!((listener.text(), listener.binary()), ("a€b!".into(), vec![0xff, 0xfe]));
    let pong = speaker.frame();
    assert_eq!((pong.opcode, &pong.payload[..]), (PONG, &b"between"[..]));
    assert_eq!((speaker.text(), speaker.binary()), ("a€b!".into(), vec![0xff, 0xfe]));
}

#[test]
fn all_clients_see_all_messages_in_one_order() {
    const PUBLISHERS: usize = 4;
    const MESSAGES: usize = 300;
    let server = Server::start(&[]);
    let listeners = std::iter::repeat_with(|| server.join()).take(3);
    let publishers = std::iter::repeat_with(|| server.join()).take(PUBLISHERS);
    let clients: Vec<(Client, Option<usize>)> =
        listeners.map(|client| (client, None)).chain(publishers.zip((0..).map(Some))).collect();
    let readers: Vec<_> = clients
        .into_iter()
        .map(|(mut client, publisher)| {
            let mut writer = client.writer();
            let writing = publisher.map(|publisher| {
                thread::spawn(move || {
                    for nth in 0..MESSAGES {
                        let frame = masked(FIN | TEXT, format!("{publisher}:{nth}").as_bytes());
                        std::io::Write::write_all(&mut writer, &frame).unwrap();
                    }
                })
            });
            thread::spawn(move || {
                let seen: Vec<String> = (0..PUBLISHERS * MESSAGES).map(|_| client.text()).collect();
                if let Some(writing) = writing {
                    writing.join().unwrap();
                }
                seen
            })
        })
        .collect();
    let seen: Vec<Vec<String>> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    for other in &seen[1..] {
        assert!(*other == seen[0], "one order for all");
    }
    for publisher in 0..PUBLISHERS {
        let prefix = format!("{publisher}:");
        let its: Vec<usize> =
            seen[0].iter().filter_map(|text| text.strip_prefix(&prefix)).map(|nth| nth.parse().unwrap()).collect();
        assert_eq!(its, (0..MESSAGES).collect::<Vec<_>>(), "each message of {publisher} once, in its order");
    }
}

#[test]
fn the_greeting_can_be_changed_or_left_out() {
    let server = Server::start(&["--greeting", "Grüß dich, Nebel"]);
    let mut client = Client::connect(server.address());
    client.upgrade(server.address(), "/", "");
    assert_eq!(client.text(), "Grüß dich, Nebel");

    let server = Server::start(&["--greeting", ""]);
    let mut client = Client::connect(server.address());
    client.upgrade(server.address(), "/", "");
    client.send_text("first");
    assert_eq!(client.text(), "first");
}

#[test]
fn the_greeting_is_the_first_frame_also_while_others_talk() {
    let server = Server::start(&[]);
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    let talk = thread::spawn(move || {
        for nth in 0..3000 {
            speaker.send_text(&format!("{nth}"));
        }
        speaker
    });
    let mut last = None;
    while !talk.is_finished() {
        let mut newcomer = Client::connect(server.address());
        newcomer.upgrade(server.address(), "/", "");
        assert_eq!(newcomer.text(), GREETING);
        last = Some(newcomer);
    }
    let mut speaker = talk.join().unwrap();
    speaker.send_text("end");
    let mut last = last.expect("somebody came");
    let mut before: Option<u32> = None;
    loop {
        let text = last.text();
        let Ok(nth) = text.parse() else { break };
        assert!(before.is_none_or(|before| nth == before + 1), "{nth} after {before:?}");
        before = Some(nth);
    }
}

#[test]
fn a_newcomer_gets_nothing_from_before_unless_there_is_history() {
    let server = Server::start(&[]);
    let mut first = server.join();
    first.expect_echo("before");
    let mut second = server.join();
    first.send_text("after");
    assert_eq!(second.text(), "after");
}

#[test]
fn a_common_client_library_talks_to_it() {
    let server = Server::start(&[]);
    let url = format!("ws://{}/", server.address());
    let connect = || {
        let (socket, _) = tungstenite::connect(&url).expect("the library connects");
        if let tungstenite::stream::MaybeTlsStream::Plain(plain) = socket.get_ref() {
            plain.set_read_timeout(Some(patience())).unwrap();
        }
        socket
    };
    let (mut one, mut two) = (connect(), connect());
    for client in [&mut one, &mut two] {
        assert_eq!(client.read().unwrap(), Message::text(GREETING));
    }
    one.send(Message::text("from a library")).unwrap();
    two.send(Message::binary(vec![0, 159, 146, 150])).unwrap();
    let mut seen = [Vec::new(), Vec::new()];
    for (client, seen) in [&mut one, &mut two].into_iter().zip(&mut seen) {
        *seen = vec![client.read().unwrap(), client.read().unwrap()];
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].contains(&Message::text("from a library")));
    assert!(seen[0].contains(&Message::binary(vec![0, 159, 146, 150])));
    one.close(None).unwrap();
    while one.read().is_ok() {}
    server.wait_for_figure("/closed/closedByClient", 1);
}
