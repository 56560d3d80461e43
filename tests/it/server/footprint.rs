//! What clients cost the process: memory, threads, descriptors, wake-ups.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use foghorn::config::limits::{HEAD_BYTES_MAX, HEAD_SMALL_BYTES, LARGE_HEADS_MAX, PENDING_MAX};

use crate::harness::{
    BINARY, Bystanders, Client, FIN, Launch, Loop, PONG, Server, Stream, TEXT, eventually, is_emulated, masked,
    post_head, project, raise_own_limit, request_head,
};

/// The formula of docs/reference.md. An emulated process has its emulator's memory too.
fn memory_bound_kib(clients: u64, senders: u64, backlog_kib: u64, message_kib: u64) -> u64 {
    let paper = std::fs::read_to_string(project().join("docs/reference.md")).unwrap().replace('\n', " ");
    let formula = "16 MiB + clients × 4 KiB + streams × 4 KiB more + 3 × (`--backlog` + channels × `--channel-backlog`) + 2 × `--max-message` for each \
                   client that is in the middle of sending one";
    assert!(paper.contains("and as much for posts"), "one of the tests has them");
    assert!(paper.contains(formula), "the paper has the formula that is tested here");
    let emulator_kib = if is_emulated() { 64 * 1024 } else { 0 };
    16 * 1024 + 4 * clients + 3 * backlog_kib + 2 * message_kib * senders + emulator_kib
}

#[test]
fn memory_stays_within_its_bound_however_much_is_posted_at_once() {
    const POSTERS: usize = 60;
    const MESSAGE_BYTES: usize = 1 << 20;
    let server = Server::start(&["--backlog", "2MiB"]);
    let address = server.address();
    // Each keeps the last byte back until it has to go.
    let body = vec![b'x'; MESSAGE_BYTES - 1];
    let most = Arc::new([post_head(address, "/", "", MESSAGE_BYTES).as_bytes(), &body].concat());
    let floods: Vec<Loop> = (0..POSTERS)
        .map(|_| {
            let most = Arc::clone(&most);
            Loop::start(move || {
                let mut poster = TcpStream::connect(address)?;
                // What is refused before all is sent is refused all the same.
                let _ = poster.write_all(&most);
                let _ = poster.read(&mut [0]);
                Ok(())
            })
        })
        .collect();
    eventually("many had to go", || server.figure("/refused/408") >= 500);
    let peak_kib = server.process_figure("VmHWM");
    let bound_kib = memory_bound_kib(0, 0, 2048, 1024) + 8 * 1024;
    assert!(peak_kib <= bound_kib, "{peak_kib} KiB at the peak, and {bound_kib} are allowed");
    drop(server);
    for flood in floods {
        flood.stop();
    }
}

#[test]
fn memory_stays_within_its_bound_whatever_goes_to_clients_that_never_read() {
    const SLEEPERS: u64 = 60;
    const SENDERS: u64 = 4;
    let server = Server::start(&["--backlog", "2MiB", "--max-message", "1MiB", "--patience", "1s"]);
    let payload = vec![0; 900 * 1024];
    let floods: Vec<Loop> = (0..SENDERS)
        .flat_map(|_| {
            let mut flooder = Client::join_at(server.address(), "/?echo=0");
            let frame = masked(FIN | BINARY, &payload);
            let mut socket = flooder.writer();
            let writing = Loop::start(move || socket.write_all(&frame));
            [writing, Loop::start(move || flooder.try_frame().map(drop))]
        })
        .collect();
    // Three waves of clients that read nothing, each thrown out in the middle of a large message.
    let mut sleepers: Vec<Client> = Vec::new();
    for wave in 1..=3 {
        sleepers.extend((0..SLEEPERS).map(|_| {
            let mut sleeper = Client::connect_narrow(server.address(), 4096);
            sleeper.upgrade(server.address(), "/", "");
            sleeper
        }));
        eventually("the wave was thrown out", || server.figure("/closed/tooSlow") >= wave * SLEEPERS);
    }
    let messages = server.figure("/messages");
    eventually("40 MB have gone by since", || server.figure("/messages") > messages + 45);
    let peak_kib = server.process_figure("VmHWM");
    let bound_kib = memory_bound_kib(3 * SLEEPERS + SENDERS, SENDERS, 2048, 1024);
    assert!(peak_kib <= bound_kib, "{peak_kib} KiB at the peak, and {bound_kib} are allowed");
    drop((server, sleepers));
    for flood in floods {
        flood.stop();
    }
}

