//! Has the linker pack the relocations, which makes the binary 150 kB smaller on a PC.
//!
//! It needs the C library of Debian 12 (2.36) to run then, as the package does. A linker that cannot do it (GNU's for ARM, in Debian 12)
//! says so, and goes on.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
