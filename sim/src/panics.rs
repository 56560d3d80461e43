//! Panics of the server, as what was seen rather than as lines on the terminal.
//!
//! Leaves what follows to `course`. What must stay true: panics of other threads, and those outside of a run, are printed as ever.

use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::Once;

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs this with panics kept for [`last`].
pub fn quietly<T>(run: impl FnOnce() -> T) -> T {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_QUIET.get() {
                LAST.with_borrow_mut(|last| {
                    if last.is_empty() {
                        *last = info.to_string().replace('\n', " ");
                    }
                });
            } else {
                before(info);
            }
        }));
    });
    LAST.with_borrow_mut(String::clear);
    IS_QUIET.set(true);
    let result = run();
    IS_QUIET.set(false);
    result
}

/// What the first panic of the last run said, and where.
pub fn last() -> String {
    LAST.with_borrow(String::clone)
}
