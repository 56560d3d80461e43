//! How those are told who may not come in, and those who run the server.
//!
//! Leaves the reasons to others. What must stay true: every refusal is answered, logged (that of a code while its address is locked
//! only once for each lock), counted and, but for one that is only for now, listed; never with a code.

use std::net::{IpAddr, SocketAddr};

use log::{debug, info};

use crate::config::limits::REFUSAL_VALUE_CHARS_MAX;
use crate::http::refusal::{BODY_DISPLACED, BUSY, LOCKED, NO_CODE, NO_ROOM, Refusal};
use crate::http::response::write_all;
use crate::runtime::clock;
use crate::runtime::socket::Async;
use crate::runtime::tcp::TcpSocket;
use crate::server::dispatch::Dispatch;
use crate::server::route::{Reason, Refused};
use crate::telemetry::refusals::{self, Header};

/// How much of what was the reason to refuse a request goes into the log: more than a host name has.
const REASON_CHARS_MAX: usize = 300;

impl Dispatch {
    /// Refuses a request, and notes it.
    pub(super) async fn refuse(&self, socket: &Async<TcpSocket>, peer: SocketAddr, refused: &Refused, head_only: bool) {
        let Refused { refusal, reason, in_its_place, .. } = refused;
        let Refusal { status, sentence, .. } = *refusal;
        match reason.as_deref().map(Reason::header) {
            Some((header, Some(value))) => {
                info!("{peer} refused with {status}: {sentence} ({header}: {value:.REASON_CHARS_MAX$})");
            }
            // The lock itself has its line; who tries on makes no more of them.
            _ if *refusal == LOCKED => debug!("{peer} refused with {status}: {sentence}"),
            _ => info!("{peer} refused with {status}: {sentence}"),
        }
        self.count_refusal(status);
        // A visitor who is told to come back was not kept out. Nor was a page that is told to ask for a code.
        let is_asked_for_code = *refusal == NO_CODE && in_its_place.is_some();
        if ![BUSY, NO_ROOM, BODY_DISPLACED, LOCKED].contains(refusal) && !is_asked_for_code {
            self.remember(peer.ip(), refused);
        }
        if let Err(error) = write_all(socket, &refused.answer(head_only)).await {
            debug!("{peer} did not take its answer: {error}");
        }
    }

    fn remember(&self, address: IpAddr, Refused { refusal, reason, .. }: &Refused) {
        let cut = |value: String| {
            let is_cut = value.chars().count() > REFUSAL_VALUE_CHARS_MAX;
            value.chars().take(REFUSAL_VALUE_CHARS_MAX).chain(is_cut.then_some('…')).collect()
        };
        let header = reason.as_ref().map(|reason| {
            let (name, value) = reason.header();
            Header { name, value: value.map(cut), is_local: reason.is_local() }
        });
        let Refusal { status, sentence: why, .. } = *refusal;
        self.refusals.add(refusals::Refusal { address, status, why, header }, clock::now());
    }

    pub(super) fn count_refusal(&self, status: u16) {
        if let Some(count) = self.counters.refused(status) {
            count.add(1);
        }
    }
}
