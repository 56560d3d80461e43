//! The benchmark against servers that cheat: a benchmark that cannot say "void" proves nothing.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use foghorn_bench::client::Target;
use foghorn_bench::fleet::Waiting;
use foghorn_bench::load::{Kind, Load};
use foghorn_bench::loads;
use foghorn_bench::outcome::Figures;
use foghorn_bench::server::Server;
use foghorn_bench::tally::Fault;
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

const CLIENTS: usize = 3;

/// What a server does to the messages for its last client.
type Cheat = fn(u64, Message, &mut dyn FnMut(Message));

/// A broadcaster for [`CLIENTS`] clients with a thread for each direction; it ends with its clients.
fn start_server(cheat: Cheat) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (publish, published) = channel();
        let mut writers = Vec::new();
        for _ in 0..CLIENTS {
            let stream = listener.accept().unwrap().0;
            let reading = stream.try_clone().unwrap();
            let mut writer = accept(stream).unwrap();
            writer.send(Message::text("hello")).unwrap();
            writers.push(writer);
            let publish = publish.clone();
            std::thread::spawn(move || read_all(reading, &publish));
        }
        drop(publish);
        deliver_all(&published, &mut writers, cheat);
    });
    addr
}

fn read_all(stream: TcpStream, publish: &Sender<Message>) {
    use tokio_tungstenite::tungstenite::protocol::Role;
    let mut source = WebSocket::from_raw_socket(stream, Role::Server, None);
    while let Ok(message) = source.read() {
        let _ = publish.send(message);
    }
}

fn deliver_all(published: &Receiver<Message>, writers: &mut [WebSocket<TcpStream>], cheat: Cheat) {
    for (count, message) in (0..).zip(published) {
        let last = writers.len() - 1;
        for (i, writer) in writers.iter_mut().enumerate() {
            let mut send = |message| drop(writer.send(message));
            if i == last {
                cheat(count, message.clone(), &mut send);
            } else {
                send(message.clone());
            }
        }
    }
}

fn run(kind: Kind, cheat: Cheat) -> anyhow::Result<Figures> {
    let target = Target::new(start_server(cheat), "/");
    let server = Server::running(std::process::id(), target);
    let load = Load { publishers: 2, ..Load::new(kind, CLIENTS, 0.2) };
    loads::run(&load, &server, Waiting::Sleep)
}

fn fault(result: anyhow::Result<Figures>) -> Fault {
    let error = result.expect_err("the run has to be void");
    error.downcast_ref::<Fault>().unwrap_or_else(|| panic!("no fault: {error:#}")).clone()
}

#[test]
fn an_honest_server_gets_figures() {
    for kind in [Kind::Lockstep, Kind::Pipelined] {
        let figures = run(kind, |_, message, send| send(message)).unwrap();
        assert!(figures["deliveries_per_s"] > 0.0);
        assert!(figures["latency_p99_us"] >= figures["latency_p50_us"]);
    }
}

#[test]
fn a_lost_message_makes_a_run_void() {
    let result = run(Kind::Pipelined, |count, message, send| {
        if count != 100 {
            send(message);
        }
    });
    assert!(matches!(fault(result), Fault::OutOfTurn { .. }));
}

#[test]
fn a_doubled_message_makes_a_run_void() {
    let result = run(Kind::Lockstep, |count, message, send| {
        send(message.clone());
        if count == 100 {
            send(message);
        }
    });
    assert!(matches!(fault(result), Fault::OutOfTurn { .. }));
}

#[test]
fn bytes_that_are_no_message_make_a_run_void() {
    let result = run(Kind::Lockstep, |count, message, send| {
        send(if count == 100 { Message::Close(None) } else { message });
    });
    assert!(matches!(fault(result), Fault::Closed(_)));
}
