//! One WebSocket connection, from its handshake to its close.
//!
//! Leaves writing messages to the flush. What must stay true: every session ends with exactly one reason, which is logged,
//! counted and, if the client can still read, sent in the Close frame; nothing is read behind a message that waits for room, nor a
//! ping answered before all that came before it is in the log, so a pong says that it is.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use async_tungstenite::tungstenite::protocol::Message;
use log::info;
use smol::future::{FutureExt, poll_fn};
use smol::stream::Stream;

use crate::access::codes::Right;
use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::leave_guard::LeaveGuard;
use crate::broadcast::live_channel::{Client, LiveChannel};
use crate::broadcast::transport::Transport;
use crate::config::limits::{CLOSING_TIMEOUT, RECEIVER_MESSAGE_BYTES_MAX};
use crate::hub::close_reason::{self, CloseReason};
use crate::hub::frame::Frame;
use crate::hub::publishing::Published;
use crate::net::lingering_close;
use crate::runtime::clock;
use crate::runtime::socket::Async;
use crate::runtime::tcp::TcpSocket;
use crate::runtime::timer::Timer;
use crate::ws::handshake::Upgrade;
use crate::ws::join::{self, TakenElsewhere};
use crate::ws::reader::Reader;

/// A connection that has asked to join.
#[derive(Debug)]
pub struct Upgraded<P> {
    /// The connection.
    pub socket: Async<TcpSocket>,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// What it has asked for.
    pub upgrade: Upgrade,
    /// The channel that it joins.
    pub live: Rc<LiveChannel>,
    /// Whether it may send messages.
    pub may_send: bool,
    /// The right that it has shown by a code.
    pub by_code: Option<Right>,
    /// What is known of its last connection, if that was to another board.
    pub taken: TakenElsewhere,
    /// Bytes that came behind the request's head.
    pub read_ahead: Vec<u8>,
    /// Dropped when the connection is closed.
    pub permit: P,
}

/// Subscribes a client and serves it until its connection ends. The future lives as long as the client, so values needed only at
/// the start stay outside of it.
pub fn serve<P>(broadcaster: Rc<Broadcaster>, upgraded: Upgraded<P>) -> impl Future<Output = ()> {
    let Upgraded { socket, peer, upgrade, live, may_send, by_code, taken, read_ahead, permit } = upgraded;
    let began = clock::now();
    let client = Client { transport: Rc::new(Transport::new(socket, peer, upgrade.answer(), may_send)), live };
    join::subscribe(&broadcaster, &client, &upgrade, by_code, taken);
    info!(
        "{peer} joined{}{}",
        if client.live.name.is_main() { String::new() } else { format!(" /c/{}", client.live.name) },
        if upgrade.resumes { " (resumes)" } else { "" }
    );

    async move {
        let _permit = permit;
        let _leave_guard = LeaveGuard { broadcaster: &broadcaster, client: &client };
        let counters = Arc::clone(broadcaster.counters());
        let bytes_max =
            if client.transport.may_send { client.live.message_bytes_max } else { RECEIVER_MESSAGE_BYTES_MAX };
        let reader = Reader::new(Rc::clone(&client.transport), counters, bytes_max, read_ahead);
        let mut websocket = Some(reader.into_websocket());
        let (reason, its_code) = read_all(&broadcaster, &client, &mut websocket).await;
        drop(websocket);
        end_told(&broadcaster, &client).await;
        // Messages published before the client's Close are still sent to it, its own included, as far as its socket takes them.
        broadcaster.write_now(&client);
        broadcaster.leave(&client);

        broadcaster.counters().closed(reason).add(1);
        let transport = &client.transport;
        info!("{} left after {} s: {}", transport.peer, clock::since(began).as_secs(), reason.text());
        if !transport.is_aborted() {
            close(transport, reason, its_code).await;
        }
    }
}

