//! Where `--state` keeps what was said: over another boot, in folders that cannot be used, and with files that are not what they were.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{
    Client, Closed, FIN, Lasting, Launch, PING, PONG, Place, Server, eventually, masked, request, resume, with_state,
};

/// The epoch and the newest number of the main channel.
fn position(server: &Lasting) -> (String, u64) {
    let hello = server.resume("/").1;
    (hello["epoch"].as_str().unwrap().to_owned(), hello["head"].as_u64().unwrap())
}

/// A server that has heard two messages.
fn told(place: Place) -> (Lasting, (String, u64)) {
    let server = Lasting::start(place, &[]);
    let mut client = server.join();
    client.expect_echo("1");
    client.expect_echo("2");
    let position = position(&server);
    (server, position)
}

/// What `/status` says of the folder.
fn state(server: &Server) -> Value {
    server.status()["state"].clone()
}

/// It serves, although it cannot keep anything in this folder: it says so once in the log, with what to do, and in `/status`.
fn expect_it_serves_without(launch: Launch, folder: &Path, hint: &str) {
    let server = with_state(launch, folder).env("FOGHORN_BOOT_ID", "boot").start();
    server.join().expect_echo("1");
    let log = server.log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains(folder.to_str().unwrap()) && warnings[0].contains(hint), "{log}");
    let state = state(&server);
    assert!(state["problem"].as_str().is_some_and(|problem| problem.contains(hint)), "{state}");
}

#[test]
fn in_another_boot_only_what_was_stopped_in_order_goes_on() {
    for place in Place::ALL {
        let (mut server, before) = told(place);
        server.end("TERM");
        server.boot_again();
        server.go_on();
        assert_eq!(position(&server), before, "stopped in order");
        server.end("KILL");
        server.go_on();
        assert_eq!(position(&server), before, "killed in the same boot");
        server.end("KILL");
        server.boot_again();
        server.go_on();
        let (epoch, head) = position(&server);
        assert_ne!(epoch, before.0, "killed in another boot");
        assert_eq!(head, 0);
        assert_eq!(request(server.address(), "GET", "/?last", "").status, 204);
    }
}

#[test]
fn over_another_boot_messages_keep_their_age_about() {
    let (mut server, _) = told(Place::Disk);
    server.end("TERM");
    server.boot_again();
    server.go_on();
    let last = request(server.address(), "GET", "/?last", "");
    let age: u64 = last.header("Age").unwrap().parse().unwrap();
    assert!(age < 60 && last.text() == "2", "{last:?}");
}

