//! A restart with nothing changed.

use crate::ground::Ground;
use crate::numbers::count;
use crate::report::Report;

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
