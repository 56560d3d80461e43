//! What the README shows of plain HTTP, run as it stands there, but for the name of the board.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{Client, Server, eventually, project, request_head};

/// The first block in this language that has these words in it, with the board at this address.
fn example(language: &str, words: &str, address: SocketAddr) -> String {
    let readme = fs::read_to_string(project().join("README.md")).unwrap();
    let fence = format!("```{language}\n");
    let mut blocks = readme.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap());
    let block = blocks.find(|block| block.contains(words)).expect("the README has the example");
    block.replace("raspberrypi.local:1920", &address.to_string())
}

fn start(program: &str, flag: &str, script: &str) -> Child {
    let mut command = Command::new(program);
    command.args([flag, script]).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// Runs to its end what ends by itself.
fn run(script: &str) -> String {
    let finished = start("sh", "-c", script).wait_with_output().unwrap();
    assert!(finished.status.success(), "{script}");
    String::from_utf8(finished.stdout).unwrap()
}

/// Waits until somebody listens to the lights.
fn wait_for_listener(server: &Server) {
    eventually("somebody listens", || {
        let figures: Value = serde_json::from_slice(&server.get("/c/lights?status").body).unwrap();
        figures["clients"] == 1
    });
}

/// The next line that it writes; then it is ended.
fn first_line_of(mut listener: Child) -> String {
    let mut line = String::new();
    BufReader::new(listener.stdout.take().unwrap()).read_line(&mut line).unwrap();
    listener.kill().unwrap();
    listener.wait().unwrap();
    line
}

#[test]
fn curl_sends_listens_and_gets_the_last_message() {
    let server = Server::start(&[]);
    let lines = example("sh", "?as=lines", server.address());
    let [send, listen, last] = lines.lines().collect::<Vec<_>>()[..] else { panic!("three lines: {lines}") };
    // So that the shell makes way for the program, which is then what is ended.
    let listener = start("sh", "-c", &format!("exec {listen}"));
    wait_for_listener(&server);
    let answer: Value = serde_json::from_str(&run(send)).expect("the answer is JSON");
    assert_eq!((&answer["seq"], &answer["clients"]), (&1.into(), &1.into()));
    assert_eq!(first_line_of(listener), "lights on\n");
    assert_eq!(run(last), "lights on");
}

#[test]
fn python_sends_and_listens_with_its_standard_library() {
    let server = Server::start(&[]);
    let listener = start("python3", "-c", &example("python", "urlopen", server.address()));
    wait_for_listener(&server);
    assert_eq!(server.get("/c/lights?last").text(), "lights on");
    let mut client = Client::connect(server.address());
    let post = request_head(server.address(), "POST", "/c/lights", "Content-Length: 10\r\n") + "lights off";
    client.send(post.as_bytes());
    assert_eq!(client.response(false).status, 200);
    assert_eq!(first_line_of(listener), "lights off\n");
}
