//! Format v2.

mod attacks;
mod bounds;
mod edits;
mod opening;
mod properties;
mod support;
