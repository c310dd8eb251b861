//! A restart with nothing changed, and one after which something is to be found.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::DeleteParams;

use super::{Large, drift};
use crate::ground::Ground;
use crate::numbers::count;
use crate::objects;
use crate::report::Report;
use std::collections::HashSet;

const OPERATIONS: &str = "signet_private_key_operations_total";

pub(super) async fn measure(ground: &mut Ground, case: &'static str, report: &mut Report) {
    report.say("restarting the controller");
    assert!(ground.controller.stop().success(), "the controller ends in order");
    let start = ground.begin_without();
    ground.controller.start_again().await;
    let ready = start.at.elapsed().as_secs_f64();
    let cost = ground.rest(&start).await;
    let operations = ground.metric(OPERATIONS).await;
    report.add(case, "started → ready", ready, "s");
    report.add(case, "started → settled: its last request", cost.settled, "s");
    report.add_with(
        case,
        "API requests",
        count(cost.requests.len()),
        "",
        cost.summary(),
    );
    report.add(case, "writes", count(cost.writes()), "");
    report.add(case, "private-key operations", operations, "");
    report.add(case, "controller CPU, to rest", cost.cpu, "s");
    report.add(case, "processors busy with others", cost.machine.others, "");
    report.add(case, "peak RSS", cost.peak, "MiB");
    report.add(case, "RSS at rest", cost.rss, "MiB");
    report.promise(
        format!("{case}: no write; {} were sent", cost.writes()),
        cost.writes() == 0,
    );
    report.promise(
        format!("{case}: no private-key operation; {operations} were done"),
        operations == 0.0,
    );
}

/// While the controller is away, one of a hundred objects is edited, and a tenth as many are deleted.
pub(super) async fn drifted(ground: &mut Ground, large: &Large, report: &mut Report) {
    const CASE: &str = "restart, drifted";
    report.say("editing and deleting objects while the controller is away");
    assert!(ground.controller.stop().success(), "the controller ends in order");
    let api: Api<ConfigMap> = Api::namespaced(ground.client.clone(), &large.team.namespace);
    let mut order: Vec<usize> = (0..large.objects).collect();
    order.sort_by_key(|index| objects::noise(*index, 99));
    let edited = large.objects / 100;
    let deleted = edited.div_ceil(10);
    let mut spoilt = Vec::new();
    for (at, index) in order.iter().take(edited + deleted).enumerate() {
        let name = objects::name(*index);
        let version = if at < edited {
            drift::spoil(&api, &name).await
        } else {
            let there = api.get_metadata(&name).await.expect("the object is there");
            api.delete(&name, &DeleteParams::default())
                .await
                .expect("it is deleted");
            drift::version(&there.metadata)
        };
        spoilt.push((name, version));
    }
    let start = ground.begin_without();
    let follow = &large.follow;
    let (last, ()) = tokio::join!(
        async {
            let mut last = start.at;
            for (name, version) in &spoilt {
                last = last.max(follow.good_after(name, *version).await);
            }
            last
        },
        ground.controller.start_again(),
    );
    let cost = ground.rest(&start).await;
    let of_objects = cost.requests.iter().filter(|request| {
        request.resource == "configmaps"
            && request.namespace == large.team.namespace
            && !request.name.is_empty()
    });
    let spoilt: HashSet<&str> = spoilt.iter().map(|(name, _)| name.as_str()).collect();
    let (mut written, mut read, mut intact) = (0, 0, 0);
    for request in of_objects {
        if !spoilt.contains(request.name.as_str()) {
            intact += 1;
        } else if request.writes() {
            written += 1;
        } else {
            read += 1;
        }
    }
    let note = format!(
        "{edited} of {} objects were edited, {deleted} deleted",
        large.objects
    );
    let right = last.duration_since(start.at).as_secs_f64();
    report.add_with(CASE, "started → all are right", right, "s", note);
    report.add_with(
        CASE,
        "API requests",
        count(cost.requests.len()),
        "",
        cost.summary(),
    );
    report.add(CASE, "controller CPU, to rest", cost.cpu, "s");
    report.add(CASE, "processors busy with others", cost.machine.others, "");
    let wanted = edited + deleted;
    // One that vanished is looked at once: it may only have lost its label.
    report.promise(
        format!(
            "{CASE}: {wanted} objects are written once, {deleted} that vanished are looked at, and nothing is asked of those that are \
             intact; {written} writes, {read} looks and {intact} requests were"
        ),
        written == wanted && read <= deleted && intact == 0,
    );
}
