//! `--reload`: what pages are told that wait for changes, by whom the folder is changed and how, and what it costs.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use foghorn::config::fd_budget::FdBudget;
use foghorn::config::reload_limits::{
    CHANGED_PATHS_MAX, CHANGES_QUIET, DESCRIPTORS_FOR_RELOAD, FOLDERS_WATCHED_MAX, RELOAD_STREAMS_MAX,
    reload_streams_max,
};
use serde_json::{Value, json};

use crate::harness::{Client, Event, Launch, Response, Server, Stream, eventually, folder, project, request};

const EVENTS: &str = "Accept: text/event-stream\r\n";

/// A server that watches this folder.
fn watching(www: impl AsRef<Path>) -> Server {
    Launch::new(&["--reload", "--www"]).arg(www.as_ref()).start()
}

/// A page that waits for changes, and the state that it has.
struct Page {
    stream: Stream,
    token: String,
}

impl Page {
    fn open(server: &Server) -> Self {
        let client = Client::connect(server.address());
        let mut stream = Stream::open_with(client, server.address(), "/reload.js", EVENTS);
        let (kind, hello) = parsed(&retry_passed_over(&mut stream));
        assert!(kind == "hello" && hello["age"].is_u64(), "{hello}");
        Self { stream, token: hello["token"].as_str().unwrap().to_owned() }
    }

    /// The paths of the next change.
    fn change(&mut self) -> Value {
        let (kind, change) = parsed(&self.stream.event());
        assert_eq!(kind, "change");
        let token = change["token"].as_str().unwrap();
        assert_ne!(token, self.token);
        token.clone_into(&mut self.token);
        change["paths"].clone()
    }

    /// Expects that what was done until now was one change, of these paths.
    fn expect(&mut self, paths: &Value) {
        assert_eq!(&self.change(), paths);
        // A further change is the next that is told, so there was no other in between.
    }
}

/// The first event of a stream, behind the time after which a browser comes back.
fn retry_passed_over(stream: &mut Stream) -> Event {
    assert!(stream.text().starts_with("retry: "));
    stream.event()
}

fn parsed(event: &Event) -> (String, Value) {
    (event.kind.clone(), serde_json::from_str(&event.data).expect("it is JSON"))
}

fn sh(folder: &Path, script: &str) {
    let status = Command::new("sh").arg("-ec").arg(script).current_dir(folder).status();
    assert!(status.expect("sh runs").success(), "{script}");
}

/// Runs a script while the server stands still: on a machine that has much to do, its commands may be far apart.
fn at_once(server: &Server, folder: &Path, script: &str) {
    server.signal("STOP");
    sh(folder, script);
    server.signal("CONT");
}

#[test]
fn each_way_to_save_a_file_is_one_change_with_its_path() {
    let www = folder(&[("index.html", b"page"), ("style.css", b"a{}"), ("sub/x.txt", b"x"), (".git/x", b"")]);
    let server = watching(&www);
    let mut page = Page::open(&server);
    for (script, paths) in [
        ("echo 1 > index.html", json!(["index.html"])),
        ("sed -i s/1/2/ index.html", json!(["index.html"])),
        ("echo 1 >> sub/x.txt", json!(["sub/x.txt"])),
        ("echo new > new.css && mv new.css style.css", json!(["style.css"])),
        // As vim does it: a trial, a copy that goes, a file that is written anew.
        (
            "echo > 4913; rm 4913; echo > .x.swp; mv style.css style.css~; echo > style.css; rm style.css~ .x.swp",
            json!(["style.css"]),
        ),
        // As JetBrains' editors do it.
        (
            "echo > style.css_tmp_; mv style.css style.css_old_; mv style.css_tmp_ style.css; rm style.css_old_",
            json!(["style.css"]),
        ),
        // As Emacs does it.
        (
            "ln -s me@here .#index.html; echo > '#index.html#'; echo > index.html; rm '#index.html#' .#index.html",
            json!(["index.html"]),
        ),
        ("rm sub/x.txt", Value::Null),
        ("ln -s index.html also.html", json!(["also.html"])),
        ("ln index.html again.html", json!(["again.html"])),
        ("touch index.html", json!(["index.html"])),
        ("mkdir -p deep/er && echo > deep/er/x.css", json!(["deep", "deep/er", "deep/er/x.css"])),
        ("echo > deep/er/x.css", json!(["deep/er/x.css"])),
        ("mv deep moved", Value::Null),
        ("echo > moved/er/x.css", json!(["moved/er/x.css"])),
        ("rm -r moved", Value::Null),
        ("mkdir .well-known && echo > .well-known/x", json!([".well-known", ".well-known/x"])),
        ("echo > 'a \" ä\n'", json!(["a \" ä\n"])),
    ] {
        at_once(&server, www.path(), script);
        assert_eq!(page.change(), paths, "{script}");
    }
    // Hidden, read only, or with a name that has no address: the next change is the first that is told.
    sh(www.path(), "echo > .git/x; echo > .env; cat index.html; ls -R; printf x > \"$(printf '\\377')\"");
    sh(www.path(), "echo last > index.html");
    page.expect(&json!(["index.html"]));
}

