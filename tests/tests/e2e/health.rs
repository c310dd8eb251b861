//! Health: rules of one's own, what does not count, what fails later and comes back, and how much is written about it.

use std::time::{Duration, Instant};

use crds::Sync;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::audit::{Mark, Request};
use tests::{Space, objects, run, wait};

use crate::order_world::{begin, gated, gates, plain, reason, status, tell, unhealthy};

fn mark(team: &Space<'_>) -> Mark {
    team.stage().cluster.audit().mark()
}

/// What the controller wrote in this namespace since then.
fn writes(team: &Space<'_>, since: Mark) -> Vec<Request> {
    let mut requests = team.stage().cluster.audit().by_controller(since);
    requests.retain(|request| {
        request.namespace == team.name() && request.writes() && request.resource != "events"
    });
    requests
}

async fn change(team: &Space<'_>, spec: serde_json::Value) {
    let patch = Patch::Merge(json!({"spec": spec}));
    team.api::<Sync>()
        .patch("app", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[test]
fn a_rule_of_ones_own_is_followed_as_soon_as_it_changes() {
    run(async {
        let (team, repo) = begin("rules").await;
        let commit = repo.write("app/a.yaml", plain("a", &[])).commit("Begin");
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let rule = |current: &str| json!({"healthChecks": [{"kind": "ConfigMap", "current": current}]});
        let healthy = |wanted: &'static str| move |sync: &Sync| objects::is(sync, "Healthy", wanted);
        change(&team, rule("self.data.value == 'two'")).await;
        let object = format!("ConfigMap {}/a", team.name());
        let sync: Sync = team.until("app", "it to be unhealthy", healthy("False")).await;
        assert!(unhealthy(&sync, &object).is_some(), "{sync:#?}");
        change(&team, rule("self.data.value == 'one'")).await;
        let good = |sync: &Sync| objects::is(sync, "Healthy", "True") && objects::is(sync, "Ready", "True");
        let sync: Sync = team.until("app", "it to be healthy", good).await;
        assert!(status(&sync).unhealthy.is_empty(), "{sync:#?}");

        change(&team, rule("self.data.value ==")).await;
        let sync: Sync = team
            .until("app", "the rule to be refused", |sync| {
                objects::is(sync, "Stalled", "True")
            })
            .await;
        assert_eq!(reason(&sync, "Ready"), "InvalidSpec");
        let said = objects::message(&sync, "Ready");
        assert!(said.contains("spec.healthChecks[0].current"), "{said}");
        change(&team, json!({"healthChecks": null})).await;
        team.until("app", "it to be healthy without a rule", good).await;
    });
}

#[test]
fn health_that_does_not_count_is_not_waited_for() {
    run(async {
        let (team, repo) = begin("ignored").await;
        repo.write("app/a.yaml", gated("a", &[("signet.dev/health", "ignore")]))
            .write(
                "app/b.yaml",
                gated("b", &[("argocd.argoproj.io/ignore-healthcheck", "true")]),
            )
            .write("app/c.yaml", plain("c", &[("signet.dev/wave", "1")]));
        let commit = repo.commit("Begin");
        team.sync_with("app", "app", gates).await;
        let sync = team.applied("app", &commit).await;
        assert!(
            objects::is(&sync, "Healthy", "True") && status(&sync).unhealthy.is_empty(),
            "{sync:#?}"
        );
    });
}

#[test]
fn what_fails_later_is_said_and_taken_back_and_then_there_is_silence() {
    run(async {
        let (team, repo) = begin("later").await;
        let web = objects::deployment("web", "web:1", "none");
        let web = web.replace("  replicas: 1", "  progressDeadlineSeconds: 4\n  replicas: 1");
        repo.write("app/a.yaml", plain("a", &[]))
            .write("app/web.yaml", web);
        let commit = repo.commit("Begin");
        team.sync_with("app", "app", gates).await;
        team.applied("app", &commit).await;
        let good = |sync: &Sync| {
            objects::is(sync, "Healthy", "True")
                && objects::is(sync, "Ready", "True")
                && status(sync).unhealthy.is_empty()
        };
        let bad = |object: String| {
            move |sync: &Sync| {
                objects::is(sync, "Healthy", "False")
                    && reason(sync, "Ready") == "HealthFailed"
                    && unhealthy(sync, &object).is_some_and(|said| said.starts_with("Failed"))
            }
        };
        tell(&team, "a", "bad").await;
        team.until(
            "app",
            "the map to have failed",
            bad(format!("ConfigMap {}/a", team.name())),
        )
        .await;
        tell(&team, "a", "fine").await;
        team.until("app", "the map to be good again", good).await;

        // No Pod may be made any more. One that is missing comes back before long, for all we know.
        team.kubectl(["create", "quota", "none", "--hard=pods=0"]).ok();
        team.kubectl(["delete", "pod", "--all", "--now"]).ok();
        let web = format!("Deployment {}/web", team.name());
        let sync: Sync = team
            .until("app", "the Deployment to be in progress", |sync| {
                unhealthy(sync, &web).is_some_and(|said| said.starts_with("InProgress"))
            })
            .await;
        assert!(
            objects::is(&sync, "Ready", "True") && objects::is(&sync, "Healthy", "False"),
            "{sync:#?}"
        );
        // A rollout that does not come to its end in time does not.
        team.kubectl(["rollout", "restart", "deployment", "web"]).ok();
        let sync: Sync = team.until("app", "the Deployment to have failed", bad(web)).await;
        assert!(objects::message(&sync, "Ready").contains("web"), "{sync:#?}");
        team.kubectl(["delete", "quota", "none"]).ok();
        team.until("app", "the Deployment to be good again", good).await;
        team.until("web", "the Deployment to be whole", |web: &Deployment| {
            web.status
                .as_ref()
                .is_some_and(|status| status.available_replicas == Some(1))
        })
        .await;
        let mut since = mark(&team);
        let mut quiet = Instant::now();
        let patience = Instant::now() + Duration::from_secs(30);
        wait::poll("ten seconds without a write", || {
            let found = writes(&team, since);
            if !found.is_empty() {
                assert!(Instant::now() < patience, "{found:#?}");
                (since, quiet) = (mark(&team), Instant::now());
            }
            let lasted = quiet.elapsed();
            async move {
                if lasted > Duration::from_secs(10) {
                    Ok(())
                } else {
                    Err(format!("{lasted:?}"))
                }
            }
        })
        .await;
    });
}

#[test]
fn a_rollout_is_told_about_once_a_second() {
    run(async {
        let (team, repo) = begin("often").await;
        let names: Vec<String> = (0..20).map(|n| format!("map-{n:02}")).collect();
        for name in &names {
            repo.write(&format!("app/{name}.yaml"), gated(name, &[]));
        }
        let web = objects::deployment("web", "web:1", "none").replace("replicas: 1", "replicas: 3");
        repo.write("app/web.yaml", web);
        let commit = repo.commit("Begin");
        let (since, start) = (mark(&team), Instant::now());
        team.sync_with("app", "app", gates).await;
        let waits =
            |sync: &Sync| reason(sync, "Ready") == "Progressing" && status(sync).health.in_progress > 0;
        team.until("app", "it to wait", waits).await;
        for name in &names {
            tell(&team, name, "good").await;
            // The pace at which Pods of a rollout become ready one after the other.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        let sync = team.applied("app", &commit).await;
        assert_eq!(status(&sync).health.current, 21, "{sync:#?}");
        let took = start.elapsed().as_secs_f64();
        let said = writes(&team, since)
            .into_iter()
            .filter(|request| request.uri.contains("/status"))
            .count();
        eprintln!("{said} writes of the status in {took:.1} s");
        // The first, and the verdict, do not wait.
        #[allow(clippy::cast_precision_loss)]
        let said = said as f64;
        assert!(said <= 2.0 * took + 3.0, "{said} in {took:.1} s");
    });
}
