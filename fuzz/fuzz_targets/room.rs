//! The target `room` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer room`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::room::target(bytes);
});
