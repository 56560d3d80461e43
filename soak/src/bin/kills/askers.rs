//! Those who ask and go: who posts, deletes, looks at the last message and the figures, or comes in, says nothing, and leaves.
//!
//! What must stay true: a post that was answered is in the log under its number, one that was refused is not, and of one that was not
//! answered nobody says anything.

use std::collections::{HashMap, HashSet};
use std::io::BufReader;
use std::net::TcpStream;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use soak::message::Name;
use soak::told::Who;
use soak::wire::{Answer, Broken, TIMEOUT, connect, join, next, request};

use crate::mark::Mark;
use crate::round::{CHANNELS, DELETED, IN_USE, Round};

/// What became of the messages of one who posts.
#[derive(Debug, Default)]
pub struct Posted {
    pub made: u32,
    pub answered: HashSet<u32>,
    pub refused: HashSet<u32>,
}

/// One who asks over HTTP, on a connection that stays as long as it can.
pub struct Asker<'a> {
    pub round: &'a Round,
    pub who: Who,
    pub channel: usize,
    pub socket: Option<BufReader<TcpStream>>,
    pub rng: Rng,
}

impl<'a> Asker<'a> {
    /// One of this name.
    pub fn new(round: &'a Round, who: Who, channel: usize, rng: Rng) -> Self {
        Self { round, who, channel, socket: None, rng }
    }

    /// Asks for something of the channel. Nothing comes where the connection has ended.
    pub fn ask(&mut self, method: &str, query: &str, lines: &str, body: &[u8]) -> Result<Option<Answer>, String> {
        let path = format!("{}{query}", CHANNELS[self.channel]);
        let asked = self.try_ask(method, &path, lines, body);
        let ends = asked.as_ref().is_ok_and(|answer| answer.header("Connection") == Some("close"));
        if asked.is_err() || ends || self.rng.u8(..20) == 0 {
            self.socket = None;
        }
        match asked {
            Ok(answer) => Ok(Some(answer)),
            Err(broken) => broken.sentence().map_or(Ok(None), |sentence| Err(format!("{method} {path}: {sentence}"))),
        }
    }

    fn try_ask(&mut self, method: &str, path: &str, lines: &str, body: &[u8]) -> Result<Answer, Broken> {
        let address = self.round.address(&mut self.rng);
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(BufReader::new(connect(address, TIMEOUT)?)),
        };
        request(socket, method, path, lines, body)
    }

    /// What is not as it should be.
    pub fn wrong<T>(&self, by: &'static str, what: &str) -> Result<T, String> {
        Err(format!("channel {}: {}: {what}", self.channel, self.round.book.told(self.who, by)))
    }
}