#[test]
fn a_burst_of_many_files_is_one_change_in_which_anything_may_have_changed() {
    let www = folder(&[("index.html", b"page")]);
    let server = watching(&www);
    let mut page = Page::open(&server);
    let [paths_max, bytes_max] = CHANGED_PATHS_MAX;
    at_once(&server, www.path(), "for i in $(seq 200); do echo > file-$i.css; done");
    page.expect(&Value::Null);
    assert!(200 > paths_max);
    let long = "x".repeat(250);
    at_once(&server, www.path(), &format!("for i in $(seq {}); do echo > {long}$i; done", bytes_max / 250 + 1));
    page.expect(&Value::Null);
    sh(www.path(), "echo > index.html");
    page.expect(&json!(["index.html"]));
}

#[test]
fn a_file_that_is_written_in_pieces_is_told_of_once_when_it_is_whole() {
    let www = folder(&[("index.html", b"page")]);
    let server = watching(&www);
    let mut page = Page::open(&server);
    let mut slow = File::create(www.path().join("large.js")).unwrap();
    for _ in 0..5 {
        slow.write_all(&[b' '; 10_000]).unwrap();
        thread::sleep(3 * CHANGES_QUIET);
    }
    // A page that comes meanwhile knows the same state: nothing was told.
    assert_eq!(Page::open(&server).token, page.token);
    drop(slow);
    page.expect(&json!(["large.js"]));
    // Beside what is never closed, others are told of.
    let _log = File::create(www.path().join("log")).unwrap();
    sh(www.path(), "echo > index.html");
    page.expect(&json!(["index.html"]));
}

#[test]
fn a_file_that_was_begun_before_its_folder_was_watched_is_told_of_once_when_it_is_whole() {
    let www = folder(&[("index.html", b"page")]);
    let server = watching(&www);
    let mut page = Page::open(&server);
    server.signal("STOP");
    fs::create_dir(www.path().join("new")).unwrap();
    let mut slow = File::create(www.path().join("new/large.js")).unwrap();
    slow.write_all(b"half").unwrap();
    server.signal("CONT");
    for _ in 0..5 {
        thread::sleep(3 * CHANGES_QUIET);
        slow.write_all(b" and").unwrap();
    }
    drop(slow);
    page.expect(&json!(["new", "new/large.js"]));
    sh(www.path(), "echo > index.html");
    page.expect(&json!(["index.html"]));
}

#[test]
fn a_folder_that_is_opened_after_it_came_is_watched_from_then_on() {
    let www = folder(&[("index.html", b"page")]);
    let server = Launch::new(&["--reload", "--www"]).arg(www.path()).without_rights().start();
    let mut page = Page::open(&server);
    at_once(&server, www.path(), "mkdir -p new/inner; echo > new/inner/x.css; chmod 0 new");
    page.expect(&json!(["new"]));
    sh(www.path(), "chmod 700 new");
    page.expect(&json!(["new", "new/inner", "new/inner/x.css"]));
    // Of one that is watched already, and of files, modes are no change.
    sh(www.path(), "chmod 755 new new/inner; chmod 600 index.html; echo > new/inner/x.css");
    page.expect(&json!(["new/inner/x.css"]));
}

#[test]
fn a_link_that_is_switched_leads_to_another_folder_that_is_watched_then() {
    let outer = folder(&[("one/www/index.html", b"one"), ("two/www/index.html", b"two")]);
    let at = |name: &str| outer.path().join(name);
    symlink("one", at("current")).unwrap();
    let server = watching(at("current/www"));
    let mut page = Page::open(&server);
    sh(outer.path(), "ln -s two new && mv -T new current");
    page.expect(&Value::Null);
    sh(outer.path(), "echo > one/www/old.html; echo > two/www/new.html");
    page.expect(&json!(["new.html"]));
}

#[test]
fn a_folder_that_goes_is_no_change_and_one_that_comes_is() {
    let outer = folder(&[("www/index.html", b"page")]);
    let server = watching(outer.path().join("www"));
    let mut page = Page::open(&server);
    // At once, so that it may have the same inode, and with a pause.
    for pause in ["", "sleep 1;"] {
        sh(outer.path(), &format!("rm www/index.html; rmdir www; {pause} mkdir www; echo > www/index.html"));
        let first = page.change();
        let is_known = |paths: &Value| paths.is_null();
        if !is_known(&first) {
            page.expect(&Value::Null);
        }
    }
    eventually("the new folder is watched", || {
        sh(outer.path(), "echo > www/x.html");
        page.change() == json!(["x.html"])
    });
    sh(outer.path(), "mv www away; sleep 1; mv away www");
    page.expect(&Value::Null);
    sh(outer.path(), "echo > www/x.html");
    page.expect(&json!(["x.html"]));
}

