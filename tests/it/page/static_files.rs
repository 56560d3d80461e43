//! Folders in place of the built-in page: all that is in them is served, and nothing else.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::process::Command;

use foghorn::config::limits::HTTP_BODY_BYTES_MAX;

use crate::harness::{Client, LARGE_BYTES, Server, contents, folder, request, request_head};

#[test]
fn a_folder_is_served_live_from_disk() {
    let www = folder(&[("index.html", b"first"), ("sub/index.html", b"index of sub"), ("a b/ä.txt", b"umlaut")]);
    let server = Server::serving(&www);
    let first = server.get("/");
    assert_eq!(first.text(), "first");
    fs::write(www.path().join("index.html"), "second, longer").unwrap();
    let second = request(
        server.address(),
        "GET",
        "/",
        &format!("If-None-Match: {}\r\n", first.header("ETag").expect("it has one")),
    );
    assert_eq!((second.status, second.text()), (200, "second, longer".into()));
    fs::write(www.path().join("new.css"), "b{}").unwrap();
    let new = server.get("/new.css");
    assert_eq!((new.text(), new.header("Content-Type")), ("b{}".into(), Some("text/css; charset=utf-8")));
    fs::remove_file(www.path().join("index.html")).unwrap();
    assert_eq!(server.get("/").status, 404);
    assert_eq!(server.get("/sub/").text(), "index of sub");
    assert_eq!(server.get("/a%20b/%C3%A4.txt").text(), "umlaut");
    fs::write(www.path().join("empty"), "").unwrap();
    assert_eq!((server.get("/empty").status, server.get("/empty").header("Content-Length")), (200, Some("0")));
}

/// Where a browser goes from there: a relative path in place of the last part (RFC 3986 section 5.2).
fn resolved(path: &str, location: &str) -> String {
    let start = location.split(['/', '?']).next().unwrap();
    assert!(!start.is_empty() && !start.contains(':') && !start.starts_with(".."), "{path} to {location}");
    let folder = &path.split('?').next().unwrap().rsplit_once('/').unwrap().0;
    format!("{folder}/{}", location.strip_prefix("./").unwrap_or(location))
}

#[test]
fn a_folder_without_its_slash_is_redirected_to_the_last_part_of_its_path_with_its_query() {
    let www = folder(&[
        ("index.html", b"root"),
        ("sub/index.html", b"index of sub"),
        ("sub/deep/index.html", b"deep"),
        ("a b/index.html", b"x"),
        ("evil.example/index.html", b"y"),
        ("a:b/index.html", b"colon"),
        ("?#%/index.html", b"odd"),
    ]);
    let server = Server::serving(&www);
    for (path, location, there) in [
        ("/sub", "sub/", "index of sub"),
        ("/sub?q=1&r=%2F", "sub/?q=1&r=%2F", "index of sub"),
        ("/sub?//evil.example/", "sub/?//evil.example/", "index of sub"),
        ("/sub/deep", "deep/", "deep"),
        ("/sub//deep?", "deep/?", "deep"),
        ("/sub%2Fdeep", "sub/deep/", "deep"),
        ("/a%20b", "a%20b/", "x"),
        ("//evil.example", "evil.example/", "y"),
        ("/%2Fevil.example", "evil.example/", "y"),
        ("/%2F%2Fevil.example?q", "evil.example/?q", "y"),
        ("/%2F", "./", "root"),
        ("/a:b", "a%3Ab/", "colon"),
        ("/%3F%23%25?x", "%3F%23%25/?x", "odd"),
    ] {
        let response = server.get(path);
        assert_eq!((response.status, response.header("Location")), (308, Some(location)), "{path}");
        assert_eq!(server.get(&resolved(path, location)).text(), there, "{path} to {location}");
    }
    for path in ["//evil.example/..;", "//evil.example/..", "/sub/../..", "//evil.example/%2e%2e"] {
        let response = server.get(path);
        assert_eq!((response.status, response.header("Location")), (404, None), "{path}");
    }
}

