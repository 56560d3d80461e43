//! Messages of this board on their way into the log that all boards share.
//!
//! Leaves to `receiving` what comes back. What must stay true: of a channel one parcel is under way at a time, and what it was given goes again,
//! in the same order, until it is known what has become of it.

use std::rc::Rc;

use log::info;

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::connection_id::ConnectionId;
use crate::broadcast::live_channel::{LiveChannel, Subscribers};
use crate::broadcast::receiving::settle;
use crate::broadcast::relay::{Context, Parcel, Relay, position_of};
use crate::broadcast::relayed::Relayed;
use crate::engine::entry::EntryId;
use crate::engine::order::{Answer, Appended, Fate, Order, Seen, Trouble};
use crate::hub::close_reason::CloseReason;

impl Broadcaster {
    /// Hands over what waits of these channels.
    pub(super) fn hand_over_parcels(&self, dirty: &[Rc<LiveChannel>]) {
        let Some(relay) = &self.relay else { return };
        for live in dirty {
            relay.hand_over(live, &mut live.channel.borrow_mut());
        }
    }

    /// Notes what has become of a parcel.
    pub(super) fn note_parcel(
        self: &Rc<Self>,
        relay: &Relay,
        live: &Rc<LiveChannel>,
        parcel: &Parcel,
        result: Result<Answer, Trouble>,
    ) {
        live.relayed_mut(|relayed| relayed.parcel_under_way = false);
        let mut channel = live.channel.borrow_mut();
        match result {
            Ok(Answer::Appended { fates, newest, now_unix_micros }) => {
                relay.note_time(now_unix_micros);
                if live.relayed_mut(|relayed| std::mem::take(&mut relayed.is_refused)) == Some(true) {
                    relay.note_well(&self.channels().all());
                }
                let mut fenced = Vec::new();
                for ((counter, fate), connection) in (parcel.first_counter..).zip(&fates).zip(&parcel.connections) {
                    match fate {
                        Fate::Appended(seq) => {
                            channel.note_told(counter, || position_of(EntryId { epoch: parcel.epoch, seq: *seq }));
                        }
                        Fate::Fenced => fenced.extend(*connection),
                        Fate::Before => {}
                    }
                }
                let last_counter = parcel.first_counter + parcel.connections.len() as u64 - 1;
                let settled = live.relayed_mut(|relayed| {
                    relayed.answered.push_back((last_counter, newest));
                    relayed.settled_by_now()
                });
                if let Some(counter) = settled.flatten() {
                    settle(live, channel.settle_through(counter));
                    live.relayed_mut(Relayed::wake);
                }
                relay.hand_over(live, &mut channel);
                drop(channel);
                if !fenced.is_empty() {
                    self.end_fenced(&fenced);
                }
            }
            Ok(Answer::NotHere) => {
                channel.take_back_parcels(Some(parcel.first_counter));
                drop(channel);
                info!("{} is not where this board has seen it; looking", live.name.address());
                live.relayed_mut(|relayed| relayed.note_doubt(true));
                relay.look(live, Some(false));
            }
            Ok(_) => {}
            Err(Trouble::Away(_)) => {
                channel.take_back_parcels(None);
                live.relayed_mut(Relayed::note_lost);
            }
            Err(Trouble::Refused(sentence)) => {
                channel.take_back_parcels(Some(parcel.first_counter));
                drop(channel);
                live.relayed_mut(|relayed| relayed.is_refused = true);
                relay.put_off(live, &sentence);
            }
            Err(Trouble::NoPlace) => channel.take_back_parcels(Some(parcel.first_counter)),
        }
    }

    /// Ends those whose messages were refused, as they have come back at another board, and takes these messages out of their counts. Each
    /// is named once for each message.
    fn end_fenced(&self, connections: &[u64]) {
        for id in connections.iter().copied().map(ConnectionId::of_number) {
            if let Some(client) = self.by_connection_id(id) {
                client.transport.note_refused();
                self.leave(&client);
                client.transport.end(CloseReason::Replaced);
            } else {
                self.ended.borrow_mut().note_refused(id);
            }
        }
    }
}

impl Relay {
    /// Hands over what waits of a channel, if nothing of it is on its way.
    pub(super) fn hand_over(&self, live: &Rc<LiveChannel>, channel: &mut Subscribers) {
        if !self.is_here() || !channel.has_parcel() {
            return;
        }
        let mut relayed = live.relayed.borrow_mut();
        let Some(relayed) = relayed.as_mut().filter(|relayed| relayed.takes_parcels()) else { return };
        let (Some(Seen { id: seen, .. }), Some(parcel)) = (relayed.seen, channel.take_parcel()) else { return };
        relayed.parcel_under_way = true;
        // What others let go is behind the beginning of an epoch that is not taken in yet.
        let oldest_seq = if seen.epoch == relayed.taken_in.epoch { channel.oldest_held() } else { 0 };
        let connections = parcel.messages.iter().map(|message| Some(message.as_ref()?.1?.connection)).collect();
        let messages =
            parcel.messages.into_iter().map(|message| message.map(|(frame, origin)| Appended { frame, origin }));
        let order = Order::Append {
            channel: live.name.clone(),
            seen,
            first_counter: parcel.first_counter,
            oldest_seq,
            messages: messages.collect(),
        };
        let parcel = Parcel { first_counter: parcel.first_counter, epoch: seen.epoch, connections };
        self.submit(order, Context::Parcel(Rc::clone(live), parcel));
    }
}
