//! The target `after` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer after`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::after::target(bytes);
});
