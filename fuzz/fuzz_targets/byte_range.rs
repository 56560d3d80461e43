//! The target `byte_range` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer byte_range`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::byte_range::target(bytes);
});
