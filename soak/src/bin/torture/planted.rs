//! What this tool must find, planted: scripts in place of the binary that spin, panic, end without a word, and let nobody in.
//!
//! What must stay true: each of them is found by what is wrong with it, on a machine however slow.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::case::{Case, From, Lasts, Target};
use crate::folder::Folder;
use crate::server_case::{self, Server};

/// A server in a few lines, which answers all that a visit wants to see. `after` is called when it has answered, and may do what is wrong.
const WELL: &str = r#"
import os, signal, socket, sys, threading, time, hashlib, base64
is_deaf = False
def aside(work):
    def again():
        while True: work()
    threading.Thread(target=again, daemon=True).start()
def answer(client):
    try:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(4096)
            if not piece: return
            head += piece
        ask(client, head)
    except OSError: pass
    finally: client.close()
def ask(client, head):
    method, path = head.split(b" ")[:2]
    if is_deaf: time.sleep(1000)
    if b"Upgrade: websocket" in head or b"upgrade: websocket" in head:
        key = [line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")][0]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        wish = b"Sec-WebSocket-Protocol: foghorn.v1\r\n" if b"foghorn.v1" in head else b""
        client.sendall(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n" + wish + b"\r\n")
        client.sendall(b"\x81\x05hello\x81\x04said")
        while client.recv(4096): pass
        return
    status, body = b"200 OK", b"posted"
    if path == b"/nothing": status = b"404 Not Found"
    client.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 6\r\n\r\n" + body)
    if path.endswith(b"?last"): after()
def listen(at):
    host, port = at.rsplit(":", 1)
    socket_ = socket.create_server((host, int(port)))
    def accept():
        while True:
            threading.Thread(target=answer, args=(socket_.accept()[0],), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
places = [sys.argv[nth + 1] for nth, word in enumerate(sys.argv) if word == "--listen"]
def stop(*_): os._exit(0)
signal.signal(signal.SIGTERM, stop)
[listen(at) for at in places]
"#;

/// How long the next visitor waits here.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is said of a server that does this behind a question that comes in the midst of a visit, and of which no call fails.
fn said_of(after: &str) -> Result<(), String> {
    static NTH: AtomicUsize = AtomicUsize::new(1000);
    let nth = NTH.fetch_add(1, Relaxed);
    let folder = Folder::new(false, nth + 10_000)?;
    let bin: PathBuf = folder.path().join("planted");
    let script = format!(
        "#!/usr/bin/python3\n{WELL}def after():\n    global is_deaf\n    {after}\nwhile True: signal.pause()\n"
    );
    fs::write(&bin, script).map_err(|error| error.to_string())?;
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
    let case = Case {
        target: Target::Memory,
        from: From::Serving,
        call: "accept4".to_owned(),
        errno: "ECONNABORTED",
        nth: 10_000,
        lasts: Lasts::Once,
    };
    let words = ["trace=accept4".to_owned(), case.injection()];
    let mut server = Server::start(&bin, case.target, nth, None)?;
    if after.contains("is_deaf") {
        server.patience = PATIENCE;
    }
    server_case::run(&mut server, &case, &words)
}

#[track_caller]
fn finds(after: &str, words: &str) {
    let found = said_of(after).expect_err("something is wrong with it");
    assert!(found.contains(words), "{found}");
}

#[test]
fn a_server_that_is_well_passes() {
    assert_eq!(said_of("pass"), Ok(()));
}

#[test]
fn one_that_ends_with_a_sentence_and_its_code_passes() {
    assert_eq!(said_of("print('foghorn: no more', file=sys.stderr, flush=True); os._exit(1)"), Ok(()));
}

#[test]
fn one_that_ends_without_a_sentence_is_found() {
    finds("os._exit(1)", "without a sentence");
}

#[test]
fn one_that_ends_as_if_all_were_well_is_found() {
    finds("print('foghorn: done', file=sys.stderr, flush=True); os._exit(0)", "nobody has asked it to");
}

#[test]
fn one_that_ends_with_a_code_that_nobody_knows_is_found() {
    finds("print('foghorn: no more', file=sys.stderr, flush=True); os._exit(7)", "ended with 7");
}

#[test]
fn one_that_is_killed_is_found() {
    finds("os.kill(os.getpid(), 11)", "signal 11");
}

#[test]
fn one_that_panics_and_goes_on_is_found() {
    finds("print(\"thread 'log' panicked at x.rs:1:1:\\nno\", file=sys.stderr, flush=True)", "panicked");
}

#[test]
fn one_that_serves_nobody_any_more_is_found() {
    finds("is_deaf = True", "the next visitor is not served");
}

#[test]
fn one_that_spins_is_found() {
    finds("aside(lambda: None)", "spins");
}

#[test]
fn one_that_asks_the_kernel_again_and_again_is_found() {
    finds("aside(lambda: time.sleep(0.002))", "spins");
}
