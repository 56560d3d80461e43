//! Which Host and Origin are let in, and which are refused with 403: DNS rebinding, and WebSockets of foreign pages.

use std::net::SocketAddr;

use crate::harness::{Bystanders, Client, GREETING, Launch, Server, eventually, lines, refused, request, upgrade_head};

#[test]
fn a_host_that_foreign_pages_can_have_is_refused_with_403_on_every_address_and_path() {
    let allowed = ["--allow-host", "Board.Example.com", "--allow-host", ".Example.net"];
    let launch = Launch::new(&[&["--listen", "127.0.0.1:0"], &allowed[..]].concat());
    let server = launch.expecting(2).start();
    let bystanders = Bystanders::start(&server);
    for (host, is_ours) in [
        ("127.0.0.1", true),
        ("127.0.0.1:1919", true),
        ("192.168.1.5", true),
        ("[::1]:1919", true),
        ("[fe80::1]", true),
        ("localhost", true),
        ("LocalHost:1", true),
        ("raspberrypi", true),
        ("raspberrypi.local", true),
        ("RASPBERRYPI.LOCAL.:1920", true),
        ("board.lan", true),
        ("board.home", true),
        ("board.home.arpa", true),
        ("board.internal", true),
        ("board.localdomain", true),
        ("board.example.com", true),
        ("BOARD.EXAMPLE.COM.:443", true),
        ("board:", true),
        ("[fe80::1%eth0]", true),
        ("[fe80::1%25eth0]:1919", true),
        ("foghorn.localhost", true),
        ("board.intranet", true),
        ("board.private", true),
        ("board.corp", true),
        ("board.test", true),
        ("example.net", true),
        ("a.board.EXAMPLE.net.:1920", true),
        ("xexample.net", false),
        ("evilcorp.com", false),
        ("evil.example", false),
        ("evil.example:1919", false),
        ("evil.example.", false),
        ("127.0.0.1.evil.example", false),
        ("localhost.evil.example", false),
        ("board.local.evil.example", false),
        ("evil-local.example", false),
        ("evillocal.com", false),
        ("xlan.com", false),
        ("home.arpa.com", false),
        ("notboard.example.com", false),
        ("sub.board.example.com", false),
        ("board.example.com.evil.example", false),
        ("example.com", false),
        ("1.2.3.4.5", false),
    ] {
        for &address in &server.addresses {
            for path in ["/", "/status", "/qr.svg", "/nothing"] {
                let mut client = Client::connect(address);
                client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
                let response = client.response(false);
                assert_eq!(response.status != 403, is_ours, "{host} {path}: {response:?}");
            }
            let mut client = Client::connect(address);
            client.send(upgrade_head(host, "/", "").as_bytes());
            let response = client.response(false);
            assert_eq!(response.status, if is_ours { 101 } else { 403 }, "{host}");
            if !is_ours {
                response.expect_a_sentence();
                assert!(response.text().contains("--allow-host"), "{response:?}");
                assert!(!response.text().contains("evil"), "nothing of the request is repeated: {response:?}");
            }
        }
    }
    bystanders.finish();
}

#[test]
fn the_machine_s_own_name_is_ours() {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let server = Server::start(&[]);
    let mut client = Client::connect(server.address());
    client.send(upgrade_head(&format!("{}:1919", name.trim()), "/", "").as_bytes());
    assert_eq!(client.response(false).status, 101, "{name}");
}

/// Whether an upgrade with this Host and these Origin lines is let in.
fn is_let_in(address: SocketAddr, host: &str, origins: &[&str]) -> bool {
    let mut client = Client::connect(address);
    let origins: Vec<_> = origins.iter().map(|origin| ("Origin", *origin)).collect();
    client.send(upgrade_head(host, "/", &lines(&origins)).as_bytes());
    let response = client.response(false);
    match response.status {
        101 => {
            assert_eq!(client.text(), GREETING);
            true
        }
        403 => {
            response.expect_a_sentence();
            assert!(response.text().contains("--allow-origin"), "{response:?}");
            client.expect_end();
            false
        }
        other => panic!("{host} {origins:?}: {other}"),
    }
}

