//! Telling the server to stop.
//!
//! Leaves when to `faulting`. What must stay true: each time that it is told is told once.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

/// What a server is told to stop by.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    state: Rc<RefCell<(u32, Option<Waker>)>>,
}

impl Stop {
    /// Tells it once more.
    pub fn tell(&self) {
        let mut state = self.state.borrow_mut();
        state.0 += 1;
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }
}

impl Stream for Stop {
    type Item = ();

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let mut state = self.state.borrow_mut();
        if state.0 > 0 {
            state.0 -= 1;
            return Poll::Ready(Some(()));
        }
        state.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}
