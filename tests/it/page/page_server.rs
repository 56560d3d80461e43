//! Connections for pages: many requests, many visitors, slow readers, and a page server that breaks.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use foghorn::config::limits::HTTP_IN_FLIGHT_MAX;
use serde_json::json;

use crate::harness::{
    Bystanders, Client, LARGE_BYTES, Launch, Server, contents, eventually, folder, raise_own_limit, request,
    request_head,
};

#[test]
fn a_connection_serves_many_requests_also_when_they_are_sent_at_once() {
    let www = folder(&[("a.txt", b"a"), ("b.txt", b"b"), ("large.bin", &contents(300 * 1024))]);
    let server = Server::serving(&www);
    let mut client = Client::connect(server.address());
    let paths = ["/a.txt", "/b.txt", "/nothing", "/large.bin", "/a.txt", "/status"];
    let mut bytes = String::new();
    for path in paths {
        bytes += &request_head(server.address(), "GET", path, "");
    }
    // In pieces that fit to no head, from a thread of its own, since nobody reads yet.
    let mut writer = client.writer();
    let sending = thread::spawn(move || {
        for piece in bytes.as_bytes().chunks(33) {
            io::Write::write_all(&mut writer, piece).unwrap();
        }
    });
    let answers = paths.map(|_| client.response(false));
    sending.join().unwrap();
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 200, 404, 200, 200, 200]);
    assert_eq!([answers[0].text(), answers[1].text(), answers[4].text()], ["a", "b", "a"]);
    assert!(answers[3].body == contents(300 * 1024), "the large file is whole");
    for answer in answers {
        assert_eq!(answer.header("Connection"), Some("keep-alive"));
        assert_eq!(answer.header("Keep-Alive"), Some("timeout=12"));
    }
    client.send(request_head(server.address(), "GET", "/a.txt", "Connection: close\r\n").as_bytes());
    let last = client.response(false);
    assert_eq!((last.header("Connection"), last.text()), (Some("close"), "a".into()));
    assert_eq!(last.header("Keep-Alive"), None);
    client.expect_end();
}

#[test]
fn every_answer_that_keeps_the_connection_says_for_how_long() {
    let www = folder(&[("index.html", b"from disk"), ("a.txt", b"a")]);
    for server in [Server::start(&[]), Server::serving(&www)] {
        let mut client = Client::connect(server.address());
        let mut ask = |method: &str, path: &str, lines: &str| {
            client.send(request_head(server.address(), method, path, lines).as_bytes());
            client.response(method == "HEAD")
        };
        let etag = ask("GET", "/", "").header("ETag").expect("it has one").to_owned();
        // The second time it may come from elsewhere.
        for (method, path, lines, status) in [
            ("GET", "/", String::new(), 200),
            ("HEAD", "/", String::new(), 200),
            ("GET", "/", format!("If-None-Match: {etag}\r\n"), 304),
            ("GET", "/nothing", String::new(), 404),
            ("GET", "/status", String::new(), 200),
            ("GET", "/qr.svg", String::new(), 200),
            ("GET", "/qr.svg", String::new(), 200),
            ("GET", "/qr.svg?path=none", String::new(), 400),
        ] {
            let answer = ask(method, path, &lines);
            assert_eq!(answer.status, status, "{method} {path}");
            assert_eq!(answer.header("Connection"), Some("keep-alive"), "{method} {path}");
            assert_eq!(answer.header("Keep-Alive"), Some("timeout=12"), "{method} {path}");
        }
    }
}

#[test]
fn an_http_1_0_client_gets_its_answer_and_the_end() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let response = client.response(false);
    assert_eq!((response.status, response.header("Connection")), (200, Some("close")));
    client.expect_end();
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
fn readers_of_a_large_file_who_stop_reading_hold_up_nobody() {
    let contents = contents(LARGE_BYTES);
    let www = folder(&[("large.bin", &contents), ("small.txt", b"small")]);
    let server = Server::serving(&www);
    let bystanders = Bystanders::start(&server);
    let threads = server.process_figure("Threads");
    // More of them than there are requests in work.
    let mut stalled: Vec<Client> = (0..50)
        .map(|_| {
            let mut client = Client::connect_narrow(server.address(), 4096);
            client.send(request_head(server.address(), "GET", "/large.bin", "").as_bytes());
            assert_eq!(client.response(true).status, 200);
            client
        })
        .collect();
    assert_eq!(server.get("/small.txt").text(), "small");
    assert_eq!(server.get("/status").status, 200);
    let more = server.process_figure("Threads").saturating_sub(threads);
    assert!(more <= 16, "{more} threads more for 50 readers");
    // Whoever goes on reading gets the rest.
    let mut patient = stalled.swap_remove(25);
    assert!(patient.bytes(LARGE_BYTES).unwrap() == contents, "the file is whole");
    patient.send(request_head(server.address(), "GET", "/small.txt", "").as_bytes());
    assert_eq!(patient.response(false).text(), "small");
    drop(stalled);
    bystanders.finish();
}

