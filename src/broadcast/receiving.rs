//! What the reader has of the log that all boards share: entries come into the channels' own logs.
//!
//! Leaves orders to `relaying`. What must stay true: every board has the messages of a channel in one order under the same numbers; what of
//! them is missed is told to those who count; nothing overwrites what somebody here has still to get.

use std::rc::Rc;

use log::warn;

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::live_channel::{LiveChannel, Subscribers};
use crate::broadcast::relay::Relay;
use crate::broadcast::relayed::{Relayed, Stage};
use crate::broadcast::waiter::Outcome;
use crate::engine::entry::{Content, Entry, EntryId};
use crate::hub::channel_name::ChannelName;
use crate::hub::epochs::Beginning;
use crate::hub::sharing::SettledPost;

impl Broadcaster {
    /// Takes in what has come of these channels.
    pub(super) fn receive(self: &Rc<Self>, relay: &Relay, parts: Vec<(ChannelName, EntryId, Vec<Entry>)>) {
        for (name, behind, entries) in parts {
            // One that was forgotten meanwhile is read no longer.
            let Some(live) = self.channels().get(&name) else { continue };
            live.relayed_mut(|relayed| relayed.push(behind, entries));
            self.mark_dirty(&live);
            self.take_in(relay, &live, &mut live.channel.borrow_mut());
        }
    }

    /// Takes in what has come of a channel, as far as there is room.
    pub(super) fn take_in(self: &Rc<Self>, relay: &Relay, live: &Rc<LiveChannel>, channel: &mut Subscribers) {
        let mut arriving_bytes = 0;
        while let Some(entry) = live.relayed_mut(|relayed| relayed.inbox.pop_front()).flatten() {
            let is_filling = live.relayed_mut(|relayed| matches!(relayed.stage, Stage::Filling(_))) == Some(true);
            let id = entry.id;
            if let Some(beginning) = beginning_before(live, channel, &entry, is_filling) {
                self.begin_epoch(live, channel, beginning);
            }
            match entry.content {
                Content::Marker => {}
                Content::Message { frame, .. } if !channel.can_hold(frame.len()) => {
                    warn!(
                        "message {id} of {} has {} bytes, more than this board has room for; give all boards the same \
                         --backlog and --channel-backlog",
                        live.name.address(),
                        frame.len()
                    );
                }
                Content::Message { frame, at_unix_secs, .. } if is_filling => {
                    channel.receive_past(&frame, self.at_secs(relay, at_unix_secs));
                }
                Content::Message { ref frame, .. } if !channel.has_room_to_receive(frame.len()) => {
                    arriving_bytes = frame.len();
                    live.relayed_mut(|relayed| relayed.inbox.push_front(entry));
                    break;
                }
                Content::Message { frame, at_unix_secs, author } => {
                    let own = (author.board == relay.board).then_some(author.counter);
                    let posts = channel.receive(&frame, own, self.at_secs(relay, at_unix_secs));
                    settle(live, posts);
                }
                Content::Foreign => {
                    warn!("entry {id} of {} is from no board; it is passed over", live.name.address());
                }
            }
            live.relayed_mut(|relayed| relayed.taken_in = id);
        }
        channel.note_arriving(arriving_bytes);
        end_taking_in(relay, live, channel);
    }

    /// The age of a message by the clock that is its log's.
    fn at_secs(&self, relay: &Relay, at_unix_secs: u64) -> i32 {
        let at_secs = relay.boot_secs_at(at_unix_secs).min(self.now_secs.get().into());
        i32::try_from(at_secs).unwrap_or(i32::MIN)
    }
}

/// Follows from what was taken in.
fn end_taking_in(relay: &Relay, live: &LiveChannel, channel: &mut Subscribers) {
    let Some(settled) = live.relayed_mut(|relayed| {
        if matches!(relayed.stage, Stage::Filling(until) if until <= relayed.taken_in) {
            relayed.stage = Stage::Ready;
        }
        relayed.settled_by_now()
    }) else {
        return;
    };
    if let Some(counter) = settled {
        settle(live, channel.settle_through(counter));
    }
    let (_, settled) = channel.staged();
    live.relayed_mut(|relayed| {
        relayed.waiting.retain(|(target, waker)| {
            if *target <= settled {
                waker.wake_by_ref();
            }
            *target > settled
        });
        relayed.wake();
        // What does not fit is left to Redis until there is room again.
        if let (Some(seen), true) = (relayed.seen, relay.is_here()) {
            if relayed.is_read && !relayed.inbox.is_empty() {
                relayed.is_read = false;
                relay.leave(&live.name);
            } else if !relayed.is_read && relayed.inbox.is_empty() && !relayed.needs_look && !relayed.look_under_way {
                relayed.is_read = true;
                relay.read(&live.name, seen.id);
            }
        }
    });
}

/// With what an epoch has to begin before this entry, if it does not follow what there is.
fn beginning_before(live: &LiveChannel, channel: &Subscribers, entry: &Entry, is_filling: bool) -> Option<Beginning> {
    let EntryId { epoch, seq } = entry.id;
    let taken_in = live.relayed_mut(|relayed: &mut Relayed| relayed.taken_in)?;
    let is_other = epoch != taken_in.epoch;
    let head = if is_other { 0 } else { channel.head() };
    let numbers_before = seq.saturating_sub(1);
    let missed = numbers_before.saturating_sub(head);
    if !is_other && missed == 0 {
        return None;
    }
    let lost = if is_other || is_filling { 0 } else { missed };
    if lost > 0 {
        warn!("{lost} messages of {} were trimmed before this board has read them", live.name.address());
    }
    Some(Beginning { name: epoch.to_string(), numbers_before, lost })
}

/// Tells those who wait for their posts what has become of them.
pub(super) fn settle(live: &LiveChannel, posts: Vec<SettledPost>) {
    let mut waiting_posts = live.waiting_posts.borrow_mut();
    for SettledPost { number, position } in posts {
        if let Some(waiter) = waiting_posts.get_mut(&number) {
            waiter.settle(position.map_or(Outcome::Unknown, Outcome::Published));
        }
    }
}
