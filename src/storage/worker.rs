//! Who carries out what is to be done with files on a disk: a thread, or in a simulation the world.
//!
//! Leaves the way to it to `store`. What must stay true: both do the same with each order.

#[cfg(feature = "simulation")]
use std::cell::RefCell;
#[cfg(feature = "simulation")]
use std::fmt;
use std::io;
#[cfg(feature = "simulation")]
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

#[cfg(feature = "simulation")]
use smol::channel::Receiver;
use smol::channel::Sender;

#[cfg(feature = "simulation")]
use crate::simulation::world::World;
use crate::storage::boot::Clocks;
use crate::storage::damage::KeepingEnded;
use crate::storage::job::Job;
use crate::storage::writer::Writer;

/// Who carries out orders: the thread, or in a simulation the world.
#[derive(Debug)]
pub(super) struct Worker {
    /// `None` after the end.
    pub(super) writer: Option<Writer>,
    pub(super) tell: Sender<(Job, Result<(), KeepingEnded>)>,
    /// What all files take.
    pub(super) bytes: Arc<AtomicU64>,
    pub(super) ended: Arc<Ended>,
}

impl Worker {
    /// Returns whether there is a use for more.
    pub(super) fn carry_out(&mut self, order: Order) -> bool {
        let Some(writer) = &mut self.writer else { return false };
        match order {
            Order::Do(job) => {
                let result = job.perform(writer);
                self.bytes.store(writer.bytes(), Ordering::Relaxed);
                self.tell.try_send((job, result)).is_ok()
            }
            Order::End(now) => {
                let result = self.writer.take().map_or(Ok(()), |writer| writer.stop(now));
                *self.ended.result.lock().expect("nobody panics with it") = Some(result);
                self.ended.changed.notify_all();
                false
            }
        }
    }
}

/// The worker in a simulation. It is gone with the server, whatever the world has of it.
#[cfg(feature = "simulation")]
pub(super) struct Employed(Rc<dyn Fn() -> bool>);

#[cfg(feature = "simulation")]
impl Employed {
    pub(super) fn by(world: &dyn World, worker: Worker, to_do: Receiver<Order>) -> Self {
        let worker = RefCell::new(worker);
        let do_one: Rc<dyn Fn() -> bool> = Rc::new(move || {
            let Ok(order) = to_do.try_recv() else { return false };
            worker.borrow_mut().carry_out(order);
            true
        });
        let known = Rc::downgrade(&do_one);
        world.employ(Box::new(move || known.upgrade().is_some_and(|do_one| do_one())));
        Self(do_one)
    }

    /// Carries out the next order. False: there is none.
    pub(super) fn do_one(&self) -> bool {
        (self.0)()
    }
}

#[cfg(feature = "simulation")]
impl fmt::Debug for Employed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Employed").finish_non_exhaustive()
    }
}

/// How the worker has ended, once it has.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) result: Mutex<Option<io::Result<()>>>,
    pub(super) changed: Condvar,
}

/// What the worker is told.
#[derive(Debug)]
pub enum Order {
    /// A job.
    Do(Job),
    /// That no more will follow.
    End(Clocks),
}
