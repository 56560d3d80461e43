//! From the start to the end of the process: flags, environment, signals, the drain.

use std::fs;
use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use foghorn::config::limits::FIRST_WORDS_TIMEOUT;

use crate::harness::{
    CLOSE, Client, FIN, GREETING, Launch, Server, TEXT, eventually, folder, free_listener, get, in_own_network, masked,
    request_head, upgrade_head,
};

#[test]
fn terminated_or_interrupted_it_says_1001_to_everybody_and_exits_with_0() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        let mut clients = [server.join(), server.join(), Client::join_at(server.address(), "/?echo=0")];
        clients[0].expect_echo("all is well");
        server.signal(signal);
        for client in &mut clients {
            assert_eq!(client.closed_with(), Some(1001), "{signal}");
        }
        drop(clients);
        assert_eq!(server.wait_for_exit().code(), Some(0), "{signal}: {}", server.log());
    }
}

#[test]
fn it_leaves_no_file_behind() {
    let mut server = Server::start(&[]);
    assert_eq!(server.private_sockets().len(), 1, "the page's, in a folder of its own");
    server.signal("TERM");
    server.wait_for_exit();
    assert_eq!(fs::read_dir(server.runtime_folder()).unwrap().count(), 0, "and is taken away at the end");
}

#[test]
fn messages_from_before_the_signal_are_delivered() {
    const MESSAGES: u64 = 300;
    let mut server = Server::start(&[]);
    let mut listener = Client::connect_narrow(server.address(), 4096);
    listener.upgrade(server.address(), "/", "");
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    let filling = "x".repeat(10_000);
    for nth in 0..MESSAGES {
        speaker.send_text(&format!("{nth} {filling}"));
    }
    server.wait_for_figure("/messages", MESSAGES);
    assert_eq!(server.figure("/clientsBehind"), 1, "the listener has not read yet");
    server.signal("TERM");
    server.wait_for_log("stopping");
    assert_eq!(listener.text(), GREETING);
    for nth in 0..MESSAGES {
        assert_eq!(listener.text(), format!("{nth} {filling}"));
    }
    listener.expect_close(1001);
    speaker.expect_close(1001);
    drop((listener, speaker));
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

/// A client that is far behind and reads nothing, so that the drain has somebody to wait for.
fn laggard(server: &Server) -> Client {
    let mut laggard = Client::connect_narrow(server.address(), 4096);
    laggard.upgrade(server.address(), "/", "");
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    for _ in 0..3 {
        speaker.send_binary(&vec![0; 1 << 20]);
    }
    server.wait_for_figure("/messages", 3);
    laggard
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&[]);
    let laggard = laggard(&server);
    server.signal("TERM");
    server.wait_for_log("stopping");
    server.signal("INT");
    assert_eq!(server.wait_for_exit().code(), Some(1), "not drained: {}", server.log());
    drop(laggard);
}

#[test]
fn a_client_that_reads_nothing_does_not_hold_up_the_end() {
    let mut server = Server::start(&[]);
    let laggard = laggard(&server);
    let mut other = server.join();
    server.signal("TERM");
    other.expect_close(1001);
    assert_eq!(server.wait_for_exit().code(), Some(0));
    drop(laggard);
}

#[test]
fn while_it_drains_nobody_new_is_let_in() {
    let server = Server::start(&[]);
    let _laggard = laggard(&server);
    let head = upgrade_head("localhost", "/", "");
    let (first, second) = head.as_bytes().split_at(20);
    let mut late = Client::connect(server.address());
    late.send(first);
    server.get("/status");
    server.signal("TERM");
    server.wait_for_log("stopping");
    eventually("connections are refused", || TcpStream::connect(server.address()).is_err());
    // Who stood in the door already is told so.
    late.send(second);
    assert_eq!(late.response(false).status, 101);
    assert_eq!(late.closed_with(), Some(1001));
}

#[test]
fn who_has_come_in_just_before_the_end_is_answered() {
    eventually("a visitor was quick enough to count", || {
        let mut server = Server::start(&[]);
        let came = Instant::now();
        let mut visitor = Client::connect(server.address());
        // It is in when somebody who came later has been answered.
        server.get("/status");
        server.signal("TERM");
        server.wait_for_log("stopping");
        let _ = visitor.try_send(request_head(server.address(), "GET", "/", "").as_bytes());
        let is_quick = came.elapsed() < FIRST_WORDS_TIMEOUT / 2;
        if is_quick {
            assert_eq!(visitor.response(false).status, 200);
        }
        assert_eq!(server.wait_for_exit().code(), Some(0), "{}", server.log());
        is_quick
    });
}

#[test]
fn half_heads_and_idle_browsers_do_not_hold_up_the_end() {
    let mut server = Server::start(&[]);
    let idle = TcpStream::connect(server.address()).unwrap();
    let mut half = Client::connect(server.address());
    half.send(b"GET / HTTP/1.1\r\nHost: loc");
    let mut browser = Client::connect(server.address());
    browser.send(request_head(server.address(), "GET", "/", "").as_bytes());
    assert_eq!(browser.response(false).header("Connection"), Some("keep-alive"));
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    drop((idle, half, browser));
}

