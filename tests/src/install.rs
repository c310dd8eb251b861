//! Installing Signet as its users do, except that the controller runs as a process beside the cluster.

use std::fs;
use std::path::Path;

use crate::{Cluster, paths};

/// Applies the kinds and everything of the install manifest but the Deployment.
pub(crate) fn install(cluster: &Cluster) {
    let crds = paths::root().join("crds/yaml");
    cluster
        .kubectl(["apply", "--server-side", "--force-conflicts", "-f", text(&crds)])
        .ok();
    cluster
        .kubectl([
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "-f",
            text(&crds),
        ])
        .ok();
    cluster
        .kubectl_with(
            ["apply", "--server-side", "--force-conflicts", "-f", "-"],
            &manifest(),
        )
        .ok();
}

/// The install manifest without the controller's Deployment.
fn manifest() -> String {
    let file = paths::root().join("deploy/install.yaml");
    let content = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    content
        .split("\n---")
        .filter(|document| !document.lines().any(|line| line.trim_end() == "kind: Deployment"))
        .collect::<Vec<_>>()
        .join("\n---")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
