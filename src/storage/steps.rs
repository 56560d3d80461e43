//! Each step that changes something in the folder goes through here: a test has a look at the folder after it, and in a simulation the
//! world decides how it goes.
//!
//! Leaves the steps themselves to `folder`. What must stay true: a look is this thread's, so that tests which run at the same time do not
//! see each other; and outside of tests and simulations nothing is done here.

#[cfg(test)]
use std::cell::RefCell;
use std::io;
use std::path::Path;

#[cfg(feature = "simulation")]
use crate::simulation::disk::{Course, DiskStep};
#[cfg(feature = "simulation")]
use crate::simulation::{clocks, entered};

/// What a step does.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// Makes a file.
    Create,
    /// Gives a file another name.
    Rename,
    /// Cuts a file.
    Cut,
    /// Removes a file.
    Remove,
    /// Waits for the disk.
    Sync,
}

/// Takes a step in this folder.
///
/// # Errors
/// What `take` returns.
pub fn take<T>(folder: &Path, step: Step, take: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    #[cfg(feature = "simulation")]
    if let Some(world) = entered::world() {
        world.disk_step(match step {
            Step::Create => DiskStep::Create,
            Step::Rename => DiskStep::Rename,
            Step::Cut => DiskStep::Cut,
            Step::Remove => DiskStep::Remove,
            Step::Sync => DiskStep::Sync,
        })?;
    }
    let _ = step;
    let taken = take();
    note(folder);
    taken
}

/// Appends to a file of this folder. Returns how many bytes were written.
///
/// # Errors
/// What `write` returns.
pub fn append(folder: &Path, bytes: &[u8], write: impl FnOnce(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
    #[cfg(feature = "simulation")]
    let bytes = match entered::world() {
        Some(world) => match world.disk_step(DiskStep::Append { bytes: bytes.len() })? {
            Course::Done => bytes,
            Course::Partly(part) => &bytes[..part.min(bytes.len())],
        },
        None => bytes,
    };
    let written = write(bytes);
    note(folder);
    written
}

/// Has a file be as old as the clock of a simulation says.
#[cfg(feature = "simulation")]
pub fn date(file: &std::fs::File) -> io::Result<()> {
    clocks::system_now().map_or(Ok(()), |now| file.set_modified(now))
}

/// Whether the world's disk is memory, in a simulation.
#[cfg(feature = "simulation")]
pub fn is_in_memory() -> Option<bool> {
    entered::world().map(|world| !world.is_on_disk())
}

/// What is free on the world's disk, in a simulation.
#[cfg(feature = "simulation")]
pub fn free_bytes() -> Option<u64> {
    entered::world().map(|world| world.free_bytes())
}

#[cfg(test)]
type Look = Box<dyn FnMut(&Path)>;

#[cfg(test)]
thread_local! {
    static LOOK: RefCell<Option<Look>> = const { RefCell::new(None) };
}

/// Has a look at each step of this thread from now on.
#[cfg(test)]
pub fn look_at_each(look: impl FnMut(&Path) + 'static) {
    LOOK.set(Some(Box::new(look)));
}

/// Has none any longer.
#[cfg(test)]
pub fn look_at_none() {
    LOOK.set(None);
}

#[cfg(not(test))]
fn note(_: &Path) {}

#[cfg(test)]
fn note(folder: &Path) {
    LOOK.with_borrow_mut(|look| {
        if let Some(look) = look {
            look(folder);
        }
    });
}
