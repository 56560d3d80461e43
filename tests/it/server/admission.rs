//! Too many clients, too few descriptors: what is full says so, and is whole again when that has passed.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use foghorn::config::fd_budget::FdBudget;
use foghorn::config::limits::{LARGE_HEADS_MAX, SLOW_READERS_MAX};

use crate::harness::{
    Bystanders, Client, LARGE_BYTES, Launch, OWN_ADDRESSES, Server, ask_for_large_file, eventually, folder,
    folder_with_large_file, get, in_own_network, patience, raise_own_limit, request, request_head, upgrade_head,
};

#[test]
fn over_max_clients_a_client_is_answered_with_503_and_the_page_is_still_served() {
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
    assert_eq!((&status["refusals"][0]["status"], &status["refusals"][0]["times"]), (&503.into(), &10.into()));
    clients[0].expect_echo("undisturbed");

    // Whoever leaves makes room, however it leaves.
    clients.pop().unwrap().reset();
    eventually("the place is free again", || {
        Client::connect(server.address()).try_upgrade(server.address(), "/", "").status == 101
    });
}

#[test]
fn too_many_from_one_address_are_answered_with_429_but_not_from_loopback_or_with_no_limit() {
    in_own_network(|| {
        let [near, far] = OWN_ADDRESSES.map(|ip| SocketAddr::new(ip.into(), 1919));
        let loopback = SocketAddr::from(([127, 0, 0, 1], 1919));
        let server = Launch::bare(&["--max-clients-per-ip", "3"]).expecting(2).start();
        // Within one machine, a connection comes from the address that it goes to.
        let mut from_near: Vec<_> = (0..3).map(|_| Client::join(near)).collect();
        let mut client = Client::connect(near);
        let response = client.try_upgrade(near, "/", "");
        assert_eq!(response.status, 429, "{response:?}");
        response.expect_a_sentence();
        assert!(response.text().contains("--max-clients-per-ip"), "{response:?}");
        // A page cannot see that status.
        let mut page = Client::connect(near);
        page.upgrade(near, "/", "Sec-WebSocket-Protocol: foghorn.v1\r\n");
        let (code, reason) = page.frame().close_parts();
        assert!(code == Some(1013) && response.text().starts_with(&reason), "{code:?} {reason}");
        assert_eq!(server.figure("/refused/429"), 2);
        assert_eq!(get(near, "/").status, 200, "the page is for everybody");
        let _from_far = Client::join(far);
        let _from_loopback: Vec<_> = (0..5).map(|_| Client::join(loopback)).collect();
        // Whoever leaves makes room.
        let mut leaving = from_near.pop().unwrap();
        leaving.send_close(1000, "");
        assert_eq!(leaving.closed_with(), Some(1000));
        drop(leaving);
        eventually("the place is free again", || Client::connect(near).try_upgrade(near, "/", "").status == 101);
        drop(server);

        let server = Launch::bare(&["--max-clients-per-ip", "0"]).expecting(2).start();
        let _many: Vec<_> = (0..300).map(|_| Client::join(near)).collect();
        drop(server);

        let server = Launch::bare(&[]).expecting(2).start();
        let _many: Vec<_> = (0..256).map(|_| Client::join(near)).collect();
        assert_eq!(Client::connect(near).try_upgrade(near, "/", "").status, 429, "the default is 256");
        drop(server);
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
fn who_reads_slowly_holds_no_place_for_large_heads() {
    let www = folder_with_large_file(LARGE_BYTES as u64);
    let server = Launch::new(&["--www"]).arg(www.path()).start();
    let cookies = format!("Cookie: {}\r\n", "c".repeat(9000));
    let readers: Vec<Client> = (0..LARGE_HEADS_MAX)
        .map(|_| {
            let mut reader = Client::connect_narrow(server.address(), 4096);
            reader.send(request_head(server.address(), "GET", "/large.bin", &cookies).as_bytes());
            assert_eq!(reader.response(true).status, 200);
            reader
        })
        .collect();
    for path in ["/status", "/large.bin"] {
        assert_eq!(request(server.address(), "HEAD", path, &cookies).status, 200, "{path}");
    }
    assert_eq!(Client::connect(server.address()).try_upgrade(server.address(), "/", &cookies).status, 101);
    drop(readers);
}

#[test]
fn of_too_many_slow_readers_the_oldest_is_dropped() {
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
fn slow_readers_are_at_most_half_of_the_pending_connections_and_the_rest_is_for_newcomers() {
    let budget = FdBudget::within(68, 4096);
    let half = budget.pending.div_ceil(2);
    assert!(budget.slow_readers >= half, "of so few nobody is dropped for being slow, or this test shows nothing");
    let www = folder_with_large_file(LARGE_BYTES as u64);
    let server = Launch::new(&["--www"]).arg(www.path()).before("ulimit -n 68").start();
    let address = server.address();
    let mut readers: Vec<Client> =
        (0..half).map(|_| ask_for_large_file(Client::connect_narrow(address, 4096), &server)).collect();
    for _ in 0..3 {
        let refused = get(address, "/");
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.header("Retry-After").is_some(), "{refused:?}");
        server.join().expect_echo("newcomers are taken");
    }
    drop(readers.pop());
    eventually("a place is free again", || get(address, "/").status == 200);
    for reader in &mut readers {
        let bytes = reader.bytes(LARGE_BYTES);
        assert!(bytes.expect("the whole file comes").iter().all(|&byte| byte == 0));
    }
}
