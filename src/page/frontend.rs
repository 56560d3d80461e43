//! What the page answers, and from where: from memory what needs no disk and what cannot change, all else from the backend.
//!
//! Leaves sending to `http::response`. What must stay true: the figures, the codes and the baked-in files wait for no disk and for
//! nobody who does.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use crate::http::refusal::{BUSY, Refusal};
use crate::http::response::Response;
use crate::page::answer::Answer;
use crate::page::backend::Backend;
use crate::page::page_request::PageRequest;
use crate::page::qr_cache::QrCache;
use crate::page::qr_code;
use crate::page::reload::Reload;
use crate::page::representation::page_policy;
use crate::page::status::{Status, StoresFigures};

/// Answers requests for the page.
#[derive(Debug)]
pub struct Frontend {
    status: Status,
    qr_codes: QrCache,
    /// Whether the built-in page is served.
    is_baked_in: bool,
    /// Answers that are the same for ever, by their path: no more than there are files of the built-in page.
    unchanging: RefCell<HashMap<String, Answer>>,
    backend: Rc<Backend>,
    /// The pages that are told when files have changed.
    pub reload: Option<Rc<Reload>>,
}

impl Frontend {
    /// In front of this backend.
    pub fn new(status: Status, is_baked_in: bool, backend: Rc<Backend>, reload: Option<Reload>) -> Self {
        let reload = reload.map(Rc::new);
        Self { status, qr_codes: QrCache::new(), is_baked_in, unchanging: RefCell::default(), backend, reload }
    }

    /// Answers a request from memory, if that has the answer. `peer` is the client's address; `local` finds out which of ours it has used,
    /// and `kept` the epoch of the main channel, and what is said of `--state` and `--redis`.
    pub fn answer_at_once(
        &self,
        request: &PageRequest,
        peer: IpAddr,
        local: impl FnOnce() -> Option<SocketAddr>,
        kept: impl FnOnce() -> (Option<String>, StoresFigures),
    ) -> Option<Response> {
        if request.is_status() {
            let (epoch, stores) = kept();
            return Some(
                Answer::from(self.status.figures(epoch.as_deref(), &stores, peer, local())).response(request, ""),
            );
        }
        match request.path_and_query() {
            ("/qr.svg", query) => match qr_code::address(query, &request.host) {
                Some(address) => self.qr_codes.find(&address).map(|code| code.response(request, "")),
                None => Some(Answer::from(qr_code::no_address()).response(request, "")),
            },
            (path, _) => {
                let unchanging = self.unchanging.borrow();
                unchanging.get(path).map(|kept| kept.response(request, &page_policy(&request.host)))
            }
        }
    }

    /// Answers a request that has [no answer at once](Self::answer_at_once).
    ///
    /// # Errors
    /// If there is no answer in time.
    pub async fn answer(&self, request: &PageRequest) -> Result<Response, Refusal> {
        match request.path_and_query() {
            ("/qr.svg", query) => {
                let address = qr_code::address(query, &request.host).ok_or(BUSY)?;
                Ok(self.qr_codes.get(address).await?.response(request, ""))
            }
            (path, _) if self.is_baked_in => self.answer_baked_in(path, request).await,
            _ => self.backend.answer(request).await.map(|found| found.response(request, "")),
        }
    }

    /// Asks the page's server once for each file.
    async fn answer_baked_in(&self, path: &str, request: &PageRequest) -> Result<Response, Refusal> {
        let found = self.backend.answer(&request.with_body()).await?;
        let response = found.response(request, &page_policy(&request.host));
        if found.is_unchanging {
            self.unchanging.borrow_mut().insert(path.to_owned(), found);
        }
        Ok(response)
    }
}
