//! The page's server: tiny_http on a private Unix socket.
//!
//! Leaves the network to `backend`: only complete, small, checked requests come here. Leaves what lies where to `resources`. What
//! must stay true: whatever happens to tiny_http, there is either a server behind [`PageServer::socket_path`], or one is being
//! started.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use log::error;
use tiny_http::{Header, Method, Request, Response, Server, StatusCode};

use crate::config::limits::{DISK_THREADS, HTTP_RESTART_BACKOFF, PAGE_END_TIMEOUT, PAGE_THREADS};
use crate::page::answer::{FILE_HEADER, UNCHANGING_HEADER};
use crate::page::disk_queue::DiskQueue;
use crate::page::open_files::OpenFiles;
use crate::page::page_error::PageError;
use crate::page::representation::Representation;
use crate::page::resources::Resources;
use crate::page::running_server::{Running, panic_words, try_threads};
use crate::page::url_path::plain_path;
use crate::page::www_folder::NOT_FOUND;
use crate::runtime::clock;

/// A request for nothing, by which the backend finds out whether the server answers. No visitor can send it: of theirs only GET and
/// HEAD come here.
pub const PROBE: &[u8] = b"OPTIONS * HTTP/1.1\r\nHost: page\r\nConnection: close\r\n\r\n";

/// The running server of the page.
#[derive(Debug)]
pub struct PageServer {
    runtime_folders: Vec<PathBuf>,
    resources: Resources,
    /// `None` once closed.
    running: Mutex<Option<Running>>,
    /// Told once it is closed.
    closed: Condvar,
    open_files: Mutex<OpenFiles>,
    /// Requests that need the disk; none where the built-in page is served.
    disk: DiskQueue<(Request, Look)>,
    /// Disconnected when all threads of ours have ended.
    threads_end: Mutex<Receiver<()>>,
}

/// What a request wants of the disk. What is not there takes two looks, each under the path of the file that may be slow: else any few
/// addresses would hold all threads with one `404.html`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    AtItsAddress,
    AtNotFound,
}

impl PageServer {
    /// Starts the server, with its socket in a private folder below the first of `runtime_folders` that takes one.
    ///
    /// # Errors
    /// If none of the folders takes it, or there are no threads for it.
    pub fn start(runtime_folders: Vec<PathBuf>, resources: Resources) -> Result<Arc<Self>, PageError> {
        let (ends_with_threads, threads_end) = channel();
        let disk_threads = if resources.www.is_some() { DISK_THREADS } else { 0 };
        let make = |running, runtime_folders| Self {
            running: Mutex::new(running),
            closed: Condvar::new(),
            runtime_folders,
            resources,
            open_files: Mutex::default(),
            disk: DiskQueue::new(),
            threads_end: Mutex::new(threads_end),
        };
        // In a simulated world there are no threads, nor sockets of the kernel: there the page is closed from the start.
        #[cfg(feature = "simulation")]
        if crate::simulation::entered::world().is_some() {
            return Ok(Arc::new(make(None, runtime_folders)));
        }
        try_threads(PAGE_THREADS + disk_threads).map_err(PageError::Threads)?;
        let running = Running::start(&runtime_folders).map_err(PageError::Socket)?;
        let page_server = Arc::new(make(Some(running), runtime_folders));
        let start = |name: &str, work: fn(&Self)| {
            let (serving, ends) = (Arc::clone(&page_server), ends_with_threads.clone());
            let work = move || {
                work(&serving);
                drop((serving, ends));
            };
            thread::Builder::new().name(name.into()).spawn(work).map_err(PageError::Threads)
        };
        let serve_disk = |this: &Self| {
            this.disk.serve(|work| whatever_happens(|| this.look(work)), |work| this.refuse(work));
        };
        let started = start("page", Self::serve_until_closed)
            .and_then(|_| (0..disk_threads).try_for_each(|_| start("disk", serve_disk).map(drop)));
        started.inspect_err(|_| page_server.close())?;
        Ok(page_server)
    }

    /// Where the server listens now; `None` after [`close`](Self::close).
    pub fn socket_path(&self) -> Option<PathBuf> {
        lock(&self.running).as_ref().map(Running::socket_path)
    }

    /// Restarts the server that listens at `path`, unless it was replaced already. Returns whether it did.
    pub fn restart(&self, path: &Path) -> bool {
        let running = lock(&self.running);
        let this_one = running.as_ref().filter(|running| running.socket_path() == path);
        if let Some(running) = this_one {
            running.server.unblock();
        }
        this_one.is_some()
    }

    /// Ends the server and leaves nothing behind.
    pub fn close(&self) {
        let Some(running) = lock(&self.running).take() else { return };
        self.closed.notify_all();
        running.server.unblock();
        self.disk.close();
        // The folder has to outlive the thread's share of the server, whose end goes by way of its socket.
        let _: Result<(), RecvTimeoutError> = lock(&self.threads_end).recv_timeout(PAGE_END_TIMEOUT);
    }