#[test]
fn each_start_is_another_state_and_a_stop_ends_the_streams_in_order() {
    let www = folder(&[("index.html", b"page")]);
    let mut server = watching(&www);
    let mut page = Page::open(&server);
    assert_eq!(Page::open(&server).token, page.token);
    server.signal("TERM");
    let (rest, in_order) = page.stream.rest();
    assert!(rest.is_empty() && in_order);
    assert_eq!(server.wait_for_exit().code(), Some(0));
    assert_ne!(Page::open(&watching(&www)).token, page.token);
}

#[test]
fn the_hello_says_how_old_the_state_is() {
    let www = folder(&[("index.html", b"page")]);
    let server = watching(&www);
    let age = || {
        let client = Client::connect(server.address());
        let mut stream = Stream::open_with(client, server.address(), "/reload.js", EVENTS);
        parsed(&retry_passed_over(&mut stream)).1["age"].as_u64().unwrap()
    };
    let mut page = Page::open(&server);
    let before = age();
    thread::sleep(Duration::from_millis(300));
    assert!(age() >= before + 300);
    sh(www.path(), "echo > index.html; sleep 0.3");
    page.expect(&json!(["index.html"]));
    eventually("the change is younger than the start", || {
        let young = age() < before + 300;
        sh(www.path(), "echo > index.html");
        page.change();
        young
    });
}

#[test]
fn without_the_flag_nothing_is_watched_and_nothing_lies_there() {
    let www = folder(&[("index.html", b"page"), ("404.html", b"own words")]);
    let watches = |server: &Server| {
        let entries = fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap();
        let leads = entries.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        let descriptors = leads.filter(|to| to.to_string_lossy().contains("inotify")).count();
        let threads = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
        let names = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).unwrap());
        (descriptors, names.filter(|name| name.trim() == "watch").count())
    };
    let asked = |server: &Server, lines: &str| request(server.address(), "GET", "/reload.js", lines);
    for server in [Server::start(&[]), Server::serving(&www)] {
        assert_eq!(watches(&server), (0, 0));
        for lines in ["", EVENTS] {
            let (found, nothing) = (asked(&server, lines), server.get("/nothing.js"));
            assert_eq!((found.status, found.text()), (404, nothing.text()), "{lines}");
        }
    }
    assert_eq!(watches(&watching(&www)), (1, 1));
}

#[test]
fn the_script_is_a_file_like_any_and_gives_way_to_one_in_the_folder() {
    let www = folder(&[("index.html", b"page")]);
    let server = watching(&www);
    let found = server.get("/reload.js");
    assert_eq!((found.status, found.header("Cache-Control")), (200, Some("no-cache")));
    assert_eq!(found.header("Content-Type"), Some("text/javascript; charset=utf-8"));
    assert!(found.body == fs::read(project().join("src/page/reload.js")).unwrap());
    let known = format!("If-None-Match: {}\r\n", found.header("ETag").unwrap());
    assert_eq!(request(server.address(), "GET", "/reload.js", &known).status, 304);
    assert_eq!(server.get("/c/reload.js").body, found.body);
    assert_eq!(server.get("/sub/reload.js").status, 404);
    fs::write(www.path().join("reload.js"), "own").unwrap();
    assert_eq!(server.get("/reload.js").text(), "own");
    Page::open(&server);
}

#[test]
fn a_page_from_elsewhere_is_told_nothing_and_one_of_the_same_host_may_read_it() {
    let www = folder(&[("index.html", b"page")]);
    let server = watching(&www);
    let from = |origin: &str| format!("{EVENTS}Origin: {origin}\r\n");
    let refused = request(server.address(), "GET", "/reload.js", &from("http://evil.example"));
    assert_eq!((refused.status, refused.header("Access-Control-Allow-Origin")), (403, None));
    let host = format!("http://{}", server.address().ip());
    let client = Client::connect(server.address());
    let stream = Stream::open_with(client, server.address(), "/reload.js", &from(&host));
    let allowed = |head: &Response| head.header("Access-Control-Allow-Origin").map(str::to_owned);
    assert_eq!(allowed(&stream.head), Some(host));
    assert_eq!(stream.head.header("Cache-Control"), Some("no-store"));
}

