//! Who is there and how far each has got: members as cursors into the backlog, publishers that wait for room in it, and
//! who of the slow ones has tried the patience of the others.
//!
//! No sockets and no clock: bytes to write come out as slices, bytes written come in as a number, time comes in as an
//! argument. What must stay true: every member is handed exactly the published frames from its cursor on, in order,
//! whatever is written in whatever pieces; and no event costs more than those who are behind, but for a round of
//! writing, which by its nature is for all.

use std::collections::{BTreeSet, VecDeque};
use std::io::IoSlice;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::config::limits::PROGRESS_BYTES_MIN;
use crate::hub::backlog::Backlog;
use crate::hub::frame::Frame;

/// Where a newcomer's cursor starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With up to this many of the last messages.
    History(u64),
    /// With the message after this number, or the oldest that is held.
    After(u64),
}

/// What a newcomer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// The place of the member, for all later calls.
    pub id: usize,
    /// The number before the first message that it gets.
    pub seq: u64,
    /// The messages between the wanted start and the first that is held.
    pub lost: u64,
    /// The number of the newest message.
    pub head: u64,
}

/// Whether a message went out at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is in the backlog.
    Now,
    /// The backlog is full of what others have still to get. The publisher has to wait until [`Room::admit`] names it.
    Later,
}

#[derive(Debug)]
struct Member<S> {
    handle: S,
    /// Unlike the place it is never given to somebody else, so the backlog's entries name their senders by it.
    number: u32,
    echo: bool,
    cursor: u64,
    /// The number of the frame at the cursor, for counting deliveries.
    seq: u64,
    /// What is known of it while it is behind. A box, since it is not needed for those who keep up, who are gone through for
    /// each message.
    behind: Option<Box<Behind>>,
}

/// A member that has not got everything.
#[derive(Debug, Clone, Copy)]
struct Behind {
    /// The cursor that it has in the order of those behind.
    cursor: u64,
    /// How long others have waited for it since its last progress, the present wait not counted.
    waited: Duration,
    /// Since when somebody is waiting for it.
    since: Option<Instant>,
    /// Where the cursor was at its last progress.
    mark: u64,
}

#[derive(Debug)]
struct Waiting {
    id: usize,
    number: u32,
    frame: Frame,
}

/// The room. `S` is what its owner needs to reach a member, such as a socket; the room only keeps it.
#[derive(Debug)]
pub struct Room<S> {
    backlog: Backlog,
    patience: Duration,
    members: Slab<Member<S>>,
    next_number: u32,
    /// Whoever is not behind has everything below this.
    level: u64,
    behind: BTreeSet<(u64, usize)>,
    waiting: VecDeque<Waiting>,
    deliveries: u64,
}

impl<S> Room<S> {
    /// An empty room with a backlog of this size, and with this much patience for a slow member.
    pub fn new(backlog_bytes: usize, patience: Duration) -> Self {
        Self {
            backlog: Backlog::new(backlog_bytes),
            patience,
            members: Slab::new(),
            next_number: 1,
            level: 0,
            behind: BTreeSet::new(),
            waiting: VecDeque::new(),
            deliveries: 0,
        }
    }

    /// Lets a member in. With `echo` it gets its own messages too.
    ///
    /// It starts in the newer half of the backlog at the earliest: one that started at the oldest frame of a full backlog
    /// would keep the next publisher waiting at once, and a row of such members would do so for ever.
    pub fn join(&mut self, handle: S, echo: bool, start: Start) -> Joined {
        let head = self.head();
        let wanted = match start {
            Start::History(count) => self.backlog.first_seq_of_newer_half().max((head + 1).saturating_sub(count)),
            Start::After(seq) => seq.min(head) + 1,
        };
        let first = wanted.max(self.backlog.first_seq_of_newer_half());
        let cursor = self.backlog.position_of(first).expect("the first frame to get is held, or the next to come");
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        let id = self.members.insert(Member { handle, number, echo, cursor, seq: first, behind: None });
        self.settle(id);
        Joined { id, seq: first - 1, lost: first - wanted, head }
    }

    /// Lets a member go. What it lacks of a frame that it has in part is returned: it has to be written before anything
    /// else is, and the backlog need not keep it any longer.
    pub fn leave(&mut self, id: usize) -> (S, Vec<u8>) {
        let rest = self.slices_to_boundary(id).concat();
        let member = self.members.remove(id);
        if let Some(behind) = member.behind {
            self.behind.remove(&(behind.cursor, id));
        }
        (member.handle, rest)
    }

