//! A message of somebody who is no subscriber, while it waits for room in the backlog.
//!
//! Leaves to whoever waits for how long. What must stay true: when nobody waits for it any more, it is not published.

use std::fmt;
use std::rc::Rc;

use smol::future::poll_fn;

use crate::broadcast::live_channel::{LiveChannel, Waiter};
use crate::hub::position::Position;

/// The message. Dropped before it is published, it is taken back.
pub struct WaitingPost {
    live: Rc<LiveChannel>,
    number: u64,
}

impl WaitingPost {
    /// For a message that goes by this number in the channel.
    pub(super) fn new(live: Rc<LiveChannel>, number: u64) -> Self {
        live.waiting_posts.borrow_mut().insert(number, Waiter::default());
        Self { live, number }
    }

    /// Waits until it is in the backlog, and says where.
    pub async fn published(&self) -> Position {
        poll_fn(|cx| {
            let mut posts = self.live.waiting_posts.borrow_mut();
            posts.get_mut(&self.number).expect("it is there until the drop").poll(cx)
        })
        .await
    }
}

impl Drop for WaitingPost {
    fn drop(&mut self) {
        self.live.waiting_posts.borrow_mut().remove(&self.number);
        self.live.channel.borrow_mut().withdraw_post(self.number);
    }
}

impl fmt::Debug for WaitingPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingPost").field("number", &self.number).finish_non_exhaustive()
    }
}
