//! The folder of `--www` as a whole: switched, away for a while, closed to the server; and which files have more than one address.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::harness::{Client, Closed, LARGE_BYTES, Launch, Server, contents, eventually, folder, request_head};

/// Has `link` lead to another folder, in one step: `ln -s TO new && mv -T new LINK`.
fn switch(link: &Path, to: &Path) {
    let new = link.with_extension("new");
    symlink(to, &new).unwrap();
    fs::rename(&new, link).unwrap();
}

#[test]
fn a_link_to_a_folder_can_be_switched_at_its_root_or_above() {
    let outer = folder(&[
        ("one/www/index.html", b"one"),
        ("one/www/gone.txt", b"one"),
        ("two/www/index.html", b"two"),
        ("two/www/new.txt", b"two"),
    ]);
    let at = |name: &str| outer.path().join(name);
    symlink("one/www", at("current")).unwrap();
    symlink("one", at("release")).unwrap();
    for (served, link, to) in [("current", "current", "two/www"), ("release/www", "release", "two")] {
        let server = Server::serving(at(served));
        assert_eq!((server.get("/").text(), server.get("/gone.txt").text()), ("one".into(), "one".into()));
        switch(&at(link), Path::new(to));
        assert_eq!((server.get("/").text(), server.get("/new.txt").text()), ("two".into(), "two".into()), "{served}");
        assert_eq!(server.get("/gone.txt").status, 404, "{served}");
        // What leads out is told from the folder as it is now.
        let back = at("two/www/back.txt");
        symlink(at("one/www/gone.txt"), &back).unwrap();
        assert_eq!(server.get("/back.txt").status, 404, "{served}");
        fs::remove_file(&back).unwrap();
    }
}

#[test]
fn nobody_meets_a_gap_while_folders_are_switched_and_the_old_ones_removed() {
    let outer = folder(&[]);
    let at = |name: &str| outer.path().join(name);
    let release = |nth: u32| {
        let name = format!("release-{nth}");
        fs::create_dir_all(at(&name).join("sub")).unwrap();
        fs::write(at(&name).join("sub/index.html"), "page").unwrap();
        switch(&at("current"), Path::new(&name));
    };
    release(0);
    // A list would be shown of a folder that has lost its page already.
    let server = Launch::new(&["--list", "--www"]).arg(at("current")).start();
    // One deployment beside each request: more of them it may well meet with a gap.
    let (deploy, deployments) = sync_channel(0);
    let release = &release;
    let at = &at;
    thread::scope(|scope| {
        scope.spawn(move || {
            for nth in deployments {
                release(nth);
                fs::remove_dir_all(at(&format!("release-{}", nth - 1))).unwrap();
            }
        });
        for nth in 1..300 {
            deploy.send(nth).unwrap();
            let response = server.get("/sub/");
            assert_eq!((response.status, response.text()), (200, "page".into()));
        }
        drop(deploy);
    });
}

#[test]
fn a_relative_folder_is_the_one_that_was_meant_at_the_start() {
    let outer = folder(&[("www/index.html", b"page"), ("elsewhere/x.txt", b"x")]);
    let before = format!("cd {}", outer.path().join("elsewhere").display());
    let server = Launch::new(&["--www", "../www"]).before(&before).start();
    assert_eq!(server.get("/").text(), "page");
}

#[test]
fn while_the_folder_is_away_visitors_are_told_to_come_back_and_the_log_says_what_to_do() {
    let outer = folder(&[("www/index.html", b"page"), ("other/index.html", b"other")]);
    let www = outer.path().join("www");
    let server = Server::serving(&www);
    let away = outer.path().join("away");
    fs::rename(&www, &away).unwrap();
    for path in ["/", "/nothing", "/index.html"] {
        let response = server.get(path);
        assert_eq!((response.status, response.header("Retry-After")), (503, Some("2")), "{path}");
    }
    server.wait_for_log(&format!("cannot serve --www {www:?}"));
    server.wait_for_log("put a folder there again");
    assert_eq!(server.get("/status").status, 200, "all else goes on");
    fs::write(&www, "a file").unwrap();
    assert_eq!(server.get("/").status, 503);
    fs::remove_file(&www).unwrap();
    symlink("nowhere", &www).unwrap();
    assert_eq!(server.get("/").status, 503);
    switch(&www, Path::new("other"));
    assert_eq!(server.get("/").text(), "other");
}