#[test]
fn an_origin_of_another_host_is_refused_with_403_on_every_address() {
    let server = Launch::new(&["--listen", "127.0.0.1:0"]).expecting(2).start();
    let bystanders = Bystanders::start(&server);
    for (host, origins, expected) in [
        ("board.local:1919", &[][..], true),
        ("board.local:1919", &["http://board.local:1920"], true),
        ("board.local:1919", &["https://board.local"], true),
        ("board.local:1919", &["http://BOARD.Local:8080"], true),
        ("board.local:1919", &["http://board.local."], true),
        ("board.local.", &["http://board.local"], true),
        ("[::1]:1919", &["http://[::1]:1920"], true),
        ("[::1]", &["http://[0:0:0:0:0:0:0:1]"], true),
        ("192.168.1.5", &["http://192.168.1.5:1920"], true),
        ("192.168.1.5", &["http://192.168.1.50"], false),
        ("board.local", &[""], true),
        ("board.local", &["file://"], true),
        ("board.local", &["file:///android_asset/index.html"], true),
        ("board.local", &["app://."], true),
        ("board.local", &["ws://board.local:1919"], true),
        ("192.168.1.5", &["wss://elsewhere.example"], true),
        ("192.168.1.5", &["https://github.com/gilmaimon/TinyWebsockets"], true),
        ("board.local", &["http://board.local/"], true),
        ("[fe80::1%eth0]", &["http://[fe80::1]:1920"], true),
        ("127.0.0.1", &["http://localhost"], false),
        ("board.local", &["http://evil.example"], false),
        ("board.local", &["https://evil.example:1919"], false),
        ("board.local", &["app://obsidian.md"], false),
        ("board.local", &["capacitor://localhost"], false),
        ("board.local", &["content://"], false),
        ("board.local", &["ws://"], false),
        ("board.local", &["http://evil.example http://board.local/"], false),
        ("board.local", &["http://board.local.evil.example"], false),
        ("board.local", &["http://evilboard.local"], false),
        ("board.local", &["http://sub.board.local"], false),
        ("board.local", &["http://local"], false),
        ("board.local", &["http://board"], false),
        ("board.local", &["http://board.local@evil.example"], false),
        ("board.local", &["http://evil.example#board.local"], false),
        ("board.local", &["http://evil.example\\board.local"], false),
        ("board.local", &["http://board.local:port"], false),
        ("board.local", &["file://board.local"], false),
        ("board.local", &["chrome-extension://board.local"], false),
        ("board.local", &["board.local"], false),
        ("board.local", &["null"], false),
        ("board.local", &["*"], false),
        ("board.local", &["http://"], false),
        ("[::1]", &["http://[::1"], false),
        ("[::1]", &["http://::1"], false),
        ("board.local", &["http://board.local http://evil.example"], false),
        ("board.local", &["http://board.local, http://evil.example"], false),
        ("board.local", &["http://board.local", "http://board.local"], false),
        ("board.local", &["http://board.local", "http://evil.example"], false),
    ] {
        for &address in &server.addresses {
            assert_eq!(is_let_in(address, host, origins), expected, "{origins:?} to {host}");
        }
    }
    bystanders.finish();
}

#[test]
fn origins_can_be_allowed_by_name() {
    let allowed = "https://example.com,dev.example:3000,any.example,file://,app://.,capacitor://localhost";
    let server = Server::start(&["--allow-origin", allowed]);
    for (origin, expected) in [
        ("https://example.com", true),
        ("https://EXAMPLE.COM:443", true),
        ("https://example.com:8443", false),
        ("capacitor://localhost", true),
        ("ionic://localhost", false),
        ("https://any.example:8443", true),
        ("http://example.com", false),
        ("https://www.example.com", false),
        ("https://example.com.evil.example", false),
        ("http://dev.example:3000", true),
        ("http://dev.example", false),
        ("null", false),
    ] {
        assert_eq!(is_let_in(server.address(), "board.local", &[origin]), expected, "{origin}");
    }
    let server = Server::start(&["--allow-origin", "null"]);
    assert!(is_let_in(server.address(), "board.local", &["null"]));
    assert!(!is_let_in(server.address(), "board.local", &["http://evil.example"]));
    let server = Server::start(&["--allow-origin", "*"]);
    assert!(is_let_in(server.address(), "board.local", &["http://any.example"]));
    assert!(is_let_in(server.address(), "board.local", &["null"]));
    // DNS rebinding is another matter.
    let rebound = upgrade_head("evil.example", "/", "Origin: http://evil.example\r\n");
    assert_eq!(refused(server.address(), rebound.as_bytes()).status, 403);
}

#[test]
fn a_whole_address_counts_in_place_of_the_host() {
    let server = Server::start(&[]);
    let status = |head: &str| {
        let mut client = Client::connect(server.address());
        client.send(head.as_bytes());
        client.response(head.starts_with("HEAD")).status
    };
    for (head, expected) in [
        ("GET http://board.local:1920/ HTTP/1.1\r\nHost: board.local:1920\r\n\r\n", 200),
        ("GET http://board.local/status?a HTTP/1.1\r\nHost: evil.example\r\n\r\n", 200),
        ("HEAD HTTP://board.local HTTP/1.1\r\nHost: board.local\r\n\r\n", 200),
        ("GET http://board.local/nothing HTTP/1.1\r\nHost: board.local\r\n\r\n", 404),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: board.local\r\n\r\n", 403),
        ("GET http://user@board.local/ HTTP/1.1\r\nHost: board.local\r\n\r\n", 400),
        ("GET http://board.local/ HTTP/1.1\r\n\r\n", 400),
        ("GET http://board.local/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: board.local\r\n\r\n", 405),
        ("CONNECT board.local:80 HTTP/1.1\r\nHost: board.local\r\n\r\n", 405),
    ] {
        assert_eq!(status(head), expected, "{head:?}");
    }
    let upgrade = |target: &str, origin: &str| {
        let head = upgrade_head("board.local", target, &lines(&[("Origin", origin)]));
        let mut client = Client::connect(server.address());
        client.send(head.as_bytes());
        client.response(false).status
    };
    assert_eq!(upgrade("ws://board.lan/", "http://board.lan"), 101);
    assert_eq!(upgrade("ws://board.lan/", "http://board.local"), 403);
}

