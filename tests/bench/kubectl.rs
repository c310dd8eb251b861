//! What kubectl takes for the same objects: `apply --server-side --prune --applyset`, its own way to do what a Sync does.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tests::{Cluster, command};

use crate::numbers::count;
use crate::process::{self, Machine};
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
        let (said, cpu, peak) = watched(kubectl, &cluster.home().join("kubectl.out"));
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
        report.add(
            case,
            named("kubectl, fresh: its CPU", "kubectl, unchanged: its CPU"),
            cpu,
            "s",
        );
        let what = named(
            "kubectl, fresh: control plane CPU",
            "kubectl, unchanged: control plane CPU",
        );
        report.add(case, what, machine.cluster, "s");
        let what = named("kubectl, fresh: its peak RSS", "kubectl, unchanged: its peak RSS");
        report.add(case, what, peak, "MiB");
        let what = named("kubectl, fresh: API requests", "kubectl, unchanged: API requests");
        report.add(case, what, count(requests), "");
        let what = named(
            "kubectl, fresh: processors busy with others",
            "kubectl, unchanged: processors busy with others",
        );
        report.add(case, what, machine.others, "");
    }
}

/// How often a command's processor time and memory are read.
const LOOK: Duration = Duration::from_millis(20);

/// Runs a command to its good end: what it said, its processor seconds, and its highest resident memory in MiB.
pub(crate) fn watched(mut command: Command, said: &std::path::Path) -> (String, f64, f64) {
    let output = std::fs::File::create(said).expect("a file");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::inherit())
        .spawn()
        .expect("it starts");
    let pid = child.id().cast_signed();
    let (mut cpu, mut peak) = (0.0_f64, 0.0_f64);
    let status = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        // Gone in between: not a number, which the greater of two is never.
        cpu = cpu.max(process::cpu_seconds(pid));
        peak = peak.max(process::peak(pid));
        std::thread::sleep(LOOK);
    };
    let said = std::fs::read_to_string(said).expect("what it said");
    assert!(status.success(), "it fails: {said}");
    (said, cpu, peak)
}
