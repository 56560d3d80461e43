//! Answers on their way: who takes nothing is dropped, and files are read from disk for a few at a time.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use foghorn::config::limits::{DISK_READS_MAX, RESPONSE_STALL_TIMEOUT};

use crate::harness::{
    Client, Launch, Loop, Server, ask_for_large_file, eventually, folder_with_large_file, request_head,
};

/// How often the server has this file open.
fn times_open(server: &Server, file: &Path) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("the server runs");
    descriptors.filter(|entry| fs::read_link(entry.as_ref().unwrap().path()).is_ok_and(|to| to == file)).count()
}

#[test]
fn a_visitor_who_takes_nothing_for_10_s_is_dropped_and_one_who_goes_on_taking_is_not() {
    let www = folder_with_large_file(1 << 30);
    let file = www.path().canonicalize().unwrap().join("large.bin");
    let server = Launch::new(&["--www"]).arg(www.path()).start();
    let slow = ask_for_large_file(Client::connect(server.address()), &server);
    let enough = Arc::new(AtomicBool::new(false));
    let has_enough = Arc::clone(&enough);
    let taking = thread::spawn(move || {
        let mut some = vec![0; 512 * 1024];
        while !has_enough.load(Ordering::SeqCst) {
            // Some MB in each second: a kernel asks for more only when a good part of what it holds was taken.
            thread::sleep(Duration::from_millis(100));
            let bytes = slow.socket().read(&mut some).expect("it is served all the time");
            assert!(bytes > 0, "the end of the connection");
        }
        slow
    });
    let asked = Instant::now();
    let mut stalled = ask_for_large_file(Client::connect_narrow(server.address(), 4096), &server);
    assert_eq!(times_open(&server, &file), 2);
    eventually("only the slow one is served", || times_open(&server, &file) == 1);
    assert!(asked.elapsed() >= RESPONSE_STALL_TIMEOUT, "before its time was up");
    enough.store(true, Ordering::SeqCst);
    drop(taking.join().expect("the slow one was served all the time"));
    eventually("all is given back", || times_open(&server, &file) == 0);
    // What the kernel had for it still comes, and then the connection has ended.
    assert!(stalled.bytes(1 << 30).is_err_and(|error| error.kind() != ErrorKind::WouldBlock), "it was dropped");
}

#[test]
fn a_visitor_who_takes_a_large_file_slowly_but_steadily_is_served_for_longer_than_one_who_takes_nothing() {
    let www = folder_with_large_file(1 << 30);
    let root = www.path().canonicalize().unwrap();
    fs::File::create(root.join("other.bin")).unwrap().set_len(1 << 30).unwrap();
    let server = Launch::new(&["--www"]).arg(www.path()).start();
    let slow = ask_for_large_file(Client::connect_narrow(server.address(), 32 * 1024), &server);
    let taking = Loop::start(move || {
        // 40 KB in each second: for a third of what the kernel holds on loopback it would take longer than it has.
        thread::sleep(Duration::from_millis(100));
        slow.socket().read_exact(&mut [0; 4096])
    });
    let mut stalled = Client::connect_narrow(server.address(), 4096);
    stalled.send(request_head(server.address(), "GET", "/other.bin", "").as_bytes());
    assert_eq!(stalled.response(true).status, 200);
    let times_open = |name: &str| times_open(&server, &root.join(name));
    assert_eq!([times_open("large.bin"), times_open("other.bin")], [1, 1]);
    eventually("the one who takes nothing is dropped", || times_open("other.bin") == 0);
    assert_eq!(times_open("large.bin"), 1, "the slow one, who came first, is still served");
    taking.stop();
}

/// How many threads the server has for reading files.
fn reading_threads(server: &Server) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).expect("the server runs");
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
    names.filter(|name| name.starts_with("worker")).count()
}

/// Reads what has come and what is on its way from the kernel of the server, which has been stopped.
fn take_what_there_is(visitors: &[Client]) {
    let mut some = vec![0; 1 << 20];
    let mut has_come = true;
    while has_come {
        thread::sleep(Duration::from_millis(50));
        has_come = false;
        for visitor in visitors {
            while visitor.socket().read(&mut some).is_ok_and(|bytes| bytes > 0) {
                has_come = true;
            }
        }
    }
}

#[test]
fn only_a_few_large_files_are_read_at_the_same_time() {
    const VISITORS: usize = 100;
    let www = folder_with_large_file(64 << 20);
    // As a batch process it goes through all that it has to do before its threads get their turn.
    let server = Launch::new(&["--www"]).arg(www.path()).before("chrt --batch --pid 0 $$").start();
    let visitors: Vec<Client> = (0..VISITORS)
        .map(|_| ask_for_large_file(Client::connect_narrow(server.address(), 64 * 1024), &server))
        .collect();
    for visitor in &visitors {
        visitor.socket().set_nonblocking(true).unwrap();
    }
    // One for each read, and as many that have just given their bytes back and are not ready for the next.
    let most = 2 * DISK_READS_MAX;
    for _ in 0..3 {
        server.signal("STOP");
        take_what_there_is(&visitors);
        server.signal("CONT");
        // All of them lack something now, at the same time.
        eventually("all get more", || {
            let threads = reading_threads(&server);
            assert!(threads <= most, "{threads} threads read for {VISITORS} visitors");
            visitors.iter().all(|visitor| visitor.socket().peek(&mut [0]).is_ok_and(|bytes| bytes > 0))
        });
    }
    let threads = reading_threads(&server);
    assert!((1..=most).contains(&threads), "{threads} threads read for {VISITORS} visitors");
}
