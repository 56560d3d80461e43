//! The target `path` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::path::target(bytes);
});
