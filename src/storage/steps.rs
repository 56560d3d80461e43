//! For tests: a look at the folder after each step that changes it.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;

/// What to do at each step.
#[derive(Default)]
pub struct Steps {
    look: RefCell<Option<Look>>,
}

type Look = Box<dyn FnMut(&Path) + Send>;

impl Steps {
    pub fn note(&self, folder: &Path) {
        if let Some(look) = &mut *self.look.borrow_mut() {
            look(folder);
        }
    }

    #[allow(dead_code)]
    pub fn look(&self, look: impl FnMut(&Path) + Send + 'static) {
        *self.look.borrow_mut() = Some(Box::new(look));
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Steps")
    }
}