#[test]
fn what_it_keeps_is_for_its_owner_only_and_status_tells_of_it() {
    let (server, _) = told(Place::Memory);
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&server.state()), 0o700);
    for entry in fs::read_dir(server.state()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    let state = state(&server);
    assert_eq!(state["folder"], server.state().to_str().unwrap(), "{state}");
    assert_eq!((&state["channelsKept"], &state["problem"]), (&1.into(), &Value::Null), "{state}");
    assert!(state["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{state}");
    assert_eq!(Server::start(&[]).status().get("state"), Some(&Value::Null), "without the flag");
}

#[test]
fn a_second_server_leaves_the_folder_to_the_first() {
    let (mut server, before) = told(Place::Memory);
    expect_it_serves_without(Launch::new(&[]), &server.state(), "another");
    server.join().expect_echo("3");
    server.restart("KILL");
    assert_eq!(position(&server), (before.0, 3));
}

#[test]
fn a_folder_that_cannot_be_used_is_named_and_the_server_serves_without() {
    let place = Place::Memory.folder();
    let path = |name: &str| place.path().join(name);
    fs::write(path("file"), "mine").unwrap();
    expect_it_serves_without(Launch::new(&[]), &path("file"), "");
    assert_eq!(fs::read(path("file")).unwrap(), b"mine");
    expect_it_serves_without(Launch::new(&[]), &path("missing/too"), "");
    fs::create_dir(path("open")).unwrap();
    fs::set_permissions(path("open"), Permissions::from_mode(0o777)).unwrap();
    expect_it_serves_without(Launch::new(&[]), &path("open"), "");
    fs::create_dir(path("closed")).unwrap();
    let closed = Closed::with_mode(path("closed"), 0o500);
    expect_it_serves_without(Launch::new(&[]).without_rights(), &path("closed"), "");
    drop(closed);
    let _closed = Closed::with_mode(path("closed"), 0o500);
    expect_it_serves_without(Launch::new(&[]).without_rights(), &path("closed/state"), "");
}

#[test]
fn a_folder_given_by_a_link_works_as_the_runtime_folder_of_systemd_is_one() {
    let place = Place::Memory.folder();
    fs::create_dir(place.path().join("private")).unwrap();
    symlink("private", place.path().join("foghorn")).unwrap();
    let server = with_state(Launch::new(&[]), &place.path().join("foghorn/state")).start();
    assert_eq!(state(&server)["problem"], Value::Null, "{}", server.log());
    assert!(place.path().join("private/state/main.0").exists());
}

#[test]
fn what_is_foreign_in_the_folder_stays_as_it_is() {
    let (mut server, before) = told(Place::Memory);
    server.end("KILL");
    fs::write(server.file("notes.txt"), "mine").unwrap();
    fs::create_dir(server.file("folder")).unwrap();
    symlink("/etc/passwd", server.file("link")).unwrap();
    server.go_on();
    assert_eq!(position(&server), before);
    server.restart("TERM");
    assert_eq!(fs::read(server.file("notes.txt")).unwrap(), b"mine");
    assert!(server.file("folder").is_dir() && server.file("link").is_symlink());
}

/// What may happen to a file, and how.
type Damage = (&'static str, fn(&Path));

/// The only segment of the main channel.
fn segment(server: &Lasting) -> std::path::PathBuf {
    let files = ["main.0", "main.1"].map(|name| server.file(name));
    files.into_iter().find(|file| file.exists()).expect("a segment")
}

#[test]
fn a_record_that_a_kill_has_torn_is_cut_and_nobody_is_told() {
    let (mut server, before) = told(Place::Memory);
    server.end("KILL");
    let file = segment(&server);
    let whole = fs::read(&file).unwrap();
    // The beginning of a record's header.
    fs::write(&file, [&whole[..], &[3, 0, 0]].concat()).unwrap();
    server.go_on();
    assert_eq!(position(&server), before);
    server.end("KILL");
    assert_eq!(fs::read(&file).unwrap(), whole, "it is cut");
    // A good header, and less behind it than it says.
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    server.go_on();
    assert_eq!(position(&server), (before.0, before.1 - 1));
    assert!(!server.log().contains(" WARN "), "{}", server.log());
}

#[test]
fn a_damaged_file_is_put_aside_with_a_warning_and_the_channel_begins_anew() {
    let damage: [Damage; 6] = [
        ("a flipped bit", |file| {
            let mut bytes = fs::read(file).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(file, bytes).unwrap();
        }),
        ("an empty file", |file| fs::write(file, "").unwrap()),
        ("half a header", |file| fs::write(file, &fs::read(file).unwrap()[..20]).unwrap()),
        ("another file", |file| fs::write(file, "#!/bin/sh\nexit 0\n".repeat(9)).unwrap()),
        ("a link", |file| {
            fs::rename(file, file.with_extension("moved")).unwrap();
            symlink(file.with_extension("moved"), file).unwrap();
        }),
        ("a FIFO", |file| {
            fs::remove_file(file).unwrap();
            assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
        }),
    ];
    for (what, damage) in damage {
        let (mut server, before) = told(Place::Memory);
        server.join().expect_echo("3");
        let mut lights = Client::join_at(server.address(), "/c/lights");
        lights.expect_echo("on");
        server.end("KILL");
        let file = segment(&server);
        damage(&file);
        server.go_on();
        let (epoch, head) = position(&server);
        assert!(epoch != before.0 && head == 0, "{what}: {epoch}:{head} after {before:?}");
        let log = server.log();
        let warnings: Vec<_> = log.lines().filter(|line| line.contains(" WARN ")).collect();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains(name), "{what}: {log}");
        assert!(fs::symlink_metadata(server.file(&format!("{name}.aside"))).is_ok(), "{what}");
        assert_eq!(request(server.address(), "GET", "/c/lights?last", "").text(), "on", "{what}: another channel");
        server.join().expect_echo("1");
        server.restart("KILL");
        assert_eq!(position(&server), (epoch, 1), "{what}: what came since");
    }
}

#[test]
fn a_format_of_the_future_is_put_aside_and_named() {
    let (mut server, before) = told(Place::Memory);
    server.end("TERM");
    let file = segment(&server);
    let mut bytes = fs::read(&file).unwrap();
    // Behind the magic: the version.
    bytes[8] = 2;
    fs::write(&file, bytes).unwrap();
    server.go_on();
    assert_ne!(position(&server).0, before.0);
    assert!(server.log().contains("newer Foghorn"), "{}", server.log());
}

#[test]
fn with_another_backlog_the_newest_that_fits_is_kept() {
    let mut server = Lasting::start(Place::Memory, &["--backlog", "64KiB", "--max-message", "1KiB"]);
    let mut client = server.join();
    for number in 1..=200 {
        client.expect_echo(&format!("{number} {}", ".".repeat(200)));
    }
    let (epoch, _) = position(&server);
    server.end("KILL");
    server.with_flags(&["--backlog", "16KiB", "--max-message", "1KiB"]);
    server.go_on();
    let after = format!("/?after={epoch}:170");
    let (mut client, hello) = server.resume(&after);
    assert_eq!((&hello["epoch"], &hello["lost"], &hello["head"]), (&epoch.clone().into(), &0.into(), &200.into()));
    assert!(client.text().starts_with("171 "));
    server.end("TERM");
    server.with_flags(&["--backlog", "1MiB", "--max-message", "1KiB"]);
    server.go_on();
    let (mut client, hello) = server.resume(&after);
    assert_eq!((&hello["lost"], &hello["head"]), (&0.into(), &200.into()), "{hello}");
    assert!(client.text().starts_with("171 "));
}

#[test]
fn a_message_that_fits_no_more_is_lost_and_the_numbers_go_on() {
    for end in ["KILL", "TERM"] {
        let mut server = Lasting::start(Place::Memory, &[]);
        let mut client = server.join();
        client.expect_echo("1");
        client.expect_echo(&"x".repeat(100_000));
        drop(client);
        let (epoch, _) = position(&server);
        server.end(end);
        server.with_flags(&["--backlog", "16KiB"]);
        server.go_on();
        let (mut client, hello) = server.resume(&format!("/?after={epoch}:0"));
        assert_eq!((&hello["epoch"], &hello["seq"], &hello["head"]), (&epoch.clone().into(), &2.into(), &2.into()));
        assert_eq!(hello["lost"], 2, "{hello}");
        client.expect_echo("3");
        server.restart(end);
        assert_eq!(position(&server), (epoch, 3));
        assert_eq!(request(server.address(), "GET", "/?last", "").text(), "3");
    }
}

#[test]
fn where_there_are_places_for_fewer_channels_those_that_were_used_last_come_back() {
    let mut server = Lasting::start(Place::Memory, &[]);
    for path in ["/c/first", "/c/second", "/c/third", "/c/second"] {
        Client::join_at(server.address(), path).expect_echo("1");
        // Files have the time of the kernel's last tick.
        eventually("a tick has passed", || {
            let written = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
            let last = server.file(&format!("{}.0", path.replace("/c/", "c-")));
            let now = server.state().with_extension("now");
            fs::write(&now, "").unwrap();
            written(&now) > written(&last)
        });
    }
    server.end("KILL");
    server.with_flags(&["--max-channels", "2"]);
    server.go_on();
    let last = |path: &str| request(server.address(), "GET", &format!("{path}?last"), "").status;
    assert_eq!(["/c/first", "/c/second", "/c/third"].map(last), [204, 200, 200]);
    assert!(!server.file("c-first.0").exists());
}

#[test]
fn no_folder_is_made_and_nothing_is_kept_where_none_is_given() {
    let server = Launch::new(&[]).env("FOGHORN_STATE", "").start();
    assert_eq!(state(&server), Value::Null);
    let refused = Launch::new(&["--state", ""]).run();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("--state"), "{refused:?}");
}

