//! The target `head` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer head`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::head::target(bytes);
});
