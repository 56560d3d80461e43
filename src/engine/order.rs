//! What is asked of Redis, and what comes back.
//!
//! Leaves doing it to `writer` and `reader`. What must stay true: each order comes back once, with what became of it.

use crate::engine::entry::{Author, Entry, EntryId};
use crate::hub::channel_name::ChannelName;
use crate::hub::frame::Frame;
use crate::hub::record::Origin;

/// The last that a board has seen of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The entry, or the marker of the epoch.
    pub id: EntryId,
    /// Whose message it is, if that is to be held against what Redis has now; `None` for the marker.
    pub author: Option<Author>,
}

/// One message to append.
#[derive(Debug, Clone)]
pub struct Appended {
    /// The message.
    pub frame: Frame,
    /// Which message of which connection it is, if that connection can be replaced.
    pub origin: Option<Origin>,
}

/// What the writer is asked for. Orders are done in the order in which they came.
#[derive(Debug, Clone)]
pub enum Order {
    /// Where a channel is. Begins an epoch if there is none, if the stream is gone, or if it is not the one of which the board has seen
    /// a part.
    Look {
        /// The channel.
        channel: ChannelName,
        /// What was seen of it, if anything was.
        seen: Option<Seen>,
        /// Whether the entry that was seen has to be there and the same: after every connection anew. Else only the numbers are compared.
        is_strict: bool,
        /// Whether it is to be noted that the channel is used, so that nothing of it expires.
        is_use: bool,
    },
    /// Appends messages, all or none.
    Append {
        /// The channel.
        channel: ChannelName,
        /// The epoch in which the board is.
        seen: EntryId,
        /// The counter of the first message: those that follow have the next ones.
        first_counter: u64,
        /// The oldest number of this epoch that the board holds: what is older may go.
        oldest_seq: u64,
        /// The messages. `None`: there is none with this counter.
        messages: Vec<Option<Appended>>,
    },
    /// Ends this epoch of a channel, if it is the present one, and begins the next.
    Clear {
        /// The channel, which need not be known here.
        channel: ChannelName,
        /// The epoch that is to end; `None`: whichever is the present one, if there is a stream.
        epoch: Option<u64>,
    },
    /// The newest entry of a channel, which need not be known here. Makes nothing.
    Newest(ChannelName),
    /// Notes that a connection has joined, of which no message was taken yet.
    Join {
        /// The channel.
        channel: ChannelName,
        /// The connection's id.
        id: u64,
    },
    /// Ends a connection for all boards: nothing of it is appended any more.
    Fence {
        /// The channel.
        channel: ChannelName,
        /// The connection's id.
        id: u64,
    },
    /// Has the reader look for what it is to read.
    WakeReader,
}

impl Order {
    /// The channel whose stream it changes, if it is to change one.
    pub fn changes(&self) -> Option<&ChannelName> {
        match self {
            Self::Look { channel, .. } | Self::Append { channel, .. } | Self::Clear { channel, .. } => Some(channel),
            Self::Newest(_) | Self::Join { .. } | Self::Fence { .. } | Self::WakeReader => None,
        }
    }

    /// About how many bytes are sent for it.
    pub fn bytes(&self) -> usize {
        const WORDS: usize = 256;
        let Self::Append { messages, .. } = self else { return WORDS };
        WORDS
            + messages
                .iter()
                .map(|message| 64 + message.as_ref().map_or(0, |message| message.frame.len()))
                .sum::<usize>()
    }
}

/// What becomes of an order that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Look`](Order::Look) and [`Clear`](Order::Clear): the newest id, and the time of Redis. To a `Clear` of a channel that has no
    /// stream: `None`.
    At(Option<Place>),
    /// To [`Append`](Order::Append): the messages are in the stream.
    Appended {
        /// What has become of each message.
        fates: Vec<Fate>,
        /// The newest entry behind them.
        newest: EntryId,
        /// Microseconds since 1970 by the clock of Redis.
        now_unix_micros: u64,
    },
    /// To [`Append`](Order::Append): nothing was appended. The epoch has ended, or Redis has not all that was seen: the board has to look.
    NotHere,
    /// To [`Newest`](Order::Newest).
    Newest(Option<Entry>),
    /// To [`Fence`](Order::Fence): how many messages of the connection are in the stream, if that is known.
    Taken(Option<u64>),
    /// To all others.
    Done,
}

/// What has become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is in the stream, under this number of the epoch.
    Appended(u64),
    /// It was there before, or there was none.
    Before,
    /// Its connection has a fence: it is not there.
    Fenced,
}

/// Where a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The newest entry.
    pub newest: EntryId,
    /// Microseconds since 1970 by the clock of Redis.
    pub now_unix_micros: u64,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Redis was not reached, or has not answered: what was asked may have been done, or may still be.
    Away(String),
    /// Redis has refused, and has done nothing: a sentence.
    Refused(String),
    /// There are as many channels as may be.
    NoPlace,
}

/// By which an order is known.
pub type Ticket = u64;

/// What the writer tells.
#[derive(Debug)]
pub enum Event {
    /// There is a new connection to Redis. Until then, and after [`Down`](Self::Down), each order comes back with [`Trouble::Away`].
    Up {
        /// Whether it is known to be the same process of Redis as before, which has forgotten nothing.
        is_same: bool,
    },
    /// The connection is lost, or there was none to be had; it is tried again. The sentence says why, and comes again only if it changes.
    Down(String),
    /// An order is done, or was not.
    Done(Ticket, Result<Answer, Trouble>),
}

/// What the reader is asked for.
#[derive(Debug)]
pub enum ReadOrder {
    /// Connects anew, and reads these channels behind these entries. What comes from then on bears this number.
    Begin(u64, Vec<(ChannelName, EntryId)>),
    /// Reads one more channel, or one from elsewhere on.
    Read(ChannelName, EntryId),
    /// Reads a channel no longer.
    Leave(ChannelName),
    /// Ends the thread.
    End,
}

/// What the reader tells. At most a few wait to be taken; then it reads no more.
#[derive(Debug)]
pub enum ReadEvent {
    /// The connection is there, and reading is allowed. Comes before all entries.
    Begun(u64),
    /// What has come, in the order of each stream: all that is behind the entry that is named with it.
    Entries(u64, Vec<(ChannelName, EntryId, Vec<Entry>)>),
    /// There is no connection any more; it waits for the next [`Begin`](ReadOrder::Begin).
    Down(u64, String),
}
