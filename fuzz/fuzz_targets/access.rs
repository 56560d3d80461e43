//! The target `access` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer access`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::access::target(bytes);
});
