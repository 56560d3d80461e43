//! The page: the baked-in one, and folders in its place.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;

use foghorn::config::limits::HTTP_BODY_BYTES_MAX;

use crate::harness::{
    Bystanders, Client, GREETING, LARGE_BYTES, Response, Server, contents, eventually, folder, project, request,
    request_head,
};

fn etag(response: &Response) -> &str {
    response.header("ETag").expect("a page has an ETag")
}

#[test]
fn every_file_of_the_baked_in_page_is_served_with_its_type() {
    let server = Server::start(&[]);
    let mut count = 0;
    for entry in fs::read_dir(project().join("www")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() || name.starts_with('.') {
            continue;
        }
        let response = server.get(&format!("/{name}"));
        assert_eq!(response.status, 200, "{name}");
        let expected = match name.rsplit_once('.').unwrap().1 {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            "ico" => "image/x-icon",
            "webmanifest" => "application/manifest+json",
            other => panic!("say here which type .{other} has"),
        };
        let its_type = response.header("Content-Type").unwrap();
        assert!(its_type.starts_with(expected), "{name}: {its_type}");
        if std::env::var_os("FOGHORN_BIN").is_none() {
            // Another binary may have been built from another state of the page.
            assert!(response.body == fs::read(entry.path()).unwrap(), "{name} as it is in the tree");
        }
        count += 1;
    }
    assert!(count >= 3, "{count} files");
}

#[test]
fn the_page_is_at_the_root_and_a_query_changes_nothing() {
    let server = Server::start(&[]);
    let page = server.get("/");
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains("id=\"send-input\"") || page.text().contains("id=send-input"));
    for path in ["/?a=b", "/index.html", "/index.html?x", "//", "/%69ndex.html"] {
        assert_eq!(server.get(path).body, page.body, "{path}");
    }
}

#[test]
fn a_page_that_is_known_is_not_sent_again() {
    let www = folder(&[("index.html", b"from disk"), ("large.bin", &vec![7; 300 * 1024])]);
    for (server, path) in
        [(Server::start(&[]), "/"), (Server::serving(&www), "/"), (Server::serving(&www), "/large.bin")]
    {
        let page = server.get(path);
        assert_eq!(page.header("Cache-Control"), Some("no-cache"), "ask every time");
        let tag = etag(&page).to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
        assert_eq!(etag(&server.get(path)), tag, "it stays the same");
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".into()] {
            let line = format!("If-None-Match: {known}\r\n");
            for method in ["GET", "HEAD"] {
                let mut client = Client::connect(server.address());
                client.send(request_head(server.address(), method, path, &line).as_bytes());
                let response = client.response(false);
                assert_eq!(response.status, 304, "{known}");
                assert_eq!(etag(&response), tag);
                // Nothing of a body may come before the next answer.
                client.send(request_head(server.address(), "GET", "/status", "").as_bytes());
                assert_eq!(client.response(false).status, 200);
            }
        }
        let response = request(server.address(), "GET", path, "If-None-Match: \"other\"\r\n");
        assert_eq!((response.status, response.body), (200, page.body));
    }
}

#[test]
fn head_gets_the_same_head_and_no_body() {
    let www = folder(&[("large.bin", &vec![7; 300 * 1024])]);
    for (server, paths) in [
        (Server::start(&[]), &["/", "/nothing", "/qr.svg"][..]),
        (Server::serving(&www), &["/large.bin", "/", "/nothing"]),
    ] {
        for path in paths {
            let get = server.get(path);
            let mut client = Client::connect(server.address());
            client.send(request_head(server.address(), "HEAD", path, "").as_bytes());
            let head = client.response(true);
            for name in ["Content-Length", "Content-Type", "ETag", "Cache-Control", "Content-Security-Policy"] {
                assert_eq!(head.header(name), get.header(name), "{path} {name}");
            }
            assert_eq!(head.status, get.status);
            client.send(request_head(server.address(), "GET", path, "").as_bytes());
            assert_eq!(client.response(false).body, get.body, "{path}: the next answer follows at once");
        }
    }
}

#[test]
fn what_is_not_there_is_answered_with_a_short_page() {
    let www = folder(&[("index.html", b"from disk"), ("sub/page.html", b"sub")]);
    for server in [Server::start(&[]), Server::serving(&www)] {
        for path in ["/nothing", "/index.html/", "/index.html/x", "/sub/", "/nothing/", "/INDEX.HTML", "/status/x"] {
            let response = server.get(path);
            assert_eq!(response.status, 404, "{path}: {response:?}");
            assert_eq!(response.header("Content-Type"), Some("text/html; charset=utf-8"));
            assert!(response.text().contains("href=\"/\"") && !response.text().contains("nothing at /"), "{path}");
        }
    }
}

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
    }
    client.send(request_head(server.address(), "GET", "/a.txt", "Connection: close\r\n").as_bytes());
    let last = client.response(false);
    assert_eq!((last.header("Connection"), last.text()), (Some("close"), "a".into()));
    client.expect_end();
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
fn a_page_connection_may_become_a_websocket() {
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send(request_head(server.address(), "GET", "/", "").as_bytes());
    assert_eq!(client.response(false).status, 200);
    client.upgrade(server.address(), "/", "");
    assert_eq!(client.text(), GREETING);
    client.expect_echo("one connection");
}

