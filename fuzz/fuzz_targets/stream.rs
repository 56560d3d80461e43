//! The target `stream` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::stream::target(bytes);
});
