//! Where a client goes, what it asks for there, and with which code.

use std::net::TcpListener;

use crate::harness::{Invocation, Launch, Oddity, Server, in_own_network};

const REFUSAL: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 12\r\n\
                         Connection: close\r\n\r\nNot for you.";

/// What a client sends first to a server, which is to be a listener, since a sender wishes to get no history: the head, whose line ends are those of a text here.
fn first_head(invocation: impl Fn(&str) -> Invocation) -> String {
    let server = Oddity::answering(REFUSAL);
    let refused = invocation(&server.address().to_string()).run();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    server.first_head().replace("\r\n", "\n")
}

/// The target of the request in a head.
fn target(head: &str) -> &str {
    head.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).unwrap_or_else(|| panic!("{head}"))
}

/// The value of a header line in a head.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut values = head.lines().filter_map(|line| {
        let (its_name, value) = line.split_once(':')?;
        its_name.eq_ignore_ascii_case(name).then_some(value.trim())
    });
    let value = values.next();
    assert!(values.next().is_none(), "{name} comes twice: {head}");
    value
}

#[test]
fn the_handshake_is_as_the_wire_wants_it() {
    for command in ["send", "listen"] {
        let server = Oddity::answering(REFUSAL);
        let address = server.address().to_string();
        Invocation::of(&[command, &address]).run();
        let head = server.first_head();
        assert!(
            head.ends_with("\r\n\r\n") && head.lines().next().is_some_and(|line| line.ends_with(" HTTP/1.1")),
            "{head}"
        );
        for (name, value) in [
            ("Host", &*address),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", "foghorn.v1"),
        ] {
            assert_eq!(header(&head, name), Some(value), "{head}");
        }
        for name in ["Origin", "Authorization", "Sec-WebSocket-Extensions"] {
            assert_eq!(header(&head, name), None, "{head}");
        }
        assert!(target(&head).starts_with('/'), "{head}");
    }
}

#[test]
fn path_and_query_of_the_address_are_kept() {
    for (of_address, of_request) in [
        ("", "/"),
        ("/", "/"),
        ("/c/lights", "/c/lights"),
        ("/any/where", "/any/where"),
        ("/c/x?code=4711", "/c/x?code=4711"),
        ("?code=4711", "/?code=4711"),
    ] {
        for scheme in ["", "http://", "ws://"] {
            let head = first_head(|address| Invocation::listen(format!("{scheme}{address}{of_address}"), &[]));
            assert_eq!(target(&head), of_request, "{scheme} {of_address}");
        }
    }
}

#[test]
fn the_code_of_a_flag_wins_over_that_of_the_address_and_that_over_the_environment() {
    let with_env = |address: String, args: &[&str]| Invocation::listen(address, args).env("FOGHORN_CODE", "from-env");
    let head = first_head(|address| with_env(address.to_owned(), &[]));
    assert_eq!((target(&head), header(&head, "Authorization")), ("/?code=from-env", None));
    let head = first_head(|address| with_env(format!("{address}/c/x?code=from-address"), &[]));
    assert_eq!(target(&head), "/c/x?code=from-address");
    let head = first_head(|address| with_env(format!("{address}?code=from-address"), &["--code", "from-flag"]));
    assert_eq!(target(&head).matches("code=").count(), 1, "{head}");
    assert!(target(&head).contains("code=from-flag"), "{head}");
    let head = first_head(|address| with_env(format!("me:4711@{address}"), &[]));
    // base64 of me:4711
    assert_eq!((target(&head), header(&head, "Authorization")), ("/", Some("Basic bWU6NDcxMQ==")));
    assert!(!header(&head, "Host").unwrap().contains('@'), "{head}");
    // A code that no server of ours would have, which must not become more of the address.
    let head = first_head(|address| Invocation::listen(address, &["--code", "a b&c=d/ü"]));
    assert_eq!(target(&head).to_ascii_uppercase(), "/?CODE=A%20B%26C%3DD%2F%C3%BC".to_ascii_uppercase());
}

