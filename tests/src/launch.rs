//! Starting the control plane's binary, and what it says when it is ready.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;

use crate::{child, paths};

/// The line with which `signet-cluster up` says that the cluster is ready.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) kubeconfig: PathBuf,
    pub(crate) server: String,
    pub(crate) ca_file: PathBuf,
    /// Empty without one: it grows, and nobody would look into that of a cluster that stays up.
    #[serde(default)]
    pub(crate) audit_log: PathBuf,
    pub(crate) ready_seconds: f64,
}

/// How a cluster ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// With this process: it watches the pipe that we hold.
    Held,
    /// By a signal. It outlives this process.
    Detached,
}

/// Starts a cluster on an empty directory and waits until it is ready. Everything that belongs to the cluster and to
/// whoever uses it goes into that directory, which a held cluster removes when it ends.
pub(crate) fn launch(data: &Path, lifetime: Lifetime) -> (Child, Report) {
    let errors = data.with_extension("log");
    let mut command = Command::new(paths::signet_cluster());
    command
        .arg("up")
        .arg("--data-dir")
        .arg(data)
        // Autoscalers are looked at every 15 s otherwise.
        .arg("--controller-manager-arg=--horizontal-pod-autoscaler-sync-period=1s")
        .stdout(Stdio::piped());
    let mut child = match lifetime {
        Lifetime::Held => {
            if std::env::var_os("SIGNET_TEST_KEEP").is_none() {
                command.arg("--rm");
            }
            command.arg("--audit-log").arg(data.join("audit.log"));
            let log = File::create(&errors).expect("the directory's parent can be written");
            command
                .arg("--exit-on-stdin-eof")
                .stdin(Stdio::piped())
                .stderr(log);
            command.spawn().expect("signet-cluster starts")
        }
        Lifetime::Detached => child::detach_piped(&mut command, &errors),
    };
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe"))
        .read_line(&mut line)
        .expect("its output can be read");
    let report = serde_json::from_str(&line).unwrap_or_else(|_| {
        let said = std::fs::read_to_string(&errors).unwrap_or_default();
        panic!("the control plane did not start:\n{said}")
    });
    // It is open elsewhere; once the cluster is ready, what it says is of no use.
    if lifetime == Lifetime::Held {
        let _ = std::fs::remove_file(&errors);
    }
    (child, report)
}