    /// Publishes a message of this member, at once or when there is room for it.
    pub fn publish(&mut self, id: usize, frame: Frame) -> Published {
        let number = self.members[id].number;
        if self.waiting.is_empty() && self.backlog.floor_needed(frame.len()) <= self.floor() {
            self.backlog.append(&frame, number);
            return Published::Now;
        }
        self.waiting.push_back(Waiting { id, number, frame });
        Published::Later
    }

    /// Takes back a message that waits for room, as if it had never been sent.
    pub fn withdraw(&mut self, id: usize) {
        let number = self.members[id].number;
        self.waiting.retain(|waiting| waiting.number != number);
    }

    /// Publishes what waits, in the order in which it came, as far as there is room. Returns the members that wait no
    /// longer and are still here.
    pub fn admit(&mut self) -> Vec<usize> {
        let mut admitted = Vec::new();
        while let Some(next) = self.waiting.front() {
            if self.backlog.floor_needed(next.frame.len()) > self.floor() {
                break;
            }
            let Waiting { id, number, frame } = self.waiting.pop_front().expect("it was just looked at");
            self.backlog.append(&frame, number);
            if self.members.get(id).is_some_and(|member| member.number == number) {
                admitted.push(id);
            }
        }
        admitted
    }

    /// Whether something was published since the last round.
    pub fn has_news(&self) -> bool {
        self.level < self.backlog.end()
    }

