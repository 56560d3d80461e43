//! Locks, step by step and against a model.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const SECOND: Duration = Duration::from_secs(1);

/// Adds so many wrong codes, and returns how many of them were taken before the lock.
fn guess(guesses: &mut Guesses, from: &str, times: u32, now: Instant) -> u32 {
    let is_taken = |_: &u32| {
        let is_free = guesses.locked_for(ip(from), now).is_none();
        if is_free {
            guesses.add(ip(from), now);
        }
        is_free
    };
    u32::try_from((0..times).filter(is_taken).count()).unwrap()
}

#[test]
fn five_wrong_codes_lock_an_address_for_the_rest_of_the_minute_that_the_first_has_begun() {
    let (mut guesses, began) = (Guesses::new(), Instant::now());
    for nth in 0..4 {
        assert_eq!(guesses.add(ip("192.0.2.1"), began + 10 * nth * SECOND), None);
        assert_eq!(guesses.locked_for(ip("192.0.2.1"), began + 10 * nth * SECOND), None);
    }
    assert_eq!(guesses.add(ip("192.0.2.1"), began + 45 * SECOND), Some(Origin::Address(ip("192.0.2.1"))));
    let locked_at = |secs| guesses.locked_for(ip("192.0.2.1"), began + secs * SECOND);
    assert_eq!([45, 59, 60, 61].map(locked_at), [Some(15 * SECOND), Some(SECOND), None, None]);
    assert_eq!(guesses.locked_for(ip("192.0.2.2"), began + 45 * SECOND), None, "another one");
    assert_eq!(guesses.add(ip("192.0.2.1"), began + 60 * SECOND), None, "a new minute begins");
    assert_eq!(guess(&mut guesses, "192.0.2.1", 9, began + 119 * SECOND), 4);
    assert_eq!(guesses.locked_for(ip("192.0.2.1"), began + 119 * SECOND), Some(SECOND));
}

#[test]
fn what_is_locked_is_told_by_its_name() {
    for (from, guesses_max, name) in [
        (&["::ffff:192.0.2.1"][..], GUESSES_PER_IP_MAX, "192.0.2.1"),
        (&["fd00::1"], GUESSES_PER_IP_MAX, "fd00::1"),
        (&["127.0.0.1", "::1"], GUESSES_PER_PROXY_MAX, "127.0.0.1 and ::1"),
    ] {
        let (mut guesses, now) = (Guesses::new(), Instant::now());
        let told = (0..guesses_max as usize).filter_map(|nth| guesses.add(ip(from[nth % from.len()]), now));
        assert_eq!(told.map(|origin| origin.to_string()).collect::<Vec<_>>(), [name]);
    }
    // Who of a network brings the last one need have brought no other.
    let (mut guesses, now) = (Guesses::new(), Instant::now());
    let told = (1..=GUESSES_PER_NETWORK_MAX).filter_map(|nth| guesses.add(ip(&format!("fd00:0:0:7::{nth:x}")), now));
    assert_eq!(told.map(|origin| origin.to_string()).collect::<Vec<_>>(), ["fd00:0:0:7::/64"]);
}

#[test]
fn an_ipv4_address_is_the_same_in_both_of_its_forms() {
    let (mut guesses, now) = (Guesses::new(), Instant::now());
    assert_eq!(guess(&mut guesses, "::ffff:192.0.2.1", 3, now), 3);
    assert_eq!(guess(&mut guesses, "192.0.2.1", 9, now), 2);
    assert!(guesses.locked_for(ip("::ffff:192.0.2.1"), now).is_some());
    assert_eq!(guess(&mut guesses, "::ffff:192.0.2.2", 9, now), 5, "they are no network");
}

#[test]
fn what_a_proxy_comes_from_is_locked_later_and_together() {
    let (mut guesses, now) = (Guesses::new(), Instant::now());
    assert_eq!(guess(&mut guesses, "127.0.0.1", 20, now), 20);
    assert_eq!(guess(&mut guesses, "::1", 20, now), 10);
    for from in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        assert!(guesses.locked_for(ip(from), now).is_some(), "{from}");
    }
    assert_eq!(guess(&mut guesses, "127.0.0.2", 20, now), 5, "like any other");
    assert_eq!(guess(&mut guesses, "::2", 20, now), 5, "like any other");
}

#[test]
fn a_network_has_a_lock_of_its_own_beside_that_of_each_address() {
    let (mut guesses, now) = (Guesses::new(), Instant::now());
    let taken: Vec<u32> = (1..=12).map(|nth| guess(&mut guesses, &format!("2001:db8::{nth:x}"), 9, now)).collect();
    assert_eq!(taken, [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 0, 0]);
    assert!(guesses.locked_for(ip("2001:db8::ffff"), now).is_some());
    assert_eq!(guesses.locked_for(ip("2001:db8:0:1::1"), now), None, "the next network");
    assert_eq!(guess(&mut guesses, "2001:db8:0:1::1", 9, now), 5);
    assert!(guesses.locked_for(ip("2001:db8::ffff"), now).is_some(), "and still");
}

