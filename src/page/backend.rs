//! The client of the page server: passes a bounded number of requests at a time over its private socket.
//!
//! Only we talk to the network; tiny_http is a backend, as behind a reverse proxy. Leaves sending to `http::response`. What must stay
//! true: a client that reads slowly holds no permit for a request in flight, and no wait here is without a deadline
//! ([`HTTP_TIMEOUT`]).

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use log::warn;
use smol::future::FutureExt;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::lock::Semaphore;

use crate::config::limits::{HEAD_BYTES_MAX, HEADERS_MAX, HTTP_BODY_BYTES_MAX, HTTP_TIMEOUT};
use crate::http::refusal::{BUSY, Refusal};
use crate::http::response::Response;
use crate::page::page_request::PageRequest;
use crate::page::page_server::{FILE_HEADER, LOCAL_ADDRESS_HEADER, PageServer};
use crate::runtime::socket::Async;
use crate::runtime::timer::Timer;
use crate::telemetry::counters::Counters;

/// Passes requests on to the page server, a bounded number at a time.
#[derive(Debug)]
pub struct Backend {
    page_server: Arc<PageServer>,
    counters: Arc<Counters>,
    in_flight: Semaphore,
}

impl Backend {
    /// For up to `in_flight_max` requests at a time.
    pub fn new(page_server: Arc<PageServer>, counters: Arc<Counters>, in_flight_max: usize) -> Self {
        Self { page_server, counters, in_flight: Semaphore::new(in_flight_max) }
    }

    /// Has a request answered. `local` is the address of ours that the client has used.
    ///
    /// # Errors
    /// If there is no permit, or no answer, in time.
    pub async fn answer(&self, request: &PageRequest, local: Option<SocketAddr>) -> Result<Response, Refusal> {
        let permit = async { Ok(self.in_flight.acquire().await) };
        let _permit = permit.or(too_late(BUSY)).await?;
        let path = self.page_server.socket_path().ok_or(BUSY)?;
        let answered = exchange(&path, &head_for(request, local)).await;
        match answered.and_then(|bytes| self.rebuild(&bytes, request.keep_alive)) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                warn!("the page's HTTP server gives no answer to a request ({error})");
                self.restart_if_dead(&path).await;
                Err(BUSY)
            }
        }
    }

    /// A missing response may be the fault of that request. The page server is restarted only if a plain request gets none
    /// either, because a restart costs every request in flight its response.
    async fn restart_if_dead(&self, path: &Path) {
        let answered = exchange(path, &head_for(&PageRequest::probe(), None)).await;
        if answered.is_ok_and(|bytes| !bytes.is_empty()) {
            return;
        }
        if self.page_server.restart(path) {
            self.counters.http_restarts.add(1);
        }
    }

    /// Turns tiny_http's response into ours: sets `Connection`, and puts an opened file in place of the body.
    fn rebuild(&self, answer: &[u8], keep_alive: bool) -> io::Result<Response> {
        let mut lines = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut lines);
        let httparse::Status::Complete(head_bytes) = parsed.parse(answer).map_err(io::Error::other)? else {
            return Err(ErrorKind::UnexpectedEof.into());
        };
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nConnection: {}\r\n",
            parsed.code.unwrap_or_default(),
            parsed.reason.unwrap_or_default(),
            if keep_alive { "keep-alive" } else { "close" },
        );
        let value_of = |name: &str| {
            let header = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok()
        };
        let file = value_of(FILE_HEADER).and_then(|value| value.split_once(' '));
        let file: Option<(u64, u64)> =
            file.and_then(|(number, bytes)| Some((number.parse().ok()?, bytes.parse().ok()?)));
        for header in parsed.headers.iter() {
            let is_ours =
                ["connection", "server", FILE_HEADER].iter().any(|name| header.name.eq_ignore_ascii_case(name));
            let is_replaced = file.is_some() && header.name.eq_ignore_ascii_case("content-length");
            if !is_ours && !is_replaced {
                head += &format!("{}: {}\r\n", header.name, String::from_utf8_lossy(header.value));
            }
        }
        if let Some((_, bytes)) = file {
            head += &format!("Content-Length: {bytes}\r\n");
        }
        head += "\r\n";
        let file = file.and_then(|(number, bytes)| Some((self.page_server.take_file(number)?, bytes)));
        let status = parsed.code.unwrap_or_default();
        Ok(Response { status, head_and_body: [head.as_bytes(), &answer[head_bytes..]].concat(), file })
    }
}

