//! Git over SSH (gitprotocol-pack(5), "SSH Transport"), spoken by russh.
//!
//! A connection is a runtime of its own on the calling thread: nothing of it goes on while nobody reads or writes. There is
//! one way to log in, the Repository's key; no agent, no password, no question, no file of the machine.

mod client;
mod identity;
mod known_hosts;
mod rsa;
mod stream;

pub(crate) use identity::private_key;
pub(super) use stream::open;
