//! What the papers show in Python, run as it stands there with nothing but its standard library.

use super::block::{Block, blocks};
use super::board::{Board, wait_for_client};
use crate::harness::{Launch, Server, in_own_network, post};

fn serve() -> Server {
    Launch::bare(&[]).expecting(2).start()
}

fn programs(paper: &str) -> Vec<String> {
    let is_one = |block: &Block| block.paper == paper && block.language == "python";
    blocks().into_iter().filter(is_one).map(|block| block.text).collect()
}

#[test]
fn the_readmes_program_sends_and_listens() {
    in_own_network(|| {
        let (board, server) = (Board::new(), serve());
        let [program] = &programs("README.md")[..] else { panic!("one program") };
        let mut listener = board.start(&["python3", "-c", program]);
        wait_for_client(&server, "/c/lights");
        assert_eq!(server.get("/c/lights?last").text(), "lights on");
        post(&server, "/c/lights", "", b"lights off");
        listener.wait_for_line("lights off");
    });
}

#[test]
fn a_script_sends_and_asks_for_the_last_message() {
    in_own_network(|| {
        let (board, _server) = (Board::new(), serve());
        let mut program = board.start(&["python3", "-c", &programs("docs/send-from-a-script.md")[0]]);
        program.expect_end();
        program.wait_for_line("21.5");
    });
}

#[test]
fn a_script_listens_for_days_and_goes_on_behind_the_last_message() {
    in_own_network(|| {
        let board = Board::new();
        let state = tempfile::tempdir().unwrap();
        let state = state.path().join("state").into_os_string().into_string().unwrap();
        let serve = || Launch::bare(&["--state", &state]).expecting(2).start();
        let mut server = serve();
        let mut listener = board.start(&["python3", "-c", &programs("docs/send-from-a-script.md")[1]]);
        wait_for_client(&server, "/c/sensors");
        post(&server, "/c/sensors", "", b"one");
        listener.wait_for_line("one");
        server.signal("TERM");
        server.wait_for_exit();
        drop(server);
        server = serve();
        // It may be back by now or not: either way it gets this one, and the first one not again.
        post(&server, "/c/sensors", "", b"two");
        listener.wait_for_line("two");
        // A new epoch, while it is there.
        wait_for_client(&server, "/c/sensors");
        board.run("curl -s -X DELETE http://raspberrypi.local:1920/c/sensors");
        post(&server, "/c/sensors", "", b"three");
        listener.wait_for_line("three");
        assert_eq!(listener.stdout(), "one\ntwo\nthree\n");
    });
}
