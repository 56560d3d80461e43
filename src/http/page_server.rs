//! The page: tiny_http on a private Unix socket, and what it serves: the baked-in files or a folder, the status, the QR
//! code.
//!
//! Leaves the network to `relay`: only complete, small, checked requests come here. What must stay true: whatever happens
//! to tiny_http, there is either a server behind [`Site::socket_path`], or one is being started.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::UNIX_EPOCH;

use include_dir::{Dir, include_dir};
use log::error;
use percent_encoding::percent_decode_str;
use serde_json::json;
use tempfile::TempDir;
use tiny_http::{Header, Method, Request, Response, Server, StatusCode};

use crate::config::flags::{HTTP_BODY_BYTES_MAX, HTTP_IN_WORK_MAX, HTTP_RESTART_BACKOFF};
use crate::hub::frame::CloseReason;
use crate::telemetry::counters::{REFUSALS, Stats};

static PAGE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/www");

/// The header in which the relay says on which of our addresses the visitor has come.
pub const LOCAL_ADDRESS_HEADER: &str = "Foghorn-Local-Address";
/// The header in which the page tells the relay which file to stream: its number, and its length in bytes.
pub const FILE_HEADER: &str = "Foghorn-File";

/// The running server of the page.
#[derive(Debug)]
pub struct Site {
    runtime_folders: Vec<PathBuf>,
    www: Option<PathBuf>,
    stats: Arc<Stats>,
    message_bytes_max: usize,
    backlog_bytes: usize,
    /// `None` once closed.
    running: Mutex<Option<Running>>,
    files: Mutex<BTreeMap<u64, File>>,
    next_file: AtomicU64,
}

/// One server after the other, each in a folder of its own: the one before may be gone (`/run/user` of somebody who logs
/// out, a `/tmp` that is swept).
struct Running {
    // Dropped in this order: tiny_http ends its accepting thread by a connection to itself, for which the folder is needed.
    server: Arc<Server>,
    folder: TempDir,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Site {
    /// Starts the server, with its socket in a private folder below the first of `runtime_folders` that takes one. `www` has
    /// to exist; it is served in place of the baked-in page.
    ///
    /// # Errors
    /// If none of the folders takes it.
    pub fn start(
        runtime_folders: Vec<PathBuf>,
        www: Option<&Path>,
        stats: Arc<Stats>,
        message_bytes_max: usize,
        backlog_bytes: usize,
    ) -> io::Result<Arc<Self>> {
        let site = Arc::new(Self {
            running: Mutex::new(Some(Running::start(&runtime_folders)?)),
            runtime_folders,
            www: www.map(Path::canonicalize).transpose()?,
            stats,
            message_bytes_max,
            backlog_bytes,
            files: Mutex::default(),
            next_file: AtomicU64::new(1),
        });
        let serving = Arc::clone(&site);
        thread::Builder::new().name("page".into()).spawn(move || serving.serve_until_closed())?;
        Ok(site)
    }

    /// Where the server listens now; `None` after [`close`](Self::close).
    pub fn socket_path(&self) -> Option<PathBuf> {
        lock(&self.running).as_ref().map(Running::socket_path)
    }

    /// Has the server started anew, if `path` is where it listens: it was asked and did not answer. Returns whether it is.
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
        if let Some(running) = lock(&self.running).take() {
            running.server.unblock();
        }
    }

    /// A file that the page has handed over to be streamed.
    pub fn take_file(&self, number: u64) -> Option<File> {
        lock(&self.files).remove(&number)
    }

