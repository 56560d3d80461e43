//! Parts of files: whoever asks for one range gets it, from memory and from disk alike.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use foghorn::config::limits::{FILE_CHUNK_BYTES, HTTP_BODY_BYTES_MAX};

use crate::harness::{
    Client, LARGE_BYTES, Response, Server, contents, folder, folder_with_large_file, request, request_head,
};

/// Read into memory, and streamed.
const SIZES: [(&str, usize); 3] =
    [("small", 1000), ("largest-small", HTTP_BODY_BYTES_MAX), ("large", 3 * FILE_CHUNK_BYTES + 1)];

fn www() -> tempfile::TempDir {
    let files = SIZES.map(|(name, bytes)| (name, contents(bytes)));
    folder(&files.each_ref().map(|(name, contents)| (*name, contents.as_slice())))
}

fn ask(server: &Server, path: &str, range: &str) -> Response {
    request(server.address(), "GET", path, &format!("Range: {range}\r\n"))
}

/// That this is the part from `start` to `end` of the whole.
fn expect_part(part: &Response, whole: &[u8], start: usize, end: usize) {
    assert_eq!(part.status, 206, "{}", part.head);
    let range = format!("bytes {start}-{}/{}", end - 1, whole.len());
    assert_eq!(part.header("Content-Range"), Some(range.as_str()));
    assert!(part.body == whole[start..end], "{range}");
}

#[test]
fn one_range_of_a_file_is_sent_whatever_its_form() {
    let www = www();
    let server = Server::serving(&www);
    for (name, bytes) in SIZES {
        let (whole, path) = (contents(bytes), format!("/{name}"));
        let mut client = Client::connect(server.address());
        for (range, start, end) in [
            // With this, Safari finds out whether it can play sound and video.
            ("bytes=0-1".to_owned(), 0, 2),
            ("bytes=0-".to_owned(), 0, bytes),
            (format!("bytes=0-{}", bytes - 1), 0, bytes),
            ("bytes=5-".to_owned(), 5, bytes),
            ("bytes=-5".to_owned(), bytes - 5, bytes),
            (format!("bytes={}-", bytes - 1), bytes - 1, bytes),
            (format!("bytes={}-{}", bytes - 3, bytes + 5), bytes - 3, bytes),
            (format!("bytes=-{}", bytes + 1), 0, bytes),
            ("bytes=7-18446744073709551616".to_owned(), 7, bytes),
            (format!("bytes={}-{}", bytes / 3, bytes / 2), bytes / 3, bytes / 2 + 1),
        ] {
            // On one connection: a byte too many or too few, and the next answer is none.
            client.send(request_head(server.address(), "GET", &path, &format!("Range: {range}\r\n")).as_bytes());
            expect_part(&client.response(false), &whole, start, end);
        }
        client.send(request_head(server.address(), "GET", &path, "").as_bytes());
        assert!(client.response(false).body == whole);
    }
}

#[test]
fn a_part_says_of_what_it_is() {
    let www = www();
    let server = Server::serving(&www);
    for (name, _) in SIZES {
        let path = format!("/{name}");
        let whole = server.get_settled(&path);
        let part = ask(&server, &path, "bytes=1-2");
        for line in ["ETag", "Last-Modified", "Content-Type", "Cache-Control", "Accept-Ranges", "Connection"] {
            assert_eq!(part.header(line), whole.header(line), "{name}: {line}");
        }
        assert_eq!(whole.header("Accept-Ranges"), Some("bytes"));
        assert_eq!(whole.header("Content-Range"), None);
    }
}

#[test]
fn the_parts_of_a_large_file_make_the_whole() {
    let whole = contents(LARGE_BYTES);
    let www = folder(&[("large", &whole)]);
    let server = Server::serving(&www);
    let mut client = Client::connect(server.address());
    let mut all = Vec::new();
    let mut part_bytes = 1;
    while all.len() < LARGE_BYTES {
        let range = format!("Range: bytes={}-{}\r\n", all.len(), all.len() + part_bytes - 1);
        client.send(request_head(server.address(), "GET", "/large", &range).as_bytes());
        all.extend(client.response(false).body);
        part_bytes = 3 * part_bytes + 1;
    }
    assert!(all == whole);
}

#[test]
fn the_end_of_a_file_of_more_than_4_gib_is_reached() {
    let bytes = (4_u64 << 30) + 10;
    let www = folder_with_large_file(bytes);
    std::os::unix::fs::FileExt::write_at(
        &File::options().write(true).open(www.path().join("large.bin")).unwrap(),
        b"the end",
        bytes - 7,
    )
    .unwrap();
    let server = Server::serving(&www);
    let part = ask(&server, "/large.bin", &format!("bytes={}-", bytes - 7));
    assert_eq!((part.status, part.text()), (206, "the end".into()));
    assert_eq!(part.header("Content-Range"), Some(&*format!("bytes {}-{}/{bytes}", bytes - 7, bytes - 1)));
}

#[test]
fn a_range_behind_the_end_is_refused_with_a_sentence_that_says_where_that_is() {
    let www = www();
    let server = Server::serving(&www);
    let mut refused = 0;
    for (name, bytes) in SIZES {
        let mut client = Client::connect(server.address());
        for range in [format!("bytes={bytes}-"), format!("bytes={bytes}-{}", bytes + 5), "bytes=-0".into()] {
            let line = format!("Range: {range}\r\n");
            client.send(request_head(server.address(), "GET", &format!("/{name}"), &line).as_bytes());
            let response = client.response(false);
            assert_eq!(response.status, 416, "{name} {range}");
            assert_eq!(response.header("Content-Range"), Some(&*format!("bytes */{bytes}")));
            assert_eq!(response.header("Content-Type"), Some("text/html; charset=utf-8"));
            assert!(response.text().contains(&format!("within {bytes} bytes")), "{}", response.text());
            assert_eq!((response.header("ETag"), response.header("Accept-Ranges")), (None, None));
            refused += 1;
        }
    }
    assert_eq!(server.figure("/refused/416"), refused);
}

