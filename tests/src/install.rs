//! Installing Signet as its users do, except that the controller runs as a process beside the cluster.

use std::fs;
use std::path::Path;

use crate::{Cluster, paths};

/// What does not fit a controller outside the cluster: the Deployment, and the Service that selects its Pods.
const LEFT_OUT: [&str; 2] = ["kind: Deployment", "kind: Service"];

/// Applies the kinds and everything of the install manifest that fits.
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
    for name in ["install.yaml", "sealed-secrets.yaml"] {
        cluster
            .kubectl_with(
                ["apply", "--server-side", "--force-conflicts", "-f", "-"],
                &manifest(name),
            )
            .ok();
    }
}

/// A manifest of the install without what is left out.
fn manifest(name: &str) -> String {
    let file = paths::root().join("deploy").join(name);
    let content = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    content
        .split("\n---")
        .filter(|document| !document.lines().any(|line| LEFT_OUT.contains(&line.trim_end())))
        .collect::<Vec<_>>()
        .join("\n---")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
