//! The way from one board to Redis: it can be cut, held in either direction, and what was held can arrive after its connection has ended.
//!
//! What must stay true: it never changes the bytes of a direction, nor their order.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

/// What is held at most in the proxy itself; the kernel holds some more.
const PIECE_BYTES: usize = 64 * 1024;

/// Which directions are held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// From the board to Redis.
    pub up: bool,
    /// From Redis to the board.
    pub down: bool,
}

/// The way of one board.
pub struct Proxy {
    address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    links: Vec<Weak<Link>>,
    /// Those whose board has gone, and of which something is still to arrive.
    late: Vec<Arc<Link>>,
    held: Held,
}

/// One connection.
struct Link {
    board: TcpStream,
    redis: UnixStream,
    held: Mutex<Held>,
    changed: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// One to this socket of Redis, on a port of its own.
    ///
    /// # Errors
    /// If there is no free port.
    pub fn start(redis: &Path) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no free port: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let inner = Arc::new(Mutex::new(Inner { links: Vec::new(), late: Vec::new(), held: Held::default() }));
        let (redis, accepting) = (redis.to_owned(), Arc::downgrade(&inner));
        thread::spawn(move || accept(&listener, &redis, &accepting));
        Ok(Self { address, inner })
    }

    /// Where the board finds it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Holds these directions of all connections, also of those that come.
    pub fn hold(&self, held: Held) {
        let mut inner = lock(&self.inner);
        inner.held = held;
        inner.each(|link| link.hold(held));
    }

    /// Lets all go on.
    pub fn release(&self) {
        self.hold(Held::default());
    }

    /// Ends all connections; what is held is gone.
    pub fn cut(&self) {
        let mut inner = lock(&self.inner);
        inner.held = Held::default();
        inner.each(Link::cut);
        inner.links.clear();
    }

    /// Ends all connections for the board. What was held on the way to Redis is still to arrive.
    pub fn leave_late(&self) {
        let mut inner = lock(&self.inner);
        inner.held = Held::default();
        let links: Vec<_> = inner.links.drain(..).filter_map(|link| link.upgrade()).collect();
        for link in links {
            let _ = link.board.shutdown(Shutdown::Both);
            inner.late.push(link);
        }
    }

    /// What was left now arrives.
    pub fn arrive(&self) {
        for link in lock(&self.inner).late.drain(..) {
            link.hold(Held::default());
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.arrive();
    }
}

impl Inner {
    fn each(&mut self, what: impl Fn(&Link)) {
        self.links.retain(|link| link.upgrade().inspect(|link| what(link)).is_some());
    }
}

impl Link {
    fn hold(&self, held: Held) {
        *lock(&self.held) = held;
        self.changed.notify_all();
    }

    fn cut(&self) {
        let _ = self.board.shutdown(Shutdown::Both);
        let _ = self.redis.shutdown(Shutdown::Both);
        self.hold(Held::default());
    }

    /// Waits until a direction is not held.
    fn pass(&self, is_held: fn(&Held) -> bool) {
        let held = lock(&self.held);
        let waited = self.changed.wait_while(held, |held| is_held(held));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Accepts until the proxy is gone and somebody comes.
fn accept(listener: &TcpListener, redis: &PathBuf, inner: &Weak<Mutex<Inner>>) {
    for board in listener.incoming() {
        let Some(inner) = inner.upgrade() else { return };
        // Without Redis the board is not let in.
        let (Ok(board), Ok(redis)) = (board, UnixStream::connect(redis)) else { continue };
        let _ = board.set_nodelay(true);
        let mut inner = lock(&inner);
        let link = Arc::new(Link { board, redis, held: Mutex::new(inner.held), changed: Condvar::new() });
        inner.links.push(Arc::downgrade(&link));
        let other = Arc::clone(&link);
        thread::spawn(move || {
            pump(&link, &link.board, &link.redis, |held| held.up);
            let _ = link.redis.shutdown(Shutdown::Write);
        });
        thread::spawn(move || {
            pump(&other, &other.redis, &other.board, |held| held.down);
            let _ = other.board.shutdown(Shutdown::Both);
        });
    }
}

/// Carries one direction to its end.
fn pump<From, To>(link: &Link, mut from: &From, mut to: &To, is_held: fn(&Held) -> bool)
where
    for<'a> &'a From: Read,
    for<'a> &'a To: Write,
{
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = from.read(&mut piece);
        link.pass(is_held);
        match read {
            Ok(bytes @ 1..) if to.write_all(&piece[..bytes]).is_ok() => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use super::*;

    /// A proxy, its board's end of a connection, and the one of Redis.
    fn way(name: &str) -> (Proxy, TcpStream, UnixStream) {
        let path = std::env::temp_dir().join(format!("foghorn-proxy-{}-{name}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let proxy = Proxy::start(&path).unwrap();
        let board = TcpStream::connect(proxy.address()).unwrap();
        let redis = listener.accept().unwrap().0;
        std::fs::remove_file(path).unwrap();
        let timeout = Some(Duration::from_secs(20));
        board.set_read_timeout(timeout).unwrap();
        redis.set_read_timeout(timeout).unwrap();
        (proxy, board, redis)
    }

    fn carries(mut from: impl Write, mut to: impl Read, what: &[u8]) {
        from.write_all(what).unwrap();
        let mut read = vec![0; what.len()];
        to.read_exact(&mut read).unwrap();
        assert_eq!(read, what);
    }

    #[test]
    fn it_carries_both_directions_and_holds_either() {
        let (proxy, board, redis) = way("holds");
        carries(&board, &redis, b"up");
        carries(&redis, &board, b"down");
        proxy.hold(Held { up: true, down: false });
        (&board).write_all(b"late").unwrap();
        carries(&redis, &board, b"down again");
        redis.set_nonblocking(true).unwrap();
        assert!((&redis).read(&mut [0; 9]).is_err(), "nothing comes up");
        redis.set_nonblocking(false).unwrap();
        proxy.release();
        let mut late = [0; 4];
        (&redis).read_exact(&mut late).unwrap();
        assert_eq!(&late, b"late");
    }

    #[test]
    fn a_cut_ends_both() {
        let (proxy, mut board, mut redis) = way("cuts");
        carries(&board, &redis, b"up");
        proxy.cut();
        assert_eq!(board.read(&mut [0; 9]).unwrap_or(0), 0);
        assert_eq!(redis.read(&mut [0; 9]).unwrap(), 0);
    }

    #[test]
    fn what_was_held_arrives_after_its_connection_has_ended() {
        let (proxy, mut board, mut redis) = way("late");
        carries(&board, &redis, b"up");
        proxy.hold(Held { up: true, down: false });
        board.write_all(b"said before").unwrap();
        proxy.leave_late();
        assert_eq!(board.read(&mut [0; 9]).unwrap_or(0), 0);
        proxy.arrive();
        let mut late = String::new();
        redis.read_to_string(&mut late).unwrap();
        assert_eq!(late, "said before");
    }
}
