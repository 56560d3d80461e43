//! Every connection from accept to its upgrade or close: the loop that reads requests and answers them.
//!
//! Leaves WebSockets to `ws`, the page to `page`, and limits on connections to `admission`. What must stay true: each connection
//! has one task, and whatever it does, it ends with an answer, a WebSocket, or a closed socket.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use smol::future::{self, FutureExt};

use crate::api::metrics::Metrics;
use crate::api::publish::Posts;
use crate::api::shared_copies::SharedCopies;
use crate::api::stream::{self, Streaming};
use crate::api::stream_request::StreamRequest;
use crate::broadcast::broadcaster::Broadcaster;
use crate::broadcast::live_channel::LiveChannel;
#[cfg(feature = "redis")]
use crate::broadcast::requesting::LogAway;
use crate::config::limits::{CLOSING_TIMEOUT, HEAD_TIMEOUT, KEEP_ALIVE_TIMEOUT};
use crate::http::cors::Cors;
use crate::http::head;
use crate::http::host_policy::HostPolicy;
use crate::http::offered_code::OfferedCode;
#[cfg(feature = "redis")]
use crate::http::refusal::LOG_AWAY;
use crate::http::refusal::{HEAD_TOO_SLOW, NO_CHANNEL_LEFT, Refusal};
use crate::http::response::ResponseSender;
use crate::http::short_answer::ShortAnswer;
use crate::hub::directory::NoPlace;
use crate::hub::position::Position;
use crate::net::lingering_close;
use crate::os::search_domains::SearchDomains;
use crate::page::frontend::Frontend;
use crate::runtime::clock;
use crate::runtime::socket::Async;
use crate::runtime::spawner::Spawner;
use crate::runtime::tcp::TcpSocket;
use crate::runtime::timer::Timer;
use crate::server::admission::{Admission, ClientPermit};
use crate::server::answered::Answered;
use crate::server::permission::{Need, Permission, Permissions, Visitor};
use crate::server::route::{Reason, Refused, Route};
use crate::telemetry::counters::Counters;
use crate::telemetry::refusals::Refusals;
use crate::ws::handshake::Upgrade;
use crate::ws::join::TakenElsewhere;
use crate::ws::session::{self, Upgraded};

/// Where connections can lead.
#[derive(Debug)]
pub struct Dispatch {
    /// Who may come in.
    pub host_policy: HostPolicy,
    /// Who needs a code, and whether it is the right one.
    pub permissions: Permissions,
    /// Where the machine's own name may be looked up.
    pub search_domains: SearchDomains,
    /// The limits on connections.
    pub admission: Rc<Admission>,
    /// The broadcast.
    pub broadcaster: Rc<Broadcaster>,
    /// What is posted.
    pub posts: Posts,
    /// The page.
    pub frontend: Frontend,
    /// What is sent to those who read large answers slowly.
    pub copies: Rc<SharedCopies>,
    /// The figures for programs that watch.
    pub metrics: Metrics,
    /// Sends what the page answers.
    pub sender: ResponseSender,
    /// The figures.
    pub counters: Arc<Counters>,
    /// Who was kept out.
    pub refusals: Rc<Refusals>,
    /// Starts the connections' tasks.
    pub spawner: Spawner,
}

impl Dispatch {
    /// Starts serving a new connection.
    pub fn handle(self: &Rc<Self>, socket: Async<TcpSocket>, peer: SocketAddr) {
        socket.get_ref().set_nodelay();
        self.admission.add_pending(|id| self.spawner.spawn(Rc::clone(self).serve(id, socket, peer)));
    }

    async fn serve(self: Rc<Self>, id: u64, socket: Async<TcpSocket>, peer: SocketAddr) {
        // A box, since the task of a client lives long and needs none of this.
        let upgraded = Box::pin(self.answer_requests(id, &socket, peer)).await;
        let broadcaster = Rc::clone(&self.broadcaster);
        match upgraded {
            Some(Joining { live, permit, permission, wish: Wish::WebSocket(upgrade, taken, read_ahead) }) => {
                let Permission { may_send, by_code } = permission;
                let upgraded = Upgraded { socket, peer, upgrade, live, may_send, by_code, taken, read_ahead, permit };
                self.spawner.spawn(session::serve(broadcaster, upgraded)).detach();
            }
            Some(Joining { live, permit, permission, wish: Wish::Stream(request, cors) }) => {
                let may_send = permission.may_send;
                let streaming = Streaming { socket, peer, request, cors, live, may_send, permit };
                self.spawner.spawn(stream::serve(broadcaster, streaming)).detach();
            }
            None => {}
        }
        self.admission.remove_pending(id);
    }

