//! What the reactor promises, with real sockets, threads and the clock.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::writev;
use rustix::net::{SendFlags, send};
use smol::future::{self, FutureExt, poll_fn};
use smol::io::AsyncReadExt;
use socket2::SockRef;

use super::reactor::{self, Reactor};
use super::socket::Async;
use super::tcp::TcpSocket;
use super::timer::Timer;

/// How long anything may take that has to happen.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a future that has to end: a wake that is lost fails the test in place of hanging it.
fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    let (ended, has_ended) = channel::<()>();
    let test = thread::current().name().map(str::to_owned);
    // By a thread that can do no more than end all: the reactor's own timers and wakes are what is tested.
    let watch = thread::spawn(move || {
        if has_ended.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
            // Not by `eprintln!`, whose words a test's end would have to let out.
            let _ = writeln!(std::io::stderr(), "{test:?} waits in vain");
            std::process::abort();
        }
    });
    let output = reactor::block_on(future);
    drop(ended);
    watch.join().unwrap();
    output
}

fn pair() -> (Async<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Async::new(ours).unwrap(), theirs)
}

async fn read(socket: &Async<UnixStream>) -> usize {
    poll_fn(|cx| socket.poll_read(cx, &mut [0; 100])).await.unwrap()
}

/// Whether this is not ready even after all events and timers had several turns.
async fn stays_pending(future: impl Future<Output = ()>) -> bool {
    let ends = async {
        future.await;
        false
    };
    let waits = async {
        for _ in 0..10 {
            Timer::after(Duration::from_millis(1)).await;
        }
        true
    };
    ends.or(waits).await
}

