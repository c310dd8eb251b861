//! `signet`: seals Secrets, and shows what the controller made of them.
//!
//! One file per command in `commands/`; the doc comment of its arguments is its help. Data goes to standard output,
//! talk to standard error. Nothing here prints but [`ui::Ui`].

#![forbid(unsafe_code)]

mod args;
mod certificate;
mod cli;
mod cluster;
mod command_error;
mod commands;
mod controller;
mod editor;
mod environment;
mod follow;
mod git;
mod hidden_input;
mod http_get;
mod key_set;
mod key_source;
mod kinds;
mod kubeseal;
mod native;
mod new_value;
mod opening;
mod output;
mod private_file;
mod private_keys;
mod progress;
mod repo_config;
mod repo_files;
mod sealed_file;
mod seen;
mod sheet;
mod sound;
mod syncs;
mod table;
mod trust;
mod ui;
mod unread;

use std::alloc::System;
use std::process::ExitCode;
use zeroizing_alloc::ZeroAlloc;

/// The command reads Secrets in plain text. Whatever a library copied of them is wiped when it is freed.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    // The one TLS provider, for the Kubernetes client as for ureq. It fails only if there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::run()
}
