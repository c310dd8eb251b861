//! Any bytes: no panic, and what was read can be written and read again.
//!
//! `cargo +nightly fuzz run read -- -max_len=4096 -timeout=5 -rss_limit_mb=512`

#![no_main]

use libfuzzer_sys::fuzz_target;
use manifest::{Limits, Origin, manifests, read_document, read_stream, write_yaml};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let _ = read_document(bytes, &limits);
    let Ok(documents) = read_stream(bytes, &limits) else { return };
    for document in documents {
        let alone = read_document(&bytes[document.range], &limits);
        assert_eq!(alone.is_ok(), document.value.is_ok());
        let Ok(value) = document.value else { continue };
        let text = write_yaml(std::slice::from_ref(&value));
        assert_eq!(read_document(text.as_bytes(), &limits).as_ref(), Ok(&value));
        let origin = Origin { file: "fuzz".into(), document: document.number, item: None, line: document.line };
        for found in manifests(value, &origin, &limits) {
            let _ = found.map_err(|error| error.to_string());
        }
    }
});
