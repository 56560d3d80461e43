//! Requests that need the disk, which the threads for it take one after the other.
//!
//! Leaves answering to `page_server`. What must stay true: one file that is slow takes one of these threads, however often it is asked
//! for, and requests whose time is over, so that nobody waits for their answers, are forgotten when more come.

use std::collections::{HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::config::limits::{HTTP_IN_FLIGHT_MAX, HTTP_TIMEOUT};

/// What waits for the disk, each under the path of its file.
#[derive(Debug)]
pub struct DiskQueue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// Each with its path, and when it came.
    waiting: VecDeque<(Instant, String, T)>,
    /// The paths of those that a thread has taken.
    in_work: HashSet<String>,
    is_closed: bool,
}

impl<T> DiskQueue<T> {
    /// Nothing waits.
    pub fn new() -> Self {
        let state = State { waiting: VecDeque::new(), in_work: HashSet::new(), is_closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Has somebody take it.
    ///
    /// # Errors
    /// The request itself, if too many wait.
    pub fn push(&self, path: String, request: T) -> Result<(), T> {
        let mut state = self.lock();
        let now = Instant::now();
        state.waiting.retain(|(came, ..)| now.duration_since(*came) < HTTP_TIMEOUT);
        if state.waiting.len() >= HTTP_IN_FLIGHT_MAX {
            return Err(request);
        }
        state.waiting.push_back((now, path, request));
        self.changed.notify_one();
        Ok(())
    }

    /// Serves what comes, until the queue is closed. Each thread for the disk calls this once.
    pub fn serve(&self, mut serve_one: impl FnMut(T)) {
        while let Some((path, request)) = self.take() {
            serve_one(request);
            self.lock().in_work.remove(&path);
            self.changed.notify_all();
        }
    }

    /// Ends all who serve.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits for the first whose path nobody else has in work.
    fn take(&self) -> Option<(String, T)> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(at) = state.waiting.iter().position(|(_, path, _)| !state.in_work.contains(path)) {
                let (_, path, request) = state.waiting.remove(at).expect("it was just found");
                state.in_work.insert(path.clone());
                return Some((path, request));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for DiskQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn one_slow_file_takes_one_thread_however_often_it_is_asked_for() {
        let queue = DiskQueue::new();
        let (told, tells) = channel();
        let (release, slow) = channel::<()>();
        let slow = Mutex::new(slow);
        thread::scope(|scope| {
            for _ in 0..2 {
                let told = told.clone();
                let (queue, slow) = (&queue, &slow);
                scope.spawn(move || {
                    queue.serve(|name| {
                        told.send(name).unwrap();
                        if name == "slow" {
                            slow.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                        }
                    });
                });
            }
            for name in ["slow", "slow", "slow", "one", "two"] {
                queue.push(name.to_owned(), name).unwrap();
            }
            let served: Vec<_> = (0..3).map(|_| tells.recv_timeout(PATIENCE).unwrap()).collect();
            assert_eq!(served.iter().filter(|name| **name == "slow").count(), 1, "{served:?}");
            for _ in 0..3 {
                release.send(()).unwrap();
            }
            assert_eq!([0; 2].map(|_| tells.recv_timeout(PATIENCE).unwrap()), ["slow"; 2]);
            queue.close();
        });
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let queue = DiskQueue::new();
        for nth in 0..HTTP_IN_FLIGHT_MAX {
            assert_eq!(queue.push(nth.to_string(), nth), Ok(()));
        }
        assert_eq!(queue.push("one more".to_owned(), 1000), Err(1000));
    }

    #[test]
    fn who_has_waited_in_vain_makes_room_for_the_next() {
        let queue = DiskQueue::new();
        for nth in 0..HTTP_IN_FLIGHT_MAX {
            queue.push(nth.to_string(), nth).unwrap();
        }
        for (came, ..) in &mut queue.lock().waiting {
            *came -= HTTP_TIMEOUT;
        }
        assert_eq!(queue.push("one more".to_owned(), 1000), Ok(()));
        assert_eq!(queue.lock().waiting.len(), 1);
    }
}
