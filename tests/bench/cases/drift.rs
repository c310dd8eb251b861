//! Objects that somebody edits, one by one and many a second: how long until an independent watch sees them right.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::Large;
use crate::follow::Follow;
use crate::ground::Ground;
use crate::numbers::{count, median, milliseconds, percentile};
use crate::objects;
use crate::report::Report;

const CASE: &str = "drift";
const REPAIRED: &str = "signet_drift_repaired_total";
/// Between two single edits: the next one finds the controller at rest.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two of many edits: 400 a second.
const QUICK: Duration = Duration::from_micros(2500);

pub(super) async fn measure(ground: &mut Ground, large: &Large, report: &mut Report) {
    let single = large.objects / 10;
    let many = large.objects / 5;
    let mut order: Vec<usize> = (0..large.objects).collect();
    order.sort_by_key(|index| objects::noise(*index, 77));
    // A connection each for edits, as for any other user.
    let api: Api<ConfigMap> = Api::namespaced(ground.client.clone(), &large.team.namespace);

    report.say("editing objects one by one");
    let before = ground.metric(REPAIRED).await;
    let start = ground.begin();
    let mut times = Vec::new();
    for index in &order[..single] {
        times.push(edit(&api, &large.follow, *index).await);
        tokio::time::sleep(PAUSE).await;
    }
    let cost = ground.rest(&start).await;
    let repaired = ground.metric(REPAIRED).await - before;
    let times = milliseconds(&times);
    report.add_with(CASE, "edited → right, p50", median(&times), "ms", "single edits");
    report.add(CASE, "edited → right, p99", percentile(&times, 0.99), "ms");
    report.add(CASE, "edited → right, longest", percentile(&times, 1.0), "ms");
    report.add(
        CASE,
        "controller CPU of one repair",
        1e3 * cost.cpu / count(single),
        "ms",
    );
    report.add_with(
        CASE,
        "API requests of one repair",
        count(cost.requests.len()) / count(single),
        "",
        cost.summary(),
    );
    report.add(CASE, "processors busy with others", cost.machine.others, "");
    promise(report, single, repaired);

    report.say("editing objects 400 times a second");
    let start = ground.begin();
    let (times, took) = storm(&api, &large.follow, &order[single..single + many]).await;
    let cost = ground.rest(&start).await;
    let repaired = ground.metric(REPAIRED).await - before - repaired;
    let times = milliseconds(&times);
    report.add(
        CASE,
        "many edits: edits a second",
        count(many) / took.as_secs_f64(),
        "/s",
    );
    report.add(CASE, "many edits: edited → right, p50", median(&times), "ms");
    report.add(
        CASE,
        "many edits: edited → right, p99",
        percentile(&times, 0.99),
        "ms",
    );
    report.add(
        CASE,
        "many edits: controller CPU of one repair",
        1e3 * cost.cpu / count(many),
        "ms",
    );
    promise(report, many, repaired);
}

fn promise(report: &mut Report, edited: usize, repaired: f64) {
    report.promise(
        format!("each of {edited} edited objects is restored once; {repaired} restorations were counted"),
        (repaired - count(edited)).abs() < 0.5,
    );
}

/// Spoils many objects, each once, at a steady pace; gives also how long that took.
async fn storm(api: &Api<ConfigMap>, follow: &Follow, indexes: &[usize]) -> (Vec<Duration>, Duration) {
    let mut times = Vec::with_capacity(indexes.len());
    let mut under_way = FuturesUnordered::new();
    let mut left = indexes.iter();
    let mut pace = tokio::time::interval(QUICK);
    let began = Instant::now();
    let mut took = Duration::ZERO;
    while times.len() < indexes.len() {
        tokio::select! {
            _ = pace.tick(), if left.len() > 0 => {
                under_way.extend(left.next().map(|index| edit(api, follow, *index)));
                took = began.elapsed();
            }
            Some(time) = under_way.next() => times.push(time),
        }
    }
    (times, took)
}

/// Spoils one object, and gives the time from the API server's answer to the event that shows it right again.
async fn edit(api: &Api<ConfigMap>, follow: &Follow, index: usize) -> Duration {
    let name = objects::name(index);
    let version = spoil(api, &name).await;
    let answered = Instant::now();
    let right = follow.good_after(&name, version).await;
    // The repair may be seen before the answer to the edit is.
    right.saturating_duration_since(answered)
}

/// Spoils one object, and gives the version that it has then.
pub(super) async fn spoil(api: &Api<ConfigMap>, name: &str) -> u64 {
    let patch = json!({"data": {"token": "spoilt"}});
    let params = PatchParams {
        field_manager: Some("somebody".into()),
        ..PatchParams::default()
    };
    let edited = api
        .patch(name, &params, &Patch::Merge(patch))
        .await
        .expect("the edit is taken");
    version(&edited.metadata)
}

/// An object's version, which etcd counts up.
pub(super) fn version(metadata: &ObjectMeta) -> u64 {
    let version = metadata.resource_version.as_deref();
    version
        .and_then(|version| version.parse().ok())
        .expect("a version")
}