    /// A file that the page has handed over to be streamed.
    pub fn take_file(&self, number: u64) -> Option<File> {
        lock(&self.open_files).take(number)
    }

    fn serve_until_closed(&self) {
        let [first_pause, longest_pause] = HTTP_RESTART_BACKOFF;
        let mut pause = first_pause;
        while let Some(server) = self.server() {
            let started = clock::now();
            // tiny_http reports the error that has ended its accepting thread once, and is of no use after that.
            while let Ok(request) = server.recv() {
                if self.resources.www.is_some() && is_look(&request) {
                    self.queue(plain_path(request.url()), (request, Look::AtItsAddress));
                } else {
                    whatever_happens(|| self.send(self.find(&request), request));
                }
            }
            if self.server().is_some() {
                error!("the page's HTTP server has failed and is started anew");
                if clock::since(started) > longest_pause {
                    pause = first_pause;
                } else {
                    // What has ended it so soon may end the next, too: too few descriptors, for as long as there are.
                    self.wait_unless_closed(pause);
                    pause = (2 * pause).min(longest_pause);
                }
                self.start_anew(server);
            }
        }
    }

    fn server(&self) -> Option<Arc<Server>> {
        lock(&self.running).as_ref().map(|running| Arc::clone(&running.server))
    }

    fn start_anew(&self, failed: Arc<Server>) {
        let [mut pause, longest_pause] = HTTP_RESTART_BACKOFF;
        while self.server().is_some() {
            match try_threads(PAGE_THREADS).and_then(|()| Running::start(&self.runtime_folders)) {
                Ok(running) => {
                    drop(failed);
                    let mut current = lock(&self.running);
                    if current.is_some() {
                        *current = Some(running);
                    }
                    return;
                }
                Err(error) => error!("the page's HTTP server cannot be started ({error}); trying again"),
            }
            self.wait_unless_closed(pause);
            pause = (2 * pause).min(longest_pause);
        }
    }

    fn wait_unless_closed(&self, pause: Duration) {
        let _ = self.closed.wait_timeout_while(lock(&self.running), pause, |running| running.is_some());
    }

    fn queue(&self, path: String, work: (Request, Look)) {
        if let Err(work) = self.disk.push(path, work) {
            self.refuse(work);
        }
    }

    fn look(&self, (request, look): (Request, Look)) {
        match look {
            Look::AtItsAddress => match self.find(&request) {
                found if found.status == 404 => self.queue(plain_path(NOT_FOUND), (request, Look::AtNotFound)),
                found => self.send(found, request),
            },
            Look::AtNotFound => self.send(self.resources.not_found(), request),
        }
    }

    fn refuse(&self, (request, look): (Request, Look)) {
        match look {
            Look::AtItsAddress => self.send(Representation::busy(), request),
            Look::AtNotFound => self.send(Representation::not_found(), request),
        }
    }

    fn find(&self, request: &Request) -> Representation {
        if !is_look(request) {
            return Representation::sentence(405, "Only GET and HEAD are answered here.").with("Allow", "GET, HEAD");
        }
        self.resources.find(request.url())
    }

    fn send(&self, found: Representation, request: Request) {
        let mut headers: Vec<Header> = found.header_lines().map(|(name, value)| line(name, value)).collect();
        if found.is_unchanging {
            headers.push(line(UNCHANGING_HEADER, "1"));
        }
        if let Some((file, bytes)) = found.file {
            let number = lock(&self.open_files).put(file);
            headers.push(line(FILE_HEADER, &format!("{number} {bytes}")));
        }
        let mut response = Response::from_data(found.body)
            .with_status_code(StatusCode(found.status))
            .with_chunked_threshold(usize::MAX);
        for header in headers {
            response.add_header(header);
        }
        // The only one who can fail to read this is our own backend, which notices by itself.
        let _ = request.respond(response);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn whatever_happens(answer: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(answer)) {
        error!("answering a page request failed: {}", panic_words(&*panic));
    }
}

fn is_look(request: &Request) -> bool {
    matches!(request.method(), Method::Get | Method::Head)
}

fn line(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).expect("our header values are visible ASCII")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_server_that_fails_again_and_again_is_started_anew_less_and_less_often() {
        let folder = tempfile::tempdir().unwrap();
        let page_server =
            PageServer::start(vec![folder.path().to_owned()], Resources { www: None, provides_reload: false }).unwrap();
        let began = Instant::now();
        for _ in 0..3 {
            let path = page_server.socket_path().unwrap();
            // As if it had failed at once.
            assert!(page_server.restart(&path));
            while page_server.socket_path().as_ref() == Some(&path) {
                thread::sleep(Duration::from_millis(1));
                assert!(began.elapsed() < Duration::from_secs(60), "it is not started anew");
            }
        }
        let [first, _] = HTTP_RESTART_BACKOFF;
        assert!(began.elapsed() >= first + 2 * first + 4 * first, "it has taken only {:?}", began.elapsed());
        page_server.close();
    }
}