#[test]
fn a_backlog_that_there_is_no_memory_for_is_named() {
    // Under an emulator the limit would be the emulator's.
    let limit = if is_emulated() { "" } else { "ulimit -v 1500000" };
    let size = if is_emulated() { "2GiB" } else { "1GiB" };
    let finished = Launch::new(&["--backlog", size]).before(limit).run();
    assert!(finished.code != Some(0) && finished.stderr.contains("--backlog"), "{finished:?}");
    if !is_emulated() {
        assert!(finished.code == Some(1) && finished.stderr.contains("lower it"), "{finished:?}");
    }
}

#[test]
fn half_messages_of_many_senders_take_no_more_than_was_sent_of_them() {
    let server = Server::start(&[]);
    let announced = [&[FIN | BINARY, 0x80 | 127][..], &(1_u64 << 20).to_be_bytes(), &[0; 4]].concat();
    let mut senders: Vec<Client> = (0..200).map(|_| Client::join_at(server.address(), "/?echo=0")).collect();
    for sender in &mut senders {
        sender.send(&announced);
        sender.send(&[0; 100]);
    }
    let read = 200 * (announced.len() as u64 + 100);
    eventually("all of it was read", || server.figure("/bytesIn") >= read);
    let peak_kib = server.process_figure("VmHWM");
    let bound_kib = memory_bound_kib(200, 0, 0, 0);
    assert!(peak_kib <= bound_kib, "{peak_kib} KiB with 200 announcements of 1 MiB, and {bound_kib} are allowed");
}

#[test]
fn who_has_sent_a_large_message_keeps_none_of_it() {
    const SENDERS: u64 = 30;
    let server = Server::start(&["--no-echo", "--backlog", "2MiB"]);
    let frame = masked(FIN | BINARY, &vec![0; 1 << 20]);
    let mut readers = Vec::new();
    let mut senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let mut client = Client::join_at(server.address(), "/");
            let socket = client.writer();
            readers.push(Loop::start(move || client.try_frame().map(drop)));
            socket
        })
        .collect();
    for (nth, sender) in senders.iter_mut().enumerate() {
        sender.write_all(&frame).unwrap();
        // One, and the head of the next: a client that is in the middle of a small message.
        sender.write_all(&[&masked(FIN | TEXT, b"small")[..], &[FIN | TEXT, 0x85]].concat()).unwrap();
        server.wait_for_figure("/messages", 2 * (nth as u64 + 1));
    }
    let bound_kib = memory_bound_kib(SENDERS, 0, 2048, 1024);
    eventually("its memory is within the bound", || server.process_figure("VmRSS") <= bound_kib);
    drop((server, senders));
    for reader in readers {
        reader.stop();
    }
}

#[test]
fn who_has_sent_many_small_frames_at_once_takes_no_more_memory_than_before() {
    const CLIENTS: u64 = 1000;
    raise_own_limit();
    let server = Server::start(&["--max-clients-per-ip", "0"]);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.join()).collect();
    // Of all sizes that a small frame has. Nobody else is sent a pong.
    let burst: Vec<u8> = (0..400).flat_map(|nth| masked(FIN | PONG, &vec![0; nth % 126])).collect();
    let before_kib = server.process_figure("VmRSS");
    let mut sent = 0;
    for client in &mut clients {
        client.send(&burst);
        sent += burst.len() as u64;
    }
    eventually("all of it was read", || server.figure("/bytesIn") >= sent);
    eventually("its memory is as before", || server.process_figure("VmRSS") <= before_kib + CLIENTS / 2);
}

#[test]
fn heads_that_are_as_large_as_can_be_take_no_more_than_the_server_has_for_them() {
    raise_own_limit();
    let server = Server::start(&[]);
    let before_kib = server.process_figure("VmRSS");
    let head = format!("GET /{}", "a".repeat(HEAD_BYTES_MAX));
    let mut visitors = Vec::new();
    let mut ask = |bytes: usize| {
        let mut visitor = Client::connect(server.address());
        let _ = visitor.try_send(&head.as_bytes()[..bytes]);
        visitors.push(visitor);
    };
    eventually("there are more than may be", || {
        (0..LARGE_HEADS_MAX).for_each(|_| ask(HEAD_BYTES_MAX - 1));
        server.figure("/pendingDropped") >= LARGE_HEADS_MAX as u64 / 2
    });
    (LARGE_HEADS_MAX..PENDING_MAX).for_each(|_| ask(HEAD_SMALL_BYTES - 1));
    assert_eq!(server.get("/").status, 200, "there is a place for one more");
    let grown_kib = server.process_figure("VmHWM").saturating_sub(before_kib);
    let bound_kib = memory_bound_kib(0, 0, 0, 0) - 5 * 1024;
    assert!(grown_kib <= bound_kib, "{grown_kib} KiB more, and {bound_kib} are for visitors");
}

