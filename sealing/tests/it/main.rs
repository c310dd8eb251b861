//! The crate as its users see it. One binary for all, so that it links once.

mod keys;
mod opened;
mod oracle;
mod properties;
mod ring;
mod seal_secret;
mod sealed_secret;
mod support;
mod templates;
mod vectors;
