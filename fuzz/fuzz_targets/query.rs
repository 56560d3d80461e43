//! The target `query` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer query`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::query::target(bytes);
});
