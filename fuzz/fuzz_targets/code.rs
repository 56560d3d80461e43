//! The target `code` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer code`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::code::target(bytes);
});