    /// Answers requests until the connection has ended or becomes a WebSocket's.
    async fn answer_requests(self: &Rc<Self>, id: u64, socket: &Async<TcpSocket>, peer: SocketAddr) -> Option<Joining> {
        let mut buffer = Vec::new();
        let mut first_deadline = Some(clock::now() + HEAD_TIMEOUT);
        loop {
            let mut large_head = None;
            let admit_large = || self.admission.admit_large_head(id);
            let read = next_head(socket, &mut buffer, first_deadline.take(), &mut large_head, admit_large).await;
            // A refused HEAD has to be told apart even if the rest of its head makes no sense (RFC 9110 section 9.3.2).
            let head_only = buffer.starts_with(b"HEAD ");
            let route = match read {
                Ok(Some(head_bytes)) => {
                    let route = self.route(&buffer[..head_bytes], socket, peer.ip()).await;
                    buffer.drain(..head_bytes);
                    // A large head keeps no room while it is answered.
                    buffer.shrink_to(head::CHUNK_BYTES);
                    route
                }
                Ok(None) => return None,
                Err(refusal) => Err(refusal.into()),
            };
            // Of most large heads nothing large is left. What is, waits for its answer at most, and never for somebody to take that.
            let large_head = large_head.filter(
                |_| matches!(&route, Ok((Route::Page(request) | Route::Reload(request, _), _)) if request.is_large()),
            );
            let answered = match route {
                Ok((Route::WebSocket(channel, upgrade), permission)) => {
                    let open = || self.broadcaster.channels().open(&channel);
                    let after = upgrade.after.as_ref().filter(|_| upgrade.resumes);
                    match self.admit_to(open, peer.ip(), upgrade.predecessor(), after).await {
                        Ok((live, permit, taken)) => {
                            let wish = Wish::WebSocket(upgrade, taken, buffer.as_slice().to_vec());
                            return Some(Joining { live, permit, permission, wish });
                        }
                        Err(refusal) => {
                            let in_its_place = upgrade.answer_and_close(refusal);
                            Err(Refused { in_its_place, ..refusal.into() })
                        }
                    }
                }
                Ok((Route::Stream(channel, request, cors), permission)) => {
                    let open = || self.broadcaster.channels().open_to_read(&channel);
                    match self.admit_to(open, peer.ip(), None, request.after.as_ref()).await {
                        Ok((live, permit, _)) => {
                            let wish = Wish::Stream(request, cors);
                            return Some(Joining { live, permit, permission, wish });
                        }
                        Err(refusal) => {
                            let in_its_place = stream::come_back(&request, &cors.lines());
                            Err(Refused { cors: Some(cors), in_its_place, ..refusal.into() })
                        }
                    }
                }
                Ok((Route::Channel(request, cors), _)) => {
                    let answered = self.answer_channel(id, socket, peer, &request, &cors).await;
                    answered.map_err(|refused| Refused { cors: Some(cors), ..refused })
                }
                Ok((Route::Post(post, cors), _)) => {
                    let answered = self.answer_post(id, socket, &mut buffer, &post, &cors).await;
                    answered.map_err(|refused| Refused { cors: Some(cors), ..refused }).transpose()?
                }
                Ok((Route::Metrics(asked), _)) => self.answer_metrics(id, asked),
                Ok((Route::Redirect(location, asked), _)) => {
                    Ok(Answered::of(&ShortAnswer::redirect(location), asked, None))
                }
                Ok((Route::Reload(_, cors), _)) if self.frontend.reload.is_some() => {
                    break self.tell_changes(id, socket, &cors).await;
                }
                Ok((Route::Page(request) | Route::Reload(request, _), _)) => {
                    self.answer_page(id, socket, peer, request, large_head).await.map_err(Refused::from)
                }
                Err(refused) => Err(refused),
            };
            match answered {
                Ok(answered) => {
                    if !self.send(socket, answered).await {
                        break;
                    }
                }
                Err(refused) => {
                    self.refuse(socket, peer, &refused, head_only).await;
                    break;
                }
            }
            // The next request may be here, and the socket may take every answer at once: without this, it would be no turn of
            // anybody else's.
            future::yield_now().await;
        }
        lingering_close::end(socket).await;
        None
    }

