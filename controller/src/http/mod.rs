//! The two HTTP listeners: the sealing certificate and health for everybody, metrics on a port of their own.

mod limit;
mod listener;
mod routes;
mod sealed;

pub use listener::{Listener, serve};
pub use routes::{metrics, public};
