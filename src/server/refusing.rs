//! How those are told who may not come in, and those who run the server.
//!
//! Leaves the reasons to others. What must stay true: every refusal is answered, logged, counted and, but for one that is only for
//! now, listed.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Instant;

use log::{debug, info};

use crate::config::limits::REFUSAL_VALUE_CHARS_MAX;
use crate::http::refusal::{BODY_DISPLACED, BUSY, NO_ROOM, Refusal};
use crate::http::response::write_all;
use crate::runtime::socket::Async;
use crate::server::dispatch::Dispatch;
use crate::server::route::{Reason, Refused};
use crate::telemetry::refusals::{self, Header};

/// How much of what was the reason to refuse a request goes into the log: more than a host name has.
const REASON_CHARS_MAX: usize = 300;

impl Dispatch {
    /// Refuses a request with these bytes, and notes it.
    pub(super) async fn refuse(&self, socket: &Async<TcpStream>, peer: SocketAddr, refused: &Refused, answer: &[u8]) {
        let Refused { refusal, reason, .. } = refused;
        let Refusal { status, sentence, .. } = *refusal;
        match reason.as_ref().map(Reason::header) {
            Some((header, Some(value))) => {
                info!("{peer} refused with {status}: {sentence} ({header}: {value:.REASON_CHARS_MAX$})");
            }
            _ => info!("{peer} refused with {status}: {sentence}"),
        }
        self.count_refusal(status);
        // A visitor who is told to come back was not kept out.
        if ![BUSY, NO_ROOM, BODY_DISPLACED].contains(refusal) {
            self.remember(peer.ip(), refused);
        }
        if let Err(error) = write_all(socket, answer).await {
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
        self.refusals.add(refusals::Refusal { address, status, why, header }, Instant::now());
    }

    pub(super) fn count_refusal(&self, status: u16) {
        if let Some(count) = self.counters.refused(status) {
            count.add(1);
        }
    }
}
