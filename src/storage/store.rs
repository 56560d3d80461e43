//! The way to the files: in line where they are memory, else by a thread, so that nobody waits for a disk.
//!
//! Leaves what is to be done to `job`. What must stay true: jobs are done in the order in which they came, and each comes back with what
//! became of it and what its sender has given along.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{io, thread};

use smol::channel::{self, Receiver, Sender};

use crate::config::limits::STORE_END_TIMEOUT;
use crate::storage::boot::Clocks;
use crate::storage::damage::KeepingEnded;
use crate::storage::job::Job;
#[cfg(feature = "simulation")]
use crate::storage::worker::Employed;
use crate::storage::worker::{Ended, Order, Worker};
use crate::storage::writer::Writer;

/// A job that was done, or has failed.
#[derive(Debug)]
pub struct Done<C> {
    /// The job.
    pub job: Job,
    /// What was given along.
    pub context: C,
    /// What became of it.
    pub result: Result<(), KeepingEnded>,
}

/// The way to the files. `C` is what a sender gives along with a job.
#[derive(Debug)]
pub struct Store<C> {
    way: Way,
    /// What was given along with jobs that the thread has.
    contexts: RefCell<VecDeque<C>>,
    folder: String,
    budget_bytes: u64,
    clock_offset_secs: i32,
}

#[derive(Debug)]
enum Way {
    InLine(RefCell<Option<Writer>>),
    Thread {
        orders: Sender<Order>,
        done: Receiver<(Job, Result<(), KeepingEnded>)>,
        bytes: Arc<AtomicU64>,
        is_ended: Cell<bool>,
        ended: Arc<Ended>,
        #[cfg(feature = "simulation")]
        employed: Option<Employed>,
    },
}

