//! What a request is answered with, on its way to be sent.
//!
//! Leaves sending to `answering`. What must stay true: a request keeps its permit until its answer is sent.

use crate::api::shared_copies::Reader;
use crate::http::response::Response;
use crate::http::short_answer::{Asked, ShortAnswer};
use crate::server::admission::RequestPermit;

/// What a request is answered with.
pub(super) struct Answered<'a> {
    /// The response.
    pub(super) response: Response,
    /// What follows it of something that may be large.
    pub(super) reader: Option<Reader>,
    /// Whether the connection goes on.
    pub(super) keep_alive: bool,
    /// Held until it is sent; what is in memory needs none.
    pub(super) permit: Option<RequestPermit<'a>>,
}

impl<'a> Answered<'a> {
    /// With an answer from memory.
    pub(super) fn of(answer: &ShortAnswer, asked: Asked, permit: Option<RequestPermit<'a>>) -> Self {
        Self { response: answer.response(asked), reader: None, keep_alive: asked.keep_alive, permit }
    }
}
