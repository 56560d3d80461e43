//! Where it listens, what it says of that, and what happens when it cannot, or cannot accept.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use foghorn::config::limits::ACCEPT_BACKOFF;

use crate::harness::{
    Bystanders, Client, Launch, OWN_ADDRESSES, Server, free_listener, get, in_own_network, request_head,
};

#[test]
fn by_default_it_listens_on_ports_1919_and_1920_for_ipv6_and_ipv4() {
    in_own_network(|| {
        let server = Launch::bare(&[]).expecting(2).start();
        assert_eq!(server.addresses.iter().map(SocketAddr::port).collect::<Vec<_>>(), [1919, 1920]);
        let has_ipv6 = Path::new("/proc/net/if_inet6").exists();
        assert!(server.addresses.iter().all(|address| address.ip().is_unspecified() && address.is_ipv6() == has_ipv6));
        let v6 = if has_ipv6 { Some(Ipv6Addr::LOCALHOST.into()) } else { None };
        let mut clients = Vec::new();
        for ip in v6.into_iter().chain([Ipv4Addr::LOCALHOST.into(), OWN_ADDRESSES[0].into()]) {
            for port in [1919, 1920] {
                let address = SocketAddr::new(ip, port);
                assert_eq!(get(address, "/").status, 200, "{address}");
                clients.push(Client::join(address));
            }
        }
        clients[0].send_text("to all of them");
        for client in &mut clients {
            assert_eq!(client.text(), "to all of them");
        }
        // IPv4 clients are named by their IPv4 address, and phones are told one that they can reach.
        server.wait_for_log("[foghorn] 127.0.0.1:");
        server.wait_for_log("[foghorn] 10.99.0.1:");
        let log = server.log();
        assert!(!log.contains("::ffff:"), "{log}");
        assert!(log.contains("open http://10.99.0.1:1920/ on a phone"), "{log}");
    });
}

#[test]
fn an_address_that_no_phone_can_reach_is_not_announced_to_phones() {
    let server = Server::start(&[]);
    drop(server.join());
    server.wait_for_log("joined");
    assert!(!server.log().contains("on a phone"), "{}", server.log());
}

#[test]
fn a_taken_port_is_named_with_what_to_do() {
    let taken = free_listener();
    let address = taken.local_addr().unwrap().to_string();
    let finished = Launch::bare(&["--listen", &address]).run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains(&address) && finished.stderr.contains("another program has it"), "{finished:?}");
    finished.expect_a_sentence();
}

#[test]
fn a_taken_default_port_is_named_and_nothing_else_is_tried_in_its_place() {
    in_own_network(|| {
        let any = if Path::new("/proc/net/if_inet6").exists() { "[::]:1919" } else { "0.0.0.0:1919" };
        let _taken = TcpListener::bind(any).unwrap();
        let finished = Launch::bare(&[]).run();
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stderr.contains(&format!("cannot listen on {any} ")), "{finished:?}");
    });
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
    let again = || server.log().matches("accepting connections again").count();
    assert_eq!(again(), 0);
    server.limit_descriptors(1024);
    for client in &mut waiting {
        assert_eq!(client.response(false).status, 200);
    }
    server.wait_for_log("accepting connections again");
    assert!(server.figure("/acceptErrors") >= 3);
    assert_eq!(again(), 1, "{}", server.log());
    bystanders.finish();
}

#[test]
fn who_has_to_go_for_a_newcomer_gives_its_descriptor_back_before_the_next_one_is_taken() {
    const CROWD: usize = 120;
    let server = Launch::new(&[]).before("ulimit -n 64").start();
    // All of them are there when it looks, so that nothing but its own pauses come between one and the next.
    server.signal("STOP");
    let crowd: Vec<Client> = (0..CROWD).map(|_| Client::connect(server.address())).collect();
    server.signal("CONT");
    // Whoever comes last is answered when all before were taken.
    assert_eq!(server.get("/").status, 200);
    assert!(server.figure("/pendingDropped") > CROWD as u64 / 2, "most had to go");
    assert_eq!(server.figure("/acceptErrors"), 0, "{}", server.log());
    drop(crowd);
}

/// The most accepts that can fail in this time, with a pause after each that doubles up to the longest.
fn failures_within(time: Duration) -> u64 {
    let [mut pause, longest_pause] = ACCEPT_BACKOFF;
    let (mut failures, mut at) = (1, Duration::ZERO);
    while at < time {
        at += pause;
        pause = (2 * pause).min(longest_pause);
        failures += 1;
    }
    failures
}

#[test]
fn while_there_is_no_descriptor_accepting_pauses_ever_longer_and_the_others_go_on() {
    let server = Server::start(&[]);
    let mut client = server.join();
    let limited = Instant::now();
    server.limit_descriptors(3);
    let mut late = Client::connect(server.address());
    late.send(request_head(server.address(), "GET", "/", "").as_bytes());
    server.wait_for_log("cannot accept connections");
    // Long enough for some more tries.
    let failing = Instant::now();
    while failing.elapsed() < Duration::from_millis(500) {
        client.expect_echo("undisturbed");
    }
    server.limit_descriptors(1024);
    assert_eq!(late.response(false).status, 200);
    let failures_max = failures_within(limited.elapsed());
    let failures = server.figure("/acceptErrors");
    assert!((1..=failures_max).contains(&failures), "{failures} failures, and {failures_max} are allowed");
}
