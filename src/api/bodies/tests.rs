//! Who has to go when bodies are too many, and what counts.

use proptest::prelude::*;

use super::*;
use crate::http::body::Framing;

const MESSAGE_BYTES_MAX: usize = 1 << 20;

fn bodies(message_bytes_max: usize) -> Bodies {
    Bodies::new(message_bytes_max, Arc::default())
}

/// A body with its decoder, to which bytes are added as they come.
struct Sender<'a>(Body<'a>, BodyDecoder);

impl<'a> Sender<'a> {
    fn new(bodies: &'a Bodies, length: usize) -> Self {
        let decoder = BodyDecoder::new(Framing::Length(length as u64), MESSAGE_BYTES_MAX).unwrap();
        Self(bodies.begin(length), decoder)
    }

    fn send(&mut self, bytes: usize) -> Result<(), u16> {
        self.0.add(&mut self.1, &vec![b'x'; bytes]).map(drop).map_err(|refusal| refusal.status)
    }

    fn is_displaced(&self) -> bool {
        self.0.with(|its| its.state == State::Displaced)
    }
}

#[test]
fn a_promise_costs_nothing() {
    let bodies = bodies(MESSAGE_BYTES_MAX);
    let mut senders: Vec<Sender<'_>> = (0..300).map(|_| Sender::new(&bodies, MESSAGE_BYTES_MAX)).collect();
    assert_eq!(bodies.bytes.get(), 0);
    for sender in &mut senders {
        sender.send(1).unwrap();
    }
    assert_eq!(bodies.bytes.get(), 300);
}

#[test]
fn the_body_that_stood_still_for_longest_goes_for_another_one() {
    let bodies = bodies(MESSAGE_BYTES_MAX);
    let mut senders: Vec<Sender<'_>> = (0..9).map(|_| Sender::new(&bodies, MESSAGE_BYTES_MAX)).collect();
    for sender in &mut senders[..8] {
        sender.send(MESSAGE_BYTES_MAX - 2).unwrap();
    }
    // The first comes on, and the second is complete: so the third has stood still for longest. What is no body's is no going on.
    senders[0].send(1).unwrap();
    senders[1].0.complete();
    senders[2].send(0).unwrap();
    // No more than what there is room for.
    senders[8].send(14).unwrap();
    assert!(senders.iter().all(|sender| !sender.is_displaced()));
    senders[8].send(1).unwrap();
    let displaced: Vec<usize> = (0..9).filter(|nth| senders[*nth].is_displaced()).collect();
    assert_eq!(displaced, [2]);
    assert!(senders[2].0.with(|its| its.bytes.capacity()) == 0, "its memory is free at once");
    // A displaced one is not asked again, and gives nothing back twice.
    for _ in 0..4 {
        senders.pop();
    }
    drop(senders);
    assert_eq!(bodies.bytes.get(), 0);
}

#[test]
fn nobody_goes_for_what_may_not_come() {
    let bodies = bodies(MESSAGE_BYTES_MAX);
    let mut senders: Vec<Sender<'_>> = (0..9).map(|_| Sender::new(&bodies, MESSAGE_BYTES_MAX)).collect();
    for sender in &mut senders[..7] {
        sender.send(MESSAGE_BYTES_MAX - 1).unwrap();
    }
    for sender in &mut senders[7..] {
        sender.send(MESSAGE_BYTES_MAX / 2).unwrap();
    }
    // With twice as much for this one, it would be too much; but only this byte has come.
    senders[8].send(7).unwrap();
    assert!(senders.iter().all(|sender| !sender.is_displaced()));
    assert_eq!(bodies.bytes.get(), bodies.bytes_max);
}

