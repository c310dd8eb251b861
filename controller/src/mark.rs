//! A name for something that is not to be kept itself: two of them are equal where the things are.

use std::sync::OnceLock;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// A digest under a key of this process's own, so that nobody can make two alike, and what is kept tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mark(pub(crate) [u8; 16]);

impl Mark {
    /// The mark of some parts, in their order.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        static KEY: OnceLock<[u8; 32]> = OnceLock::new();
        let key = KEY.get_or_init(|| {
            let mut key = [0; 32];
            // Without random bytes nothing else in this process works either.
            let _ = aws_lc_rs::rand::fill(&mut key);
            key
        });
        let mut mark = [0; 16];
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) {
            for part in parts {
                mac.update(&part.len().to_be_bytes());
                mac.update(part);
            }
            mark.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        }
        Self(mark)
    }
}
