//! Ports of the test's own, and a whole network of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

/// A listening socket of the test's own, on a free port.
pub fn free_listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")
}

/// The addresses that a network made by [`in_own_network`] has beside loopback.
pub const OWN_ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 99, 0, 1), Ipv4Addr::new(10, 99, 0, 2)];

/// Runs a test again, in a network namespace of its own, where all ports are free and two addresses are not loopback
/// although nobody else is there; `/run` is empty there, too. `body` is a closure in the test itself, since the test's name is
/// taken from it. Needs `unshare` and `ip`, and fails without them.
pub fn in_own_network<F: FnOnce()>(body: F) {
    const INSIDE: &str = "FOGHORN_TEST_IN_OWN_NETWORK";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let test = name_of_test::<F>();
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let namespaces: &[&str] =
        if is_root { &["--net", "--mount"] } else { &["--user", "--map-root-user", "--net", "--mount"] };
    let [first, second] = OWN_ADDRESSES;
    let script = format!(
        "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && ip addr add {first}/32 dev lo && \
         ip addr add {second}/32 dev lo && mount -t tmpfs tmpfs /run && exec setpriv --pdeathsig KILL -- \"$@\""
    );
    let inner = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-c", &script, "sh"])
        .arg(std::env::current_exe().expect("the test binary"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare (package util-linux) is there");
    let said = [inner.stdout, inner.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(inner.status.success() && said.contains("1 passed"), "{test} in its own network:\n{said}");
}

/// The name by which the test binary knows the test that a closure stands in: its path without the crate. The compiler promises
/// no form of it, but if it had another one, the binary would run no test of that name, and the caller fails.
fn name_of_test<F>() -> &'static str {
    let closure = std::any::type_name::<F>();
    let test = closure.strip_suffix("::{{closure}}").and_then(|path| path.split_once("::"));
    test.unwrap_or_else(|| panic!("no closure in a test: {closure}")).1
}
