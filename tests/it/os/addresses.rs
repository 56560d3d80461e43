//! What a person at a terminal is told: the QR code, as a phone sees it.

use std::fs;
use std::process::Command;

use crate::harness::{Launch, Terminal, eventually, in_own_network};

/// The side of one module in the picture.
const SCALE: usize = 4;
/// Of a dark terminal: the colours that hold where nothing is said.
const GROUND: u8 = 0;
const LETTERS: u8 = 0xcc;

/// What a terminal shows: each character as an upper and a lower half, each of them a shade of grey.
fn shades(written: &str) -> Vec<[Vec<u8>; 2]> {
    let (mut letters, mut ground) = (LETTERS, GROUND);
    let mut lines = vec![[Vec::new(), Vec::new()]];
    let mut characters = written.chars();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {}
            '\n' => lines.push([Vec::new(), Vec::new()]),
            '\x1b' => {
                let sequence: String = characters.by_ref().take_while(|&c| c != 'm').collect();
                match &*sequence {
                    "[0" => (letters, ground) = (LETTERS, GROUND),
                    "[38;5;16;48;5;231" => (letters, ground) = (0, 255),
                    other => panic!("a code that this terminal does not know: {other:?}"),
                }
            }
            block => {
                let halves = match block {
                    ' ' => [ground, ground],
                    '▀' => [letters, ground],
                    '▄' => [ground, letters],
                    '█' => [letters, letters],
                    other => panic!("no part of a code: {other:?}"),
                };
                let line = lines.last_mut().expect("there is one from the start");
                line.iter_mut().zip(halves).for_each(|(half, shade)| half.push(shade));
            }
        }
    }
    lines
}

/// A picture of a terminal (PGM) with some room around, as a phone has it before its camera.
fn picture(written: &str) -> Vec<u8> {
    const WIDTH: usize = 60;
    let mut rows: Vec<Vec<u8>> = shades(written).into_iter().flatten().collect();
    rows.splice(0..0, vec![Vec::new(); 4]);
    rows.extend(vec![Vec::new(); 4]);
    let mut picture = format!("P5 {} {} 255\n", WIDTH * SCALE, rows.len() * SCALE).into_bytes();
    for mut row in rows {
        row.splice(0..0, [GROUND; 4]);
        assert!(row.len() < WIDTH);
        row.resize(WIDTH, GROUND);
        let wide: Vec<u8> = row.iter().flat_map(|&shade| [shade; SCALE]).collect();
        (0..SCALE).for_each(|_| picture.extend(&wide));
    }
    picture
}

/// What a phone reads that knows no inverted codes.
fn read_by_a_phone(written: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("terminal.pgm");
    fs::write(&path, picture(written)).unwrap();
    let read = Command::new("zbarimg").args(["--quiet", "--raw", "--set", "test-inverted=0"]).arg(&path).output();
    String::from_utf8(read.expect("zbarimg (package zbar-tools) is there").stdout).unwrap()
}

#[test]
fn the_code_on_a_dark_terminal_is_read_by_every_phone() {
    in_own_network(|| {
        for (term, no_color) in [("xterm-256color", ""), ("linux", ""), ("xterm-256color", "1"), ("dumb", "")] {
            let (terminal, of_the_server) = Terminal::open();
            let launch = Launch::bare(&["--listen", "10.99.0.1:0"]).expecting(1).stdout(of_the_server);
            let server = launch.env("TERM", term).env("NO_COLOR", no_color).start();
            server.wait_for_log("on a phone in this network");
            eventually("the code is drawn", || {
                terminal.text().trim_start().len() > 1 && terminal.text().ends_with("\r\n\r\n")
            });
            let written = terminal.text();
            assert_eq!(written.contains('\x1b'), term != "dumb" && no_color.is_empty(), "{term} {no_color}");
            let url = format!("http://{}/", server.address());
            assert!(server.log().contains(&format!("open {url} on a phone")));
            assert_eq!(read_by_a_phone(&written).trim_end(), url, "{term} {no_color}: {written}");
        }
    });
}

#[test]
fn what_is_no_terminal_gets_no_code() {
    in_own_network(|| {
        let server = Launch::bare(&["--listen", "10.99.0.1:0"]).expecting(1).start();
        server.wait_for_log("on a phone in this network");
        server.signal("TERM");
        let finished = server.finish();
        assert_eq!((finished.code, &*finished.stdout), (Some(0), ""), "{finished:?}");
    });
}