    fn serve_until_closed(&self) {
        while let Some(server) = self.server() {
            // tiny_http reports the error that has ended its accepting thread once, and is of no use after that.
            while let Ok(request) = server.recv() {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.respond(request))) {
                    error!("answering a page request failed: {}", panic_words(&*panic));
                }
            }
            if self.server().is_some() {
                error!("the page's HTTP server has failed and is started anew");
                self.start_anew(server);
            }
        }
    }

    fn server(&self) -> Option<Arc<Server>> {
        lock(&self.running).as_ref().map(|running| Arc::clone(&running.server))
    }

    fn start_anew(&self, failed: Arc<Server>) {
        let [mut pause, longest_pause] = HTTP_RESTART_BACKOFF;
        loop {
            match Running::start(&self.runtime_folders) {
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
            thread::sleep(pause);
            pause = (2 * pause).min(longest_pause);
        }
    }

    fn respond(&self, request: Request) {
        let answer = self.answer(&request);
        let if_none_match = header(&request, "If-None-Match");
        let is_known = answer.etag.as_deref().is_some_and(|etag| matches_etag(if_none_match, etag));
        let (status, body) = if is_known { (304, Vec::new()) } else { (answer.status, answer.body) };
        let mut response = Response::from_data(body)
            .with_status_code(StatusCode(status))
            .with_chunked_threshold(usize::MAX)
            .with_header(line("Cache-Control", "no-cache"))
            .with_header(line("X-Content-Type-Options", "nosniff"))
            .with_header(line("Content-Type", &answer.content_type));
        for (name, value) in &answer.headers {
            response.add_header(line(name, value));
        }
        if let Some(etag) = &answer.etag {
            response.add_header(line("ETag", etag));
        }
        if let Some((file, bytes)) = answer.file.filter(|_| !is_known) {
            let number = self.next_file.fetch_add(1, Ordering::Relaxed);
            let mut files = lock(&self.files);
            files.insert(number, file);
            // Whoever has left before the relay could take the file will not come for it.
            if files.len() > HTTP_IN_WORK_MAX {
                files.pop_first();
            }
            drop(files);
            response.add_header(line(FILE_HEADER, &format!("{number} {bytes}")));
        }
        // The only one who can fail to read this is our own relay, which notices by itself.
        let _ = request.respond(response);
    }

    fn answer(&self, request: &Request) -> Answer {
        if !matches!(request.method(), Method::Get | Method::Head) {
            return Answer::sentence(405, "Only GET and HEAD are answered here.").with("Allow", "GET, HEAD");
        }
        let path = request.url().split('?').next().unwrap_or_default();
        let host = header(request, "Host").unwrap_or_default();
        match path {
            "/status" => return self.status(header(request, LOCAL_ADDRESS_HEADER)),
            "/qr.svg" => return qr_code(host),
            _ => {}
        }
        let Some(parts) = decode_path(path) else { return Answer::not_found() };
        let is_folder = path.ends_with('/');
        match &self.www {
            Some(www) => from_disk(www, &parts, is_folder),
            None => baked_in(&parts, is_folder).with_page_policy(host),
        }
    }

    fn status(&self, local_address: Option<&str>) -> Answer {
        let stats = &self.stats;
        let closed: serde_json::Map<_, _> = CloseReason::ALL
            .map(|reason| (reason.key().to_owned(), stats.closed(reason).get().into()))
            .into_iter()
            .collect();
        let refused: serde_json::Map<_, _> = REFUSALS
            .into_iter()
            .filter_map(|status| Some((status.to_string(), stats.refused(status)?.get().into())))
            .collect();
        let figures = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "epoch": stats.epoch,
            "uptimeSeconds": stats.started.elapsed().as_secs(),
            "clients": stats.clients.get(),
            "clientsPeak": stats.clients_peak.get(),
            "clientsTotal": stats.clients_total.get(),
            "clientsBehind": stats.clients_behind.get(),
            "publishersWaiting": stats.publishers_waiting.get(),
            "messages": stats.messages.get(),
            "deliveries": stats.deliveries.get(),
            "bytesIn": stats.bytes_in.get(),
            "bytesOut": stats.bytes_out.get(),
            "backlogBytes": stats.backlog_bytes.get(),
            "backlogBytesMax": self.backlog_bytes,
            "maxMessage": self.message_bytes_max,
            "httpRequests": stats.http_requests.get(),
            "httpRestarts": stats.http_restarts.get(),
            "strangersDropped": stats.strangers_dropped.get(),
            "acceptErrors": stats.accept_errors.get(),
            "closed": closed,
            "refused": refused,
            "address": local_address.map(|address| format!("http://{address}/")),
        });
        Answer::new("application/json", format!("{figures:#}\n").into_bytes())
    }
}

