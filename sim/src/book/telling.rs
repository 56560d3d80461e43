//! What clients are told of messages: which has which number, and which are in the log or not.
//!
//! Leaves what it is held against to `log` and `sources`. What must stay true: nothing is written down that contradicts what stands there.

use std::time::Duration;

use crate::book::Book;
use crate::book::channel::Mark;
use crate::book::content::{Content, Style, name_of};
use crate::book::log::Entry;
use crate::book::times::Span;

/// A message that somebody was told.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Whether it came as text; `None` if that could not be seen.
    pub is_text: Option<bool>,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// To whom something is told, and when.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// The actor.
    pub by: usize,
    /// When.
    pub at: Duration,
}

/// Where a message is: the channel, the epoch in the order of their being told, the number.
pub type Place = (usize, usize, u64);

impl Book {
    /// Somebody was told by a frame of the server which message has a number; `head_bytes` of it are its head.
    ///
    /// # Errors
    /// If that cannot be.
    #[inline]
    pub fn frame(&mut self, place: Place, frame: &[u8], head_bytes: usize, told: Told) -> Result<(), String> {
        if self.is_frame(place, frame) {
            return Ok(());
        }
        let is_text = Some(frame[0] == 0x81);
        self.message(place, Message { is_text, payload: &frame[head_bytes..] }, told)
    }

    /// Whether a frame is that of a message whose number is known, and counts it if it is.
    #[inline]
    pub fn is_frame(&mut self, place: Place, frame: &[u8]) -> bool {
        let is_it = self.channels[place.0].epochs[place.1].is(place.2, frame);
        self.deliveries += u64::from(is_it);
        is_it
    }

