//! Conditional requests: what has changed comes anew, whatever its time stamps say, and what has not does not.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::harness::{Response, Server, folder, request};

/// As `touch -d @SECONDS` does.
fn touch(path: &Path, seconds: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}

fn ask(server: &Server, path: &str, line: &str) -> Response {
    request(server.address(), "GET", path, &format!("{line}\r\n"))
}

/// Asks with this tag.
fn ask_unless(server: &Server, path: &str, response: &Response) -> Response {
    ask(server, path, &format!("If-None-Match: {}", response.header("ETag").expect("a tag")))
}

const SIZES: [(&str, usize); 2] = [("small", 1000), ("large", 100_000)];

#[test]
fn a_file_of_the_same_size_and_time_stamp_is_seen_to_be_another() {
    let www = folder(&[]);
    let path = |name: &str| www.path().join(name);
    for (name, bytes) in SIZES {
        fs::write(path(name), vec![b'1'; bytes]).unwrap();
        touch(&path(name), 1);
    }
    let server = Server::serving(&www);
    for (name, bytes) in SIZES {
        let address = format!("/{name}");
        let first = server.get_settled(&address);
        assert_eq!(ask_unless(&server, &address, &first).status, 304, "{name}");
        // Another file in its place.
        fs::write(path("other"), vec![b'2'; bytes]).unwrap();
        touch(&path("other"), 1);
        fs::rename(path("other"), path(name)).unwrap();
        let second = ask_unless(&server, &address, &first);
        assert!(second.status == 200 && second.body == vec![b'2'; bytes], "{name}: {}", second.status);
        // The same file, written over.
        let second = server.get_settled(&address);
        assert_eq!(ask_unless(&server, &address, &second).status, 304, "{name}");
        let mut file = File::options().write(true).open(path(name)).unwrap();
        file.seek(std::io::SeekFrom::Start(bytes as u64 - 1)).unwrap();
        file.write_all(b"3").unwrap();
        touch(&path(name), 1);
        let third = ask_unless(&server, &address, &second);
        assert!(third.status == 200 && third.body.last() == Some(&b'3'), "{name}: {}", third.status);
    }
}

#[test]
fn a_small_file_that_was_only_touched_is_known() {
    let www = folder(&[("small", b"page")]);
    let server = Server::serving(&www);
    let first = server.get("/small");
    touch(&www.path().join("small"), 1_000_000_000);
    assert_eq!(ask_unless(&server, "/small", &first).status, 304);
}

#[test]
fn a_client_that_knows_dates_only_is_told_of_another_date_older_ones_too() {
    let www = folder(&[]);
    let server = Server::serving(&www);
    for (name, bytes) in SIZES {
        let (path, address) = (www.path().join(name), format!("/{name}"));
        fs::write(&path, vec![b'1'; bytes]).unwrap();
        touch(&path, 784_111_777);
        let response = server.get_settled(&address);
        assert_eq!(response.header("Last-Modified"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        for same in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            for method in ["GET", "HEAD"] {
                let line = format!("If-Modified-Since: {same}\r\n");
                let known = request(server.address(), method, &address, &line);
                assert_eq!((known.status, known.body.len()), (304, 0), "{method} {same}");
                for name in ["ETag", "Last-Modified", "Cache-Control"] {
                    assert_eq!(known.header(name), response.header(name), "{name}");
                }
                assert_eq!(
                    request(server.address(), method, &address, &(line + "If-None-Match: \"1\"\r\n")).status,
                    200
                );
            }
        }
        for other in ["Sun, 06 Nov 1994 08:49:36 GMT", "Mon, 07 Nov 1994 08:49:37 GMT", "yesterday", "é", ""] {
            assert_eq!(ask(&server, &address, &format!("If-Modified-Since: {other}")).status, 200, "{other}");
        }
        // A file that has taken the place of a newer one.
        touch(&path, 1000);
        assert_eq!(ask(&server, &address, "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT").status, 200);
    }
}

#[test]
fn no_date_is_told_that_says_nothing() {
    let www = folder(&[("future", b"page"), ("before-1970", b"page")]);
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    for (name, modified) in [("future", tomorrow), ("before-1970", UNIX_EPOCH - Duration::from_secs(1))] {
        File::options().write(true).open(www.path().join(name)).unwrap().set_modified(modified).unwrap();
    }
    let server = Server::serving(&www);
    for path in ["/future", "/before-1970", "/status"] {
        assert_eq!(server.get(path).header("Last-Modified"), None, "{path}");
    }
    for path in ["/future", "/before-1970"] {
        assert_eq!(ask_unless(&server, path, &server.get(path)).status, 304, "{path} has its tag");
    }
}

#[test]
fn a_file_that_is_another_one_than_was_meant_is_refused_in_whole_and_in_part() {
    let www = folder(&[("small", b"page"), ("large", &vec![7; 100_000])]);
    let server = Server::serving(&www);
    let mut refused = 0;
    for path in ["/small", "/large"] {
        let tag = server.get_settled(path).header("ETag").expect("a tag").to_owned();
        for (range, status) in [("", 200), ("Range: bytes=1-2\r\n", 206)] {
            for method in ["GET", "HEAD"] {
                let ask = |tags: &str| {
                    let lines = format!("{range}If-Match: {tags}\r\n");
                    request(server.address(), method, path, &lines)
                };
                let status = if method == "HEAD" { 200 } else { status };
                assert_eq!([ask(&tag).status, ask("*").status], [status; 2], "{method} {path} {range}");
                let response = ask("\"another\"");
                assert_eq!((response.status, response.header("Accept-Ranges")), (412, None), "{method} {path} {range}");
                assert_eq!(response.text().contains("another one"), method == "GET");
                refused += 1;
            }
        }
    }
    assert_eq!(server.figure("/refused/412"), refused);
    for path in ["/status", "/nothing"] {
        let response = request(server.address(), "GET", path, "If-Match: \"another\"\r\n");
        assert_eq!(response.status, server.get(path).status, "{path} has no tag");
    }
}
