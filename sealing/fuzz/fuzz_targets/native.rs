//! Any JSON as a SealedSecret of format v2, any text as a key, any bytes as a key set: no panic, and what was read is written
//! as it was.
//!
//! `cargo +nightly fuzz run native -- -max_len=8192 -timeout=5 -rss_limit_mb=512`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealing::keyset::KeySet;
use sealing::v2::{Identities, Identity, Recipient, SealedSecret};
use std::sync::LazyLock;

/// A key that is known to whoever fuzzes, so that the corpus can hold objects that open: that of a vector in `sealing/vectors/`.
static KEYS: LazyLock<Identities> = LazyLock::new(|| {
    let known = Identity::parse("AGE-SECRET-KEY-1Z4NSUY6URK6GNXCXM3E5R2ZEWJM5Z0KK6RHHDYQZA6XKVUC0956QNQJAWW");
    Identities::new(known)
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = text.parse::<Recipient>();
    let _ = Identity::parse_file(text);
    let _ = KeySet::read(text);
    let Ok(object) = serde_json::from_str(text) else { return };
    let Ok(parsed) = SealedSecret::parse(&object) else { return };
    let written = parsed.to_value();
    assert_eq!(SealedSecret::parse(&written).map(|again| again.to_value()).ok(), Some(written));
    let _ = parsed.open(&KEYS, "team").map(|opened| opened.write_json());
    let _ = parsed.unset(["password"]);
});
