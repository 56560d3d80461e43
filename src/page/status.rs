//! `GET /status`: all figures as JSON.
//!
//! Leaves counting to `telemetry`. What must stay true: it contains no client's address but the asker's own, no connection id, and no
//! message content.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::http::host::page_address;
use crate::http::refusal::STATUSES;
use crate::page::representation::Representation;
use crate::runtime::boot_clock::secs_since;
use crate::runtime::clock;
use crate::telemetry::counters::Counters;
use crate::telemetry::refusals::{Header, Refusal, Refusals};

/// What is said of where messages outlive the process.
#[derive(Debug)]
pub struct StoresFigures {
    /// `--state`; null without it.
    pub state: Value,
    /// `--redis`; null without it.
    pub redis: Value,
}

/// Where the figures come from.
#[derive(Debug)]
pub struct Status {
    /// What was counted.
    pub counters: Arc<Counters>,
    /// Who was kept out.
    pub refusals: Rc<Refusals>,
    /// `--max-message`.
    pub message_bytes_max: usize,
    /// `--backlog`.
    pub backlog_bytes: usize,
}

impl Status {
    /// The figures of this moment. `epoch` is that of the main channel, `stores` what is said of `--state` and `--redis`, `peer` is the client's address, `local_address` the one of ours that it has used.
    pub fn figures(
        &self,
        epoch: Option<&str>,
        stores: &StoresFigures,
        peer: IpAddr,
        local_address: Option<SocketAddr>,
    ) -> Representation {
        let counters = &self.counters;
        let closed: Map<_, _> =
            counters.closed_by_reason().map(|(key, count)| (key.to_owned(), count.into())).collect();
        // Those that are known always, any other as soon as there is one: tiny_http has statuses of its own.
        let shown = counters.refused_by_status().filter(|(status, count)| STATUSES.contains(status) || *count > 0);
        let refused: Map<_, _> = shown.map(|(status, count)| (status.to_string(), count.into())).collect();
        let figures = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "epoch": epoch,
            "uptimeSeconds": secs_since(counters.started_secs),
            "channels": counters.channels.get(),
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
            "posts": counters.posts.get(),
            "postsBytes": counters.posts_bytes.get(),
            "httpRequests": counters.http_requests.get(),
            "httpRestarts": counters.http_restarts.get(),
            "pendingDropped": counters.pending_dropped.get(),
            "acceptErrors": counters.accept_errors.get(),
            "closed": closed,
            "refused": refused,
            "state": stores.state,
            "redis": stores.redis,
            "refusals": self.refusals(peer),
            "address": local_address.map(page_address),
        });
        Representation::new("application/json", format!("{figures:#}\n").into_bytes())
    }

    /// The last few, newest first. Who was refused is told only to the same address.
    fn refusals(&self, peer: IpAddr) -> Vec<Value> {
        let mut listed = Vec::new();
        self.refusals.each(clock::now(), |refusal, times, secs_ago| {
            let Refusal { address, status, why, header } = refusal;
            let mut shown = json!({ "secondsAgo": secs_ago, "times": times, "status": status, "why": why });
            if let Some(Header { name, value, is_local }) = header {
                shown["header"] = (*name).into();
                if let Some(value) = value {
                    shown["value"] = value.as_str().into();
                    shown["isLocal"] = (*is_local).into();
                }
            }
            if *address == peer {
                shown["address"] = address.to_string().into();
            }
            listed.push(shown);
        });
        listed
    }
}