#[test]
fn more_pages_than_there_are_places_for_are_told_the_state_and_come_back() {
    let www = folder(&[("index.html", b"page")]);
    let server = Launch::new(&["--max-clients", "1", "--reload", "--www"]).arg(www.path()).start();
    let mut pages: Vec<_> = (0..RELOAD_STREAMS_MAX).map(|_| Page::open(&server)).collect();
    let mut more = Stream::open_with(Client::connect(server.address()), server.address(), "/reload.js", EVENTS);
    assert_eq!(more.text(), "retry: 5000");
    let (kind, hello) = parsed(&more.event());
    assert_eq!((kind.as_str(), hello["token"].as_str().unwrap()), ("hello", pages[0].token.as_str()));
    let (rest, in_order) = more.rest();
    assert!(rest.is_empty() && in_order);
    // None of them has a client's place, and all else is answered.
    server.join().expect_echo("hello");
    assert_eq!(server.get("/").status, 200);
    sh(www.path(), "echo > index.html");
    for page in &mut pages {
        page.expect(&json!(["index.html"]));
    }
    pages.pop().unwrap().stream.client().socket().shutdown(std::net::Shutdown::Both).unwrap();
    eventually("the place of a page that has gone is another's", || {
        let mut next = Stream::open_with(Client::connect(server.address()), server.address(), "/reload.js", EVENTS);
        next.text() == "retry: 1000"
    });
}

#[test]
fn where_few_descriptors_are_allowed_fewer_pages_wait_and_requests_are_answered_beside_them() {
    let www = folder(&[("index.html", b"page")]);
    let server = Launch::new(&["--reload", "--www"]).arg(www.path()).before("ulimit -n 256").start();
    let places = reload_streams_max(FdBudget::within(256 - DESCRIPTORS_FOR_RELOAD, usize::MAX).pending);
    assert!((2..RELOAD_STREAMS_MAX).contains(&places), "{places}");
    let pages: Vec<_> = (0..places).map(|_| Page::open(&server)).collect();
    let ask = || Stream::open_with(Client::connect(server.address()), server.address(), "/reload.js", EVENTS);
    for _ in 0..places {
        let mut more = ask();
        assert_eq!(more.text(), "retry: 5000");
        assert_eq!(server.get("/").status, 200);
    }
    drop(pages);
    eventually("a place is free again", || ask().text() == "retry: 1000");
}

#[test]
fn a_stream_with_nothing_to_tell_is_kept_alive_by_the_heartbeat() {
    let www = folder(&[("index.html", b"page")]);
    let server = Launch::new(&["--heartbeat", "100ms", "--reload", "--www"]).arg(www.path()).start();
    let mut page = Page::open(&server);
    assert_eq!((page.stream.text(), page.stream.text()), (":".into(), String::new()));
    sh(www.path(), "echo > index.html");
    page.expect(&json!(["index.html"]));
}

#[test]
fn a_page_that_reads_nothing_costs_the_others_nothing_and_is_told_that_it_has_missed_something() {
    let www = folder(&[("index.html", b"page")]);
    let server = watching(&www);
    let mut silent = Page::open(&server);
    let mut page = Page::open(&server);
    for _ in 0..3 {
        sh(www.path(), "echo > index.html");
        page.expect(&json!(["index.html"]));
    }
    silent.expect(&json!(["index.html"]));
}

#[test]
fn where_the_kernel_lets_nobody_watch_the_log_says_so_and_all_else_goes_on() {
    let www = folder(&[("index.html", b"page"), ("sub/x.txt", b"x")]);
    // A namespace of its own has limits of its own.
    let limit = |name: &str, value: u32| {
        format!(
            "set -- unshare --user --map-root-user sh -c 'echo {value} > /proc/sys/user/{name} && exec \"$@\"' sh \"$@\""
        )
    };
    for (name, value) in [("max_inotify_watches", 1), ("max_inotify_instances", 0)] {
        let server = Launch::new(&["--reload", "--www"]).arg(www.path()).before(&limit(name, value)).start();
        server.wait_for_log("raise fs.inotify.max_user_watches");
        assert_eq!(server.get("/").status, 200);
        let mut page = Page::open(&server);
        if value == 1 {
            sh(www.path(), "echo > index.html");
            page.expect(&json!(["index.html"]));
        }
        assert_eq!(server.log().matches("raise fs.inotify").count(), 1);
    }
}

#[test]
fn where_there_are_more_folders_than_are_watched_the_log_says_so_and_the_others_are() {
    let www = folder(&[("index.html", b"page")]);
    for nth in 0..=FOLDERS_WATCHED_MAX {
        fs::create_dir(www.path().join(nth.to_string())).unwrap();
    }
    let server = watching(&www);
    server.wait_for_log("cannot watch all folders of --www for --reload");
    let mut page = Page::open(&server);
    fs::write(www.path().join("index.html"), "saved").unwrap();
    page.expect(&json!(["index.html"]));
}
