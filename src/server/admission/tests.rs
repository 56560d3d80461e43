//! Who is admitted, who is dropped for a newer one, and that every permit comes back.

use async_executor::LocalExecutor;
use smol::future;

use super::*;

fn admission(pending: usize, slow_readers: usize, clients: usize, clients_per_ip_max: Option<usize>) -> Rc<Admission> {
    let budget = FdBudget { http_in_flight: 1, pending, slow_readers, clients };
    Rc::new(Admission::new(budget, clients_per_ip_max, Arc::new(Counters::new())))
}

/// Takes so many connections in, which have the ids from 0 on.
fn add_pending(admission: &Admission, executor: &LocalExecutor<'static>, connections: usize) {
    for _ in 0..connections {
        admission.add_pending(|_| executor.spawn(future::pending()));
    }
}

/// The ids of those who are still here.
fn pending(admission: &Admission) -> Vec<u64> {
    let mut ids: Vec<u64> = admission.pending.borrow().keys().map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids
}

fn ip(last: u16) -> IpAddr {
    IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last])
}

#[test]
fn an_address_is_forgotten_when_its_last_client_has_gone() {
    let admission = admission(1, 1, 100, Some(2));
    let permits: Vec<ClientPermit> =
        (0..90).map(|nth| admission.admit_client(ip(nth / 2)).expect("there is a place")).collect();
    assert_eq!(admission.clients_from.borrow().len(), 45);
    assert_eq!(admission.admit_client(ip(0)).unwrap_err(), TOO_MANY_FROM_IP);
    drop(permits);
    assert_eq!(admission.clients.get(), 0);
    assert_eq!(*admission.clients_from.borrow(), HashMap::new(), "memory does not grow with addresses");
}

#[test]
fn who_is_refused_leaves_nothing_behind() {
    let admission = admission(1, 1, 1, Some(1));
    let only = admission.admit_client(ip(0)).unwrap();
    for other in 1..100 {
        assert_eq!(admission.admit_client(ip(other)).unwrap_err(), FULL);
    }
    drop(only);
    assert_eq!(*admission.clients_from.borrow(), HashMap::new());
}

#[test]
fn a_successor_has_the_place_of_its_predecessor_and_no_newcomer_gets_it() {
    let admission = admission(1, 1, 2, Some(1));
    let [first, second] = [0, 1].map(|last| admission.admit_client(ip(last)).unwrap());
    let successors = [0, 1].map(|last| admission.admit_successor(ip(last), ip(last)).unwrap());
    let has_place = |nth: usize| future::block_on(future::poll_once(successors[nth].wait_for_place())).is_some();
    assert!(!has_place(0));
    drop(first);
    assert_eq!(admission.admit_client(ip(2)).unwrap_err(), FULL);
    drop(second);
    assert!(has_place(0) && has_place(1));
    assert_eq!(admission.admit_successor(ip(0), ip(1)).unwrap_err(), TOO_MANY_FROM_IP);
    assert!(admission.admit_successor(ip(2), ip(1)).is_ok(), "it has moved to another address");
    drop(successors);
    assert_eq!(admission.clients.get(), 0);
}

#[test]
fn the_oldest_that_is_idle_goes_for_a_newcomer() {
    let (admission, executor) = (admission(4, 4, 1, None), LocalExecutor::new());
    add_pending(&admission, &executor, 4);
    let permits = [admission.begin_request(0).unwrap(), admission.begin_request(1).unwrap()];
    permits[0].response_is_ready();
    add_pending(&admission, &executor, 1);
    assert_eq!(pending(&admission), [0, 1, 3, 4], "2 was the oldest that was idle");
    add_pending(&admission, &executor, 2);
    assert_eq!(pending(&admission), [0, 1, 5, 6]);
    assert_eq!(admission.counters.pending_dropped.get(), 3);
}

#[test]
fn half_of_the_pending_connections_may_be_more_than_idle() {
    let (admission, executor) = (admission(6, 6, 1, None), LocalExecutor::new());
    add_pending(&admission, &executor, 6);
    let mut permits: Vec<_> = (0..3).map(|id| admission.begin_request(id).unwrap()).collect();
    permits[0].response_is_ready();
    assert_eq!(admission.begin_request(3).unwrap_err(), BUSY);
    drop(permits.remove(0));
    assert!(admission.begin_request(3).is_ok());
}

#[test]
fn of_too_many_slow_readers_the_oldest_other_one_goes_in_whatever_order_they_become_slow() {
    for (order, left) in [([1, 0, 2, 3], [2, 3]), ([3, 2, 1, 0], [0, 3]), ([0, 3, 1, 2], [2, 3])] {
        let (admission, executor) = (admission(10, 2, 1, None), LocalExecutor::new());
        add_pending(&admission, &executor, 4);
        let permits: Vec<_> = (0..4).map(|id| admission.begin_request(id).unwrap()).collect();
        for id in order {
            permits[id].response_is_ready();
        }
        assert_eq!(pending(&admission), left, "after {order:?}");
        assert_eq!(admission.counters.pending_dropped.get(), 2);
        drop(permits);
        assert_eq!(admission.in_flight.get(), 0);
    }
}

#[test]
fn when_there_are_too_many_large_heads_the_oldest_that_is_not_complete_is_dropped() {
    let executor = LocalExecutor::new();
    let admission = admission(1000, 1, 1, None);
    add_pending(&admission, &executor, LARGE_HEADS_MAX + 2);
    let mut permits: Vec<_> = (0..LARGE_HEADS_MAX as u64).map(|id| admission.admit_large_head(id).unwrap()).collect();
    let answered = admission.begin_request(0).unwrap();
    let [next, last] = [0, 1].map(|more| (LARGE_HEADS_MAX + more) as u64);
    permits.push(admission.admit_large_head(next).unwrap());
    let left = pending(&admission);
    assert!(left.contains(&0) && !left.contains(&1) && left.contains(&2), "0 is being answered, 1 has to go: {left:?}");
    assert_eq!(admission.counters.pending_dropped.get(), 1);
    // Its task goes later, and gives back what it has lost already.
    drop(permits.remove(1));
    assert_eq!(admission.large_heads.borrow().len(), LARGE_HEADS_MAX);
    let all_answered: Vec<_> = left.iter().filter_map(|id| admission.begin_request(*id).ok()).collect();
    assert_eq!(admission.admit_large_head(last).unwrap_err(), BUSY);
    drop((permits, answered, all_answered));
    assert!(admission.large_heads.borrow().is_empty());
    assert!(admission.admit_large_head(last).is_ok());
}
