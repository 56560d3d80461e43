//! Every connection from accept to its upgrade or close: the loop that reads requests and answers them.
//!
//! Leaves WebSockets to `ws`, the page to `page`, and limits on connections to `admission`. What must stay true: each connection
//! has one task, and whatever it does, it ends with an answer, a WebSocket, or a closed socket.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use log::{debug, info};
use smol::future::{self, FutureExt};

use crate::broadcast::broadcaster::Broadcaster;
use crate::config::limits::{CLOSING_TIMEOUT, HEAD_TIMEOUT, KEEP_ALIVE_TIMEOUT, REFUSAL_VALUE_CHARS_MAX};
use crate::http::head;
use crate::http::host_policy::HostPolicy;
use crate::http::refusal::{BUSY, HEAD_TOO_SLOW, Refusal};
use crate::http::response::{ResponseSender, write_all};
use crate::net::lingering_close;
use crate::os::search_domains::SearchDomains;
use crate::page::frontend::Frontend;
use crate::page::page_request::PageRequest;
use crate::runtime::socket::Async;
use crate::runtime::spawner::Spawner;
use crate::runtime::timer::Timer;
use crate::server::admission::{Admission, ClientPermit, LargeHeadPermit};
use crate::server::route::{Reason, Refused, Route};
use crate::telemetry::counters::Counters;
use crate::telemetry::refusals::{self, Header, Refusals};
use crate::ws::handshake::Upgrade;
use crate::ws::session::{self, Upgraded};

/// How much of what was the reason to refuse a request goes into the log: more than a host name has.
const REASON_CHARS_MAX: usize = 300;

/// Where connections can lead.
#[derive(Debug)]
pub struct Dispatch {
    /// Who may come in.
    pub host_policy: HostPolicy,
    /// Where the machine's own name may be looked up.
    pub search_domains: SearchDomains,
    /// The limits on connections.
    pub admission: Rc<Admission>,
    /// The broadcast.
    pub broadcaster: Rc<Broadcaster>,
    /// The page.
    pub frontend: Frontend,
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
    pub fn handle(self: &Rc<Self>, socket: Async<TcpStream>, peer: SocketAddr) {
        // A socket that refuses this works all the same, only slower.
        let _ = socket.get_ref().set_nodelay(true);
        self.admission.add_pending(|id| self.spawner.spawn(Rc::clone(self).serve(id, socket, peer)));
    }

    async fn serve(self: Rc<Self>, id: u64, socket: Async<TcpStream>, peer: SocketAddr) {
        // A box, since the task of a client lives long and needs none of this.
        let upgraded = Box::pin(self.answer_requests(id, &socket, peer)).await;
        if let Some((upgrade, read_ahead, permit)) = upgraded {
            let upgraded = Upgraded { socket, peer, upgrade, read_ahead, permit };
            let session = session::serve(Rc::clone(&self.broadcaster), upgraded);
            self.spawner.spawn(session).detach();
        }
        self.admission.remove_pending(id);
    }

    /// Answers requests until the connection has ended or becomes a WebSocket's.
    async fn answer_requests(
        self: &Rc<Self>,
        id: u64,
        socket: &Async<TcpStream>,
        peer: SocketAddr,
    ) -> Option<(Upgrade, Vec<u8>, ClientPermit)> {
        let mut buffer = Vec::new();
        let mut first_deadline = Some(Instant::now() + HEAD_TIMEOUT);
        loop {
            let mut large_head = None;
            let admit_large = || self.admission.admit_large_head(id);
            let read = next_head(socket, &mut buffer, first_deadline.take(), &mut large_head, admit_large).await;
            // A refused HEAD has to be told apart even if the rest of its head makes no sense (RFC 9110 section 9.3.2).
            let head_only = buffer.starts_with(b"HEAD ");
            let route = match read {
                Ok(Some(head_bytes)) => {
                    let route = self.route(&buffer[..head_bytes], socket).await;
                    buffer.drain(..head_bytes);
                    // A large head keeps no room while it is answered.
                    buffer.shrink_to(head::CHUNK_BYTES);
                    route
                }
                Ok(None) => return None,
                Err(refusal) => Err(refusal.into()),
            };
            // Of most large heads nothing large is left. What is, waits for its answer at most, and never for somebody to take that.
            let large_head = large_head.filter(|_| matches!(&route, Ok(Route::Page(request)) if request.is_large()));
            let answered = match route {
                Ok(Route::WebSocket(upgrade)) => match self.admit(peer.ip(), &upgrade).await {
                    Ok(permit) => return Some((upgrade, buffer.as_slice().to_vec(), permit)),
                    Err(refusal) => Err(refusal.into()),
                },
                Ok(Route::Page(request)) => {
                    self.serve_page(id, socket, peer, request, large_head).await.map_err(Refused::from)
                }
                Err(refused) => Err(refused),
            };
            match answered {
                // The next request may be here, and the socket may take every answer at once: without this, it would be no turn of
                // anybody else's.
                Ok(true) => future::yield_now().await,
                Ok(false) => {
                    lingering_close::end(socket).await;
                    return None;
                }
                Err(refused) => {
                    self.refuse(socket, peer, &refused, head_only).await;
                    return None;
                }
            }
        }
    }

