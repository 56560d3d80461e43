//! For tests: a look at the folder after each step that changes it.
//!
//! What must stay true: it is this thread's, so that tests which run at the same time do not see each other.

use std::cell::RefCell;
use std::path::Path;

type Look = Box<dyn FnMut(&Path)>;

thread_local! {
    static LOOK: RefCell<Option<Look>> = const { RefCell::new(None) };
}

/// Has a look at each step of this thread from now on.
pub fn look_at_each(look: impl FnMut(&Path) + 'static) {
    LOOK.set(Some(Box::new(look)));
}

/// Has none any longer.
pub fn look_at_none() {
    LOOK.set(None);
}

/// A step in this folder was done.
pub fn note(folder: &Path) {
    LOOK.with_borrow_mut(|look| {
        if let Some(look) = look {
            look(folder);
        }
    });
}
