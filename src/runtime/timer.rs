//! Futures that are ready at a moment.
//!
//! What must stay true: a timer that nobody waits for any more is forgotten, so that memory does not grow with time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::runtime::clock;
use crate::runtime::reactor::Reactor;

/// Ready at a moment. To be awaited in the thread of the reactor.
#[derive(Debug)]
pub struct Timer {
    at: Instant,
    number: Option<u64>,
}

impl Timer {
    /// Ready this long after now.
    pub fn after(duration: Duration) -> Self {
        Self::at(clock::now() + duration)
    }

    /// Ready at this moment, or at once if it has passed.
    pub fn at(at: Instant) -> Self {
        Self { at, number: None }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.at <= clock::now() {
            return Poll::Ready(());
        }
        let reactor = Reactor::of_this_thread().expect("whoever polls it runs in block_on");
        let number = *self.number.get_or_insert_with(|| reactor.next_timer());
        reactor.wake_at(self.at, number, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        if let Ok(reactor) = Reactor::of_this_thread() {
            reactor.forget_timer(self.at, number);
        }
    }
}