#[test]
fn a_kept_connection_keeps_nothing_of_a_large_head() {
    const VISITORS: u64 = 900;
    raise_own_limit();
    let server = Server::start(&[]);
    let head = request_head(server.address(), "HEAD", "/", &format!("Cookie: {}\r\n", "c".repeat(15_000)));
    // The page is asked for once, and what is measured is there.
    server.get("/");
    let before_kib = server.process_figure("VmRSS");
    let visitors: Vec<Client> = (0..VISITORS)
        .map(|_| {
            let mut visitor = Client::connect(server.address());
            visitor.send(head.as_bytes());
            assert_eq!(visitor.response(true).status, 200);
            visitor
        })
        .collect();
    let grown_kib = server.process_figure("VmRSS").saturating_sub(before_kib);
    assert!(grown_kib <= 6 * VISITORS, "{grown_kib} KiB more with {VISITORS} kept connections");
    drop(visitors);
}

#[test]
fn threads_and_descriptors_do_not_grow_with_clients_that_come_and_go() {
    raise_own_limit();
    let server = Server::start(&["--max-clients-per-ip", "0"]);
    let mut first = server.join();
    let threads = server.process_figure("Threads");
    let descriptors = server.open_descriptors();
    let mut clients: Vec<Client> = (0..1000).map(|_| server.join()).collect();
    first.send_text("to a thousand");
    for client in &mut clients {
        assert_eq!(client.text(), "to a thousand");
    }
    assert_eq!(first.text(), "to a thousand");
    assert!(server.process_figure("Threads") <= threads + 8, "{threads} threads before");
    drop(clients);
    server.wait_for_figure("/clients", 1);
    eventually("the descriptors are given back", || server.open_descriptors() <= descriptors);
}

#[test]
fn many_who_come_and_go_leave_nothing_behind() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let descriptors = server.open_descriptors();
    let address = server.address();
    let flocks: Vec<_> = (0..4)
        .map(|flock| {
            thread::spawn(move || {
                for nth in 0..50 {
                    let mut client = Client::join(address);
                    client.send_text("I was here");
                    match (flock + nth) % 4 {
                        0 => client.reset(),
                        1 => client.send_close(1000, "bye"),
                        2 => drop(client.writer().write_all(&[FIN | TEXT, 0xfe])),
                        _ => drop(client),
                    }
                }
            })
        })
        .collect();
    for flock in flocks {
        flock.join().unwrap();
    }
    server.wait_for_figure("/clients", 2);
    bystanders.finish();
    eventually("all descriptors are given back", || server.open_descriptors() <= descriptors);
}

/// How often the threads of a process have waited for something.
fn waits(server: &Server) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("the server runs");
    let waits = tasks.map(|task| {
        // A thread may end meanwhile.
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.map_or(0, |number| number.trim().parse::<u64>().expect("a number"))
    });
    waits.sum()
}

#[test]
fn idle_streams_take_at_most_6_kib_each_and_those_that_stall_a_piece_more() {
    const STREAMS: u64 = 1000;
    raise_own_limit();
    let server = Server::start(&["--max-message", "1MiB"]);
    let mut speaker = server.join();
    // So that what everybody needs is there already.
    speaker.expect_echo(&"x".repeat(1 << 20));
    let before_kib = server.process_figure("VmRSS");
    let streams: Vec<Stream> = (0..STREAMS)
        .map(|nth| {
            let client = Client::connect_narrow(server.address(), 4096);
            let form = ["events", "json", "lines"][usize::try_from(nth % 3).unwrap()];
            Stream::open_with(client, server.address(), &format!("/?as={form}"), "")
        })
        .collect();
    let idle_kib = server.process_figure("VmRSS").saturating_sub(before_kib);
    assert!(idle_kib <= 6 * STREAMS, "{idle_kib} KiB more with {STREAMS} idle streams");
    // A large message, of which none takes more than its kernel does.
    speaker.send_text(&"x".repeat(1 << 20));
    eventually("all of them are behind", || server.figure("/clientsBehind") >= STREAMS);
    let stalled_kib = server.process_figure("VmHWM").saturating_sub(before_kib);
    assert!(stalled_kib <= 8 * STREAMS + 2048, "{stalled_kib} KiB more with {STREAMS} streams that stall");
    drop(streams);
}

#[test]
fn with_200_idle_clients_it_sleeps() {
    let server = Server::start(&[]);
    let clients: Vec<Client> = (0..200).map(|_| server.join()).collect();
    // Until all that has just happened is through.
    let mut before = waits(&server);
    eventually("it has come to rest", || {
        thread::sleep(Duration::from_millis(300));
        std::mem::replace(&mut before, waits(&server)) == before
    });
    before = waits(&server);
    thread::sleep(Duration::from_secs(3));
    let wakeups = waits(&server) - before;
    assert!(wakeups < 2 * 3, "{wakeups} wake-ups in three seconds");
    drop(clients);
}
