//! The HTTP listeners: the sealing certificate and health for everybody, metrics on a port of their own, and over TLS what
//! `signet` asks with a token.

mod api;
mod audit;
mod certificate;
mod hooks;
mod identity;
mod limit;
mod listener;
mod routes;
mod sealed;
mod serving;
mod work;

pub use api::api;
pub(crate) use limit::{Limit, TooSoon};
pub use listener::{Listener, serve, serve_tls};
pub use routes::{metrics, public};
pub use serving::Serving;
