//! What the papers show of files (of Foghorn, systemd, Caddy, Redis) and of figures is taken by the programs that it is for.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::block::{Block, blocks};
use super::board::Board;
use crate::harness::{Launch, Redis, Server, eventually, in_own_network, post, project, request, with_state};

fn shown(paper: &str, language: &str) -> Vec<Block> {
    blocks().into_iter().filter(|block| block.paper == paper && block.language == language).collect()
}

fn only(paper: &str, language: &str) -> String {
    let [block] = &shown(paper, language)[..] else { panic!("{paper} has one block of {language}") };
    block.text.clone()
}

fn read(name: &str) -> String {
    fs::read_to_string(project().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Each says on its first line which file it is; the booted Debian puts it there, and sees what it does.
#[test]
fn drop_ins_are_put_in_place_where_systemd_runs() {
    let script = read("packaging/check-installed");
    for block in blocks().into_iter().filter(|block| block.language == "ini") {
        let Some(path) = block.text.lines().next().and_then(|line| line.strip_prefix("# /etc/systemd/system/")) else {
            continue;
        };
        assert!(script.contains(&format!("put {}", block.paper)), "{}: nobody puts {path} in place", block.place());
    }
}

#[test]
fn lines_for_a_unit_of_ones_own_are_those_of_ours() {
    let unit = read("systemd/foghorn.service");
    for paper in ["docs/codes.md", "docs/state.md"] {
        for line in only(paper, "ini").lines() {
            assert!(unit.lines().any(|other| other == line), "{paper}: {line} is not in the unit");
        }
    }
}

#[test]
fn the_file_of_codes_is_taken_and_what_the_log_says_of_codes_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codes");
    fs::write(&file, only("docs/codes.md", "codes")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let server = Launch::new(&["--codes"]).arg(&file).start();
    let status = |code: &str, method: &str, path: &str| {
        let head = format!("Authorization: Bearer {code}\r\nContent-Length: 0\r\n");
        request(server.address(), method, path, &head).status
    };
    assert_eq!(status("4711", "GET", "/?last"), 204);
    assert_eq!(status("4711", "POST", "/"), 403);
    assert_eq!(status("blue.whale", "POST", "/"), 200);
    assert_eq!(status("4711", "GET", "/c/club?last"), 401);
    assert_eq!(status("4712", "GET", "/c/club?last"), 204);
    let said = only("docs/codes.md", "text");
    let server = Server::start(&["--code", "4711", "--code", "club=4712", "--send-code", "show=blue.whale"]);
    server.wait_for_log(said.trim_end());
}

#[test]
fn the_user_of_redis_may_do_what_a_board_does() {
    let redis = Redis::start();
    let command = only("docs/boards.md", "redis");
    redis.cli(&command.split_whitespace().collect::<Vec<_>>());
    let server = Server::start(&["--redis", &format!("redis://foghorn:PASSWORD@{}", redis.address())]);
    eventually("Redis is there", || server.status()["redis"]["state"] == "connected");
    assert_eq!(post(&server, "/c/lights", "", b"on").status, 200);
    assert_eq!(server.get("/c/lights?last").text(), "on");
    assert_eq!(request(server.address(), "DELETE", "/c/lights", "").status, 200);
    assert!(redis.try_cli(&["--user", "foghorn", "--pass", "PASSWORD", "CONFIG", "GET", "port"]).is_err());
}

/// The names of an object and of what is in it.
fn names(figures: &Value) -> Vec<&String> {
    figures.as_object().expect("an object").keys().collect()
}

#[test]
fn figures_are_shown_as_they_are() {
    let shown = |paper: &str, name: &str| -> Value {
        let figures: Value = serde_json::from_str(&format!("{{{}}}", only(paper, "json"))).expect("JSON");
        figures[name].clone()
    };
    let folder = tempfile::tempdir().unwrap();
    let server = with_state(Launch::new(&[]), &folder.path().join("state")).start();
    assert_eq!(names(&server.status()["state"]), names(&shown("docs/state.md", "state")));
    // Nobody listens there.
    let server = Server::start(&["--redis", "redis://127.0.0.1:1"]);
    let [figures, example] = [server.status()["redis"].clone(), shown("docs/boards.md", "redis")];
    assert_eq!(names(&figures), names(&example));
    eventually("it is said why", || {
        let example = example["problem"].as_str().expect("a problem").replace("hub.local:6379", "127.0.0.1:1");
        server.status()["redis"]["problem"] == example
    });
}

/// A Caddyfile without its comments and empty lines.
fn bare(caddyfile: &str) -> String {
    let lines = caddyfile.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn caddy_with_an_authority_of_its_own_stands_in_front() {
    in_own_network(|| {
        let board = Board::new();
        let [with_a_name, internal] = &shown("docs/caddy.md", "caddyfile")[..] else { panic!("two Caddyfiles") };
        // What is tried beside nginx.
        assert_eq!(bare(&with_a_name.text), bare(&read("docs/proxy/Caddyfile")));
        let _server = Launch::bare(&["--listen", "127.0.0.1:1920"]).expecting(1).start();
        // It would tell this machine to trust it.
        let file = format!("{{\n\tskip_install_trust\n\tadmin off\n}}\n{}", internal.text);
        fs::write(board.path().join("Caddyfile"), file).unwrap();
        let environment = "export HOME=$PWD; unset XDG_DATA_HOME XDG_CONFIG_HOME";
        let mut caddy =
            board.start_shell(&format!("{environment}; exec caddy run --adapter caddyfile --config Caddyfile"));
        caddy.wait_for_log("certificate obtained successfully");
        let root = ".local/share/caddy/pki/authorities/local/root.crt";
        assert!(read("docs/caddy.md").contains(&format!("/var/lib/caddy/{root}")));
        let ask = format!("curl -sS --cacert {root}");
        assert!(board.run(&format!("{ask} -d hello https://board.lan/")).contains("\"seq\":1"));
        assert_eq!(board.run(&format!("{ask} 'https://board.lan/?last'; echo")), "hello\n");
    });
}

/// What is shown of a proxy is complete: page, channels, WebSockets, posts and refusals go through it.
fn expect_complete(proxy: &str) {
    let board = Board::new();
    let check = project().join("docs/proxy/check");
    let foghorn = board.path().join("bin/foghorn");
    let said = board.run(&format!("FOGHORN_BIN='{}' '{}' {proxy}", foghorn.display(), check.display()));
    assert!(said.ends_with(&format!("{proxy} below /foghorn: works\n")), "{said}");
}

#[test]
fn nginx_in_front_is_complete() {
    in_own_network(|| expect_complete("nginx"));
}

#[test]
fn caddy_in_front_is_complete() {
    in_own_network(|| expect_complete("caddy"));
}
