//! Flags and environment: each setting takes effect, and a bad one is named with what would be right.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use foghorn::config::flags::Args;
use foghorn::config::settings::Config;

use crate::harness::{Client, Launch, folder, get, in_own_network, upgrade_head};

#[test]
fn help_and_version_are_printed() {
    let help = Launch::bare(&["--help"]).run();
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("Usage: foghorn") && help.stderr.is_empty(), "{help:?}");
    let version = Launch::bare(&["--version"]).run();
    assert_eq!((version.code, version.stdout), (Some(0), format!("foghorn {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_bad_flag_is_named_with_what_would_be_right() {
    for (flag, value, hint) in [
        ("--listen", "1919", "socket address"),
        ("--listen", "localhost:1919", "socket address"),
        ("--history", "-1", "invalid"),
        ("--history", "many", "invalid"),
        ("--max-message", "big", "such as 512KiB"),
        ("--max-message", "0", "from 125"),
        ("--max-message", "2GiB", "to "),
        ("--max-message", "3MiB", "raise --backlog to 6.0 MiB, or lower --max-message to 2.0 MiB"),
        ("--backlog", "1", "from 1.0 KiB"),
        ("--patience", "2", "such as 500ms"),
        ("--patience", "0s", "from 10ms"),
        ("--max-clients", "0", "from 1"),
        ("--max-clients", "x", "from 1"),
        ("--max-clients-per-ip", "-1", "invalid"),
        ("--heartbeat", "25", "such as 500ms"),
        ("--heartbeat", "1ms", "from 100ms"),
        ("--allow-host", "", "a value is required"),
        ("--listen", "", "a value is required"),
        ("--listen", "[::]:1919,1920", "\"1920\" is no socket address"),
        ("--history", "", "cannot parse"),
        ("--log-level", "", "debug"),
        ("--allow-host", "http://board.example.com", "such as board.example.com"),
        ("--allow-host", "board.example.com:80", "no port"),
        ("--allow-origin", "https://example.com/path", "such as https://example.com"),
        ("--log-level", "loud", "debug"),
    ] {
        let finished = Launch::new(&[&format!("{flag}={value}")]).run();
        assert_eq!(finished.code, Some(2), "{flag}={value}: {finished:?}");
        assert!(finished.stderr.contains(flag) && finished.stderr.contains(hint), "{flag}={value}: {finished:?}");
        assert!(!finished.stderr.contains("panicked"), "{finished:?}");
    }
    let too_long = "x".repeat(4097);
    let finished = Launch::new(&["--greeting", &too_long]).run();
    assert!(finished.code == Some(2) && finished.stderr.contains("4096"), "{finished:?}");
    for launch in [Launch::new(&["--list"]), Launch::new(&[]).env("FOGHORN_LIST", "1")] {
        let finished = launch.run();
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("give one with --www DIR"), "{finished:?}");
        finished.expect_a_sentence();
    }
    for launch in [Launch::new(&["--reload"]), Launch::new(&[]).env("FOGHORN_RELOAD", "1")] {
        let finished = launch.run();
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("--reload") && finished.stderr.contains("--www DIR"), "{finished:?}");
        finished.expect_a_sentence();
    }
    for nonsense in ["--no-such-flag", "stray", "-x"] {
        let finished = Launch::new(&[nonsense]).run();
        assert!(finished.code == Some(2) && finished.stderr.contains(nonsense), "{finished:?}");
    }
    let finished = Launch::new(&["-v", "-q"]).run();
    assert_eq!(finished.code, Some(2), "{finished:?}");
}

