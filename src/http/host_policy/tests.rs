//! Which Host and Origin are let in, what can be allowed, and what flags are refused.

use super::*;

fn policy(hosts: &[&str], origins: &[&str]) -> HostPolicy {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    HostPolicy::new(Some("beacon.example.org"), &owned(hosts), &owned(origins)).unwrap()
}

fn lets_in(policy: &HostPolicy, host: &str, origin: Option<&str>) -> bool {
    let origin = Origin::parse(origin.unwrap_or_default());
    Host::parse(host).is_some_and(|(host, _)| policy.allows_host(&host, &[]) && policy.allows_origin(&origin, &host))
}

#[test]
fn local_names_and_addresses_are_ours() {
    let policy = policy(&["board.example.com"], &[]);
    for host in [
        "192.168.1.5",
        "192.168.1.5:1920",
        "[::1]",
        "[fe80::1]:1919",
        "localhost",
        "LOCALHOST:80",
        "raspberrypi",
        "raspberrypi.local",
        "RaspberryPi.Local.:1920",
        "a.b.lan",
        "x.home",
        "x.home.arpa",
        "x.internal",
        "x.localdomain",
        "foghorn.localhost",
        "x.intranet",
        "x.private:1920",
        "x.corp",
        "x.test",
        "board:",
        "[fe80::1%eth0]:1919",
        "board.example.com",
        "Board.Example.Com:443",
        "beacon.example.org",
    ] {
        assert!(lets_in(&policy, host, None), "{host}");
    }
}

#[test]
fn foreign_names_are_refused() {
    let policy = policy(&["board.example.com"], &[]);
    for host in [
        "evil.com",
        "evil.com:1919",
        "evil.com.",
        "evillocal.com",
        "local.evil.com",
        "localhost.evil.com",
        "evilcorp.com",
        "xlocal.",
        "..local",
        "evil.com.localhost.evil.com",
        "notboard.example.com",
        "board.example.com.evil.com",
        "x.board.example.com",
        "beacon.example.net",
        "192.168.1.5.evil.com",
        "board.local/evil",
        "evil.com?.local",
        "evil.com#.local",
        "evil.com\\.local",
        "évil.local",
    ] {
        let is_plain_name = host == "xlocal.";
        assert_eq!(lets_in(&policy, host, None), is_plain_name, "{host:?}");
    }
}

#[test]
fn a_domain_can_be_allowed_with_all_in_it() {
    let policy = policy(&[".Example.net", ".zone"], &[]);
    for (host, expected) in [
        ("example.net", true),
        ("board.example.net:1920", true),
        ("a.b.EXAMPLE.net.", true),
        ("x.zone", true),
        ("xexample.net", false),
        ("example.net.evil.com", false),
        ("xzone.com", false),
    ] {
        assert_eq!(lets_in(&policy, host, None), expected, "{host}");
    }
}

#[test]
fn the_own_name_is_its_own_in_every_search_domain() {
    let policy = policy(&[], &[]);
    let host = |text: &str| Host::parse(text).unwrap().0;
    assert_eq!(policy.own_domain(&host("Beacon.fritz.box.:80")), Some("fritz.box"));
    let domains = ["Fritz.Box.".to_owned(), ".".to_owned(), "a b".to_owned(), "1.2.3.4".to_owned()];
    for (name, expected) in [
        ("beacon.fritz.box", true),
        ("Beacon.fritz.box:1920", true),
        ("beacon.example.org", true),
        ("fritz.box", false),
        ("other.fritz.box", false),
        ("x.beacon.fritz.box", false),
        ("beacon.x.fritz.box", false),
        ("beacon.box", false),
        ("beacon.evil.com", false),
    ] {
        assert_eq!(policy.allows_host(&host(name), &domains), expected, "{name}");
    }
    assert!(!policy.allows_host(&host("beacon.fritz.box"), &[]), "it was another network");
    let nameless = HostPolicy::new(None, &[], &[]).unwrap();
    assert_eq!(nameless.own_domain(&host("beacon.fritz.box")), None);
}

