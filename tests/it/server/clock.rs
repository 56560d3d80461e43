//! The clock of the day is set a year forth and back while clients are connected: a board has no battery for it, and is told the time
//! by the network, when it has one. The server's other clocks are the machine's.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::UNIX_EPOCH;

use tempfile::NamedTempFile;

use crate::harness::{FIN, Launch, Loop, PING, PONG, Server, Stream, eventually, get, masked, post};

const YEAR_SECS: i64 = 365 * 86_400;
/// How far from what it should be a moment may be: the test is held up, but not for days.
const NEAR_SECS: i64 = 86_400;

/// The clock of the day of one server: a program between it and the kernel adds to it what a file says.
struct DayClock(NamedTempFile);

impl DayClock {
    fn new() -> Self {
        let clock = Self(NamedTempFile::new().unwrap());
        clock.set("+0");
        clock
    }

    fn set(&self, shift: &str) {
        fs::write(self.0.path(), shift).unwrap();
    }

    fn of(&self, launch: Launch) -> Launch {
        // The loader fills in where libraries of this machine are (`ld.so(8)`).
        launch
            .before("export LD_PRELOAD='/usr/$LIB/faketime/libfaketime.so.1'")
            .env("FAKETIME_TIMESTAMP_FILE", self.0.path())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}

/// How long ago the last message was published, by its age and by the moment that the server's clock of the day gives it, in seconds of ours.
fn last_published_secs_ago(server: &Server) -> (i64, i64) {
    let mut stream = Stream::open(server, "/?as=json&history=1&count=1");
    let [_, message] = [stream.json(), stream.json()];
    let at = message["at"].as_i64().expect("a message has its moment");
    let now = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let age = get(server.address(), "/?last").header("Age").expect("its age").parse().unwrap();
    (age, now - at)
}

#[test]
fn the_clock_of_the_day_is_set_and_who_answers_stays_who_does_not_goes_and_ages_are_as_they_were() {
    let clock = DayClock::new();
    let server = clock.of(Launch::new(&["--heartbeat", "300ms"])).start();
    let answered = Arc::<AtomicU32>::default();
    let (mut client, counted) = (server.join(), Arc::clone(&answered));
    let answering = Loop::start(move || {
        let frame = client.try_frame()?;
        if frame.opcode == PING {
            client.try_send(&masked(FIN | PONG, &frame.payload))?;
            counted.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    });
    assert_eq!(post(&server, "/", "", b"said before").status, 200);
    for (times, (shift, shift_secs)) in [("+365d", YEAR_SECS), ("-365d", -YEAR_SECS), ("+0", 0)].into_iter().enumerate()
    {
        clock.set(shift);
        let (age, ago) = last_published_secs_ago(&server);
        assert!((0..NEAR_SECS).contains(&age), "{shift}: it is {age} s old");
        assert!((ago + shift_secs).abs() < NEAR_SECS, "{shift}: it was published {ago} s ago");
        let before = answered.load(Ordering::SeqCst);
        let mut silent = server.join();
        while silent.try_frame().is_ok() {}
        server.wait_for_figure("/closed/silent", times as u64 + 1);
        eventually("who answers goes on to be asked", || answered.load(Ordering::SeqCst) >= before + 2);
        assert_eq!(server.figure("/clients"), 1, "{shift}");
        assert_eq!(post(&server, "/", "", shift.as_bytes()).status, 200);
    }
    assert!(!answering.is_over());
    drop(server);
    answering.stop();
}