#[test]
fn no_path_leads_out_of_the_folder_or_to_hidden_files() {
    let outer = folder(&[
        ("secret.txt", b"SECRET"),
        ("www/index.html", b"page"),
        ("www/.env", b"SECRET"),
        ("www/.git/config", b"SECRET"),
        ("www/sub/.hidden/x.txt", b"SECRET"),
        ("www/sub/x.txt", b"x"),
        ("www/%2e%2e/x.txt", b"named so"),
        ("www-other/x.txt", b"SECRET"),
    ]);
    let server = Server::serving(outer.path().join("www"));
    let absolute = outer.path().join("secret.txt");
    let absolute = absolute.to_str().unwrap();
    for path in [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/sub/../x.txt",
        "/./index.html",
        "/%2e%2e/secret.txt",
        "/%2E%2E/secret.txt",
        "/.%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/sub%2f..%2f..%2fsecret.txt",
        "/..%2fsecret.txt",
        "/%252e%252e/secret.txt",
        "/%252e%252e%252fsecret.txt",
        "/..%255csecret.txt",
        "/..\\secret.txt",
        "/..%5csecret.txt",
        "/sub\\..\\..\\secret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "/%uff0e%uff0e/secret.txt",
        "/..;/secret.txt",
        "/...//secret.txt",
        "/../www-other/x.txt",
        "/..-other/x.txt",
        "/secret.txt%00.html",
        "/%00",
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/sub/.hidden/x.txt",
        "/.",
        "/..",
        "/sub/.",
        "/sub/..",
        absolute,
        &format!("/{absolute}"),
        "/%2fetc%2fpasswd",
        "//etc/passwd",
    ] {
        let response = server.get(path);
        assert!(matches!(response.status, 400 | 404), "{path}: {response:?}");
        assert!(!response.text().contains("SECRET"), "{path}");
    }
    assert_eq!(server.get("/%252e%252e/x.txt").text(), "named so", "decoded once and not twice");
    assert_eq!(server.get("//sub///x.txt").text(), "x");
}

#[test]
fn symlinks_lead_only_to_what_is_served_anyway() {
    let outer = folder(&[
        ("secret.txt", b"SECRET"),
        ("private/x.txt", b"SECRET"),
        ("www/page.txt", b"page"),
        ("www/.env", b"SECRET"),
        ("www/sub/x.txt", b"x"),
    ]);
    let www = outer.path().join("www");
    for (to, name) in [
        ("../secret.txt", "out.txt"),
        ("/etc/passwd", "absolute.txt"),
        ("../private", "folder"),
        (".env", "hidden.txt"),
        ("out.txt", "chain.txt"),
        ("loop", "loop"),
        ("nowhere", "dangling"),
        ("page.txt", "inside.txt"),
        ("sub", "same"),
    ] {
        symlink(to, www.join(name)).unwrap();
    }
    let server = Server::serving(&www);
    for path in ["/out.txt", "/absolute.txt", "/folder/x.txt", "/hidden.txt", "/chain.txt", "/loop", "/dangling"] {
        let response = server.get(path);
        assert_eq!(response.status, 404, "{path}: {response:?}");
    }
    assert_eq!(server.get("/folder/").status, 404);
    assert_eq!((server.get("/inside.txt").text(), server.get("/same/x.txt").text()), ("page".into(), "x".into()));

    // The folder itself may be a link, as those of deployments are.
    let link = outer.path().join("current");
    symlink("www", &link).unwrap();
    let server = Server::serving(&link);
    assert_eq!(server.get("/page.txt").text(), "page");
}

