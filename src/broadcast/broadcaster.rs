//! The room with its sockets: joining, publishing, the flush that writes to all, heartbeat, and the end.
//!
//! Knows nothing of handshakes and of reading. What must stay true: the flush is the only one that writes to a member's
//! socket; it runs once after all tasks that are ready have had their turn, so that what they published meanwhile
//! leaves in one write for each client; and it never waits for a socket.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::IoSlice;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use smol::LocalExecutor;
use smol::future::{self, FutureExt, poll_fn};

use crate::broadcast::transport::{Link, Written};
use crate::config::limits::{FLUSH_BYTES_MAX, FLUSH_SLICES_MAX, SWEEPS_PER_HEARTBEAT};
use crate::config::settings::Config;
use crate::hub::channel::{Joined, Published, Room, Start};
use crate::hub::close_reason::CloseReason;
use crate::hub::frame::{Frame, PING};
use crate::runtime::timer::Timer;
use crate::telemetry::counters::Stats;

/// Everybody who is connected, and the one who writes to them.
pub struct Hall {
    config: Arc<Config>,
    stats: Arc<Stats>,
    executor: Rc<LocalExecutor<'static>>,
    room: RefCell<Room<Rc<Link>>>,
    /// Members to write to although nothing was published: they have control bytes, or had more than one turn's bytes.
    urgent: RefCell<Vec<usize>>,
    dirty: Cell<bool>,
    flusher: Cell<Option<Waker>>,
    /// Who wants to know that there was a flush.
    onlooker: Cell<Option<Waker>>,
    /// Clients that can be replaced by their next connection, by a name that nobody else can guess.
    named: RefCell<HashMap<String, Weak<Link>>>,
    namer: RandomState,
    sweep: Cell<u32>,
    stopping: Cell<bool>,
    /// What those who are leaving still lack of the frames that they have in part. It is theirs alone, so it is bounded: all
    /// could be thrown out in the middle of a large message at the same time.
    rests_bytes: Cell<usize>,
}

impl Hall {
    /// An empty hall.
    pub fn new(config: Arc<Config>, stats: Arc<Stats>, executor: Rc<LocalExecutor<'static>>) -> Self {
        Self {
            room: RefCell::new(Room::new(config.limits.backlog_bytes, config.limits.patience)),
            config,
            stats,
            executor,
            urgent: RefCell::default(),
            dirty: Cell::new(false),
            flusher: Cell::new(None),
            onlooker: Cell::new(None),
            named: RefCell::default(),
            namer: RandomState::new(),
            sweep: Cell::new(0),
            stopping: Cell::new(false),
            rests_bytes: Cell::new(0),
        }
    }

    /// Lets a client in. `first` makes its first words, which come after the answer to the handshake and before any
    /// message.
    pub fn join(&self, link: &Rc<Link>, echo: bool, start: Start, first: impl FnOnce(Joined, usize) -> Vec<u8>) {
        let mut room = self.room.borrow_mut();
        let joined = room.join(Rc::clone(link), echo, start);
        link.push_control(&first(joined, room.len()));
        link.place.set(Some(joined.id));
        link.heard_sweep.set(self.sweep.get());
        self.urgent.borrow_mut().push(joined.id);
        self.stats.clients.set(room.len() as u64);
        self.stats.clients_total.add(1);
        self.stats.clients_peak.set(self.stats.clients_peak.get().max(room.len() as u64));
        if self.stopping.get() {
            link.end(CloseReason::ServerStops);
        }
        self.ring();
    }

    /// Gives a client a name by which its next connection can [replace](Self::replace) it.
    pub fn name(&self, link: &Rc<Link>) -> String {
        let name = format!("{:016x}", self.namer.hash_one(self.stats.clients_total.get()));
        link.name.replace(name.clone());
        self.named.borrow_mut().insert(name.clone(), Rc::downgrade(link));
        name
    }

