//! Restored: what was deleted or changed behind Git's back, with no new commit and nobody asking.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use tests::audit::{CONTROLLER, summary};
use tests::{Space, Stage, objects, run};

/// A second is what we promise and print; a busy machine gets more.
const BOUND: Duration = Duration::from_secs(10);

#[test]
fn what_was_deleted_or_changed_is_restored_at_once_and_then_there_is_silence() {
    run(async {
        let stage = Stage::own().await;
        let team = stage.space("drift");
        let repo = stage.git.repository(team.name());
        repo.write(
            "app/db.yaml",
            stage.seal(&objects::secret(team.name(), "db", &[("password", "right")])),
        )
        .write("app/web.yaml", objects::deployment("web", "wordpress:6", "db"))
        .write("app/map.yaml", objects::config_map("map", "right"));
        let commit = repo.commit("Begin");
        team.repository_with("app", &repo, |spec| spec.interval = "1h".into())
            .await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        available(&team).await;
        let asked = stage.git.requests(&repo).len();

        let web = |now: &Deployment| image(now) == "wordpress:6";
        let db = |now: &Secret| holds(now, "right");
        let took = team.repaired("web", &["delete", "deployment", "web"], web).await;
        report("deleted Deployment", took);
        available(&team).await;
        let took = team.repaired("db", &["delete", "secret", "db"], db).await;
        report("deleted Secret", took);
        let patch = r#"{"data":{"password":"d3Jvbmc="}}"#;
        let took = team
            .repaired("db", &["patch", "secret", "db", "--patch", patch], db)
            .await;
        report("changed Secret", took);
        let took = team
            .repaired("web", &["set", "image", "deployment/web", "main=evil:1"], web)
            .await;
        report("changed Deployment", took);
        let map = |now: &ConfigMap| {
            let data = now.data.as_ref();
            data.and_then(|data| data.get("value"))
                .is_some_and(|value| value == "right")
        };
        let patch = r#"{"data":{"value":null}}"#;
        let took = team
            .repaired("map", &["patch", "configmap", "map", "--patch", patch], map)
            .await;
        report("emptied ConfigMap", took);

        assert_eq!(
            stage.git.requests(&repo).len(),
            asked,
            "Git was asked, and had nothing to do with it"
        );
        available(&team).await;
        silence(&stage).await;
    });
}

/// No request of the controller's for a minute but those that renew the Lease.
async fn silence(stage: &Stage) {
    // What the last repair still has to say and to write down comes first, and is done when nothing came for a while.
    let audit = stage.cluster.audit();
    let mut mark = audit.mark();
    let mut since = Instant::now();
    let patience = Instant::now() + Duration::from_mins(2);
    while since.elapsed() < Duration::from_mins(1) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let requests = audit.by_controller(mark);
        if !requests.is_empty() {
            eprintln!(
                "after {:.0} s: {}",
                since.elapsed().as_secs_f64(),
                summary(&requests)
            );
            assert!(
                Instant::now() < patience,
                "the controller does not come to rest: {requests:#?}\n{}",
                stage.cluster.explain()
            );
            (mark, since) = (audit.mark(), Instant::now());
        }
    }
    let leases = audit.since(mark, CONTROLLER);
    let leases = leases.iter().filter(|request| request.is_lease()).count();
    let most = usize::try_from(since.elapsed().as_secs() / 4).unwrap();
    assert!(
        (1..=most).contains(&leases),
        "{leases} requests about the Lease in {:?}",
        since.elapsed()
    );
    eprintln!("no API request in the minute after but {leases} that renew the Lease");
}

fn report(what: &str, took: Duration) {
    eprintln!("{what}: restored after {} ms", took.as_millis());
    assert!(took < BOUND, "{what}: that took {took:?}");
}

async fn available(team: &Space<'_>) {
    team.until(
        "web",
        "the Deployment to be available",
        |deployment: &Deployment| {
            let status = deployment.status.as_ref();
            status.and_then(|status| status.available_replicas) == Some(1)
                && status.and_then(|status| status.observed_generation) == deployment.metadata.generation
        },
    )
    .await;
}

fn holds(secret: &Secret, password: &str) -> bool {
    let data = secret.data.as_ref();
    secret.metadata.deletion_timestamp.is_none()
        && data
            .and_then(|data| data.get("password"))
            .is_some_and(|value| value.0 == password.as_bytes())
}

fn image(deployment: &Deployment) -> &str {
    let template = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    template
        .and_then(|pod| pod.containers[0].image.as_deref())
        .unwrap_or_default()
}
