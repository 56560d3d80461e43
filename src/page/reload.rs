//! `--reload`: pages that wait for changes of the folder, and how they are told.
//!
//! Each has an event stream (the HTML standard, "Server-sent events") at the address of the script that asks for it. Leaves finding changes to `watching`,
//! and what a page does about them to `reload.js`. What must stay true: nothing is queued for a page, which is told the last change, or that there were
//! more; no page takes a client's place.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use serde_json::json;
use slab::Slab;
use smol::channel::Receiver;
use smol::future::{self, FutureExt, poll_fn};

use crate::config::limits::STREAM_INPUT_BYTES_MAX;
use crate::config::reload_limits::{CHANGED_PATHS_MAX, RELOAD_COME_BACK, RELOAD_STREAMS_MAX};
use crate::http::cors::Cors;
use crate::http::refusal::reason_phrase;
use crate::http::response::{self, write_all};
use crate::page::settling::Changes;
use crate::page::watching::Watching;
use crate::runtime::clock;
use crate::runtime::socket::Async;
use crate::runtime::tcp::TcpSocket;
use crate::runtime::timer::Timer;

/// What keeps a stream that has nothing to tell from being taken for dead.
const BEAT: &str = ":\n\n";

/// The pages that wait for changes.
#[derive(Debug)]
pub struct Reload {
    /// What tells this start of the server from any other.
    start: String,
    heartbeat: Option<Duration>,
    places_max: usize,
    state: RefCell<State>,
    changes: Receiver<Changes>,
    /// Ends with this.
    _watching: Watching,
}

#[derive(Debug)]
struct State {
    /// How many changes there were.
    count: u64,
    /// When the last one was, or the start.
    changed_at: Instant,
    /// It, as it is told.
    last: Rc<str>,
    /// How many heartbeats there were.
    beats: u64,
    is_stopped: bool,
    /// What wakes each of the pages.
    pages: Slab<Option<Waker>>,
}

/// What a page has been told.
#[derive(Debug, Clone, Copy)]
struct Told {
    count: u64,
    beats: u64,
}

impl Reload {
    /// Tells what comes from this thread.
    pub fn new(watching: Watching, changes: Receiver<Changes>, heartbeat: Option<Duration>) -> Self {
        let state = State {
            count: 0,
            changed_at: clock::now(),
            last: "".into(),
            beats: 0,
            is_stopped: false,
            pages: Slab::new(),
        };
        let start = format!("{:x}", fastrand::u64(..));
        let state = RefCell::new(state);
        Self { start, heartbeat, places_max: RELOAD_STREAMS_MAX, state, changes, _watching: watching }
    }

    /// With places for so many pages at a time.
    #[must_use]
    pub fn with_places(self, places_max: usize) -> Self {
        Self { places_max, ..self }
    }

    /// Takes changes in, and keeps streams alive, until nothing watches any more.
    pub async fn run(&self) {
        loop {
            let beat = async {
                match self.heartbeat {
                    Some(heartbeat) => Timer::after(heartbeat).await,
                    None => future::pending().await,
                }
                Ok(None)
            };
            let Ok(changes) = async { self.changes.recv().await.map(Some) }.or(beat).await else { return };
            let mut state = self.state.borrow_mut();
            match changes {
                Some(changes) => {
                    state.count += 1;
                    state.changed_at = clock::now();
                    state.last = self.change(state.count, &changes).into();
                }
                None => state.beats += 1,
            }
            state.wake_all();
        }
    }

    /// Ends all streams in order.
    pub fn stop(&self) {
        let mut state = self.state.borrow_mut();
        state.is_stopped = true;
        state.wake_all();
    }

