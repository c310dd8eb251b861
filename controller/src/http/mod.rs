//! The two HTTP listeners: the sealing certificate and health for everybody, metrics on a port of their own.

mod hooks;
mod limit;
mod listener;
mod routes;
mod sealed;

pub(crate) use limit::{Limit, TooSoon};
pub use listener::{Listener, serve};
pub use routes::{metrics, public};
