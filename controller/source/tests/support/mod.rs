//! Repositories made by the real git, and HTTP servers in front of them, good and bad.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by several test binaries, none of which takes everything"
)]

pub mod forge;
pub mod github;
pub mod http;
pub mod proxy;
pub mod repo;
pub mod ssh;
pub mod tls;

use std::path::Path;

use source::{Fetched, RefSpec, Remote, SourceError, Store};

pub fn main_branch() -> RefSpec {
    RefSpec::Branch("main".into())
}

pub fn store(dir: &Path) -> Store {
    Store::open(&dir.join("store")).unwrap()
}

pub fn fetch(store: &Store, remote: &Remote) -> Result<Fetched, SourceError> {
    store.fetch(remote, &main_branch())
}
