//! Real repositories behind real (and really broken) servers.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::panic,
    reason = "clippy.toml allows them in test functions only, not in their helpers"
)]

#[path = "../support/mod.rs"]
mod support;

mod behind;
mod bombs;
mod changed;
mod deep_trees;
mod failures;
mod fetching;
mod github_app;
mod history;
mod hostile_trees;
mod limits;
mod local;
mod notes;
mod proxied;
mod pull_request;
mod pushing;
mod ranges;
mod refs;
mod rewriting;
mod sparse;
mod sparse_trouble;
mod ssh;
mod storage;
mod submodules;
mod taking;
mod tls;
