//! The target `client` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer client`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::client::target(bytes);
});
