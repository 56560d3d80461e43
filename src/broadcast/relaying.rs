//! What is asked of the log that all boards share, and what follows from its answers.
//!
//! Leaves what is read to `receiving`. What must stay true: nothing is appended to a channel, and nothing of it read, before it was found to be
//! the one that this board has seen; messages are handed over in their order, and again until it is known what has become of them.

use std::rc::Rc;
use std::time::Instant;

use smol::future::{self, FutureExt};

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::live_channel::LiveChannel;
use crate::broadcast::relay::{Context, Look, Reach, Relay};
use crate::broadcast::relayed::Relayed;
use crate::config::limits::{REDIS_LOOK_EVERY, REDIS_LOOKS_PER_USE};
use crate::engine::entry::EntryId;
use crate::engine::order::{Answer, Event, Place, ReadEvent, ReadOrder, Seen, Trouble};
use crate::runtime::clock;
use crate::runtime::timer::Timer;

/// What the task waits for.
enum Happened {
    Event(Event),
    Read(ReadEvent),
    /// It is time to look at all channels.
    Tick,
}

impl Broadcaster {
    /// Asks and answers, for ever.
    pub async fn run_relay(self: Rc<Self>) {
        let Some(relay) = &self.relay else { return future::pending().await };
        let mut looks = 0_u32;
        let mut next_look = clock::now() + REDIS_LOOK_EVERY;
        loop {
            let event = async { Happened::Event(relay.link.next_event().await) };
            let read = async { Happened::Read(relay.link.next_read().await) };
            let tick = async {
                Timer::at(Self::next_tick(relay, next_look)).await;
                Happened::Tick
            };
            match event.or(read).or(tick).await {
                Happened::Event(event) => self.note_event(relay, event),
                Happened::Read(ReadEvent::Entries(reading, parts)) if reading == relay.reading.get() => {
                    self.receive(relay, parts);
                }
                Happened::Read(ReadEvent::Begun(reading)) if reading == relay.reading.get() => {
                    self.note_reader_begun(relay);
                }
                Happened::Read(ReadEvent::Down(reading, problem)) if reading == relay.reading.get() => {
                    relay.note_reader_down(&problem);
                }
                Happened::Read(_) => {}
                Happened::Tick => {
                    let now = clock::now();
                    self.try_again(relay, now);
                    if next_look <= now {
                        next_look = now + REDIS_LOOK_EVERY;
                        looks = looks.wrapping_add(1);
                        self.look_at_all(relay, looks % REDIS_LOOKS_PER_USE == 0);
                    }
                }
            }
        }
    }

    /// When there is something to do again that nothing else brings about.
    fn next_tick(relay: &Relay, next_look: Instant) -> Instant {
        // All that was put off is done anew with the next connection.
        let of_channels = relay.again_at.get().filter(|_| relay.is_here());
        of_channels.into_iter().chain(relay.read_again_at.get()).min().map_or(next_look, |at| at.min(next_look))
    }

    /// Looks at all channels, and has them read when it is known where each of them is.
    fn look_and_read(&self, relay: &Relay, is_strict: bool) {
        let channels = self.channels().all();
        relay.read_again_at.set(None);
        relay.stop_reading();
        relay.round.set(relay.round.get() + 1);
        relay.note_reach(Reach::Looking(channels.len()));
        for live in channels {
            live.relayed_mut(|relayed| {
                relayed.again_at = None;
                relayed.note_doubt(is_strict);
            });
            relay.look(&live, Some(true));
        }
    }

    fn note_event(self: &Rc<Self>, relay: &Relay, event: Event) {
        match event {
            Event::Up { is_same } => {
                self.look_and_read(relay, !is_same);
            }
            Event::Down(problem) => {
                relay.note_reach(Reach::Away);
                relay.read_again_at.set(None);
                relay.stop_reading();
                relay.note_problem(&problem);
                for live in self.channels().all() {
                    live.channel.borrow_mut().take_back_parcels(None);
                    live.relayed_mut(|relayed| {
                        relayed.note_lost();
                        relayed.wake();
                    });
                }
            }
            Event::Done(ticket, result) => match relay.context_of(ticket) {
                Some(Context::Look(live, look)) => {
                    self.note_look(relay, &live, result, look);
                    self.mark_dirty(&live);
                }
                Some(Context::Parcel(live, parcel)) => {
                    self.note_parcel(relay, &live, &parcel, result);
                    self.mark_dirty(&live);
                }
                Some(Context::Ask(tell)) => {
                    // Whoever has asked may have gone.
                    let _ = tell.try_send(result);
                }
                Some(Context::Nobody) | None => {}
            },
        }
    }

