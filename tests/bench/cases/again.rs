//! Asked to reconcile with nothing changed.

use super::Large;
use crate::ground::Ground;
use crate::numbers::{count, median, milliseconds};
use crate::report::Report;

const CASE: &str = "request";
const ROUNDS: usize = 3;

pub(super) async fn measure(ground: &mut Ground, large: &Large, report: &mut Report) {
    let (mut times, mut cpu, mut requests, mut summary) = (Vec::new(), Vec::new(), Vec::new(), String::new());
    let mut members = 0;
    for round in 0..ROUNDS {
        let value = format!("again-{round}");
        let start = ground.begin();
        let ((), handled) = tokio::join!(large.team.request(&value), large.team.handled(&value));
        times.push(handled.duration_since(start.at));
        let cost = ground.rest(&start).await;
        cpu.push(cost.cpu);
        requests.push(count(cost.requests.len()));
        members += cost
            .requests
            .iter()
            .filter(|request| request.resource == "configmaps")
            .count();
        summary = cost.summary();
    }
    report.add_with(
        CASE,
        "asked → answered",
        median(&milliseconds(&times)),
        "ms",
        "median of 3",
    );
    report.add_with(CASE, "API requests", median(&requests), "", summary);
    report.add_with(CASE, "controller CPU", median(&cpu), "s", "median of 3");
    report.promise(
        format!("asked with nothing changed: no request about an object of the Sync; {members} were sent"),
        members == 0,
    );
}
