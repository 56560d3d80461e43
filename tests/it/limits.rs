//! Very many clients, very few descriptors: what is full says so, and is whole again when that has passed.

use std::fs;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use foghorn::config::limits::{HTTP_IN_FLIGHT_MAX, SLOW_READERS_MAX};

use crate::harness::{
    Bystanders, Client, LARGE_BYTES, Launch, Server, eventually, folder, patience, raise_own_limit, request_head,
    upgrade_head,
};

#[test]
fn when_all_places_are_taken_a_client_is_answered_with_503_and_the_page_is_still_served() {
    let server = Server::start(&["--max-clients", "3"]);
    let mut clients = vec![server.join(), server.join(), server.join()];
    for _ in 0..10 {
        let mut late = Client::connect(server.address());
        let response = late.try_upgrade(server.address(), "/", "");
        assert_eq!(response.status, 503, "{response:?}");
        let seconds: u32 = response.header("Retry-After").expect("when to come back").parse().expect("seconds");
        assert!((1..=60).contains(&seconds));
        assert!(response.text().ends_with(".\n"), "{response:?}");
        late.expect_end();
        assert_eq!(server.get("/").status, 200);
    }
    let status = server.status();
    assert_eq!((&status["refused"]["503"], &status["clients"]), (&10.into(), &3.into()));
    clients[0].expect_echo("undisturbed");

    // Whoever leaves makes room, however it leaves.
    clients.pop().unwrap().reset();
    eventually("the place is free again", || {
        Client::connect(server.address()).try_upgrade(server.address(), "/", "").status == 101
    });
}