#[test]
fn what_the_server_may_not_read_gets_500_and_a_line_in_the_log_unless_it_lies_outside() {
    let outer = folder(&[
        ("www/index.html", b"page"),
        ("www/closed.txt", b"closed"),
        ("www/closed/index.html", b"closed"),
        ("www/closed/x.txt", b"closed"),
        ("www/half/index.html", b"closed"),
        ("www/.git/x.txt", b"SECRET"),
        ("secret/index.html", b"SECRET"),
        ("secret/x.txt", b"SECRET"),
    ]);
    let at = |name: &str| outer.path().join(name);
    for (to, name) in [
        ("closed/x.txt", "inside.txt"),
        ("closed/deep/er", "inside"),
        ("../secret", "outside"),
        ("../secret/x.txt", "outside.txt"),
        ("../secret/deep/er", "deep"),
        ("outside.txt", "chain.txt"),
        ("closed/../../secret/x.txt", "around.txt"),
        (".git/x.txt", "hidden.txt"),
    ] {
        symlink(to, at("www").join(name)).unwrap();
    }
    let server = Launch::new(&["--www"]).arg(at("www")).without_rights().start();
    let _closed =
        ["www/closed.txt", "www/closed", "www/half/index.html", "www/.git", "secret"].map(|name| Closed::new(at(name)));
    for (path, named) in [
        ("/closed.txt", "www/closed.txt"),
        ("/closed/", "www/closed\""),
        ("/closed/x.txt", "www/closed\""),
        ("/closed/nothing/", "www/closed\""),
        ("/half/", "www/half/index.html"),
        ("/inside.txt", "www/closed\""),
        ("/inside", "www/closed\""),
    ] {
        let before = server.log().len();
        let response = server.get(path);
        assert_eq!(response.status, 500, "{path}: {response:?}");
        assert!(response.text().contains("its log says why"), "{path}");
        eventually("the log names it, and what to do", || {
            let log = &server.log()[before..];
            log.contains(named) && (log.contains("chmod a+rx") || log.contains("make it readable"))
        });
    }
    assert_eq!(server.get("/closed").status, 308);
    let nothing = server.get("/nothing");
    for path in [
        "/outside",
        "/outside/",
        "/outside/x.txt",
        "/outside.txt",
        "/deep",
        "/deep/",
        "/chain.txt",
        "/around.txt",
        "/hidden.txt",
    ] {
        let response = server.get(path);
        assert_eq!((response.status, response.text()), (404, nothing.text()), "{path}");
    }
    for path in [at("www"), outer.path().to_owned()] {
        let closed = Closed::new(&path);
        assert_eq!(server.get("/").status, 500, "{}", path.display());
        drop(closed);
        assert_eq!(server.get("/").text(), "page", "{}", path.display());
    }
    server.wait_for_log(&format!("cannot look into {:?} ", at("www")));
}

#[test]
fn a_name_writes_no_line_of_its_own_into_the_log() {
    let name = "x\n2026-11-29T12:00:00.000Z ERROR [foghorn] forged\u{1b}[2J\r\u{9b}2J";
    let www = folder(&[(name, b"closed"), (&format!("folder-{name}/x.txt"), b"closed")]);
    let server = Launch::new(&["--www"]).arg(www.path()).without_rights().start();
    let _closed = [name.to_owned(), format!("folder-{name}")].map(|name| Closed::new(www.path().join(name)));
    let address = "x%0A2026-11-29T12:00:00.000Z%20ERROR%20%5Bfoghorn%5D%20forged%1B%5B2J%0D%C2%9B2J";
    for (path, words) in
        [(format!("/{address}"), "cannot read \""), (format!("/folder-{address}/x.txt"), "cannot look into \"")]
    {
        assert_eq!(server.get(&path).status, 500, "{path}");
        server.wait_for_log(words);
    }
    let log = server.log();
    assert!(
        log.contains(r"x\n2026") && log.lines().all(|line| !line.contains("forged") || line.contains("cannot")),
        "{log}"
    );
    assert!(!log.contains(['\u{1b}', '\r', '\u{9b}']), "{log:?}");
}

