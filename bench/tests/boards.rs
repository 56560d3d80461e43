//! The loads across two boards against boards that cheat, on one side or the other, with plain messages and with socket.io.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use foghorn_bench::client::{Target, Way};
use foghorn_bench::fleet::Waiting;
use foghorn_bench::load::{Kind, Load};
use foghorn_bench::loads::contender::Contender;
use foghorn_bench::server::Server;
use foghorn_bench::tally::Fault;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

const CLIENTS: usize = 3;

/// Which board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Near,
    Far,
}

/// What comes out at a board when the message of this number has been sent; it may keep messages back.
type Cheat = fn(u64, Message, Side, &mut Vec<Message>) -> Vec<Message>;

struct Client {
    side: Side,
    socket: WebSocket<TcpStream>,
}

/// Two boards with what is between them, and a thread for each connection, which ends with its client.
struct Boards {
    way: Way,
    clients: Mutex<Vec<Client>>,
    publish: Sender<Message>,
}

/// Starts two boards; the threads end with the process.
fn start(way: Way, deliver: impl FnOnce(&Boards, &Receiver<Message>) + Send + 'static) -> Server {
    let (publish, published) = channel();
    let boards = Arc::new(Boards { way, clients: Mutex::default(), publish });
    let [near, far] = [Side::Near, Side::Far].map(|side| {
        let addr = boards.listen(side);
        let target = if way == Way::SocketIo { Target::socket_io(addr) } else { Target::new(addr, "/") };
        Server::running(std::process::id(), target)
    });
    std::thread::spawn(move || deliver(&boards, &published));
    near.with_far(far)
}