#[test]
fn complete_bodies_keep_their_place_and_count_when_they_are_taken_out() {
    let bodies = bodies(MESSAGE_BYTES_MAX);
    let mut whole: Vec<Sender<'_>> = (0..8).map(|_| Sender::new(&bodies, MESSAGE_BYTES_MAX)).collect();
    for sender in &mut whole {
        sender.send(MESSAGE_BYTES_MAX).unwrap();
        sender.0.complete();
    }
    let taken = whole[0].0.take();
    assert_eq!(taken.len(), MESSAGE_BYTES_MAX);
    let mut another = Sender::new(&bodies, 1);
    assert_eq!(another.send(1), Err(503));
    drop(whole.pop());
    assert_eq!(another.send(1), Ok(()));
}

#[test]
fn there_is_always_room_for_two_of_the_largest_messages() {
    assert_eq!(bodies(MESSAGE_BYTES_MAX).bytes_max(), 8 << 20);
    assert_eq!(bodies(5 << 20).bytes_max(), 10 << 20);
}

#[test]
fn nobody_goes_who_has_no_memory_to_give() {
    let bodies = bodies(MESSAGE_BYTES_MAX);
    let promise = Sender::new(&bodies, MESSAGE_BYTES_MAX);
    let mut senders: Vec<Sender<'_>> = (0..9).map(|_| Sender::new(&bodies, MESSAGE_BYTES_MAX)).collect();
    for sender in &mut senders {
        sender.send(MESSAGE_BYTES_MAX - 1).unwrap();
    }
    assert!(!promise.is_displaced() && senders[0].is_displaced() && !senders[1].is_displaced());
}

#[test]
fn a_body_says_what_has_come_and_takes_no_more_memory_where_nothing_comes() {
    let bodies = bodies(MESSAGE_BYTES_MAX);
    let mut sender = Sender::new(&bodies, MESSAGE_BYTES_MAX);
    for (more, came) in [(0, 0), (100, 100), (0, 100), (50, 150)] {
        sender.send(more).unwrap();
        assert_eq!(sender.0.came_bytes(), came);
        assert_eq!(bodies.bytes.get(), if came > 100 { 200 } else { came }, "{came}");
    }
}

#[test]
fn who_waits_for_the_last_body_is_woken_at_its_end() {
    let bodies = bodies(MESSAGE_BYTES_MAX);
    let waiting = smol::future::poll_fn(|cx| bodies.poll_empty(cx));
    assert_eq!(smol::block_on(smol::future::poll_once(waiting)), Some(()), "there is none");
    let (body, other) = (bodies.begin(1), bodies.begin(1));
    let ends = async {
        drop(body);
        smol::future::yield_now().await;
        drop(other);
        smol::future::pending().await
    };
    let waiting = async {
        smol::future::poll_fn(|cx| bodies.poll_empty(cx)).await;
        bodies.under_way.borrow().len()
    };
    assert_eq!(smol::block_on(smol::future::or(waiting, ends)), 0);
}

proptest! {
    /// Whatever comes in whatever order, no more memory is taken than there may be, and what is counted is what is taken.
    #[test]
    fn memory_is_bounded_and_counted(steps in proptest::collection::vec((0_usize..40, 0_usize..400, 0_u8..10), 1..200)) {
        let mut bodies = bodies(MESSAGE_BYTES_MAX);
        bodies.bytes_max = 1000;
        let mut senders: Vec<Option<Sender<'_>>> = (0..40).map(|_| None).collect();
        for (nth, bytes, what) in steps {
            let slot = &mut senders[nth];
            match slot {
                Some(_) if what == 0 => *slot = None,
                Some(sender) if sender.is_displaced() => {}
                Some(sender) => {
                    let sent = sender.send(bytes);
                    prop_assert!(sent.is_ok() || sent == Err(503));
                    prop_assert!(!sender.is_displaced(), "whoever sends is not the one that goes");
                    if sender.1.is_complete() {
                        sender.0.complete();
                    }
                }
                None => *slot = Some(Sender::new(&bodies, bytes)),
            }
            let taken: usize = bodies.under_way.borrow().iter().map(|(_, body)| body.bytes.capacity()).sum();
            prop_assert_eq!(bodies.bytes.get(), taken);
            prop_assert!(taken <= bodies.bytes_max, "{} bytes", taken);
        }
    }
}
