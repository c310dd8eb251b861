//! End-to-end tests: the real API server, the real Git, the real controller and command line.
//!
//! Tests share one cluster and one controller (`Stage::shared`), each in namespaces of its own; a test that counts
//! requests, stops the controller or changes what is cluster-wide takes a stage of its own (`Stage::own`). Timings are
//! printed, and asserted only with wide bounds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod admitted;
mod approval_policy;
mod bad_conflict;
mod bad_key;
mod bad_namespace;
mod bad_network;
mod bad_objects;
mod bad_path;
mod bad_plaintext;
mod bad_remote;
mod bad_rights;
mod bad_scope;
mod bad_sealed;
mod bad_server;
mod bad_spec;
mod bad_support;
mod bad_yaml;
mod bootstrap;
mod cli;
mod cli_adopt;
mod cli_diff;
mod cli_native;
mod cli_sync;
mod controller;
mod crash;
mod crash_world;
mod departure;
mod drift;
mod drift_told;
mod farewell;
mod faults;
mod fields;
mod fights;
mod gates;
mod harness;
mod health;
mod heap;
mod hooks;
mod hooks_hostile;
mod hooks_unseen;
mod hostile;
mod kept;
mod key_renewal;
mod kubeseal;
mod kubeseal_beside;
mod leader;
mod leak;
mod lodgers;
mod main_job;
mod mended;
mod migrate;
mod modes;
mod moved;
mod native;
mod native_objects;
mod order_world;
mod ownership;
mod pinned;
mod prune;
mod push_webhook;
mod real_repos;
mod refs;
mod remotes;
mod replaced;
mod requests;
mod restore;
mod reviewed;
mod sealed_api;
mod sealed_http;
mod sealed_kept;
mod sealed_namespaces;
mod sealed_objects;
mod sealed_support;
mod signed;
mod ssh;
mod substitute;
mod waves;
mod webhook;
mod world;
mod written_down;
