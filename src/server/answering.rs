//! Requests that are answered here and now: for something of the page, and for something of a channel.
//!
//! Leaves what is answered to `page` and `api`. What must stay true: whoever is being answered has a permit, unless the answer is in
//! memory.

use std::net::SocketAddr;

use crate::api::channel_request::{ChannelRequest, Way};
use crate::api::last::{self, LastRequest};
use crate::api::post::Post;
use crate::api::{channel_status, deletion};
use crate::http::cors::Cors;
use crate::http::refusal::Refusal;
use crate::http::short_answer::{Asked, ShortAnswer};
use crate::page::page_request::PageRequest;
use crate::page::status::StoresFigures;
use crate::runtime::socket::Async;
use crate::runtime::tcp::TcpSocket;
use crate::server::admission::LargeHeadPermit;
use crate::server::answered::Answered;
use crate::server::dispatch::Dispatch;
use crate::server::route::Refused;

impl Dispatch {
    /// Answers a request for the page. The permit of a large head goes back as soon as nothing of the request is needed any more, which is
    /// before anybody reads the answer.
    pub(super) async fn answer_page(
        &self,
        id: u64,
        socket: &Async<TcpSocket>,
        peer: SocketAddr,
        request: PageRequest,
        large_head: Option<LargeHeadPermit<'_>>,
    ) -> Result<Answered<'_>, Refusal> {
        let permit = self.admission.begin_request(id);
        let local = || socket.get_ref().local_addr().ok();
        let at_once = self.frontend.answer_at_once(&request, peer.ip(), local, || {
            (self.broadcaster.channels().main_epoch(), self.stores_figures())
        });
        // What is in memory is answered although too many wait for something else.
        let (response, permit) = if let Some(response) = at_once {
            (response, permit.ok())
        } else {
            let permit = permit?;
            (self.frontend.answer(&request).await?, Some(permit))
        };
        drop(large_head);
        Ok(Answered { response, reader: None, keep_alive: request.keep_alive, permit })
    }

    /// Answers a request for something of a channel, which waits for nobody but a channel's file.
    pub(super) async fn answer_channel(
        &self,
        id: u64,
        socket: &Async<TcpSocket>,
        peer: SocketAddr,
        request: &ChannelRequest,
        cors: &Cors,
    ) -> Result<Answered<'_>, Refused> {
        let permit = self.admission.begin_request(id)?;
        let ChannelRequest { channel, way, asked } = request;
        let answer = match way {
            Way::Status => {
                let local = socket.get_ref().local_addr().ok();
                ShortAnswer::json(&channel_status::figures(&self.broadcaster, channel, local))
            }
            Way::Deletion => deletion::answer(&self.broadcaster, channel, peer).await?,
            Way::Last(conditions) => {
                let request = LastRequest { conditions, asked: *asked, lines: &cors.lines() };
                let (response, reader) = last::answer(request, &self.broadcaster, channel, &self.copies).await?;
                return Ok(Answered { response, reader, keep_alive: asked.keep_alive, permit: Some(permit) });
            }
            Way::Options(lines) => ShortAnswer::empty(204).with_lines(lines),
        };
        Ok(Answered::of(&answer.with_lines(&cors.lines()), *asked, Some(permit)))
    }

    /// Publishes what is posted. What comes behind the request is in `buffer`, before and afterwards. `None`: the client has gone.
    pub(super) async fn answer_post(
        &self,
        id: u64,
        socket: &Async<TcpSocket>,
        buffer: &mut Vec<u8>,
        post: &Post,
        cors: &Cors,
    ) -> Result<Option<Answered<'_>>, Refused> {
        let Some(message) = self.posts.read(&self.broadcaster, socket, buffer, post).await? else { return Ok(None) };
        // Not before: who is slow to send has no place among those who are answered.
        let permit = self.admission.begin_request(id)?;
        let answer = self.posts.publish(&self.broadcaster, &post.channel, message, socket).await?;
        Ok(answer.map(|answer| Answered::of(&answer.with_lines(&cors.lines()), post.asked, Some(permit))))
    }

    /// Answers with the figures for programs that watch.
    pub(super) fn answer_metrics(&self, id: u64, asked: Asked) -> Result<Answered<'_>, Refused> {
        let permit = self.admission.begin_request(id)?;
        let channels = self.broadcaster.channels().all();
        let figures: Vec<_> = channels.iter().map(|live| (live.name.as_str(), live.figures())).collect();
        #[cfg(feature = "redis")]
        let redis = self.broadcaster.redis_connections();
        #[cfg(not(feature = "redis"))]
        let redis = None;
        let (response, reader) = self.metrics.answer(asked, &figures, redis, &self.copies);
        Ok(Answered { response, reader, keep_alive: asked.keep_alive, permit: Some(permit) })
    }

    /// Tells a page of changes until it ends.
    pub(super) async fn tell_changes(&self, id: u64, socket: &Async<TcpSocket>, cors: &Cors) {
        let Some(reload) = &self.frontend.reload else { return };
        self.counters.http_requests.add(1);
        // Its connection is dropped for no other while it has a permit; without one it does not wait.
        let permit = self.admission.begin_request(id);
        let _ = reload.tell(socket, cors, permit.is_ok()).await;
    }

    /// What is said of `--state` and of `--redis`.
    fn stores_figures(&self) -> StoresFigures {
        #[cfg(feature = "redis")]
        let redis = self.broadcaster.redis_figures();
        #[cfg(not(feature = "redis"))]
        let redis = serde_json::Value::Null;
        StoresFigures { state: self.broadcaster.state_figures(), redis }
    }

    /// Sends an answer. Returns whether the connection goes on.
    pub(super) async fn send(&self, socket: &Async<TcpSocket>, answered: Answered<'_>) -> bool {
        let Answered { response, reader, keep_alive, permit } = answered;
        self.counters.http_requests.add(1);
        self.count_refusal(response.status);
        if let Some(permit) = &permit {
            permit.response_is_ready();
        }
        let sent = match reader {
            Some(reader) => reader.send(socket, &response.head_and_body).await,
            None => self.sender.send(socket, response).await,
        };
        sent.is_ok() && keep_alive
    }
}
