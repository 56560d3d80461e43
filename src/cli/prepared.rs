//! What both clients begin with: the address, and the signals.
//!
//! What must stay true: of the environment a client reads `FOGHORN_URL` and `FOGHORN_CODE`, and nothing else.

use std::env::{self, VarError};

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
    let wrong_use = |wrong| {
        tell(wrong);
        Outcome::WrongUse
    };
    let url = variable(URL_VARIABLE).map_err(wrong_use)?;
    let its_code = variable(CODE_VARIABLE).map_err(wrong_use)?;
    let address = Address::parse(address, url.as_deref()).map_err(wrong_use)?;
    let signals = Signals::watch().map_err(|error| {
        tell(format_args!("cannot watch for signals ({error}): raise the limit of open files (ulimit -n)"));
        Outcome::Failed
    })?;
    Ok((address.with_code(code, its_code.as_deref()), signals))
}

/// A variable; `None` if it is not set, or empty.
fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("{name} is not UTF-8: set it anew, or unset it")),
    }
}
