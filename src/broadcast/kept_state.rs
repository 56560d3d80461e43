//! What a server has of an earlier one, and where it keeps what its next one is to have.
//!
//! Leaves opening the files to the server. What must stay true: `None` of it changes nothing of how messages are told.

use std::rc::Rc;

use crate::broadcast::keeper::Keeper;
#[cfg(feature = "redis")]
use crate::broadcast::relay::Relay;
use crate::storage::restored::Restored;

/// What is kept. See the head of this file.
#[derive(Debug)]
pub enum KeptState {
    /// Nothing, as nobody wants it.
    Off,
    /// Nothing, although somebody wants it.
    Unusable {
        /// The folder, for people.
        folder: String,
        /// Why, in a sentence.
        problem: String,
    },
    /// Channels and connections.
    On(Rc<Keeper>, Restored),
    /// What all boards have that share a log.
    #[cfg(feature = "redis")]
    Shared(Rc<Relay>),
}
