//! Between the network and the page's server: a bounded number of requests at a time goes over the private socket, and
//! the visitor, however slow, is served from memory or disk when tiny_http is done with it already.
//!
//! Leaves parsing of what visitors send to `request`. What must stay true: a slow visitor holds a connection, never a
//! thread or a place among the requests in work.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use log::{debug, warn};
use smol::future::FutureExt;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::lock::Semaphore;

use crate::config::flags::{
    DISK_READS_MAX, FILE_CHUNK_BYTES, HEAD_BYTES_MAX, HEADERS_MAX, HTTP_BODY_BYTES_MAX, HTTP_TIMEOUT,
    RESPONSE_STALL_TIMEOUT,
};
use crate::http::head::{BUSY, Refusal};
use crate::http::page_server::{FILE_HEADER, LOCAL_ADDRESS_HEADER, Site};
use crate::runtime::reactor::{Async, Timer};
use crate::telemetry::counters::Stats;

/// Passes requests on to the page's server, so many at a time.
#[derive(Debug)]
pub struct Relay {
    site: Arc<Site>,
    stats: Arc<Stats>,
    in_work: Semaphore,
    /// Reads of large files from disk, which take a thread each while they last.
    reading: Semaphore,
}

/// An answer, ready to be sent.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Status line, header and, unless it is a file, the body.
    head_and_body: Vec<u8>,
    /// A file and how much of it was announced.
    file: Option<(File, u64)>,
}

impl Relay {
    /// A relay for up to `places` requests in work.
    pub fn new(site: Arc<Site>, stats: Arc<Stats>, places: usize) -> Self {
        Self { site, stats, in_work: Semaphore::new(places), reading: Semaphore::new(DISK_READS_MAX) }
    }

    /// Has a request answered. `local` is the address of ours that the visitor has used.
    ///
    /// # Errors
    /// If there is no place, or no answer, in time.
    pub async fn answer(
        &self,
        head_only: bool,
        target: &str,
        host: &str,
        if_none_match: Option<&str>,
        local: Option<SocketAddr>,
        keep_alive: bool,
    ) -> Result<Answer, Refusal> {
        let place = async { Ok(self.in_work.acquire().await) };
        let _place = place.or(too_late(BUSY)).await?;
        let method = if head_only { "HEAD" } else { "GET" };
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        let headers =
            [("If-None-Match", if_none_match.map(str::to_owned)), (LOCAL_ADDRESS_HEADER, local.map(readable))];
        for (name, value) in headers {
            if let Some(value) = value {
                request += &format!("{name}: {value}\r\n");
            }
        }
        request += "\r\n";
        let path = self.site.socket_path().ok_or(BUSY)?;
        let answered = exchange(&path, request.as_bytes()).await;
        match answered.and_then(|bytes| self.rebuild(&bytes, keep_alive)) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                warn!("the page's HTTP server gives no answer to a request ({error})");
                self.restart_if_dead(&path).await;
                Err(BUSY)
            }
        }
    }

    /// One request without an answer says something about that request. If a plain one has none either, the server has
    /// failed, and only then is it started anew, since that costs everybody else in work their answer.
    async fn restart_if_dead(&self, path: &Path) {
        const PLAIN: &[u8] = b"HEAD /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let answered = exchange(path, PLAIN).await;
        if answered.is_ok_and(|bytes| !bytes.is_empty()) {
            return;
        }
        if self.site.restart(path) {
            self.stats.http_restarts.add(1);
        }
    }

    /// Makes tiny_http's answer ours: the connection is ours to keep or to close, and a file takes the body's place.
    fn rebuild(&self, answer: &[u8], keep_alive: bool) -> io::Result<Answer> {
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
        let file = file.and_then(|(number, bytes)| Some((self.site.take_file(number)?, bytes)));
        let status = parsed.code.unwrap_or_default();
        Ok(Answer { status, head_and_body: [head.as_bytes(), &answer[head_bytes..]].concat(), file })
    }

    /// Sends an answer, for as long as the visitor keeps taking some of it.
    ///
    /// # Errors
    /// If the connection breaks or stalls, or the file cannot be read to its end.
    pub async fn send(&self, socket: &Async<TcpStream>, answer: Answer, head_only: bool) -> io::Result<()> {
        write_all(socket, &answer.head_and_body).await?;
        let Some((mut file, mut left_bytes)) = answer.file.filter(|_| !head_only) else { return Ok(()) };
        while left_bytes > 0 {
            let reading = self.reading.acquire().await;
            let (back, chunk) = smol::unblock(move || read_chunk(file, left_bytes)).await;
            drop(reading);
            let chunk = chunk?;
            if chunk.is_empty() {
                debug!("a file became shorter while it was read");
                return Err(ErrorKind::UnexpectedEof.into());
            }
            write_all(socket, &chunk).await?;
            left_bytes -= chunk.len() as u64;
            file = back;
        }
        Ok(())
    }
}

fn read_chunk(file: File, bytes_max: u64) -> (File, io::Result<Vec<u8>>) {
    let mut chunk = Vec::new();
    let read = (&file).take(bytes_max.min(FILE_CHUNK_BYTES)).read_to_end(&mut chunk);
    (file, read.map(|_| chunk))
}

async fn too_late<T, E>(error: E) -> Result<T, E> {
    Timer::after(HTTP_TIMEOUT).await;
    Err(error)
}

/// An address as people type it: an IPv4 address that came over an IPv6 socket is shown as what it is.
fn readable(address: SocketAddr) -> String {
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

/// Writes all of it, with a new deadline for every part that the visitor takes.
///
/// # Errors
/// If the connection breaks or stalls.
pub async fn write_all(mut socket: &Async<TcpStream>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let stalled = async {
            Timer::after(RESPONSE_STALL_TIMEOUT).await;
            Err(ErrorKind::TimedOut.into())
        };
        let written = socket.write(bytes).or(stalled).await?;
        bytes = &bytes[written..];
    }
    Ok(())
}