#[test]
fn a_file_that_cannot_grow_ends_the_keeping_but_not_the_serving() {
    for place in Place::ALL {
        let folder = place.folder();
        let state_folder = folder.path().join("state");
        let launch = || with_state(Launch::new(&[]), &state_folder).env("FOGHORN_BOOT_ID", "boot");
        // A write beyond 16 KiB fails, and the one before takes only a part.
        let server = launch().before("trap '' XFSZ; ulimit -f 32").start();
        let (mut client, hello) = resume(&server, "/");
        let (mut other, of_other) = resume(&server, "/c/lights");
        for number in 1..=300 {
            client.expect_echo(&format!("{number} {}", ".".repeat(100)));
            other.expect_echo("on");
        }
        let (_client, now) = resume(&server, "/");
        assert_eq!((&now["epoch"], &now["head"]), (&hello["epoch"], &300.into()), "{place:?}: {now}");
        let state = state(&server);
        assert!(state["problem"].as_str().is_some_and(|problem| problem.contains("main.")), "{state}");
        assert_eq!(state["channelsKept"], 1, "{state}");
        let log = server.log();
        assert_eq!(log.matches(" WARN ").count(), 1, "{log}");
        assert!(!state_folder.join("main.0").exists() && !state_folder.join("main.1").exists());
        drop(server);
        let server = launch().start();
        let (_client, now) = resume(&server, "/");
        assert!(now["epoch"] != hello["epoch"] && now["head"] == 0, "{place:?}: {now}");
        let (_client, now) = resume(&server, "/c/lights");
        assert_eq!((&now["epoch"], &now["head"]), (&of_other["epoch"], &300.into()), "{place:?}: {now}");
    }
}

