//! Honest clients beside what a test is about.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::client::Client;
use super::server::Server;

/// Two honest clients that talk while a third one does what a test is about. They must not notice anything of it.
pub struct Bystanders {
    stop: Arc<AtomicBool>,
    speaker: JoinHandle<()>,
    listener: JoinHandle<()>,
}

impl Bystanders {
    pub fn start(server: &Server) -> Self {
        let (mut speaker, mut listener) = (server.join(), server.join());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let speaker = thread::spawn(move || {
            for round in 0.. {
                let is_last = stopped.load(Ordering::SeqCst);
                let said = format!("bystander {round}{}", if is_last { " says goodbye" } else { "" });
                speaker.send_text(&said);
                assert_eq!(next_said(&mut speaker), said, "lost, repeated or out of order");
                if is_last {
                    return;
                }
                // So that the talk does not take the machine from the test.
                thread::sleep(Duration::from_millis(2));
            }
        });
        // In a thread of its own: whoever does not read holds up the others, and must not be one of these two.
        let listener = thread::spawn(move || {
            for round in 0.. {
                let heard = next_said(&mut listener);
                let expected = format!("bystander {round}");
                assert_eq!(heard.trim_end_matches(" says goodbye"), expected, "lost, repeated or out of order");
                if heard != expected {
                    return;
                }
            }
        });
        Self { stop, speaker, listener }
    }

    /// Has them talk once more, and fails if they have missed anything.
    pub fn finish(self) {
        self.stop.store(true, Ordering::SeqCst);
        for bystander in [self.speaker, self.listener] {
            bystander.join().expect("the bystanders were not disturbed");
        }
    }
}

/// The next message of the bystanders. Those of others are passed over.
fn next_said(client: &mut Client) -> String {
    let mut frames = std::iter::repeat_with(|| client.frame());
    let heard = frames.find(|frame| frame.payload.starts_with(b"bystander")).expect("the iterator has no end");
    String::from_utf8(heard.payload).unwrap()
}
