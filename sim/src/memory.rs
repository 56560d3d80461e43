//! What of the memory is the server's.
//!
//! Leaves what it may be to `book`. What must stay true: all that is allocated while the server runs is counted, but for what the wire and
//! the world allocate when it calls them.

use std::alloc::System;
use std::cell::Cell;

use cap::Cap;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes that are allocated now.
pub fn allocated() -> usize {
    ALLOCATOR.allocated()
}

/// What others than the server have allocated.
#[derive(Debug, Default)]
pub struct Foreign {
    bytes: Cell<usize>,
}

impl Foreign {
    /// Until it is dropped, what is allocated is not the server's.
    pub fn begin(&self) -> Counting<'_> {
        Counting { foreign: self, before: allocated() }
    }

    /// Within a span that is not the server's, until it is dropped, what is allocated is the server's after all.
    pub fn pause(&self) -> Pausing<'_> {
        Pausing { foreign: self, before: allocated() }
    }

    /// Bytes of the server, in its own turn, at its beginning or behind its end. Below 0 where it has freed what is not its own.
    pub fn of_server(&self) -> isize {
        if cfg!(test) {
            // Tests run beside each other in one process.
            return 0;
        }
        let bytes = allocated().wrapping_sub(self.bytes.get());
        isize::from_ne_bytes(bytes.to_ne_bytes())
    }

    /// All that is allocated by now is not the server's.
    pub fn reset(&self) {
        self.bytes.set(allocated());
    }
}

/// A span in which what is allocated is not the server's.
#[derive(Debug)]
pub struct Counting<'a> {
    foreign: &'a Foreign,
    before: usize,
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let grown = allocated().wrapping_sub(self.before);
        self.foreign.bytes.set(self.foreign.bytes.get().wrapping_add(grown));
    }
}

/// Within a [`Counting`], a span in which what is allocated is the server's.
#[derive(Debug)]
pub struct Pausing<'a> {
    foreign: &'a Foreign,
    before: usize,
}

impl Drop for Pausing<'_> {
    fn drop(&mut self) {
        let grown = allocated().wrapping_sub(self.before);
        self.foreign.bytes.set(self.foreign.bytes.get().wrapping_sub(grown));
    }
}