#[test]
fn each_way_to_bring_a_code_works() {
    let server = Server::start(&["--code", "4711"]);
    let address = server.address();
    for (nth, invocation) in [
        Invocation::send(address, &["--code", "4711", "word"]),
        Invocation::send(address, &["--code=4711", "word"]),
        Invocation::send(format!("{address}?code=4711"), &["word"]),
        Invocation::send(format!("http://:4711@{address}/"), &["word"]),
        Invocation::send(format!("ws://me:4711@{address}"), &["word"]),
        Invocation::send(address, &["word"]).env("FOGHORN_CODE", "4711"),
        Invocation::send(":", &["word"]).env("FOGHORN_CODE", "4711").env("FOGHORN_URL", format!("http://{address}")),
        Invocation::send(":", &["word"]).env("FOGHORN_URL", format!("http://{address}/?code=4711")),
    ]
    .into_iter()
    .enumerate()
    {
        let sent = invocation.run();
        assert_eq!(sent.code, Some(0), "{nth}: {sent:?}");
    }
    let heard = Invocation::listen(address, &["--history", "8", "--count", "8"]).env("FOGHORN_CODE", "4711").run();
    assert_eq!((heard.code, heard.stdout), (Some(0), "word\n".repeat(8)));
}

#[test]
fn an_empty_variable_is_as_if_it_were_not_set() {
    let head = first_head(|address| Invocation::listen(address, &[]).env("FOGHORN_CODE", "").env("FOGHORN_URL", ""));
    assert_eq!(target(&head), "/");
}

#[test]
fn a_colon_stands_for_the_address_of_the_environment() {
    for (url, word, of_request) in [
        ("", ":", "/"),
        ("/", ":/c/x", "/c/x"),
        ("/c/old", ":", "/c/old"),
        ("/c/old", ":/c/x", "/c/x"),
        ("/prefix/c/old", ":/c/x", "/prefix/c/x"),
        ("/prefix/", ":/c/x", "/prefix/c/x"),
        ("/prefix", ":/c/x", "/prefix/c/x"),
    ] {
        for scheme in ["http://", "ws://", ""] {
            let head = first_head(|address| {
                Invocation::listen(word, &[]).env("FOGHORN_URL", format!("{scheme}{address}{url}"))
            });
            assert_eq!(target(&head), of_request, "{word} with {scheme}…{url}");
        }
    }
    let refused = Invocation::send(":", &["word"]).env("FOGHORN_URL", "https://board").run();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("FOGHORN_URL") || refused.stderr.contains("TLS"), "{refused:?}");
    // Who says where has no need of the environment.
    let head = first_head(|address| Invocation::listen(address, &[]).env("FOGHORN_URL", "nonsense://"));
    assert_eq!(target(&head), "/");
}

#[test]
fn without_an_address_in_the_environment_a_colon_stands_for_this_machine() {
    in_own_network(|| {
        for listen in ["127.0.0.1:1919", "[::1]:1919"] {
            let server = Launch::bare(&["--listen", listen]).expecting(1).start();
            let sent = Invocation::send(":/c/x", &["word"]).run();
            assert_eq!(sent.code, Some(0), "{listen}: {sent:?}");
            assert_eq!(server.figure("/messages"), 1, "{listen}");
            drop(server);
        }
        let here = Oddity::at(TcpListener::bind("127.0.0.1:1919").unwrap(), REFUSAL, false);
        Invocation::listen(":/c/x", &[]).run();
        let head = here.first_head();
        assert_eq!(target(&head), "/c/x");
        assert!(header(&head, "Host").is_some_and(|host| host == "localhost" || host == "localhost:1919"), "{head}");
    });
}

#[test]
fn a_bare_name_means_port_1919_and_a_scheme_port_80() {
    in_own_network(|| {
        let server =
            Launch::bare(&["--listen", "127.0.0.1:1919,127.0.0.1:80,[::1]:1919,[::1]:80"]).expecting(4).start();
        let _other = Launch::bare(&["--listen", "127.0.0.1:1920"]).expecting(1).start();
        let addresses = ["127.0.0.1", "localhost", "[::1]", "127.0.0.1/c/x", "http://127.0.0.1", "ws://127.0.0.1/c/x"];
        for address in addresses.into_iter().chain(["http://[::1]/", "me@127.0.0.1"]) {
            let sent = Invocation::send(address, &["word"]).run();
            assert_eq!(sent.code, Some(0), "{address}: {sent:?}");
        }
        assert_eq!(server.figure("/messages"), 8);
        drop(server);
        let plain = Launch::bare(&["--listen", "127.0.0.1:80"]).expecting(1).start();
        assert_eq!(Invocation::send("127.0.0.1", &["word"]).run().code, Some(1), "nobody is at port 1919");
        assert_eq!(plain.figure("/messages"), 0);
    });
}

