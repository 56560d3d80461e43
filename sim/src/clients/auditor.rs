//! Who asks for the figures when all have left and the server has come to rest, and holds them against each other and the model.
//!
//! Leaves what is asked while there is something to do to `looker`. What must stay true: it comes once, and what it asks changes no figure that it looks at.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::actor::{Actor, Context};
use crate::book::CHANNELS;
use crate::book::channel::Mark;
use crate::book::telling::Told;
use crate::clients::http::{self, Head};
use crate::clients::line::Line;
use crate::clients::looks::check_age;
use crate::codes::Codes;
use crate::net::link::Link;
use crate::net::wire::WireState;
use crate::scenario::{Scenario, State};

/// What a message has beside its payload, in bytes: a backlog has room for two of them beside its setting.
const ENTRY_BYTES: u64 = 26;

/// What all channels together have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    channels: u64,
    messages: u64,
    deliveries: u64,
    backlog_bytes: u64,
    kept: u64,
}

/// Who looks at the figures.
#[derive(Debug)]
pub struct Auditor {
    codes: Codes,
    state: State,
    line: Option<Line>,
    mark: Mark,
    /// How many answers have come: one for each channel, then that of `/metrics`.
    answers: usize,
    sums: Sums,
}

impl Auditor {
    /// One for the end of a scenario.
    pub fn new(scenario: &Scenario) -> Self {
        let (codes, state) = (scenario.codes, scenario.state);
        Self { codes, state, line: None, mark: Mark::default(), answers: 0, sums: Sums::default() }
    }

    fn ask(&mut self, cx: &mut Context<'_>) {
        let target = if let Some(channel) = CHANNELS.get(self.answers) {
            self.mark = cx.book.mark(self.answers, cx.now);
            http::with_code(&format!("{}?status", http::path(channel)), self.codes.best(self.answers))
        } else {
            self.mark = Mark { at: cx.now, position: None };
            http::with_code("/metrics", self.codes.best(0))
        };
        if let Some(line) = &mut self.line {
            line.send(http::request("GET", &target, &[]).as_bytes());
        }
    }

    /// The figures of one channel.
    fn check_channel(&mut self, cx: &mut Context<'_>, body: &[u8]) -> Result<(), String> {
        let channel = self.answers;
        let json: Value = serde_json::from_slice(body).map_err(|error| format!("figures: {error}"))?;
        let number = |name: &str| json[name].as_u64().ok_or_else(|| format!("figures: no {name} in {json}"));
        if json["channel"] != CHANNELS[channel] || number("clients")? != 0 || json["server"]["clients"] != 0 {
            return Err(format!("figures: nobody is there, and it is {json}"));
        }
        let Some(epoch) = json["epoch"].as_str() else { return Ok(()) };
        let (head, messages) = (number("head")?, number("messages")?);
        let told = Told { by: cx.id, at: cx.now };
        let nth = cx.book.position(channel, (epoch, head), &self.mark, told)?;
        let backlog_bytes = number("backlogBytes")?;
        let is_right = number("clientsBehind")? == 0
            && number("publishersWaiting")? == 0
            && number("maxMessage")? == cx.book.message_bytes_max(channel) as u64
            && number("backlogBytesMax")? == cx.book.backlog_bytes(channel) as u64
            && backlog_bytes <= number("backlogBytesMax")? + 2 * ENTRY_BYTES
            && (self.state != State::Off || json["kept"] == false);
        if !is_right {
            return Err(format!("figures: one of channel /{} is wrong: {json}", CHANNELS[channel]));
        }
        // In the first life all that has a number was published in it, if nothing was deleted or forgotten.
        let is_all = cx.book.life == 0 && cx.book.reasons(channel) == 0 && !cx.book.may_begin_anew(channel);
        if is_all && messages != head {
            return Err(format!("figures: {messages} messages, and the newest is {head}: {json}"));
        }
        if let Some(age) = json["lastSecondsAgo"].as_i64() {
            check_age(cx, (channel, nth, head), age, &self.mark)?;
        } else if is_all && head > 0 {
            return Err(format!("figures: the age of the last message is not known: {json}"));
        }
        self.sums.channels += 1;
        self.sums.messages += messages;
        self.sums.deliveries += number("deliveries")?;
        self.sums.backlog_bytes += backlog_bytes;
        self.sums.kept += u64::from(json["kept"] == true);
        Ok(())
    }

