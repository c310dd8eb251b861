//! At rest: what is asked of the API server while nothing happens.

use std::time::Duration;

use tests::audit::{self, CONTROLLER};

use crate::apiserver::Requests;
use crate::ground::Ground;
use crate::numbers::count;
use crate::process;
use crate::report::Report;

const CASE: &str = "rest";
/// Records are written a few times a minute: the last ones of a storm come this much later.
const SAVED: Duration = Duration::from_secs(65);

pub(super) async fn measure(ground: &mut Ground, seconds: u64, report: &mut Report) {
    let start = ground.begin();
    ground.rest(&start).await;
    report.say("waiting until what was changed is written down, at most a minute later");
    tokio::time::sleep(SAVED).await;
    report.say(&format!("watching the controller at rest for {seconds} s"));
    let pid = ground.pid();
    let (mark, cpu, before) = (
        ground.cluster.audit().mark(),
        process::cpu_seconds(pid),
        Requests::read(&ground.client).await,
    );
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let seen = Requests::read(&ground.client).await.since(&before);
    let ours = ground.cluster.audit().since(mark, CONTROLLER);
    #[allow(clippy::cast_precision_loss)] // an hour at most
    let a_minute = 60.0 / seconds as f64;
    let used = process::cpu_seconds(pid) - cpu;
    report.add_with(
        CASE,
        "API requests a minute, Leases too",
        count(ours.len()) * a_minute,
        "",
        format!("in {seconds} s: {}", audit::summary(&ours)),
    );
    report.add_with(
        CASE,
        "the API server's count a minute, of everybody",
        seen.total() * a_minute,
        "",
        seen.summary(a_minute),
    );
    report.add(CASE, "controller CPU a minute", used * a_minute, "s");
    report.add(CASE, "RSS", process::resident(pid), "MiB");
    let others: Vec<_> = ours
        .iter()
        .filter(|request| request.verb != "watch" && !request.is_lease())
        .collect();
    report.promise(
        format!(
            "at rest: no request but watches and the Lease; {} were sent",
            others.len()
        ),
        others.is_empty(),
    );
}
