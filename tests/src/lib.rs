//! The harness of the end-to-end tests and the demo: a local control plane, a real Git server, the real controller.
//!
//! Nothing here stands in for anything. [`Cluster`] is etcd, the API server, the controller manager and the scheduler
//! in one binary of `tests/cluster`; [`GitServer`] is `git http-backend`; [`Controller`] is the binary that ships, as a
//! child process with the rights that ship. What fails here fails a test, so the harness panics with what it saw and
//! has no error types of its own.
//!
//! Tests run on one runtime per process ([`run`]), because they share one cluster and its client.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod audit;
pub mod bitnami;
pub mod checkpoint;
pub mod child;
pub mod command;
pub mod fault_proxy;
pub mod git;
pub mod http;
pub mod members;
pub mod objects;
pub mod paths;
pub mod proxy;
pub mod random;
pub mod tls;
pub mod ui;
pub mod wait;
pub mod webhook;

mod cluster;
mod controller;
mod identity;
mod install;
mod launch;
mod runtime;
mod space;
mod stage;

pub use cluster::Cluster;
pub use controller::{Controller, Options as ControllerOptions};
pub use git::{GitServer, Repo};
pub use runtime::run;
pub use space::Space;
pub use stage::{ClusterRef, Stage};
