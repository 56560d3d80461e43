//! Work that may wait for a disk, or takes its time, on threads beside the one thread.
//!
//! smol brings such threads, but where the system gives none, its pool tries without end in the thread that has asked (blocking 1.7.0), and with it
//! everything stands still. Leaves how much work there is at a time to those who hand it over. What must stay true: whoever hands work over
//! never waits, and learns if nobody will do it.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The most threads: one for each piece of work that there may be at a time, as those who hand it over bound it.
pub const THREADS_MAX: usize = 6;
/// How long a thread waits for more work before it ends.
const IDLE_MAX: Duration = Duration::from_millis(500);

static THREADS: WorkerThreads = WorkerThreads::new();

/// Has a thread do this work. Who wants a result has it sent; a sender that is dropped says that the work has panicked.
///
/// # Errors
/// If there is no thread, and none can be started.
pub fn hand_over(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    THREADS
        .hand_over(Box::new(work), || thread::Builder::new().name("worker".into()).spawn(|| THREADS.serve()).map(drop))
}

type Work = Box<dyn FnOnce() + Send>;

/// Threads that do work, and the work that waits for them.
struct WorkerThreads {
    state: Mutex<State>,
    has_work: Condvar,
}

struct State {
    waiting: VecDeque<Work>,
    threads: usize,
    /// How many of these wait for work.
    idle: usize,
}

impl fmt::Debug for WorkerThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerThreads").finish_non_exhaustive()
    }
}

impl WorkerThreads {
    const fn new() -> Self {
        let state = State { waiting: VecDeque::new(), threads: 0, idle: 0 };
        Self { state: Mutex::new(state), has_work: Condvar::new() }
    }

    fn hand_over(&self, work: Work, start_thread: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.lock();
        state.waiting.push_back(work);
        // One that has just done its work is not idle yet, and is as good: what is bounded by permits needs no more threads than that.
        if state.waiting.len() > state.idle && state.threads < THREADS_MAX {
            match start_thread() {
                Ok(()) => state.threads += 1,
                // Then one of those that are there does it later.
                Err(_) if state.threads > 0 => {}
                Err(error) => {
                    state.waiting.pop_back();
                    return Err(error);
                }
            }
        }
        self.has_work.notify_one();
        Ok(())
    }

    /// What each thread does until there was nothing to do for a while.
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            while let Some(work) = state.waiting.pop_front() {
                drop(state);
                // It has been told by then, and whoever waits for a result sees that none comes.
                let _ = catch_unwind(AssertUnwindSafe(work));
                state = self.lock();
            }
            state.idle += 1;
            let waited = self.has_work.wait_timeout_while(state, IDLE_MAX, |state| state.waiting.is_empty());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
            if state.waiting.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Long enough for whatever has to happen.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Work that says when it is done, and what hears it.
    fn work() -> (Work, Receiver<()>) {
        let (done, is_done) = channel();
        (Box::new(move || done.send(()).expect("the test listens")), is_done)
    }

    fn no_thread() -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn start(threads: &Arc<WorkerThreads>) -> impl FnOnce() -> io::Result<()> {
        let threads = Arc::clone(threads);
        move || thread::Builder::new().spawn(move || threads.serve()).map(drop)
    }

    #[test]
    fn where_there_is_no_thread_the_work_is_given_back_at_once() {
        let threads = Arc::new(WorkerThreads::new());
        let (undone, is_done) = work();
        assert!(threads.hand_over(undone, no_thread).is_err());
        assert!(is_done.recv_timeout(PATIENCE).is_err(), "it is dropped, and nobody waits for it");
        let (next, is_done) = work();
        threads.hand_over(next, start(&threads)).unwrap();
        is_done.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn a_thread_that_is_busy_does_what_no_other_can_be_started_for() {
        let threads = Arc::new(WorkerThreads::new());
        let (go_on, waits) = channel::<()>();
        let busy = Box::new(move || {
            let _ = waits.recv_timeout(PATIENCE);
        });
        threads.hand_over(busy, start(&threads)).unwrap();
        let (next, is_done) = work();
        threads.hand_over(next, no_thread).unwrap();
        drop(go_on);
        is_done.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn there_are_so_many_threads_and_no_more_and_all_work_is_done() {
        let threads = Arc::new(WorkerThreads::new());
        let (go_on, waits) = channel::<()>();
        let waits = Arc::new(Mutex::new(waits));
        let mut all = Vec::new();
        for _ in 0..3 * THREADS_MAX {
            let (done, is_done) = channel();
            let waits = Arc::clone(&waits);
            let work = Box::new(move || {
                let _ = waits.lock().unwrap().recv_timeout(PATIENCE);
                done.send(()).expect("the test listens");
            });
            threads.hand_over(work, start(&threads)).unwrap();
            all.push(is_done);
        }
        assert_eq!(threads.lock().threads, THREADS_MAX);
        drop(go_on);
        for is_done in all {
            is_done.recv_timeout(PATIENCE).unwrap();
        }
    }

    #[test]
    fn work_that_panics_costs_no_thread() {
        let threads = Arc::new(WorkerThreads::new());
        threads.hand_over(Box::new(|| panic!("as the test wants it")), start(&threads)).unwrap();
        let (next, is_done) = work();
        // Whether that thread is idle by now or not, it is there.
        threads.hand_over(next, no_thread).unwrap();
        is_done.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn threads_end_when_nothing_is_left_to_do() {
        let threads = Arc::new(WorkerThreads::new());
        let (only, is_done) = work();
        let thread = Arc::clone(&threads);
        let (told, started) = channel();
        let start = || {
            told.send(thread::spawn(move || thread.serve())).expect("the test listens");
            Ok(())
        };
        threads.hand_over(only, start).unwrap();
        is_done.recv_timeout(PATIENCE).unwrap();
        started.recv_timeout(PATIENCE).unwrap().join().unwrap();
        let state = threads.lock();
        assert_eq!((state.threads, state.idle), (0, 0));
    }
}