#[test]
fn nothing_is_written_when_nothing_is_said() {
    let server = Lasting::start(Place::Memory, &["--heartbeat", "1s"]);
    let (mut client, _) = server.resume("/");
    client.expect_echo("1");
    let written = || {
        let entries = fs::read_dir(server.state()).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = entries
            .map(|entry| {
                let file = entry.metadata().unwrap();
                (entry.file_name(), file.len(), file.ino(), file.modified().unwrap())
            })
            .collect();
        files.sort();
        files
    };
    let before = written();
    for _ in 0..2 {
        let frame = client.frame();
        assert_eq!(frame.opcode, PING);
        client.send(&masked(FIN | PONG, &frame.payload));
    }
    request(server.address(), "GET", "/?last", "");
    server.status();
    assert_eq!(written(), before);
}

#[test]
fn where_nothing_says_which_boot_it_is_the_kernel_does() {
    let place = Place::Memory.folder();
    let launch = || with_state(Launch::new(&[]), place.path());
    let server = launch().start();
    let (mut client, hello) = resume(&server, "/");
    client.expect_echo("1");
    drop(server);
    let (_client, again) = resume(&launch().start(), "/");
    assert_eq!((&again["epoch"], &again["head"]), (&hello["epoch"], &1.into()), "{again}");
}

#[test]
fn when_what_is_known_of_connections_is_damaged_nothing_is_said_of_them_and_messages_stay() {
    let mut server = Lasting::start(Place::Memory, &[]);
    let (mut client, hello) = server.resume("/");
    client.expect_echo("1");
    let before = position(&server);
    server.end("KILL");
    let file = server.file("connections");
    let mut bytes = fs::read(&file).unwrap();
    bytes[20] ^= 1;
    fs::write(&file, bytes).unwrap();
    server.go_on();
    let (_client, again) = server.resume(&format!("/?replaces={}", hello["id"].as_str().unwrap()));
    assert_eq!(again["taken"], Value::Null, "{again}");
    assert_eq!(position(&server), before);
    let log = server.log();
    assert!(log.matches(" WARN ").count() == 1 && log.contains("connections"), "{log}");
    assert!(server.file("connections.aside").exists());
    server.restart("KILL");
    assert_eq!(position(&server), before);
}
