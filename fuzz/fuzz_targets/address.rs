//! The target `address` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer address`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::address::target(bytes);
});