#[test]
fn ipv6_addresses_and_names_work() {
    let server = Launch::bare(&["--listen", "[::1]:0"]).expecting(1).start();
    let port = server.address().port();
    for address in [format!("[::1]:{port}"), format!("http://[::1]:{port}/"), format!("ws://[::1]:{port}/c/x")] {
        let sent = Invocation::send(&address, &["word"]).run();
        assert_eq!(sent.code, Some(0), "{address}: {sent:?}");
    }
    let server = Server::start(&[]);
    let sent = Invocation::send(format!("LOCALHOST:{}", server.address().port()), &["word"]).run();
    assert_eq!(sent.code, Some(0), "{sent:?}");
}

#[test]
fn what_is_set_for_a_server_means_nothing_to_a_client() {
    let server = Server::start(&[]);
    let nonsense = |invocation: Invocation| {
        ["LISTEN", "HISTORY", "MAX_MESSAGE", "BACKLOG", "CODES", "CODES_FILE", "LOG_LEVEL", "LIST", "NO_ECHO", "WWW"]
            .iter()
            .fold(invocation, |invocation, name| invocation.env(&format!("FOGHORN_{name}"), "nonsense"))
    };
    let sent = nonsense(Invocation::send(server.address(), &["word"])).run();
    assert_eq!((sent.code, sent.stderr.as_str()), (Some(0), ""), "{sent:?}");
    let heard = nonsense(Invocation::listen(server.address(), &["--history", "1", "--count", "1"])).run();
    assert_eq!((heard.code, heard.stdout.as_str(), heard.stderr.as_str()), (Some(0), "word\n", ""), "{heard:?}");
    // It would get messages from before otherwise.
    let mut listener = Invocation::listen(server.address(), &["--count", "1"]).env("FOGHORN_HISTORY", "1").start();
    server.wait_for_figure("/clients", 1);
    listener.expect_alive();
    assert_eq!(Invocation::send(server.address(), &["new"]).run().code, Some(0));
    assert_eq!(listener.finish().stdout, "new\n");
}

#[test]
fn serve_is_the_server() {
    for words in [&["serve", "--listen", "127.0.0.1:0"][..], &["--listen", "127.0.0.1:0"]] {
        let server = Launch::bare(words).expecting(1).start();
        server.join().expect_echo("hello");
    }
    // What the last word is for is said by the first.
    let refused = Invocation::of(&["--listen", "127.0.0.1:0", "send", "board"]).run();
    assert_eq!(refused.code, Some(2), "{refused:?}");
}

#[test]
fn help_lists_the_commands_and_each_has_help_of_its_own() {
    let help = Invocation::of(&["--help"]).run();
    assert_eq!(help.code, Some(0), "{help:?}");
    for command in ["send", "listen", "serve"] {
        let is_listed = help.stdout.lines().any(|line| line.trim_start().starts_with(command));
        assert!(is_listed, "{command}: {}", help.stdout);
        let its = Invocation::of(&[command, "--help"]).run();
        assert_eq!((its.code, its.stderr.as_str()), (Some(0), ""), "{its:?}");
        assert!(its.stdout.contains("Usage: "), "{its:?}");
    }
    for (command, flags) in [
        ("send", &["--lines", "--binary", "--code", "--quiet"][..]),
        ("listen", &["--json", "--history", "--count", "--cursor", "--exec", "--code", "--quiet"]),
    ] {
        let its = Invocation::of(&[command, "--help"]).run();
        for flag in flags {
            assert!(its.stdout.contains(flag), "{command} {flag}: {}", its.stdout);
        }
        // The word after the command is the address: a server's flags are unknown.
        assert!(!its.stdout.contains("--backlog"), "{}", its.stdout);
    }
}

#[test]
fn a_variable_that_is_no_text_is_told_and_leads_nowhere() {
    use std::os::unix::ffi::OsStringExt;

    for name in ["FOGHORN_URL", "FOGHORN_CODE"] {
        let value = std::ffi::OsString::from_vec(b"\xff".to_vec());
        let refused = Invocation::send(":", &["word"]).env(name, value).run();
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(name) && refused.stderr.contains("not UTF-8"), "{refused:?}");
    }
}