#[test]
fn the_longer_of_two_locks_counts() {
    let (mut guesses, began) = (Guesses::new(), Instant::now());
    guess(&mut guesses, "2001:db8::1", 5, began);
    for nth in 2..=10 {
        guess(&mut guesses, &format!("2001:db8::{nth:x}"), 5, began + 30 * SECOND);
    }
    let later = began + 40 * SECOND;
    assert_eq!(guesses.locked_for(ip("2001:db8::2"), later), Some(50 * SECOND), "its own");
    assert_eq!(guesses.locked_for(ip("2001:db8::1"), later), Some(20 * SECOND), "both began together");
    assert_eq!(guesses.locked_for(ip("2001:db8::99"), later), Some(20 * SECOND), "the network's");

    let mut guesses = Guesses::new();
    guess(&mut guesses, "2001:db8::2", 1, began);
    guess(&mut guesses, "2001:db8::1", 1, began + 50 * SECOND);
    for nth in 1..=12 {
        guess(&mut guesses, &format!("2001:db8::{nth:x}"), 5, began + 60 * SECOND);
    }
    let later = began + 70 * SECOND;
    assert_eq!(guesses.locked_for(ip("2001:db8::1"), later), Some(50 * SECOND), "the network's minute began later");
}

#[test]
fn a_full_table_forgets_what_is_not_locked_first_and_of_that_what_began_first() {
    let (mut guesses, now) = (Guesses::new(), Instant::now());
    let from = |nth: usize| format!("10.0.{}.{}", nth / 256, nth % 256);
    guess(&mut guesses, &from(0), 5, now);
    for nth in 1..GUESSERS_MAX {
        guess(&mut guesses, &from(nth), 4, now);
    }
    let last = from(GUESSERS_MAX);
    guess(&mut guesses, &last, 4, now);
    assert_eq!(guesses.by_address.windows.len(), GUESSERS_MAX);
    assert_eq!(guess(&mut guesses, &from(0), 9, now), 0, "it is still locked");
    assert_eq!(guess(&mut guesses, &from(2), 9, now), 1, "it is still known");
    assert_eq!(guess(&mut guesses, &from(1), 9, now), 5, "it was forgotten");
    // From here on all are locked.
    for nth in 1..=GUESSERS_MAX {
        guess(&mut guesses, &from(nth), 9, now);
    }
    assert_eq!(guess(&mut guesses, "192.0.2.1", 9, now), 5);
    assert_eq!(guess(&mut guesses, "192.0.2.1", 9, now), 0);
    assert_eq!(guess(&mut guesses, &last, 9, now), 0, "not the newest one has gone for it");
    assert_eq!(guess(&mut guesses, &from(0), 9, now), 5, "but the oldest");
    assert_eq!(guesses.by_address.windows.len(), GUESSERS_MAX);
}

#[test]
fn the_many_addresses_of_a_network_do_not_push_out_its_lock() {
    let (mut guesses, now) = (Guesses::new(), Instant::now());
    let mut taken = 0;
    for nth in 0..4 * u128::try_from(GUESSERS_MAX).unwrap() {
        let from = Ipv6Addr::from(0x2001_0db8 << 96 | nth).to_string();
        taken += guess(&mut guesses, &from, 1, now);
    }
    assert_eq!(taken, GUESSES_PER_NETWORK_MAX);
}

/// The rules once more, of a table that may hold so many: by names, each with when it began and its guesses.
struct Model {
    windows_max: usize,
    windows: HashMap<Ipv4Addr, (Duration, u32)>,
}

impl Model {
    fn forget_old(&mut self, now: Duration) {
        self.windows.retain(|_, (began, _)| now < *began + GUESS_WINDOW);
    }

    fn locked_for(&self, from: Ipv4Addr) -> Option<Duration> {
        let (began, guesses) = self.windows.get(&from)?;
        (*guesses >= GUESSES_PER_IP_MAX).then(|| *began + GUESS_WINDOW)
    }

    fn add(&mut self, from: Ipv4Addr, now: Duration) {
        if let Some((_, guesses)) = self.windows.get_mut(&from) {
            *guesses += 1;
            return;
        }
        while self.windows.len() >= self.windows_max {
            let order = |(from, (began, guesses)): (&Ipv4Addr, &(Duration, u32))| {
                (*guesses >= GUESSES_PER_IP_MAX, *began, *from)
            };
            let (_, _, goes) = self.windows.iter().map(order).min().expect("there are some");
            self.windows.remove(&goes);
        }
        self.windows.insert(from, (now, 1));
    }
}

/// Some guess more than others, so that tables are full of locks, too.
fn guesser() -> impl Strategy<Value = u8> {
    prop_oneof![6 => 0_u8..3, 1 => 0_u8..8]
}

/// Never two at the same moment, so that it is clear whose window began first.
fn pause_millis() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 1_u64..200, 1 => 1_u64..40_000]
}

proptest! {
    #[test]
    fn whoever_guesses_whenever_the_right_ones_are_locked(
        windows_max in 1_usize..6,
        steps in prop::collection::vec((guesser(), pause_millis()), 1..400),
    ) {
        let began = Instant::now();
        let mut table = Table::new(windows_max);
        let mut model = Model { windows_max, windows: HashMap::new() };
        let mut now = Duration::ZERO;
        for (nth, millis) in steps {
            now += Duration::from_millis(millis);
            let from = Ipv4Addr::new(192, 0, 2, nth);
            model.forget_old(now);
            let origin = Origin::of(from.into()).0;
            for nth in 0..8 {
                let from = Ipv4Addr::new(192, 0, 2, nth);
                let locked_until = table.locked_for(Origin::of(from.into()).0, began + now).map(|rest| now + rest);
                prop_assert_eq!(locked_until, model.locked_for(from));
            }
            if model.locked_for(from).is_none() {
                table.add(origin, began + now);
                model.add(from, now);
            }
            prop_assert!(table.windows.len() <= windows_max);
        }
    }
}
