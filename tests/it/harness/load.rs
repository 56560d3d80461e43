//! Clients that are many, slow or restless, and what they send.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::client::{Client, GREETING};
use super::http::request_head;
use super::server::Server;

/// A thread that does something until it is told to stop, or until it cannot any more.
pub struct Loop {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Loop {
    pub fn start(mut turn: impl FnMut() -> std::io::Result<()> + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || while !stopped.load(Ordering::SeqCst) && turn().is_ok() {});
        Self { stop, thread }
    }

    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("the thread has not failed");
    }

    pub fn is_over(&self) -> bool {
        self.thread.is_finished()
    }
}

/// A client that reads nothing, and whose kernel takes little for it.
pub fn sleeper(server: &Server) -> Client {
    let mut sleeper = Client::connect_narrow(server.address(), 4096);
    sleeper.upgrade(server.address(), "/", "");
    assert_eq!(sleeper.text(), GREETING);
    sleeper
}

/// Asks for the large file, and reads no more than the head of the answer.
pub fn ask_for_large_file(mut visitor: Client, server: &Server) -> Client {
    visitor.send(request_head(server.address(), "GET", "/large.bin", "").as_bytes());
    assert_eq!(visitor.response(true).status, 200);
    visitor
}

/// Messages that carry their number.
pub fn numbered(number: u32, len: usize) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(len, number.to_le_bytes()[0]);
    payload
}

/// Publishes numbered messages from a thread of its own.
pub fn publish_numbered(server: &Server, count: u32, len: usize) -> JoinHandle<Client> {
    let mut speaker = Client::join_at(server.address(), "/?echo=0");
    thread::spawn(move || {
        for number in 0..count {
            speaker.send_binary(&numbered(number, len));
        }
        speaker
    })
}

/// Reads so many of them, and sees to it that nothing else comes between.
pub fn expect_numbered(client: &mut Client, count: u32, len: usize) {
    for number in 0..count {
        assert!(client.binary() == numbered(number, len), "message {number}");
    }
}

/// So that this process can be more clients than its usual limit allows.
pub fn raise_own_limit() {
    let limit = rlimit::increase_nofile_limit(20_000).expect("the limit of open files can be raised");
    assert!(limit >= 4096, "this test needs 4,096 open files: raise the hard limit (ulimit -Hn), which is {limit}");
}