    /// Somebody was told which message has a number.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn message(&mut self, place: Place, message: Message<'_>, told: Told) -> Result<(), String> {
        self.deliveries += 1;
        let (channel, epoch, seq) = place;
        if let Some(entry) = self.channels[channel].epochs[epoch].get(seq).copied() {
            if is_same(&entry.content, message) {
                return Ok(());
            }
            let by = entry.by;
            let why = format!(
                "content: it is {}, and was {} for client {by} at {:?}",
                shown(message),
                shown_content(&entry.content),
                entry.at
            );
            return Err(self.wrong(place, &why, told));
        }
        self.learn(place, message, told).map_err(|why| self.wrong(place, &why, told))
    }

    /// What a number names, if anybody was told.
    pub fn known(&self, (channel, epoch, seq): Place) -> Option<Content> {
        self.channels[channel].epochs[epoch].get(seq).map(|entry| entry.content)
    }

    /// The same by the name of the epoch.
    pub fn known_by_name(&self, channel: usize, epoch: &str, seq: u64) -> Option<Content> {
        let nth = self.channels[channel].epochs.iter().position(|log| log.epoch == epoch)?;
        self.known((channel, nth, seq))
    }

    /// Between which moments a message was published: none where that is not known.
    pub fn published(&self, place: Place) -> Option<Span> {
        let (channel, epoch, seq) = place;
        let entry = self.channels[channel].epochs[epoch].get(seq).filter(|entry| !entry.content.is_empty())?;
        let sent = self.source(entry.content.source).get(entry.content.nth)?;
        // One that was told in two epochs was published in the other one.
        let is_once = sent.seen == (u32::try_from(epoch).ok()?, seq) && !self.channels[channel].may_go_back;
        is_once.then_some((sent.at, entry.at))
    }

    /// A message by its name, if it was sent to this channel.
    pub fn content(&self, channel: usize, source: u32, nth: u32) -> Option<Content> {
        self.sources.get(source as usize).filter(|its| its.channel == channel)?.content(source, nth)
    }

    /// Whether an earlier epoch of a channel may come back, since the disk has failed.
    pub fn may_go_back(&self, channel: usize) -> bool {
        self.channels[channel].may_go_back
    }

    /// Where a message is by what it says, if anybody was told.
    pub fn find(&self, channel: usize, payload: &[u8]) -> Option<Place> {
        let (source, nth) = name_of(payload)?;
        let source = self.sources.get(source as usize).filter(|source| source.channel == channel)?;
        let (epoch, seq) = source.get(nth)?.seen;
        (seq != 0).then_some((channel, epoch as usize, seq))
    }

    /// A message that was sent, by what it says.
    ///
    /// # Errors
    /// If nobody has sent it.
    pub fn sent(&self, channel: usize, message: Message<'_>) -> Result<Content, String> {
        let named = name_of(message.payload);
        let content = named.and_then(|(source, nth)| {
            let its = self.sources.get(source as usize).filter(|its| its.channel == channel)?;
            its.content(source, nth)
        });
        content
            .filter(|content| is_same(content, message))
            .ok_or_else(|| format!("unsent: nobody has sent {}", shown(message)))
    }

    fn learn(&mut self, (channel, epoch, seq): Place, message: Message<'_>, told: Told) -> Result<(), String> {
        if seq == 0 {
            return Err("number: no message has the number 0".to_owned());
        }
        let content = if message.payload.is_empty() {
            let style = if message.is_text.unwrap_or(true) { Style::Words } else { Style::Binary };
            let [sent, seen] = &mut self.nameless[channel][usize::from(style.is_text())];
            *seen += 1;
            if seen > sent && !self.channels[channel].may_go_back {
                return Err(format!("unsent: it is the {seen}th empty one, and {sent} were sent"));
            }
            Content { source: 0, nth: 0, bytes: 0, style }
        } else {
            let content = self.sent(channel, message)?;
            let epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
            let its = &mut self.sources[content.source as usize];
            // Files that could be neither written nor removed come back with what was told in another epoch meanwhile.
            let seen = its.get(content.nth).map_or((0, 0), |sent| sent.seen);
            if seen.1 != 0 && seen.0 != epoch && self.channels[channel].may_go_back {
                self.write_down((channel, epoch as usize, seq), content, told);
                return Ok(());
            }
            its.see(content.nth, epoch, seq).map_err(|why| format!("{why} ({content})"))?;
            content
        };
        self.write_down((channel, epoch, seq), content, told);
        Ok(())
    }

    fn write_down(&mut self, (channel, epoch, seq): Place, content: Content, told: Told) {
        let by = u32::try_from(told.by).unwrap_or(u32::MAX);
        self.channels[channel].last_news = told.at;
        self.channels[channel].epochs[epoch].learn(seq, Entry { content, by, at: told.at });
    }

    /// Somebody was told, in answer to a request that began at `mark`, where the newest message of a channel is.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn position(
        &mut self,
        channel: usize,
        (epoch, head): (&str, u64),
        mark: &Mark,
        told: Told,
    ) -> Result<usize, String> {
        self.answers += 1;
        let its = &mut self.channels[channel];
        its.position(epoch, head, mark, told.at).map_err(|why| {
            format!("{why} (channel /{}, {epoch}:{head}, told to client {} at {:?})", its.name, told.by, told.at)
        })
    }

    /// A sender was told that a message is in the log.
    ///
    /// # Errors
    /// If it was told that it is not.
    pub fn confirm(&mut self, source: u32, nth: u32, told: Told) -> Result<(), String> {
        let its = &mut self.sources[source as usize];
        its.confirm(nth).map_err(|why| settled(&why, source, told))
    }

    /// A sender was told by a pong that all its messages up to this one are in the log.
    ///
    /// # Errors
    /// If it was told that one of them is not.
    pub fn answer(&mut self, source: u32, nth: u32, told: Told) -> Result<(), String> {
        self.sources[source as usize].answer(nth).map_err(|why| settled(&why, source, told))
    }

    /// A sender was told that a message is not in the log.
    ///
    /// # Errors
    /// If it is.
    pub fn refuse(&mut self, source: u32, nth: u32, told: Told) -> Result<(), String> {
        let its = &mut self.sources[source as usize];
        let is_empty = its.get(nth).is_some_and(|sent| sent.bytes == 0);
        its.refuse(nth).map_err(|why| settled(&why, source, told))?;
        if is_empty {
            self.note_nameless_refused(source, nth);
        }
        Ok(())
    }

    /// A client was told how many messages of its connection are in the log.
    ///
    /// # Errors
    /// If that cannot be.
    pub fn take(&mut self, source: u32, taken: u64, told: Told) -> Result<(), String> {
        self.answers += 1;
        let its = &self.sources[source as usize];
        if self.channels[its.channel].may_go_back && its.lives[0] < self.life {
            // Files that could be neither written nor removed come back, and say of it what was true once.
            return Ok(());
        }
        self.sources[source as usize].take(taken).map_err(|why| settled(&why, source, told))
    }

    fn note_nameless_refused(&mut self, source: u32, nth: u32) {
        let its = &self.sources[source as usize];
        let is_text = its.get(nth).is_some_and(|sent| sent.style.is_text());
        let [sent, _] = &mut self.nameless[its.channel][usize::from(is_text)];
        *sent = sent.saturating_sub(1);
    }

    fn wrong(&self, (channel, epoch, seq): Place, why: &str, told: Told) -> String {
        let its = &self.channels[channel];
        let epoch = its.epochs.get(epoch).map_or("?", |log| &log.epoch);
        format!("{why} (channel /{}, {epoch}:{seq}, told to client {} at {:?})", its.name, told.by, told.at)
    }
}

fn settled(why: &str, source: u32, told: Told) -> String {
    format!("{why} (connection {source:x}, told to client {} at {:?})", told.by, told.at)
}

fn is_same(content: &Content, message: Message<'_>) -> bool {
    let is_kind = message.is_text.is_none_or(|is_text| is_text == content.style.is_text());
    is_kind && content.bytes as usize == message.payload.len() && content.bytes() == message.payload
}

fn shown_content(content: &Content) -> String {
    if content.is_empty() { format!("an empty one ({:?})", content.style) } else { content.to_string() }
}

/// A message that may be anything, for people.
pub fn shown(message: Message<'_>) -> String {
    let Message { is_text, payload } = message;
    let kind = match is_text {
        Some(true) => "text",
        Some(false) => "binary",
        None => "a line",
    };
    let beginning = payload[..payload.len().min(40)].escape_ascii();
    format!("{kind} of {} bytes, \"{beginning}\"", payload.len())
}
