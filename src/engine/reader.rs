//! The thread that reads on: whatever is appended to a channel, by whichever board, comes from here.
//!
//! Leaves it to `read_plan` how much is read at a time, and to the hub what an entry means. What must stay true: entries of a stream come in
//! its order, each once, and nothing is read while what was read before waits to be taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use smol::channel::{Receiver, Sender, TryRecvError};

use crate::config::limits::REDIS_BLOCK;
use crate::config::redis_url::RedisUrl;
use crate::engine::answer_reading;
use crate::engine::command::Commands;
use crate::engine::connection::Connection;
use crate::engine::entry::{Entry, EntryId};
use crate::engine::keys::Keys;
use crate::engine::order::{ReadEvent, ReadOrder};
use crate::engine::problem;
use crate::engine::read_plan::{Ask, ReadPlan};
use crate::hub::channel_name::ChannelName;

/// What the thread has.
#[derive(Debug)]
pub struct Reader {
    /// Where Redis is.
    pub url: RedisUrl,
    /// The names of keys there.
    pub keys: Keys,
    /// What it is asked for.
    pub orders: Receiver<ReadOrder>,
    /// Whether it was woken for orders that it has not looked for yet.
    pub is_woken: Arc<AtomicBool>,
    /// Where what was read goes.
    pub events: Sender<ReadEvent>,
}

/// One connection that reads.
struct Session {
    connection: Connection,
    plan: ReadPlan,
    number: u64,
    /// Whether something was answered.
    has_begun: bool,
    /// How far the stream is read by which this reader is woken.
    woken: EntryId,
}

/// What to begin with.
type Begin = (u64, Vec<(ChannelName, EntryId)>);

/// Why a connection reads no longer.
enum Ended {
    /// It is broken, or was refused something.
    Broken(String),
    /// It is to begin anew.
    Anew(Begin),
    /// There is nobody any more who reads.
    Over,
}

impl Reader {
    /// Works until the end of the orders.
    pub fn run(self) {
        let mut next = self.wait();
        while let Some((number, streams)) = next {
            let session = Session::open(&self.url, number, streams);
            match session.map_or_else(Ended::Broken, |mut session| self.read(&mut session)) {
                Ended::Broken(sentence) => {
                    if self.events.send_blocking(ReadEvent::Down(number, sentence)).is_err() {
                        return;
                    }
                    next = self.wait();
                }
                Ended::Anew(begin) => next = Some(begin),
                Ended::Over => return,
            }
        }
    }

    /// Waits for the next beginning. What is asked for before it, it says again.
    fn wait(&self) -> Option<Begin> {
        loop {
            self.is_woken.store(false, Ordering::SeqCst);
            match self.orders.recv_blocking() {
                Ok(ReadOrder::Begin(number, streams)) => return Some((number, streams)),
                Ok(ReadOrder::Read(..) | ReadOrder::Leave(_)) => {}
                Ok(ReadOrder::End) | Err(_) => return None,
            }
        }
    }

    fn read(&self, session: &mut Session) -> Ended {
        loop {
            if let Some(ended) = self.follow_orders(&mut session.plan) {
                return ended;
            }
            let mut ask = session.plan.next();
            // The first answer comes at once.
            ask.is_blocking &= session.has_begun;
            let came = match session.ask(&ask, &self.keys) {
                Ok(came) => came,
                Err(sentence) => return Ended::Broken(sentence),
            };
            session.plan.note(&ask, &came);
            if !session.has_begun {
                session.has_begun = true;
                if self.events.send_blocking(ReadEvent::Begun(session.number)).is_err() {
                    return Ended::Over;
                }
            }
            if came.is_empty() {
                continue;
            }
            let behind = |channel: &ChannelName| {
                ask.streams.iter().find(|(asked, _)| asked == channel).map(|(_, position)| *position)
            };
            let parts = came.into_iter().filter_map(|(channel, entries)| Some((behind(&channel)?, channel, entries)));
            let parts = parts.map(|(behind, channel, entries)| (channel, behind, entries)).collect();
            if self.events.send_blocking(ReadEvent::Entries(session.number, parts)).is_err() {
                return Ended::Over;
            }
        }
    }

    /// Does what has been asked for by now.
    fn follow_orders(&self, plan: &mut ReadPlan) -> Option<Ended> {
        // Before it is looked: who gives an order from here on wakes it once more.
        self.is_woken.store(false, Ordering::SeqCst);
        loop {
            match self.orders.try_recv() {
                Ok(ReadOrder::Begin(number, streams)) => return Some(Ended::Anew((number, streams))),
                Ok(ReadOrder::Read(channel, position)) => plan.read(channel, position),
                Ok(ReadOrder::Leave(channel)) => plan.leave(&channel),
                Ok(ReadOrder::End) | Err(TryRecvError::Closed) => return Some(Ended::Over),
                Err(TryRecvError::Empty) => return None,
            }
        }
    }
}

impl Session {
    fn open(url: &RedisUrl, number: u64, streams: Vec<(ChannelName, EntryId)>) -> Result<Self, String> {
        let connection = Connection::open(url, REDIS_BLOCK)?;
        Ok(Self { connection, plan: ReadPlan::new(streams), number, has_begun: false, woken: EntryId::default() })
    }

    fn ask(&mut self, ask: &Ask, keys: &Keys) -> Result<Vec<(ChannelName, Vec<Entry>)>, String> {
        let mut commands = Commands::default();
        let wake = keys.wake();
        let streams = 2 * (1 + ask.streams.len());
        commands.begin(4 + streams + if ask.is_blocking { 2 } else { 0 });
        commands.word("XREAD").word("COUNT").number(ask.count as u64);
        if ask.is_blocking {
            commands.word("BLOCK").word(REDIS_BLOCK.as_millis().to_string());
        }
        commands.word("STREAMS").word(&wake);
        for (channel, _) in &ask.streams {
            commands.word(keys.stream(channel));
        }
        commands.word(self.woken.to_string());
        for (_, position) in &ask.streams {
            commands.word(position.to_string());
        }
        self.connection.send(&commands)?;
        let answer = self.connection.answer()?.map_err(|refusal| refusal.sentence())?;
        let mut came = Vec::new();
        for (key, entries) in answer_reading::streams(answer).ok_or_else(problem::of_nonsense)? {
            if key == wake.as_bytes() {
                self.woken = entries.last().map_or(self.woken, |entry| entry.id);
            } else {
                came.push((keys.channel_of(&key).ok_or_else(problem::of_nonsense)?, entries));
            }
        }
        Ok(came)
    }
}
