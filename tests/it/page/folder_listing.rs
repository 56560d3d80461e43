//! `--list`: folders without an `index.html`, as pages.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use foghorn::config::limits::{HTTP_BODY_BYTES_MAX, LISTED_ENTRIES_MAX};

use crate::harness::{Closed, Launch, Response, Server, folder, request};

fn listing(www: impl AsRef<Path>) -> Server {
    Launch::new(&["--list", "--www"]).arg(www.as_ref()).start()
}

/// Where the links of its rows lead, in their order.
fn links(page: &Response) -> Vec<String> {
    assert_eq!(page.status, 200, "{page:?}");
    let text = page.text();
    let rows = text.split("<tr><td>").skip(1).filter_map(|row| row.strip_prefix("<a href=\"")?.split_once('"'));
    rows.map(|(link, _)| link.to_owned()).collect()
}

/// Where the link with these words leads, as a browser reads it.
fn link_named(page: &Response, words: &str) -> Option<String> {
    let text = page.text();
    let before = text.split(&format!("\">{words}</a>")).next().filter(|before| before.len() < text.len())?;
    Some(before.rsplit_once("href=\"")?.1.replace("&amp;", "&"))
}

#[test]
fn folders_without_an_index_are_listed_only_if_it_is_asked_for() {
    let www = folder(&[("index.html", b"page"), ("sub/x.txt", b"12345"), ("sub/deep/index.html", b"deep")]);
    fs::create_dir(www.path().join("empty")).unwrap();
    assert_eq!(Server::serving(&www).get("/sub/").status, 404);
    let server = listing(&www);
    assert_eq!((server.get("/").text(), server.get("/sub/deep/").text()), ("page".into(), "deep".into()));
    assert_eq!(server.get("/sub").header("Location"), Some("sub/"));
    let page = server.get("/sub/");
    assert_eq!(links(&page), ["deep/", "x.txt"]);
    assert_eq!(link_named(&page, "Up one folder").as_deref(), Some("../"));
    assert!(page.text().contains("<td>5 B<td>"), "{}", page.text());
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("Cache-Control"), Some("no-cache"));
    let policy = page.header("Content-Security-Policy").expect("a policy of its own");
    for directive in ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert_eq!(server.get("/index.html").header("Content-Security-Policy"), None);
    let known = format!("If-None-Match: {}\r\n", page.header("ETag").expect("it has one"));
    assert_eq!(request(server.address(), "GET", "/sub/", &known).status, 304);
    fs::write(www.path().join("sub/new.txt"), "").unwrap();
    assert_eq!(links(&request(server.address(), "GET", "/sub/", &known)), ["deep/", "new.txt", "x.txt"]);
    assert!(server.get("/empty/").text().contains("This folder is empty."));
    fs::remove_file(www.path().join("index.html")).unwrap();
    let root = server.get("/");
    assert_eq!((links(&root), link_named(&root, "Up one folder")), (vec!["empty/".into(), "sub/".into()], None));
}

