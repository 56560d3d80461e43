//! The server is killed, or stopped in order, and started again: whoever comes back, in whatever way, goes on as if nothing had been.

use std::thread;

use serde_json::Value;

use crate::harness::{
    Client, FIN, Invocation, Lasting, PING, PONG, Place, Stream, TEXT, eventually, masked, post, request,
};

/// Its ends: none of them is noticed.
const ENDS: [&str; 3] = ["KILL", "TERM", "ABRT"];

/// Tries something with each end, and with each place of the folder; at the same time, since a server that stops waits for goodbyes.
fn over_each_end(args: &[&str], test: impl Fn(&mut Lasting, &str) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        for (place, end) in Place::ALL.into_iter().flat_map(|place| ENDS.map(|end| (place, end))) {
            let named = thread::Builder::new().name(format!("{place:?}, {end}"));
            named.spawn_scoped(scope, move || test(&mut Lasting::start(place, args), end)).expect("a thread");
        }
    });
}

/// Says these, and returns when they are in the log.
fn say(server: &Lasting, path: &str, texts: &[&str]) {
    let mut client = Client::join_at(server.address(), path);
    for text in texts {
        client.expect_echo(text);
    }
}

fn text_of<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn a_client_that_counts_goes_on_with_the_next_number() {
    over_each_end(&[], |server, end| {
        let (mut client, first) = server.resume("/");
        for number in 1..=5 {
            client.expect_echo(&number.to_string());
        }
        server.restart(end);
        let epoch = text_of(&first, "epoch");
        for seq in [0_u64, 3, 5] {
            let (mut client, hello) = server.resume(&format!("/?after={epoch}:{seq}"));
            let place = ["epoch", "seq", "lost", "head"].map(|name| hello[name].clone());
            assert_eq!(place, [Value::from(epoch), seq.into(), 0.into(), 5.into()], "{hello}");
            for number in seq + 1..=5 {
                assert_eq!(client.text(), number.to_string());
            }
        }
        let (mut client, _) = server.resume(&format!("/?after={epoch}:5"));
        client.expect_echo("6");
        assert_eq!(server.resume("/").1["head"], 6);
    });
}

#[test]
fn an_epoch_that_was_told_stays_although_nothing_was_said() {
    over_each_end(&[], |server, end| {
        let main = server.resume("/").1["epoch"].clone();
        let lights = server.resume("/c/lights").1["epoch"].clone();
        for _ in 0..3 {
            server.restart(end);
        }
        let told = ["/", "/c/lights"].map(|path| server.resume(path).1["epoch"].clone());
        assert_eq!(told, [main, lights]);
    });
}

#[test]
fn a_writer_is_told_how_many_of_its_messages_were_taken() {
    over_each_end(&[], |server, end| {
        let (mut writer, hello) = server.resume("/");
        let (mut silent, of_silent) = server.resume("/");
        let (mut elsewhere, of_elsewhere) = server.resume("/c/lights");
        for number in 1..=3 {
            writer.expect_echo(&number.to_string());
        }
        elsewhere.expect_echo("on");
        // Behind these, a pong says that they are in the log, too.
        writer.send_text("4");
        writer.send_text("5");
        writer.send(&masked(FIN | PING, b"5"));
        while writer.frame().opcode != PONG {}
        silent.send(&masked(FIN | PING, b""));
        while silent.frame().opcode != PONG {}
        for _ in 0..2 {
            server.restart(end);
            for (path, hello, expected) in
                [("/", &hello, 5), ("/", &of_silent, 0), ("/c/lights", &of_elsewhere, 1), ("/", &hello, 5)]
            {
                let (_client, again) = server.resume(&format!("{path}?replaces={}", text_of(hello, "id")));
                assert_eq!(again["taken"], expected, "{again}");
            }
        }
        let (_client, unknown) = server.resume("/?replaces=0000000000000000");
        assert_eq!(unknown["taken"], Value::Null);
    });
}