#[test]
fn an_origin_has_to_be_of_the_same_host_on_any_port() {
    let policy = policy(&[], &[]);
    for (host, origin, expected) in [
        ("board.local:1919", "http://board.local:1920", true),
        ("board.local", "https://BOARD.local", true),
        ("board.local", "http://board.local.", true),
        ("[::1]:1919", "http://[::1]:8080", true),
        ("[::1]", "http://[0:0:0:0:0:0:0:1]", true),
        ("192.168.1.5", "http://192.168.1.5:1920", true),
        ("board.local", "http://board.local.evil.com", false),
        ("board.local", "http://evilboard.local", false),
        ("board.local", "http://board", false),
        ("board.local", "http://board.local@evil.com", false),
        ("board.local", "ftp://board.local", false),
        ("board.local", "file://board.local", false),
        ("board.local", "chrome-extension://board.local", false),
        ("board.local", "http://evil.com", false),
        ("board.local", "board.local", false),
        ("board.local", "null", false),
        ("board.local", "http://", false),
        ("board.local", "", true),
        ("board.local", "file://", true),
        ("board.local", "http://evil.com/board.local", true),
        ("127.0.0.1", "http://localhost", false),
    ] {
        assert_eq!(lets_in(&policy, host, Some(origin)), expected, "{origin} to {host}");
    }
}

#[test]
fn allowed_origins_may_connect_too() {
    let policy = policy(
        &[],
        &[
            "https://example.com",
            "http://example.net:8080",
            "dev.example",
            "port.example:3000",
            "null",
            "file://",
            "app://.",
            "capacitor://localhost",
            "app://obsidian.md",
            "content://",
        ],
    );
    for (origin, expected) in [
        ("https://example.com", true),
        ("https://EXAMPLE.com:443", true),
        ("https://example.com:8443", false),
        ("http://example.com", false),
        ("https://www.example.com", false),
        ("http://example.net:8080", true),
        ("http://example.net", false),
        ("http://dev.example:3000", true),
        ("other://dev.example", true),
        ("http://port.example:3000", true),
        ("http://port.example", false),
        ("null", true),
        ("NULL", true),
        ("capacitor://localhost", true),
        ("capacitor://localhost:1", false),
        ("ionic://localhost", false),
        ("APP://obsidian.md", true),
        ("content://", true),
        ("content://x", false),
    ] {
        assert_eq!(lets_in(&policy, "board.local", Some(origin)), expected, "{origin}");
    }
    let anybody = super::HostPolicy::new(None, &[], &["*".to_owned()]).unwrap();
    assert!(lets_in(&anybody, "board.local", Some("https://anywhere.example")));
    assert!(!lets_in(&anybody, "evil.com", Some("http://evil.com")), "the Host is checked all the same");
}

#[test]
fn an_origin_without_a_port_has_its_scheme_s_default_port() {
    let policy = policy(&[], &["https://example.com:443"]);
    assert!(lets_in(&policy, "board.local", Some("https://example.com")));
    assert!(!lets_in(&policy, "board.local", Some("https://example.com:444")));
}

#[test]
fn what_is_refused_can_be_allowed_as_it_is_shown() {
    let nobody = policy(&[], &[]);
    for text in [
        "http://evil.com",
        "https://[::1]:8443",
        "sensor",
        "sensor:80",
        "null",
        "x-y.z://a_b:1",
        "content://",
        "moz-extension://0-f",
        "my sensor",
        "sensor/1",
        "custom:app",
    ] {
        let origin = Origin::parse(text);
        let host = Host::Name("board.local".into());
        assert!(!nobody.allows_origin(&origin, &host), "{text}");
        assert!(policy(&[], &[&origin.text().unwrap()]).allows_origin(&origin, &host), "{text}");
    }
}

#[test]
fn a_value_that_can_never_match_is_named() {
    let host = |text: &str| HostPolicy::new(None, &[text.to_owned()], &[]).unwrap_err();
    for text in ["http://board", "board:80", "board:", ".", "..", ".board:80", ".1.2.3.4", "*"] {
        assert!(host(text).contains("such as board.example.com, or .example.com"), "{text}");
    }
    assert!(host("board:80").contains("with no port"));
    let origin = |text: &str| HostPolicy::new(None, &[], &[text.to_owned()]).unwrap_err();
    assert!(origin("https://example.com/").contains("with no path"));
    for text in ["https:/example.com", "http://user@example.com", "http://", "*.example.com", "example.com/", "WS:x"] {
        assert!(origin(text).contains("such as https://example.com"), "{text}");
    }
}