#[test]
fn every_setting_can_come_from_the_environment() {
    let www = folder(&[("index.html", b"from disk"), ("sub/x.txt", b"x")]);
    let server = Launch::bare(&[])
        .env("FOGHORN_LISTEN", "127.0.0.1:0,[::1]:0")
        .env("FOGHORN_GREETING", "welcome")
        .env("FOGHORN_NO_ECHO", "true")
        .env("FOGHORN_HISTORY", "1")
        .env("FOGHORN_WWW", www.path())
        .env("FOGHORN_LIST", "true")
        .env("FOGHORN_RELOAD", "true")
        .env("FOGHORN_MAX_MESSAGE", "1KiB")
        .env("FOGHORN_BACKLOG", "64KiB")
        .env("FOGHORN_PATIENCE", "1m")
        .env("FOGHORN_MAX_CLIENTS", "2")
        .env("FOGHORN_MAX_CLIENTS_PER_IP", "0")
        .env("FOGHORN_HEARTBEAT", "0")
        .env("FOGHORN_ALLOW_HOST", "board.example.com,board.example.net")
        .env("FOGHORN_ALLOW_ORIGIN", "null,https://example.com")
        .env("FOGHORN_LOG_LEVEL", "debug")
        .expecting(2)
        .start();
    let [address, v6] = server.addresses[..] else { panic!("two addresses") };
    assert!(v6.is_ipv6());
    assert_eq!(get(v6, "/").text(), "from disk");
    assert!(get(v6, "/sub/").text().contains("href=\"x.txt\""));
    assert_eq!(get(v6, "/reload.js").status, 200);
    let join = |host: &str, origin: &str| {
        let mut client = Client::connect(address);
        client.send(upgrade_head(host, "/", &format!("Origin: {origin}\r\n")).as_bytes());
        assert_eq!(client.response(false).status, 101, "{host} {origin}");
        assert_eq!(client.text(), "welcome");
        client
    };
    let mut one = join("board.example.com", "https://example.com");
    one.send_text("not to me, but to history");
    server.wait_for_figure("/messages", 1);
    let mut two = join("board.example.net:1919", "null");
    assert_eq!(two.text(), "not to me, but to history");
    assert_eq!(Client::connect(address).try_upgrade(address, "/", "").status, 503);
    let status = server.status();
    assert_eq!((&status["backlogBytesMax"], &status["maxMessage"]), (&(64 << 10).into(), &1024.into()));
    one.send_binary(&[0; 1025]);
    assert_eq!(one.closed_with(), Some(1009));
}

#[test]
fn a_flag_wins_over_the_environment_and_bad_environment_is_named() {
    let launch = Launch::new(&["--greeting", "from a flag"]);
    let server = launch.env("FOGHORN_GREETING", "from the environment").env("FOGHORN_NO_ECHO", "0").start();
    let mut client = Client::connect(server.address());
    client.upgrade(server.address(), "/", "");
    assert_eq!(client.text(), "from a flag");
    client.expect_echo("and 0 is not yes");

    let finished = Launch::new(&[]).env("FOGHORN_PATIENCE", "soon").run();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("soon") && finished.stderr.contains("--patience"), "{finished:?}");
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let command = Args::command();
    let variables = || command.get_arguments().filter_map(|flag| flag.get_env()).map(|name| name.to_str().unwrap());
    assert_eq!(variables().count(), 24, "all flags but -v and -q");
    let mut launch = Launch::new(&["--allow-host", "board.example.com"]);
    for variable in variables() {
        launch = launch.env(variable, "");
    }
    let server = launch.start();
    let mut client = server.join();
    client.expect_echo("the greeting came, and so does this");
    let status = server.status();
    assert_eq!((&status["backlogBytesMax"], &status["maxMessage"]), (&(4 << 20).into(), &(1 << 20).into()));
    for variable in variables() {
        assert_eq!(Launch::new(&[]).env(variable, "").start().get("/").status, 200, "{variable}");
    }
    let mut silent = Launch::new(&["--greeting", ""]).env("FOGHORN_GREETING", "welcome").start();
    let mut client = Client::connect(silent.address());
    client.upgrade(silent.address(), "/", "");
    client.expect_echo("this is the first that comes");
    drop(client);
    silent.signal("TERM");
    silent.wait_for_exit();
}

