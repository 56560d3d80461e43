//! From the start to the end of the process: what it cannot start without, signals, the drain.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use foghorn::config::limits::FIRST_REQUEST_TIMEOUT;
use foghorn::config::settings::Config;
use foghorn::server::run::{Ended, run};
use tempfile::TempDir;

use crate::harness::{
    Client, GREETING, Launch, Server, eventually, folder, free_listener, get, in_own_network, is_emulated,
    request_head, upgrade_head,
};

#[test]
fn the_private_folder_is_open_to_its_user_only_whatever_the_umask() {
    for umask in ["0000", "0022"] {
        let server = Launch::new(&[]).before(&format!("umask {umask}")).start();
        let socket = server.private_sockets().remove(0);
        let mode = fs::metadata(socket.parent().unwrap()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "umask {umask}");
    }
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
    in_own_network(|| {
        // In a file system of the kernel's even root cannot make folders.
        let finished = Launch::new(&[])
            .with_read_only_tmp()
            .env("RUNTIME_DIRECTORY", "/proc/self:relative")
            .env("TMPDIR", format!("/{}", "long/".repeat(30)))
            .run();
        assert_eq!(finished.code, Some(1), "{finished:?}");
        let tried = ["(/proc/self: No such file", "; /long/long", ": its path is too long; /tmp: Read-only"];
        for words in tried.into_iter().chain(["set RUNTIME_DIRECTORY", "absolute path of at most"]) {
            assert!(finished.stderr.contains(words), "{words}: {finished:?}");
        }
        finished.expect_a_sentence();
    });
}

#[test]
fn its_private_socket_is_in_the_first_folder_that_takes_one_and_never_in_the_current_one() {
    let [first, second, current] = [folder(&[]), folder(&[]), folder(&[("run/keep", b"")])];
    let paths = [first.path(), second.path()].map(|path| path.to_str().unwrap());
    let long = format!("/tmp/{}", "x".repeat(200));
    let named = |folder: &TempDir| fs::read_dir(folder.path()).unwrap().count();
    for (runtime, xdg, tmp, expected) in [
        (paths[0], paths[1], paths[1], Some(0)),
        (paths[1], paths[0], paths[0], Some(1)),
        (&format!("/nonexistent:{}:{}", paths[1], paths[0]), paths[0], paths[0], Some(1)),
        (&format!("run::{}", paths[0]), paths[1], paths[1], Some(0)),
        ("", paths[0], paths[1], Some(0)),
        ("run", paths[1], paths[0], Some(1)),
        ("", "", paths[0], Some(0)),
        ("run", "run", paths[1], Some(1)),
        // These are for /tmp.
        ("", "", "", None),
        ("run", "./run", ".", None),
        (&long, &long, &long, None),
    ] {
        let mut server = Launch::new(&[])
            .before(&format!("cd '{}'", current.path().display()))
            .env("RUNTIME_DIRECTORY", runtime)
            .env("XDG_RUNTIME_DIR", xdg)
            .env("TMPDIR", tmp)
            .start();
        assert_eq!(server.get("/").status, 200);
        let found = [named(&first), named(&second)];
        let here = (named(&current), fs::read_dir(current.path().join("run")).unwrap().count());
        assert_eq!(here, (1, 1), "{runtime} {xdg} {tmp}");
        assert_eq!(found, [0, 1].map(|nth| usize::from(expected == Some(nth))), "{runtime} {xdg} {tmp}");
        server.signal("TERM");
        assert_eq!(server.wait_for_exit().code(), Some(0));
    }
}

#[test]
fn without_threads_it_says_what_to_do() {
    // Each thread's stack takes 1 GiB of addresses, and there are enough for so many. On an emulated machine the limit is the
    // emulator's.
    if is_emulated() {
        return;
    }
    let mut told = HashSet::new();
    for threads in 0..7 {
        let limit = format!("ulimit -v {}", (threads << 20) + (900 << 10));
        let finished = Launch::new(&[]).env("RUST_MIN_STACK", "1073741824").before(&limit).run();
        assert_eq!(finished.code, Some(1), "{threads}: {finished:?}");
        finished.expect_a_sentence();
        assert!(finished.stderr.contains("TasksMax="), "{threads}: {finished:?}");
        told.insert(finished.stderr);
    }
    assert_eq!(told.len(), 2, "the log's and the page's: {told:?}");
}

#[test]
fn whichever_signal_asks_it_to_stop_it_says_1001_to_everybody_leaves_nothing_and_exits_with_0() {
    for (signal, words) in [("TERM", "terminated"), ("INT", "interrupted"), ("HUP", "the terminal has gone")] {
        let mut server = Server::start(&[]);
        let mut clients = [server.join(), server.join(), Client::join_at(server.address(), "/?echo=0")];
        clients[0].expect_echo("all is well");
        server.signal(signal);
        for client in &mut clients {
            assert_eq!(client.closed_with(), Some(1001), "{signal}");
        }
        drop(clients);
        assert_eq!(server.wait_for_exit().code(), Some(0), "{signal}: {}", server.log());
        assert!(server.log().contains(&format!("stopping ({words})")), "{signal}: {}", server.log());
        assert_eq!(fs::read_dir(server.runtime_folder()).unwrap().count(), 0, "{signal}");
    }
}