#[test]
fn what_is_no_range_gets_the_whole() {
    let www = www();
    let server = Server::serving(&www);
    for (name, bytes) in SIZES {
        for range in [
            "bytes=2-1",
            "bytes=a-b",
            "bytes=-",
            "bytes=1",
            "items=0-1",
            "bytes=é-",
            "",
            // Several parts at a time: together they may be many times the file.
            "bytes=0-1,3-4",
            "bytes=0-,0-,0-,0-",
            "bytes=0-1\r\nRange: bytes=0-1",
        ] {
            let response = ask(&server, &format!("/{name}"), range);
            assert!(response.status == 200 && response.body == contents(bytes), "{name} {range}");
            assert_eq!(response.header("Content-Range"), None);
        }
    }
}

#[test]
fn head_tells_that_there_are_ranges_and_takes_none() {
    let www = www();
    let server = Server::serving(&www);
    for (name, bytes) in SIZES {
        for range in ["bytes=0-1", "bytes=1000000-"] {
            let mut client = Client::connect(server.address());
            let line = format!("Range: {range}\r\n");
            client.send(request_head(server.address(), "HEAD", &format!("/{name}"), &line).as_bytes());
            let response = client.response(true);
            assert_eq!((response.status, response.header("Accept-Ranges")), (200, Some("bytes")), "{name} {range}");
            assert_eq!(response.header("Content-Length"), Some(&*bytes.to_string()));
            client.send(request_head(server.address(), "GET", "/small", "").as_bytes());
            assert_eq!(client.response(false).body, contents(1000), "the next answer follows at once");
        }
    }
}

#[test]
fn an_empty_file_has_no_parts() {
    let www = folder(&[("empty", b"")]);
    let server = Server::serving(&www);
    for range in ["bytes=0-", "bytes=0-1", "bytes=-5", "bytes=5-"] {
        let response = ask(&server, "/empty", range);
        assert_eq!((response.status, response.header("Content-Length")), (200, Some("0")), "{range}");
    }
}

#[test]
fn a_range_of_what_has_changed_meanwhile_is_all_of_it() {
    let www = www();
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let touch = |path: &Path| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(784_111_777)).unwrap();
    };
    for (name, _) in SIZES {
        touch(&www.path().join(name));
    }
    let server = Server::serving(&www);
    for (name, bytes) in SIZES {
        let (path, whole) = (format!("/{name}"), contents(bytes));
        let tag = server.get_settled(&path).header("ETag").expect("a tag").to_owned();
        let ask = |range: &str, state: &str| {
            let lines = format!("Range: {range}\r\nIf-Range: {state}\r\n");
            request(server.address(), "GET", &path, &lines)
        };
        expect_part(&ask("bytes=5-", &tag), &whole, 5, bytes);
        assert_eq!(ask("bytes=999999-", &tag).status, 416);
        // A date can be set: it is no word for the same file.
        for other in ["\"1\"", &format!("W/{tag}"), date, "Sun, 06 Nov 1994 08:49:38 GMT", "é", "*"] {
            for range in ["bytes=5-", "bytes=999999-"] {
                let response = ask(range, other);
                assert!(response.status == 200 && response.body == whole, "{name} {range} {other}");
            }
        }
        // Of the same size and date, but another one.
        std::fs::write(www.path().join(name), vec![b'2'; bytes]).unwrap();
        touch(&www.path().join(name));
        let response = ask("bytes=5-", &tag);
        assert!(response.status == 200 && response.body == vec![b'2'; bytes], "{name}");
    }
}

#[test]
fn a_range_of_what_is_known_is_not_sent() {
    let www = www();
    let server = Server::serving(&www);
    for (name, _) in SIZES {
        let path = format!("/{name}");
        let tag = server.get_settled(&path).header("ETag").expect("a tag").to_owned();
        for range in ["bytes=0-1", "bytes=999999-"] {
            let lines = format!("Range: {range}\r\nIf-None-Match: {tag}\r\n");
            assert_eq!(request(server.address(), "GET", &path, &lines).status, 304, "{name} {range}");
        }
    }
}

#[test]
fn the_built_in_page_has_ranges_too_and_what_is_no_file_has_none() {
    let server = Server::start(&[]);
    for path in ["/", "/app.js", "//app.js"] {
        let whole = server.get(path);
        assert_eq!(whole.header("Accept-Ranges"), Some("bytes"), "{path}");
        let part = ask(&server, path, "bytes=-10");
        expect_part(&part, &whole.body, whole.body.len() - 10, whole.body.len());
        let behind = ask(&server, path, "bytes=99999999-");
        assert_eq!(behind.status, 416);
        for response in [&part, &behind] {
            assert_eq!(response.header("Content-Security-Policy"), whole.header("Content-Security-Policy"));
        }
        assert_eq!(server.get(path).body, whole.body, "{path}");
    }
    for (path, status) in [("/status", 200), ("/qr.svg", 200), ("/nothing", 404), ("/qr.svg?x=y", 400)] {
        for range in ["bytes=0-1", "bytes=99999999-"] {
            let response = ask(&server, path, range);
            assert_eq!((response.status, response.header("Accept-Ranges")), (status, None), "{path}");
        }
    }
}