/// Holds a lease on a file, as a disk that hangs: whoever opens it waits, for 45 s if nobody gives it back (`fcntl(2)`).
fn hang(path: &Path) -> Child {
    let script = "use Fcntl; $SIG{IO} = 'IGNORE'; open(my $file, '+<', $ARGV[0]) or die $!;\
                  fcntl($file, 1024, F_WRLCK) or die $!; $| = 1; print \"held\\n\"; <STDIN>";
    let mut command = Command::new("perl");
    command.args(["-e", script]).arg(path);
    let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Debian has perl");
    let mut word = String::new();
    BufReader::new(holder.stdout.as_mut().expect("it is piped")).read_line(&mut word).unwrap();
    assert_eq!(word, "held\n");
    holder
}

#[test]
fn files_that_hang_hold_up_nobody_who_wants_something_else() {
    let www = folder(&[("index.html", b"from disk"), ("slow.txt", b"slow"), ("stuck.txt", b"stuck")]);
    let server = Server::serving(&www);
    let bystanders = Bystanders::start(&server);
    let mut holders = ["slow.txt", "stuck.txt"].map(|name| hang(&www.path().join(name)));
    let cookies = format!("Cookie: {}\r\n", "c".repeat(9000));
    // More than there are threads for the disk, requests in work, and places for large heads.
    let mut waiting: Vec<Client> = (0..100)
        .map(|nth| {
            let mut visitor = Client::connect(server.address());
            let path = ["/slow.txt", "/stuck.txt"][nth % 2];
            visitor.send(request_head(server.address(), "GET", path, &cookies).as_bytes());
            visitor
        })
        .collect();
    for path in ["/status", "/qr.svg"] {
        assert_eq!(request(server.address(), "GET", path, &cookies).status, 200, "{path}");
    }
    // As soon as it is seen that these are slow, whoever waits for them leaves its place.
    eventually("other files are served", || server.get("/").status == 200);
    for visitor in &mut waiting {
        assert_eq!((server.get("/").status, server.get("/nothing").status), (200, 404));
        let answer = visitor.response(false);
        assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("2")));
    }
    let status = server.status();
    assert_eq!(status["httpRestarts"], 0, "the page's server is not to blame");
    assert_eq!(status["refusals"], json!([]), "who is told to come back was not kept out");
    for holder in &mut holders {
        holder.kill().unwrap();
        holder.wait().unwrap();
    }
    // The threads for the disk have yet to see that it goes on.
    eventually("they are served", || {
        ["/slow.txt", "/stuck.txt"].map(|path| server.get(path).text()) == ["slow", "stuck"]
    });
    bystanders.finish();
}