#[test]
fn a_drain_that_gets_stuck_is_given_up() {
    let www = folder(&[]);
    let file = fs::File::create(www.path().join("large.bin")).unwrap();
    file.set_len(1 << 30).unwrap();
    let mut server = Server::serving(&www);
    // It takes something all the time, so that no other deadline ends it, and would be at it for a day.
    let mut reader = Client::connect_narrow(server.address(), 4096);
    reader.send(request_head(server.address(), "GET", "/large.bin", "").as_bytes());
    assert_eq!(reader.response(true).status, 200);
    let mut socket = reader.writer();
    let trickle = thread::spawn(move || {
        let mut some = [0; 512];
        while matches!(socket.read(&mut some), Ok(1..)) {
            thread::sleep(Duration::from_millis(20));
        }
    });
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0), "{}", server.log());
    // The kernel holds more for it.
    reader.socket().shutdown(Shutdown::Both).unwrap();
    trickle.join().unwrap();
}

#[test]
fn a_taken_port_is_named_with_what_to_do() {
    let taken = free_listener();
    let address = taken.local_addr().unwrap().to_string();
    let finished = Launch::bare(&["--listen", &address]).run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains(&address) && finished.stderr.contains("--listen"), "{finished:?}");
    finished.expect_a_sentence();
}

#[test]
fn an_address_of_another_machine_is_named_with_what_to_do() {
    // RFC 5737: addresses for documentation, which nobody has.
    let finished = Launch::bare(&["--listen", "192.0.2.1:0"]).run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("192.0.2.1") && finished.stderr.contains("[::]"), "{finished:?}");
    finished.expect_a_sentence();
}

#[test]
fn a_missing_www_folder_is_named_with_what_to_do() {
    let somewhere = folder(&[("file", b"")]);
    for name in ["missing", "file"] {
        let path = somewhere.path().join(name);
        let finished = Launch::new(&["--www"]).arg(&path).run();
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains(path.to_str().unwrap()) && finished.stderr.contains("--www"), "{finished:?}");
        finished.expect_a_sentence();
    }
}

#[test]
fn without_any_folder_for_its_private_socket_it_says_what_to_do() {
    // A file system of the kernel's that even root cannot make folders in.
    let finished = Launch::new(&[]).env("RUNTIME_DIRECTORY", "/proc/self").env("TMPDIR", "/proc/self").run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("RUNTIME_DIRECTORY"), "{finished:?}");
    finished.expect_a_sentence();
}

#[test]
fn a_bad_flag_is_named_with_what_would_be_right() {
    for (flag, value, hint) in [
        ("--listen", "1919", "socket address"),
        ("--listen", "localhost:1919", "socket address"),
        ("--history", "-1", "invalid"),
        ("--history", "many", "invalid"),
        ("--max-message", "big", "such as 512KiB"),
        ("--max-message", "0", "from 125"),
        ("--max-message", "2GiB", "to 1.0 GiB"),
        ("--backlog", "1", "from 1.0 KiB"),
        ("--patience", "2", "such as 500ms"),
        ("--patience", "0s", "from 10ms"),
        ("--max-clients", "0", "from 1"),
        ("--max-clients", "x", "from 1"),
        ("--max-clients-per-ip", "-1", "invalid"),
        ("--heartbeat", "25", "such as 500ms"),
        ("--heartbeat", "1ms", "from 100ms"),
        ("--allow-host", "", "value"),
        ("--allow-host", "http://board.example.com", "such as board.example.com"),
        ("--allow-host", "board.example.com:80", "no port"),
        ("--allow-origin", "https://example.com/path", "such as https://example.com"),
        ("--log-level", "loud", "debug"),
    ] {
        let finished = Launch::new(&[&format!("{flag}={value}")]).run();
        assert_eq!(finished.code, Some(2), "{flag}={value}: {finished:?}");
        assert!(finished.stderr.contains(flag) && finished.stderr.contains(hint), "{flag}={value}: {finished:?}");
        assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    }
    let too_long = "x".repeat(4097);
    let finished = Launch::new(&["--greeting", &too_long]).run();
    assert!(finished.code == Some(2) && finished.stderr.contains("4096"), "{finished:?}");
    for nonsense in ["--no-such-flag", "stray", "-x"] {
        let finished = Launch::new(&[nonsense]).run();
        assert!(finished.code == Some(2) && finished.stderr.contains(nonsense), "{finished:?}");
    }
    let finished = Launch::new(&["-v", "-q"]).run();
    assert_eq!(finished.code, Some(2), "{finished:?}");
}

