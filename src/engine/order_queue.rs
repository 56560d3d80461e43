//! Orders on their way to the writer, and how they come back: the only thing that its thread and the hub's share.
//!
//! Leaves carrying them out to `writer`. What must stay true: orders come back in the order in which they were given; one that was given for a
//! connection which is gone is never carried out on the next; and nobody holds the lock while he waits for anything.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use smol::channel::Sender;

use crate::config::limits::{REDIS_IDLE, REDIS_PIPELINE_BYTES};
use crate::engine::order::{Answer, Event, Order, Ticket, Trouble};
use crate::hub::channel_name::ChannelName;

/// An order with its ticket. `None`: nobody is told what becomes of it.
pub type Given = (Option<Ticket>, Order);

/// What there is to do.
#[derive(Debug)]
pub enum ToDo {
    /// These orders.
    Orders(Vec<Given>),
    /// Nothing, for a while.
    Idle,
    /// Nothing, for ever.
    End,
}

/// The way of orders to the writer and back.
#[derive(Debug)]
pub struct OrderQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Given>,
    events: Sender<Event>,
    /// The connections that there have been.
    connections: u64,
    is_up: bool,
    /// Why there is none.
    problem: String,
    is_told: bool,
    is_ended: bool,
}

impl State {
    fn tell(&self, event: Event) {
        // Whoever is gone is not told.
        let _ = self.events.try_send(event);
    }

    fn give_back(&self, ticket: Option<Ticket>) {
        if let Some(ticket) = ticket {
            self.tell(Event::Done(ticket, Err(Trouble::Away(self.problem.clone()))));
        }
    }
}

impl OrderQueue {
    /// One whose events, of which there can be any number, go there.
    pub fn new(events: Sender<Event>) -> Self {
        let problem = "Redis has not been reached yet".to_owned();
        let (waiting, connections) = (VecDeque::new(), 0);
        let state = State { waiting, events, connections, is_up: false, problem, is_told: false, is_ended: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Gives an order for the connection of this number: whoever gives it has heard of so many. If it is another one by now, or none, the
    /// order comes back at once.
    pub fn submit(&self, connection: u64, ticket: Option<Ticket>, order: Order) {
        let mut state = self.state();
        if state.is_up && state.connections == connection && !state.is_ended {
            state.waiting.push_back((ticket, order));
            self.changed.notify_one();
        } else {
            state.give_back(ticket);
        }
    }

    /// There is a connection.
    pub fn up(&self, is_same: bool) {
        let mut state = self.state();
        state.connections += 1;
        state.is_up = true;
        state.is_told = false;
        state.tell(Event::Up { is_same });
    }

    /// There is none any more, or none to be had. What waits comes back. The same sentence is told once.
    pub fn down(&self, sentence: String) {
        let mut state = self.state();
        state.is_up = false;
        let is_new = !state.is_told || state.problem != sentence;
        state.problem = sentence;
        for (ticket, _) in std::mem::take(&mut state.waiting) {
            state.give_back(ticket);
        }
        if is_new {
            state.is_told = true;
            state.tell(Event::Down(state.problem.clone()));
        }
    }

    /// Tells what became of an order.
    pub fn done(&self, ticket: Option<Ticket>, result: Result<Answer, Trouble>) {
        if let Some(ticket) = ticket {
            self.state().tell(Event::Done(ticket, result));
        }
    }

    /// Waits for what there is to do. Orders are such that can go together: of each channel one that appends or begins an epoch, since what
    /// follows one that is refused is carried out all the same; and as many bytes as go at a time.
    pub fn next(&self) -> ToDo {
        let is_idle = |state: &mut State| state.waiting.is_empty() && !state.is_ended;
        let waited = self.changed.wait_timeout_while(self.state(), REDIS_IDLE, is_idle);
        let (mut state, _) = waited.expect("nobody panics with it");
        if state.waiting.is_empty() {
            return if state.is_ended { ToDo::End } else { ToDo::Idle };
        }
        let mut channels: BTreeSet<&ChannelName> = BTreeSet::new();
        let mut bytes = 0;
        let together = state.waiting.iter().take_while(|(_, order)| {
            bytes += order.bytes();
            let is_first = bytes == order.bytes();
            (is_first || bytes <= REDIS_PIPELINE_BYTES)
                && order.changes().is_none_or(|channel| channels.insert(channel))
        });
        let count = together.count();
        ToDo::Orders(state.waiting.drain(..count).collect())
    }

    /// Waits for so long, or for the end. Whether that has come.
    pub fn pause(&self, duration: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), duration, |state| !state.is_ended);
        waited.expect("nobody panics with it").0.is_ended
    }

