//! What a request wants: the one place where ways into the server are told apart.
//!
//! Leaves reading heads to `http::head`, and serving to `dispatch`. What must stay true: Host is checked for every request,
//! Origin for all but the page and its files, and after them the code for all that needs one; a page that may not come in can read no
//! answer but those.

use std::net::SocketAddr;
use std::time::Duration;

use crate::access::codes::Right;
use crate::api::channel_request::{ChannelRequest, Way};
use crate::api::post::Post;
use crate::api::stream;
use crate::api::stream_request::{StreamRequest, wants_events};
use crate::http::cors::{Cors, is_preflight};
use crate::http::head::Head;
use crate::http::host::Host;
use crate::http::host_policy::HostPolicy;
use crate::http::offered_code::OfferedCode;
use crate::http::origin::Origin;
use crate::http::refusal::{FOREIGN_HOST, FOREIGN_ORIGIN, NO_CHANNEL, NO_CHANNEL_NAME, Refusal};
use crate::http::short_answer::Asked;
use crate::hub::channel_name::ChannelName;
use crate::page::page_request::PageRequest;
use crate::page::provided_scripts::RELOAD_PATH;
use crate::server::address::Address;
use crate::server::permission::{Denied, Need, Permission};
use crate::ws::handshake::Upgrade;

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// To join a channel.
    WebSocket(ChannelName, Upgrade),
    /// Something of a channel, and what the browser of a page that asks is told.
    Channel(ChannelRequest, Cors),
    /// To publish a message, whose body follows; and the same.
    Post(Post, Cors),
    /// The figures for programs that watch.
    Metrics(Asked),
    /// A stream of what is said in a channel, and the same.
    Stream(ChannelName, StreamRequest, Cors),
    /// What is at another address.
    Redirect(&'static str, Asked),
    /// A page, or only its head.
    Page(PageRequest),
    /// To be told when pages are to be loaded anew, if the server does that; else a page, which is not there.
    Reload(PageRequest, Cors),
}

/// Why a request is refused, and what of it was the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What it is told.
    pub refusal: Refusal,
    /// What those are told who run the server.
    pub reason: Option<Box<Reason>>,
    /// What the browser of a page is told that may come in, if it is one.
    pub cors: Option<Cors>,
    /// For how long that holds, if that is known.
    pub retry_after: Option<Duration>,
    /// What is sent in place of the refusal to somebody who could not see its status, or would make too much of it.
    pub in_its_place: Option<Vec<u8>>,
}

/// The part of a request that was the reason to refuse it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A name that is not ours.
    Host(Host),
    /// A page that may not.
    Origin(Origin),
}

impl Reason {
    /// The name of its header, and its value in the form in which it can be allowed.
    pub fn header(&self) -> (&'static str, Option<String>) {
        match self {
            Self::Host(host) => ("Host", Some(host.to_string())),
            Self::Origin(origin) => ("Origin", origin.text()),
        }
    }

    /// Whether the value may be shown to everybody who opens the page: an address, a name that nobody outside of the network can have
    /// given, or `null`. The name of a foreign page is its owner's to choose, and would be a way to write onto every phone from the
    /// web, by way of one browser in the network. Who is in the network can write onto them anyway.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Host(host) | Self::Origin(Origin::Page { host, .. }) => host.is_local(),
            Self::Origin(origin) => *origin == Origin::Null,
        }
    }
}

impl Refused {
    /// The whole answer, after which the connection ends.
    pub fn answer(&self, head_only: bool) -> Vec<u8> {
        if let Some(in_its_place) = &self.in_its_place {
            return in_its_place.clone();
        }
        let mut lines = self.cors.as_ref().map(Cors::lines).unwrap_or_default();
        if let Some(rest) = self.retry_after {
            lines += &format!("Retry-After: {}\r\n", rest.as_millis().div_ceil(1000));
        }
        self.refusal.answer(head_only, &lines).into_bytes()
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, reason: None, cors: None, retry_after: None, in_its_place: None }
    }
}

/// The main channel, for what is asked of the whole server.
static MAIN: ChannelName = ChannelName::MAIN;

impl Route {
    /// Decides what the request with this head wants, and whether it may. `search_domains` are those of the network, `own_address` is the
    /// one of ours that the client has used, and `check` judges the code of those who need one.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn of(
        head: &[u8],
        policy: &HostPolicy,
        search_domains: &[String],
        own_address: impl FnOnce() -> Option<SocketAddr>,
        check: impl FnOnce(Need<'_>, Option<&OfferedCode>) -> Result<Permission, Denied>,
    ) -> Result<(Self, Permission), Refused> {
        let head = Head::parse(head, own_address)?;
        if !policy.allows_host(&head.host, search_domains) {
            return Err(Refused { reason: Some(Reason::Host(head.host).into()), ..FOREIGN_HOST.into() });
        }
        let permitted = Self::for_own_host(&head, policy).and_then(|route| {
            let Some(need) = route.need() else { return Ok((route, Permission::without_code(Right::Receive))) };
            match check(need, OfferedCode::of(&head).as_ref()) {
                Ok(permission) => Ok((route, permission)),
                Err(denied) => Err(route.refuse(denied)),
            }
        });
        // All that is refused from here on can be read by a page that may come in.
        permitted.map_err(|refused| Refused { cors: Cors::check(&head, policy).ok(), ..refused })
    }