/// Posts messages, one after the other.
pub fn post(round: &Round, nth: usize, channel: usize, writer: u32, rng: Rng) -> Result<Posted, String> {
    let mut asker = Asker::new(round, Who("poster", nth), channel, rng);
    let mut posted = Posted::default();
    round.busy.fetch_add(1, Relaxed);
    while round.is_loaded() {
        if !round.book.has_room(channel) {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        posted.made += 1;
        let name = Name { writer, nth: posted.made };
        let kind = if name.is_binary() { "application/octet-stream" } else { "text/plain" };
        let since = round.book.mark(channel);
        let lines = format!("Content-Type: {kind}\r\n");
        let Some(answer) = asker.ask("POST", "", &lines, name.text().as_bytes())? else { continue };
        match answer.status {
            200 => {
                let told = round.book.told(asker.who, "the answer to its post");
                let json = answer.json().map_err(|_| format!("{told}: {answer:?}"))?;
                let (Some(epoch), Some(seq)) = (json["epoch"].as_str(), json["seq"].as_u64()) else {
                    return asker.wrong("the answer to its post", &json.to_string());
                };
                if answer.position() != Some((epoch, seq)) {
                    return asker.wrong("the answer to its post", &format!("{answer:?}"));
                }
                round.book.message(channel, (epoch, seq), (name.text().as_bytes(), name.is_binary()), told)?;
                round.book.head(channel, epoch, seq, &since, told)?;
                posted.answered.insert(name.nth);
            }
            503 => {
                posted.refused.insert(name.nth);
            }
            _ => return asker.wrong("the answer to its post", &format!("{answer:?}")),
        }
        thread::sleep(Duration::from_millis(asker.rng.u64(..4)));
    }
    round.busy.fetch_sub(1, Relaxed);
    Ok(posted)
}

/// Deletes the messages of a channel now and then.
pub fn delete(round: &Round, rng: Rng) -> Result<(), String> {
    let mut asker = Asker::new(round, Who("deleter", 0), DELETED, rng);
    while round.is_loaded() {
        thread::sleep(Duration::from_millis(asker.rng.u64(50..900)));
        // What came of the last one has to be known before the next, so that epochs are written down in their order.
        let Some(answer) = asker.ask("GET", "?status", "", b"")? else { continue };
        let since = Mark::unbound();
        note_figures(&asker, &answer, &since)?;
        if !round.book.has_room(DELETED) {
            continue;
        }
        let since = round.book.mark(DELETED);
        round.book.note_deletion(DELETED);
        let Some(answer) = asker.ask("DELETE", "", "", b"")? else { continue };
        let Some((epoch, 0)) = answer.position().filter(|_| answer.status == 200) else {
            if answer.status == 503 {
                continue;
            }
            return asker.wrong("the answer to a deletion", &format!("{answer:?}"));
        };
        let told = round.book.told(asker.who, "the answer to a deletion");
        round.book.head(DELETED, epoch, 0, &since.in_next_epoch(), told)?;
    }
    Ok(())
}

/// Looks at the last message of all channels, again and again.
pub fn look(round: &Round, nth: usize, rng: Rng) -> Result<(), String> {
    let mut asker = Asker::new(round, Who("looker", nth), 0, rng);
    // By its tag, which message of which channel is the last that was seen.
    let mut tags: HashMap<usize, (String, String, u64)> = HashMap::new();
    while !round.is_over() {
        thread::sleep(Duration::from_millis(asker.rng.u64(..6)));
        asker.channel = asker.rng.usize(..IN_USE);
        let channel = asker.channel;
        let since = round.book.mark(channel);
        let known = tags.get(&channel).filter(|_| asker.rng.bool()).cloned();
        let lines = known.as_ref().map_or_else(String::new, |(tag, ..)| format!("If-None-Match: {tag}\r\n"));
        let Some(answer) = asker.ask("GET", "?last", &lines, b"")? else { continue };
        let told = round.book.told(asker.who, "?last");
        match (answer.status, &known) {
            (200, _) => {
                let (Some((epoch, seq)), Some(tag)) = (answer.position(), answer.header("ETag")) else {
                    return asker.wrong("?last", &format!("{answer:?}"));
                };
                let is_binary = answer.header("Content-Type") == Some("application/octet-stream");
                round.book.message(channel, (epoch, seq), (&answer.body, is_binary), told)?;
                round.book.head(channel, epoch, seq, &since, told)?;
                if known.as_ref().is_some_and(|(its, ..)| its == tag) {
                    return asker.wrong("?last", &format!("the tag {tag} once more, and no 304"));
                }
                tags.insert(channel, (tag.to_owned(), epoch.to_owned(), seq));
            }
            (304, Some((_, epoch, seq))) => round.book.head(channel, epoch, *seq, &since, told)?,
            (204, _) if channel == DELETED || !since.has_messages() => {
                if let Some((epoch, seq)) = answer.position() {
                    round.book.head(channel, epoch, seq, &since, told)?;
                }
            }
            (503, _) => {}
            _ => return asker.wrong("?last", &format!("{answer:?}, although {since:?}")),
        }
    }
    Ok(())
}

/// Asks for the figures of all channels, and of the server, again and again.
pub fn watch(round: &Round, nth: usize, rng: Rng) -> Result<(), String> {
    let mut asker = Asker::new(round, Who("watcher", nth), 0, rng);
    while !round.is_over() {
        thread::sleep(Duration::from_millis(asker.rng.u64(..10)));
        asker.channel = asker.rng.usize(..IN_USE);
        let since = round.book.mark(asker.channel);
        let Some(answer) = asker.ask("GET", "?status", "", b"")? else { continue };
        note_figures(&asker, &answer, &since)?;
    }
    Ok(())
}

fn note_figures(asker: &Asker<'_>, answer: &Answer, since: &Mark) -> Result<(), String> {
    if answer.status == 503 {
        return Ok(());
    }
    let told = asker.round.book.told(asker.who, "?status");
    let Ok(status) = answer.json() else { return asker.wrong("?status", &format!("{answer:?}")) };
    match (status["epoch"].as_str(), status["head"].as_u64()) {
        (Some(epoch), Some(head)) => asker.round.book.head(asker.channel, epoch, head, since, told),
        _ if since.is_known() => {
            asker.wrong("?status", &format!("{status}: the channel is not there, although it was before ({since:?})"))
        }
        _ => Ok(()),
    }
}

/// Comes in, says nothing, and leaves, again and again; asks now and then what was taken of a connection that ended long ago.
pub fn come_and_go(round: &Round, nth: usize, mut rng: Rng) -> Result<(), String> {
    let who = Who("passer-by", nth);
    let mut last = HashMap::new();
    while !round.is_over() {
        thread::sleep(Duration::from_millis(rng.u64(..15)));
        let channel = rng.usize(..IN_USE);
        let counts = rng.u8(..4) > 0;
        let visited = visit(round, who, channel, counts, &mut last, &mut rng);
        if let Some(sentence) = visited.err().and_then(Broken::sentence) {
            return Err(sentence);
        }
    }
    Ok(())
}

/// One visit. `last` has the id of the last connection to each channel.
fn visit(
    round: &Round,
    who: Who,
    mut channel: usize,
    counts: bool,
    last: &mut HashMap<usize, String>,
    rng: &mut Rng,
) -> Result<(), Broken> {
    // Another's, whose messages were counted, or its own, which has said nothing.
    let ended = round.book.any_ended(rng).filter(|_| rng.bool());
    if let Some(ended) = &ended {
        channel = ended.channel;
    }
    let since = round.book.mark(channel);
    let own = last.get(&channel).filter(|_| ended.is_none() && counts).cloned();
    let replaces = ended.as_ref().map(|ended| ended.id.clone()).or_else(|| own.clone());
    let history = rng.u64(..4);
    let query = replaces.as_ref().map_or_else(String::new, |id| format!("&replaces={id}"));
    let path = format!("{}?history={history}{query}", CHANNELS[channel]);
    let mut socket = join(round.address(rng), &path, counts || ended.is_some(), TIMEOUT)?;
    if !counts && ended.is_none() {
        next(&mut socket)?;
        return Ok(());
    }
    let told = round.book.told(who, "a hello");
    let hello = next(&mut socket)?;
    let hello: Value = match hello.to_text().map(serde_json::from_str) {
        Ok(Ok(hello)) => hello,
        _ => return Err(Broken::Wrong(format!("{told}: {hello:?} is no hello"))),
    };
    let (Some(epoch), Some(seq), Some(head), Some(id)) =
        (hello["epoch"].as_str(), hello["seq"].as_u64(), hello["head"].as_u64(), hello["id"].as_str())
    else {
        return Err(Broken::Wrong(format!("{told}: {hello}")));
    };
    round.book.id(id, told)?;
    round.book.head(channel, epoch, head, &since, told)?;
    let expected = ended.as_ref().map(|ended| ended.taken).or(own.map(|_| 0));
    if expected.is_some() && hello["taken"].as_u64() != expected {
        let earlier = ended.map_or_else(
            || "it has said nothing".to_owned(),
            |ended| format!("{ended}; {} have come since", round.book.joins_since(&ended)),
        );
        let taken = &hello["taken"];
        return Err(Broken::Wrong(format!("channel {channel}: {told}: taken is {taken}, although {earlier}")));
    }
    if rng.bool() {
        last.insert(channel, id.to_owned());
    } else {
        last.remove(&channel);
    }
    if seq + history.min(head) != head {
        // Deleted meanwhile, or shorter: then there are as few as the hello says.
        if channel != DELETED && !round.book.has_lost(channel) {
            return Err(Broken::Wrong(format!(
                "channel {channel}: {told}: with history {history} it began with {hello}"
            )));
        }
    }
    for seq in seq + 1..=head {
        let message = next(&mut socket)?;
        if !message.is_text() && !message.is_binary() {
            break;
        }
        let is_binary = message.is_binary();
        let told = round.book.told(who, "the history");
        round.book.message(channel, (epoch, seq), (&message.into_data(), is_binary), told)?;
    }
    Ok(())
}