#[test]
fn the_limit_of_open_files_lowers_the_number_of_clients_with_a_warning() {
    let server = Launch::new(&[]).before("ulimit -n 64").start();
    let log = server.log();
    let line = log.lines().find(|line| line.contains("WARN")).unwrap_or_else(|| panic!("no warning: {log}"));
    assert!(line.contains("64") && line.contains("4096") && line.contains("ulimit -n"), "{line}");
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_goes() {
    raise_own_limit();
    let server = Launch::new(&["--max-clients", "300"]).before("ulimit -Sn 64").start();
    assert!(!server.log().contains("WARN"), "{}", server.log());
    let clients: Vec<Client> = (0..300).map(|_| server.join()).collect();
    assert_eq!(server.figure("/clients"), 300);
    drop(clients);
}

#[test]
fn with_64_descriptors_and_400_connections_it_serves_whom_it_can_and_is_whole_again_afterwards() {
    raise_own_limit();
    let server = Launch::new(&[]).before("ulimit -n 64").start();
    let bystanders = Bystanders::start(&server);
    for _ in 0..2 {
        let idle: Vec<Client> = (0..400).map(|_| Client::connect(server.address())).collect();
        assert_eq!(server.get("/").status, 200);
        drop(idle);
        let mut eager: Vec<Client> = (0..400).map(|_| Client::connect(server.address())).collect();
        let head = upgrade_head("localhost", "/", "");
        let mut answers = [0, 0, 0];
        for client in &mut eager {
            // Those who had to make room have been dropped already.
            let _ = client.try_send(head.as_bytes());
            match client.try_response(false).map(|response| response.status) {
                Ok(101) => answers[0] += 1,
                Ok(503) => answers[1] += 1,
                Ok(other) => panic!("{other}"),
                Err(_) => answers[2] += 1,
            }
            assert!(server.open_descriptors() <= 64);
        }
        assert!(answers[0] + answers[1] + answers[2] == 400 && answers[2] < 400, "{answers:?}");
        assert_eq!(server.get("/status").status, 200);
        drop(eager);
        server.wait_for_figure("/clients", 2);
    }
    // As many as there were places, and a page beside them.
    let mut all = Vec::new();
    let full = loop {
        let mut client = Client::connect(server.address());
        match client.try_upgrade(server.address(), "/", "").status {
            101 => all.push(client),
            other => break other,
        }
    };
    assert_eq!(full, 503);
    assert!(all.len() >= 10, "{} clients", all.len());
    assert_eq!(server.get("/").status, 200);
    drop(all);
    bystanders.finish();
    assert_eq!(server.figure("/httpRestarts"), 0);
}

#[test]
fn with_1500_idle_and_half_connections_page_and_broadcast_go_on_and_threads_do_not_grow() {
    raise_own_limit();
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    assert_eq!(server.get("/").status, 200);
    let threads = server.process_figure("Threads");
    let mut crowd: Vec<TcpStream> = Vec::new();
    for nth in 0..1500 {
        let mut client = Client::connect(server.address());
        match nth % 3 {
            0 => {}
            // Those before them may have had to make room.
            1 => drop(client.try_send(b"GET / HTTP/1.1\r\nHost: local")),
            _ => drop(client.try_send(&upgrade_head("localhost", "/", "").as_bytes()[..150])),
        }
        crowd.push(client.writer());
    }
    for _ in 0..20 {
        assert_eq!(server.get("/").status, 200);
        server.join().expect_echo("in the crowd");
    }
    let more = server.process_figure("Threads").saturating_sub(threads);
    assert!(more <= 8, "{more} threads more for 1,500 connections");
    assert_eq!(crowd.len(), 1500);
    bystanders.finish();
    drop(crowd);
    eventually("the descriptors are given back", || server.open_descriptors() < 64);
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
fn many_pages_at_once_are_all_served_with_few_threads() {
    raise_own_limit();
    let server = Server::start(&[]);
    assert_eq!(server.get("/").status, 200);
    let threads = server.process_figure("Threads");
    let mut visitors: Vec<Client> = (0..300).map(|_| Client::connect(server.address())).collect();
    for _ in 0..3 {
        for visitor in &mut visitors {
            visitor.send(request_head(server.address(), "GET", "/", "").as_bytes());
        }
        for visitor in &mut visitors {
            assert_eq!(visitor.response(false).status, 200);
        }
    }
    // One for each request in work, and as many that have just answered and are not back yet.
    let most = threads + 2 * HTTP_IN_FLIGHT_MAX as u64;
    let now = server.process_figure("Threads");
    assert!(now <= most, "{threads} threads before, {now} with 300 visitors");
}

#[test]
fn a_connection_that_says_nothing_makes_room_for_the_next_one() {
    let server = Launch::new(&[]).before("ulimit -n 64").start();
    let bystanders = Bystanders::start(&server);
    let mut oldest = Client::connect(server.address());
    let newer: Vec<Client> = (0..40).map(|_| Client::connect(server.address())).collect();
    let started = Instant::now();
    oldest.expect_end();
    assert!(
        started.elapsed() < Duration::from_secs(4) || patience() > Duration::from_secs(20),
        "before its time was up"
    );
    assert!(server.figure("/pendingDropped") > 0);
    bystanders.finish();
    drop(newer);
}

#[test]
fn a_page_that_is_being_served_is_not_pushed_out_by_newer_connections() {
    let www = folder(&[("large.bin", &vec![7; LARGE_BYTES])]);
    let server = Launch::new(&["--www"]).arg(www.path()).before("ulimit -n 64").start();
    let mut reader = Client::connect_narrow(server.address(), 4096);
    reader.send(request_head(server.address(), "GET", "/large.bin", "").as_bytes());
    assert_eq!(reader.response(true).status, 200);
    let crowd: Vec<Client> = (0..30).map(|_| Client::connect(server.address())).collect();
    eventually("some had to go", || server.figure("/pendingDropped") > 0);
    assert!(reader.bytes(LARGE_BYTES).expect("the whole file comes") == vec![7; LARGE_BYTES], "unchanged");
    drop(crowd);
}

#[test]
fn of_too_many_visitors_who_do_not_take_their_answer_the_oldest_goes() {
    raise_own_limit();
    let www = folder(&[("large.bin", &vec![7; LARGE_BYTES])]);
    let server = Server::serving(&www);
    let bystanders = Bystanders::start(&server);
    let mut visitors: Vec<Client> = (0..SLOW_READERS_MAX + 10)
        .map(|_| {
            let mut visitor = Client::connect_narrow(server.address(), 4096);
            visitor.send(request_head(server.address(), "GET", "/large.bin", "").as_bytes());
            assert_eq!(visitor.response(true).status, 200);
            visitor
        })
        .collect();
    assert!(visitors[0].bytes(LARGE_BYTES).is_err(), "the oldest had to go");
    let newest = visitors.last_mut().unwrap();
    assert!(newest.bytes(LARGE_BYTES).expect("the whole file comes") == vec![7; LARGE_BYTES], "the newest is served");
    assert_eq!(server.get("/status").status, 200);
    bystanders.finish();
}

#[test]
fn when_descriptors_run_out_accepting_is_tried_again_until_they_come_back() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    server.limit_descriptors(3);
    let mut waiting: Vec<Client> = (0..5).map(|_| Client::connect(server.address())).collect();
    for client in &mut waiting {
        client.send(request_head(server.address(), "GET", "/", "").as_bytes());
    }
    server.wait_for_log("cannot accept connections");
    // Long enough for some more tries.
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(500) {
        assert_eq!(server.log().matches("cannot accept connections").count(), 1, "logged once: {}", server.log());
    }
    server.limit_descriptors(1024);
    for client in &mut waiting {
        assert_eq!(client.response(false).status, 200);
    }
    server.wait_for_log("accepting connections again");
    assert!(server.figure("/acceptErrors") >= 3);
    bystanders.finish();
}

#[test]
fn the_page_comes_back_when_its_own_descriptors_had_run_out() {
    let mut server = Server::start(&[]);
    // Descriptors are shared out so that this cannot happen, but for a machine whose table of files is full, or a limit that
    // is lowered later: then threads of tiny_http panic.
    server.may_panic = true;
    let bystanders = Bystanders::start(&server);
    // Connections that are there already, since no more are accepted.
    let mut visitors: Vec<Client> = (0..12).map(|_| Client::connect(server.address())).collect();
    for visitor in &mut visitors {
        visitor.send(request_head(server.address(), "GET", "/", "").as_bytes());
        assert_eq!(visitor.response(false).status, 200);
    }
    // None left for the relay, or for tiny_http, or for what comes after.
    let open = server.open_descriptors();
    for (nth, visitor) in visitors.iter_mut().enumerate() {
        server.limit_descriptors(open + nth % 6);
        visitor.send(request_head(server.address(), "GET", "/", "").as_bytes());
        let status = visitor.response(false).status;
        assert!(matches!(status, 200 | 500 | 503), "{status}");
    }
    server.limit_descriptors(1024);
    eventually("the page is back", || server.get("/").status == 200);
    assert_eq!(server.get("/").status, 200);
    bystanders.finish();
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