    /// What it needs a code for, where that is set. `None`: anybody may.
    fn need(&self) -> Option<Need<'_>> {
        let (channel, right) = match self {
            Self::WebSocket(channel, _) | Self::Stream(channel, ..) => (channel, Right::Receive),
            Self::Channel(ChannelRequest { channel, way, .. }, _) => match way {
                Way::Status | Way::Last(_) => (channel, Right::Receive),
                Way::Deletion => (channel, Right::Send),
                Way::Options(_) => return None,
            },
            Self::Post(post, _) => (&post.channel, Right::Send),
            Self::Metrics(_) => (&MAIN, Right::Receive),
            Self::Page(request) if request.is_status() => (&MAIN, Right::Receive),
            Self::Page(_) | Self::Reload(..) | Self::Redirect(..) => return None,
        };
        let upgrade = if let Self::WebSocket(_, upgrade) = self { Some(upgrade) } else { None };
        let predecessor = upgrade.and_then(Upgrade::predecessor);
        Some(Need { channel, right, takes_more: upgrade.is_some(), predecessor })
    }

    /// Refuses it, in the way in which whoever asks so can understand it.
    fn refuse(&self, Denied { refusal, retry_after }: Denied) -> Refused {
        let in_its_place = match self {
            Self::WebSocket(_, upgrade) => upgrade.answer_and_close(refusal),
            Self::Stream(_, request, cors) if refusal.status == 429 => stream::come_back(request, &cors.lines()),
            _ => None,
        };
        Refused { retry_after, in_its_place, ..refusal.into() }
    }

    fn for_own_host(head: &Head<'_>, policy: &HostPolicy) -> Result<Self, Refused> {
        let (path, query) =
            head.target.split_once('?').map_or((&*head.target, None), |(path, query)| (path, Some(query)));
        let address = Address::of(path);
        if head.headers.has_token("upgrade", "websocket") {
            check_origin(head, policy)?;
            let channel = match address {
                Address::Channel(name) => name,
                // Any path outside of `/c/`, as with the Node library `ws`.
                Address::Elsewhere => ChannelName::MAIN,
                Address::Nameless { .. } if path == "/c" => ChannelName::MAIN,
                Address::Nameless { .. } | Address::BelowChannels(_) => return Err(NO_CHANNEL_NAME.into()),
            };
            return Ok(Self::WebSocket(channel, Upgrade::parse(head)?));
        }
        // At any address, or a page could not read why what it asks then is refused.
        let address = if is_preflight(head) { Address::Channel(ChannelName::MAIN) } else { address };
        let is_look = head.method == "GET" || head.method == "HEAD";
        let is_post = head.method == "POST" || head.method == "PUT";
        let page_path = match address {
            Address::Channel(name) if is_post => {
                let cors = check_origin(head, policy)?;
                return Ok(Self::Post(Post::parse(head, name)?, cors));
            }
            Address::Channel(name) => {
                if let Some(request) = ChannelRequest::parse(head, &name)? {
                    return Ok(Self::Channel(request, check_origin(head, policy)?));
                }
                if let Some(request) = StreamRequest::parse(head)? {
                    return Ok(Self::Stream(name, request, check_origin(head, policy)?));
                }
                "/"
            }
            Address::Nameless { page } if is_look => {
                head.framing.check_no_body()?;
                return Ok(Self::Redirect(page, Asked::of(head)));
            }
            Address::BelowChannels(path) if is_look => path,
            Address::Nameless { .. } | Address::BelowChannels(_) => return Err(NO_CHANNEL_NAME.into()),
            Address::Elsewhere if path == "/metrics" && is_look => {
                head.framing.check_no_body()?;
                return Ok(Self::Metrics(Asked::of(head)));
            }
            // A typing error must not speak to everybody.
            Address::Elsewhere if is_post => return Err(NO_CHANNEL.into()),
            Address::Elsewhere => path,
        };
        let target = query.map_or_else(|| page_path.to_owned(), |query| format!("{page_path}?{query}"));
        let request = PageRequest::parse(head, target)?;
        if page_path == RELOAD_PATH && wants_events(head) {
            return Ok(Self::Reload(request, check_origin(head, policy)?));
        }
        Ok(Self::Page(request))
    }
}

/// Refuses a foreign page.
fn check_origin(head: &Head<'_>, policy: &HostPolicy) -> Result<Cors, Refused> {
    let foreign = |origin| Refused { reason: Some(Reason::Origin(origin).into()), ..FOREIGN_ORIGIN.into() };
    Cors::check(head, policy).map_err(foreign)
}

#[cfg(test)]
mod tests;
