//! What a stream over HTTP says, from its head on.
//!
//! Leaves the forms of messages to `forms`. What must stay true: each byte of it is accounted for, as a message, a hello, or a sign of life.

use std::time::Duration;

use crate::actor::Context;
use crate::book::Book;
use crate::book::content::{Content, Style};
use crate::book::telling::{Message, Told};
use crate::clients::forms::{Form, Next, shown};
use crate::clients::hello::{Asked, Hello, Settings};
use crate::clients::http::Head;
use crate::clients::line::Line;
use crate::clients::verdict::Conduct;

/// Where it is.
#[derive(Debug, Clone, Copy)]
struct Place {
    epoch: usize,
    next: u64,
}

/// The reading side of a stream.
#[derive(Debug)]
pub struct Reading {
    form: Form,
    asked: Asked,
    count: Option<u64>,
    /// The status, when the head has come.
    status: Option<u16>,
    place: Option<Place>,
    hello: Option<Hello>,
    /// It cannot go on until others are told more.
    is_waiting: bool,
    read: u64,
    complete_at: Option<Duration>,
    is_retry: bool,
    expected: Vec<u8>,
    payload: Vec<u8>,
}

impl Reading {
    /// Of a stream that was asked for.
    pub fn new(form: Form, asked: Asked, count: Option<u64>) -> Self {
        let (place, hello, status) = (None, None, None);
        let (expected, payload) = (Vec::new(), Vec::new());
        Self {
            form,
            asked,
            count,
            status,
            place,
            hello,
            is_waiting: false,
            read: 0,
            complete_at: None,
            is_retry: false,
            expected,
            payload,
        }
    }

    /// Whether it has begun.
    pub fn is_greeted(&self) -> bool {
        self.place.is_some()
    }

    /// Whether it cannot go on until others are told more.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// The status, if it is that of a refusal; a browser is told so by an answer that ends at once.
    pub fn status(&self) -> Option<u16> {
        let is_refused = self.is_retry && self.place.is_none();
        if is_refused { Some(503) } else { self.status.filter(|status| *status != 200) }
    }

    /// Whether it has as many messages as it wanted.
    pub fn is_complete(&self) -> bool {
        self.complete_at.is_some()
    }

    /// Where it would go on.
    pub fn place(&self, book: &Book) -> Option<(String, u64)> {
        self.place.map(|place| (book.epoch(self.asked.channel, place.epoch).to_owned(), place.next - 1))
    }

    /// Whether no message is there in part.
    pub fn is_between_messages(&self, line: &Line) -> bool {
        line.unread().is_empty() || self.is_waiting || self.status.is_none_or(|status| status != 200)
    }

    /// Whether it is ended that has all that it wanted.
    ///
    /// # Errors
    /// If it is still there.
    pub fn check_end(&self, cx: &Context<'_>, conduct: &Conduct, latency: Duration) -> Result<(), String> {
        let Some(at) = self.complete_at.filter(|_| conduct.is_prompt && !conduct.was_hit) else { return Ok(()) };
        // Its end comes behind the last message, at most when the server has given up to wait for it.
        if cx.now > at + latency * 8 + Duration::from_secs(5) {
            return Err(format!("stream: client {} has its {:?} since {at:?}, and it goes on", cx.id, self.count));
        }
        Ok(())
    }

    /// Reads what has come.
    ///
    /// # Errors
    /// What cannot be.
    pub fn read(&mut self, cx: &mut Context<'_>, line: &mut Line, settings: &Settings) -> Result<(), String> {
        self.is_waiting = false;
        if self.status.is_none() {
            let Some(head) = Head::parse(line.unread())? else { return Ok(()) };
            self.status = Some(head.status);
            line.consume(head.bytes);
            if head.status == 200 && self.form == Form::Lines {
                self.begin_lines(cx, &head, settings)?;
            }
        }
        if self.status != Some(200) {
            return Ok(());
        }
        let (channel, id, now) = (self.asked.channel, cx.id, cx.now);
        let with = |why: String| format!("{why} (channel {channel}, client {id} at {now:?})");
        let mut epoch =
            self.place.map_or_else(String::new, |place| cx.book.epoch(self.asked.channel, place.epoch).to_owned());
        loop {
            let next = self.place.map_or(0, |place| place.next);
            let found = self.form.next(line.unread(), &epoch, next).map_err(with)?;
            match found {
                None => return Ok(()),
                Some(Next::Heartbeat(bytes)) if self.place.is_some() => line.consume(bytes),
                Some(Next::Retry(bytes)) => {
                    self.is_retry = true;
                    line.consume(bytes);
                }
                Some(Next::Hello(json, bytes)) => {
                    let hello = Hello::read(cx, json.as_bytes(), &self.asked, settings).map_err(with)?;
                    let start = hello.start;
                    if self.place.is_some() && start.seq != 0 {
                        return Err(with(format!("stream: another hello begins with {start:?}")));
                    }
                    if self.place.is_none() {
                        self.hello = Some(hello);
                    }
                    self.place = Some(Place { epoch: start.epoch, next: start.seq + 1 });
                    cx.book.epoch(self.asked.channel, start.epoch).clone_into(&mut epoch);
                    // What comes from here on was not asked for.
                    self.asked.after = None;
                    self.asked.history = Some(0);
                    line.consume(bytes);
                }
                Some(Next::Message { payload_at, is_text, at, name }) => {
                    let Some(place) = self.place else {
                        return Err(with(format!("stream: \"{}\" in place of a hello", shown(line.unread()))));
                    };
                    let taken = self.take(cx, line.unread(), payload_at, (is_text, name), place)?;
                    let Some(bytes) = taken else { return Ok(()) };
                    line.consume(bytes);
                    self.check_day(cx, at, place).map_err(with)?;
                    self.note_message(cx)?;
                }
                Some(next) => return Err(with(format!("stream: {next:?} in place of a hello"))),
            }
        }
    }

