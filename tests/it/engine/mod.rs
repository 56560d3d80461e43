//! The link to a real Redis: what one board, or several of them, have of it.
//!
//! Without the binary: a [`Board`] here is a link of its own.

mod appending;
mod broken;
mod epochs;
mod reading;
mod refused;

use std::ffi::OsStr;
use std::future::Future;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use foghorn::config::redis_url::{RedisAddress, RedisUrl};
use foghorn::engine::entry::{Author, Content, Entry, EntryId};
use foghorn::engine::link::Link;
use foghorn::engine::order::{
    Answer, Appended, Event, Fate, Order, Place, ReadEvent, ReadOrder, Seen, Ticket, Trouble,
};
use foghorn::hub::channel_name::ChannelName;
use foghorn::hub::frame::Frame;
use foghorn::hub::record::Origin;

use crate::harness::{eventually, patience};

/// A Redis at a Unix socket. It ends with this.
struct Redis {
    folder: tempfile::TempDir,
    args: Vec<String>,
    process: Child,
}

impl Redis {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let process = Self::run(&folder, &args);
        let redis = Self { folder, args, process };
        redis.is_there();
        redis
    }

    fn run(folder: &tempfile::TempDir, args: &Vec<String>) -> Child {
        let command = ["--port", "0", "--unixsocket", "redis.sock", "--appendonly", "no", "--save", ""];
        let mut redis = Command::new("redis-server");
        redis.args(command).args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        redis.spawn().expect("redis-server runs")
    }

    fn is_there(&self) {
        eventually("Redis is there", || {
            let answer = self.try_cli(&["PING".as_ref()]);
            answer.starts_with("PONG") || answer.starts_with("NOAUTH")
        });
    }

    fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// Starts it again in its folder.
    fn restart(&mut self) {
        self.kill();
        self.process = Self::run(&self.folder, &self.args);
        self.is_there();
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    fn url(&self) -> RedisUrl {
        RedisUrl { address: RedisAddress::Unix(self.socket()), user: None, password: None, database: 0 }
    }

    fn try_cli(&self, words: &[&OsStr]) -> String {
        let output = Command::new("redis-cli").arg("-s").arg(self.socket()).args(words).output();
        String::from_utf8_lossy(&output.expect("redis-cli runs").stdout).trim_end().to_owned()
    }

    /// What Redis answers to this command, which is right.
    fn cli(&self, words: &[&str]) -> String {
        self.cli_bytes(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>())
    }

    fn cli_bytes(&self, words: &[&[u8]]) -> String {
        let words: Vec<&OsStr> = ["-e", "--raw"]
            .map(OsStr::new)
            .into_iter()
            .chain(words.iter().map(|word| OsStr::from_bytes(word)))
            .collect();
        let answer = self.try_cli(&words);
        assert!(!answer.starts_with("ERR") && !answer.starts_with("WRONG"), "{words:?}: {answer}");
        answer
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn main() -> ChannelName {
    ChannelName::MAIN
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).expect("a name")
}

/// The numbers of those that were appended.
fn numbers(fates: &[Fate]) -> Vec<Option<u64>> {
    fates.iter().map(|fate| if let Fate::Appended(seq) = fate { Some(*seq) } else { None }).collect()
}

fn text(text: &str) -> Appended {
    Appended { frame: Frame::text(text.to_owned()), origin: None }
}

/// A message of a connection, which has so many with it.
fn text_of(connection: u64, taken: u64, text: &str) -> Appended {
    Appended { frame: Frame::text(text.to_owned()), origin: Some(Origin { connection, taken }) }
}

fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let late = async {
        smol::Timer::after(patience()).await;
        panic!("waited in vain: {what}")
    };
    smol::block_on(smol::future::or(future, late))
}

type Outcome = Result<Answer, Trouble>;

/// A board, as far as it has to do with Redis.
struct Board {
    link: Link,
    number: u64,
}

impl Board {
    /// One that has reached Redis.
    fn join(redis: &Redis, number: u64) -> Self {
        Self::join_as(redis.url(), "foghorn", number)
    }

    fn join_as(url: RedisUrl, prefix: &str, number: u64) -> Self {
        let board = Self::start(url, prefix, number);
        assert!(!board.up(), "it is not known yet");
        board
    }

    fn start(url: RedisUrl, prefix: &str, number: u64) -> Self {
        Self { link: Link::start(url, prefix.to_owned(), number).expect("threads"), number }
    }

    fn event(&self) -> Event {
        within("an event", self.link.next_event())
    }

    /// Waits until there is a connection. Whether it is to the same process as before.
    fn up(&self) -> bool {
        loop {
            match self.event() {
                Event::Up { is_same } => return is_same,
                // If the test fails, it says why.
                Event::Down(sentence) => eprintln!("{sentence}"),
                Event::Done(..) => panic!("nothing was asked for"),
            }
        }
    }

