//! Scripts that a page of one's own can load though they are not in its folder.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::{Client, Closed, Launch, Server, folder, project, request, request_head};

#[test]
fn a_folder_without_the_client_has_ours_like_a_file_of_its_own() {
    let www = folder(&[("index.html", b"page"), ("404.html", b"own words"), ("sub/index.html", b"sub")]);
    let server = Server::serving(&www);
    let ours = fs::read(project().join("www/foghorn.js")).unwrap();
    let found = server.get("/foghorn.js");
    assert!(found.status == 200 && found.body == ours, "{}", found.head);
    assert_eq!(found.header("Content-Type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(found.header("Cache-Control"), Some("no-cache"));
    for name in ["Content-Security-Policy", "Cross-Origin-Resource-Policy", "Last-Modified"] {
        assert_eq!(found.header(name), None, "{name}");
    }
    for path in ["/foghorn.js?v=2", "//foghorn.js", "/%66oghorn.js", "/c/foghorn.js"] {
        assert!(server.get(path).body == ours, "{path}");
    }
    for path in ["/foghorn.js/", "/sub/foghorn.js", "/Foghorn.js", "/foghorn", "/app.js", "/../foghorn.js"] {
        let response = server.get(path);
        assert_eq!((response.status, response.text()), (404, "own words".into()), "{path}");
    }
    let tag = found.header("ETag").expect("it has a tag");
    let known = request(server.address(), "GET", "/foghorn.js", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((known.status, known.body.len()), (304, 0));
    let part = request(server.address(), "GET", "/foghorn.js", "Range: bytes=3-9\r\n");
    assert_eq!((part.status, &part.body[..]), (206, &ours[3..10]));
    let mut client = Client::connect(server.address());
    client.send(request_head(server.address(), "HEAD", "/foghorn.js", "").as_bytes());
    let head = client.response(true);
    assert_eq!((head.status, head.header("ETag")), (200, Some(tag)));
    assert_eq!(head.header("Content-Length"), Some(&*ours.len().to_string()));
    client.send(request_head(server.address(), "GET", "/", "").as_bytes());
    assert_eq!(client.response(false).text(), "page", "no body was sent before");
}

#[test]
fn what_the_folder_has_at_this_address_is_what_is_served_from_the_moment_on_at_which_it_is_there() {
    let outer = folder(&[("www/index.html", b"page"), ("secret.js", b"SECRET")]);
    let own = outer.path().join("www/foghorn.js");
    let server = Launch::new(&["--www"]).arg(outer.path().join("www")).without_rights().start();
    let is_ours = || {
        let response = server.get("/foghorn.js");
        response.status == 200 && response.text().contains("export class Foghorn")
    };
    assert!(is_ours());
    fs::write(&own, "own").unwrap();
    assert_eq!(server.get("/foghorn.js").text(), "own");
    let closed = Closed::new(&own);
    assert_eq!(server.get("/foghorn.js").status, 500, "it is there");
    drop(closed);
    fs::remove_file(&own).unwrap();
    assert!(is_ours());
    // What lies outside looks like what is not there.
    symlink("../secret.js", &own).unwrap();
    assert!(is_ours());
    fs::remove_file(&own).unwrap();
    fs::create_dir(&own).unwrap();
    assert_eq!(server.get("/foghorn.js").header("Location"), Some("foghorn.js/"));
}

#[test]
fn while_the_folder_is_away_it_may_have_one_of_its_own() {
    let outer = folder(&[("above/www/index.html", b"page")]);
    let above = outer.path().join("above");
    let server = Server::serving(above.join("www"));
    fs::rename(&above, outer.path().join("away")).unwrap();
    assert_eq!(server.get("/foghorn.js").status, 503);
    fs::rename(outer.path().join("away"), &above).unwrap();
    assert_eq!(server.get("/foghorn.js").status, 200);
}
