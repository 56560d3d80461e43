//! A small world: one client over a connection in memory, clocks that go only while nothing is to be done, and a folder as on a disk.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use smol::channel::{Receiver, Sender, bounded};

use super::chance::seed;
use super::clocks::{Clocks, set_clocks};
use super::disk::{Course, DiskStep};
use super::entered::enter;
use super::socket::{Listener, Socket, SocketOption};
use super::world::{Event, Readiness, World};
use crate::config::settings::{CodeSettings, Config, Limits};
use crate::server::run::{Ended, StartError, run};

const HEARTBEAT: Duration = Duration::from_secs(25);

/// Both directions of the connection.
#[derive(Debug, Default)]
struct Wire {
    to_server: RefCell<VecDeque<u8>>,
    to_client: RefCell<Vec<u8>>,
    key: Cell<Option<u64>>,
    has_news: Cell<bool>,
    options: RefCell<Vec<SocketOption>>,
    client_has_closed: Cell<bool>,
    server_has_ended: Cell<bool>,
    is_closed: Cell<bool>,
}

#[derive(Debug)]
struct ServersEnd(Rc<Wire>);

impl Wire {
    fn client_sends(&self, bytes: &[u8]) {
        self.to_server.borrow_mut().extend(bytes);
        self.has_news.set(true);
    }
}

impl Socket for ServersEnd {
    fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut waiting = self.0.to_server.borrow_mut();
        let bytes = waiting.len().min(into.len());
        if bytes == 0 && !self.0.client_has_closed.get() {
            return Err(ErrorKind::WouldBlock.into());
        }
        for (to, byte) in into.iter_mut().zip(waiting.drain(..bytes)) {
            *to = byte;
        }
        Ok(bytes)
    }

    fn send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut sent = self.0.to_client.borrow_mut();
        let before = sent.len();
        for slice in slices {
            sent.extend_from_slice(slice);
        }
        Ok(sent.len() - before)
    }

    fn shut_down_writing(&self) -> io::Result<()> {
        self.0.server_has_ended.set(true);
        Ok(())
    }

    fn local_addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], 1919).into()
    }

    fn take_error(&self) -> Option<io::Error> {
        None
    }

    fn set(&self, option: SocketOption) {
        self.0.options.borrow_mut().push(option);
    }

    fn registered(&self, key: u64) {
        self.0.key.set(Some(key));
        self.0.has_news.set(true);
    }

    fn deregistered(&self) {
        self.0.key.set(None);
    }
}

impl Drop for ServersEnd {
    fn drop(&mut self) {
        self.0.is_closed.set(true);
    }
}

/// What the client does, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Connect,
    Greet,
    Speak,
    Hear,
    Answer { pings: u32 },
    Leave,
    Nothing,
}

struct SmallWorld {
    now: Cell<Duration>,
    killed_at: Option<Duration>,
    listener_key: Cell<Option<u64>>,
    arrived: Cell<bool>,
    wire: Rc<Wire>,
    next: Cell<Next>,
    /// What was told, and when.
    story: RefCell<Vec<(Duration, String)>>,
    steps: Cell<usize>,
    worker: RefCell<Option<Box<dyn FnMut() -> bool>>>,
    stop: Sender<()>,
}

impl SmallWorld {
    /// A world, and the stream that stops the server in it.
    fn new(killed_at: Option<Duration>) -> (Rc<Self>, Receiver<()>) {
        let (stop, stopped) = bounded(1);
        let world = Rc::new(Self {
            now: Cell::default(),
            killed_at,
            listener_key: Cell::default(),
            arrived: Cell::default(),
            wire: Rc::default(),
            next: Cell::new(Next::Connect),
            story: RefCell::default(),
            steps: Cell::default(),
            worker: RefCell::default(),
            stop,
        });
        (world, stopped)
    }

    fn set_clocks(&self) {
        let now = self.now.get();
        set_clocks(Clocks { monotonic: now, boot: now, unix: Duration::from_secs(1_764_000_000) + now });
    }

    /// What has come, if all of it has.
    fn take_told(&self, is_all: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let mut told = self.wire.to_client.borrow_mut();
        if !is_all(&told) {
            return None;
        }
        self.story.borrow_mut().push((self.now.get(), format!("{:?}", String::from_utf8_lossy(&told))));
        Some(std::mem::take(&mut *told))
    }

    /// The client's next step, if it is due. False: it waits.
    fn step(&self) -> bool {
        let wire = &self.wire;
        let next = match self.next.get() {
            Next::Connect => {
                self.arrived.set(true);
                wire.client_sends(
                    b"GET / HTTP/1.1\r\nHost: 127.0.0.1:1919\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    Sec-WebSocket-Protocol: foghorn.v1\r\n\r\n",
                );
                Some(Next::Greet)
            }
            Next::Greet => self.take_told(|told| told.ends_with(b"}")).map(|_| Next::Speak),
            Next::Speak => {
                wire.client_sends(b"\x81\x83\0\0\0\0fog");
                Some(Next::Hear)
            }
            Next::Hear => self.take_told(|told| told == b"\x81\x03fog").map(|_| Next::Answer { pings: 0 }),
            Next::Answer { pings } => self.take_told(|told| told == b"\x89\0").map(|_| {
                wire.client_sends(b"\x8a\x80\0\0\0\0");
                if pings == 2 {
                    self.stop.try_send(()).unwrap();
                    return Next::Leave;
                }
                Next::Answer { pings: pings + 1 }
            }),
            Next::Leave => self.take_told(|told| told.starts_with(b"\x88")).map(|told| {
                assert_eq!(told[2..4], 1001_u16.to_be_bytes());
                wire.client_sends(b"\x88\x82\0\0\0\0\x03\xe9");
                wire.client_has_closed.set(true);
                Next::Nothing
            }),
            Next::Nothing => None,
        };
        next.inspect(|next| self.next.set(*next)).is_some()
    }
}

