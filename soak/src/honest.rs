//! The honest clients: publishers who number their messages, receivers who check that every one of them comes once and in
//! order, some of whom break off and resume all the time, and a visitor who loads pages.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;
use tungstenite::protocol::Message;
use tungstenite::{Error, WebSocket};

use crate::server::{Server, TIMEOUT};

const PUBLISHERS: usize = 3;
const RECEIVERS: usize = 4;
const RESUMERS: usize = 4;
/// Messages of one publisher in a second.
const MESSAGES_PER_SEC: u32 = 150;
/// How long a client that waits for the next message looks up, to see whether it should do something else.
const LOOK_UP: Duration = Duration::from_millis(5);
/// A message that takes longer says that the server stood still for longer than any patience explains.
const SLOWEST_MESSAGE: Duration = Duration::from_secs(15);

/// What they have seen together.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    /// Messages published.
    pub sent: u64,
    /// Messages received and found to be the right ones.
    pub checked: u64,
    /// Times that a client has come back and found its place.
    pub resumed: u64,
    /// Pages loaded.
    pub pages: u64,
    /// The longest way of a message.
    pub slowest_message: Duration,
    /// The longest time of a page load.
    pub slowest_page: Duration,
}

/// What they share.
struct Common<'a> {
    server: &'a Server,
    began: Instant,
    /// How much each publisher has sent.
    sent: [AtomicU64; PUBLISHERS],
    /// The publishers are done, so what they have sent is all there will be.
    is_all_sent: AtomicBool,
    /// Somebody has failed: the others need not go on.
    is_over: AtomicBool,
    /// What the message of each number is, as the first resumer to see it says.
    numbered: Mutex<HashMap<u64, u64>>,
}

/// They work until then; after that the receivers take what is theirs.
///
/// # Errors
/// What is not as it should be.
pub fn run(server: &Server, until: Instant, mut rng: Rng) -> Result<Seen, String> {
    let common = Common {
        server,
        began: Instant::now(),
        sent: Default::default(),
        is_all_sent: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
        numbered: Mutex::default(),
    };
    let common = &common;
    // All receivers are there before the first message.
    let receivers = (0..RECEIVERS + RESUMERS).map(|nth| Receiver::join(common, nth >= RECEIVERS, rng.fork()));
    let receivers = receivers.collect::<Result<Vec<_>, _>>()?;
    thread::scope(|scope| {
        let receivers: Vec<_> =
            receivers.into_iter().map(|receiver| scope.spawn(|| common.unless_over(receiver.run()))).collect();
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|nth| (nth, rng.fork()))
            .map(|(nth, rng)| scope.spawn(move || common.unless_over(publish(common, nth, until, rng))))
            .collect();
        let visitor = scope.spawn(|| common.unless_over(visit(common, until)));
        let join = |handle: thread::ScopedJoinHandle<'_, Result<Seen, String>>| {
            handle.join().unwrap_or_else(|_| Err("an honest client has panicked; see above".to_owned()))
        };
        let mut all: Vec<_> = publishers.into_iter().map(join).collect();
        common.is_all_sent.store(true, Relaxed);
        all.push(join(visitor));
        all.extend(receivers.into_iter().map(join));
        // The first failure, and not that others then stopped.
        all.into_iter().collect::<Result<Vec<_>, _>>().map(|seen| seen.into_iter().fold(Seen::default(), Seen::and))
    })
}

impl Seen {
    fn and(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            checked: self.checked + other.checked,
            resumed: self.resumed + other.resumed,
            pages: self.pages + other.pages,
            slowest_message: self.slowest_message.max(other.slowest_message),
            slowest_page: self.slowest_page.max(other.slowest_page),
        }
    }
}

impl Common<'_> {
    fn unless_over(&self, result: Result<Seen, String>) -> Result<Seen, String> {
        if result.is_err() {
            self.is_over.store(true, Relaxed);
        }
        result
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).expect("it is not so long")
    }
}

/// The next message, or `None` when it is time to look up.
fn read(client: &mut WebSocket<TcpStream>, who: &str) -> Result<Option<Message>, String> {
    match client.read() {
        Ok(Message::Close(close)) => {
            Err(format!("{who} was closed with {:?}", close.map(|close| (close.code, close.reason))))
        }
        Ok(message) => Ok(Some(message)),
        Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
        Err(error) => Err(format!("{who} has lost its connection: {error}")),
    }
}