    fn begin_lines(&mut self, cx: &mut Context<'_>, head: &Head, settings: &Settings) -> Result<(), String> {
        let lost = head.get("foghorn-lost").map(|lost| lost.parse().ok());
        let (Some((epoch, seq)), Some(lost)) = (head.position(), lost) else {
            return Err(format!("stream: its head does not say where it begins: {head:?}"));
        };
        // Where the newest was is not said: at least where it begins, and where it was when it asked.
        let known = self.asked.mark.position.filter(|(nth, _)| cx.book.epoch(self.asked.channel, *nth) == epoch);
        let head = known.map_or(seq, |(_, head)| head.max(seq));
        let hello = Hello::of(cx, &self.asked, settings, (epoch, seq, head), lost)?;
        self.place = Some(Place { epoch: hello.start.epoch, next: seq + 1 });
        Ok(())
    }

    /// Takes the message that begins here, if it is whole. Returns its length.
    fn take(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        payload_at: usize,
        (is_text, name): (Option<bool>, Option<(u32, u32)>),
        place: Place,
    ) -> Result<Option<usize>, String> {
        let channel = self.asked.channel;
        let (id, now) = (cx.id, cx.now);
        let with = |why: String| format!("{why} (channel {channel}, client {id} at {now:?})");
        let known = cx.book.known((channel, place.epoch, place.next));
        let content = match name {
            None => match known.filter(Content::is_empty) {
                Some(content) => Some(content),
                None if self.form == Form::Lines => None,
                None => {
                    let style = if is_text == Some(true) { Style::Words } else { Style::Binary };
                    Some(Content { source: 0, nth: 0, bytes: 0, style })
                }
            },
            Some((source, nth)) => match cx.book.content(channel, source, nth) {
                Some(content) => Some(content),
                None => return Err(with(format!("unsent: nobody has sent \"{}\"", shown(&bytes[payload_at..])))),
            },
        };
        // An empty line may be the first of an epoch that nobody was told of.
        let Some(content) = content else { return Ok(self.wait()) };
        self.payload.clear();
        content.write(&mut self.payload);
        self.expected.clear();
        self.form.put(&self.payload, content.style.is_text(), &mut self.expected);
        let came = &bytes[payload_at..];
        let compared = came.len().min(self.expected.len());
        if came[..compared] != self.expected[..compared] {
            let differs = came.iter().zip(&self.expected).position(|(a, b)| a != b).unwrap_or(0);
            return Err(with(format!(
                "encoding: {content} in {:?} differs at {differs}: \"{}\" in place of \"{}\"",
                self.form,
                shown(&came[differs..]),
                shown(&self.expected[differs..])
            )));
        }
        if came.len() < self.expected.len() {
            return Ok(None);
        }
        let told = Told { by: cx.id, at: cx.now };
        let message = Message { is_text: is_text.or(Some(content.style.is_text())), payload: &self.payload };
        let is_sure = self.form != Form::Lines || cx.book.reasons(channel) == 0 && !cx.book.may_begin_anew(channel);
        let mut here = (channel, place.epoch, place.next);
        if !is_sure && known != Some(content) {
            // Lines do not say where numbers begin anew.
            match cx.book.find(channel, &self.payload) {
                Some((_, epoch, seq)) if epoch != place.epoch && seq == 1 => here = (channel, epoch, seq),
                Some(found) if found == here => {}
                // Files that could be neither written nor removed come back with what was told in another epoch meanwhile.
                Some(found) if found.1 != place.epoch && cx.book.may_go_back(channel) => here = found,
                Some((_, epoch, seq)) => {
                    let [before, now] = [place.epoch, epoch].map(|epoch| cx.book.epoch(channel, epoch).to_owned());
                    return Err(with(format!("gap: after {before}:{} comes {now}:{seq}", place.next - 1)));
                }
                None => return Ok(self.wait()),
            }
        }
        cx.book.message(here, message, told)?;
        self.place = Some(Place { epoch: here.1, next: here.2 + 1 });
        Ok(Some(payload_at + self.expected.len()))
    }

    /// Holds the time of day that is told for a message against the clocks.
    fn check_day(&self, cx: &Context<'_>, at: Option<u64>, place: Place) -> Result<(), String> {
        let Some(at) = at.and_then(|at| i64::try_from(at).ok()) else { return Ok(()) };
        let Some(published) = cx.book.published((self.asked.channel, place.epoch, place.next)) else { return Ok(()) };
        if cx.book.times.is_day(at, published, (self.asked.mark.at, cx.now)) == Some(false) {
            return Err(format!("at: message {} is said to be of {at}, published at {published:?}", place.next));
        }
        Ok(())
    }

    fn wait(&mut self) -> Option<usize> {
        self.is_waiting = true;
        None
    }

    fn note_message(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        self.read += 1;
        if self.count.is_some_and(|count| self.read > count) {
            return Err(format!("stream: client {} has {} messages, and wanted {:?}", cx.id, self.read, self.count));
        }
        if self.count == Some(self.read) {
            self.complete_at = Some(cx.now);
        }
        if let (Some(hello), Some(place)) = (&self.hello, self.place) {
            let start = hello.start;
            if place.next > start.head || place.epoch != start.epoch {
                self.hello = None;
                if place.epoch == start.epoch {
                    cx.book.start(&start, Told { by: cx.id, at: cx.now })?;
                }
            }
        }
        Ok(())
    }
}