impl World for SmallWorld {
    fn wait(&self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        loop {
            let readiness = Readiness { readable: true, writable: true, ..Readiness::default() };
            if let (true, Some(key)) = (self.arrived.get(), self.listener_key.get()) {
                self.listener_key.set(None);
                events.push(Event { key, readiness });
            }
            if let (true, Some(key)) = (self.wire.has_news.get(), self.wire.key.get()) {
                self.wire.has_news.set(false);
                events.push(Event { key, readiness });
            }
            let has_worked = self.worker.borrow_mut().as_mut().is_some_and(|worker| worker());
            if !events.is_empty() || has_worked || timeout == Some(Duration::ZERO) {
                return Ok(());
            }
            if self.step() {
                continue;
            }
            if !self.stop.is_empty() {
                return Ok(());
            }
            self.now.set(self.now.get() + timeout.ok_or(ErrorKind::TimedOut)?);
            self.set_clocks();
            let is_killed = self.killed_at.is_some_and(|at| at <= self.now.get());
            return if is_killed { Err(io::Error::other("killed")) } else { Ok(()) };
        }
    }

    fn accept(&self, _: usize) -> io::Result<(Rc<dyn Socket>, SocketAddr)> {
        if self.arrived.replace(false) {
            Ok((Rc::new(ServersEnd(Rc::clone(&self.wire))), ([192, 168, 0, 7], 40000).into()))
        } else {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    fn listens(&self, listener: usize, key: u64) {
        assert_eq!(listener, 0);
        self.listener_key.set(Some(key));
    }

    fn listens_no_more(&self, _: usize) {
        self.listener_key.set(None);
    }

    fn disk_step(&self, _: DiskStep) -> io::Result<Course> {
        self.steps.set(self.steps.get() + 1);
        Ok(Course::Done)
    }

    fn is_on_disk(&self) -> bool {
        true
    }

    fn free_bytes(&self) -> u64 {
        1 << 30
    }

    fn employ(&self, worker: Box<dyn FnMut() -> bool>) {
        self.worker.replace(Some(worker));
    }

    fn boot_id(&self) -> String {
        "simulated".into()
    }
}

fn config(state: &Path) -> Config {
    Config {
        listen: Vec::new(),
        greeting: String::new(),
        echo: true,
        history: 0,
        www: None,
        list_folders: false,
        reload: false,
        state: Some(state.to_owned()),
        redis: None,
        notice: None,
        allow_hosts: Vec::new(),
        allow_origins: Vec::new(),
        codes: CodeSettings::default(),
        log_level: log::LevelFilter::Off,
        limits: Limits {
            message_bytes_max: 1 << 16,
            backlog_bytes: 1 << 18,
            channels_max: 4,
            channel_backlog_bytes: 1 << 18,
            patience: Duration::from_secs(2),
            clients_max: 100,
            clients_per_ip_max: Some(10),
            heartbeat: Some(HEARTBEAT),
        },
    }
}

/// A life of a server in this folder: how it ended, and its world.
fn live(state: &Path, killed_at: Option<Duration>) -> (Result<Ended, StartError>, Rc<SmallWorld>) {
    let (world, stopped) = SmallWorld::new(killed_at);
    let entered = enter(Rc::<SmallWorld>::clone(&world));
    seed(7);
    world.set_clocks();
    let listener = Listener { nth: 0, address: ([127, 0, 0, 1], 1919).into() };
    let ended = run(vec![listener], config(state), Box::pin(stopped));
    drop(entered);
    (ended, world)
}

#[test]
fn a_server_lives_in_a_world_from_its_start_to_its_end_and_every_time_the_same() {
    let mut stories = BTreeSet::new();
    for _ in 0..3 {
        let within = tempfile::tempdir().unwrap();
        let (ended, world) = live(&within.path().join("state"), None);
        assert_eq!(ended.unwrap(), Ended::Drained);
        assert_eq!(world.next.get(), Next::Nothing);
        assert!(world.now.get() >= 3 * HEARTBEAT, "{:?}", world.now.get());
        assert!(world.wire.server_has_ended.get() && world.wire.is_closed.get() && world.wire.key.get().is_none());
        assert!(world.wire.options.borrow().contains(&SocketOption::NoDelay));
        assert!(world.steps.get() > 5, "nothing is kept");
        stories.insert((world.now.get(), world.steps.get(), world.story.take()));
    }
    assert_eq!(stories.len(), 1, "{stories:#?}");
}

#[test]
fn a_server_that_is_killed_leaves_its_folder_to_the_next_and_nothing_else() {
    let within = tempfile::tempdir().unwrap();
    let state = within.path().join("state");
    let (ended, killed) = live(&state, Some(HEARTBEAT));
    assert!(matches!(ended, Err(StartError::Unavailable(_))));
    assert!(killed.wire.is_closed.get() && killed.listener_key.get().is_none());
    let (ended, next) = live(&state, None);
    assert_eq!(ended.unwrap(), Ended::Drained);
    let epoch = |world: &SmallWorld| {
        let hello = world.story.borrow()[0].1.clone();
        hello.split("epoch").nth(1).unwrap()[..16].to_owned()
    };
    assert_eq!(epoch(&killed), epoch(&next), "what was said is there");
    assert!(next.story.borrow()[0].1.contains("\\\"seq\\\":1"), "{:?}", next.story);
}
