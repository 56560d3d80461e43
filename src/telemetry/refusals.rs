//! The last few refusals, for who looks why a device does not come in: it prints no answer, and nobody reads the log of a board.
//!
//! Leaves to others what is refused, and what of it may be shown. What must stay true: anybody can cause entries, so there are only a
//! few, for an hour, and of one address fewer than all: a device that tries again and again does not push out the others'.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

use crate::config::limits::{REFUSAL_KEPT_FOR, REFUSALS_KEPT_MAX, REFUSALS_PER_IP_MAX};

/// What was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where it came from, IPv4 addresses as such.
    pub address: IpAddr,
    /// The status of the answer.
    pub status: u16,
    /// The sentence of the answer.
    pub why: &'static str,
    /// The header that was the reason.
    pub header: Option<Header>,
}

/// A header that was the reason to refuse a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: &'static str,
    /// The host or origin that it had, cut. `None` if it had none that can be read.
    pub value: Option<String>,
    /// Whether nobody outside of the network can have chosen it, so that it may be shown to everybody who opens the page.
    pub is_local: bool,
}

/// How often and when.
#[derive(Debug)]
struct Entry {
    refusal: Refusal,
    times: u64,
    last: Instant,
}

/// The last few refusals.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Oldest first.
    entries: RefCell<VecDeque<Entry>>,
}

impl Refusals {
    /// Keeps one more.
    pub fn add(&self, refusal: Refusal, now: Instant) {
        let mut entries = self.entries.borrow_mut();
        entries.retain(|entry| now.duration_since(entry.last) < REFUSAL_KEPT_FOR);
        let same = entries.iter().position(|entry| entry.refusal == refusal);
        let times = same.and_then(|same| entries.remove(same)).map_or(0, |entry| entry.times);
        let mut own = (0..entries.len()).filter(|&nth| entries[nth].refusal.address == refusal.address);
        let oldest_own = own.next().filter(|_| own.count() + 1 == REFUSALS_PER_IP_MAX);
        if let Some(goes) = oldest_own.or((entries.len() == REFUSALS_KEPT_MAX).then_some(0)) {
            entries.remove(goes);
        }
        entries.push_back(Entry { refusal, times: times + 1, last: now });
    }

    /// Hands over each that is not older than it may get, the newest first, with its times and the seconds since the last.
    pub fn each(&self, now: Instant, mut take: impl FnMut(&Refusal, u64, u64)) {
        for Entry { refusal, times, last } in self.entries.borrow().iter().rev() {
            let ago = now.duration_since(*last);
            if ago < REFUSAL_KEPT_FOR {
                take(refusal, *times, ago.as_secs());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refusal(last_byte: usize, status: u16) -> Refusal {
        let address = IpAddr::from([10, 0, 0, u8::try_from(last_byte).unwrap()]);
        Refusal { address, status, why: "No.", header: None }
    }

    /// The last byte of the address, the status, times and seconds of each.
    fn kept(refusals: &Refusals, now: Instant) -> Vec<(u8, u16, u64, u64)> {
        let mut kept = Vec::new();
        refusals.each(now, |refusal, times, secs_ago| {
            let IpAddr::V4(address) = refusal.address else { panic!("{refusal:?}") };
            kept.push((address.octets()[3], refusal.status, times, secs_ago));
        });
        kept
    }

    #[test]
    fn the_newest_are_first_and_equal_ones_are_one() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        for (secs, refusal) in [(0, refusal(1, 403)), (1, refusal(2, 403)), (5, refusal(1, 403))] {
            refusals.add(refusal, start + Duration::from_secs(secs));
        }
        assert_eq!(kept(&refusals, start + Duration::from_secs(9)), [(1, 403, 2, 4), (2, 403, 1, 8)]);
    }

    #[test]
    fn one_address_has_few_and_pushes_out_only_its_own() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        refusals.add(refusal(1, 403), now);
        for status in 400..500 {
            refusals.add(refusal(2, status), now);
        }
        assert_eq!(kept(&refusals, now), [(2, 499, 1, 0), (2, 498, 1, 0), (1, 403, 1, 0)]);
        assert_eq!(REFUSALS_PER_IP_MAX, 2);
    }

    #[test]
    fn all_addresses_together_have_a_few_and_the_oldest_goes() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        for nth in 1..=REFUSALS_KEPT_MAX + 1 {
            refusals.add(refusal(nth, 403), now);
        }
        let kept = kept(&refusals, now);
        assert_eq!((kept.len(), kept[0].0, kept[REFUSALS_KEPT_MAX - 1].0), (REFUSALS_KEPT_MAX, 9, 2));
    }

    #[test]
    fn the_old_are_forgotten_whether_others_come_or_not() {
        let (refusals, start) = (Refusals::default(), Instant::now());
        refusals.add(refusal(1, 403), start);
        let second = Duration::from_secs(1);
        let last_secs = REFUSAL_KEPT_FOR.as_secs() - 1;
        assert_eq!(kept(&refusals, start + second * u32::try_from(last_secs).unwrap()), [(1, 403, 1, last_secs)]);
        let later = start + REFUSAL_KEPT_FOR;
        assert_eq!(kept(&refusals, later), []);
        refusals.add(refusal(1, 403), later);
        assert_eq!(kept(&refusals, later), [(1, 403, 1, 0)], "it counts from one again");
    }
}
