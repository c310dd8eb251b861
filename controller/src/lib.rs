//! The Signet controller: rooms that follow Git repositories, open sealed Secrets, and keep clusters as Git has them.

#![forbid(unsafe_code)]

pub mod client;
pub mod condition;
pub mod events;
pub mod shutdown;
pub mod text;
