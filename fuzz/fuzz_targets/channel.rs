//! The target `channel` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer channel`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::channel::target(bytes);
});