#[test]
fn a_stream_of_events_goes_on_by_its_last_id() {
    over_each_end(&[], |server, end| {
        let mut stream = Stream::open(server, "/?as=events");
        assert_eq!(stream.event().kind, "hello");
        say(server, "/", &["1", "2"]);
        let ids = [stream.event().id, stream.event().id];
        say(server, "/", &["3"]);
        drop(stream);
        server.restart(end);
        let lines = format!("Last-Event-ID: {}\r\n", ids[0]);
        let client = Client::connect(server.address());
        let mut stream = Stream::open_with(client, server.address(), "/?as=events", &lines);
        let hello: Value = serde_json::from_str(&stream.event().data).unwrap();
        assert_eq!((&hello["lost"], &hello["seq"]), (&0.into(), &1.into()), "{hello}");
        let again = [stream.event(), stream.event()];
        assert_eq!((again[0].data.as_str(), &again[0].id), ("2", &ids[1]));
        assert_eq!(again[1].data, "3");
        say(server, "/", &["4"]);
        let last = stream.event();
        assert_eq!(last.data, "4");
        assert!(last.id.ends_with(":4"), "{last:?}");
    });
}

#[test]
fn messages_keep_their_bytes_their_kind_and_their_time() {
    let long = "x".repeat(70_000);
    let kept = |server: &Lasting| {
        let mut stream = Stream::open(server, "/?as=json&history=9");
        stream.json();
        [(); 5].map(|()| stream.json())
    };
    over_each_end(&["--backlog", "1MiB"], |server, end| {
        let mut client = Client::join_at(server.address(), "/?echo=0");
        for text in ["", "on", &long] {
            client.send_text(text);
        }
        client.send_binary(&[0, 255, 13, 10]);
        client.send_binary(&[]);
        server.wait_for_figure("/messages", 5);
        let before = kept(server);
        server.restart(end);
        for (mut now, mut then) in kept(server).into_iter().zip(before) {
            // It is now less the age, each of which is cut to seconds.
            let at = [&mut now, &mut then].map(|message| message["at"].take().as_i64().expect("a time"));
            assert!((at[0] - at[1]).abs() <= 1, "{at:?}");
            assert_eq!(now, then);
        }
    });
}

#[test]
fn a_listener_with_a_cursor_misses_nothing_and_gets_nothing_twice() {
    over_each_end(&[], |server, end| {
        let folder = tempfile::tempdir().unwrap();
        let cursor = folder.path().join("cursor");
        let listener = Invocation::listen(server.address(), &["--json", "--cursor"]).arg(&cursor).start();
        eventually("it has come in", || cursor.exists());
        say(server, "/", &["1", "2"]);
        eventually("it has both", || listener.lines_written() == 2);
        server.end(end);
        server.go_on();
        say(server, "/", &["3"]);
        eventually("it has the third", || listener.lines_written() == 3);
        listener.signal("TERM");
        let ended = listener.finish();
        let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = lines.iter().map(|line| (line["seq"].as_u64().unwrap(), text_of(line, "text"))).collect();
        assert_eq!(told, [(1, "1"), (2, "2"), (3, "3")]);
        assert!(lines.iter().all(|line| line["epoch"] == lines[0]["epoch"]), "{lines:?}");
        assert!(!ended.stderr.contains("begun anew") && !ended.stderr.contains("were lost"), "{ended:?}");
        // One that was not there meanwhile.
        say(server, "/", &["4"]);
        server.restart(end);
        let ended = Invocation::listen(server.address(), &["--count", "1", "--cursor"]).arg(&cursor).run();
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "4\n", ""), "{ended:?}");
    });
}

#[test]
fn a_sender_brings_each_line_into_the_log_once_and_in_order() {
    over_each_end(&[], |server, end| {
        let mut sender = Invocation::send(server.address(), &["--lines"]).start();
        sender.write(b"1\n2\n");
        server.wait_for_figure("/messages", 2);
        server.end(end);
        // Into a connection that may not know yet that it has ended.
        sender.write(b"3\n4\n");
        server.go_on();
        sender.write(b"5\n");
        let sent = sender.finish();
        assert_eq!(sent.code, Some(0), "{sent:?}");
        let mut stream = Stream::open(server, "/?as=lines&history=9&count=5");
        assert_eq!([(); 5].map(|()| stream.text()), ["1", "2", "3", "4", "5"]);
        assert_eq!(server.resume("/").1["head"], 5);
    });
}