impl Boards {
    fn listen(self: &Arc<Self>, side: Side) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let boards = Arc::clone(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let boards = Arc::clone(&boards);
                std::thread::spawn(move || boards.serve(stream, side));
            }
        });
        addr
    }

    fn serve(&self, stream: TcpStream, side: Side) -> Option<()> {
        let writing = WebSocket::from_raw_socket(stream.try_clone().ok()?, Role::Server, None);
        let mut client = Client { side, socket: writing };
        // Whoever is answered is there: nothing is delivered between the two.
        let mut clients = self.clients.lock().unwrap();
        let mut reading = accept(stream).ok()?;
        if self.way == Way::SocketIo {
            drop(clients);
            client.socket.send(Message::text(r#"0{"sid":"a","upgrades":[],"pingInterval":25000}"#)).ok()?;
            client.socket.send(Message::text("2")).ok()?;
            assert_eq!([reading.read().ok()?, reading.read().ok()?], ["40", "3"].map(Message::text));
            clients = self.clients.lock().unwrap();
            client.socket.send(Message::text(r#"40{"sid":"b"}"#)).ok()?;
        }
        clients.push(client);
        drop(clients);
        while let Ok(message) = reading.read() {
            self.publish.send(message).ok()?;
        }
        None
    }

    fn deliver(&self, side: Side, messages: &[Message]) {
        for client in self.clients.lock().unwrap().iter_mut().filter(|client| client.side == side) {
            for message in messages {
                let _ = client.socket.send(message.clone());
            }
        }
    }
}

fn start_cheating(way: Way, cheat: Cheat) -> Server {
    start(way, move |boards, published| {
        let mut kept: [Vec<Message>; 2] = Default::default();
        for (number, message) in (0..).zip(published) {
            for (side, kept) in [Side::Near, Side::Far].into_iter().zip(&mut kept) {
                boards.deliver(side, &cheat(number, message.clone(), side, kept));
            }
        }
    })
}

fn load(kind: Kind) -> Load {
    Load { publishers: 2, ..Load::new(kind, CLIENTS, 0.2) }
}

fn run(kind: Kind, server: &Server) -> Result<()> {
    let load = load(kind);
    let mut contender = Contender::new(&load, server, Waiting::Sleep)?;
    contender.slice(load.duration())?;
    contender.finish().map(drop)
}

fn fault(kind: Kind, way: Way, cheat: Cheat) -> Fault {
    let error = run(kind, &start_cheating(way, cheat)).expect_err("the run has to be void");
    error.downcast_ref::<Fault>().unwrap_or_else(|| panic!("no fault: {error:#}")).clone()
}

#[test]
fn honest_boards_get_figures_of_the_far_one() {
    for way in [Way::WebSocket, Way::SocketIo] {
        for kind in [Kind::Lockstep, Kind::Pipelined] {
            let sent = Arc::new(AtomicUsize::new(0));
            let server = start(way, {
                let sent = Arc::clone(&sent);
                move |boards, published| {
                    for message in published {
                        sent.fetch_add(1, Ordering::Relaxed);
                        for side in [Side::Near, Side::Far] {
                            boards.deliver(side, std::slice::from_ref(&message));
                        }
                    }
                }
            });
            let load = load(kind);
            let mut contender = Contender::new(&load, &server, Waiting::Sleep).unwrap();
            let before = sent.load(Ordering::Relaxed);
            let figures = contender.slice(load.duration()).unwrap();
            contender.finish().unwrap();
            let sent = sent.load(Ordering::Relaxed) - before;
            assert!(sent > 0);
            assert!((figures["deliveries"] - (sent * CLIENTS) as f64).abs() < 1e-9, "{sent} messages, {figures:?}");
            assert!(figures["latency_p99_us"] >= figures["latency_p50_us"]);
        }
    }
}

#[test]
fn a_message_that_is_lost_or_doubled_on_one_board_makes_a_run_void() {
    let lost: [Cheat; 2] = [
        |number, message, side, _| if number == 100 && side == Side::Near { vec![] } else { vec![message] },
        |number, message, side, _| if number == 100 && side == Side::Far { vec![] } else { vec![message] },
    ];
    let doubled: [Cheat; 2] = [
        |number, message, side, _| vec![message; if number == 100 && side == Side::Near { 2 } else { 1 }],
        |number, message, side, _| vec![message; if number == 100 && side == Side::Far { 2 } else { 1 }],
    ];
    for way in [Way::WebSocket, Way::SocketIo] {
        for cheat in lost.into_iter().chain(doubled) {
            assert!(matches!(fault(Kind::Pipelined, way, cheat), Fault::OutOfTurn { .. }));
        }
    }
}

#[test]
fn another_order_on_one_board_makes_a_run_void() {
    /// Keeps back one publisher's messages on one board until the other's next has passed them, once.
    fn pass(number: u64, message: Message, side: Side, kept: &mut Vec<Message>) -> Vec<Message> {
        if side == Side::Far || (number > 100 && kept.is_empty()) || number < 100 {
            return vec![message];
        }
        // The lowest bit of the publisher's number in a stamp.
        let publisher = |message: &Message| message.to_text().unwrap().as_bytes()[6] & 0x10;
        if kept.first().is_none_or(|first| publisher(first) == publisher(&message)) {
            kept.push(message);
            return Vec::new();
        }
        std::iter::once(message).chain(kept.drain(..)).collect()
    }
    assert_eq!(fault(Kind::Pipelined, Way::WebSocket, pass), Fault::OrdersDiffer);
}

#[test]
fn what_the_far_board_has_not_delivered_is_under_way() {
    let most_kept = Arc::new(AtomicUsize::new(0));
    let server = start(Way::WebSocket, {
        let most_kept = Arc::clone(&most_kept);
        move |boards, published| {
            let mut kept = Vec::new();
            loop {
                match published.recv_timeout(Duration::from_millis(20)) {
                    Ok(message) => {
                        boards.deliver(Side::Near, std::slice::from_ref(&message));
                        kept.push(message);
                    }
                    Err(RecvTimeoutError::Timeout) => boards.deliver(Side::Far, &std::mem::take(&mut kept)),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                most_kept.fetch_max(kept.len(), Ordering::Relaxed);
            }
        }
    });
    run(Kind::Pipelined, &server).unwrap();
    assert_eq!(most_kept.load(Ordering::Relaxed), 2 * 256);
}
