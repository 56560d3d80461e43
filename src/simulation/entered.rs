//! The world that a thread is in.
//!
//! What must stay true: a thread that is in none runs as without the feature.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::simulation::world::World;
use crate::simulation::{chance, clocks};

thread_local! {
    static WORLD: RefCell<Option<Rc<dyn World>>> = const { RefCell::new(None) };
    static VISITS: Cell<u64> = const { Cell::new(0) };
}

/// In a world, until it is dropped: clocks and chance are the kernel's again then.
#[must_use]
pub struct Entered {
    /// It is of this thread.
    _stays: PhantomData<Rc<()>>,
}

/// Has all that a server does in this thread be done in this world.
///
/// # Panics
/// If the thread is in one already.
pub fn enter(world: Rc<dyn World>) -> Entered {
    let before = WORLD.replace(Some(world));
    assert!(before.is_none(), "a thread is in one world at a time");
    VISITS.set(VISITS.get() + 1);
    Entered { _stays: PhantomData }
}

/// The world of this thread.
pub fn world() -> Option<Rc<dyn World>> {
    WORLD.with_borrow(Option::clone)
}

/// How often this thread has entered a world: what was made in an earlier one is of no use in this.
pub fn visits() -> u64 {
    VISITS.get()
}

impl Drop for Entered {
    fn drop(&mut self) {
        WORLD.set(None);
        clocks::leave();
        chance::leave();
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}
