//! The Signet controller: rooms that follow Git repositories, open sealed Secrets, and keep clusters as Git has them.

#![forbid(unsafe_code)]

pub mod client;
pub mod condition;
pub mod config;
pub mod duration;
pub mod events;
pub mod keys;
pub mod metrics;
pub mod ready;
pub mod request;
pub mod shutdown;
pub mod text;
pub mod watch;