    /// Looks at all channels: one may have been deleted, which no reader is told.
    fn look_at_all(&self, relay: &Relay, is_use: bool) {
        if !relay.is_here() {
            return;
        }
        for live in self.channels().all() {
            if live.relayed_mut(|relayed| !relayed.look_under_way) == Some(true) {
                relay.look(&live, is_use.then_some(false));
            }
        }
    }

    fn note_look(self: &Rc<Self>, relay: &Relay, live: &Rc<LiveChannel>, result: Result<Answer, Trouble>, look: Look) {
        let is_first = look.round == Some(relay.round.get());
        live.relayed_mut(|relayed| relayed.look_under_way = false);
        match result {
            Ok(Answer::At(Some(Place { newest, now_unix_micros }))) => {
                relay.note_time(now_unix_micros);
                note_place(live, newest, look.is_strict);
                if relay.has_problem() && relay.is_here() {
                    relay.note_well(&self.channels().all());
                }
            }
            Ok(_) => {}
            // With the next connection it is looked at again.
            Err(Trouble::Away(_)) => return,
            Err(Trouble::Refused(sentence)) => relay.put_off(live, &sentence),
            Err(Trouble::NoPlace) => relay.put_off(live, "there are as many channels as all boards may have"),
        }
        match relay.reach.get() {
            Reach::Looking(left) if is_first => {
                if left > 1 {
                    relay.note_reach(Reach::Looking(left - 1));
                } else {
                    relay.note_reach(Reach::Reading);
                    self.begin_reading(relay);
                }
            }
            Reach::Here => self.take_in(relay, live, &mut live.channel.borrow_mut()),
            Reach::Away | Reach::Looking(_) | Reach::Reading => {}
        }
        relay.hand_over(live, &mut live.channel.borrow_mut());
    }

    /// Does what was put off until now.
    fn try_again(self: &Rc<Self>, relay: &Relay, now: Instant) {
        if relay.read_again_at.get().is_some_and(|at| at <= now) {
            self.look_and_read(relay, false);
        }
        if !relay.is_here() {
            return;
        }
        if relay.again_at.get().is_none_or(|at| at > now) {
            return;
        }
        relay.again_at.set(None);
        for live in self.channels().all() {
            let is_due = live.relayed_mut(|relayed| {
                let is_due = relayed.again_at.is_some_and(|at| at <= now);
                if let Some(at) = relayed.again_at.filter(|_| !is_due) {
                    relay.note_again_at(at);
                }
                if is_due {
                    relayed.again_at = None;
                }
                is_due && !relayed.look_under_way
            });
            if is_due == Some(true) {
                relay.look(&live, Some(false));
            }
        }
    }

    /// From here on, messages are handed over: what comes of them is read. Not before, since a reader that is refused would otherwise be tried
    /// in vain with each of these.
    fn note_reader_begun(self: &Rc<Self>, relay: &Relay) {
        if relay.reach.get() != Reach::Reading {
            return;
        }
        let channels = self.channels().all();
        relay.note_well(&channels);
        relay.note_reach(Reach::Here);
        for live in channels {
            // Those that were found meanwhile are read, too.
            self.take_in(relay, &live, &mut live.channel.borrow_mut());
            self.mark_dirty(&live);
        }
    }

    /// Has the reader begin with all channels, behind what was seen of each.
    fn begin_reading(self: &Rc<Self>, relay: &Relay) {
        relay.read_at.set(clock::now());
        relay.reading.set(relay.reading.get() + 1);
        let mut streams = Vec::new();
        for live in self.channels().all() {
            live.relayed_mut(|relayed| {
                relayed.is_read = relayed.inbox.is_empty() && relayed.seen.is_some() && !relayed.needs_look;
                if let Some(Seen { id, .. }) = relayed.seen.filter(|_| relayed.is_read) {
                    streams.push((live.name.clone(), id));
                }
            });
        }
        relay.link.read(ReadOrder::Begin(relay.reading.get(), streams));
    }
}

/// Notes where a channel is, by a look.
fn note_place(live: &LiveChannel, newest: EntryId, was_strict: bool) {
    if live.relayed_mut(|relayed| relayed.note_place(newest, was_strict)) == Some(true) {
        live.channel.borrow_mut().clear(newest.epoch.to_string());
        live.relayed_mut(Relayed::wake);
    }
}
