//! `foghorn listen`: a channel's messages to standard output, or each to a command.
//!
//! Leaves the connection to `client::link`, and where messages go to `client::printing` and `client::handling`. What must stay true: each message
//! goes out once and in order, whatever becomes of the connection; what was lost is told; the cursor is never ahead of what is
//! out; no more is taken than a bounded amount that waits.

use std::io;
use std::time::Instant;

use crate::cli::outcome::Outcome;
use crate::cli::prepared::prepare;
use crate::cli::voice::{Voice, messages, tell};
use crate::client::address::Address;
use crate::client::cursor_file::CursorFile;
use crate::client::handling::Handling;
use crate::client::incoming::{End, Incoming};
use crate::client::link::{Event, Greeted, Link, Wishes};
use crate::client::printing::Printing;
use crate::client::signals::{Signals, Stop};
use crate::client::waiting::{Interest, wait};
use crate::config::client_flags::ListenArgs;
use crate::config::client_limits::EVENTS_PER_TURN_MAX;
use crate::hub::position::Position;

/// Listens, until it is to end.
pub fn listen(args: ListenArgs) -> Outcome {
    let (address, signals) = match prepare(&args.address, args.code.as_deref()) {
        Ok(prepared) => prepared,
        Err(outcome) => return outcome,
    };
    match Listening::begin(args, address) {
        Ok(listening) => listening.run(signals),
        Err(why) => {
            tell(why);
            Outcome::Failed
        }
    }
}

/// Where messages go.
enum Sink {
    Output(Printing),
    Command(Handling),
}

/// What comes after a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The next one, when signals have been looked at.
    GoOn,
    /// Waiting.
    Wait,
    /// Nothing.
    End,
}

struct Listening {
    voice: Voice,
    link: Link,
    sink: Sink,
    /// How many messages are still to come, if that was said.
    left: Option<u64>,
    cursor: Option<Cursor>,
    /// That of the channel, if the server is a hub.
    epoch: String,
    /// Takes no more.
    is_ending: bool,
}

struct Cursor {
    file: CursorFile,
    /// What it holds.
    written: Option<Position>,
}

impl Listening {
    fn begin(args: ListenArgs, address: Address) -> Result<Self, String> {
        let cursor = args.cursor.map(CursorFile::new);
        let after = cursor.as_ref().map_or(Ok(None), CursorFile::read)?;
        let sink = match args.exec {
            Some(command) => Sink::Command(Handling::new(command, args.json)),
            None => Sink::Output(Printing::to_stdout(args.json).map_err(|error| {
                format!("cannot use standard output ({error}): raise the limit of open files (ulimit -n)")
            })?),
        };
        let wishes = Wishes { listens: true, after: after.clone(), history: args.history };
        Ok(Self {
            voice: Voice::new(args.quiet),
            link: Link::open(address, wishes).map_err(|failure| failure.sentence)?,
            sink,
            left: args.count,
            cursor: cursor.map(|file| Cursor { file, written: after }),
            epoch: String::new(),
            is_ending: false,
        })
    }

    fn run(mut self, mut signals: Signals) -> Outcome {
        loop {
            match signals.take().stop {
                Some(Stop::InOrder) => {
                    self.is_ending = true;
                    self.sink.drop_waiting();
                }
                Some(Stop::AtOnce) => return Outcome::Done,
                None => {}
            }
            let next = match self.step() {
                Ok(Next::End) => {
                    self.link.close();
                    return Outcome::Done;
                }
                Ok(next) => next,
                Err(End::NobodyReads) => return Outcome::Done,
                Err(End::Failed(why)) => {
                    tell(why);
                    return Outcome::Failed;
                }
            };
            if let Err(error) = self.wait(&signals, next) {
                tell(format_args!("cannot wait ({error})"));
                return Outcome::Failed;
            }
        }
    }

    /// Does what can be done in one turn.
    fn step(&mut self) -> Result<Next, End> {
        let mut events_left = EVENTS_PER_TURN_MAX;
        while events_left > 0 && !self.is_ending && !self.sink.is_full() {
            match self.link.next_event() {
                Some(event) => self.handle(event)?,
                None => break,
            }
            events_left -= 1;
        }
        let was_full = self.sink.is_full();
        if let Some(done) = self.sink.go_on()? {
            self.note_done(done)?;
        }
        Ok(match () {
            () if self.is_ending && self.sink.is_idle() => Next::End,
            // There may be more than was taken.
            () if self.sink.is_held() => Next::GoOn,
            () if !self.is_ending && !self.sink.is_full() && (was_full || events_left == 0) => Next::GoOn,
            () => Next::Wait,
        })
    }

    fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Greeted(greeted) => self.greeted(greeted),
            Event::Received(received) => {
                let position =
                    (!self.epoch.is_empty()).then(|| Position { epoch: self.epoch.clone(), seq: received.seq });
                self.sink.push(Incoming { position, received });
                if let Some(left) = &mut self.left {
                    *left -= 1;
                    self.is_ending = *left == 0;
                }
                Ok(())
            }
            Event::Confirmed(_) | Event::Nothing => Ok(()),
            Event::Lost(failure) => {
                self.voice.note_lost(&failure);
                Ok(())
            }
            Event::Failed(failure) => Err(End::Failed(failure.sentence)),
        }
    }

    fn greeted(&mut self, greeted: Greeted) -> Result<(), End> {
        let address = self.link.address();
        self.voice.note_greeted(&greeted, address);
        let Some(hello) = greeted.hello else {
            if self.cursor.is_some() {
                return Err(End::Failed(format!(
                    "{address} is no Foghorn (it speaks no foghorn.v1): it has no numbers of which --cursor could keep one"
                )));
            }
            if greeted.is_back {
                tell("what was said meanwhile is lost: this server keeps nothing");
            } else {
                self.voice.note(format_args!(
                    "{address} is no Foghorn (it speaks no foghorn.v1): no history, no numbers, and what is said while \
                     the connection is broken is lost"
                ));
            }
            return Ok(());
        };
        if greeted.is_anew {
            tell(
                "the channel has begun anew (the server was restarted, or its messages were deleted): what was said \
                 before, and did not come, is lost",
            );
        }
        if greeted.lost > 0 {
            let were = if greeted.lost == 1 { "was" } else { "were" };
            tell(format_args!(
                "{} {were} lost: more was said meanwhile than the server keeps (--backlog)",
                messages(greeted.lost)
            ));
        }
        self.epoch.clone_from(&hello.position.epoch);
        let has_place = self.cursor.as_ref().is_some_and(|cursor| cursor.written.is_some());
        if (!has_place || greeted.is_anew) && self.sink.is_idle() {
            self.note_done(hello.position)?;
        }
        Ok(())
    }

    /// Writes down up to where all is out.
    fn note_done(&mut self, done: Position) -> Result<(), End> {
        if let Some(cursor) = &mut self.cursor {
            cursor.file.write(&done).map_err(End::Failed)?;
            cursor.written = Some(done);
        }
        Ok(())
    }

    fn wait(&self, signals: &Signals, next: Next) -> io::Result<()> {
        let reads = !self.is_ending && !self.sink.is_full();
        let link = self.link.interest(reads);
        let interests = signals.fds().map(Interest::reads).chain(link).chain(self.sink.interest());
        let at_once = (next == Next::GoOn).then(Instant::now);
        wait(interests, at_once.or(self.link.deadline().filter(|_| reads))).map(drop)
    }
}

impl Sink {
    fn push(&mut self, incoming: Incoming) {
        match self {
            Self::Output(printing) => printing.push(incoming),
            Self::Command(handling) => handling.push(incoming),
        }
    }

    /// Goes on as far as nothing makes it wait. Returns up to where all is out, if that has changed.
    fn go_on(&mut self) -> Result<Option<Position>, End> {
        match self {
            Self::Output(printing) => printing.go_on(),
            Self::Command(handling) => handling.go_on(tell),
        }
    }

    fn is_full(&self) -> bool {
        match self {
            Self::Output(printing) => printing.is_full(),
            Self::Command(handling) => handling.is_full(),
        }
    }

    fn is_idle(&self) -> bool {
        match self {
            Self::Output(printing) => printing.is_idle(),
            Self::Command(handling) => handling.is_idle(),
        }
    }

    /// Whether it waits for nothing but its next turn.
    fn is_held(&self) -> bool {
        matches!(self, Self::Command(handling) if handling.is_held())
    }

    fn drop_waiting(&mut self) {
        match self {
            Self::Output(printing) => printing.drop_waiting(),
            Self::Command(handling) => handling.drop_waiting(),
        }
    }

    fn interest(&self) -> Option<Interest<'_>> {
        match self {
            Self::Output(printing) => Some(printing.interest()),
            Self::Command(handling) => handling.interest(),
        }
    }
}
