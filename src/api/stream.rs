//! A stream over HTTP, from its answer to its end.
//!
//! Leaves writing messages to the flush. What must stay true: every stream ends with exactly one reason, which is logged and counted;
//! one that ends within a message ends with a reset, so that nobody takes it for whole.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use log::info;
use smol::future::{FutureExt, poll_fn};

use crate::api::stream_request::StreamRequest;
use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::hello::stream_hello;
use crate::broadcast::leave_guard::LeaveGuard;
use crate::broadcast::live_channel::{Client, LiveChannel};
use crate::broadcast::transport::Transport;
use crate::config::limits::{CLOSING_TIMEOUT, KEEPALIVE_AFTER_FIN, STREAM_INPUT_BYTES_MAX};
use crate::http::cors::{Cors, MESSAGE_LINES};
use crate::http::refusal::reason_phrase;
use crate::http::response;
use crate::hub::channel::Joined;
use crate::hub::close_reason::CloseReason;
use crate::hub::stream_encoding::Encoding;
use crate::net::lingering_close;
use crate::runtime::clock;
use crate::runtime::socket::Async;
use crate::runtime::tcp::TcpSocket;
use crate::runtime::timer::Timer;

/// When a browser is to come back that would take any other answer for the last.
const RETRY: &str = "retry: 5000\n\n";

/// A connection that has asked for a stream.
#[derive(Debug)]
pub struct Streaming<P> {
    /// The connection.
    pub socket: Async<TcpSocket>,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// What it has asked for.
    pub request: StreamRequest,
    /// What the browser of a page that asks is told.
    pub cors: Cors,
    /// The channel.
    pub live: Rc<LiveChannel>,
    /// Whether it might send messages there, which it is told.
    pub may_send: bool,
    /// Dropped when the connection is closed.
    pub permit: P,
}

/// Answers a request for a stream, and serves it until it ends. The future lives as long as the stream, so values needed only at the start
/// stay outside of it.
pub fn serve<P>(broadcaster: Rc<Broadcaster>, streaming: Streaming<P>) -> impl Future<Output = ()> {
    let Streaming { socket, peer, request, cors, live, may_send, permit } = streaming;
    let began = clock::now();
    let client = Client { transport: Rc::new(Transport::new(socket, peer, Vec::new(), may_send)), live };
    if let Some(heartbeat) = broadcaster.config().limits.heartbeat {
        find_vanished(&client.transport, heartbeat);
    }
    subscribe(&broadcaster, &client, &request, &cors);
    let encoding = request.encoding;
    info!(
        "{peer} reads{} as a stream",
        if client.live.name.is_main() { String::new() } else { format!(" /c/{}", client.live.name) }
    );

    async move {
        let _permit = permit;
        let _leave_guard = LeaveGuard { broadcaster: &broadcaster, client: &client };
        let transport = &client.transport;
        let has_finished = Cell::new(false);
        let has_ended = poll_fn(|cx| transport.poll_ending(cx));
        let reason = match has_ended.or(watch(&broadcaster, &client, &has_finished)).await {
            CloseReason::Vanished if has_finished.get() => CloseReason::ClosedByClient,
            reason => reason,
        };
        if reason == CloseReason::ServerStops {
            wait_until_up_to_date(&client).await;
        }
        let is_cut = client.is_within_message() || transport.is_aborted();
        broadcaster.leave(&client);
        let is_gone = matches!(reason, CloseReason::Vanished | CloseReason::ClosedByClient);
        broadcaster.counters().closed(reason).add(1);
        info!("{} left after {} s: {}", transport.peer, clock::since(began).as_secs(), reason.text());
        if encoding == Encoding::Events && reason == CloseReason::ServerStops && !is_cut {
            transport.push_control(RETRY.as_bytes());
        }
        if is_cut || is_gone || !end(transport).await {
            // The kernel sends a reset in place of the end of the stream.
            transport.socket().get_ref().set_reset_at_close();
        }
    }
}

/// The answer to a browser for which there is no place: any refusal would be the last that it wants to hear. `None` for others.
pub fn come_back(request: &StreamRequest, lines: &str) -> Option<Vec<u8>> {
    let is_browser = request.encoding == Encoding::Events;
    is_browser.then(|| (head(Encoding::Events, lines) + RETRY).into_bytes())
}