    /// Tells a page of changes, until it or the server ends. One for which there is no place is told how things are, and when to come
    /// back.
    ///
    /// # Errors
    /// If the connection breaks, or the page reads nothing for long.
    pub async fn tell(&self, socket: &Async<TcpSocket>, cors: &Cors, may_wait: bool) -> io::Result<()> {
        let place = may_wait.then(|| Place::take(&self.state, self.places_max)).flatten();
        let mut told = self.state.borrow().all();
        let [soon, later] = RELOAD_COME_BACK;
        let come_back = if place.is_some() { soon } else { later };
        let head = head(cors) + &format!("retry: {}\n", come_back.as_millis()) + &self.hello();
        write_all(socket, head.as_bytes()).await?;
        let Some(place) = place else { return Ok(()) };
        if let Some(heartbeat) = self.heartbeat {
            socket.get_ref().set_user_timeout(2 * heartbeat);
        }
        let gone = async {
            wait_for_end(socket).await;
            None
        };
        let mut gone = std::pin::pin!(gone);
        loop {
            let news = async { self.news(&place, &mut told).await };
            let Some(news) = news.or(gone.as_mut()).await else { return Ok(()) };
            write_all(socket, news.as_bytes()).await?;
        }
    }

    /// What there is to tell, when there is something; `None` at the end.
    async fn news(&self, place: &Place<'_>, told: &mut Told) -> Option<Rc<str>> {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            if state.is_stopped {
                return Poll::Ready(None);
            }
            let before = std::mem::replace(told, state.all());
            let news = match state.count - before.count {
                0 if state.beats == before.beats => {
                    state.pages[place.index] = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                0 => BEAT.into(),
                1 => Rc::clone(&state.last),
                _ => self.change(state.count, &Changes::Everything).into(),
            };
            Poll::Ready(Some(news))
        })
        .await
    }

    /// The first event: which state of the folder this is, and how many milliseconds old.
    fn hello(&self) -> String {
        let State { count, changed_at, .. } = *self.state.borrow();
        let age = u64::try_from(clock::since(changed_at).as_millis()).unwrap_or(u64::MAX);
        event("hello", &json!({ "token": self.token(count), "age": age }))
    }

    /// A change: which state follows, and the paths, if it is known which and they are few.
    fn change(&self, count: u64, changes: &Changes) -> String {
        let [paths_max, bytes_max] = CHANGED_PATHS_MAX;
        let few = |paths: &&Vec<String>| {
            paths.len() <= paths_max && paths.iter().map(String::len).sum::<usize>() <= bytes_max
        };
        let paths = if let Changes::Paths(paths) = changes { Some(paths).filter(few) } else { None };
        event("change", &json!({ "token": self.token(count), "paths": paths }))
    }

    fn token(&self, count: u64) -> String {
        format!("{}:{count}", self.start)
    }
}

impl State {
    fn all(&self) -> Told {
        Told { count: self.count, beats: self.beats }
    }

    fn wake_all(&mut self) {
        self.pages.iter_mut().filter_map(|(_, waker)| waker.take()).for_each(Waker::wake);
    }
}

/// A page's place among those that wait.
#[derive(Debug)]
struct Place<'a> {
    state: &'a RefCell<State>,
    index: usize,
}

impl<'a> Place<'a> {
    fn take(state: &'a RefCell<State>, places_max: usize) -> Option<Self> {
        let pages = &mut state.borrow_mut().pages;
        (pages.len() < places_max).then(|| Self { state, index: pages.insert(None) })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.state.borrow_mut().pages.remove(self.index);
    }
}

fn head(cors: &Cors) -> String {
    response::begin(200, reason_phrase(200), false)
        + "Content-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n\
           X-Content-Type-Options: nosniff\r\n"
        + &cors.lines()
        + "\r\n"
}

/// JSON has no line breaks, so it is one line.
fn event(kind: &str, data: &serde_json::Value) -> String {
    format!("event: {kind}\ndata: {data}\n\n")
}

/// Waits until the client has ended the connection, or has sent more than anybody has to who waits.
async fn wait_for_end(socket: &Async<TcpSocket>) {
    let mut dropped_bytes = 0;
    while dropped_bytes < STREAM_INPUT_BYTES_MAX {
        socket.readable().await;
        match socket.try_read(|mut socket: &TcpSocket| socket.read(&mut [0; 1024])) {
            Ok(bytes @ 1..) => dropped_bytes += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => return,
        }
    }
}