#[test]
fn a_404_html_in_the_root_is_what_is_said_of_what_is_not_there() {
    let outer = folder(&[
        ("www/404.html", b"<h1>own</h1>"),
        ("www/sub/404.html", b"not this one"),
        ("www/.hidden.html", b"SECRET"),
        ("secret.html", b"SECRET"),
    ]);
    let at = |name: &str| outer.path().join(name);
    symlink("../secret.html", at("www/out.html")).unwrap();
    let server = Launch::new(&["--www"]).arg(at("www")).without_rights().start();
    for path in ["/nothing", "/sub/nothing", "/", "/sub/", "/out.html", "/.hidden.html", "/..", "/%ff", "/404.html/"] {
        for method in ["GET", "HEAD"] {
            let mut client = Client::connect(server.address());
            client.send(request_head(server.address(), method, path, "If-None-Match: *\r\n").as_bytes());
            let response = client.response(method == "HEAD");
            assert_eq!((response.status, response.header("ETag")), (404, None), "{method} {path}");
            assert_eq!(response.header("Content-Type"), Some("text/html; charset=utf-8"), "{method} {path}");
            assert_eq!(response.header("Content-Length"), Some("12"), "{method} {path}");
            assert_eq!(response.text(), if method == "HEAD" { "" } else { "<h1>own</h1>" }, "{method} {path}");
        }
    }
    assert_eq!((server.get("/404.html").status, server.get("/404").status), (200, 200), "it is a page like any");
    fs::write(at("www/404.html"), contents(LARGE_BYTES)).unwrap();
    let large = server.get("/nothing");
    assert!((large.status, large.body.len()) == (404, LARGE_BYTES), "a large one comes whole");

    let built_in = "There is nothing at this address.";
    let closed = Closed::new(at("www/404.html"));
    let response = server.get("/nothing");
    assert!(response.status == 404 && response.text().contains(built_in), "{response:?}");
    server.wait_for_log(&format!("cannot read {:?}", at("www/404.html")));
    drop(closed);
    for to in ["../secret.html", ".hidden.html", "nowhere", "sub", "/dev/zero"] {
        fs::remove_file(at("www/404.html")).unwrap();
        symlink(to, at("www/404.html")).unwrap();
        let response = server.get("/nothing");
        assert!(response.status == 404 && response.text().contains(built_in), "{to}: {response:?}");
    }
}

#[test]
fn a_page_has_an_address_without_its_ending() {
    let www = folder(&[
        ("about.html", b"about"),
        ("both.html", b"page"),
        ("both/index.html", b"index of both"),
        ("file.html", b"page"),
        ("file", b"file"),
        ("sub/a b.v2.html", b"in sub"),
        ("sub.html", b"page"),
        (".hidden.html", b"SECRET"),
        ("folder.html/x.txt", b"x"),
    ]);
    symlink("/etc/passwd", www.path().join("out.html")).unwrap();
    symlink("/etc", www.path().join("about-link")).unwrap();
    fs::write(www.path().join("about-link.html"), "beside a link that leads out").unwrap();
    let server = Server::serving(&www);
    for (path, text) in [
        ("/about", "about"),
        ("/about?q=1", "about"),
        ("/about.html", "about"),
        ("//about", "about"),
        ("/both/", "index of both"),
        ("/file", "file"),
        ("/sub/a%20b.v2", "in sub"),
        ("/about-link", "beside a link that leads out"),
    ] {
        let response = server.get(path);
        assert_eq!((response.status, response.text()), (200, text.into()), "{path}");
    }
    assert_eq!(server.get("/about").header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(server.get("/both").header("Location"), Some("both/"), "the folder goes first, as with http-server");
    let too_long = "/".to_owned() + &"x".repeat(252);
    for path in ["/about/", "/about/x", "/.hidden", "/out", "/folder", "/sub/", "/index", "/.html", "/.", &too_long] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn of_all_hidden_names_only_well_known_is_served_and_only_at_the_root() {
    let outer = folder(&[
        ("www/.well-known/security.txt", b"contact"),
        ("www/.well-known/acme-challenge/token", b"token"),
        ("www/.well-known/.hidden/x.txt", b"SECRET"),
        ("www/.well-known/.env", b"SECRET"),
        ("www/.well-known/.well-known/x.txt", b"SECRET"),
        ("www/.well-known-other/x.txt", b"SECRET"),
        ("www/sub/.well-known/x.txt", b"SECRET"),
        ("secret/x.txt", b"SECRET"),
    ]);
    let at = |name: &str| outer.path().join(name);
    symlink("../../secret", at("www/.well-known/out")).unwrap();
    let server = Server::serving(at("www"));
    for (path, text) in [
        ("/.well-known/security.txt", "contact"),
        ("/%2ewell-known/security.txt", "contact"),
        ("//.well-known//acme-challenge/token", "token"),
    ] {
        assert_eq!((server.get(path).status, server.get(path).text()), (200, text.into()), "{path}");
    }
    assert_eq!(server.get("/.well-known").header("Location"), Some(".well-known/"));
    for path in [
        "/.well-known/",
        "/.well-known/.hidden/x.txt",
        "/.well-known/.env",
        "/.well-known/.well-known/x.txt",
        "/.well-known/../secret/x.txt",
        "/.well-known/out/x.txt",
        "/.well-known-other/x.txt",
        "/.Well-Known/security.txt",
        "/sub/.well-known/x.txt",
        "/sub%2f.well-known/x.txt",
    ] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    fs::rename(at("www/.well-known"), at("moved")).unwrap();
    symlink("../secret", at("www/.well-known")).unwrap();
    assert_eq!(server.get("/.well-known/x.txt").status, 404, "a link leads out there, too");
}
