//! Who guesses codes, and for how long nothing from there is believed.
//!
//! No clock: every call is told the time. Leaves to others what a guess is. What must stay true: a lock ends with the minute that began
//! with the first wrong code; the tables are bounded, and what is locked is forgotten last.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::config::limits::{
    GUESS_WINDOW, GUESSERS_MAX, GUESSES_PER_IP_MAX, GUESSES_PER_NETWORK_MAX, GUESSES_PER_PROXY_MAX,
};

/// The wrong codes of the last minute, by where they came from.
#[derive(Debug)]
pub struct Guesses {
    by_address: Table,
    /// Apart, so that the many addresses of one network never push out what is known of the network.
    by_network: Table,
}

/// Where codes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `127.0.0.1` and `::1`: a proxy on this machine, behind which there may be anybody.
    Proxy,
    /// Any other address.
    Address(IpAddr),
    /// A /64 of IPv6: what one household or one machine has for itself.
    Network(u128),
}

impl Origin {
    /// Which of them an address is.
    fn of(ip: IpAddr) -> (Self, Option<Self>) {
        match ip.to_canonical() {
            IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(Ipv6Addr::LOCALHOST) => (Self::Proxy, None),
            IpAddr::V6(ip) => (Self::Address(ip.into()), Some(Self::Network(ip.to_bits() >> 64))),
            ip @ IpAddr::V4(_) => (Self::Address(ip), None),
        }
    }

    /// After how many wrong codes it is locked.
    fn guesses_max(self) -> u32 {
        match self {
            Self::Proxy => GUESSES_PER_PROXY_MAX,
            Self::Address(_) => GUESSES_PER_IP_MAX,
            Self::Network(_) => GUESSES_PER_NETWORK_MAX,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Proxy => f.write_str("127.0.0.1 and ::1"),
            Self::Address(ip) => ip.fmt(f),
            Self::Network(bits) => write!(f, "{}/64", Ipv6Addr::from_bits(bits << 64)),
        }
    }
}

impl Guesses {
    /// Nobody has guessed.
    pub fn new() -> Self {
        Self { by_address: Table::new(GUESSERS_MAX), by_network: Table::new(GUESSERS_MAX) }
    }

    /// For how long codes from this address count for nothing; `None` if they count.
    pub fn locked_for(&self, ip: IpAddr, now: Instant) -> Option<Duration> {
        let (address, network) = Origin::of(ip);
        let of_network = network.and_then(|network| self.by_network.locked_for(network, now));
        self.by_address.locked_for(address, now).max(of_network)
    }

    /// Notes a wrong code from an address that is not locked. Returns what is locked now, if anything is.
    pub fn add(&mut self, ip: IpAddr, now: Instant) -> Option<Origin> {
        let (address, network) = Origin::of(ip);
        self.by_address.add(address, now);
        if let Some(network) = network {
            self.by_network.add(network, now);
        }
        let network = network.filter(|network| self.by_network.locked_for(*network, now).is_some());
        network.or_else(|| self.by_address.locked_for(address, now).map(|_| address))
    }
}

impl Default for Guesses {
    fn default() -> Self {
        Self::new()
    }
}

/// A minute of one origin.
#[derive(Debug)]
struct Window {
    origin: Origin,
    began: Instant,
    guesses: u32,
}

impl Window {
    fn is_locked(&self) -> bool {
        self.guesses >= self.origin.guesses_max()
    }

    /// What is left of it.
    fn rest(&self, now: Instant) -> Option<Duration> {
        GUESS_WINDOW.checked_sub(now.saturating_duration_since(self.began)).filter(|rest| !rest.is_zero())
    }
}

/// The windows that have begun, oldest first.
#[derive(Debug)]
struct Table {
    windows: VecDeque<Window>,
    windows_max: usize,
}

impl Table {
    fn new(windows_max: usize) -> Self {
        Self { windows: VecDeque::new(), windows_max }
    }

    fn locked_for(&self, origin: Origin, now: Instant) -> Option<Duration> {
        let window = self.windows.iter().find(|window| window.origin == origin)?;
        window.rest(now).filter(|_| window.is_locked())
    }

    fn add(&mut self, origin: Origin, now: Instant) {
        while self.windows.front().is_some_and(|oldest| oldest.rest(now).is_none()) {
            self.windows.pop_front();
        }
        if let Some(window) = self.windows.iter_mut().find(|window| window.origin == origin) {
            window.guesses += 1;
            return;
        }
        if self.windows.len() == self.windows_max {
            let unlocked = self.windows.iter().position(|window| !window.is_locked());
            self.windows.remove(unlocked.unwrap_or(0));
        }
        self.windows.push_back(Window { origin, began: now, guesses: 1 });
    }
}

#[cfg(test)]
mod tests;