#[test]
fn a_terminal_s_signal_that_is_ignored_at_the_start_stays_ignored() {
    // As by `nohup`, by `&` in a script, and by somebody who wants too much: SIGTERM always ends it.
    for ignored in ["HUP", "INT", "HUP INT TERM"] {
        let mut server = Launch::new(&["-v"]).before(&format!("trap '' {ignored}")).start();
        let mut client = server.join();
        for signal in ignored.split(' ').filter(|signal| *signal != "TERM") {
            server.signal(signal);
            client.expect_echo("all is well");
        }
        server.signal("TERM");
        client.expect_close(1001);
        drop(client);
        assert_eq!(server.wait_for_exit().code(), Some(0), "{ignored}: {}", server.log());
        assert_eq!(server.log().matches("stopping (").count(), 1, "{ignored}: {}", server.log());
        assert!(server.log().contains("stopping (terminated)"), "{ignored}: {}", server.log());
        let said = server.log().matches("was ignored at the start").count();
        assert_eq!(said, ignored.split(' ').filter(|signal| *signal != "TERM").count(), "{}", server.log());
    }
}

#[test]
fn a_terminal_that_is_closed_ends_it_in_order_although_nobody_can_read_what_it_says() {
    // `script` has the other end of the terminal in which the server runs, and writes what that shows.
    let in_terminal = "exec >&2; set -- script -qec \"exec $*\" /dev/null";
    let mut server = Launch::new(&["-v"]).before(in_terminal).start();
    let mut clients = [server.join(), server.join()];
    clients[0].expect_echo("all is well");
    assert_eq!(fs::read_dir(server.runtime_folder()).unwrap().count(), 1);
    server.signal("KILL");
    server.wait_for_exit();
    assert_eq!(clients[1].text(), "all is well");
    for client in &mut clients {
        client.expect_close(1001);
    }
    drop(clients);
    eventually("its private folder is taken away", || fs::read_dir(server.runtime_folder()).unwrap().count() == 0);
    eventually("it has ended", || TcpStream::connect(server.address()).is_err());
}

#[test]
fn what_it_cannot_start_without_is_told_by_its_exit_code_if_nobody_can_read_it() {
    let finished = Launch::new(&["--www", "/nonexistent"]).before("exec 2>/dev/full").run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
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
fn a_hangup_hurries_nobody() {
    // A terminal that closes sends it twice, and a session that ends behind SIGTERM.
    for [first, second] in [["HUP", "HUP"], ["TERM", "HUP"]] {
        let mut server = Server::start(&[]);
        let laggard = laggard(&server);
        server.signal(first);
        server.wait_for_log("stopping");
        server.signal(second);
        server.signal("HUP");
        assert_eq!(server.wait_for_exit().code(), Some(0), "drained: {}", server.log());
        assert_eq!(server.log().matches("stopping (").count(), 1, "{}", server.log());
        drop(laggard);
    }
    let mut server = Server::start(&[]);
    let laggard = laggard(&server);
    server.signal("HUP");
    server.wait_for_log("stopping");
    server.signal("TERM");
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
        let is_quick = came.elapsed() < FIRST_REQUEST_TIMEOUT / 2;
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

/// How many descriptors and threads this process has.
fn held() -> [usize; 2] {
    ["/proc/self/fd", "/proc/self/task"].map(|folder| fs::read_dir(folder).unwrap().count())
}

#[test]
fn nothing_is_left_in_the_process_when_run_has_returned() {
    // For a process of its own: other tests have descriptors, too.
    in_own_network(|| {
        let before = held();
        for tells_twice in [true, false] {
            let listener = free_listener();
            let address = listener.local_addr().unwrap();
            let (tell, told) = smol::channel::unbounded();
            let server = thread::spawn(move || run(vec![listener], Config::default(), Box::pin(told)));
            let mut clients = [Client::join(address), Client::join(address)];
            clients[0].expect_echo("all is well");
            assert_eq!(get(address, "/").status, 200);
            let mut browser = Client::connect(address);
            browser.send(request_head(address, "GET", "/", "").as_bytes());
            assert_eq!(browser.response(false).status, 200);
            let mute = Client::connect(address);
            if tells_twice {
                // Nobody reads, so that there are full sockets to wait for.
                for _ in 0..3 {
                    clients[0].send_binary(&vec![0; 1 << 20]);
                }
                tell.try_send(()).unwrap();
            }
            tell.try_send(()).unwrap();
            eventually("the server ends", || server.is_finished());
            let expected = if tells_twice { Ended::AtOnce } else { Ended::Drained };
            assert_eq!(server.join().unwrap().unwrap(), expected);
            drop((clients, browser, mute, tell));
            eventually(&format!("there is no more than {before:?}"), || {
                let after = held();
                after[0] <= before[0] && after[1] <= before[1]
            });
        }
    });
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