#[test]
fn the_last_message_stays_with_its_number_tag_and_age() {
    over_each_end(&[], |server, end| {
        say(server, "/", &["before", "last"]);
        let ask = |server: &Lasting, lines: &str| request(server.address(), "GET", "/?last", lines);
        let before = ask(server, "");
        server.restart(end);
        let after = ask(server, "");
        assert_eq!((after.status, after.text().as_str()), (200, "last"));
        for name in ["Foghorn-Seq", "ETag", "Content-Type"] {
            assert_eq!(after.header(name), before.header(name), "{name}");
        }
        let age = |answer: &crate::harness::Response| answer.header("Age").unwrap().parse::<u64>().unwrap();
        assert!((age(&before)..age(&before) + 60).contains(&age(&after)), "{after:?}");
        let tag = format!("If-None-Match: {}\r\n", before.header("ETag").unwrap());
        assert_eq!(ask(server, &tag).status, 304);
    });
}

#[test]
fn a_post_that_was_answered_is_there_under_its_number() {
    over_each_end(&[], |server, end| {
        let answer = post(server, "/c/log", "", b"one");
        let told = answer.header("Foghorn-Seq").unwrap().to_owned();
        server.restart(end);
        let last = request(server.address(), "GET", "/c/log?last", "");
        assert_eq!((last.header("Foghorn-Seq"), last.text().as_str()), (Some(&*told), "one"));
        let next = post(server, "/c/log", "", b"two");
        assert_eq!(next.header("Foghorn-Seq"), Some(&*told.replace(":1", ":2")));
    });
}

#[test]
fn newcomers_get_the_history() {
    over_each_end(&["--history", "2"], |server, end| {
        say(server, "/", &["1", "2", "3"]);
        server.restart(end);
        let mut client = Client::join_at(server.address(), "/");
        assert_eq!([client.text(), client.text()], ["2", "3"]);
        client.expect_echo("4");
        let mut client = Client::join_at(server.address(), "/?history=9");
        assert_eq!([(); 4].map(|()| client.text()), ["1", "2", "3", "4"]);
    });
}

#[test]
fn each_channel_keeps_its_own_epoch_numbers_and_messages() {
    over_each_end(&[], |server, end| {
        let channels = [("/", 3), ("/c/lights", 1), ("/c/a-b_c9", 2)];
        let mut told = Vec::new();
        for (path, count) in channels {
            for number in 1..=count {
                say(server, path, &[&format!("{path} {number}")]);
            }
            told.push(server.resume(path).1);
        }
        assert_eq!(request(server.address(), "GET", "/c/nobody?status", "").status, 200);
        server.restart(end);
        for ((path, count), before) in channels.into_iter().zip(told) {
            let (_client, hello) = server.resume(path);
            assert_eq!((&hello["epoch"], &hello["head"]), (&before["epoch"], &count.into()), "{hello}");
            let last = request(server.address(), "GET", &format!("{path}?last"), "");
            assert_eq!(last.text(), format!("{path} {count}"));
        }
        let nobody = request(server.address(), "GET", "/c/nobody?status", "").text();
        assert!(nobody.contains("\"epoch\":null"), "a look makes no channel: {nobody}");
    });
}

#[test]
fn deleted_messages_do_not_come_back() {
    over_each_end(&[], |server, end| {
        let (mut client, hello) = server.resume("/");
        client.expect_echo("secret");
        let deleted = request(server.address(), "DELETE", "/", "");
        let epoch = deleted.header("Foghorn-Seq").unwrap().strip_suffix(":0").unwrap().to_owned();
        server.restart(end);
        let id = text_of(&hello, "id");
        let (_client, again) = server.resume(&format!("/?after={}:1&replaces={id}", text_of(&hello, "epoch")));
        let place = ["epoch", "seq", "head", "lost", "taken"].map(|name| again[name].clone());
        assert_eq!(place, [Value::from(epoch), 0.into(), 0.into(), Value::Null, 1.into()], "{again}");
        assert_eq!(request(server.address(), "GET", "/?last", "").status, 204);
        let files = std::fs::read_dir(server.state()).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|path| path.is_file()) {
            let content = std::fs::read(&file).unwrap();
            assert!(!content.windows(6).any(|bytes| bytes == b"secret"), "{}", file.display());
        }
    });
}

