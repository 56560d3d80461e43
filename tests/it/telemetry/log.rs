//! The log: who comes, goes and is refused, and why, but never what is said. It goes on when nobody can write it down.

use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;

use foghorn::config::limits::LOG_LINES_BURST;

use crate::harness::{
    CLOSE, Client, FIN, Launch, Server, TEXT, eventually, free_listener, get, in_own_network, masked, patience,
    request_head, upgrade_head,
};

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
fn every_refusal_is_counted_and_logged_without_its_content() {
    let server = Server::start(&["--max-clients", "1"]);
    let _client = server.join();
    let secret = "Cookie: SECRET\r\n";
    let head = |method: &str, path: &str, more: &str| {
        request_head(server.address(), method, path, &format!("{secret}{more}")).into_bytes()
    };
    let upgrade = upgrade_head("localhost", "/?SECRET", secret);
    for (expected, bytes) in [
        (400, b"SECRET \x01\r\n\r\n".to_vec()),
        (403, upgrade.replace("localhost", "SECRET.example").into_bytes()),
        (404, head("GET", "/SECRET", "")),
        (405, head("PATCH", "/SECRET", "")),
        (411, head("GET", "/", "Transfer-Encoding: chunked\r\n")),
        (413, head("GET", "/", "Content-Length: 1\r\n")),
        (426, upgrade.replace("13", "12").into_bytes()),
        (431, head("GET", "/", &format!("X: {}\r\n", "SECRET".repeat(4000)))),
        (503, upgrade.clone().into_bytes()),
    ] {
        let mut client = Client::connect(server.address());
        let _ = client.try_send(&bytes);
        let response = client.response(false);
        assert_eq!(response.status, expected, "{response:?}");
        assert!(!response.text().contains("SECRET"), "{response:?}");
        assert_eq!(server.figure(&format!("/refused/{expected}")), 1, "the counter of {expected}");
        let from = client.socket().local_addr().unwrap();
        if expected != 404 {
            server.wait_for_log(&format!("{from} refused with {expected}"));
        }
    }
    assert!(!server.log().contains("SECRET"), "{}", server.log());
}

#[test]
fn a_file_of_the_page_that_cannot_be_read_is_counted_and_logged() {
    // Its own memory, which cannot be read from the beginning, even by root.
    let server = Launch::new(&["--www", "/proc/self"]).start();
    let response = server.get("/mem");
    assert_eq!(response.status, 500, "{response:?}");
    assert_eq!(server.figure("/refused/500"), 1);
    server.wait_for_log("cannot read \"/proc/");
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
fn where_standard_error_is_the_journal_lines_have_priorities_and_no_timestamps() {
    in_own_network(|| {
        std::fs::create_dir_all("/run/systemd/journal").unwrap();
        let journal = UnixDatagram::bind("/run/systemd/journal/socket").expect("/run is the test's own");
        journal.set_read_timeout(Some(patience())).unwrap();
        let server = Launch::bare(&["--max-clients", "100"])
            .before("JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2); export JOURNAL_STREAM; ulimit -n 64")
            .start();
        let mut entries: Vec<String> = Vec::new();
        let mut wait_for = |message: &str| {
            let mut datagram = [0; 4096];
            loop {
                let bytes = journal.recv(&mut datagram).expect("the journal is told");
                entries.push(String::from_utf8_lossy(&datagram[..bytes]).into_owned());
                if let Some(entry) = entries.last().filter(|entry| entry.contains(message)) {
                    return entry.clone();
                }
            }
        };
        let warning = wait_for("clients fit into the limit");
        let listening = wait_for("listening on [::]:1919");
        Client::join("127.0.0.1:1919".parse().unwrap()).expect_echo("hello");
        let joined = wait_for("joined");
        // syslog(3): 4 is a warning, 6 is information; the library counts the log crate's `info` as a notice, 5.
        assert!(warning.lines().any(|line| line == "PRIORITY=4"), "{warning}");
        for entry in [listening, joined] {
            assert!(entry.lines().any(|line| matches!(line, "PRIORITY=5" | "PRIORITY=6")), "{entry}");
            assert!(!entry.contains("T00:") && !entry.contains("INFO") && !entry.contains('\u{1b}'), "{entry}");
        }
        assert_eq!(server.log(), "", "nothing twice");
    });
}

#[test]
fn it_goes_on_when_the_journal_is_not_there() {
    in_own_network(|| {
        let _server = Launch::bare(&["-v"])
            .before("JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2); export JOURNAL_STREAM")
            .start();
        let address = "127.0.0.1:1920".parse().unwrap();
        eventually("it listens", || std::net::TcpStream::connect(address).is_ok());
        Client::join(address).expect_echo("nobody writes it down");
        assert_eq!(get(address, "/").status, 200);
    });
}

#[test]
fn debug_lines_which_somebody_has_asked_for_are_not_left_out() {
    // So many that not all of the other lines come out, however slow the machine is.
    const REFUSED: usize = 2 * LOG_LINES_BURST as usize;
    let server = Server::start(&["-v"]);
    // It finds their requests and that they have gone: each is a debug line, beside the line that is counted.
    server.signal("STOP");
    for _ in 0..REFUSED {
        let mut visitor = Client::connect(server.address());
        visitor.send(b"Good morning\r\n\r\n");
        visitor.reset();
    }
    server.signal("CONT");
    eventually("there is a line for each of them", || {
        server.log().lines().filter(|line| line.contains("did not take its answer")).count() == REFUSED
    });
    let counted = server.log().lines().filter(|line| line.contains("refused with 400")).count();
    assert!(counted < REFUSED, "else this test shows nothing");
}
