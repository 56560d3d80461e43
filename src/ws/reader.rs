//! The stream given to tungstenite: reads from the socket, a bounded number of bytes in each turn; writes go to the control
//! bytes.
//!
//! Leaves what the bytes mean to tungstenite. What must stay true: nothing here writes to the socket.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use smol::io::{AsyncRead, AsyncWrite};

use crate::broadcast::transport::Transport;
use crate::config::limits::TURN_BYTES_MAX;
use crate::telemetry::counters::Counters;

/// The stream that tungstenite gets: it reads from the socket and writes to the control bytes.
#[derive(Debug)]
pub struct Reader {
    /// The socket, and where control bytes go.
    pub transport: Rc<Transport>,
    /// Where the bytes that come in are counted.
    pub counters: Arc<Counters>,
    /// How many bytes may still be read in this turn. tungstenite reads until a message is complete, which endless fragments
    /// never are.
    pub turn_left_bytes: usize,
}

impl AsyncRead for Reader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.turn_left_bytes == 0 {
            self.turn_left_bytes = TURN_BYTES_MAX;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let bytes_max = buffer.len().min(self.turn_left_bytes);
        let read = self.transport.socket().poll_read(cx, &mut buffer[..bytes_max]);
        match read {
            Poll::Ready(Ok(bytes)) => {
                self.turn_left_bytes -= bytes;
                self.transport.note_heard();
                self.counters.bytes_in.add(bytes as u64);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.turn_left_bytes = TURN_BYTES_MAX,
        }
        read
    }
}

impl AsyncWrite for Reader {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.transport.push_control(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
