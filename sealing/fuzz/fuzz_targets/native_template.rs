//! `cargo +nightly fuzz run native_template -- -max_len=8192 -timeout=5 -rss_limit_mb=512` in `sealing/`.

#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code)]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::native_template(data));
