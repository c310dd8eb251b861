//! The crate as a whole: verdicts over tables of objects, rules of users, and input that means harm.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in test functions only, not in their helpers"
)]

mod cases;
mod hostile;
mod rules;