    /// What a request wants. One that knows the machine by its own name in some domain is let in only if that is one of the network's
    /// at this moment: another network may have another domain.
    async fn route(&self, head: &[u8], socket: &Async<TcpSocket>, ip: IpAddr) -> Result<(Route, Permission), Refused> {
        let own_address = || socket.get_ref().local_addr().ok();
        let check = |need: Need<'_>, code: Option<&OfferedCode>| {
            let known = need.predecessor.and_then(|id| self.broadcaster.known(id, need.channel)?.by_code);
            self.permissions.check(need, code, Visitor { ip, known, now: clock::now() })
        };
        let route = |search_domains: &[String]| Route::of(head, &self.host_policy, search_domains, own_address, check);
        let refused = match route(&[]) {
            Err(refused) => refused,
            found => return found,
        };
        match refused.reason.as_deref() {
            Some(Reason::Host(host)) if self.host_policy.own_domain(host).is_some() => {
                route(&self.search_domains.now().await)
            }
            _ => Err(refused),
        }
    }

    /// A permit for a client, and the channel that it joins before anything else happens; and what another board has of its last connection,
    /// if that was to one.
    async fn admit_to(
        &self,
        open: impl FnOnce() -> Result<Rc<LiveChannel>, NoPlace>,
        ip: IpAddr,
        predecessor: Option<&str>,
        after: Option<&Position>,
    ) -> Result<(Rc<LiveChannel>, ClientPermit, TakenElsewhere), Refusal> {
        let permit = self.admit(ip, predecessor).await?;
        let live = open().map_err(|NoPlace| NO_CHANNEL_LEFT)?;
        #[cfg(feature = "redis")]
        let taken = self.broadcaster.prepare(&live, after, predecessor).await.map_err(|LogAway| LOG_AWAY)?;
        #[cfg(not(feature = "redis"))]
        let (taken, _) = (None, after);
        Ok((live, permit, taken))
    }

    /// A permit for a client. If there is no place, a client that comes back has that of its last connection.
    async fn admit(&self, ip: IpAddr, predecessor: Option<&str>) -> Result<ClientPermit, Refusal> {
        let refusal = match self.admission.admit_client(ip) {
            Ok(permit) => return Ok(permit),
            Err(refusal) => refusal,
        };
        let id = predecessor.ok_or(refusal)?;
        let permit = self.admission.admit_successor(ip, self.broadcaster.address_of(id).ok_or(refusal)?)?;
        self.broadcaster.replace(id, true);
        let in_vain = async {
            Timer::after(CLOSING_TIMEOUT).await;
            Err(refusal)
        };
        let is_free = async {
            permit.wait_for_place().await;
            Ok(())
        };
        is_free.or(in_vain).await.map(|()| permit)
    }
}

/// A client that may join.
struct Joining {
    live: Rc<LiveChannel>,
    permit: ClientPermit,
    permission: Permission,
    wish: Wish,
}

/// As what a client wants to join.
enum Wish {
    /// With the bytes that came behind the request's head.
    WebSocket(Upgrade, TakenElsewhere, Vec<u8>),
    Stream(StreamRequest, Cors),
}

/// Reads the next head, the first one of a connection by `first_deadline`. `None`: the client has closed the connection, or has sent
/// nothing in time but empty lines. Neither these nor parts of a head buy any time.
async fn next_head<P>(
    socket: &Async<TcpSocket>,
    buffer: &mut Vec<u8>,
    first_deadline: Option<Instant>,
    large: &mut Option<P>,
    admit_large: impl Fn() -> Result<P, Refusal>,
) -> Result<Option<usize>, Refusal> {
    let begin_by = first_deadline.unwrap_or_else(|| clock::now() + KEEP_ALIVE_TIMEOUT);
    let silent = async {
        Timer::at(begin_by).await;
        Ok(false)
    };
    if !head::wait_for_head(socket, buffer).or(silent).await? {
        return Ok(None);
    }
    let end_by = first_deadline.unwrap_or_else(|| clock::now() + HEAD_TIMEOUT);
    let too_slow = async {
        Timer::at(end_by).await;
        Err(HEAD_TOO_SLOW)
    };
    head::read_head(socket, buffer, large, admit_large).or(too_slow).await
}