impl<C> Store<C> {
    /// Files of this writer.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub fn new(writer: Writer, folder: String) -> io::Result<Self> {
        let (budget_bytes, clock_offset_secs) = (writer.budget_bytes(), writer.clock_offset_secs());
        let way =
            if writer.is_in_memory() { Way::InLine(RefCell::new(Some(writer))) } else { Self::on_a_thread(writer)? };
        Ok(Self { way, contexts: RefCell::default(), folder, budget_bytes, clock_offset_secs })
    }

    fn on_a_thread(writer: Writer) -> io::Result<Way> {
        let (orders, to_do) = channel::unbounded();
        let (tell, done) = channel::unbounded();
        let ended = Arc::<Ended>::default();
        let bytes = Arc::new(AtomicU64::new(writer.bytes()));
        let mut worker = Worker { writer: Some(writer), tell, bytes: Arc::clone(&bytes), ended: Arc::clone(&ended) };
        #[cfg(feature = "simulation")]
        if let Some(world) = crate::simulation::entered::world() {
            let employed = Employed::by(&*world, worker, to_do);
            return Ok(Way::Thread {
                orders,
                done,
                bytes,
                is_ended: Cell::new(false),
                ended,
                employed: Some(employed),
            });
        }
        thread::Builder::new().name("state".into()).spawn(move || {
            while let Ok(order) = to_do.recv_blocking() {
                if !worker.carry_out(order) {
                    return;
                }
            }
        })?;
        Ok(Way::Thread {
            orders,
            done,
            bytes,
            is_ended: Cell::new(false),
            ended,
            #[cfg(feature = "simulation")]
            employed: None,
        })
    }

    /// Has a job done. `None`: it will be in [`next_done`](Self::next_done).
    pub fn submit(&self, job: Job, context: C) -> Option<Done<C>> {
        match &self.way {
            Way::InLine(writer) => {
                let mut writer = writer.borrow_mut();
                let writer = writer.as_mut().expect("nothing is submitted after the end");
                let result = job.perform(writer);
                Some(Done { job, context, result })
            }
            Way::Thread { orders, .. } => {
                self.contexts.borrow_mut().push_back(context);
                orders.try_send(Order::Do(job)).expect("the thread runs until the end");
                None
            }
        }
    }

    /// Waits for the next job that the thread has done.
    pub async fn next_done(&self) -> Done<C> {
        let Way::Thread { done, .. } = &self.way else { return smol::future::pending().await };
        let (job, result) = done.recv().await.expect("the thread runs until the end");
        self.with_context(job, result)
    }

    /// The next one that is done by now.
    #[cfg(test)]
    pub fn try_next_done(&self) -> Option<Done<C>> {
        let Way::Thread { done, .. } = &self.way else { return None };
        done.try_recv().ok().map(|(job, result)| self.with_context(job, result))
    }

    fn with_context(&self, job: Job, result: Result<(), KeepingEnded>) -> Done<C> {
        let context = self.contexts.borrow_mut().pop_front().expect("each job has its context");
        Done { job, context, result }
    }

    /// Whether a thread does the jobs, since the files are on a disk.
    pub fn is_on_a_thread(&self) -> bool {
        matches!(self.way, Way::Thread { .. })
    }

    /// The folder, for people.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// What all files take now, in bytes.
    pub fn bytes(&self) -> u64 {
        match &self.way {
            Way::InLine(writer) => writer.borrow().as_ref().map_or(0, Writer::bytes),
            Way::Thread { bytes, .. } => bytes.load(Ordering::Relaxed),
        }
    }

    /// What has to be added to a moment of this boot's clock for its record.
    pub fn clock_offset_secs(&self) -> i32 {
        self.clock_offset_secs
    }

    /// What they may take.
    pub fn budget_bytes(&self) -> u64 {
        self.budget_bytes
    }

    /// Does what is left, and marks the end as one in order. Nothing is submitted after it. A disk that does not answer is waited for only so
    /// long.
    ///
    /// # Errors
    /// If the mark cannot be written, or not in time: in the next boot, nothing of it counts.
    pub fn end(&self, now: Clocks) -> io::Result<()> {
        match &self.way {
            Way::InLine(writer) => writer.borrow_mut().take().map_or(Ok(()), |writer| writer.stop(now)),
            Way::Thread { orders, ended, is_ended, .. } => {
                if is_ended.replace(true) {
                    return Ok(());
                }
                let _ = orders.try_send(Order::End(now));
                #[cfg(feature = "simulation")]
                if let Way::Thread { employed: Some(employed), .. } = &self.way {
                    // In no time, as the server takes none.
                    while employed.do_one() {}
                }
                let result = ended.result.lock().expect("nobody panics with it");
                let (mut result, _) = ended
                    .changed
                    .wait_timeout_while(result, STORE_END_TIMEOUT, |result| result.is_none())
                    .expect("nobody panics with it");
                result.take().unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

/// A test in place of the thread.
#[cfg(test)]
#[derive(Debug)]
pub struct Hand {
    to_do: Receiver<Order>,
    tell: Sender<(Job, Result<(), KeepingEnded>)>,
    bytes: Arc<AtomicU64>,
}

#[cfg(test)]
impl Hand {
    /// The next job, if there is one.
    pub fn take(&self) -> Option<Job> {
        match self.to_do.try_recv().ok()? {
            Order::Do(job) => Some(job),
            Order::End(_) => None,
        }
    }

    /// Tells what all files take now.
    pub fn tell_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Gives a job back.
    pub fn done(&self, job: Job, result: Result<(), KeepingEnded>) {
        self.tell.try_send((job, result)).expect("somebody waits for it");
    }
}

#[cfg(test)]
impl<C> Store<C> {
    /// One whose jobs a test does, or does not.
    pub fn by_hand() -> (Self, Hand) {
        let (orders, to_do) = channel::unbounded();
        let (tell, done) = channel::unbounded();
        let bytes = Arc::<AtomicU64>::default();
        let told_bytes = Arc::clone(&bytes);
        let way = Way::Thread {
            orders,
            done,
            bytes: told_bytes,
            is_ended: Cell::new(false),
            ended: Arc::default(),
            #[cfg(feature = "simulation")]
            employed: None,
        };
        let store = Self {
            way,
            contexts: RefCell::default(),
            folder: "by hand".to_owned(),
            budget_bytes: 1 << 30,
            clock_offset_secs: 0,
        };
        (store, Hand { to_do, tell, bytes })
    }

    /// The same, with a clock that is so far ahead of this boot's.
    pub fn by_hand_ahead(clock_offset_secs: i32) -> (Self, Hand) {
        let (store, hand) = Self::by_hand();
        (Self { clock_offset_secs, ..store }, hand)
    }
}

#[cfg(test)]
mod tests;
