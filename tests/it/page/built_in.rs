//! The page: the built-in one, and what is the same for one from a folder.

use std::fs;

use crate::harness::{Client, Launch, Response, Server, folder, project, request, request_head};

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

fn etag(response: &Response) -> &str {
    response.header("ETag").expect("a page has an ETag")
}

#[test]
fn a_page_that_is_known_is_not_sent_again() {
    let www = folder(&[("index.html", b"from disk"), ("large.bin", &vec![7; 300 * 1024])]);
    for (server, path) in
        [(Server::start(&[]), "/"), (Server::serving(&www), "/"), (Server::serving(&www), "/large.bin")]
    {
        let page = server.get_settled(path);
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
            let get = server.get_settled(path);
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
        assert!(has("img-src", "'self' blob:"), "its icons, and photos out of messages: {policy}");
        assert_eq!(policy.matches("blob:").count(), 1, "nothing else out of messages: {policy}");
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

/// What browsers are told about a page that is the server's own.
const PAGE_POLICY: [(&str, &str); 4] = [
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

fn policies(response: &Response) -> [Option<&str>; 4] {
    PAGE_POLICY.map(|(name, _)| response.header(name))
}

#[test]
fn the_baked_in_page_keeps_foreign_pages_away_from_it_and_a_page_from_disk_decides_for_itself() {
    let server = Server::start(&[]);
    for path in ["/", "/foghorn.js", "/nothing"] {
        assert_eq!(policies(&server.get(path)), PAGE_POLICY.map(|(_, value)| Some(value)), "{path}");
    }
    let www = folder(&[("index.html", b"from disk"), ("app.js", b"")]);
    let server = Launch::new(&["--www"]).arg(www.path()).start();
    for path in ["/", "/app.js"] {
        assert_eq!(policies(&server.get(path)), [None; 4], "{path}");
    }
}
