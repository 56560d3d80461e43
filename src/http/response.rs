//! Answers on their way to the client: from memory, or from disk.
//!
//! Leaves making them to others. What must stay true: a slow reader holds a connection and at most one piece of a file, never a
//! thread.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;

use log::debug;
use smol::future::FutureExt;
use smol::io::AsyncWriteExt;
use smol::lock::Semaphore;
use socket2::SockRef;

use crate::config::limits::{DISK_READS_MAX, FILE_CHUNK_BYTES, RESPONSE_STALL_TIMEOUT, RESPONSE_UNSENT_BYTES_MAX};
use crate::runtime::socket::Async;
use crate::runtime::timer::Timer;

/// An answer, ready to be sent.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Status line, header and, unless it is a file, the body.
    pub head_and_body: Vec<u8>,
    /// A file and how much of it was announced.
    pub file: Option<(File, u64)>,
}

/// Sends answers.
#[derive(Debug)]
pub struct ResponseSender {
    /// Reads of large files from disk, which take a thread each while they last.
    disk_reads: Semaphore,
}

impl ResponseSender {
    /// One for all connections, because it limits their disk reads together.
    pub fn new() -> Self {
        Self { disk_reads: Semaphore::new(DISK_READS_MAX) }
    }

    /// Sends an answer, for as long as the client keeps taking some of it.
    ///
    /// # Errors
    /// If the connection breaks or stalls, or the file cannot be read to its end.
    pub async fn send(&self, socket: &Async<TcpStream>, response: Response, head_only: bool) -> io::Result<()> {
        if response.file.is_some() {
            // A socket that refuses this works all the same, only that it asks for more less often.
            let _ = SockRef::from(socket.get_ref()).set_tcp_notsent_lowat(RESPONSE_UNSENT_BYTES_MAX);
        }
        write_all(socket, &response.head_and_body).await?;
        let Some((mut file, mut left_bytes)) = response.file.filter(|_| !head_only) else { return Ok(()) };
        while left_bytes > 0 {
            let reading = self.disk_reads.acquire().await;
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

impl Default for ResponseSender {
    fn default() -> Self {
        Self::new()
    }
}

fn read_chunk(file: File, bytes_max: u64) -> (File, io::Result<Vec<u8>>) {
    let mut chunk = Vec::new();
    let read = (&file).take(bytes_max.min(FILE_CHUNK_BYTES)).read_to_end(&mut chunk);
    (file, read.map(|_| chunk))
}

/// Writes all of it, with a new deadline for every part that the client takes.
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