#[test]
fn help_and_version_are_printed() {
    let help = Launch::bare(&["--help"]).run();
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("Usage: foghorn") && help.stderr.is_empty(), "{help:?}");
    let version = Launch::bare(&["--version"]).run();
    assert_eq!((version.code, version.stdout), (Some(0), format!("foghorn {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn every_setting_can_come_from_the_environment() {
    let www = folder(&[("index.html", b"from disk")]);
    let server = Launch::bare(&[])
        .env("FOGHORN_LISTEN", "127.0.0.1:0,[::1]:0")
        .env("FOGHORN_GREETING", "welcome")
        .env("FOGHORN_NO_ECHO", "true")
        .env("FOGHORN_HISTORY", "1")
        .env("FOGHORN_WWW", www.path())
        .env("FOGHORN_MAX_MESSAGE", "1KiB")
        .env("FOGHORN_BACKLOG", "64KiB")
        .env("FOGHORN_PATIENCE", "1m")
        .env("FOGHORN_MAX_CLIENTS", "2")
        .env("FOGHORN_MAX_CLIENTS_PER_IP", "0")
        .env("FOGHORN_HEARTBEAT", "0")
        .env("FOGHORN_ALLOW_HOST", "board.example.com,board.example.net")
        .env("FOGHORN_ALLOW_ORIGIN", "null,https://example.com")
        .env("FOGHORN_LOG_LEVEL", "debug")
        .expecting(2)
        .start();
    let [address, v6] = server.addresses[..] else { panic!("two addresses") };
    assert!(v6.is_ipv6());
    assert_eq!(get(v6, "/").text(), "from disk");
    let join = |host: &str, origin: &str| {
        let mut client = Client::connect(address);
        client.send(upgrade_head(host, "/", &format!("Origin: {origin}\r\n")).as_bytes());
        assert_eq!(client.response(false).status, 101, "{host} {origin}");
        assert_eq!(client.text(), "welcome");
        client
    };
    let mut one = join("board.example.com", "https://example.com");
    one.send_text("not to me, but to history");
    server.wait_for_figure("/messages", 1);
    let mut two = join("board.example.net:1919", "null");
    assert_eq!(two.text(), "not to me, but to history");
    assert_eq!(Client::connect(address).try_upgrade(address, "/", "").status, 503);
    let status = server.status();
    assert_eq!((&status["backlogBytesMax"], &status["maxMessage"]), (&(64 << 10).into(), &1024.into()));
    one.send_binary(&[0; 1025]);
    assert_eq!(one.closed_with(), Some(1009));
}

#[test]
fn a_flag_wins_over_the_environment_and_bad_environment_is_named() {
    let launch = Launch::new(&["--greeting", "from a flag"]);
    let server = launch.env("FOGHORN_GREETING", "from the environment").env("FOGHORN_NO_ECHO", "0").start();
    let mut client = Client::connect(server.address());
    client.upgrade(server.address(), "/", "");
    assert_eq!(client.text(), "from a flag");
    client.expect_echo("and 0 is not yes");

    let finished = Launch::new(&[]).env("FOGHORN_PATIENCE", "soon").run();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("soon") && finished.stderr.contains("--patience"), "{finished:?}");
}

#[test]
fn it_logs_who_comes_and_goes_and_why_but_not_what_is_said() {
    let server = Server::start(&["-v"]);
    let mut client = server.join();
    let from = client.socket().local_addr().unwrap();
    client.expect_echo("a secret of ours");
    client.send_close(1000, "another secret");
    client.expect_close(1000);
    server.wait_for_log(&format!("{from} left after 0 s: closed by the client"));
    let log = server.log();
    assert!(log.contains(&format!("{from} joined")), "{log}");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn quiet_it_says_only_what_goes_wrong() {
    for flag in ["-q", "--quiet", "--log-level=warn", "--log-level=off"] {
        let listener = free_listener();
        let address = listener.local_addr().unwrap();
        let server = Launch::bare(&[flag]).hand_over(listener).start();
        let mut client = Client::join(address);
        client.send(&[FIN | TEXT, 0]);
        assert_eq!(client.closed_with(), Some(1002));
        assert_eq!(get(address, "/nothing").status, 404);
        assert_eq!(server.log(), "", "{flag}");
    }
}

#[test]
fn it_goes_on_when_its_log_cannot_be_written() {
    in_own_network(|| {
        let mut server = Launch::bare(&["-v"]).before("exec 2>/dev/full").start();
        let address = "127.0.0.1:1919".parse().unwrap();
        eventually("it listens or has ended", || server.try_exit().is_some() || TcpStream::connect(address).is_ok());
        assert!(server.try_exit().is_none(), "it has ended");
        let mut client = Client::join(address);
        client.expect_echo("nobody writes it down");
        client.send(&masked(FIN | CLOSE, b""));
        assert_eq!(client.closed_with(), None);
        assert_eq!(get(address, "/nothing").status, 404);
        assert!(server.try_exit().is_none(), "it has ended");
    });
}

#[test]
fn an_address_that_no_phone_can_reach_is_not_announced_to_phones() {
    let server = Server::start(&[]);
    drop(server.join());
    server.wait_for_log("joined");
    assert!(!server.log().contains("on a phone"), "{}", server.log());
}
