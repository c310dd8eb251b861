//! From the end of a push until the object is live: told by a webhook, and found by a poll.

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use tests::{Cluster, http, objects as harness};

use super::stop;
use crate::follow::Follow;
use crate::ground::Ground;
use crate::numbers::{milliseconds, percentile};
use crate::objects;
use crate::report::Report;
use crate::team::Team;

const CASE: &str = "push";
const TOKEN: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

pub(super) async fn measure(pushes: usize, report: &mut Report) {
    report.say("push: starting a cluster");
    let ground = Ground::start(Cluster::own().await).await;
    let team = Team::create(&ground.cluster, ground.client.clone(), &ground.git, CASE).await;
    secret(&ground);
    team.set(json!({"webhook": {"provider": "GitHub", "secretRef": {"name": "push"}}}))
        .await;
    let follow = Follow::start::<ConfigMap>(ground.client.clone(), CASE, objects::expected(1));
    // Not counted: the first object, the first hook, and the Repository that has just learnt of it.
    while !told(&ground, &change(&team, &follow, 0)).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    follow.all_good().await;

    let fetches = || ground.git.packs(&team.repo);
    let (before, mut live, mut applied) = (fetches(), Vec::new(), Vec::new());
    for round in 1..=pushes {
        // Looks at a remote are 200 ms apart at least: people push less often.
        tokio::time::sleep(Duration::from_millis(250)).await;
        let commit = change(&team, &follow, round);
        let pushed = Instant::now();
        assert!(told(&ground, &commit).await, "the hook is taken");
        let (seen, said) = tokio::join!(follow.all_good(), team.applied(&commit));
        live.push(seen.duration_since(pushed));
        applied.push(said.duration_since(pushed));
    }
    let fetches = fetches() - before;
    for (what, times) in [("live", &live), ("applied", &applied)] {
        let times = milliseconds(times);
        let note = format!("{pushes} pushes of one object");
        let (median, late) = match what {
            "live" => ("webhook: pushed → live, p50", "webhook: pushed → live, p99"),
            _ => ("webhook: pushed → applied, p50", "webhook: pushed → applied, p99"),
        };
        report.add_with(CASE, median, percentile(&times, 0.5), "ms", note);
        report.add(CASE, late, percentile(&times, 0.99), "ms");
    }
    // After 50 packs the store is built anew, which is a fetch as well.
    report.promise(
        format!("{pushes} pushes are as many fetches, and one for each 50 packs; there were {fetches}"),
        (pushes..=pushes + pushes / 50).contains(&fetches),
    );

    team.set(json!({"interval": "1s"})).await;
    let mut polled = Vec::new();
    for round in pushes + 1..=pushes + pushes / 5 {
        let commit = change(&team, &follow, round);
        let pushed = Instant::now();
        polled.push(team.applied(&commit).await.duration_since(pushed));
    }
    let times = milliseconds(&polled);
    let note = format!("asked every second; {} pushes", polled.len());
    report.add_with(
        CASE,
        "poll: pushed → applied, p50",
        percentile(&times, 0.5),
        "ms",
        note,
    );
    report.add(
        CASE,
        "poll: pushed → applied, p99",
        percentile(&times, 0.99),
        "ms",
    );
    stop(ground);
}

/// Pushes another content of the one object.
fn change(team: &Team, follow: &Follow, round: usize) -> String {
    let (file, content) = objects::file(0, 1, Some((0, round)));
    team.repo.write(&file, content);
    follow.expect(&objects::name(0), objects::data(0, round));
    team.repo.commit("another content")
}

/// Says what GitHub says of a push. Whether it was taken.
async fn told(ground: &Ground, commit: &str) -> bool {
    let body = json!({"ref": "refs/heads/main", "after": commit, "repository": {
        "full_name": "somebody/push", "clone_url": "https://elsewhere.example/push.git"}});
    let body = body.to_string().into_bytes();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, TOKEN.as_bytes()), &body);
    let hex: Vec<String> = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let signature = format!("sha256={}", hex.concat());
    let url = format!("{}/v1/hooks/{CASE}/push", ground.controller.url());
    let headers = [
        ("X-GitHub-Event", "push"),
        ("X-GitHub-Delivery", commit),
        ("X-Hub-Signature-256", &signature),
    ];
    let reply = http::post(&url, &body, &headers).await;
    reply.is_some_and(|reply| reply.status == 202)
}

/// What the host signs with, and the right to read it.
fn secret(ground: &Ground) {
    let meta = json!({"name": "push", "namespace": CASE});
    let rbac = "rbac.authorization.k8s.io";
    let objects = harness::list(&[
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"token": TOKEN}}),
        json!({"apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": meta,
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["push"], "verbs": ["get"]}]}),
        json!({"apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": meta,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "push"},
            "subjects": [{"kind": "ServiceAccount", "name": "signet-controller", "namespace": "signet-system"}]}),
    ]);
    let apply = ["apply", "--server-side", "-f", "-"];
    ground.cluster.kubectl_with(apply, &objects.to_string()).ok();
}