    /// No orders follow.
    pub fn end(&self) {
        self.state().is_ended = true;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use smol::channel::{Receiver, unbounded};

    use super::*;
    use crate::engine::entry::EntryId;
    use crate::engine::order::Appended;
    use crate::hub::frame::Frame;

    fn queue() -> (OrderQueue, Receiver<Event>) {
        let (events, receiver) = unbounded();
        (OrderQueue::new(events), receiver)
    }

    /// What has been told: `u`p, `d`own, and the tickets that came back away.
    fn told(events: &Receiver<Event>) -> String {
        let event = |event| match event {
            Event::Up { .. } => "u".to_owned(),
            Event::Down(_) => "d".to_owned(),
            Event::Done(ticket, Err(Trouble::Away(_))) => ticket.to_string(),
            Event::Done(..) => panic!("{event:?}"),
        };
        std::iter::from_fn(|| events.try_recv().ok()).map(event).collect()
    }

    fn taken(queue: &OrderQueue) -> Vec<Ticket> {
        match queue.next() {
            ToDo::Orders(orders) => orders.into_iter().filter_map(|(ticket, _)| ticket).collect(),
            _ => Vec::new(),
        }
    }

    fn append(channel: &str, bytes: usize) -> Order {
        let messages = vec![Some(Appended { frame: Frame::binary(vec![0; bytes]), origin: None })];
        let channel = ChannelName::parse(channel).unwrap();
        Order::Append { channel, seen: EntryId::default(), first_counter: 1, oldest_seq: 1, messages }
    }

    #[test]
    fn without_a_connection_every_order_comes_back_at_once_and_in_order() {
        let (queue, events) = queue();
        queue.submit(0, Some(1), Order::Join { channel: ChannelName::MAIN, id: 1 });
        assert_eq!(told(&events), "1");
        queue.up(false);
        queue.submit(1, Some(2), Order::Join { channel: ChannelName::MAIN, id: 1 });
        queue.submit(1, None, Order::WakeReader);
        queue.submit(1, Some(3), Order::Join { channel: ChannelName::MAIN, id: 1 });
        assert_eq!(told(&events), "u");
        queue.down("gone".into());
        queue.submit(1, Some(4), Order::Join { channel: ChannelName::MAIN, id: 1 });
        assert_eq!(told(&events), "23d4");
    }

    #[test]
    fn an_order_for_an_earlier_connection_is_never_carried_out() {
        let (queue, events) = queue();
        queue.up(false);
        queue.down("gone".into());
        queue.up(true);
        queue.submit(1, Some(1), Order::Join { channel: ChannelName::MAIN, id: 1 });
        queue.submit(2, Some(2), Order::Join { channel: ChannelName::MAIN, id: 1 });
        assert_eq!(told(&events), "udu1");
        assert_eq!(taken(&queue), [2]);
    }

    #[test]
    fn the_same_problem_is_told_once_in_a_row() {
        let (queue, events) = queue();
        for (sentence, expected) in [("refused", "d"), ("refused", ""), ("lost", "d"), ("refused", "d")] {
            queue.down(sentence.into());
            assert_eq!(told(&events), expected);
        }
        queue.up(false);
        queue.down("refused".into());
        assert_eq!(told(&events), "ud");
    }

    #[test]
    fn orders_go_together_until_there_is_a_second_of_a_channel_or_too_many_bytes() {
        let (queue, _events) = queue();
        queue.up(false);
        let half = REDIS_PIPELINE_BYTES / 2;
        for (ticket, order) in [
            append("a", 1),
            Order::Join { channel: ChannelName::MAIN, id: 1 },
            append("b", 1),
            append("a", half),
            append("b", half),
            append("c", 3 * half),
            Order::Join { channel: ChannelName::MAIN, id: 1 },
        ]
        .into_iter()
        .enumerate()
        {
            queue.submit(1, Some(ticket as u64), order);
        }
        for expected in [&[0, 1, 2][..], &[3], &[4], &[5], &[6]] {
            assert_eq!(taken(&queue), expected);
        }
    }

    #[test]
    fn what_was_given_before_the_end_is_done() {
        let (queue, events) = queue();
        queue.up(false);
        queue.submit(1, Some(1), Order::Join { channel: ChannelName::MAIN, id: 1 });
        queue.end();
        queue.submit(1, Some(2), Order::Join { channel: ChannelName::MAIN, id: 1 });
        assert_eq!(told(&events), "u2");
        assert_eq!(taken(&queue), [1]);
        assert!(matches!(queue.next(), ToDo::End) && queue.pause(Duration::from_secs(3600)));
    }
}