    /// Waits until the connection is lost. Why it is.
    fn down(&self) -> String {
        match self.event() {
            Event::Down(sentence) => sentence,
            event => panic!("{event:?}"),
        }
    }

    fn outcome_of(&self, ticket: Ticket) -> Outcome {
        match self.event() {
            Event::Done(done, outcome) if done == ticket => outcome,
            event => panic!("{event:?}"),
        }
    }

    fn ask(&self, order: Order) -> Outcome {
        self.outcome_of(self.link.submit(order))
    }

    fn place(&self, order: Order) -> Place {
        match self.ask(order) {
            Ok(Answer::At(Some(place))) => place,
            outcome => panic!("{outcome:?}"),
        }
    }

    /// Where a channel is of which nothing was seen.
    fn look(&self, channel: &ChannelName) -> EntryId {
        self.place(Order::Look { channel: channel.clone(), seen: None, is_strict: true, is_use: true }).newest
    }

    /// Where a channel is of which this was seen, by this author, if it is to be held against what is there.
    fn look_again(&self, channel: &ChannelName, id: EntryId, author: Option<Author>) -> EntryId {
        let seen = Some(Seen { id, author });
        self.place(Order::Look { channel: channel.clone(), seen, is_strict: author.is_some(), is_use: false }).newest
    }

    fn append_order(channel: &ChannelName, seen: EntryId, first_counter: u64, messages: Vec<Appended>) -> Order {
        let messages = messages.into_iter().map(Some).collect();
        Order::Append { channel: channel.clone(), seen, first_counter, oldest_seq: 1, messages }
    }

    fn append(&self, channel: &ChannelName, seen: EntryId, first_counter: u64, messages: Vec<Appended>) -> Outcome {
        self.ask(Self::append_order(channel, seen, first_counter, messages))
    }

    /// Appends what has to go in. The numbers.
    fn append_all(&self, channel: &ChannelName, seen: EntryId, first_counter: u64, texts: &[&str]) -> Vec<Option<u64>> {
        let messages = texts.iter().map(|words| text(words)).collect();
        match self.append(channel, seen, first_counter, messages) {
            Ok(Answer::Appended { fates, .. }) => numbers(&fates),
            outcome => panic!("{outcome:?}"),
        }
    }

    fn newest(&self, channel: &ChannelName) -> Option<Entry> {
        match self.ask(Order::Newest(channel.clone())) {
            Ok(Answer::Newest(entry)) => entry,
            outcome => panic!("{outcome:?}"),
        }
    }

    fn fence(&self, connection: u64) -> Option<u64> {
        match self.ask(Order::Fence { channel: main(), id: connection }) {
            Ok(Answer::Taken(taken)) => taken,
            outcome => panic!("{outcome:?}"),
        }
    }

    fn author(&self, counter: u64) -> Author {
        Author { board: self.number, counter }
    }

    fn begin(&self, number: u64, streams: &[(&ChannelName, EntryId)]) {
        let streams = streams.iter().map(|(channel, position)| ((*channel).clone(), *position)).collect();
        self.link.read(ReadOrder::Begin(number, streams));
    }

    /// The next that the reader has to tell.
    fn told(&self) -> ReadEvent {
        within("the reader tells something", self.link.next_read())
    }

    /// The same, behind that it has begun.
    fn next_read(&self) -> ReadEvent {
        loop {
            let event = self.told();
            if !matches!(event, ReadEvent::Begun(_)) {
                return event;
            }
        }
    }

    /// Reads until so many entries have come of these channels together; each channel's with its name.
    fn read(&self, number: u64, count: usize) -> Vec<(ChannelName, Entry)> {
        let mut came = Vec::new();
        while came.len() < count {
            match self.next_read() {
                ReadEvent::Entries(of, streams) if of == number => {
                    for (channel, _, entries) in streams {
                        came.extend(entries.into_iter().map(|entry| (channel.clone(), entry)));
                    }
                }
                event => panic!("{event:?}"),
            }
        }
        came
    }
}

/// What a client would see of an entry: its text, or `-` for a marker, `?` for what is foreign.
fn seen(entry: &Entry) -> String {
    match &entry.content {
        Content::Marker => "-".to_owned(),
        Content::Foreign => "?".to_owned(),
        Content::Message { frame, .. } => String::from_utf8_lossy(&frame[2..]).into_owned(),
    }
}

fn is_away(outcome: &Outcome) -> bool {
    matches!(outcome, Err(Trouble::Away(_)))
}

fn refusal(outcome: Outcome) -> String {
    match outcome {
        Err(Trouble::Refused(sentence)) => sentence,
        outcome => panic!("{outcome:?}"),
    }
}
