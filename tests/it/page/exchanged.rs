//! Folders of `--www` in which somebody puts other things in the place of what was just looked at.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

use crate::harness::{Client, Launch, Server, folder, request_head};

/// Has two names change places again and again while somebody visits.
fn while_exchanged(pairs: &[[&Path; 2]], visit: impl FnOnce()) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for [one, other] in pairs {
                    renameat_with(CWD, *one, CWD, *other, RenameFlags::EXCHANGE).unwrap();
                }
            }
        });
        // Also if the visit fails: the other one would go on for ever.
        let visited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(visit));
        is_over.store(true, Ordering::Relaxed);
        visited.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn nothing_outside_is_served_while_files_and_folders_change_places_with_links() {
    let outer = folder(&[
        ("www/index.html", b"page"),
        ("www/file.txt", b"inside"),
        ("www/sub/x.txt", b"inside"),
        ("www/list/inside.txt", b"inside"),
        ("secret/x.txt", b"SECRET"),
    ]);
    let at = |name: &str| outer.path().join(name);
    symlink("../secret/x.txt", at("www/file-link")).unwrap();
    symlink("../secret", at("www/sub-link")).unwrap();
    symlink("../secret", at("www/list-link")).unwrap();
    let server = Launch::new(&["--list", "--www"]).arg(at("www")).start();
    let pairs = ["file.txt", "file-link", "sub", "sub-link", "list", "list-link"].map(|name| at("www").join(name));
    let pairs: Vec<[&Path; 2]> = pairs.chunks(2).map(|pair| [pair[0].as_path(), pair[1].as_path()]).collect();
    let mut client = Client::connect(server.address());
    while_exchanged(&pairs, || {
        let mut found = [0, 0];
        for _ in 0..2000 {
            for path in ["/file.txt", "/sub/x.txt", "/list/"] {
                client.send(request_head(server.address(), "GET", path, "").as_bytes());
                let answer = client.response(false);
                let is_inside = answer.status == 200 && answer.text().contains("inside");
                assert!(is_inside || answer.status == 404, "{path}: {} {}", answer.status, answer.text());
                found[usize::from(is_inside)] += 1;
            }
        }
        assert!(found.iter().all(|count| *count > 0), "both are met: {found:?}");
    });
}

#[test]
fn a_fifo_in_the_place_of_a_file_holds_no_thread() {
    let www = folder(&[("index.html", b"page"), ("file.txt", b"inside")]);
    let at = |name: &str| www.path().join(name);
    mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let server = Server::serving(&www);
    assert_eq!(server.get("/fifo").status, 404);
    let [file, fifo] = ["file.txt", "fifo"].map(at);
    let mut client = Client::connect(server.address());
    while_exchanged(&[[&file, &fifo]], || {
        for _ in 0..4000 {
            client.send(request_head(server.address(), "GET", "/file.txt", "").as_bytes());
            let answer = client.response(false);
            assert!(matches!(answer.status, 200 | 404), "{answer:?}");
        }
    });
    assert_eq!(server.get("/").text(), "page");
}