/// A request as it goes to the page server: written anew, with nothing but what was understood.
fn head_for(request: &PageRequest, local: Option<SocketAddr>) -> Vec<u8> {
    let PageRequest { target, host, .. } = request;
    let mut head = format!("{} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", request.method());
    let headers =
        [("If-None-Match", request.if_none_match.clone()), (LOCAL_ADDRESS_HEADER, local.map(display_address))];
    for (name, value) in headers {
        if let Some(value) = value {
            head += &format!("{name}: {value}\r\n");
        }
    }
    head += "\r\n";
    head.into_bytes()
}

async fn too_late<T, E>(error: E) -> Result<T, E> {
    Timer::after(HTTP_TIMEOUT).await;
    Err(error)
}

/// An address as people type it: an IPv4 address that came over an IPv6 socket is shown as what it is.
fn display_address(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

/// Asks the page's server, and reads the answer whole.
async fn exchange(path: &Path, request: &[u8]) -> io::Result<Vec<u8>> {
    exchange_without_deadline(path, request).or(too_late(ErrorKind::TimedOut.into())).await
}

async fn exchange_without_deadline(path: &Path, request: &[u8]) -> io::Result<Vec<u8>> {
    let socket = Async::<UnixStream>::connect(path)?;
    let mut socket = &socket;
    socket.write_all(request).await?;
    let mut answer = Vec::with_capacity(4096);
    let bytes_max = HEAD_BYTES_MAX + HTTP_BODY_BYTES_MAX;
    socket.take(bytes_max as u64 + 1).read_to_end(&mut answer).await?;
    if answer.len() > bytes_max {
        return Err(io::Error::other("its answer is too large"));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixListener;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::page::resources::Resources;
    use crate::page::status::Status;
    use crate::runtime::reactor::block_on;

    /// Long enough for whatever has a deadline of its own.
    async fn in_vain<T>() -> T {
        Timer::after(HTTP_TIMEOUT + Duration::from_secs(60)).await;
        panic!("it took for ever")
    }

    #[test]
    fn a_page_server_that_says_nothing_is_given_up_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page");
        let _silent = UnixListener::bind(&path).unwrap();
        let answered = block_on(exchange(&path, b"GET / HTTP/1.1\r\n\r\n").or(in_vain())).unwrap();
        assert_eq!(answered.unwrap_err().kind(), ErrorKind::TimedOut);
    }

    /// A page server of its own in this folder, and the way to it.
    fn start_in(folder: &Path) -> (Backend, Arc<PageServer>) {
        let counters = Arc::new(Counters::new());
        let status = Status { counters: Arc::clone(&counters), message_bytes_max: 1, backlog_bytes: 1 };
        let page_server = PageServer::start(vec![folder.to_owned()], Resources { www: None, status }).unwrap();
        (Backend::new(Arc::clone(&page_server), counters, 1), page_server)
    }

    #[test]
    fn a_page_server_that_answers_is_not_restarted_for_one_request_without_an_answer() {
        let folder = tempfile::tempdir().unwrap();
        let (backend, page_server) = start_in(folder.path());
        let path = page_server.socket_path().unwrap();
        block_on(backend.restart_if_dead(&path)).unwrap();
        assert_eq!(backend.counters.http_restarts.get(), 0);
        assert_eq!(page_server.socket_path(), Some(path), "it is the same server");
        page_server.close();
    }

    #[test]
    fn a_page_server_that_cannot_be_reached_or_says_nothing_is_restarted() {
        for takes_connections in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let (backend, page_server) = start_in(folder.path());
            let path = page_server.socket_path().unwrap();
            std::fs::remove_file(&path).unwrap();
            let mute = takes_connections.then(|| {
                let listener = UnixListener::bind(&path).unwrap();
                // It takes the request and ends: to leave it unread would reset the connection.
                thread::spawn(move || listener.accept().unwrap().0.read(&mut [0; 1024]).unwrap())
            });
            block_on(backend.restart_if_dead(&path)).unwrap();
            assert_eq!(backend.counters.http_restarts.get(), 1, "takes connections: {takes_connections}");
            page_server.close();
            if let Some(mute) = mute {
                assert!(mute.join().unwrap() > 0, "it was asked");
            }
        }
    }
}
