//! Signatures made by the real `git`, `ssh-keygen` and `gpg`; `git verify-commit` is the oracle where it can be asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod hostile;
mod pgp;
mod ssh;
mod world;