/// Sends numbered messages at a steady rate, most of them small, and reads what others say. Every second one hears
/// itself too.
fn publish(common: &Common<'_>, nth: usize, until: Instant, mut rng: Rng) -> Result<Seen, String> {
    let who = format!("publisher {nth}");
    let mut client = common.server.join(if nth % 2 == 0 { "/?echo=0" } else { "/" }, None)?;
    let timeout = client.get_ref().set_read_timeout(Some(LOOK_UP));
    timeout.map_err(|error| error.to_string())?;
    let mut next = Instant::now();
    let mut sent = 0;
    while Instant::now() < until && !common.is_over.load(Relaxed) {
        if Instant::now() >= next {
            next += Duration::from_secs(1) / MESSAGES_PER_SEC;
            sent += 1;
            let padding = if rng.u8(..50) == 0 { rng.usize(..10_000) } else { rng.usize(..200) };
            let text = format!("honest {nth} {sent} {} {}", common.micros(), ".".repeat(padding));
            client.send(Message::text(text)).map_err(|error| format!("{who} cannot send: {error}"))?;
            common.sent[nth].store(sent, Relaxed);
        } else {
            while read(&mut client, &who)?.is_some() && Instant::now() < next {}
        }
    }
    // What was sent before a Close is taken before it: when the answer is here, everything is in.
    let _ = client.close(None);
    let deadline = Instant::now() + TIMEOUT;
    while Instant::now() < deadline {
        match client.read() {
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Ok(Seen { sent, ..Seen::default() }),
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(format!("{who} was not let go in order: {error}")),
            Ok(_) => {}
        }
    }
    Err(format!("{who} has got no answer to its goodbye"))
}

/// Loads the page and the status, again and again.
fn visit(common: &Common<'_>, until: Instant) -> Result<Seen, String> {
    let mut seen = Seen::default();
    while Instant::now() < until && !common.is_over.load(Relaxed) {
        let began = Instant::now();
        let path = if seen.pages % 2 == 0 { "/" } else { "/status" };
        common.server.get(path)?;
        seen.pages += 1;
        seen.slowest_page = seen.slowest_page.max(began.elapsed());
        thread::sleep(Duration::from_millis(100));
    }
    Ok(seen)
}

/// One who checks what comes.
struct Receiver<'a> {
    common: &'a Common<'a>,
    client: WebSocket<TcpStream>,
    /// For one that resumes: where it is.
    resuming: Option<Position>,
    /// The number of the last message of each publisher.
    last: [u64; PUBLISHERS],
    rng: Rng,
    seen: Seen,
}

#[derive(Debug, Clone)]
struct Position {
    epoch: String,
    seq: u64,
    id: String,
    /// When it next breaks off.
    breaks_off: Instant,
}

impl<'a> Receiver<'a> {
    fn join(common: &'a Common<'a>, resumes: bool, rng: Rng) -> Result<Self, String> {
        let client = common.server.join("/", resumes.then_some("foghorn.v1"))?;
        let mut receiver = Self { common, client, resuming: None, last: [0; PUBLISHERS], rng, seen: Seen::default() };
        let greeting = read(&mut receiver.client, "a receiver")?.ok_or("a receiver was not greeted")?;
        if resumes {
            receiver.resuming = Some(receiver.position(&greeting)?);
        }
        let timeout = receiver.client.get_ref().set_read_timeout(Some(LOOK_UP));
        timeout.map_err(|error| error.to_string())?;
        Ok(receiver)
    }

    /// Reads the first frame of the server to a client that resumes.
    fn position(&mut self, greeting: &Message) -> Result<Position, String> {
        let text = greeting.to_text().map_err(|error| error.to_string())?;
        let hello: Value = serde_json::from_str(text).map_err(|error| format!("{text:?}: {error}"))?;
        let string = |name: &str| hello[name].as_str().unwrap_or_default().to_owned();
        let seq = hello["seq"].as_u64().ok_or("the hello has no seq")?;
        if let Some(before) = &self.resuming {
            if hello["lost"] != 0 || string("epoch") != before.epoch || seq != before.seq {
                return Err(format!("coming back after {}, a receiver was told {text}", before.seq));
            }
        }
        let breaks_off = Instant::now() + Duration::from_millis(self.rng.u64(50..2000));
        Ok(Position { epoch: string("epoch"), seq, id: string("id"), breaks_off })
    }

