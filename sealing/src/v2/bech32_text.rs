//! Bech32 (BIP 173) without its limit on length, as age writes its keys.

use super::limits;
use age_core::primitives::{bech32_decode, bech32_encode};
use bech32::Hrp;
use zeroize::Zeroizing;

/// Encodes in lower case.
pub(super) fn encode(prefix: &str, bytes: &[u8]) -> Option<String> {
    Some(bech32_encode(Hrp::parse(prefix).ok()?, bytes))
}

/// The prefix as it is written, and the bytes. A prefix in another case is another prefix, as in Go's age.
pub(super) fn decode(text: &str) -> Option<(String, Zeroizing<Vec<u8>>)> {
    if text.len() > limits::KEY_TEXT {
        return None;
    }
    bech32_decode(
        text,
        |_| (),
        |_| Ok(()),
        |prefix, bytes| {
            let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
            out.extend(bytes);
            Ok((prefix.as_str().to_owned(), out))
        },
    )
    .ok()
}
