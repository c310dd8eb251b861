//! Whose signatures commits carry, and whether those may be applied: `policy` is pure, `trust` reads the signers, and
//! `check` looks at the commits.

mod check;
mod policy;
mod trust;

pub(super) use check::{Checked, Verifier};
pub(super) use policy::{Policy, parse};
pub(super) use trust::{Signers, read};
