//! The name that the machine has given itself.
//!
//! What must stay true: it is not read from `/proc/sys`, which the systemd unit hides.

/// The name of the machine (`uname(2)`), if it is text.
pub fn host_name() -> Option<String> {
    rustix::system::uname().nodename().to_str().ok().map(str::to_owned)
}
