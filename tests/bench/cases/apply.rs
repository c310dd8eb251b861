//! One Sync, from an empty namespace to all of its objects.

use super::Large;
use crate::ground::Ground;
use crate::numbers::count;
use crate::objects;
use crate::report::{RATE, Report};

const CASE: &str = "apply";

pub(super) async fn measure(ground: &mut Ground, large: &Large, wanted: bool, report: &mut Report) {
    let team = &large.team;
    for (file, content) in objects::files(large.objects) {
        team.repo.write(&file, content);
    }
    let commit = team.repo.commit_only("all of them");
    report.say("applying");
    let pid = ground.pid();
    let resident = crate::process::resident(pid);
    let start = ground.begin();
    team.repo.push();
    let pushed = std::time::Instant::now();
    let (visible, applied, live, ()) = tokio::join!(
        team.visible(&commit),
        team.applied(&commit),
        large.follow.all_good(),
        team.request("apply")
    );
    let peak = crate::process::peak(pid);
    let cost = ground.rest(&start).await;
    if !wanted {
        return;
    }
    let seconds = live.duration_since(visible).as_secs_f64();
    report.add(CASE, "visible → live", seconds, "s");
    report.add(CASE, RATE, count(large.objects) / seconds, "/s");
    report.add(
        CASE,
        "pushed → live",
        live.duration_since(pushed).as_secs_f64(),
        "s",
    );
    report.add(
        CASE,
        "visible → said in the status",
        applied.duration_since(visible).as_secs_f64(),
        "s",
    );
    report.add(CASE, "controller CPU, to rest", cost.cpu, "s");
    report.add(CASE, "control plane CPU", cost.machine.cluster, "s");
    report.add(CASE, "processors busy with others", cost.machine.others, "");
    report.add(CASE, "peak RSS", peak, "MiB");
    report.add(CASE, "RSS at rest", cost.rss, "MiB");
    let each = (cost.rss - resident) * f64::from(1 << 20) / count(large.objects);
    report.add_with(
        CASE,
        "memory of one object",
        each,
        "bytes",
        "RSS at rest, less that before",
    );
    report.add_with(
        CASE,
        "API requests",
        count(cost.requests.len()),
        "",
        cost.summary(),
    );
    let sent = cost
        .requests
        .iter()
        .filter(|request| request.resource == "configmaps" && request.writes())
        .count();
    report.promise(
        format!("each of {} objects is sent once; {sent} were", large.objects),
        sent == large.objects,
    );
}
