//! The folder of `--www` as time goes by: switched, away for a while, closed to the server.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;

use crate::harness::{Launch, Server, folder};

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
    let server = Server::serving(at("current"));
    thread::scope(|scope| {
        let deploying = scope.spawn(|| {
            for nth in 1..300 {
                release(nth);
                fs::remove_dir_all(at(&format!("release-{}", nth - 1))).unwrap();
            }
        });
        while !deploying.is_finished() {
            let response = server.get("/sub/");
            assert_eq!((response.status, response.text()), (200, "page".into()));
        }
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
    server.wait_for_log(&format!("cannot serve --www {}", www.display()));
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
