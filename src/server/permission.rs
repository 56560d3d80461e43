//! Whether a request may do what it wants, by the code that it brings.
//!
//! Leaves finding a code to `http::offered_code`, and comparing it to `access`. What must stay true: while an address is locked, nothing
//! that it is answered depends on its codes; who brings none is never locked out; only a wrong code is a guess.

use std::cell::RefCell;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use log::info;

use crate::access::codes::{Codes, Judged, Right};
use crate::access::guesses::Guesses;
use crate::http::offered_code::{OfferedCode, Place};
use crate::http::refusal::{LOCKED, NO_CODE, RECEIVE_ONLY, Refusal, WRONG_CODE};
use crate::hub::channel_name::ChannelName;

/// Judges codes.
#[derive(Debug)]
pub struct Permissions {
    codes: Codes,
    guesses: RefCell<Guesses>,
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need<'a> {
    /// Where.
    pub channel: &'a ChannelName,
    /// The least that it has to be able to do there.
    pub right: Right,
    /// Whether it can do more with more: a WebSocket may send later.
    pub takes_more: bool,
    /// The connection that it replaces.
    pub predecessor: Option<&'a str>,
}

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Visitor {
    /// Where the request comes from.
    pub ip: IpAddr,
    /// The right that the connection which it replaces has shown by a code.
    pub known: Option<Right>,
    /// The time.
    pub now: Instant,
}

/// That a request may do what it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// Whether it may send, too.
    pub may_send: bool,
    /// The right that it has shown by a code.
    pub by_code: Option<Right>,
}

/// That it may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    /// What it is told.
    pub refusal: Refusal,
    /// For how long that holds, if that is known.
    pub retry_after: Option<Duration>,
}

impl Permission {
    /// Of one that needs no code.
    pub fn without_code(right: Right) -> Self {
        Self { may_send: right == Right::Send, by_code: None }
    }

    fn by_code(right: Right) -> Self {
        Self { may_send: right == Right::Send, by_code: Some(right) }
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, retry_after: None }
    }
}

impl Permissions {
    /// By these codes. Nobody has guessed yet.
    pub fn new(codes: Codes) -> Self {
        Self { codes, guesses: RefCell::default() }
    }

    /// Judges a request, and counts its code if that is a guess.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(&self, need: Need<'_>, offered: Option<&OfferedCode>, visitor: Visitor) -> Result<Permission, Denied> {
        let free = self.codes.right_without(need.channel);
        let enough = free.filter(|free| *free >= need.right).map(Permission::without_code);
        if let Some(all) = enough.filter(|enough| enough.may_send) {
            return Ok(all);
        }
        // Where no code is needed, a header may be a proxy's login, and keeps nobody out.
        let for_others = enough.filter(|_| offered.is_some_and(|code| code.place == Place::Header));
        let offered = offered.filter(|_| for_others.is_none() || need.takes_more);
        let Some(code) = offered else { return enough.ok_or_else(|| NO_CODE.into()) };
        self.judge(need, code, visitor).or_else(|denied| for_others.ok_or(denied))
    }

    fn judge(&self, need: Need<'_>, code: &OfferedCode, visitor: Visitor) -> Result<Permission, Denied> {
        let Visitor { ip, known, now } = visitor;
        // What cannot be read is compared, too, as what nobody has.
        let text = code.text().unwrap_or_default();
        let Judged { right, is_of_another } = self.codes.judge(need.channel, text);
        let locked_for = self.guesses.borrow().locked_for(ip, now);
        match (right, locked_for) {
            // Each right has one code here, so this is the code that it had. For less than it had, it could look for another one, which
            // may be that of other channels, too.
            (Some(right), Some(_)) if known == Some(right) && right >= need.right => Ok(Permission::by_code(right)),
            (_, Some(rest)) => Err(Denied { refusal: LOCKED, retry_after: Some(rest) }),
            (Some(right), None) if right >= need.right => Ok(Permission::by_code(right)),
            (Some(_), None) => Err(RECEIVE_ONLY.into()),
            (None, None) => {
                let locked = if is_of_another { None } else { self.guesses.borrow_mut().add(ip, now) };
                if let Some(origin) = locked {
                    info!("too many wrong codes from {origin}: for up to a minute, every code from there is refused");
                }
                Err(WRONG_CODE.into())
            }
        }
    }
}

#[cfg(test)]
mod tests;
