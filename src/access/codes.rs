//! Which channel needs a code for what, and what somebody may do who brings one.
//!
//! Leaves to `code_settings` where codes come from, and to `server` where one is brought. What must stay true: no code is ever shown,
//! and how long a comparison takes tells nothing of any code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::iter;
use std::ptr;

use constant_time_eq::constant_time_eq_n;

use crate::config::limits::{CODE_BYTES_MAX, CODE_CHANNELS_LOGGED_MAX};
use crate::hub::channel_name::{ChannelName, NAME_BYTES_MAX};

/// What somebody may do in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Get what is said there.
    Receive,
    /// Say something, too.
    Send,
}

/// 1 to 64 of `A-Z a-z 0-9 - . _ ~`, with zeros behind, so that the length of one takes no time either.
pub struct Code([u8; CODE_BYTES_MAX]);

impl Code {
    /// What nobody has.
    const NONE: Self = Self([0; CODE_BYTES_MAX]);

    /// Reads a code.
    ///
    /// # Errors
    /// If it can be none; a sentence, which does not show it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_code_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !(1..=CODE_BYTES_MAX).contains(&text.len()) || !text.bytes().all(is_code_byte) {
            let wrong = if text.is_empty() { "the code is empty" } else { "this can be no code" };
            return Err(format!("{wrong}: write 1 to {CODE_BYTES_MAX} of A-Z a-z 0-9 - . _ ~"));
        }
        let mut code = Self::NONE;
        code.0[..text.len()].copy_from_slice(text.as_bytes());
        Ok(code)
    }

    fn is(&self, other: &Self) -> bool {
        constant_time_eq_n(&self.0, &other.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// One code that was set, and for what it is needed.
#[derive(Debug)]
pub struct Setting {
    /// Where it stands, for people: a flag, or a line of a file.
    place: String,
    needed_to: Right,
    /// `None`: all channels that have none of their own.
    channel: Option<ChannelName>,
    code: Code,
}

impl Setting {
    /// Reads `[NAME=]CODE`, in which `/` is the name of the main channel.
    ///
    /// # Errors
    /// If name or code can be none; a sentence that names the place and shows neither.
    pub fn parse(place: String, needed_to: Right, text: &str) -> Result<Self, String> {
        let (name, code) = text.split_once('=').map_or((None, text), |(name, code)| (Some(name), code));
        let channel = match name {
            None => None,
            Some("/") => Some(ChannelName::MAIN),
            Some(name) => Some(ChannelName::parse(name).ok_or_else(|| {
                format!(
                    "{place}: what stands before the = is no name of a channel: write 1 to {NAME_BYTES_MAX} of \
                     a-z 0-9 - _, or / for the main channel"
                )
            })?),
        };
        let code = Code::parse(code).map_err(|wrong| format!("{place}: {wrong}"))?;
        Ok(Self { place, needed_to, channel, code })
    }
}

/// All codes.
#[derive(Debug, Default)]
pub struct Codes {
    to_receive: Needed,
    to_send: Needed,
}

/// The codes that are needed for one thing.
#[derive(Debug, Default)]
struct Needed {
    by_channel: BTreeMap<ChannelName, Code>,
    /// In all other channels.
    elsewhere: Option<Code>,
}

impl Needed {
    fn of(&self, channel: &ChannelName) -> Option<&Code> {
        self.by_channel.get(channel).or(self.elsewhere.as_ref())
    }

    fn all(&self) -> impl Iterator<Item = &Code> {
        self.by_channel.values().chain(&self.elsewhere)
    }

    /// Adds a code, if its place is free.
    fn add(&mut self, channel: Option<ChannelName>, code: Code) -> bool {
        match channel {
            Some(channel) => self.by_channel.insert(channel, code).is_none(),
            None => self.elsewhere.replace(code).is_none(),
        }
    }

    /// For which channels, in words; `None` for no channel.
    fn channels(&self) -> Option<String> {
        let names: Vec<String> = self.by_channel.keys().take(CODE_CHANNELS_LOGGED_MAX).map(address).collect();
        let mut list = names.join(", ");
        if self.by_channel.len() > names.len() {
            list += &format!(" and {} more", self.by_channel.len() - names.len());
        }
        match (&self.elsewhere, list.is_empty()) {
            (None, true) => None,
            (None, false) => Some(list),
            (Some(_), true) => Some("all channels".to_owned()),
            (Some(_), false) => Some(format!("all channels (one of its own: {list})")),
        }
    }
}

/// What a code that was brought is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// What somebody may do who has brought it. `None`: it is none of this channel.
    pub right: Option<Right>,
    /// Whether it is that of another channel: who has that does not guess.
    pub is_of_another: bool,
}

/// What a code that was brought is.
struct Found {
    /// The code to receive in this channel.
    to_receive: bool,
    /// The code to send there.
    to_send: bool,
    /// A code of others.
    elsewhere: bool,
}

impl Codes {
    /// No channel needs any.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those that were set, with so many channels beside the main one.
    ///
    /// # Errors
    /// If they do not go together; a sentence that names the place of one that is too much, and shows no code.
    pub fn new(settings: Vec<Setting>, channels_max: usize) -> Result<Self, String> {
        let mut codes = Self::none();
        let mut places: BTreeMap<(Right, Option<ChannelName>), String> = BTreeMap::new();
        let mut named = BTreeSet::new();
        for Setting { place, needed_to, channel, code } in settings {
            let needed = match needed_to {
                Right::Receive => &mut codes.to_receive,
                Right::Send => &mut codes.to_send,
            };
            if !needed.add(channel.clone(), code) {
                let whose = channel.as_ref().map_or("all channels".to_owned(), address);
                let other = &places[&(needed_to, channel)];
                let what = match needed_to {
                    Right::Receive => "come in to",
                    Right::Send => "send in",
                };
                return Err(format!("{place}: {other} has a code to {what} {whose} already: leave one of them out"));
            }
            let is_new = channel.as_ref().is_some_and(|name| !name.is_main() && named.insert(name.clone()));
            if is_new && named.len() > channels_max {
                return Err(format!(
                    "{place}: this is the code of one channel more than --max-channels {channels_max}: \
                     raise that, or name fewer"
                ));
            }
            places.insert((needed_to, channel), place);
        }
        let mut all_channels = iter::once(None).chain(codes.named().map(Some));
        let one_for_both = all_channels.find(|channel| codes.is_one_for_both(*channel));
        drop(all_channels);
        if let Some(channel) = one_for_both {
            let place = |needed_to| places.get(&(needed_to, channel.cloned()));
            let place = place(Right::Send).or_else(|| place(Right::Receive)).expect("who is named has a setting");
            let whose = channel.map_or("all channels".to_owned(), address);
            return Err(format!(
                "{place}: the code to come in to {whose} is the one to send there, so nobody could only receive: \
                 leave one of them out, or choose another"
            ));
        }
        Ok(codes)
    }

    /// Whether a channel needs one code for both; `None` is all that are not named.
    fn is_one_for_both(&self, channel: Option<&ChannelName>) -> bool {
        let [to_receive, to_send] = [&self.to_receive, &self.to_send]
            .map(|needed| channel.map_or(needed.elsewhere.as_ref(), |channel| needed.of(channel)));
        to_receive.zip(to_send).is_some_and(|(to_receive, to_send)| to_receive.is(to_send))
    }

    /// What somebody may do in a channel who has no code.
    pub fn right_without(&self, channel: &ChannelName) -> Option<Right> {
        match (self.to_receive.of(channel), self.to_send.of(channel)) {
            (Some(_), _) => None,
            (None, Some(_)) => Some(Right::Receive),
            (None, None) => Some(Right::Send),
        }
    }

    /// Judges a code that was brought to a channel, comparing it with all codes, whichever it is.
    pub fn judge(&self, channel: &ChannelName, offered: &str) -> Judged {
        let Found { to_receive, to_send, elsewhere } = self.find(channel, offered);
        let is_enough_to_send = to_send || to_receive && self.to_send.of(channel).is_none();
        let right = if is_enough_to_send { Some(Right::Send) } else { to_receive.then_some(Right::Receive) };
        Judged { right, is_of_another: elsewhere }
    }

    fn find(&self, channel: &ChannelName, offered: &str) -> Found {
        // What can be no code is compared, too.
        let offered = Code::parse(offered).unwrap_or(Code::NONE);
        let mut elsewhere = false;
        let [to_receive, to_send] = [&self.to_receive, &self.to_send].map(|needed| {
            let own = needed.of(channel);
            let mut is_own = false;
            for code in needed.all() {
                let is_it = code.is(&offered);
                let is_of_channel = own.is_some_and(|own| ptr::eq(own, code));
                is_own |= is_it && is_of_channel;
                elsewhere |= is_it && !is_of_channel;
            }
            is_own
        });
        Found { to_receive, to_send, elsewhere }
    }

    /// The channels that have a code of their own, each once.
    pub fn named(&self) -> impl Iterator<Item = &ChannelName> {
        let to_send = self.to_send.by_channel.keys().filter(|name| !self.to_receive.by_channel.contains_key(name));
        self.to_receive.by_channel.keys().chain(to_send)
    }

    /// Which channels need a code for what, as a line of the log. `None` if none does.
    pub fn summary(&self) -> Option<String> {
        let to_receive = self.to_receive.channels().map(|channels| format!("needed to come in to {channels}"));
        let to_send = self.to_send.channels().map(|channels| format!("needed to send in {channels}"));
        let parts: Vec<String> = to_receive.into_iter().chain(to_send).collect();
        (!parts.is_empty()).then(|| format!("codes: {}", parts.join("; ")))
    }
}

/// Where a channel is, as people type it.
fn address(channel: &ChannelName) -> String {
    if channel.is_main() { "/".to_owned() } else { format!("/c/{channel}") }
}

#[cfg(test)]
mod tests;