/// Reads and publishes until the connection has to end. Returns why, and the code of a client's own Close. `slot` has the WebSocket,
/// which is made anew now and then; as a reference, since a future that owned it would have room for it twice.
async fn read_all(
    broadcaster: &Rc<Broadcaster>,
    client: &Client,
    slot: &mut Option<WebSocketStream<Reader>>,
) -> (CloseReason, Option<u16>) {
    let mut messages_taken = 0_u32;
    wait_until_kept(broadcaster, client).await;
    loop {
        let websocket = slot.as_mut().expect("it is taken only to be made anew");
        let frame = match next_event(broadcaster, client, websocket, messages_taken).await {
            Event::Received(Some(Ok(Message::Text(_) | Message::Binary(_)) | Err(Error::Capacity(_))))
                if !client.transport.may_send =>
            {
                return (CloseReason::MayNotSend, None);
            }
            Event::Received(Some(Ok(Message::Text(text)))) => Frame::text(text),
            Event::Received(Some(Ok(Message::Binary(payload)))) => Frame::binary(payload),
            Event::Received(Some(Ok(Message::Close(_)))) => {
                return match websocket.get_ref().close_code() {
                    Some(code) if !close_reason::may_be_sent(code) => (CloseReason::ProtocolError, None),
                    its_code => (CloseReason::ClosedByClient, its_code),
                };
            }
            Event::Received(Some(Ok(event @ (Message::Ping(_) | Message::Pong(_) | Message::Frame(_))))) => {
                if event.is_ping() {
                    // Its pong is made with the next look at the WebSocket, and says that all before it is in the log.
                    wait_until_kept(broadcaster, client).await;
                }
                if !keep_control_short(broadcaster, client) {
                    return (CloseReason::TooSlow, None);
                }
                continue;
            }
            Event::Received(Some(Err(error))) => return (reason_of(&error), None),
            Event::Received(None) => return (CloseReason::Vanished, None),
            Event::Quiet => {
                *slot = slot.take().map(Reader::renew);
                continue;
            }
            Event::ToEnd(reason) => {
                if reason == CloseReason::ServerStops {
                    wait_until_up_to_date(client).await;
                }
                return (reason, None);
            }
        };
        messages_taken = messages_taken.wrapping_add(1);
        if websocket.get_ref().is_after_large(messages_taken) {
            *slot = slot.take().map(Reader::renew);
        }
        if broadcaster.publish(client, frame) == Published::Later {
            if let Some(websocket) = slot {
                websocket.get_mut().release_scratch();
            }
            broadcaster.wait_until_published(&client.transport).await;
        }
    }
}

/// Waits until all is in the file that the client has sent, and what it was told in its hello; or until the connection has to end.
async fn wait_until_kept(broadcaster: &Broadcaster, client: &Client) {
    let has_to_end = poll_fn(|cx| client.transport.poll_ending(cx).map(drop));
    client.transport.note_awaiting_file(true);
    broadcaster.wait_until_kept(client).or(has_to_end).await;
    client.transport.note_awaiting_file(false);
}

/// The same at the end: who would be told of something that is not in the file is told nothing any more.
async fn end_told(broadcaster: &Broadcaster, client: &Client) {
    let kept = async {
        broadcaster.wait_until_kept(client).await;
        true
    };
    let in_vain = async {
        Timer::after(CLOSING_TIMEOUT).await;
        false
    };
    if !kept.or(in_vain).await {
        client.transport.abort();
    }
}

/// What a client's task waits for.
enum Event {
    /// tungstenite has something, or the connection has ended.
    Received(Option<Result<Message, Error>>),
    /// Nothing more is there to read, and the WebSocket has memory to give back.
    Quiet,
    /// The connection has to end.
    ToEnd(CloseReason),
}

async fn next_event(
    broadcaster: &Rc<Broadcaster>,
    client: &Client,
    websocket: &mut WebSocketStream<Reader>,
    messages_taken: u32,
) -> Event {
    poll_fn(|cx| {
        if let Poll::Ready(reason) = client.transport.poll_ending(cx) {
            return Poll::Ready(Event::ToEnd(reason));
        }
        let next = Pin::new(&mut *websocket).poll_next(cx);
        if next.is_pending() {
            if client.transport.has_control() {
                broadcaster.schedule(client);
            }
            if websocket.get_ref().can_shrink(messages_taken) {
                return Poll::Ready(Event::Quiet);
            }
        }
        next.map(Event::Received)
    })
    .await
}

/// Writes waiting pongs at once when they are too many. Returns false if too many still wait: the client does not read them.
fn keep_control_short(broadcaster: &Rc<Broadcaster>, client: &Client) -> bool {
    if client.transport.has_too_much_control() {
        broadcaster.write_now(client);
    }
    !client.transport.has_too_much_control()
}

async fn wait_until_up_to_date(client: &Client) {
    let up_to_date = poll_fn(|cx| {
        if client.is_up_to_date() {
            return Poll::Ready(());
        }
        client.transport.wake_with(cx);
        Poll::Pending
    });
    up_to_date.or(Timer::after(CLOSING_TIMEOUT)).await;
}

fn reason_of(error: &Error) -> CloseReason {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => CloseReason::MessageTooBig,
        Error::Utf8(_) => CloseReason::InvalidUtf8,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | Error::Io(_) => CloseReason::Vanished,
        _ => CloseReason::ProtocolError,
    }
}

/// Sends a Close frame, if the client can still read it, and closes the connection.
async fn close(transport: &Transport, reason: CloseReason, its_code: Option<u16>) {
    let frame = match (reason, reason.code()) {
        (CloseReason::ClosedByClient, _) => Frame::close(its_code, ""),
        (_, Some(code)) => Frame::close(Some(code), reason.text()),
        (_, None) => return,
    };
    transport.push_control(&frame.to_vec());
    let timeout = async {
        Timer::after(CLOSING_TIMEOUT).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    if transport.finish_control().or(timeout).await.is_ok() {
        lingering_close::end(transport.socket()).await;
    }
}

#[cfg(test)]
mod tests;
