//! The crate as its users see it. One binary for all, so that it links once.

// Helpers of tests are tests; clippy.toml reaches only functions marked as such.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout
)]

mod fuzz;
mod keys;
mod keyset;
mod legacy;
mod looks_alike;
mod native;
mod opened;
mod oracle;
mod peer;
mod properties;
mod ring;
mod seal_secret;
mod sealed_secret;
mod support;
mod templates;
mod upstream_tables;
mod vectors;