    /// Begins a round: offers what was published since the last one to everybody who has all before it. That is the same for
    /// all of them, so each costs one call of `write`, which returns the bytes that it took, or `None` if it left this
    /// member alone.
    ///
    /// Returns who has to be looked at one by one: those that `write` left alone, that are not where the others are or want
    /// something else (`None`), and those that took a part (how many bytes it was, to be noted with
    /// [`advance`](Self::advance)). More than `bytes_max` of news is nobody's share of a turn: then it is all of them.
    pub fn share_news(
        &mut self,
        bytes_max: usize,
        mut write: impl FnMut(&S, &[IoSlice<'_>]) -> Option<usize>,
    ) -> Vec<(usize, Option<usize>)> {
        let (end, seq) = (self.backlog.end(), self.backlog.next_seq());
        let frames = seq - self.backlog.seq_at(self.level);
        let slices = self.backlog.slices(self.level..end).map(IoSlice::new);
        let slices = if slices[1].is_empty() { &slices[..1] } else { &slices[..] };
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut others = Vec::new();
        for (id, member) in &mut self.members {
            let is_up_to_level = member.behind.is_none() && member.cursor == self.level;
            let takes_news = member.echo && is_up_to_level && bytes <= bytes_max;
            let written = if takes_news { write(&member.handle, slices) } else { None };
            if written == Some(bytes) {
                (member.cursor, member.seq) = (end, seq);
                self.deliveries += frames;
            } else {
                others.push((id, written));
            }
        }
        others
    }

    /// Ends a round: notes that everybody was handed what is published, or passed over and [settled](Self::settle).
    pub fn end_round(&mut self) {
        self.level = self.backlog.end();
    }

    /// Puts what the member should be written next into `slices`, at most `bytes_max` bytes, and returns how many of the
    /// slices were filled. None: it has everything.
    pub fn pending<'a>(&'a self, id: usize, slices: &mut [IoSlice<'a>], bytes_max: usize) -> usize {
        let member = &self.members[id];
        let mut filled = 0;
        let mut left_bytes = bytes_max as u64;
        // A range may take two slices.
        let ranges_max = slices.len() / 2;
        let mut put = |range: std::ops::Range<u64>| {
            let end = range.end.min(range.start.saturating_add(left_bytes));
            left_bytes -= end - range.start;
            for slice in self.backlog.slices(range.start..end) {
                if !slice.is_empty() && filled < slices.len() {
                    slices[filled] = IoSlice::new(slice);
                    filled += 1;
                }
            }
            left_bytes > 0
        };
        if member.echo {
            put(member.cursor..self.backlog.end());
        } else {
            self.backlog.ranges_without(member.number, member.cursor).take(ranges_max).all(put);
        }
        filled
    }

    /// Moves the member's cursor by the bytes that were written of what [`pending`](Self::pending) gave.
    pub fn advance(&mut self, id: usize, written: usize) {
        let member = &self.members[id];
        let cursor =
            if member.echo { member.cursor + written as u64 } else { self.position_without_own(id, written as u64) };
        let seq = if cursor == self.backlog.end() { self.backlog.next_seq() } else { self.backlog.seq_at(cursor) };
        let own = if member.echo { 0 } else { self.backlog.count_of(member.number, member.cursor..cursor) };
        self.deliveries += seq - member.seq - own;
        let member = &mut self.members[id];
        (member.cursor, member.seq) = (cursor, seq);
        self.settle(id);
    }

    /// Where a member without echo is after `written` more bytes: behind its own frames, where all before them is out.
    fn position_without_own(&self, id: usize, written: u64) -> u64 {
        let member = &self.members[id];
        let mut left_bytes = written;
        for range in self.backlog.ranges_without(member.number, member.cursor) {
            if left_bytes < range.end - range.start {
                return if left_bytes == 0 { range.start } else { range.start + left_bytes };
            }
            left_bytes -= range.end - range.start;
        }
        self.backlog.end()
    }

    /// The rest of a frame that the member has in part; two empty slices if it is between two frames.
    pub fn slices_to_boundary(&self, id: usize) -> [&[u8]; 2] {
        let cursor = self.members[id].cursor;
        self.backlog.slices(cursor..self.backlog.boundary_from(cursor))
    }

    /// Keeps the order of those behind in step with the member's cursor. To be called for whoever is passed over in a
    /// round, too.
    pub fn settle(&mut self, id: usize) {
        let end = self.backlog.end();
        let member = &mut self.members[id];
        let cursor = member.cursor;
        let Some(behind) = &mut member.behind else {
            if cursor < end {
                member.behind = Some(Box::new(Behind { cursor, waited: Duration::ZERO, since: None, mark: cursor }));
                self.behind.insert((cursor, id));
            }
            return;
        };
        if behind.cursor == cursor && cursor < end {
            return;
        }
        self.behind.remove(&(behind.cursor, id));
        if cursor == end {
            member.behind = None;
            return;
        }
        behind.cursor = cursor;
        if cursor - behind.mark >= PROGRESS_BYTES_MIN {
            // The wait that is under way starts anew with the next review.
            (behind.mark, behind.waited, behind.since) = (cursor, Duration::ZERO, None);
        }
        self.behind.insert((cursor, id));
    }

    /// Looks at who keeps publishers waiting. Returns those who have done so for longer than the patience, and when to
    /// look again: `None` if nobody waits.
    ///
    /// A member's account grows while somebody waits for it, or waits while it is behind by more than half the backlog: so
    /// those who stall one after the other do not each have a patience of their own. It is cleared when it has taken [`PROGRESS_BYTES_MIN`] or
    /// all there is: so a slow reader that moves stays, and one that trickles cannot hold up the room for ever.
    pub fn review(&mut self, now: Instant) -> (Vec<usize>, Option<Instant>) {
        let needed = self.waiting.front().map(|next| self.backlog.floor_needed(next.frame.len()));
        let half_back = self.backlog.position_of(self.backlog.first_seq_of_newer_half());
        let half_back = half_back.expect("it is held, or the next to come");
        let mut late = Vec::new();
        let mut look_again = needed.map(|_| now + self.patience);
        for &(cursor, id) in &self.behind {
            let behind = self.members[id].behind.as_mut().expect("whoever is in the order is behind");
            if needed.is_some_and(|needed| cursor < needed.max(half_back)) {
                let since = *behind.since.get_or_insert(now);
                let ends = since + self.patience.saturating_sub(behind.waited);
                if ends <= now {
                    late.push(id);
                } else {
                    look_again = look_again.min(Some(ends));
                }
            } else if let Some(since) = behind.since.take() {
                behind.waited += now.saturating_duration_since(since);
            }
        }
        (late, look_again)
    }

    /// The position that everybody has reached.
    fn floor(&self) -> u64 {
        self.behind.first().map_or(self.level, |&(cursor, _)| cursor.min(self.level))
    }

    /// The number of the newest message; 0 before the first.
    pub fn head(&self) -> u64 {
        self.backlog.next_seq() - 1
    }

    /// Whether a member has everything that is published.
    pub fn is_up_to_date(&self, id: usize) -> bool {
        self.members[id].cursor == self.backlog.end()
    }

    /// Whether a publisher waits for room in the backlog.
    pub fn is_anybody_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What the owner needs to reach a member; `None` where nobody is.
    pub fn get(&self, id: usize) -> Option<&S> {
        self.members.get(id).map(|member| &member.handle)
    }

    /// All members, with their places.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &S)> {
        self.members.iter().map(|(id, member)| (id, &member.handle))
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many members have not got everything.
    pub fn behind_len(&self) -> usize {
        self.behind.len()
    }

    /// How many publishers wait.
    pub fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// Messages that were written in full, one for each member that got it.
    pub fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// The shared log, for its figures.
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }
}

#[cfg(test)]
mod tests;
