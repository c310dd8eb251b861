//! A restart with every record of what is owned lost: each object is sent once and found as it is; nothing is written, and
//! nothing is deleted.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};

use super::Large;
use crate::ground::Ground;
use crate::numbers::count;
use crate::report::Report;

const CASE: &str = "lost";

pub(super) async fn measure(ground: &mut Ground, large: &Large, report: &mut Report) {
    report.say("restarting the controller without its records");
    let before = versions(ground, large).await;
    assert!(ground.controller.stop().success(), "the controller ends in order");
    let records: Api<Secret> = Api::namespaced(ground.client.clone(), "signet-system");
    let all = ListParams::default().labels(crds::label::CHECKPOINT);
    records
        .delete_collection(&DeleteParams::default(), &all)
        .await
        .expect("records can be removed");
    let start = ground.begin_without();
    ground.controller.start_again().await;
    let cost = ground.rest(&start).await;
    report.add(CASE, "started → settled: its last request", cost.settled, "s");
    report.add(CASE, "controller CPU, to rest", cost.cpu, "s");
    report.add(CASE, "processors busy with others", cost.machine.others, "");
    report.add(CASE, "peak RSS", cost.peak, "MiB");
    report.add_with(
        CASE,
        "API requests",
        count(cost.requests.len()),
        "",
        cost.summary(),
    );
    let after = versions(ground, large).await;
    let written = before
        .iter()
        .filter(|(name, version)| after.get(*name) != Some(version))
        .count();
    let deletes = cost
        .requests
        .iter()
        .filter(|request| request.verb.starts_with("delete"))
        .count();
    report.add(CASE, "objects written", count(written), "");
    report.add(CASE, "deletes", count(deletes), "");
    report.promise(
        format!("records lost: no object is written, none is deleted; {written} and {deletes} were"),
        written == 0 && deletes == 0,
    );
}

/// The resource version of each object.
async fn versions(ground: &Ground, large: &Large) -> BTreeMap<String, Option<String>> {
    let maps: Api<ConfigMap> = Api::namespaced(ground.client.clone(), &large.team.namespace);
    let ours = ListParams::default().labels(crds::label::APPLYSET_PART_OF);
    let listed = maps
        .list_metadata(&ours)
        .await
        .expect("the objects can be listed");
    listed
        .iter()
        .map(|map| (map.name_any(), map.resource_version()))
        .collect()
}