fn head(encoding: Encoding, lines: &str) -> String {
    let media_type = match encoding {
        Encoding::Events => "text/event-stream",
        Encoding::Lines => "text/plain; charset=utf-8",
        Encoding::Json => "application/x-ndjson",
    };
    let beginning = response::begin(200, reason_phrase(200), false);
    format!(
        "{beginning}Content-Type: {media_type}\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n\
         {MESSAGE_LINES}{lines}\r\n"
    )
}

/// Subscribes a stream where the client wants to go on, or with the history that it wants.
fn subscribe(broadcaster: &Broadcaster, client: &Client, request: &StreamRequest, cors: &Cors) {
    let config = broadcaster.config();
    let StreamRequest { encoding, after, history, count } = request;
    let (start, is_stranded) = client.live.start(after.as_ref(), history.unwrap_or(config.history));
    broadcaster.join_stream(client, *encoding, start, *count, |joined, clients| {
        let mut lines = cors.lines();
        if *encoding == Encoding::Lines {
            lines += &position_lines(joined, is_stranded);
        }
        let may_send = client.transport.may_send;
        let hello = stream_hello(*encoding, &client.live, &config.greeting, joined, clients, is_stranded, may_send);
        [head(*encoding, &lines).into_bytes(), hello].concat()
    });
}

/// What the hello says, for a stream that has no place for it.
fn position_lines(joined: &Joined, is_stranded: bool) -> String {
    let Joined { epoch, seq, lost, .. } = joined;
    let lost = if is_stranded { "unknown".to_owned() } else { lost.to_string() };
    format!("Foghorn-Seq: {epoch}:{seq}\r\nFoghorn-Lost: {lost}\r\n")
}

/// Has the kernel find out within two heartbeats that a client is gone, also while it is told nothing. What cannot be set is not: then
/// it is found with the next message.
fn find_vanished(transport: &Transport, heartbeat: Duration) {
    let socket = transport.socket().get_ref();
    socket.set_user_timeout(2 * heartbeat);
    socket.set_keepalive_after(heartbeat);
}

/// Waits until the client is found to be gone, and notes when it has finished sending. What it sends is dropped, up to
/// [`STREAM_INPUT_BYTES_MAX`], behind which nothing is read: it has asked for a stream, and nothing else is answered here.
async fn watch(broadcaster: &Broadcaster, client: &Client, has_finished: &Cell<bool>) -> CloseReason {
    let socket = client.transport.socket();
    let mut dropped_bytes = 0;
    while dropped_bytes < STREAM_INPUT_BYTES_MAX {
        socket.readable().await;
        match socket.try_read(|mut socket: &TcpSocket| socket.read(&mut [0; 1024])) {
            Ok(0) => {
                has_finished.set(true);
                // Some have only finished sending, and go on reading; those who are gone answer the next byte with a reset.
                broadcaster.probe(client);
                socket.get_ref().set_keepalive_after(KEEPALIVE_AFTER_FIN);
                break;
            }
            Ok(bytes) => dropped_bytes += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return CloseReason::Vanished,
        }
    }
    while matches!(socket.get_ref().take_error(), Ok(None)) {
        socket.wait_for_news().await;
    }
    CloseReason::Vanished
}

async fn wait_until_up_to_date(client: &Client) {
    let up_to_date = poll_fn(|cx| {
        if client.is_up_to_date() && !client.transport.has_control() {
            return Poll::Ready(());
        }
        client.transport.wake_with(cx);
        Poll::Pending
    });
    up_to_date.or(Timer::after(CLOSING_TIMEOUT)).await;
}

/// Writes what is kept for a stream that has left, and closes its connection. False: its client does not take it, or has no use for it.
async fn end(transport: &Transport) -> bool {
    let timeout = async {
        Timer::after(CLOSING_TIMEOUT).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    let is_written = transport.finish_control().or(timeout).await.is_ok();
    if is_written {
        lingering_close::end(transport.socket()).await;
    }
    is_written
}
