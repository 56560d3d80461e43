//! The target `host_policy` for libFuzzer: `cargo +nightly fuzz run --features libfuzzer host_policy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    foghorn_fuzz::host_policy::target(bytes);
});
