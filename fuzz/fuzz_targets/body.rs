//! The target `body` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::body::target(bytes);
});
