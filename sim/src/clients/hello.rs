//! The hello of `foghorn.v1` and of streams: what it says, and whether that can be.
//!
//! Leaves what is in the log to the book. What must stay true: each field is held against what is known, and none may be missing.

use serde_json::Value;

use crate::actor::Context;
use crate::book::CHANNELS;
use crate::book::channel::Mark;
use crate::book::starting::Start;
use crate::book::telling::Told;
use crate::codes::Codes;

/// What somebody has asked for who comes.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The channel.
    pub channel: usize,
    /// What was known when it asked.
    pub mark: Mark,
    /// Where it wants to go on.
    pub after: Option<(String, u64)>,
    /// How many of the last messages it wants, if it says so.
    pub history: Option<u64>,
    /// The connection that it replaces, as the book knows it; and whether that was one to this channel.
    pub replaces: Option<(u32, bool)>,
}

/// What a hello says.
#[derive(Debug, Clone)]
pub struct Hello {
    /// Where it begins.
    pub start: Start,
    /// The name of the connection, if it has one.
    pub id: Option<String>,
    /// How many messages of the one before were taken, if that is known.
    pub taken: Option<u64>,
}

/// The default of `--history`, and the greeting.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `--history`.
    pub history: u64,
    /// `--greeting`.
    pub greeting: String,
    /// `--no-echo` is not given.
    pub echo: bool,
    /// The codes that channels need.
    pub codes: Codes,
}

impl Hello {
    /// Reads a hello, and holds it against what is known.
    ///
    /// # Errors
    /// If it is none, or cannot be.
    pub fn read(cx: &mut Context<'_>, text: &[u8], asked: &Asked, settings: &Settings) -> Result<Self, String> {
        let shown = || String::from_utf8_lossy(&text[..text.len().min(400)]).into_owned();
        let json: Value = serde_json::from_slice(text).map_err(|error| format!("hello: {error}: {}", shown()))?;
        let number = |name: &str| json[name].as_u64().ok_or_else(|| format!("hello: no {name} in {}", shown()));
        let is_right = number("foghorn")? == 1
            && json["greeting"] == settings.greeting
            && json["channel"] == CHANNELS[asked.channel]
            && json["send"] == true
            && (1..=cx.book.limits.clients_max as u64).contains(&number("clients")?)
            && number("maxMessage")? == cx.book.message_bytes_max(asked.channel) as u64;
        if !is_right {
            return Err(format!("hello: a field is wrong in {}", shown()));
        }
        let Some(epoch) = json["epoch"].as_str() else { return Err(format!("hello: no epoch in {}", shown())) };
        let (seq, head) = (number("seq")?, number("head")?);
        let lost = json.get("lost").ok_or_else(|| format!("hello: no lost in {}", shown()))?.as_u64();
        let mut hello = Self::of(cx, asked, settings, (epoch, seq, head), lost)?;
        hello.id = json["id"].as_str().map(str::to_owned);
        hello.taken = json["taken"].as_u64();
        if asked.replaces.is_some() != json.get("taken").is_some() {
            return Err(format!("hello: taken is there, or not, although it was not asked for, or was: {}", shown()));
        }
        Ok(hello)
    }

    /// The same for what stands in a hello or in the lines of a head.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn of(
        cx: &mut Context<'_>,
        asked: &Asked,
        settings: &Settings,
        (epoch, seq, head): (&str, u64, u64),
        lost: Option<u64>,
    ) -> Result<Self, String> {
        let told = Told { by: cx.id, at: cx.now };
        let channel = asked.channel;
        let nth = cx.book.position(channel, (epoch, head), &asked.mark, told)?;
        let after = asked.after.as_ref();
        let goes_on = after.is_some_and(|(its, seq)| its == epoch && *seq <= head);
        if lost.is_none() != (after.is_some() && !goes_on) {
            return Err(format!(
                "lost: it is {lost:?} for who asked for {after:?}, in {epoch}:{head} (channel {channel}, client {} at {:?})",
                cx.id, cx.now
            ));
        }
        let start = Start {
            channel,
            epoch: nth,
            after: after.filter(|_| goes_on).map(|(_, seq)| *seq),
            history: asked.history.unwrap_or(settings.history),
            seq,
            lost: lost.unwrap_or(0),
            head,
        };
        start.check().map_err(|why| format!("{why} (channel {channel}, client {} at {:?})", cx.id, cx.now))?;
        Ok(Self { start, id: None, taken: None })
    }

    /// Holds `taken` against what is known of the connection that was replaced, by the server of that life or a later one. `comes_late`: so many have ended since that it may be forgotten.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn check_taken(&self, cx: &mut Context<'_>, asked: &Asked, life: u64, comes_late: bool) -> Result<(), String> {
        let Some((source, is_same_channel)) = asked.replaces else { return Ok(()) };
        let whose = || format!("(connection {source:x} of client {} at {:?})", cx.id, cx.now);
        match self.taken {
            Some(taken) if !is_same_channel => Err(format!("taken: {taken} of another channel {}", whose())),
            Some(taken) if cx.book.is_lost(source, life) => {
                Err(format!("taken: {taken}, although all was lost since {}", whose()))
            }
            Some(taken) => cx.book.take(source, taken, Told { by: cx.id, at: cx.now }),
            None if is_same_channel && cx.book.must_be_known(source, cx.book.life) && !comes_late => {
                Err(format!("taken: it is not known {}", whose()))
            }
            None => Ok(()),
        }
    }
}
