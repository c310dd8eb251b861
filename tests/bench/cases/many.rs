//! Many Syncs of one Repository: from none to all Ready, then asked to reconcile with nothing changed. Beside the floor and
//! kubectl, on a cluster and a controller of their own.

use super::stop;
use crate::apiserver::Requests;
use crate::fleet::{self, Fleet, Shape, is_ready};
use crate::ground::Ground;
use crate::numbers::count;
use crate::report::Report;
use crate::{floor, kubectl, process};
use tests::Cluster;

pub(super) async fn measure(case: &'static str, syncs: usize, shape: Shape, report: &mut Report) {
    report.say(&format!("{case}: starting a cluster"));
    let (cluster, total) = (Cluster::own().await, syncs * shape.objects());
    floor::measure_fleet(&cluster, case, shape, total, report).await;
    kubectl::measure(&cluster, case, fleet::files(syncs, shape), total, report);
    let mut ground = Ground::start(cluster).await;
    let fleet = Fleet::begin(&ground, case, syncs, shape).await;
    fresh(&mut ground, &fleet, case, report).await;
    unchanged(&mut ground, &fleet, case, report).await;
    stop(ground);
}

async fn fresh(ground: &mut Ground, fleet: &Fleet, case: &'static str, report: &mut Report) {
    let total = fleet.syncs * fleet.shape.objects();
    report.say(&format!(
        "{case}: creating {} Syncs of {total} objects",
        fleet.syncs
    ));
    let (pid, before) = (ground.pid(), Requests::read(&ground.client).await);
    let resident = process::resident(pid);
    let start = ground.begin();
    let ((), ready) = tokio::join!(fleet.create(), fleet.all(is_ready));
    let peak = process::peak(pid);
    let cost = ground.rest(&start).await;
    let seen = Requests::read(&ground.client).await.since(&before);
    let seconds = ready.duration_since(start.at).as_secs_f64();
    report.add_with(
        case,
        "created → all Ready",
        seconds,
        "s",
        format!("{} Syncs", fleet.syncs),
    );
    report.add_with(
        case,
        "created → all Ready: objects a second",
        count(total) / seconds,
        "/s",
        format!("{total} objects"),
    );
    report.add(case, "fresh: controller CPU, to rest", cost.cpu, "s");
    report.add(case, "fresh: control plane CPU", cost.machine.cluster, "s");
    report.add(
        case,
        "fresh: processors busy with others",
        cost.machine.others,
        "",
    );
    report.add(case, "fresh: peak RSS", peak, "MiB");
    report.add(case, "fresh: RSS at rest", cost.rss, "MiB");
    let each = (cost.rss - resident) * f64::from(1 << 20) / count(total);
    report.add_with(
        case,
        "memory of one object",
        each,
        "bytes",
        "RSS at rest, less that before",
    );
    report.add_with(
        case,
        "fresh: API requests",
        count(cost.requests.len()),
        "",
        cost.summary(),
    );
    report.add_with(
        case,
        "fresh: the API server's count, of everybody",
        seen.total(),
        "",
        seen.summary(1.0),
    );
    let sent = members(&cost.requests);
    report.promise(
        format!("{case}: each of {total} objects is sent once; {sent} were"),
        sent == total,
    );
}

async fn unchanged(ground: &mut Ground, fleet: &Fleet, case: &'static str, report: &mut Report) {
    report.say(&format!("{case}: asking all to reconcile"));
    let before = Requests::read(&ground.client).await;
    let start = ground.begin();
    let handled = |sync: &crds::Sync| {
        let status = sync.status.as_ref();
        status.is_some_and(|status| status.last_handled_request == "again") && is_ready(sync)
    };
    let ((), answered) = tokio::join!(fleet.request("again"), fleet.all(handled));
    let cost = ground.rest(&start).await;
    let seen = Requests::read(&ground.client).await.since(&before);
    let seconds = answered.duration_since(start.at).as_secs_f64();
    report.add(case, "unchanged: asked → all answered", seconds, "s");
    report.add(case, "unchanged: controller CPU, to rest", cost.cpu, "s");
    report.add(
        case,
        "unchanged: processors busy with others",
        cost.machine.others,
        "",
    );
    // Watches are renewed whether anybody asks or not.
    let asked = cost.requests.iter().filter(|request| request.verb != "watch");
    report.add_with(
        case,
        "unchanged: API requests",
        count(asked.count()),
        "",
        cost.summary(),
    );
    report.add_with(
        case,
        "unchanged: the API server's count, of everybody",
        seen.total(),
        "",
        seen.summary(1.0),
    );
    report.add(case, "unchanged: peak RSS", cost.peak, "MiB");
    let sent = members(&cost.requests);
    report.promise(
        format!("{case}, asked with nothing changed: no object is sent; {sent} were"),
        sent == 0,
    );
}

/// Writes of what a fleet holds.
fn members(requests: &[tests::audit::Request]) -> usize {
    let held = [
        "configmaps",
        "deployments",
        "serviceaccounts",
        "services",
        "ingresses",
    ];
    let sent = requests
        .iter()
        .filter(|request| request.writes() && held.contains(&&*request.resource));
    sent.count()
}
