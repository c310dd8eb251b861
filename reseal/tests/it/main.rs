//! Texts as people write them, sealed again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bytes;
mod kept;
mod support;
mod which;
