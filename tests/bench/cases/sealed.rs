//! Sealed Secrets: sealed by the command line in one call, committed, opened and applied; then a restart.

use std::fmt::Write as _;
use std::time::Instant;

use k8s_openapi::api::core::v1::Secret;

use crate::follow::Follow;
use crate::ground::Ground;
use crate::numbers::count;
use crate::objects;
use crate::report::Report;
use crate::team::Team;

const OPERATIONS: &str = "signet_private_key_operations_total";
const NAMESPACE: &str = "sealed";
const PER_FILE: usize = 100;

pub(super) async fn measure(
    ground: &mut Ground,
    [case, restart]: [&'static str; 2],
    secrets: usize,
    report: &mut Report,
) {
    let client = ground.client.clone();
    let team = Team::create(&ground.cluster, client.clone(), &ground.git, NAMESPACE).await;
    let follow = Follow::start::<Secret>(client, NAMESPACE, objects::expected_secrets(secrets));

    let mut plain = String::new();
    for index in 0..secrets {
        let _ = writeln!(plain, "---\n{}", objects::secret(NAMESPACE, index));
    }
    let certificate = ground.controller.certificate_url();
    let began = Instant::now();
    let sealed = ground
        .cluster
        .signet(["seal", "--cert", &certificate, "--output", "yaml"], &plain)
        .ok();
    report.add_with(
        case,
        "sealed by one call of `signet seal`",
        began.elapsed().as_secs_f64(),
        "s",
        format!("{secrets} Secrets of 2 values, RSA 4096"),
    );
    let documents: Vec<&str> = sealed.split("\n---").collect();
    for (number, part) in documents.chunks(PER_FILE).enumerate() {
        team.repo
            .write(&format!("objects/{number:04}.yaml"), part.join("\n---"));
    }
    let commit = team.repo.commit_only("all of them");
    let before = ground.metric(OPERATIONS).await;

    report.say("applying sealed Secrets");
    let start = ground.begin();
    team.repo.push();
    let ((), visible, live, _) = tokio::join!(
        team.request("sealed"),
        team.visible(&commit),
        follow.all_good(),
        team.applied(&commit)
    );
    let cost = ground.rest(&start).await;
    let operations = ground.metric(OPERATIONS).await - before;
    let seconds = live.duration_since(visible).as_secs_f64();
    report.add(case, "visible → live", seconds, "s");
    report.add(case, "Secrets a second", count(secrets) / seconds, "/s");
    report.add(case, "controller CPU, to rest", cost.cpu, "s");
    report.add(case, "control plane CPU", cost.machine.cluster, "s");
    report.add(case, "processors busy with others", cost.machine.others, "");
    report.add(case, "private-key operations", operations, "");
    report.add(case, "RSS at rest", cost.rss, "MiB");
    report.add_with(
        case,
        "API requests",
        count(cost.requests.len()),
        "",
        cost.summary(),
    );
    report.promise(
        format!(
            "each of {} values is opened once; {operations} private-key operations were done",
            2 * secrets
        ),
        (operations - count(2 * secrets)).abs() < 0.5,
    );
    super::restart::measure(ground, restart, report).await;
}
