//! What both clients begin with: the address, and the signals.
//!
//! What must stay true: of the environment a client reads `FOGHORN_URL` and `FOGHORN_CODE`, and nothing else.

use std::env;

use crate::cli::outcome::Outcome;
use crate::cli::voice::tell;
use crate::client::address::Address;
use crate::client::signals::Signals;
use crate::config::client_flags::{CODE_VARIABLE, URL_VARIABLE};

/// Reads the address and watches for signals.
///
/// # Errors
/// How the client ends; why has been told.
pub fn prepare(address: &str, code: Option<&str>) -> Result<(Address, Signals), Outcome> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let address = Address::parse(address, variable(URL_VARIABLE).as_deref()).map_err(|wrong| {
        tell(wrong);
        Outcome::WrongUse
    })?;
    let signals = Signals::watch().map_err(|error| {
        tell(format_args!("cannot watch for signals ({error}): raise the limit of open files (ulimit -n)"));
        Outcome::Failed
    })?;
    Ok((address.with_code(code, variable(CODE_VARIABLE).as_deref()), signals))
}