#[test]
fn of_a_log_that_is_full_the_newer_half_is_there() {
    over_each_end(&["--backlog", "16KiB", "--max-message", "1KiB"], |server, end| {
        let (mut client, hello) = server.resume("/");
        let epoch = text_of(&hello, "epoch").to_owned();
        let text = |number: u64| format!("{number} {}", ".".repeat(80));
        let mut next = 1;
        // Through several segments, with an end in each of them.
        for _ in 0..6 {
            for _ in 0..70 {
                client.expect_echo(&text(next));
                next += 1;
            }
            // Else a server that stops waits for its goodbye.
            drop(client);
            server.restart(end);
            // 8 KiB, less what each message costs beside its 84 bytes.
            let after = (next - 1).saturating_sub(70);
            let (mut again, hello) = server.resume(&format!("/?after={epoch}:{after}"));
            assert_eq!((&hello["lost"], &hello["head"]), (&0.into(), &(next - 1).into()), "{hello}");
            for number in after + 1..next {
                assert_eq!(again.text(), text(number));
            }
            client = again;
        }
    });
}

#[test]
fn a_channel_that_is_forgotten_leaves_no_file() {
    let channel_files = |server: &Lasting| {
        let entries = std::fs::read_dir(server.state()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.starts_with("c-"));
        names.sort();
        names
    };
    over_each_end(&["--max-channels", "1"], |server, end| {
        say(server, "/c/first", &["1"]);
        eventually("nobody is there", || server.figure("/clients") == 0);
        assert_eq!(channel_files(server).len(), 1);
        server.restart(end);
        // Whoever was there is awaited for a while, unless somebody has come.
        say(server, "/c/first", &["2"]);
        eventually("nobody is there", || server.figure("/clients") == 0);
        say(server, "/c/second", &["1"]);
        let names = channel_files(server);
        assert!(names.len() == 1 && names[0].starts_with("c-second."), "{names:?}");
        server.restart(end);
        assert_eq!(request(server.address(), "GET", "/c/first?last", "").status, 204);
        assert_eq!(request(server.address(), "GET", "/c/second?last", "").text(), "1");
    });
}

#[test]
fn a_plain_client_notices_nothing_but_a_broken_connection() {
    over_each_end(&[], |server, end| {
        let mut client = server.join();
        client.expect_echo("1");
        server.restart(end);
        let mut client = Client::join_at(server.address(), "/");
        client.send_text("2");
        let frame = client.frame();
        assert_eq!((frame.opcode, frame.payload.as_slice()), (TEXT, &b"2"[..]));
    });
}

#[test]
fn twenty_kills_in_a_row_change_nothing() {
    let mut server = Lasting::start(Place::Memory, &[]);
    let (mut client, hello) = server.resume("/");
    let epoch = text_of(&hello, "epoch").to_owned();
    for number in 1..=20_u64 {
        client.expect_echo(&number.to_string());
        server.restart("KILL");
        let (again, hello) = server.resume(&format!("/?after={epoch}:{number}"));
        assert_eq!((&hello["lost"], &hello["head"]), (&0.into(), &number.into()), "{hello}");
        client = again;
    }
}

#[test]
fn what_was_taken_is_known_over_a_kill_although_the_log_has_gone_on_since() {
    over_each_end(&["--backlog", "16KiB", "--max-message", "1KiB"], |server, end| {
        let (mut writer, hello) = server.resume("/");
        for number in 1..=3 {
            writer.expect_echo(&number.to_string());
        }
        server.restart(end);
        for number in 0..400 {
            assert_eq!(post(server, "/", "", format!("{number} {}", ".".repeat(80)).as_bytes()).status, 200);
        }
        server.restart(end);
        let (_client, again) = server.resume(&format!("/?replaces={}", text_of(&hello, "id")));
        assert_eq!(again["taken"], 3, "{again}");
    });
}

#[test]
fn what_was_taken_of_a_client_that_is_silent_is_known_although_the_log_has_gone_on_since() {
    over_each_end(&["--backlog", "16KiB", "--max-message", "1KiB"], |server, end| {
        let (mut writer, hello) = server.resume("/");
        for number in 1..=3 {
            writer.expect_echo(&number.to_string());
        }
        for number in 0..400 {
            assert_eq!(post(server, "/", "", format!("{number} {}", ".".repeat(80)).as_bytes()).status, 200);
            writer.text();
        }
        server.restart(end);
        let (_client, again) = server.resume(&format!("/?replaces={}", text_of(&hello, "id")));
        assert_eq!(again["taken"], 3, "{again}");
    });
}
