//! What comes out of a run: its figures, or why there are none.
//!
//! It does not know how they were measured. What must stay true: a void run has no figures that somebody could show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::load::Load;

/// What was measured, by a name that ends in its unit.
pub type Figures = BTreeMap<String, f64>;

/// One run of one load against one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The server's name in the table of peers.
    pub server: String,
    /// What was done to it.
    pub load: Load,
    /// In which round.
    pub round: usize,
    /// What was measured; empty for a void run.
    pub figures: Figures,
    /// Why the run is void, or the server could not be measured.
    pub void: Option<String>,
}
