//! Answers on their way to the client: from memory, or from disk.
//!
//! Leaves making them to others. What must stay true: a slow reader holds a connection and at most one piece of a file, never a
//! thread.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use log::debug;
use smol::channel;
use smol::future::FutureExt;
use smol::io::AsyncWriteExt;
use smol::lock::Semaphore;

use crate::config::limits::{
    DISK_READS_MAX, FILE_CHUNK_BYTES, KEEP_ALIVE_ANNOUNCED, RESPONSE_STALL_TIMEOUT, RESPONSE_UNSENT_BYTES_MAX,
};
use crate::runtime::clock;
use crate::runtime::socket::Async;
use crate::runtime::tcp::TcpSocket;
use crate::runtime::timer::Timer;
use crate::runtime::worker_threads::{self, THREADS_MAX};

const _: () =
    assert!(DISK_READS_MAX + 2 <= THREADS_MAX, "a QR code and the names of the network wait for no read that hangs");

/// An answer, ready to be sent.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Status line, header and, unless it is a file, the body.
    pub head_and_body: Vec<u8>,
    /// The body, if it is a file's.
    pub file: Option<FilePart>,
}

/// The head of an answer, as far as it is the same for all: its status, the date, and whether the connection goes on.
pub fn begin(status: u16, reason: &str, keep_alive: bool) -> String {
    let date = httpdate::fmt_http_date(clock::system_now());
    let mut head = String::with_capacity(512);
    let _ = write!(head, "HTTP/1.1 {status} {reason}\r\nDate: {date}\r\n");
    let _ = if keep_alive {
        // Or Node uses a connection again in the moment in which it is closed.
        write!(head, "Connection: keep-alive\r\nKeep-Alive: timeout={}\r\n", KEEP_ALIVE_ANNOUNCED.as_secs())
    } else {
        write!(head, "Connection: close\r\n")
    };
    head
}

/// What is sent of a file.
#[derive(Debug)]
pub struct FilePart {
    /// The file.
    pub file: Arc<File>,
    /// Where it begins and ends, in bytes.
    pub range: Range<u64>,
}

/// Sends answers.
#[derive(Debug)]
pub struct ResponseSender {
    /// Reads of large files from disk, which take a thread each while they last.
    disk_reads: Arc<Semaphore>,
}

impl ResponseSender {
    /// One for all connections, because it limits their disk reads together.
    pub fn new() -> Self {
        Self { disk_reads: Arc::new(Semaphore::new(DISK_READS_MAX)) }
    }

    /// Sends an answer, for as long as the client keeps taking some of it.
    ///
    /// # Errors
    /// If the connection breaks or stalls, or the file cannot be read to its end.
    pub async fn send(&self, socket: &Async<TcpSocket>, response: Response) -> io::Result<()> {
        if response.file.is_some() {
            // So that it asks for more, and more often.
            socket.get_ref().set_unsent_bytes_max(RESPONSE_UNSENT_BYTES_MAX);
        }
        write_all(socket, &response.head_and_body).await?;
        let Some(FilePart { file, range: mut left }) = response.file else { return Ok(()) };
        while !left.is_empty() {
            let reading = self.disk_reads.acquire_arc().await;
            let (file, next) = (Arc::clone(&file), left.clone());
            let (told, tells) = channel::bounded(1);
            worker_threads::hand_over(move || {
                // Nobody takes it if the client has gone. The thread is held as long as the disk is.
                let _ = told.try_send(read_chunk(&file, next));
                drop(reading);
            })?;
            let chunk = tells.recv().await.map_err(io::Error::other)??;
            if chunk.is_empty() {
                debug!("a file became shorter while it was read");
                return Err(ErrorKind::UnexpectedEof.into());
            }
            write_all(socket, &chunk).await?;
            left.start += chunk.len() as u64;
        }
        Ok(())
    }
}

impl Default for ResponseSender {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads the first of these bytes.
fn read_chunk(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let bytes = usize::try_from(range.end - range.start).map_or(FILE_CHUNK_BYTES, |bytes| bytes.min(FILE_CHUNK_BYTES));
    let mut chunk = vec![0; bytes];
    loop {
        match file.read_at(&mut chunk, range.start) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => {
                chunk.truncate(read?);
                return Ok(chunk);
            }
        }
    }
}

/// Writes all of it, with a new deadline for every part that the client takes.
///
/// # Errors
/// If the connection breaks or stalls.
pub async fn write_all(mut socket: &Async<TcpSocket>, mut bytes: &[u8]) -> io::Result<()> {
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