    fn run(mut self) -> Result<Seen, String> {
        let mut deadline = None;
        while !self.has_all() {
            if self.common.is_over.load(Relaxed) {
                return Ok(self.seen);
            }
            if self.common.is_all_sent.load(Relaxed) {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + TIMEOUT);
                if Instant::now() > deadline {
                    let sent = self.common.sent.each_ref().map(|sent| sent.load(Relaxed));
                    return Err(format!("a receiver has got up to {:?} of {sent:?}", self.last));
                }
            }
            if self.resuming.as_ref().is_some_and(|position| Instant::now() > position.breaks_off) {
                self.come_back()?;
            }
            if let Some(message) = read(&mut self.client, "a receiver")? {
                self.check(&message)?;
            }
        }
        let _ = self.client.close(None);
        Ok(self.seen)
    }

    fn has_all(&self) -> bool {
        let sent = self.common.sent.each_ref().map(|sent| sent.load(Relaxed));
        self.common.is_all_sent.load(Relaxed) && self.last == sent
    }

    fn check(&mut self, message: &Message) -> Result<(), String> {
        if message.is_ping() || message.is_pong() {
            return Ok(());
        }
        if let Some(position) = &mut self.resuming {
            position.seq += 1;
            let mut hasher = DefaultHasher::new();
            message.clone().into_data().hash(&mut hasher);
            let its = hasher.finish();
            let mut numbered = self.common.numbered.lock().unwrap_or_else(PoisonError::into_inner);
            if *numbered.entry(position.seq).or_insert(its) != its {
                return Err(format!("two receivers see different messages number {}", position.seq));
            }
        }
        let Some(("honest", rest)) = message.to_text().ok().and_then(|text| text.split_once(' ')) else {
            return Ok(());
        };
        let mut words = rest.split(' ').map(str::parse::<u64>);
        let (Some(Ok(publisher)), Some(Ok(number)), Some(Ok(micros))) = (words.next(), words.next(), words.next())
        else {
            return Err(format!("{:?} is not what was sent", &rest[..rest.len().min(60)]));
        };
        let last = &mut self.last[usize::try_from(publisher).expect("a few")];
        if number != *last + 1 {
            return Err(format!("after message {last} of publisher {publisher} comes {number}"));
        }
        *last = number;
        self.seen.checked += 1;
        let way = Duration::from_micros(self.common.micros().saturating_sub(micros));
        // Coming back, it has been away for a while.
        if self.resuming.is_none() {
            self.seen.slowest_message = self.seen.slowest_message.max(way);
        }
        if way > SLOWEST_MESSAGE {
            return Err(format!("a message took {} s", way.as_secs()));
        }
        Ok(())
    }

    /// Breaks off, in one of the ways in which phones do, and resumes.
    fn come_back(&mut self) -> Result<(), String> {
        let position = self.resuming.clone().expect("only those who resume");
        let says_goodbye = self.rng.bool();
        let replaces = if self.rng.bool() { format!("&replaces={}", position.id) } else { String::new() };
        if says_goodbye {
            let _ = self.client.close(None);
        }
        thread::sleep(Duration::from_millis(self.rng.u64(..300)));
        let path = format!("/?after={}:{}{replaces}", position.epoch, position.seq);
        // The old connection goes with the value that is replaced, after the new one has joined.
        self.client = self.common.server.join(&path, Some("foghorn.v1"))?;
        let greeting = read(&mut self.client, "a receiver")?.ok_or("a receiver that came back was not greeted")?;
        self.resuming = Some(self.position(&greeting)?);
        self.seen.resumed += 1;
        let timeout = self.client.get_ref().set_read_timeout(Some(LOOK_UP));
        timeout.map_err(|error| error.to_string())
    }
}