#[test]
fn the_baked_in_page_may_load_only_what_is_its_own() {
    let server = Server::start(&[]);
    for path in ["/", "/app.js", "/nothing"] {
        let response = server.get(path);
        let policy = response.header("Content-Security-Policy").expect("a policy");
        let directives: Vec<&str> = policy.split(';').map(str::trim).collect();
        let has = |name: &str, value: &str| directives.contains(&format!("{name} {value}").as_str());
        assert!(has("default-src", "'self'") || has("default-src", "'none'"), "{policy}");
        assert!(has("frame-ancestors", "'none'") && has("base-uri", "'none'"), "{policy}");
        let scripts = directives.iter().find(|directive| directive.starts_with("script-src")).unwrap_or(&"");
        assert!(!scripts.contains("unsafe") && !policy.contains("default-src *"), "{policy}");
        let connects = directives.iter().find(|directive| directive.starts_with("connect-src")).unwrap();
        assert!(connects.contains(&format!("ws://{}", server.address())), "its own WebSocket: {policy}");
        assert_eq!(response.header("X-Content-Type-Options"), Some("nosniff"), "{path}");
        assert_eq!(response.header("Referrer-Policy"), Some("no-referrer"), "{path}");
        assert_eq!(response.header("X-Frame-Options"), Some("DENY"), "{path}");
    }
}

#[test]
fn a_page_from_disk_is_left_alone() {
    let www = folder(&[("index.html", b"<script>alert(1)</script>")]);
    let response = Server::serving(&www).get("/");
    for name in ["Content-Security-Policy", "X-Frame-Options", "Cross-Origin-Opener-Policy", "Referrer-Policy"] {
        assert_eq!(response.header(name), None, "{name}");
    }
    assert_eq!(response.text(), "<script>alert(1)</script>");
}

#[test]
fn the_server_does_not_say_what_it_is_made_of() {
    let server = Server::start(&[]);
    for path in ["/", "/nothing", "/status"] {
        let response = server.get(path);
        assert_eq!(response.header("Server"), None);
        assert!(!response.head.contains("iny") && !response.head.contains("Foghorn-"), "{}", response.head);
    }
}

#[test]
fn a_folder_is_served_live_from_disk() {
    let www = folder(&[("index.html", b"first"), ("sub/index.html", b"index of sub"), ("a b/ä.txt", b"umlaut")]);
    let server = Server::serving(&www);
    let first = server.get("/");
    assert_eq!(first.text(), "first");
    fs::write(www.path().join("index.html"), "second, longer").unwrap();
    let second = request(server.address(), "GET", "/", &format!("If-None-Match: {}\r\n", etag(&first)));
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

#[test]
fn a_folder_without_its_slash_is_redirected_within_the_site() {
    let www =
        folder(&[("sub/index.html", b"index of sub"), ("a b/index.html", b"x"), ("evil.example/index.html", b"y")]);
    let server = Server::serving(&www);
    for (path, there) in
        [("/sub", "index of sub"), ("/a%20b", "x"), ("//evil.example", "y"), ("/sub?q=1", "index of sub")]
    {
        let response = server.get(path);
        assert!((301..=308).contains(&response.status), "{path}: {response:?}");
        let location = response.header("Location").expect("where to");
        assert!(location.starts_with('/') && !location.starts_with("//"), "{path} to {location}");
        assert_eq!(server.get(location).text(), there, "{path} to {location}");
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

#[test]
fn the_status_is_json_that_is_never_stored() {
    let server = Server::start(&[]);
    let response = server.get("/status");
    assert!(response.header("Content-Type").unwrap().starts_with("application/json"));
    assert!(matches!(response.header("Cache-Control"), Some("no-cache" | "no-store")));
    let status = server.status();
    for name in ["uptimeSeconds", "clients", "messages", "deliveries", "bytesIn", "bytesOut", "backlogBytes"] {
        assert!(status[name].is_u64(), "{name} in {status}");
    }
    assert_eq!(status["address"], format!("http://{}/", server.address()), "where the visitor has come to");
    for method_and_query in ["/status?x=y", "/status?"] {
        assert_eq!(server.get(method_and_query).status, 200);
    }
}

#[test]
fn the_qr_code_is_a_picture_of_the_address_that_was_used() {
    let server = Server::start(&[]);
    let response = server.get("/qr.svg");
    assert_eq!(response.status, 200);
    assert!(response.header("Content-Type").unwrap().starts_with("image/svg+xml"));
    assert!(response.text().contains("<svg") && response.text().trim_end().ends_with("</svg>"));
    let of = |host: &str| {
        let mut client = Client::connect(server.address());
        client.send(format!("GET /qr.svg HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        client.response(false).body
    };
    assert_ne!(of("board.local"), of("other.local"));
}

#[test]
fn the_page_comes_back_when_its_private_socket_is_lost() {
    let server = Server::start(&[]);
    let bystanders = Bystanders::start(&server);
    assert_eq!(server.get("/").status, 200);
    let sockets = server.private_sockets();
    assert_eq!(sockets.len(), 1, "{sockets:?}");
    fs::remove_file(&sockets[0]).unwrap();
    let first = server.get("/");
    if first.status != 200 {
        assert_eq!((first.status, first.header("Retry-After").is_some()), (503, true), "{first:?}");
        assert!(first.text().contains("come back"), "{first:?}");
    }
    eventually("the page is there again", || server.get("/").status == 200);
    assert!(server.figure("/httpRestarts") >= 1);
    bystanders.finish();
}