#[test]
fn an_empty_list_of_addresses_means_the_default_ports() {
    in_own_network(|| {
        for nothing in ["", ","] {
            let server = Launch::bare(&[]).env("FOGHORN_LISTEN", nothing).expecting(2).start();
            assert_eq!(server.addresses.iter().map(SocketAddr::port).collect::<Vec<_>>(), [1919, 1920]);
        }
    });
}

#[test]
fn a_list_may_have_blanks_and_a_comma_too_many() {
    let server = Launch::bare(&["--allow-host=one.example.com,"])
        .env("FOGHORN_LISTEN", "127.0.0.1:0, [::1]:0,")
        .env("FOGHORN_ALLOW_HOST", "two.example.com")
        .env("FOGHORN_ALLOW_ORIGIN", " ,https://a.example.com,,\thttps://b.example.com ")
        .expecting(2)
        .start();
    let address = server.address();
    let asks = |host: &str, origin: &str| {
        let mut client = Client::connect(address);
        client.send(upgrade_head(host, "/", &format!("Origin: {origin}\r\n")).as_bytes());
        client.response(false).status
    };
    for origin in ["https://a.example.com", "https://b.example.com"] {
        assert_eq!(asks("one.example.com", origin), 101, "{origin}");
    }
    assert_eq!(asks("one.example.com", "https://c.example.com"), 403);
    assert_eq!(asks("two.example.com", "https://a.example.com"), 403, "the flag wins");
    for nothing in [",", " , ,", " "] {
        let launch = ["FOGHORN_LISTEN", "FOGHORN_ALLOW_HOST", "FOGHORN_ALLOW_ORIGIN"];
        let launch = launch.into_iter().fold(Launch::new(&[]), |launch, variable| launch.env(variable, nothing));
        assert_eq!(launch.start().get("/").status, 200, "{nothing:?}");
        let finished = Launch::new(&["--allow-host", nothing]).run();
        assert!(finished.code == Some(2) && finished.stderr.contains("a value is required"), "{finished:?}");
    }
}

#[test]
fn the_default_settings_are_the_same_whatever_the_environment_has() {
    const INSIDE: &str = "TEST_WITH_A_BAD_ENVIRONMENT";
    const THIS_TEST: &str = "cli::flags::the_default_settings_are_the_same_whatever_the_environment_has";
    if std::env::var_os(INSIDE).is_some() {
        assert!(Args::try_parse_from(["foghorn"]).is_err(), "else this test shows nothing");
        let config = Config::default();
        assert!((config.www, config.state, config.notice) == (None, None, None) && config.redis.is_none());
        let Config {
            listen, greeting, echo, history, list_folders, reload, allow_hosts, allow_origins, limits, ..
        } = config;
        assert_eq!((listen, allow_hosts, allow_origins), (vec![], vec![], vec![]));
        assert_eq!((greeting.as_str(), echo, history), ("connected to WebSocket server", true, 0));
        assert!(!list_folders && !reload);
        assert_eq!((limits.message_bytes_max, limits.backlog_bytes), (1 << 20, 4 << 20));
        assert_eq!((limits.patience, limits.heartbeat), (Duration::from_secs(2), Some(Duration::from_secs(25))));
        assert_eq!((limits.clients_max, limits.clients_per_ip_max), (4096, Some(256)));
        return;
    }
    // The environment is the process's: a test of the same name in a process of its own.
    let mut again = Command::new(std::env::current_exe().expect("the test binary"));
    again.args(["--exact", THIS_TEST, "--nocapture"]).env(INSIDE, "1");
    let command = Args::command();
    for variable in command.get_arguments().filter_map(|flag| flag.get_env()) {
        again.env(variable, "1 and garbage");
    }
    let again = again.output().expect("the test binary starts");
    let said = String::from_utf8_lossy(&again.stdout);
    let stderr = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && said.contains("1 passed"), "{said}\n{stderr}");
}
