//! What a client knows of its place in a channel's log: by counting, or by what the messages say.
//!
//! Leaves what is at which place to the book. What must stay true: a client that was told nothing of numbers finds its place all the same, and then
//! misses nothing and gets nothing twice.

use std::collections::VecDeque;

use crate::book::Book;
use crate::book::channel::Mark;
use crate::book::telling::{Message, Told};
use crate::clients::frames;

/// What waits to be placed is given up when there is more of it.
const WAITING_MAX: usize = 3000;

/// One that counts.
#[derive(Debug)]
pub struct Counted {
    /// The channel.
    pub channel: usize,
    /// The epoch, in the order of their being told.
    pub epoch: usize,
    /// The number of the next message.
    pub next: u64,
}

/// One that goes by what the messages say.
#[derive(Debug)]
pub struct Found {
    channel: usize,
    place: Option<(usize, u64)>,
    /// Whose messages it does not get.
    own: Option<u32>,
    /// What was there when it asked, where it gets nothing of that.
    since: Option<Mark>,
    waiting: VecDeque<Vec<u8>>,
}

impl Counted {
    /// The next message, as a frame.
    ///
    /// # Errors
    /// If it is not the one that has this number.
    #[inline]
    pub fn hear(&mut self, book: &mut Book, frame: &[u8], head_bytes: usize, told: Told) -> Result<(), String> {
        book.frame((self.channel, self.epoch, self.next), frame, head_bytes, told)?;
        self.next += 1;
        Ok(())
    }
}

impl Found {
    /// One that has got nothing yet.
    pub fn new(channel: usize, own: Option<u32>, since: Option<Mark>) -> Self {
        Self { channel, place: None, own, since, waiting: VecDeque::new() }
    }

    /// Whether it gets its own messages, too.
    pub fn hears_own(&self) -> bool {
        self.own.is_none()
    }

    /// Whether some wait until others are told where they are.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next message, as a frame.
    ///
    /// # Errors
    /// If it cannot be the next.
    #[inline]
    pub fn hear(&mut self, book: &mut Book, frame: &[u8], head_bytes: usize, told: Told) -> Result<(), String> {
        if self.waiting.is_empty() {
            if let (Some((epoch, next)), None) = (self.place, self.own) {
                if book.is_frame((self.channel, epoch, next), frame) {
                    self.place = Some((epoch, next + 1));
                    return Ok(());
                }
            }
            if self.place(book, frame, head_bytes, told)? {
                return Ok(());
            }
        }
        if frame.len() > head_bytes {
            book.sent(self.channel, message(frame, head_bytes)).map_err(|why| with(&why, told))?;
        }
        self.waiting.push_back(frame.to_vec());
        if self.waiting.len() > WAITING_MAX {
            self.waiting.clear();
            (self.place, self.since) = (None, None);
        }
        Ok(())
    }

    /// Tries once more to place what waits.
    ///
    /// # Errors
    /// If it cannot be where it is.
    pub fn retry(&mut self, book: &mut Book, told: Told) -> Result<(), String> {
        while let Some(frame) = self.waiting.pop_front() {
            let head_bytes = frames::next(&frame)?.map_or(2, |frame| frame.head_bytes);
            if !self.place(book, &frame, head_bytes, told)? {
                self.waiting.push_front(frame);
                break;
            }
        }
        Ok(())
    }

    /// Finds out where a message is, and whether it may be the next. False: that is not known yet.
    fn place(&mut self, book: &mut Book, frame: &[u8], head_bytes: usize, told: Told) -> Result<bool, String> {
        let (channel, payload) = (self.channel, &frame[head_bytes..]);
        let Some((epoch, mut next)) = self.place else { return self.begin(book, payload, told) };
        if let Some(own) = self.own {
            while book.known((channel, epoch, next)).is_some_and(|its| its.source == own && !its.is_empty()) {
                next += 1;
            }
        }
        let is_sure = self.own.is_none() && book.reasons(channel) == 0 && !book.may_begin_anew(channel);
        let is_known = book.known((channel, epoch, next)).is_some();
        let found = book.find(channel, payload);
        let is_here = found == Some((channel, epoch, next)) || is_known && payload.is_empty() && is_sure;
        if is_here || is_sure {
            book.message((channel, epoch, next), message(frame, head_bytes), told)?;
            self.place = Some((epoch, next + 1));
            return Ok(true);
        }
        match found {
            Some((_, its_epoch, seq)) if its_epoch == epoch => {
                // Its own may lie between, of which nobody was told yet.
                let between = (next..seq).all(|seq| book.known((channel, epoch, seq)).is_some());
                if seq > next && self.own.is_some() && !between {
                    return Ok(false);
                }
                let what = if seq < next { "repeat" } else { "gap" };
                let epoch = book.epoch(channel, epoch);
                Err(with(&format!("{what}: after {epoch}:{} comes {seq} (channel {channel})", next - 1), told))
            }
            Some((_, its_epoch, seq)) => {
                // Files that could be neither written nor removed come back with what was told in another epoch meanwhile.
                if seq > 1 && self.own.is_none() && !book.may_go_back(channel) {
                    let names = [epoch, its_epoch].map(|epoch| book.epoch(channel, epoch).to_owned());
                    let why =
                        format!("gap: after {}:{} comes {}:{seq} (channel {channel})", names[0], next - 1, names[1]);
                    return Err(with(&why, told));
                }
                self.place = Some((its_epoch, seq + 1));
                Ok(true)
            }
            None if payload.is_empty() && is_known => {
                // It is either the next or the first of an epoch that has begun; only the next with a name can tell.
                (self.place, self.since) = (None, None);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// The same for one that has no place yet.
    fn begin(&mut self, book: &Book, payload: &[u8], told: Told) -> Result<bool, String> {
        if payload.is_empty() {
            return Ok(true);
        }
        let Some((channel, epoch, seq)) = book.find(self.channel, payload) else { return Ok(false) };
        if let Some((_, head)) = self.since.and_then(|since| since.position).filter(|(its, _)| *its == epoch) {
            if seq <= head {
                let why =
                    format!("repeat: {seq} comes first, and {head} was there before it asked (channel {channel})");
                return Err(with(&why, told));
            }
        }
        (self.place, self.since) = (Some((epoch, seq + 1)), None);
        Ok(true)
    }
}

fn message(frame: &[u8], head_bytes: usize) -> Message<'_> {
    Message { is_text: Some(frame[0] == 0x81), payload: &frame[head_bytes..] }
}

fn with(why: &str, told: Told) -> String {
    format!("{why}, told to client {} at {:?}", told.by, told.at)
}
