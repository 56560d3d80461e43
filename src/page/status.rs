//! `GET /status`: all figures as JSON.
//!
//! Leaves counting to `telemetry`. What must stay true: it contains no client's address or connection id, and no message content.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Map, json};

use crate::http::refusal::STATUSES;
use crate::page::representation::Representation;
use crate::telemetry::counters::Counters;

/// Where the figures come from.
#[derive(Debug)]
pub struct Status {
    /// What was counted.
    pub counters: Arc<Counters>,
    /// `--max-message`.
    pub message_bytes_max: usize,
    /// `--backlog`.
    pub backlog_bytes: usize,
}

impl Status {
    /// The figures of this moment. `local_address` is the address of ours that the client has used.
    pub fn figures(&self, local_address: Option<SocketAddr>) -> Representation {
        let counters = &self.counters;
        let closed: Map<_, _> =
            counters.closed_by_reason().map(|(key, count)| (key.to_owned(), count.into())).collect();
        // Those that are known always, any other as soon as there is one: tiny_http has statuses of its own.
        let shown = counters.refused_by_status().filter(|(status, count)| STATUSES.contains(status) || *count > 0);
        let refused: Map<_, _> = shown.map(|(status, count)| (status.to_string(), count.into())).collect();
        let figures = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "epoch": counters.epoch,
            "uptimeSeconds": counters.started.elapsed().as_secs(),
            "clients": counters.clients.get(),
            "clientsPeak": counters.clients_peak.get(),
            "clientsTotal": counters.clients_total.get(),
            "clientsBehind": counters.clients_behind.get(),
            "publishersWaiting": counters.publishers_waiting.get(),
            "messages": counters.messages.get(),
            "deliveries": counters.deliveries.get(),
            "bytesIn": counters.bytes_in.get(),
            "bytesOut": counters.bytes_out.get(),
            "backlogBytes": counters.backlog_bytes.get(),
            "backlogBytesMax": self.backlog_bytes,
            "maxMessage": self.message_bytes_max,
            "httpRequests": counters.http_requests.get(),
            "httpRestarts": counters.http_restarts.get(),
            "pendingDropped": counters.pending_dropped.get(),
            "acceptErrors": counters.accept_errors.get(),
            "closed": closed,
            "refused": refused,
            "address": local_address.map(|address| format!("http://{}/", display_address(address))),
        });
        Representation::new("application/json", format!("{figures:#}\n").into_bytes())
    }
}

/// An address as people type it: an IPv4 address that came over an IPv6 socket is shown as what it is.
fn display_address(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
