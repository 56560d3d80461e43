//! Shell commands of the papers, run as they stand there: what ends has to end well, what listens has to hear, and what serves
//! has to serve.

use super::block::{Block, blocks, is_run};
use super::board::{Board, Program, wait_for_client};
use super::elsewhere;
use crate::harness::{Launch, Redis, Server, in_own_network, post};

/// The commands of a block: its lines, together where only several are a whole one.
fn commands(block: &Block, board: &Board) -> Vec<String> {
    let mut commands = Vec::new();
    let mut command = String::new();
    for line in block.text.lines() {
        command += line;
        let is_whole = board.start(&["sh", "-nc", &command]).ends_well();
        if !is_whole {
            command.push('\n');
        } else if command.trim().is_empty() || command.starts_with('#') {
            command.clear();
        } else {
            commands.push(std::mem::take(&mut command));
        }
    }
    assert!(command.is_empty(), "{} ends within a command", block.place());
    commands
}

/// The address of the channel that a command names.
fn channel(command: &str) -> String {
    let Some((_, rest)) = command.split_once("/c/") else { return "/".to_owned() };
    let name: String = rest.chars().take_while(|char| char.is_ascii_alphanumeric() || "-_".contains(*char)).collect();
    format!("/c/{name}")
}

fn serves(command: &str) -> bool {
    let words = command.trim_start_matches("target/release/");
    words.starts_with("foghorn -")
}

fn listens(command: &str) -> bool {
    let ends = command.contains("--count");
    (command.contains("foghorn listen ") || command.contains("curl -N ")) && !ends
}

/// A server with its own two ports, if there is none.
fn serve(server: &mut Option<Server>) -> &Server {
    server.get_or_insert_with(|| Launch::bare(&[]).expecting(2).start())
}

fn run(command: &str, board: &Board, server: &mut Option<Server>) {
    if serves(command) {
        *server = None;
        // The shell makes way for it, so its end is told as it is.
        let mut serving: Program = board.start_shell(&format!("exec {command}"));
        serving.wait_for_log("listening on ");
        serving.end();
    } else if listens(command) {
        let server = serve(server);
        let mut listener = board.start_shell(command);
        wait_for_client(server, &channel(command));
        assert_eq!(post(server, &channel(command), "", b"on").status, 200);
        listener.wait_for_any_line();
    } else {
        let server = serve(server);
        // There may have to be something to be asked for.
        if command.contains("?last") || command.contains("--history") {
            post(server, &channel(command), "", b"on");
        }
        board.run(command);
    }
}

#[test]
fn shell_commands_do_what_they_are_shown_for() {
    in_own_network(|| {
        let board = Board::new();
        let redis = Redis::with(&[("port", "6379"), ("requirepass", "PASSWORD")]);
        let mut server = None;
        let mut count = 0;
        for block in blocks().iter().filter(|block| is_run(&block.paper) && block.language == "sh") {
            // A script is a file of the board, and whoever calls it runs it.
            if block.text.starts_with("#!") || elsewhere::runs_block(block) {
                continue;
            }
            for command in commands(block, &board) {
                if !elsewhere::runs_command(block, &command) {
                    eprintln!("{}: {command}", block.place());
                    run(&command, &board, &mut server);
                    count += 1;
                }
            }
        }
        assert!(count > 40, "only {count} were run: is this test blind?");
        drop((server, redis));
    });
}

#[test]
fn what_is_shown_of_channels_over_http_is_what_is_answered() {
    in_own_network(|| {
        let board = Board::new();
        let mut server = None;
        let server = serve(&mut server);
        let block = blocks().into_iter().find(|block| block.paper == "README.md" && block.text.contains("?as=lines"));
        let [send, listen, last] = &commands(&block.expect("the README shows it"), &board)[..] else { panic!("three") };
        let mut listener = board.start_shell(listen);
        wait_for_client(server, "/c/lights");
        let answer: serde_json::Value = serde_json::from_str(&board.run(send)).expect("the answer is JSON");
        assert_eq!((&answer["seq"], &answer["clients"]), (&1.into(), &1.into()));
        listener.wait_for_line("lights on");
        assert_eq!(board.run(&format!("{last}\necho")), "lights on\n");
    });
}

#[test]
fn the_lamp_goes_on_and_off() {
    in_own_network(|| {
        let board = Board::new();
        let mut server = None;
        let server = serve(&mut server);
        let mut lamp = board.start_shell("exec foghorn listen :/c/lamp --exec ./lamp.sh");
        wait_for_client(server, "/c/lamp");
        for (word, said) in [("on", "pinctrl set 17 op dh"), ("off", "pinctrl set 17 op dl")] {
            board.run(&format!("foghorn send :/c/lamp {word}"));
            lamp.wait_for_line(said);
        }
        lamp.end();
    });
}
