//! One WebSocket connection, from its handshake to its close.
//!
//! Leaves writing of messages to the hall. What must stay true: whatever happens to one client, it ends with one
//! reason, which is in the log, in the figures and, where the client can still hear it, in the Close frame.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use async_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};
use log::info;
use smol::future::{FutureExt, poll_fn};
use smol::stream::Stream;

use crate::broadcast::broadcaster::Hall;
use crate::broadcast::transport::Link;
use crate::config::limits::{CLOSING_TIMEOUT, READ_BUFFER_BYTES, TURN_BYTES_MAX};
use crate::hub::close_reason::CloseReason;
use crate::hub::frame::Frame;
use crate::net::lingering_close;
use crate::runtime::socket::Async;
use crate::runtime::timer::Timer;
use crate::ws::handshake::Upgrade;
use crate::ws::join;
use crate::ws::reader::ReadEnd;

/// A connection that has asked to join.
#[derive(Debug)]
pub struct Arrival<P> {
    /// The connection.
    pub socket: Async<TcpStream>,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// What it has asked for.
    pub upgrade: Upgrade,
    /// Bytes that came behind the request's head.
    pub read_ahead: Vec<u8>,
    /// What is given back by being dropped when the connection is gone.
    pub permit: P,
}

/// Lets a client in, and serves it until its connection has ended. There is one such future for each client, so what is
/// only needed at the start stays outside of it.
pub fn serve<P>(hall: Rc<Hall>, arrival: Arrival<P>) -> impl Future<Output = ()> {
    let Arrival { socket, peer, upgrade, read_ahead, permit } = arrival;
    let began = Instant::now();
    let link = Rc::new(Link::new(socket, peer, upgrade.answer()));
    join::enter(&hall, &link, &upgrade);
    info!("{peer} joined{}", if upgrade.resumes { " (resumes)" } else { "" });

    async move {
        let _permit = permit;
        let _member = Member { hall: &hall, link: &link };
        let stats = Arc::clone(hall.stats());
        let stream = ReadEnd { link: Rc::clone(&link), stats, turn_left_bytes: TURN_BYTES_MAX };
        let settings = settings(hall.config().limits.message_bytes_max);
        let mut websocket =
            WebSocketStream::from_partially_read(stream, read_ahead, Role::Server, Some(settings)).await;
        let (reason, its_code) = read_all(&hall, &link, &mut websocket).await;
        drop(websocket);
        // What was published just before its goodbye is still its to have, its own messages included.
        hall.write_now(&link);
        hall.leave(&link);

        hall.stats().closed(reason).add(1);
        info!("{} left after {} s: {}", link.peer, began.elapsed().as_secs(), reason.words());
        if !link.is_cut() {
            close(&link, reason, its_code).await;
        }
    }
}

/// Sees to it that whoever was let in is let go, whatever becomes of the task.
struct Member<'a> {
    hall: &'a Hall,
    link: &'a Link,
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.hall.leave(self.link);
        self.hall.forget(self.link);
    }
}

/// Every setting of tungstenite, on purpose.
pub fn settings(message_bytes_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        // Control frames go to the link's control bytes at once, which are bounded there.
        .write_buffer_size(0)
        .max_write_buffer_size(usize::MAX)
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max))
        .accept_unmasked_frames(false)
}

/// Reads and publishes until the connection has to end. Returns why, and the code of a client's own Close.
async fn read_all(
    hall: &Rc<Hall>,
    link: &Link,
    websocket: &mut WebSocketStream<ReadEnd>,
) -> (CloseReason, Option<u16>) {
    loop {
        let next = poll_fn(|cx| {
            if let Poll::Ready(reason) = link.poll_ending(cx) {
                return Poll::Ready(Err(reason));
            }
            let next = Pin::new(&mut *websocket).poll_next(cx);
            if next.is_pending() && link.has_control() {
                hall.hurry(link);
            }
            next.map(Ok)
        });
        let frame = match next.await {
            Ok(Some(Ok(Message::Text(text)))) => Frame::text(text),
            Ok(Some(Ok(Message::Binary(payload)))) => Frame::binary(payload),
            Ok(Some(Ok(Message::Close(close)))) => {
                return (CloseReason::ClosedByClient, close.map(|close| close.code.into()));
            }
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {
                if !keep_control_short(hall, link) {
                    return (CloseReason::TooSlow, None);
                }
                continue;
            }
            Ok(Some(Err(error))) => return (reason_of(&error), None),
            Ok(None) => return (CloseReason::Vanished, None),
            Err(reason) => {
                if reason == CloseReason::ServerStops {
                    wait_until_up_to_date(hall, link).await;
                }
                return (reason, None);
            }
        };
        hall.publish(link, frame).await;
    }
}

/// Has pongs written before too many of them wait. False: the client provokes more of them than it reads.
fn keep_control_short(hall: &Rc<Hall>, link: &Link) -> bool {
    if link.has_too_much_control() {
        hall.write_now(link);
    }
    !link.has_too_much_control()
}

async fn wait_until_up_to_date(hall: &Hall, link: &Link) {
    let up_to_date = poll_fn(|cx| {
        if hall.is_up_to_date(link) {
            return Poll::Ready(());
        }
        link.wake_with(cx);
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

/// Says goodbye with a Close frame, where the client can hear it.
async fn close(link: &Link, reason: CloseReason, its_code: Option<u16>) {
    let frame = match (reason, reason.code()) {
        (CloseReason::ClosedByClient, _) => Frame::close(its_code, ""),
        (_, Some(code)) => Frame::close(Some(code), reason.words()),
        (_, None) => return,
    };
    link.push_control(&frame.to_vec());
    let timeout = async {
        Timer::after(CLOSING_TIMEOUT).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    if link.finish_control().or(timeout).await.is_ok() {
        lingering_close::end(link.socket()).await;
    }
}