/// Fails as a call does that a signal interrupts, two times.
fn interrupted_twice() -> impl FnMut() -> io::Result<()> {
    let mut signals = 0;
    move || {
        signals += 1;
        if signals <= 2 { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

#[test]
fn timers_end_in_the_order_of_their_moments() {
    let mut order = Vec::new();
    let began = Instant::now();
    block_on(async {
        let order = RefCell::new(&mut order);
        let sleeper = async |millis| {
            Timer::after(Duration::from_millis(millis)).await;
            order.borrow_mut().push(millis);
        };
        future::zip(future::zip(sleeper(30), sleeper(10)), sleeper(20)).await;
    })
    .unwrap();
    assert_eq!(order, [10, 20, 30]);
    assert!(began.elapsed() >= Duration::from_millis(30));
}

#[test]
fn a_timer_that_nobody_waits_for_any_more_is_forgotten() {
    block_on(async {
        Timer::after(Duration::from_secs(1000)).or(Timer::after(Duration::from_millis(1))).await;
    })
    .unwrap();
    assert_eq!(Reactor::of_this_thread().unwrap().timers_len(), 0);
}

#[test]
fn another_thread_wakes_this_one() {
    let turned = Arc::new(AtomicBool::new(false));
    let mut thread = None;
    block_on(poll_fn(|cx| {
        if turned.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        let (turned, waker) = (Arc::clone(&turned), cx.waker().clone());
        thread.get_or_insert_with(|| {
            thread::spawn(move || {
                turned.store(true, Ordering::SeqCst);
                waker.wake();
            })
        });
        Poll::Pending
    }))
    .unwrap();
    thread.unwrap().join().unwrap();
}

#[test]
fn each_arrival_is_told_after_a_read_that_took_all() {
    let (socket, mut peer) = pair();
    block_on(async {
        for _ in 0..3 {
            assert!(stays_pending(socket.readable()).await);
            peer.write_all(b"hello").unwrap();
            assert_eq!(read(&socket).await, 5);
        }
    })
    .unwrap();
}

#[test]
fn an_end_that_came_with_the_last_bytes_is_seen() {
    let (socket, mut peer) = pair();
    peer.write_all(b"bye").unwrap();
    drop(peer);
    block_on(async {
        assert_eq!(read(&socket).await, 3);
        assert_eq!(read(&socket).await, 0);
    })
    .unwrap();
}

#[test]
fn a_full_socket_is_told_of_when_it_takes_more() {
    let (socket, mut peer) = pair();
    block_on(async {
        socket.writable().await;
        let chunk = vec![0; 1 << 20];
        let mut written = 0;
        // The first takes a part, the second nothing.
        while let Ok(bytes) = writev(socket.get_ref(), &[IoSlice::new(&chunk)]) {
            written += bytes;
            socket.note_full();
        }
        assert!(stays_pending(socket.writable()).await);
        let mut taken = vec![0; written];
        peer.read_exact(&mut taken).unwrap();
        socket.writable().await;
        assert!(writev(socket.get_ref(), &[IoSlice::new(&chunk)]).is_ok());
    })
    .unwrap();
}

#[test]
fn a_call_that_a_signal_has_interrupted_is_made_again_and_means_neither_an_end_nor_a_full_socket() {
    let (socket, mut peer) = pair();
    peer.write_all(b"hello").unwrap();
    block_on(async {
        let mut first_call = interrupted_twice();
        let read = socket.try_read(|mut socket| first_call().and_then(|()| socket.read(&mut [0; 5])));
        assert_eq!(read.expect("there is something"), 5);
        let mut second_call = interrupted_twice();
        let written = socket.try_write(|mut socket| second_call().and_then(|()| socket.write(b"hello")));
        assert_eq!(written.expect("there is room"), 5);
        socket.writable().await;
    })
    .unwrap();
}

#[test]
fn a_socket_gets_no_event_of_an_earlier_socket_with_its_key() {
    let (first, mut first_peer) = pair();
    let key = first.registration.key;
    first_peer.write_all(b"for the first").unwrap();
    drop(first);
    let (second, mut second_peer) = pair();
    assert_eq!(second.registration.key, key);
    block_on(async {
        assert!(stays_pending(second.readable()).await);
        second_peer.write_all(b"for the second").unwrap();
        let mut text = [0; 14];
        (&second).read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"for the second");
    })
    .unwrap();
}

#[test]
fn a_socket_that_another_process_keeps_is_told_of_no_more() {
    let (first, mut first_peer) = pair();
    let key = first.registration.key;
    let kept = first.get_ref().try_clone().unwrap();
    drop(first);
    let (second, _second_peer) = pair();
    assert_eq!(second.registration.key, key);
    first_peer.write_all(b"for whoever has kept it").unwrap();
    block_on(async { assert!(stays_pending(second.readable()).await) }).unwrap();
    drop(kept);
}

#[test]
fn what_comes_behind_an_urgent_mark_is_read_without_further_arrivals() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    peer.set_nodelay(true).unwrap();
    let socket = Async::new(TcpSocket::from(listener.accept().unwrap().0)).unwrap();
    for with_oob_inline in [false, true] {
        SockRef::from(socket.get_ref().kernel()).set_out_of_band_inline(with_oob_inline).unwrap();
        peer.write_all(b"abc").unwrap();
        send(&peer, b"x", SendFlags::OOB).unwrap();
        peer.write_all(b"def").unwrap();
        let expected: &[u8] = if with_oob_inline { b"abcxdef" } else { b"abcdef" };
        // The loopback interface has delivered all of it by now.
        let mut seen = [0; 7];
        let mut read = Vec::new();
        block_on(async {
            while read.len() < expected.len() {
                let bytes = poll_fn(|cx| socket.poll_read(cx, &mut seen)).await.unwrap();
                read.extend_from_slice(&seen[..bytes]);
            }
        })
        .unwrap();
        assert_eq!(read, expected);
    }
}

#[test]
fn a_reset_is_told_whatever_is_left_to_read_and_the_end_of_what_comes_is_none() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let accept = || Async::new(TcpSocket::from(listener.accept().unwrap().0)).unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let socket = accept();
    block_on(async {
        assert!(stays_pending(socket.broken()).await);
        peer.write_all(b"hello").unwrap();
        assert!(stays_pending(socket.broken()).await, "something has come");
        peer.shutdown(Shutdown::Write).unwrap();
        assert!(stays_pending(socket.broken()).await, "no more comes");
        let mut text = Vec::new();
        (&socket).read_to_end(&mut text).await.unwrap();
        assert_eq!(text, b"hello", "it was left where it was");

        for is_known_before in [false, true] {
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let socket = accept();
            peer.write_all(b"hello").unwrap();
            SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
            if is_known_before {
                drop(peer);
                Timer::after(Duration::from_millis(1)).await;
                socket.broken().await;
            } else {
                let reset = async {
                    Timer::after(Duration::from_millis(1)).await;
                    drop(peer);
                };
                future::zip(socket.broken(), reset).await;
            }
        }
    })
    .unwrap();
}
