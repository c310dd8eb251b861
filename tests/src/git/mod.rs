//! Git as a team has it: a server that speaks smart HTTP, and clones that commit and push with the real git.

mod cgi;
mod command;
mod repo;
mod server;

pub use command::git;
pub use repo::Repo;
pub use server::{GitServer, Mood};
