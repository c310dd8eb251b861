//! Tests of the crate from outside: one binary, so that it links once.

// Tests may fail loudly, and build their texts as is shortest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::large_stack_arrays
)]

mod edits;
mod hostile;
mod properties;
mod repositories;
mod streams;
mod vectors;
