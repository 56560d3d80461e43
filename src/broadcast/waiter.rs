//! Who waits for what becomes of a message from outside.
//!
//! Leaves to others how long. What must stay true: it is told once, and woken for that.

use std::task::{Context, Poll, Waker};

use crate::hub::position::Position;

/// What became of a message so far, and who wants to know.
#[derive(Default)]
pub(super) struct Waiter {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

/// What became of a message.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// It is in the backlog, or was in that of another board.
    Published(Position),
    /// Nobody knows.
    #[cfg(feature = "redis")]
    Unknown,
}

impl Waiter {
    /// Notes what has become of the message.
    pub(super) fn settle(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ready when it is known what has become of the message; else the task is woken then.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<Outcome> {
        if let Some(outcome) = &self.outcome {
            return Poll::Ready(outcome.clone());
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}