    /// Ends the client of this name, if it is there: it has come back. Nothing that it may still have sent over its old
    /// connection is published after this, so it can know what got through.
    pub fn replace(&self, name: &str) {
        let Some(link) = self.named.borrow().get(name).and_then(Weak::upgrade) else { return };
        let mut room = self.room.borrow_mut();
        if let Some(place) = link.place.get() {
            room.withdraw(place);
        }
        self.leave_room(&mut room, &link);
        link.end(CloseReason::Replaced);
    }

    /// Takes a client out of the room. What it lacks of a frame comes first among its control bytes. To be followed by
    /// [`forget`](Self::forget) at the end.
    pub fn leave(&self, link: &Link) {
        let mut room = self.room.borrow_mut();
        self.leave_room(&mut room, link);
    }

    fn leave_room(&self, room: &mut Room<Rc<Link>>, link: &Link) {
        let Some(place) = link.place.take() else { return };
        let (_, rest) = room.leave(place);
        let rests_bytes = self.rests_bytes.get() + rest.len();
        if rests_bytes <= self.config.limits.backlog_bytes {
            self.rests_bytes.set(rests_bytes);
            link.push_rest(&rest);
        } else {
            link.cut();
        }
        link.drain.set(None);
        self.stats.clients.set(room.len() as u64);
        self.ring();
    }

    /// Notes that a client which has left is gone for good.
    pub fn forget(&self, link: &Link) {
        self.rests_bytes.set(self.rests_bytes.get() - link.rest_bytes());
        self.named.borrow_mut().remove(&*link.name.borrow());
    }

    /// Publishes a client's message, and waits for as long as the backlog has no room for it.
    pub async fn publish(&self, link: &Link, frame: Frame) {
        let Some(place) = link.place.get() else { return };
        let published = self.room.borrow_mut().publish(place, frame);
        self.ring();
        if published == Published::Later {
            link.waits.set(true);
            poll_fn(|cx| match link.poll_ending(cx) {
                Poll::Pending if link.waits.get() => Poll::Pending,
                _ => Poll::Ready(()),
            })
            .await;
        }
    }

    /// Has a client's control bytes written with the next flush.
    pub fn hurry(&self, link: &Link) {
        if let Some(place) = link.place.get() {
            self.urgent.borrow_mut().push(place);
            self.ring();
        }
    }

    /// Writes a client's control bytes, and what else it lacks, now: before it leaves, or if it provokes so many that they
    /// cannot wait for the flush.
    pub fn write_now(self: &Rc<Self>, link: &Link) {
        if let Some(place) = link.place.get().filter(|_| !link.is_full.get()) {
            self.write(&mut self.room.borrow_mut(), place);
        }
    }

    /// Whether a client has got all that is published.
    pub fn is_up_to_date(&self, link: &Link) -> bool {
        link.place.get().is_none_or(|place| self.room.borrow().is_up_to_date(place))
    }

    /// Tells everybody that the server stops, now and when they come later.
    pub fn stop(&self) {
        self.stopping.set(true);
        for (_, link) in self.room.borrow().iter() {
            link.end(CloseReason::ServerStops);
        }
    }

    fn ring(&self) {
        self.dirty.set(true);
        if let Some(waker) = self.flusher.take() {
            waker.wake();
        }
    }