#[test]
fn who_speaks_http_1_0_may_leave_the_host_out() {
    let server = Server::start(&[]);
    for head in ["GET / HTTP/1.0\r\n\r\n", "GET /status HTTP/1.0\r\nHost:\r\n\r\n", "HEAD / HTTP/1.0\r\n\r\n"] {
        let mut client = Client::connect(server.address());
        client.send(head.as_bytes());
        let response = client.response(head.starts_with("HEAD"));
        assert_eq!(response.status, 200, "{head:?}");
        client.expect_end();
    }
    // The page may connect to the address that was asked, and its code leads there.
    let mut client = Client::connect(server.address());
    client.send(b"GET / HTTP/1.0\r\n\r\n");
    let policy = client.response(false).header("content-security-policy").unwrap_or_default().to_owned();
    assert!(policy.contains(&format!("ws://{}", server.address())), "{policy}");
    assert_eq!(refused(server.address(), b"GET / HTTP/1.1\r\n\r\n").status, 400);
}

#[test]
fn a_refusal_is_logged_with_what_was_its_reason_in_the_form_that_can_be_allowed() {
    let server = Server::start(&[]);
    assert!(!is_let_in(server.address(), "board.local", &["HTTPS://Laptop.example:443"]));
    server.wait_for_log("(Origin: https://laptop.example)");
    assert_eq!(refused(server.address(), upgrade_head("Evil.example:80", "/", "").as_bytes()).status, 403);
    server.wait_for_log("(Host: evil.example)");
}

#[test]
fn the_machine_s_own_name_is_let_in_in_every_search_domain_of_the_network() {
    // In a mount namespace with a file of settings of its own, and with a name of its own.
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("resolv.conf");
    std::fs::write(&settings, "nameserver 127.0.0.1\n").unwrap();
    let own = format!(
        "mount --bind {} /etc/resolv.conf && hostname beacon && exec setpriv --pdeathsig KILL -- \"$@\"",
        settings.display()
    );
    let namespaces = "[ \"$(id -u)\" = 0 ] || own=\"--user --map-root-user\"; exec unshare $own --mount --uts";
    let server = Launch::new(&[]).before(&format!("{namespaces} sh -c '{own}' sh \"$@\"")).start();
    let status = |host: &str| {
        let mut client = Client::connect(server.address());
        client.send(upgrade_head(host, "/", "").as_bytes());
        client.response(false).status
    };
    assert_eq!(status("beacon"), 101);
    assert_eq!(status("beacon.fritz.box"), 403);
    // The network comes after the board: what is read lasts for a second.
    std::fs::write(&settings, "nameserver 127.0.0.1\nsearch fritz.box\n").unwrap();
    eventually("the new domain is known", || status("Beacon.fritz.box:1920") == 101);
    for host in
        ["other.fritz.box", "fritz.box", "x.beacon.fritz.box", "beacon.fritz.box.evil.example", "beacon.evil.example"]
    {
        assert_eq!(status(host), 403, "{host}");
    }
    // In another network it is somebody else's.
    std::fs::write(&settings, "nameserver 127.0.0.1\nsearch cafe.example\n").unwrap();
    eventually("the old domain is forgotten", || status("beacon.fritz.box") == 403);
    assert_eq!(status("beacon.cafe.example"), 101);
}

#[test]
fn a_page_is_not_asked_for_its_origin() {
    let server = Server::start(&[]);
    assert_eq!(request(server.address(), "GET", "/", "Origin: http://evil.example\r\n").status, 200);
}

#[test]
fn the_machine_s_own_name_is_let_in_where_proc_sys_is_hidden() {
    // As the systemd unit hides it; with a name that is in no other list.
    let hidden =
        "mount -t tmpfs tmpfs /proc/sys && hostname foghorn.example && exec setpriv --pdeathsig KILL -- \"$@\"";
    let namespaces = "[ \"$(id -u)\" = 0 ] || own=\"--user --map-root-user\"; exec unshare $own --mount --uts";
    let server = Launch::new(&[]).before(&format!("{namespaces} sh -c '{hidden}' sh \"$@\"")).start();
    let mut client = Client::connect(server.address());
    client.send(b"GET / HTTP/1.1\r\nHost: foghorn.example\r\n\r\n");
    assert_eq!(client.response(false).status, 200);
}
