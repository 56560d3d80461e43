//! `POST` and `PUT`: a body becomes a message.
//!
//! Leaves reading the body to `body_reader`, and the order of messages to `broadcast`. What must stay true: who is told anything but 200 has
//! published nothing, and only a message that is there makes a channel.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::json;
use smol::future::{self, FutureExt};

use crate::api::bodies::{Bodies, Body};
use crate::api::body_reader::{BodyReader, Expected};
use crate::api::post::Post;
use crate::api::waiting_places::WaitingPlaces;
use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::live_channel::LiveChannel;
#[cfg(feature = "redis")]
use crate::broadcast::requesting::LogAway;
use crate::broadcast::waiting_post::PostOutcome;
use crate::config::limits::POST_ROOM_TIMEOUT;
use crate::http::refusal::{LOG_AWAY, MAY_COME, NO_CHANNEL_LEFT, NO_ROOM, Refusal};
use crate::http::short_answer::ShortAnswer;
use crate::hub::channel_name::ChannelName;
use crate::hub::directory::NoPlace;
use crate::hub::frame::Frame;
use crate::hub::position::Position;
use crate::runtime::socket::Async;
use crate::runtime::tcp::TcpSocket;
use crate::runtime::timer::Timer;
use crate::telemetry::counters::Counters;

/// All posts that are under way.
pub struct Posts {
    reader: BodyReader,
    counters: Arc<Counters>,
    /// Those that wait for room in the log of their channel.
    waiting: WaitingPlaces,
}

/// A message that has come, with the place that it takes until it is published.
#[derive(Debug)]
pub struct Message<'a> {
    frame: Frame,
    _body: Body<'a>,
}

impl Posts {
    /// For messages of at most so many bytes.
    pub fn new(message_bytes_max: usize, counters: &Arc<Counters>) -> Self {
        let bodies = Bodies::new(message_bytes_max, Arc::clone(counters));
        let waiting = WaitingPlaces::new(bodies.bytes_max());
        Self { reader: BodyReader::new(bodies), counters: Arc::clone(counters), waiting }
    }

    /// Ready when no post is under way.
    pub fn poll_empty(&self, cx: &Context<'_>) -> Poll<()> {
        self.reader.poll_empty(cx)
    }

    /// Reads the message of a post, of which the first bytes may be in `buffer`; what follows it is there afterwards. `None`: the client
    /// has closed the connection.
    ///
    /// # Errors
    /// Why it cannot be taken.
    pub async fn read(
        &self,
        broadcaster: &Broadcaster,
        socket: &Async<TcpSocket>,
        buffer: &mut Vec<u8>,
        post: &Post,
    ) -> Result<Option<Message<'_>>, Refusal> {
        let Post { ref channel, framing, waits_for_continue, .. } = *post;
        let bytes_max = broadcaster.channels().message_bytes_max(channel);
        let expected = Expected { framing, bytes_max, waits_for_continue };
        let Some(mut body) = self.reader.read(socket, buffer, expected).await? else { return Ok(None) };
        let frame = post.message(body.take())?;
        Ok(Some(Message { frame, _body: body }))
    }

    /// Publishes a message, if need be when there is room for it, and says where it is. `None`: the connection was reset in the meantime,
    /// and the message is not published.
    ///
    /// # Errors
    /// Why it is not published.
    pub async fn publish(
        &self,
        broadcaster: &Broadcaster,
        channel: &ChannelName,
        message: Message<'_>,
        socket: &Async<TcpSocket>,
    ) -> Result<Option<ShortAnswer>, Refusal> {
        let bytes = message.frame.len();
        let live = broadcaster.channels().open(channel).map_err(|NoPlace| NO_CHANNEL_LEFT)?;
        #[cfg(feature = "redis")]
        broadcaster.wait_until_shared(&live).await.map_err(|LogAway| LOG_AWAY)?;
        let waiting = match broadcaster.post(&live, message.frame) {
            PostOutcome::Published(position) => return Ok(Some(self.published(&live, position))),
            PostOutcome::Waiting(waiting) => waiting,
            PostOutcome::TooMany => return Err(NO_ROOM),
        };
        // What has room waits only to be written, and cannot be taken back.
        let takes_place = waiting.can_be_taken_back();
        let _place = if takes_place { Some(self.waiting.take(channel, bytes).ok_or(NO_ROOM)?) } else { None };
        let published = async {
            let position = waiting.published().await.ok_or(MAY_COME)?;
            Ok(Some(self.published(&live, position)))
        };
        let taken_back = async {
            socket.broken().await;
            Ok(None)
        };
        let in_vain = async {
            Timer::after(POST_ROOM_TIMEOUT).await;
            match waiting.can_be_taken_back() {
                true if broadcaster.shares() => Err(LOG_AWAY),
                true => Err(NO_ROOM),
                false if broadcaster.shares() => Err(MAY_COME),
                false => future::pending().await,
            }
        };
        published.or(taken_back).or(in_vain).await
    }

    /// The answer to a message that is here now.
    fn published(&self, live: &LiveChannel, position: Position) -> ShortAnswer {
        self.counters.posts.add(1);
        ShortAnswer::json(&json!({ "epoch": position.epoch, "seq": position.seq, "clients": live.clients() }))
            .with("Foghorn-Seq", position)
    }
}

impl fmt::Debug for Posts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Posts").field("reader", &self.reader).finish_non_exhaustive()
    }
}