#[test]
fn what_lies_outside_of_the_folder_cannot_be_told_from_what_is_not_there() {
    let outer = folder(&[
        ("private/index.html", b"SECRET"),
        ("private/x.txt", b"SECRET"),
        ("private/deep/x.txt", b"SECRET"),
        ("www/page.txt", b"page"),
        ("www/.git/index.html", b"SECRET"),
        ("www/sub/index.html", b"index of sub"),
        ("www/named/x.txt", b"x"),
    ]);
    let www = outer.path().join("www");
    for (to, name) in [
        ("../private", "folder"),
        ("../private/x.txt", "file"),
        ("..", "above"),
        ("/", "root"),
        (".git", "hidden"),
        ("../../private/index.html", "named/index.html"),
        ("sub", "same"),
    ] {
        symlink(to, www.join(name)).unwrap();
    }
    let server = Server::serving(&www);
    let answer = |path: &str| {
        let response = server.get(path);
        let is_date = |line: &&str| line.to_ascii_lowercase().starts_with("date:");
        let head: Vec<String> = response.head.lines().filter(|line| !is_date(line)).map(str::to_owned).collect();
        (head, response.text())
    };
    let not_there = answer("/nothing");
    assert_eq!(server.get("/nothing").status, 404);
    for path in [
        "/nothing/",
        "/nothing/nor/here",
        "/page.txt/",
        "/page.txt/x",
        "/folder",
        "/folder/",
        "/folder/x.txt",
        "/folder/x.txt/",
        "/folder/deep",
        "/folder/deep/",
        "/folder/nothing",
        "/folder/nothing/",
        "/file",
        "/file/",
        "/above",
        "/above/",
        "/above/private",
        "/above/private/",
        "/above/www",
        "/above/www/page.txt",
        "/root",
        "/root/",
        "/root/etc",
        "/root/etc/",
        "/root/etc/passwd",
        "/root/nothing",
        "/root/nothing/",
        "/hidden",
        "/hidden/",
        "/hidden/index.html",
        "/named/",
        "/named/index.html",
    ] {
        assert_eq!(answer(path), not_there, "{path}");
    }
    assert_eq!((server.get("/same").status, server.get("/same/").text()), (308, "index of sub".into()));
}

#[test]
fn what_is_no_file_is_not_there() {
    let www = folder(&[("page.txt", b"page")]);
    let fifo = www.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo (coreutils) is there").success());
    symlink("/dev/zero", www.path().join("zero")).unwrap();
    std::os::unix::net::UnixListener::bind(www.path().join("socket")).unwrap();
    let server = Server::serving(&www);
    for path in ["/fifo", "/zero", "/socket"] {
        assert_eq!(server.get(path).status, 404, "{path}");
        assert_eq!(server.get("/page.txt").text(), "page", "after {path}");
    }
}

#[test]
fn a_file_of_any_size_comes_whole() {
    let contents = contents(LARGE_BYTES);
    // Up to a limit a file goes through tiny_http, and beyond it past it.
    let limit = HTTP_BODY_BYTES_MAX;
    let sizes = [0, 1, limit - 1, limit, limit + 1, 1 << 16, 1 << 18, LARGE_BYTES];
    let www = folder(&[]);
    for bytes in sizes {
        fs::write(www.path().join(bytes.to_string()), &contents[..bytes]).unwrap();
    }
    let server = Server::serving(&www);
    for bytes in sizes {
        let response = server.get(&format!("/{bytes}"));
        assert_eq!(response.status, 200, "{bytes}");
        assert!(response.body == contents[..bytes], "{bytes} bytes");
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_ends_the_connection_and_nothing_else() {
    let www = folder(&[("large.bin", &contents(LARGE_BYTES))]);
    let server = Server::serving(&www);
    let mut client = Client::connect_narrow(server.address(), 4096);
    client.send(request_head(server.address(), "GET", "/large.bin", "").as_bytes());
    assert_eq!(client.response(true).status, 200);
    fs::OpenOptions::new().write(true).open(www.path().join("large.bin")).unwrap().set_len(1000).unwrap();
    let mut rest = Vec::new();
    // Ended in order or by reset: either says that it is not all.
    let _ = client.socket().read_to_end(&mut rest);
    assert!(rest.len() < LARGE_BYTES);
    assert_eq!(server.get("/status").status, 200);
}