    /// The figures of the whole server.
    fn check_server(&self, cx: &Context<'_>, body: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(body);
        let mut families = BTreeMap::<&str, u64>::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').ok_or_else(|| format!("figures: a line is {line}"))?;
            let name = name.split_once('{').map_or(name, |(name, _)| name);
            // Those of a family are added up, but for that of the version.
            let value: u64 = value.parse().map_err(|_| format!("figures: a line is {line}"))?;
            *families.entry(name).or_default() += value;
        }
        let figure = |name: &str| families.get(name).copied().ok_or_else(|| format!("figures: no {name}: {text}"));
        // None was forgotten, with its figures.
        let has_all = cx.book.limits.channels_max >= CHANNELS.len() - 1;
        for (name, sum) in [
            ("foghorn_clients", 0),
            ("foghorn_clients_behind", 0),
            ("foghorn_publishers_waiting", 0),
            ("foghorn_channels", self.sums.channels),
            ("foghorn_backlog_bytes", self.sums.backlog_bytes),
            ("foghorn_channels_kept", self.sums.kept),
            ("foghorn_channel_messages_total", self.sums.messages),
            ("foghorn_channel_deliveries_total", self.sums.deliveries),
            ("foghorn_closed_total", figure("foghorn_joins_total")?),
        ] {
            let its = figure(name)?;
            if its != sum {
                return Err(format!("figures: {name} is {its}, and the channels have {sum}"));
            }
        }
        if has_all {
            let server = [figure("foghorn_messages_total")?, figure("foghorn_deliveries_total")?];
            if server != [self.sums.messages, self.sums.deliveries] {
                return Err(format!("figures: all messages and deliveries are {server:?}, and {:?}", self.sums));
            }
        }
        let started = i64::try_from(figure("process_start_time_seconds")?).unwrap_or(i64::MAX);
        if !cx.book.times.is_start(started, cx.book.life_began, (self.mark.at, cx.now)) {
            return Err(format!("figures: it was started at {started}, and that was {:?}", cx.book.life_began));
        }
        Ok(())
    }

    fn step_line(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        let Some(line) = &mut self.line else { return Ok(()) };
        line.receive(usize::MAX);
        if let Some(head) = Head::parse(line.unread())? {
            let length = head.length().unwrap_or(0);
            let Some(body) = line.unread().get(head.bytes..head.bytes + length).map(<[u8]>::to_vec) else {
                return Ok(());
            };
            line.consume(head.bytes + length);
            if head.status != 200 {
                return Err(format!("figures: {head:?} for answer {} at rest", self.answers));
            }
            let is_last = self.answers == CHANNELS.len();
            if is_last {
                self.check_server(cx, &body)?;
            } else {
                self.check_channel(cx, &body)?;
            }
            self.answers += 1;
            if is_last {
                line_close(&mut self.line);
            } else {
                self.ask(cx);
            }
        } else if !matches!(line.state(), WireState::Connecting | WireState::Open) {
            return Err(format!("figures: no answer {} at rest", self.answers));
        }
        Ok(())
    }
}

fn line_close(line: &mut Option<Line>) {
    if let Some(line) = line.take() {
        line.wire.close();
    }
}

impl Actor for Auditor {
    fn step(&mut self, cx: &mut Context<'_>) {
        if self.line.is_none() && self.answers == 0 && cx.book.is_at_rest && cx.server_is_up() {
            self.line = Some(Line::new(cx.connect(Link::default()), None));
            self.ask(cx);
        }
        if let Err(what) = self.step_line(cx) {
            self.line = None;
            cx.contradiction(format!("{what} (at {:?})", cx.now));
        }
    }

    fn name(&self) -> String {
        "Auditor".to_owned()
    }
}