    /// What a request wants. One that knows the machine by its own name in some domain is let in only if that is one of the network's
    /// at this moment: another network may have another domain.
    async fn route(&self, head: &[u8], socket: &Async<TcpStream>) -> Result<Route, Refused> {
        let route = |search_domains: &[String]| {
            Route::of(head, &self.host_policy, search_domains, || socket.get_ref().local_addr().ok())
        };
        let refused = match route(&[]) {
            Err(refused) => refused,
            found => return found,
        };
        match &refused.reason {
            Some(Reason::Host(host)) if self.host_policy.own_domain(host).is_some() => {
                route(&self.search_domains.now().await)
            }
            _ => Err(refused),
        }
    }

    /// A permit for a client. If there is no place, a client that comes back has that of its last connection.
    async fn admit(&self, ip: IpAddr, upgrade: &Upgrade) -> Result<ClientPermit, Refusal> {
        let refusal = match self.admission.admit_client(ip) {
            Ok(permit) => return Ok(permit),
            Err(refusal) => refusal,
        };
        let id = upgrade.predecessor().ok_or(refusal)?;
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

    /// Has a page served. Returns whether the connection goes on. The permit of a large head goes back as soon as nothing of the request
    /// is needed any more, which is before anybody reads the answer.
    async fn serve_page(
        &self,
        id: u64,
        socket: &Async<TcpStream>,
        peer: SocketAddr,
        request: PageRequest,
        large_head: Option<LargeHeadPermit<'_>>,
    ) -> Result<bool, Refusal> {
        let permit = self.admission.begin_request(id);
        let at_once = self.frontend.answer_at_once(&request, peer.ip(), || socket.get_ref().local_addr().ok());
        // What is in memory is answered although too many wait for something else.
        let (response, permit) = if let Some(response) = at_once {
            (response, permit.ok())
        } else {
            let permit = permit?;
            (self.frontend.answer(&request).await?, Some(permit))
        };
        let keep_alive = request.keep_alive;
        drop((request, large_head));
        self.counters.http_requests.add(1);
        self.count_refusal(response.status);
        if let Some(permit) = &permit {
            permit.response_is_ready();
        }
        Ok(self.sender.send(socket, response).await.is_ok() && keep_alive)
    }

    async fn refuse(&self, socket: &Async<TcpStream>, peer: SocketAddr, refused: &Refused, head_only: bool) {
        let Refused { refusal, reason } = refused;
        let Refusal { status, sentence, .. } = *refusal;
        match reason.as_ref().map(Reason::header) {
            Some((header, Some(value))) => {
                info!("{peer} refused with {status}: {sentence} ({header}: {value:.REASON_CHARS_MAX$})");
            }
            _ => info!("{peer} refused with {status}: {sentence}"),
        }
        self.count_refusal(status);
        // A visitor who is told to come back was not kept out.
        if *refusal != BUSY {
            self.remember(peer.ip(), refused);
        }
        if let Err(error) = write_all(socket, refusal.answer(head_only).as_bytes()).await {
            debug!("{peer} did not take its answer: {error}");
        }
        lingering_close::end(socket).await;
    }

    fn remember(&self, address: IpAddr, Refused { refusal, reason }: &Refused) {
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

    fn count_refusal(&self, status: u16) {
        if let Some(count) = self.counters.refused(status) {
            count.add(1);
        }
    }
}

/// Reads the next head, the first one of a connection by `first_deadline`. `None`: the client has closed the connection, or has sent
/// nothing in time but empty lines. Neither these nor parts of a head buy any time.
async fn next_head<P>(
    socket: &Async<TcpStream>,
    buffer: &mut Vec<u8>,
    first_deadline: Option<Instant>,
    large: &mut Option<P>,
    admit_large: impl Fn() -> Result<P, Refusal>,
) -> Result<Option<usize>, Refusal> {
    let begin_by = first_deadline.unwrap_or_else(|| Instant::now() + KEEP_ALIVE_TIMEOUT);
    let silent = async {
        Timer::at(begin_by).await;
        Ok(false)
    };
    if !head::wait_for_head(socket, buffer).or(silent).await? {
        return Ok(None);
    }
    let end_by = first_deadline.unwrap_or_else(|| Instant::now() + HEAD_TIMEOUT);
    let too_slow = async {
        Timer::at(end_by).await;
        Err(HEAD_TOO_SLOW)
    };
    head::read_head(socket, buffer, large, admit_large).or(too_slow).await
}
