//! One commit that touches the path of one Sync of many.

use std::time::Instant;

use super::stop;
use crate::fleet::{Fleet, Shape, is_ready};
use crate::ground::Ground;
use crate::numbers::{count, median, milliseconds};
use crate::report::Report;
use tests::Cluster;

const CASE: &str = "paths";
const ROUNDS: usize = 5;
const RUNS: &str = "signet_sync_runs_total{result=\"success\"}";

pub(super) async fn measure(syncs: usize, report: &mut Report) {
    report.say("paths: starting a cluster");
    let mut ground = Ground::start(Cluster::own().await).await;
    let fleet = Fleet::begin(&ground, CASE, syncs, Shape::Maps(1)).await;
    report.say(&format!("paths: creating {syncs} Syncs"));
    let start = ground.begin();
    tokio::join!(fleet.create(), fleet.all(is_ready));
    ground.rest(&start).await;

    let (mut times, mut cpu, mut requests, mut summary) = (Vec::new(), Vec::new(), Vec::new(), String::new());
    let (mut ran, mut fetched) = (Vec::new(), vec![fetches(&ground, &fleet)]);
    for round in 1..=ROUNDS {
        let path = round * syncs / (ROUNDS + 1);
        let commit = fleet.change(path, round);
        let (before, start) = (ground.metric(RUNS).await, ground.begin());
        fleet.push();
        let pushed = Instant::now();
        let request = format!("round-{round}");
        // A look at the remote is what a webhook asks for too; here the Sync's own request does.
        let ((), applied) = tokio::join!(fleet.request_one(path, &request), fleet.applied(path, &commit));
        times.push(applied.duration_since(pushed));
        let cost = ground.rest(&start).await;
        ran.push(ground.metric(RUNS).await - before);
        fetched.push(fetches(&ground, &fleet) - fetched.iter().sum::<usize>());
        cpu.push(cost.cpu);
        requests.push(count(cost.requests.len()));
        summary = cost.summary();
    }
    let note = format!("median of {ROUNDS}, {syncs} Syncs");
    report.add_with(
        CASE,
        "pushed → said in the status",
        median(&milliseconds(&times)),
        "ms",
        note,
    );
    report.add(CASE, "Syncs that ran", median(&ran), "");
    report.add_with(CASE, "API requests", median(&requests), "", summary);
    report.add(CASE, "controller CPU", median(&cpu), "s");
    report.promise(
        format!("a commit that touches one of {syncs} paths has one Sync run; {ran:?} ran"),
        ran.iter().all(|ran| (ran - 1.0).abs() < 0.5),
    );
    report.add(
        CASE,
        "fetches from the Git server, a commit",
        median(&fetched.iter().copied().map(count).collect::<Vec<_>>()),
        "",
    );
    report.promise(
        format!("{syncs} Syncs share one fetch of each commit; there were {fetched:?}"),
        fetched.iter().all(|fetches| *fetches == 1),
    );
    stop(ground);
}

/// Packs that the Git server sent so far.
fn fetches(ground: &Ground, fleet: &Fleet) -> usize {
    ground.git.packs(&fleet.repo)
}
