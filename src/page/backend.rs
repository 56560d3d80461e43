//! The client of the page server: passes a bounded number of requests at a time over its private socket.
//!
//! Only we talk to the network; tiny_http is a backend, as behind a reverse proxy. Leaves sending to `http::response`. What must stay
//! true: a client that reads slowly holds no permit for a request in flight, and nobody waits for longer than [`HTTP_TIMEOUT`] in
//! all.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::warn;
use smol::channel::{self, Receiver, Sender};
use smol::future::FutureExt;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::lock::Semaphore;

use crate::config::limits::{HEAD_BYTES_MAX, HTTP_BODY_BYTES_MAX, HTTP_TIMEOUT};
use crate::http::refusal::{BUSY, Refusal};
use crate::page::answer::Answer;
use crate::page::page_request::PageRequest;
use crate::page::page_server::{PROBE, PageServer};
use crate::runtime::socket::Async;
use crate::runtime::timer::Timer;
use crate::telemetry::counters::Counters;

/// Passes requests on to the page server, a bounded number at a time.
#[derive(Debug)]
pub struct Backend {
    page_server: Arc<PageServer>,
    counters: Arc<Counters>,
    in_flight: Semaphore,
    /// Where a server has given no answer.
    suspects: Sender<PathBuf>,
    suspected: Receiver<PathBuf>,
}

impl Backend {
    /// For up to `in_flight_max` requests at a time.
    pub fn new(page_server: Arc<PageServer>, counters: Arc<Counters>, in_flight_max: usize) -> Self {
        let (suspects, suspected) = channel::bounded(1);
        Self { page_server, counters, in_flight: Semaphore::new(in_flight_max), suspects, suspected }
    }

    /// Has a request answered.
    ///
    /// # Errors
    /// If there is no permit and no answer in time.
    pub async fn answer(&self, request: &PageRequest) -> Result<Answer, Refusal> {
        self.answer_without_deadline(request).or(too_late(BUSY)).await
    }

    async fn answer_without_deadline(&self, request: &PageRequest) -> Result<Answer, Refusal> {
        let _permit = self.in_flight.acquire().await;
        let path = self.page_server.socket_path().ok_or(BUSY)?;
        // Until there is an answer, also if its deadline passes first.
        let suspicion = Suspicion { suspects: &self.suspects, path: Some(path.clone()) };
        let answered = exchange_without_deadline(&path, &head_for(request)).await;
        let take_file = |number| self.page_server.take_file(number);
        match answered.and_then(|bytes| Answer::parse(&bytes, request.head_only, take_file)) {
            Ok(answer) => {
                suspicion.clear();
                Ok(answer)
            }
            Err(error) => {
                warn!("the page's HTTP server gives no answer to a request ({error})");
                Err(BUSY)
            }
        }
    }

    /// Whether the page server answers. Asks past the limit of requests in flight and for nothing that needs the disk, so that
    /// neither visitors nor a slow disk keep the answer waiting.
    pub async fn is_alive(&self) -> bool {
        let Some(path) = self.page_server.socket_path() else { return false };
        exchange(&path, PROBE).await.is_ok_and(|bytes| !bytes.is_empty())
    }

    /// Restarts the page server for ever, whenever it is dead.
    pub async fn run_restarts(&self) {
        while let Ok(path) = self.suspected.recv().await {
            self.restart_if_dead(&path).await;
        }
    }

    /// A missing response may be the fault of that request, or of the disk. The page server is restarted only if a request for
    /// nothing gets none either, because a restart costs every request in flight its response.
    async fn restart_if_dead(&self, path: &Path) {
        let answered = exchange(path, PROBE).await;
        if answered.is_ok_and(|bytes| !bytes.is_empty()) {
            return;
        }
        if self.page_server.restart(path) {
            self.counters.http_restarts.add(1);
        }
    }
}

/// Has a page server looked after that gave no answer, unless it is cleared.
struct Suspicion<'a> {
    suspects: &'a Sender<PathBuf>,
    path: Option<PathBuf>,
}

impl Suspicion<'_> {
    fn clear(mut self) {
        self.path = None;
    }
}

impl Drop for Suspicion<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            // If one is being looked after already, that is enough.
            let _ = self.suspects.try_send(path);
        }
    }
}

/// A request as it goes to the page server: written anew, with nothing but what was understood, and without conditions: those are
/// up to [`Answer::response`].
fn head_for(request: &PageRequest) -> Vec<u8> {
    let (method, target) = (request.method(), &request.target);
    format!("{method} {target} HTTP/1.1\r\nHost: page\r\nConnection: close\r\n\r\n").into_bytes()
}

async fn too_late<T, E>(error: E) -> Result<T, E> {
    Timer::after(HTTP_TIMEOUT).await;
    Err(error)
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
        let page_server =
            PageServer::start(vec![folder.to_owned()], Resources { www: None, provides_reload: false }).unwrap();
        (Backend::new(Arc::clone(&page_server), counters, 1), page_server)
    }

    #[test]
    fn the_probe_waits_for_no_visitor() {
        let folder = tempfile::tempdir().unwrap();
        let (backend, page_server) = start_in(folder.path());
        let all_permits = backend.in_flight.try_acquire();
        assert!(all_permits.is_some() && backend.in_flight.try_acquire().is_none());
        assert!(block_on(backend.is_alive().or(in_vain())).unwrap());
        page_server.close();
        assert!(!block_on(backend.is_alive().or(in_vain())).unwrap());
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