impl Running {
    /// By path and not by an abstract name: only this user can reach it, and tiny_http's own clean-up needs a path.
    fn start(runtime_folders: &[PathBuf]) -> io::Result<Self> {
        let mut refused = io::Error::from(io::ErrorKind::NotFound);
        for runtime_folder in runtime_folders {
            match Self::start_in(runtime_folder) {
                Ok(running) => return Ok(running),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn start_in(runtime_folder: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("foghorn-").tempdir_in(runtime_folder)?;
        let server = Server::http_unix(&socket_path(folder.path())).map_err(io::Error::other)?;
        Ok(Self { folder, server: Arc::new(server) })
    }

    fn socket_path(&self) -> PathBuf {
        socket_path(self.folder.path())
    }
}

fn socket_path(folder: &Path) -> PathBuf {
    folder.join("page")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn panic_words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
}

fn header<'a>(request: &'a Request, name: &'static str) -> Option<&'a str> {
    request.headers().iter().find(|header| header.field.equiv(name)).map(|header| header.value.as_str())
}

fn line(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).expect("our header values are visible ASCII")
}

/// What is sent back.
#[derive(Debug)]
struct Answer {
    status: u16,
    content_type: String,
    body: Vec<u8>,
    /// In place of the body, a large file and its length.
    file: Option<(File, u64)>,
    etag: Option<String>,
    headers: Vec<(&'static str, String)>,
}

impl Answer {
    fn new(content_type: impl Into<String>, body: Vec<u8>) -> Self {
        Self { status: 200, content_type: content_type.into(), body, file: None, etag: None, headers: Vec::new() }
    }

    fn sentence(status: u16, sentence: &str) -> Self {
        let body = format!(
            "<!doctype html><html lang=en><meta name=viewport content=\"width=device-width\">\
             <title>{status}</title><p>{sentence} <a href=\"/\">To the page</a>\n"
        );
        Self { status, ..Self::new("text/html; charset=utf-8", body.into_bytes()) }
    }

    fn not_found() -> Self {
        Self::sentence(404, "There is nothing at this address.")
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// What the baked-in page may do: load its own files and connect to its own host (CSP level 3; older browsers do not
    /// count a WebSocket as `'self'`).
    fn with_page_policy(self, host: &str) -> Self {
        let policy = format!(
            "default-src 'self'; connect-src 'self' ws://{host} wss://{host}; img-src 'self' data:; object-src 'none'; \
             base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        );
        self.with("Content-Security-Policy", policy)
            .with("X-Frame-Options", "DENY")
            .with("Referrer-Policy", "no-referrer")
            .with("Cross-Origin-Opener-Policy", "same-origin")
            .with("Cross-Origin-Resource-Policy", "same-origin")
    }
}

/// `If-None-Match`: a list of tags, weak ones too, or `*` (RFC 9110 section 13.1.2).
fn matches_etag(if_none_match: Option<&str>, etag: &str) -> bool {
    let tags = if_none_match.unwrap_or_default().split(',').map(str::trim);
    tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag)).any(|tag| tag == "*" || tag == etag)
}

/// Decodes a path once and cuts it into its parts. `None` for what could lead out of the folder or to a hidden file.
pub fn decode_path(path: &str) -> Option<Vec<String>> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let parts: Vec<String> = decoded.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let is_plain = |part: &String| !part.starts_with('.') && !part.contains(['\\', '\0']);
    parts.iter().all(is_plain).then_some(parts)
}

fn content_type(name: &str) -> String {
    let mime = mime_guess::from_path(name).first_or_octet_stream();
    let is_text = mime.type_() == "text" || mime.subtype() == "javascript" || mime.subtype() == "json";
    if is_text { format!("{mime}; charset=utf-8") } else { mime.to_string() }
}

fn baked_in(parts: &[String], is_folder: bool) -> Answer {
    let path = parts.join("/");
    let path = if is_folder { Path::new(&path).join("index.html") } else { PathBuf::from(path) };
    let Some(file) = PAGE.get_file(&path) else { return Answer::not_found() };
    let mut hasher = DefaultHasher::new();
    file.contents().hash(&mut hasher);
    let mut answer = Answer::new(content_type(&path.to_string_lossy()), file.contents().to_vec());
    answer.etag = Some(format!("\"{:x}\"", hasher.finish()));
    answer
}

fn from_disk(www: &Path, parts: &[String], is_folder: bool) -> Answer {
    let mut path = www.to_owned();
    path.extend(parts);
    if path.is_dir() {
        if !is_folder {
            // Links of the page inside are relative to its folder. Only the parts that were understood go back.
            let encoded: Vec<String> = parts
                .iter()
                .map(|part| percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string())
                .collect();
            return Answer::sentence(308, "This is a folder.").with("Location", format!("/{}/", encoded.join("/")));
        }
        path.push("index.html");
    } else if is_folder {
        return Answer::not_found();
    }
    // A symlink may lead elsewhere in the folder, not out of it and not to a hidden file.
    let Ok(path) = path.canonicalize() else { return Answer::not_found() };
    let is_hidden = |inside: &Path| inside.iter().any(|part| part.as_encoded_bytes().starts_with(b"."));
    if path.strip_prefix(www).map_or(true, is_hidden) {
        return Answer::not_found();
    }
    match read_file(&path) {
        Ok(answer) => answer,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::not_found(),
        Err(error) => {
            error!("cannot read {} ({error}); make it readable for the user that runs foghorn", path.display());
            Answer::sentence(500, "The server cannot read this file; its log says why.")
        }
    }
}

fn read_file(path: &Path) -> io::Result<Answer> {
    // Looked at before it is opened: to open a FIFO means to wait until somebody writes to it.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(Answer::not_found());
    }
    let file = File::open(path)?;
    let changed_ns = metadata.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let mut answer = Answer::new(content_type(&path.to_string_lossy()), Vec::new());
    answer.etag = Some(format!("\"{:x}-{changed_ns:x}\"", metadata.len()));
    if metadata.len() > HTTP_BODY_BYTES_MAX as u64 {
        answer.file = Some((file, metadata.len()));
    } else {
        io::Read::read_to_end(&mut io::Read::take(file, HTTP_BODY_BYTES_MAX as u64), &mut answer.body)?;
    }
    Ok(answer)
}

/// The address of the page, as a QR code, from the Host that was checked.
fn qr_code(host: &str) -> Answer {
    let Ok(code) = qrcode::QrCode::new(format!("http://{host}/")) else { return Answer::not_found() };
    let svg = code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(240, 240).build();
    Answer::new("image/svg+xml", svg.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once_and_stay_inside() {
        let decoded = |path: &str| decode_path(path).map(|parts| parts.join("|"));
        assert_eq!(decoded("/"), Some(String::new()));
        assert_eq!(decoded("//a//b.css"), Some("a|b.css".into()));
        assert_eq!(decoded("/a%20b/%C3%A4"), Some("a b|ä".into()));
        assert_eq!(decoded("/%252e%252e/x"), Some("%2e%2e|x".into()), "not decoded twice");
        for path in [
            "/..",
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/.git",
            "/a/.env",
            "/a%2f..%2fx",
            "/a\\..\\x",
            "/a%5cx",
            "/a%00",
            "/%ff",
        ] {
            assert_eq!(decoded(path), None, "{path}");
        }
    }

    #[test]
    fn every_file_of_the_page_has_a_type() {
        fn names(dir: &Dir<'_>) -> Vec<String> {
            let files = dir.files().map(|file| file.path().display().to_string());
            files.chain(dir.dirs().flat_map(names)).collect()
        }
        let names = names(&PAGE);
        assert!(names.contains(&"index.html".to_owned()));
        for name in names {
            assert!(!content_type(&name).starts_with("application/octet-stream"), "{name}");
        }
        assert_eq!(content_type("app.js"), "text/javascript; charset=utf-8");
    }

    #[test]
    fn a_tag_is_known_in_any_form() {
        for known in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "*"] {
            assert!(matches_etag(Some(known), "\"1\""), "{known}");
        }
        assert!(!matches_etag(Some("\"11\", 1"), "\"1\""));
        assert!(!matches_etag(None, "\"1\""));
    }
}
