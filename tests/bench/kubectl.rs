//! What kubectl takes for the same objects: `apply --server-side --prune --applyset`, its own way to do what a Sync does.

use std::time::Instant;

use tests::{Cluster, command};

use crate::numbers::count;
use crate::process::Machine;
use crate::report::Report;

const NAMESPACE: &str = "kubectl";
/// Whom the audit log names.
const ADMIN: &str = "signet-cluster-admin";

/// Applies the files twice, to an empty namespace and to the full one.
pub(crate) fn measure(
    cluster: &Cluster,
    case: &'static str,
    files: impl Iterator<Item = (String, String)>,
    total: usize,
    report: &mut Report,
) {
    cluster.kubectl(["create", "namespace", NAMESPACE]).ok();
    let dir = cluster.home().join("kubectl");
    for (name, content) in files {
        let file = dir.join(name);
        std::fs::create_dir_all(file.parent().expect("a file's path")).expect("a directory");
        std::fs::write(file, content).expect("a file");
    }
    for round in ["kubectl, fresh", "kubectl, unchanged"] {
        report.say(round);
        let mut kubectl = command::kubectl(cluster.kubeconfig());
        kubectl
            .env("KUBECTL_APPLYSET", "true")
            .args(["apply", "--server-side", "--prune", "--applyset=bench"])
            .args(["--namespace", NAMESPACE, "--recursive", "--filename"])
            .arg(&dir);
        let (before, mark, began) = (Machine::now(), cluster.audit().mark(), Instant::now());
        let said = command::run(kubectl, b"").ok();
        let seconds = began.elapsed().as_secs_f64();
        let machine = before.used();
        assert_eq!(
            said.lines()
                .filter(|line| line.contains("serverside-applied"))
                .count(),
            total,
            "{said}"
        );
        let requests = cluster.audit().since(mark, ADMIN).len();
        let fresh = round.ends_with("fresh");
        let named = |first, again| if fresh { first } else { again };
        report.add(case, named("kubectl, fresh", "kubectl, unchanged"), seconds, "s");
        let what = named(
            "kubectl, fresh: objects a second",
            "kubectl, unchanged: objects a second",
        );
        report.add(case, what, count(total) / seconds, "/s");
        let what = named("kubectl, fresh: API requests", "kubectl, unchanged: API requests");
        report.add(case, what, count(requests), "");
        let what = named(
            "kubectl, fresh: processors busy with others",
            "kubectl, unchanged: processors busy with others",
        );
        report.add(case, what, machine.others, "");
    }
}
