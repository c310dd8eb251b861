//! A commit that changes one object of all.

use std::time::Instant;

use super::Large;
use crate::ground::Ground;
use crate::numbers::{count, median, milliseconds};
use crate::objects;
use crate::report::Report;

const CASE: &str = "commit";
const ROUNDS: usize = 5;

pub(super) async fn measure(ground: &mut Ground, large: &Large, report: &mut Report) {
    let (mut times, mut cpu, mut requests, mut summary) = (Vec::new(), Vec::new(), Vec::new(), String::new());
    let (index, team) = (large.objects / 3, &large.team);
    let mut writes = Vec::new();
    for round in 1..=ROUNDS {
        let (file, content) = objects::file(objects::file_of(index), large.objects, Some((index, round)));
        team.repo.write(&file, content);
        let commit = team.repo.commit_only("one of them");
        large
            .follow
            .expect(&objects::name(index), objects::data(index, round));
        let start = ground.begin();
        team.repo.push();
        let pushed = Instant::now();
        let request = format!("commit-{round}");
        let ((), live, _) = tokio::join!(
            team.request(&request),
            large.follow.all_good(),
            team.applied(&commit)
        );
        let changed = large.follow.good_after(&objects::name(index), 0).await;
        times.push(changed.duration_since(pushed).max(live.duration_since(pushed)));
        let cost = ground.rest(&start).await;
        cpu.push(cost.cpu);
        requests.push(count(cost.requests.len()));
        let sent = cost
            .requests
            .iter()
            .filter(|request| request.resource == "configmaps" && request.writes());
        writes.push(sent.count());
        summary = cost.summary();
    }
    // What Git holds from now on is what the last round wrote.
    report.add_with(
        CASE,
        "pushed → live",
        median(&milliseconds(&times)),
        "ms",
        "median of 5",
    );
    report.add_with(CASE, "API requests", median(&requests), "", summary);
    report.add_with(CASE, "controller CPU", median(&cpu), "s", "median of 5");
    report.promise(
        format!("a commit that changes one object sends one object; sent were {writes:?}"),
        writes.iter().all(|sent| *sent == 1),
    );
}
