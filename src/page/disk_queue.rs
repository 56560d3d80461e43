//! Requests that need the disk, which the threads for it take one after the other.
//!
//! Leaves answering, and which path is that of one file, to `page_server`. What must stay true: of all that have one path, one takes a
//! thread at a time, however slow it is and however often it is asked for, and those who wait for it soon leave their places; requests whose time is over, so that nobody waits for their answers, are
//! forgotten when more come.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::config::limits::{FILE_SLOW_AFTER, HTTP_IN_FLIGHT_MAX, HTTP_TIMEOUT};
use crate::runtime::clock;

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
    /// The paths of those that a thread has taken, and when it did.
    in_work: HashMap<String, Instant>,
    is_closed: bool,
}

impl<T> DiskQueue<T> {
    /// Nothing waits.
    pub fn new() -> Self {
        let state = State { waiting: VecDeque::new(), in_work: HashMap::new(), is_closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Has somebody take it.
    ///
    /// # Errors
    /// The request itself, if too many wait.
    pub fn push(&self, path: String, request: T) -> Result<(), T> {
        let mut state = self.lock();
        let now = clock::now();
        state.waiting.retain(|(came, ..)| now.duration_since(*came) < HTTP_TIMEOUT);
        if state.waiting.len() >= HTTP_IN_FLIGHT_MAX || state.is_slow(&path, now) {
            return Err(request);
        }
        state.waiting.push_back((now, path, request));
        self.changed.notify_one();
        Ok(())
    }

    /// Serves what comes, until the queue is closed; refuses those who wait for a file that is slow, so that they do not keep
    /// others waiting. Each thread for the disk calls this once.
    pub fn serve(&self, mut serve_one: impl FnMut(T), mut refuse: impl FnMut(T)) {
        while let Some((path, request)) = self.take() {
            if let Some(path) = path {
                serve_one(request);
                self.lock().in_work.remove(&path);
                self.changed.notify_all();
            } else {
                refuse(request);
            }
        }
    }

    /// Ends all who serve.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Waits for the first whose path nobody else has in work, or for one that waits for a slow file: that comes without its path.
    fn take(&self) -> Option<(Option<String>, T)> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            let now = clock::now();
            if let Some(at) = state.waiting.iter().position(|(_, path, _)| !state.in_work.contains_key(path)) {
                let (_, path, request) = state.waiting.remove(at).expect("it was just found");
                state.in_work.insert(path.clone(), now);
                return Some((Some(path), request));
            }
            if let Some(at) = state.waiting.iter().position(|(_, path, _)| state.is_slow(path, now)) {
                return state.waiting.remove(at).map(|(_, _, request)| (None, request));
            }
            state = if state.waiting.is_empty() {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.changed.wait_timeout(state, FILE_SLOW_AFTER).unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Whether a thread has had this file in work for too long.
    fn is_slow(&self, path: &str, now: Instant) -> bool {
        self.in_work.get(path).is_some_and(|since| now.duration_since(*since) >= FILE_SLOW_AFTER)
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
                    let serve = |name: &'static str| {
                        told.send(name.to_owned()).unwrap();
                        if name == "slow" {
                            slow.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                        }
                    };
                    queue.serve(serve, |name| told.send(format!("{name}, refused")).unwrap());
                });
            }
            for name in ["slow", "slow", "slow", "one", "two"] {
                queue.push(name.to_owned(), name).unwrap();
            }
            let told: Vec<_> = (0..5).map(|_| tells.recv_timeout(PATIENCE).unwrap()).collect();
            assert_eq!(told.iter().filter(|word| *word == "slow").count(), 1, "{told:?}");
            assert_eq!(told[3..], ["slow, refused", "slow, refused"], "the others first: {told:?}");
            assert_eq!(queue.push("slow".to_owned(), "slow"), Err("slow"), "it is known to be slow");
            release.send(()).unwrap();
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
