//! The two HTTP listeners: the sealing certificate and health for everybody, metrics on a port of their own.

mod listener;
mod routes;

pub use listener::{Listener, serve};
pub use routes::{metrics, public};
