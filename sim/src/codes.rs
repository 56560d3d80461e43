//! Which codes a scenario's channels need, and what docs/codes.md and docs/wire.md say that they give.
//!
//! Leaves bringing them to `clients`. What must stay true: it is read from the documents, and no line of the server's judging is in it.

use fastrand::Rng;
use foghorn::config::settings::CodeSettings;

use crate::book::CHANNELS;

/// What somebody may do in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Get what is said there.
    Receive,
    /// Say something, too.
    Send,
}

/// The codes of each channel, by its place in [`CHANNELS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Codes {
    to_receive: [Option<&'static str>; CHANNELS.len()],
    to_send: [Option<&'static str>; CHANNELS.len()],
}

/// What comes of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// So much is given.
    Gives(Right),
    /// It is none of this channel, but of another one.
    OfAnother,
    /// It is none.
    Wrong,
}

/// The codes that there may be: the first is that of all channels that have none of their own, the others are those of some.
const TO_RECEIVE: [&str; 3] = ["4711", "main~1", "A.code-of_its.own"];
const TO_SEND: [&str; 3] = ["blue.whale", "Say", "show"];
/// The channels with codes of their own: the main one, and one by its name.
const OWN: [usize; 2] = [0, 2];

impl Codes {
    /// Drawn; and the settings that say it.
    pub fn draw(random: &mut Rng) -> (Self, CodeSettings) {
        let mut codes = Self::default();
        let mut settings = CodeSettings::default();
        let mut draw = |kind: &mut [Option<&'static str>], settings: &mut Vec<String>, names: [&'static str; 3]| {
            if random.bool() {
                kind.fill(Some(names[0]));
                settings.push(names[0].to_owned());
            }
            for (channel, name) in OWN.into_iter().zip(&names[1..]) {
                if random.u8(..3) == 0 {
                    kind[channel] = Some(name);
                    settings.push(format!("{}={name}", if channel == 0 { "/" } else { CHANNELS[channel] }));
                }
            }
        };
        draw(&mut codes.to_receive, &mut settings.to_receive, TO_RECEIVE);
        draw(&mut codes.to_send, &mut settings.to_send, TO_SEND);
        (codes, settings)
    }

    /// Whether any channel needs one.
    pub fn are_any(&self) -> bool {
        *self != Self::default()
    }

    /// What is given to who brings none.
    pub fn without(&self, channel: usize) -> Option<Right> {
        match (self.to_receive[channel], self.to_send[channel]) {
            (Some(_), _) => None,
            (None, Some(_)) => Some(Right::Receive),
            (None, None) => Some(Right::Send),
        }
    }

    /// What a code gives in a channel that needs one.
    pub fn judge(&self, channel: usize, code: &str) -> Judged {
        let is = |its: Option<&'static str>| its == Some(code);
        if is(self.to_send[channel]) || is(self.to_receive[channel]) && self.to_send[channel].is_none() {
            Judged::Gives(Right::Send)
        } else if is(self.to_receive[channel]) {
            Judged::Gives(Right::Receive)
        } else if self.to_receive.iter().chain(&self.to_send).any(|its| is(*its)) {
            Judged::OfAnother
        } else {
            Judged::Wrong
        }
    }

    /// The code of one who may do all in a channel, if it needs one.
    pub fn best(&self, channel: usize) -> Option<&'static str> {
        self.to_send[channel].or(self.to_receive[channel])
    }

    /// The code to come in.
    pub fn least(&self, channel: usize) -> Option<&'static str> {
        self.to_receive[channel]
    }

    /// All of them, which may be one of several channels.
    pub fn all(&self) -> Vec<&'static str> {
        self.to_receive.iter().chain(&self.to_send).flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn what_a_code_gives_is_the_table_of_the_documents() {
        let mut codes = Codes::default();
        assert!(!codes.are_any() && codes.without(0) == Some(Right::Send) && codes.best(0).is_none());
        codes.to_send[0] = Some("s");
        assert_eq!((codes.without(0), codes.judge(0, "s")), (Some(Right::Receive), Judged::Gives(Right::Send)));
        codes.to_receive[0] = Some("r");
        assert_eq!((codes.without(0), codes.judge(0, "r")), (None, Judged::Gives(Right::Receive)));
        assert_eq!((codes.judge(1, "r"), codes.judge(1, "x")), (Judged::OfAnother, Judged::Wrong));
        codes.to_receive[1] = Some("q");
        assert_eq!((codes.judge(1, "q"), codes.best(1)), (Judged::Gives(Right::Send), Some("q")));
    }

    #[test]
    fn the_settings_of_any_can_be_used() {
        for seed in 0..100 {
            let (codes, settings) = Codes::draw(&mut Rng::with_seed(seed));
            assert_eq!(codes.are_any(), !settings.to_receive.is_empty() || !settings.to_send.is_empty());
            assert_eq!(settings.file, None::<PathBuf>);
        }
    }
}
