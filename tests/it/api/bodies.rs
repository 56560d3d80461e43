//! Bodies that are slow, many, or made to deceive cost nobody else anything.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    Bystanders, Client, Loop, Server, eventually, numbered, post, post_head, raise_own_limit, refused, request_head,
};

const MIB: usize = 1 << 20;

#[test]
fn what_two_servers_could_see_end_at_two_places_is_refused_and_nothing_in_it_is_a_request() {
    let server = Server::start(&[]);
    let address = server.address();
    let inner = request_head(address, "POST", "/", "");
    let chunked = "Transfer-Encoding: chunked\r\n";
    let in_chunk = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    for (lines, body) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", format!("0\r\n\r\n{inner}")),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", format!("fog{inner}")),
        ("Content-Length: 3\r\nContent-Length: 3\r\n", format!("fog{inner}")),
        ("Content-Length: 3, 3\r\n", format!("fog{inner}")),
        ("Content-Length: +3\r\n", format!("fog{inner}")),
        ("Content-Length: 0x3\r\n", format!("fog{inner}")),
        ("Content-Length : 3\r\n", format!("fog{inner}")),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", in_chunk.clone()),
        ("Transfer-Encoding: chunked, chunked\r\n", in_chunk.clone()),
        ("Transfer-Encoding: gzip, chunked\r\n", in_chunk.clone()),
        ("Transfer-Encoding: xchunked\r\n", in_chunk.clone()),
        ("Transfer-Encoding: \u{b}chunked\r\n", in_chunk.clone()),
        ("Transfer-Encoding : chunked\r\n", in_chunk.clone()),
        ("X: y\r\n Transfer-Encoding: chunked\r\n", in_chunk.clone()),
        (chunked, format!("0x3\r\nfog\r\n0\r\n\r\n{inner}")),
        (chunked, format!("3 \r\nfog\r\n0\r\n\r\n{inner}")),
        (chunked, format!("3\nfog\n0\n\n{inner}")),
        (chunked, format!("3;a\nfog\r\n0\r\n\r\n{inner}")),
        (chunked, format!("3;a=\"\r\nfog\r\n0\r\n\r\n{inner}")),
        (chunked, format!("3\r\nfogXX0\r\n\r\n{inner}")),
        (chunked, format!("3\r\nfog0\r\n\r\n{inner}")),
        (chunked, format!("10000000000000003\r\nfog\r\n0\r\n\r\n{inner}")),
        (chunked, format!("0\r\n{inner}")),
        (chunked, format!("0\r\nA: b\r\n c: d\r\n\r\n{inner}")),
        (chunked, format!("0;{}\r\n\r\n{inner}", "a".repeat(4096))),
        (chunked, format!("0\r\n{}\r\n{inner}", "A: b\r\n".repeat(1100))),
    ] {
        let bytes = request_head(address, "POST", "/", lines) + &body;
        assert_eq!(refused(address, bytes.as_bytes()).status, 400, "{lines}{body}");
    }
    let old = format!("POST / HTTP/1.0\r\n{chunked}\r\n{in_chunk}");
    assert_eq!(refused(address, old.as_bytes()).status, 400, "HTTP/1.0 knows no chunks");
    assert_eq!(server.figure("/messages"), 0);
}

#[test]
fn a_body_that_is_slow_is_answered_with_408() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    let mut clients: Vec<Client> = Vec::new();
    for (lines, began) in [("Content-Length: 100\r\n", &b""[..]), ("Transfer-Encoding: chunked\r\n", b"64\r\n")] {
        let mut client = Client::connect(server.address());
        client.send(&[request_head(server.address(), "POST", "/", lines).as_bytes(), began].concat());
        clients.push(client);
    }
    let started = Instant::now();
    let dribbles: Vec<Loop> = clients
        .iter()
        .map(|client| {
            let mut writer = client.writer();
            Loop::start(move || {
                thread::sleep(Duration::from_millis(100));
                writer.write_all(b"x")
            })
        })
        .collect();
    for client in &mut clients {
        let response = client.response(false);
        assert_eq!(response.status, 408, "{response:?}");
        response.expect_a_sentence();
    }
    assert!(started.elapsed() >= Duration::from_secs(5), "that is how long it may take");
    dribbles.into_iter().for_each(Loop::stop);
    bystanders.finish();
    assert_eq!(server.figure("/refused/408"), 2);
}

#[test]
fn hundreds_who_promise_much_and_send_little_keep_nobody_from_posting() {
    raise_own_limit();
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    // More than may be answered at a time.
    let mut dribbling: Vec<Client> = (0..600)
        .map(|_| {
            let mut client = Client::connect(server.address());
            client.send(&[post_head(server.address(), "/", "", MIB).as_bytes(), b"x"].concat());
            client
        })
        .collect();
    // Who is too late already is one of them, too.
    eventually("all have begun", || server.figure("/postsBytes") + server.figure("/refused/408") >= 600);
    for round in 0..20 {
        for client in dribbling.iter_mut().skip(round).step_by(20) {
            // Those that are too late already have been told so.
            let _ = client.try_send(b"x");
        }
        let large = post(&server, "/c/b", "Content-Type: image/png\r\n", &numbered(1, 512 * 1024));
        assert_eq!(large.status, 200, "round {round}: {large:?}");
        assert_eq!(server.get("/").status, 200);
    }
    drop(dribbling);
    bystanders.finish();
    assert_eq!(server.figure("/refused/503"), 0);
}

#[test]
fn a_body_that_stands_still_goes_when_another_one_needs_the_place() {
    let server = Server::start(&[]);
    let head = post_head(server.address(), "/", "Content-Type: image/png\r\n", MIB);
    // As much as all bodies together may have, but for the last byte of each.
    let mut waiting: Vec<Client> = (0..8).map(|_| Client::connect(server.address())).collect();
    for client in &mut waiting {
        client.send(&[head.as_bytes(), &numbered(1, MIB - 1)].concat());
    }
    server.wait_for_figure("/postsBytes", 8 * MIB as u64);
    let posted = post(&server, "/", "Content-Type: image/png\r\n", &numbered(2, MIB));
    assert_eq!(posted.status, 200, "{posted:?}");
    let mut statuses = Vec::new();
    for client in &mut waiting {
        // One has been told already that it is too late.
        let _ = client.try_send(b"x");
        let response = client.response(false);
        if response.status == 408 {
            assert!(response.text().contains("stood still for longest"), "{response:?}");
            response.expect_a_sentence();
        }
        statuses.push(response.status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [[200; 7].as_slice(), &[408]].concat());
    server.wait_for_figure("/postsBytes", 0);
}
