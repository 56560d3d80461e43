//! The broadcaster that most people would write in Rust: tokio-tungstenite with an unbounded channel for each client.
//!
//! One thread, as all peers here have one core. A client's task writes what its channel holds and flushes once that is
//! empty, so it batches where it can; that is the best such a design does. Usage: `tokio-channels PORT`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::rc::Rc;

use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;

type Room = Rc<RefCell<HashMap<u64, UnboundedSender<Message>>>>;

const LISTEN_BACKLOG: u32 = 4096;

fn main() -> Result<()> {
    let port = std::env::args().nth(1).and_then(|p| p.parse().ok()).context("usage: tokio-channels PORT")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
        accept_all(socket.listen(LISTEN_BACKLOG)?).await
    })
}

async fn accept_all(listener: TcpListener) -> Result<()> {
    let room = Room::default();
    for id in 0.. {
        let (stream, _) = listener.accept().await?;
        let room = Rc::clone(&room);
        tokio::task::spawn_local(async move {
            // Whatever ends a client is its own affair.
            let _ = serve(stream, id, &room).await;
            room.borrow_mut().remove(&id);
        });
    }
    Ok(())
}

async fn serve(stream: TcpStream, id: u64, room: &Room) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut sink, mut source) = tokio_tungstenite::accept_async(stream).await?.split();
    sink.send(Message::text("connected to WebSocket server")).await?;
    let (sender, mut queue) = unbounded_channel();
    room.borrow_mut().insert(id, sender);
    // A task of its own: polled together with the reader, each write would cost a look at the socket's read side too.
    let writer = tokio::task::spawn_local(async move {
        while let Some(message) = queue.recv().await {
            sink.feed(message).await?;
            feed_rest(&mut sink, &mut queue).await?;
            sink.flush().await?;
        }
        anyhow::Ok(())
    });
    while let Some(message) = source.next().await.transpose()? {
        if message.is_text() || message.is_binary() {
            for client in room.borrow().values() {
                let _ = client.send(message.clone());
            }
        }
    }
    writer.abort();
    Ok(())
}

async fn feed_rest<S>(sink: &mut S, queue: &mut UnboundedReceiver<Message>) -> Result<(), S::Error>
where
    S: SinkExt<Message> + Unpin,
{
    while let Ok(message) = queue.try_recv() {
        sink.feed(message).await?;
    }
    Ok(())
}
