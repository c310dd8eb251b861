//! Format v2.

mod attacks;
mod bounds;
mod cctv;
mod edits;
mod opening;
mod properties;
mod support;
mod vectors;