    fn poll_dirty(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.dirty.take() {
            return Poll::Ready(());
        }
        self.flusher.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Waits for the next flush, after which the figures may be other ones.
    pub async fn changed(&self) {
        let mut is_first = true;
        poll_fn(|cx| {
            if !std::mem::take(&mut is_first) {
                return Poll::Ready(());
            }
            self.onlooker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Flushes whenever there is something to write, for ever.
    pub async fn run_flush(self: Rc<Self>) {
        loop {
            let look_again = self.flush();
            let dirty = poll_fn(|cx| self.poll_dirty(cx));
            if self.dirty.get() {
                // There is more for those who have had their share: let the others have their turn first.
                future::yield_now().await;
            }
            match look_again {
                None => dirty.await,
                Some(at) => dirty.or(Timer::at(at)).await,
            }
        }
    }

    /// Writes to everybody who lacks something and whose socket may take it. Returns when to look again at those who
    /// keep publishers waiting.
    fn flush(self: &Rc<Self>) -> Option<Instant> {
        let mut room = self.room.borrow_mut();
        let room = &mut *room;
        let urgent = self.urgent.take();
        if room.has_news() {
            self.write_news(room);
        } else {
            for place in urgent {
                self.offer(room, place);
            }
        }
        let was_anybody_waiting = room.is_anybody_waiting();
        for place in room.admit() {
            if let Some(link) = room.get(place) {
                link.waits.set(false);
                link.wake();
            }
        }
        if room.has_news() {
            self.ring();
        }
        let look_again = if was_anybody_waiting { self.expel_late(room) } else { None };
        self.stats.messages.set(room.head());
        self.stats.deliveries.set(room.deliveries());
        self.stats.backlog_bytes.set(room.backlog().held_bytes() as u64);
        self.stats.clients_behind.set(room.behind_len() as u64);
        self.stats.publishers_waiting.set(room.waiting_len() as u64);
        if let Some(onlooker) = self.onlooker.take() {
            onlooker.wake();
        }
        look_again
    }

    /// Writes what is new to everybody, with as little as possible between one call of the kernel and the next.
    fn write_news(self: &Rc<Self>, room: &mut Room<Rc<Link>>) {
        let mut bytes_out = 0;
        let others = room.share_news(FLUSH_BYTES_MAX, |link, slices| {
            if !link.takes_news() {
                return None;
            }
            match link.write(slices) {
                Written::Bytes(bytes) => {
                    bytes_out += bytes as u64;
                    Some(bytes)
                }
                Written::Full => Some(0),
                Written::Broken => None,
            }
        });
        self.stats.bytes_out.add(bytes_out);
        for (place, written) in others {
            if let Some(bytes) = written {
                room.advance(place, bytes);
                self.wait_for_room_in(room, place);
            } else {
                self.offer(room, place);
            }
        }
        room.end_round();
    }

    /// Leaves a member alone until its socket takes more.
    fn wait_for_room_in(self: &Rc<Self>, room: &Room<Rc<Link>>, place: usize) {
        let link = room.get(place).expect("the caller has just written to it");
        let drain = Rc::clone(self).drain(Rc::clone(link), place);
        link.wait_for_room(self.executor.spawn(drain));
    }

    fn offer(self: &Rc<Self>, room: &mut Room<Rc<Link>>, place: usize) {
        match room.get(place) {
            Some(link) if link.is_full.get() => room.settle(place),
            Some(_) => self.write(room, place),
            None => {}
        }
    }

    fn expel_late(&self, room: &mut Room<Rc<Link>>) -> Option<Instant> {
        let (late, look_again) = room.review(Instant::now());
        for place in late {
            let link = Rc::clone(room.get(place).expect("whoever is late is here"));
            self.leave_room(room, &link);
            link.end(CloseReason::TooSlow);
        }
        look_again
    }

    /// Writes what one member lacks, up to its share of a turn. The caller has seen that its socket is not full.
    fn write(self: &Rc<Self>, room: &mut Room<Rc<Link>>, place: usize) {
        let link = room.get(place).expect("the caller looked");
        let written = if link.has_control() {
            let link = Rc::clone(link);
            let cleared = Self::write_control_between_frames(room, place, &link, &self.stats);
            if cleared == Written::Full { cleared } else { self.write_frames(room, place) }
        } else {
            self.write_frames(room, place)
        };
        room.settle(place);
        let link = room.get(place).expect("writing removes nobody");
        if link.ending() == Some(CloseReason::ServerStops) && room.is_up_to_date(place) {
            link.wake();
        }
        if written == Written::Full {
            self.wait_for_room_in(room, place);
        } else if written != Written::Broken && !room.is_up_to_date(place) {
            self.urgent.borrow_mut().push(place);
            self.ring();
        }
    }

    /// Writes the frames that one member lacks, in one call.
    fn write_frames(&self, room: &mut Room<Rc<Link>>, place: usize) -> Written {
        let mut slices = [IoSlice::new(&[]); FLUSH_SLICES_MAX];
        let filled = room.pending(place, &mut slices, FLUSH_BYTES_MAX);
        let slices = &slices[..filled];
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let link = room.get(place).expect("the caller looked");
        let written = if filled == 0 { Written::Bytes(0) } else { link.write(slices) };
        let bytes = if let Written::Bytes(bytes) = written { bytes } else { 0 };
        self.stats.bytes_out.add(bytes as u64);
        room.advance(place, bytes);
        // A socket that took a part is full: the next call would only say so.
        if matches!(written, Written::Bytes(bytes) if bytes < offered) { Written::Full } else { written }
    }

    /// Writes the rest of a frame that is out in part, then the control bytes.
    fn write_control_between_frames(room: &mut Room<Rc<Link>>, place: usize, link: &Link, stats: &Stats) -> Written {
        let rest = room.slices_to_boundary(place).map(IoSlice::new);
        let rest_bytes = rest[0].len() + rest[1].len();
        if rest_bytes > 0 {
            let written = link.write(&rest);
            let Written::Bytes(bytes) = written else { return written };
            stats.bytes_out.add(bytes as u64);
            room.advance(place, bytes);
            if bytes < rest_bytes {
                return Written::Full;
            }
        }
        match link.write_control() {
            Written::Bytes(bytes) => {
                stats.bytes_out.add(bytes as u64);
                if link.has_control() { Written::Full } else { Written::Bytes(bytes) }
            }
            other => other,
        }
    }

    /// Waits until a full socket takes more, and has it written to.
    async fn drain(self: Rc<Self>, link: Rc<Link>, place: usize) {
        link.socket().writable().await;
        link.is_full.set(false);
        if link.place.get() == Some(place) {
            self.urgent.borrow_mut().push(place);
            self.ring();
        }
    }

    /// Sweeps for silent clients several times in each heartbeat: one timer for all of them.
    pub async fn run_heartbeat(self: Rc<Self>, heartbeat: Duration) {
        loop {
            // No interval: after a pause of the whole machine it would be due many times over, with nothing read between.
            Timer::after(heartbeat / SWEEPS_PER_HEARTBEAT).await;
            self.sweep.set(self.sweep.get().wrapping_add(1));
            self.sweep_silent();
        }
    }

    /// Pings who was silent for one heartbeat, and ends who was for two. What arrived between two sweeps may have come
    /// right after the first, so one more sweep has to pass.
    fn sweep_silent(&self) {
        let sweep = self.sweep.get();
        let mut gone = Vec::new();
        for (place, link) in self.room.borrow().iter() {
            // Nothing is read from somebody whose message waits, so silence says nothing.
            if link.take_heard() || link.waits.get() {
                link.heard_sweep.set(sweep);
            }
            let silent_sweeps = sweep.wrapping_sub(link.heard_sweep.get());
            if silent_sweeps > 2 * SWEEPS_PER_HEARTBEAT {
                gone.push(Rc::clone(link));
            } else if silent_sweeps == SWEEPS_PER_HEARTBEAT + 1 {
                link.push_control(&PING);
                self.urgent.borrow_mut().push(place);
            }
        }
        for link in gone {
            self.leave(&link);
            link.end(CloseReason::Silent);
        }
        self.ring();
    }

    /// The number of the newest message.
    pub fn head(&self) -> u64 {
        self.room.borrow().head()
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The figures.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }
}

impl fmt::Debug for Hall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hall").field("room", &self.room).finish_non_exhaustive()
    }
}
