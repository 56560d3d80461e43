//! What a request wants: the one place where ways into the server are told apart.
//!
//! Leaves reading heads to `http::head`, and serving to `dispatch`. What must stay true: Host is checked for every request,
//! Origin for every upgrade.

use crate::http::head::Head;
use crate::http::host_policy::HostPolicy;
use crate::http::refusal::{FOREIGN_HOST, FOREIGN_ORIGIN, Refusal};
use crate::page::page_request::PageRequest;
use crate::ws::handshake::Upgrade;

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// To join the broadcast.
    WebSocket(Upgrade),
    /// A page, or only its head.
    Page(PageRequest),
}

impl Route {
    /// Decides what the request with this head wants, and whether it may.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn of(head: &[u8], policy: &HostPolicy) -> Result<Self, Refusal> {
        let head = Head::parse(head)?;
        if !policy.allows_host(&head.host) {
            return Err(FOREIGN_HOST);
        }
        if !head.headers.has_token("upgrade", "websocket") {
            return PageRequest::parse(&head).map(Self::Page);
        }
        let origin = head.headers.one("origin").map_err(|_| FOREIGN_ORIGIN)?;
        if !policy.allows_origin(origin, &head.host) {
            return Err(FOREIGN_ORIGIN);
        }
        Upgrade::parse(&head).map(Self::WebSocket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(lines: &[&str]) -> Result<Route, Refusal> {
        let head = lines.iter().flat_map(|line| [*line, "\r\n"]).chain(["\r\n"]).collect::<String>();
        Route::of(head.as_bytes(), &HostPolicy::new(None, &[], &[]).unwrap())
    }

    fn page(lines: &[&str]) -> PageRequest {
        match route(lines) {
            Ok(Route::Page(page)) => page,
            other => panic!("{lines:?} is {other:?}"),
        }
    }

    fn status(lines: &[&str]) -> u16 {
        route(lines).map_or_else(|refusal| refusal.status, |_| 200)
    }

    const UPGRADE: [&str; 6] = [
        "GET /any/path HTTP/1.1",
        "Host: board.local:1919",
        "Connection: keep-alive, Upgrade",
        "Upgrade: WebSocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];

    #[test]
    fn a_page_is_asked_for_with_get_or_head() {
        let asked = page(&["GET /a?b HTTP/1.1", "host:x", "If-None-Match: \"1\""]);
        let expected = PageRequest {
            head_only: false,
            target: "/a?b".into(),
            host: "x".into(),
            if_none_match: Some("\"1\"".into()),
            keep_alive: true,
        };
        assert_eq!(asked, expected);
        assert!(page(&["HEAD / HTTP/1.0", "Host: x"]).head_only);
        assert!(!page(&["HEAD / HTTP/1.0", "Host: x"]).keep_alive);
        assert!(!page(&["GET / HTTP/1.1", "Host: x", "Connection: close"]).keep_alive);
        assert_eq!(status(&["POST / HTTP/1.1", "Host: x", "Content-Length: 0"]), 405);
        assert_eq!(status(&["OPTIONS * HTTP/1.1", "Host: x"]), 400);
        assert_eq!(status(&["GET / HTTP/1.1", "Host: x", "If-None-Match: \"é\""]), 400);
        assert_eq!(status(&["GET / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"]), 411);
        assert_eq!(status(&["GET / HTTP/1.1", "Host: x", "Content-Length: 1"]), 413);
    }

    #[test]
    fn an_upgrade_is_a_websocket_at_any_path() {
        assert!(matches!(route(&UPGRADE), Ok(Route::WebSocket(_))));
    }

    #[test]
    fn the_host_of_every_request_is_checked_and_the_origin_of_an_upgrade() {
        assert_eq!(status(&["GET / HTTP/1.1", "Host: evil.com"]), 403);
        assert_eq!(status(&["POST / HTTP/1.1", "Host: evil.com", "Content-Length: 1"]), 403);
        let mut foreign = UPGRADE;
        foreign[1] = "Host: evil.com";
        assert_eq!(status(&foreign), 403);
        assert_eq!(status(&[&UPGRADE[..], &["Origin: http://evil.com"]].concat()), 403);
        let own = "Origin: http://board.local";
        assert_eq!(status(&[&UPGRADE[..], &[own]].concat()), 200);
        assert_eq!(status(&[&UPGRADE[..], &[own, own]].concat()), 403);
        assert_eq!(
            status(&["GET / HTTP/1.1", "Host: x", "Origin: http://evil.com"]),
            200,
            "a page is not asked for it"
        );
    }
}
