//! What starts tasks.
//!
//! Leaves running them to whoever owns the executor. What must stay true: a task may hold what starts tasks and yet does not keep
//! the executor, which holds all tasks: so that they end with their executor, whatever they hold.

use std::rc::{Rc, Weak};

use async_executor::{LocalExecutor, Task};

/// Starts tasks, as long as their executor is there.
#[derive(Debug, Clone)]
pub struct Spawner(Weak<LocalExecutor<'static>>);

impl Spawner {
    /// For tasks of this executor.
    pub fn new(executor: &Rc<LocalExecutor<'static>>) -> Self {
        Self(Rc::downgrade(executor))
    }

    /// Starts a task.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        self.0.upgrade().expect("only what runs within the executor starts tasks").spawn(future)
    }
}