#[test]
fn a_file_that_hangs_is_the_same_however_its_address_is_written() {
    let www = folder(&[("index.html", b"from disk"), ("slow.txt", b"slow")]);
    let server = Server::serving(&www);
    let mut holder = hang(&www.path().join("slow.txt"));
    // More addresses than there are threads for the disk.
    let addresses = ["/slow.txt", "/slow.txt?1", "/slow.txt?2", "//slow.txt", "/slow%2Etxt", "/%73low.txt?3"];
    let mut waiting = addresses.map(|path| {
        let mut visitor = Client::connect(server.address());
        visitor.send(request_head(server.address(), "GET", path, "").as_bytes());
        visitor
    });
    // While the first of them still waits, also for what comes only after the others.
    for visitor in &mut waiting[1..] {
        assert_eq!(visitor.response(false).header("Retry-After"), Some("2"));
        assert_eq!(server.get("/").text(), "from disk");
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn a_page_that_hangs_is_the_same_by_all_of_its_names() {
    let www = folder(&[("page.html", b"page"), ("slow/index.html", b"slow")]);
    let server = Server::serving(&www);
    let mut holders = ["page.html", "slow/index.html"].map(|name| hang(&www.path().join(name)));
    // More names of the two than there are threads for the disk.
    let addresses = ["/page", "/slow/", "/page.html", "/slow/index.html", "/slow/index", "/pag%65?1", "//slow/?1"];
    let mut waiting = addresses.map(|path| {
        let mut visitor = Client::connect(server.address());
        visitor.send(request_head(server.address(), "GET", path, "").as_bytes());
        visitor
    });
    for visitor in &mut waiting[2..] {
        assert_eq!(server.get("/nothing").status, 404);
        assert_eq!(visitor.response(false).header("Retry-After"), Some("2"));
    }
    for holder in &mut holders {
        holder.kill().unwrap();
        holder.wait().unwrap();
    }
    eventually("both are served", || ["/page", "/slow/"].map(|path| server.get(path).text()) == ["page", "slow"]);
}

#[test]
fn a_404_html_that_hangs_holds_up_nobody_who_wants_what_is_there() {
    let www = folder(&[("index.html", b"from disk"), ("404.html", b"own")]);
    let server = Server::serving(&www);
    assert_eq!(server.get("/nothing").text(), "own");
    let mut holder = hang(&www.path().join("404.html"));
    // More addresses than there are threads for the disk.
    let mut waiting: Vec<Client> = (0..20)
        .map(|nth| {
            let mut visitor = Client::connect(server.address());
            let path = if nth == 5 { "/404.html".to_owned() } else { format!("/nothing-{nth}") };
            visitor.send(request_head(server.address(), "GET", &path, "").as_bytes());
            visitor
        })
        .collect();
    for _ in 0..10 {
        assert_eq!(server.get("/").text(), "from disk");
    }
    let answers: Vec<_> = waiting.iter_mut().map(|visitor| visitor.response(false)).collect();
    let (given_up, built_in): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 503);
    assert!(given_up.len() <= 2, "who has it in work, and who wants that very page: {given_up:?}");
    for answer in built_in {
        let sentence = "There is nothing at this address.";
        assert!(answer.status == 404 && answer.text().contains(sentence), "{answer:?}");
    }
    assert_eq!(server.get("/").text(), "from disk");
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("it says again what it has to say", || server.get("/nothing").text() == "own");
}

#[test]
fn what_is_in_memory_is_answered_although_too_many_wait_for_the_disk() {
    let files: [(&str, &[u8]); 3] = [("1.txt", b"1"), ("2.txt", b"2"), ("3.txt", b"3")];
    let www = folder(&files);
    let mut holders = files.map(|(name, _)| hang(&www.path().join(name)));
    // So few descriptors leave places for three requests that are answered at a time.
    let server = Launch::new(&["--www"]).arg(www.path()).before("ulimit -n 64").start();
    let _waiting = files.map(|(name, _)| {
        let mut visitor = Client::connect(server.address());
        visitor.send(request_head(server.address(), "GET", &format!("/{name}"), "").as_bytes());
        visitor
    });
    for _ in 0..20 {
        assert_eq!(server.get("/status").status, 200);
    }
    for holder in &mut holders {
        holder.kill().unwrap();
        holder.wait().unwrap();
    }
}

#[test]
fn the_private_folder_of_a_killed_server_is_swept_by_the_next_and_not_that_of_a_running_one() {
    let runtime = tempfile::tempdir().unwrap();
    let start = || Launch::new(&[]).env("RUNTIME_DIRECTORY", runtime.path()).start();
    let folders = || fs::read_dir(runtime.path()).unwrap().count();
    let running = start();
    for _ in 0..3 {
        let mut killed = start();
        killed.signal("KILL");
        killed.wait_for_exit();
    }
    assert_eq!(folders(), 2, "the running one's, and the last that was killed");
    let mut next = start();
    assert_eq!(folders(), 2);
    assert_eq!([running.get("/nothing").status, next.get("/nothing").status], [404, 404]);
    next.signal("TERM");
    next.wait_for_exit();
    assert_eq!(folders(), 1);
}

#[test]
fn the_page_comes_back_when_its_private_socket_is_lost() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    assert_eq!(server.get("/").status, 200);
    let sockets = server.private_sockets();
    assert_eq!(sockets.len(), 1, "{sockets:?}");
    fs::remove_file(&sockets[0]).unwrap();
    assert_eq!(server.get("/").status, 200, "it is kept in memory");
    let first = server.get("/nothing");
    if first.status != 404 {
        assert_eq!((first.status, first.header("Retry-After").is_some()), (503, true), "{first:?}");
        assert!(first.text().contains("come back"), "{first:?}");
    }
    eventually("the page's server is there again", || server.get("/nothing").status == 404);
    assert!(server.figure("/httpRestarts") >= 1);
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
    // None left for the backend, or for tiny_http, or for what comes after.
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
