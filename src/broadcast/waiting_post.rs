//! Messages of somebody who is no subscriber: published at once, or when there is room in the backlog, and in the channel's file.
//!
//! Leaves to whoever waits for how long. What must stay true: when nobody waits any more for a message that needs room, it is not published,
//! and whoever waits behind it does not wait for it; those that wait for a disk, and cannot be taken back, leave places for other requests.

use std::fmt;
use std::rc::Rc;

use smol::future::poll_fn;

use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::live_channel::{LiveChannel, Subscribers};
use crate::broadcast::waiter::{Outcome, Waiter};
use crate::config::limits::POSTS_WAITING_MAX;
use crate::hub::frame::Frame;
use crate::hub::position::Position;
use crate::hub::publishing::{Admitted, Posted};

/// What became of a message from outside.
#[derive(Debug)]
pub enum PostOutcome<'a> {
    /// It is published, here.
    Published(Position),
    /// It waits for room, or for the file.
    Waiting(WaitingPost<'a>),
    /// It is not taken: too many wait for a disk, or for Redis.
    TooMany,
}

/// A message that waits for room, or for the file. Dropped while it waits for room, it is taken back.
pub struct WaitingPost<'a> {
    broadcaster: &'a Broadcaster,
    live: Rc<LiveChannel>,
    /// What it goes by in the channel.
    number: u64,
}

impl Broadcaster {
    /// Publishes a message of somebody who is no client, at once or when the backlog has room for it.
    pub fn post(&self, live: &Rc<LiveChannel>, frame: Frame) -> PostOutcome<'_> {
        if self.posts_waiting.get() >= POSTS_WAITING_MAX && self.waits_for_others() {
            return PostOutcome::TooMany;
        }
        self.mark_dirty(live);
        let posted = live.channel.borrow_mut().post(frame, self.now_secs.get());
        match posted {
            Posted::Now(position) => PostOutcome::Published(position),
            Posted::Staged(number) | Posted::Later(number) => {
                live.waiting_posts.borrow_mut().insert(number, Waiter::default());
                self.posts_waiting.set(self.posts_waiting.get() + 1);
                PostOutcome::Waiting(WaitingPost { broadcaster: self, live: Rc::clone(live), number })
            }
        }
    }
}

impl Broadcaster {
    /// Publishes what waits for room and has it now, and tells who has waited.
    pub(super) fn admit_waiting(&self, live: &LiveChannel, channel: &mut Subscribers) {
        for admitted in channel.admit(self.now_secs.get(), |transport| transport.next_origin()) {
            match admitted {
                Admitted::Subscriber(slot) => {
                    if let Some(transport) = channel.get(slot) {
                        transport.publish_blocked.set(false);
                        transport.note_taken();
                        transport.staged_until.set(channel.staged().0);
                        transport.wake();
                    }
                }
                Admitted::Post(number, position) => {
                    if let Some(waiter) = live.waiting_posts.borrow_mut().get_mut(&number) {
                        waiter.settle(Outcome::Published(position));
                    }
                }
            }
        }
    }
}

impl WaitingPost<'_> {
    /// Whether it waits for room, or for Redis, so that it can be taken back. Else it is on its way into the channel's file, or into the log
    /// of all boards.
    pub fn can_be_taken_back(&self) -> bool {
        self.live.channel.borrow().can_withdraw_post(self.number)
    }

    /// Waits until it is in the backlog, and says where; or until it is known that nobody knows.
    pub async fn published(&self) -> Option<Position> {
        let outcome = poll_fn(|cx| {
            let mut posts = self.live.waiting_posts.borrow_mut();
            posts.get_mut(&self.number).expect("it is there until the drop").poll(cx)
        });
        match outcome.await {
            Outcome::Published(position) => Some(position),
            #[cfg(feature = "redis")]
            Outcome::Unknown => None,
        }
    }
}

impl Drop for WaitingPost<'_> {
    fn drop(&mut self) {
        let posts_waiting = &self.broadcaster.posts_waiting;
        posts_waiting.set(posts_waiting.get() - 1);
        self.live.waiting_posts.borrow_mut().remove(&self.number);
        self.live.channel.borrow_mut().withdraw_post(self.number);
        self.broadcaster.mark_dirty(&self.live);
    }
}

impl fmt::Debug for WaitingPost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingPost").field("number", &self.number).finish_non_exhaustive()
    }
}