#[test]
fn every_name_is_shown_as_text_and_its_link_leads_to_it() {
    let names = [
        "plain.txt",
        "a b",
        " lead",
        "trail ",
        "\"quoted\"",
        "it's",
        "<b>bold",
        "a&amp;b",
        "#hash",
        "what?",
        "100%",
        "%41",
        "a:b",
        "javascript:alert(1)",
        "?sort=size",
        "a;b=c",
        "a+b",
        "line\nbreak",
        "tab\t",
        "\u{1b}[31m",
        "\u{202e}gpj.exe",
        "ä€😀",
        "e\u{301}",
        "-",
        "~",
        "@",
        "*",
        "|",
        "{}",
        "^`",
        "a,b!$()",
        "x..",
        "=",
    ];
    let www = folder(&[]);
    for name in names {
        fs::write(www.path().join(name), format!("file {name}")).unwrap();
        fs::create_dir(www.path().join(format!("{name}-folder"))).unwrap();
        fs::write(www.path().join(format!("{name}-folder/x")), format!("in {name}")).unwrap();
    }
    let without_address: [&[u8]; 2] = [b"latin-\xe4.txt", b"back\\slash"];
    for name in without_address {
        fs::write(www.path().join(OsStr::from_bytes(name)), "").unwrap();
    }
    let server = listing(&www);
    let page = server.get("/");
    let links = links(&page);
    assert_eq!(links.len(), 2 * names.len());
    let mut found = Vec::new();
    for link in &links {
        assert!(link.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%-._~/".contains(&byte)), "{link}");
        if link.ends_with('/') {
            found.push(server.get(&format!("/{link}x")).text());
            assert_eq!(server.get(&format!("/{link}")).status, 200, "{link}");
        } else {
            found.push(server.get(&format!("/{link}")).text());
        }
    }
    let mut expected: Vec<String> =
        names.iter().flat_map(|name| [format!("file {name}"), format!("in {name}")]).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let text = page.text();
    for shown in
        ["<bdi>&lt;b&gt;bold</bdi>", "<bdi>&quot;quoted&quot;</bdi>", "<bdi>a&amp;amp;b</bdi>", "<bdi>it&#39;s</bdi>"]
    {
        assert!(text.contains(shown), "{shown}");
    }
    for shown in ["<span><bdi>latin-\u{fffd}.txt</bdi></span>", "<span><bdi>back\\slash</bdi></span>"] {
        assert!(text.contains(shown), "{shown}: without a link");
    }
    assert!(!text.contains("<b>") && !text.contains('\u{1b}') && !text.contains('\t'), "{text}");
}

#[test]
fn nothing_is_listed_that_is_not_served() {
    let outer = folder(&[
        ("www/page.txt", b"page"),
        ("www/sub/x.txt", b"x"),
        ("www/.env", b"SECRET"),
        ("www/.git/config", b"SECRET"),
        ("www/.well-known/security.txt", b"contact"),
        ("secret/x.txt", b"SECRET"),
    ]);
    let www = outer.path().join("www");
    for (to, name) in [
        ("page.txt", "inside"),
        ("sub", "same"),
        ("../secret", "out"),
        ("../secret/x.txt", "out.txt"),
        ("/etc/passwd", "absolute"),
        (".env", "hidden"),
        ("nowhere", "dangling"),
        ("loop", "loop"),
        ("/dev/zero", "device"),
        ("../../secret/x.txt", "sub/index.html"),
    ] {
        symlink(to, www.join(name)).unwrap();
    }
    assert!(Command::new("mkfifo").arg(www.join("fifo")).status().expect("mkfifo (coreutils) is there").success());
    std::os::unix::net::UnixListener::bind(www.join("socket")).unwrap();
    let server = listing(&www);
    assert_eq!(links(&server.get("/")), ["same/", "sub/", "inside", "page.txt"]);
    assert_eq!(links(&server.get("/sub/")), ["x.txt"], "an index that leads out is none");
    for path in ["/out/", "/.git/", "/out", "/sub/../", "/page.txt/", "/nothing/"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    symlink("../secret", outer.path().join("away")).unwrap();
    assert_eq!(server.get("/.well-known/security.txt").text(), "contact");
}

#[test]
fn it_is_sorted_by_links_and_folders_come_first() {
    let www = folder(&[("File 10", b"1"), ("file 9", b"123"), ("file 1", b"12"), ("b/x", b""), ("A/x", b"")]);
    for (name, second) in [("File 10", 2), ("file 9", 1), ("file 1", 3), ("A", 5), ("b", 4)] {
        let file = File::open(www.path().join(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_764_081_234 + second)).unwrap();
    }
    let server = listing(&www);
    let by_name = ["A/", "b/", "file%201", "file%209", "File%2010"];
    for (query, expected) in [
        ("", by_name),
        ("?sort=name&order=asc", by_name),
        ("?sort=colour", by_name),
        ("?x&sort&order=&from=-1", by_name),
        ("?sort=name&order=desc", ["b/", "A/", "File%2010", "file%209", "file%201"]),
        ("?sort=size&order=asc", ["A/", "b/", "File%2010", "file%201", "file%209"]),
        ("?order=desc&sort=size", ["A/", "b/", "file%209", "file%201", "File%2010"]),
        ("?sort=time", ["b/", "A/", "file%209", "File%2010", "file%201"]),
        ("?sort=time&order=desc", ["A/", "b/", "file%201", "File%2010", "file%209"]),
        ("?from=4", ["", "", "", "", "File%2010"]),
        ("?from=5", by_name),
        ("?from=99999999999999999999", by_name),
    ] {
        let expected: Vec<&str> = expected.into_iter().filter(|name| !name.is_empty()).collect();
        assert_eq!(links(&server.get(&format!("/{query}"))), expected, "{query}");
    }
    let page = server.get("/");
    assert!(
        page.text().contains("<time datetime=\"2025-11-25T14:33:55Z\">2025-11-25 <wbr>14:33</time>"),
        "{}",
        page.text()
    );
    assert_eq!(page.text().matches("<th scope=col aria-sort").count(), 1);
    let turned = server.get(&format!("/{}", link_named(&page, "Name").unwrap()));
    assert_eq!((links(&turned)[0].as_str(), turned.text().contains("aria-sort=descending")), ("b/", true));
    let largest = server.get(&format!("/{}", link_named(&turned, "Size").unwrap()));
    assert_eq!(links(&largest)[2], "file%209", "the largest first");
    let smallest = server.get(&format!("/{}", link_named(&largest, "Size").unwrap()));
    assert_eq!(links(&smallest)[2], "File%2010");
    let newest = server.get(&format!("/{}", link_named(&smallest, r"Changed (UTC)").unwrap()));
    assert_eq!(links(&newest)[2], "file%201", "the newest first");
}

#[test]
fn a_full_folder_comes_in_pages_up_to_a_limit_which_is_said() {
    let www = folder(&[]);
    for nth in 0..LISTED_ENTRIES_MAX {
        fs::write(www.path().join(format!("file-{nth}")), "").unwrap();
    }
    let server = listing(&www);
    let all_of = |query: &str| {
        let mut page = server.get(&format!("/{query}"));
        let mut all = links(&page);
        while let Some(next) = link_named(&page, "The next") {
            page = server.get(&format!("/{next}"));
            assert!(page.body.len() <= HTTP_BODY_BYTES_MAX, "{} bytes", page.body.len());
            assert!(link_named(&page, "The first").is_some());
            all.extend(links(&page));
        }
        all
    };
    let expected: Vec<String> = (0..LISTED_ENTRIES_MAX).map(|nth| format!("file-{nth}")).collect();
    assert_eq!(all_of(""), expected);
    assert_eq!(all_of("?order=desc"), expected.iter().rev().cloned().collect::<Vec<_>>());
    let too_many = "This folder has more than 4096 entries.";
    assert!(!server.get("/").text().contains(too_many));
    fs::write(www.path().join("one more"), "").unwrap();
    assert!(server.get("/").text().contains(too_many));
    assert_eq!(all_of("").len(), LISTED_ENTRIES_MAX);
}

#[test]
fn a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one() {
    let www = folder(&[("only-enter/x.txt", b"x"), ("only-read/x.txt", b"x"), ("sub/closed.txt", b"x")]);
    let at = |name: &str| www.path().join(name);
    let server = Launch::new(&["--list", "--www"]).arg(www.path()).without_rights().start();
    let closed = [
        Closed::with_mode(at("only-enter"), 0o100),
        Closed::with_mode(at("only-read"), 0o400),
        Closed::new(at("sub/closed.txt")),
    ];
    for name in ["only-enter", "only-read"] {
        assert_eq!(server.get(&format!("/{name}/")).status, 500, "{name}");
        server.wait_for_log(&format!("cannot look into {:?}", at(name)));
    }
    assert_eq!(server.get("/only-enter/x.txt").text(), "x");
    assert_eq!(links(&server.get("/sub/")), ["closed.txt"]);
    assert_eq!(server.get("/sub/closed.txt").status, 500);
    drop(closed);
    assert_eq!(links(&server.get("/only-read/")), ["x.txt"]);
}

#[test]
fn links_with_a_long_way_are_left_out_which_is_said() {
    let www = folder(&[("a.txt", b"a"), ("file.txt", b"at the end"), ("short/x.txt", b"x")]);
    let at = |name: &str| www.path().join(name);
    fs::create_dir(at("d")).unwrap();
    // As many links as the kernel follows, each with as many steps as a link can say.
    let steps = "d/../".repeat(800);
    symlink(format!("{steps}file.txt"), at("1")).unwrap();
    for nth in 2..=40 {
        symlink(format!("{steps}{}", nth - 1), at(&nth.to_string())).unwrap();
    }
    symlink("../a.txt", at("short/link")).unwrap();
    symlink("x".repeat(300), at("short/no-such-name")).unwrap();
    let server = listing(&www);
    assert_eq!([server.get("/1").text(), server.get("/10").text()], ["at the end", "at the end"]);
    assert_eq!(server.get("/40").status, 404);
    let page = server.get("/");
    let shown = links(&page);
    assert!(["d/", "short/", "a.txt", "file.txt"].iter().all(|name| shown.contains(&(*name).to_owned())), "{shown:?}");
    let left_out = "This folder has links with a very long way, so some are left out.";
    assert!(shown.len() < 30 && page.text().contains(left_out), "{shown:?}");
    let short = server.get("/short/");
    assert_eq!((links(&short), short.text().contains(left_out)), (vec!["link".to_owned(), "x.txt".to_owned()], false));
    assert_eq!(server.get("/short/no-such-name").status, 404, "no file can have this name");
}
