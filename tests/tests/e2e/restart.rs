//! `spec.restartOnSecretChange`: workloads are rolled once for each change of what their Secrets hold, and for nothing else.

use crds::Sync;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::json;
use tests::{Repo, Space, Stage, objects, run};

use crate::world::reason;

const SECRETS: &str = "signet.dev/secrets";

/// How often the workload was changed, and what its template says of Secrets.
async fn template(team: &Space<'_>, name: &str) -> (i64, Option<String>) {
    let found: Deployment = team.api().get(name).await.unwrap();
    let metadata = found.spec.unwrap().template.metadata.unwrap();
    let digest = metadata.annotations.and_then(|mut all| all.remove(SECRETS));
    (found.metadata.generation.unwrap(), digest)
}

fn sealed(team: &Space<'_>, name: &str, password: &str) -> String {
    let secret = objects::secret(team.name(), name, &[("password", password)]);
    team.stage().seal(&secret)
}

async fn applied(team: &Space<'_>, repo: &Repo, message: &str) {
    let commit = repo.commit(message);
    team.applied("app", &commit).await;
}

#[test]
fn a_workload_is_rolled_once_for_each_change_of_what_it_reads() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("restart");
        let repo = stage.git.repository(team.name());
        let quiet = objects::deployment("quiet", "nginx:1", "db").replacen(
            "  name: quiet\n",
            "  name: quiet\n  annotations: {signet.dev/restart-on-secret-change: disabled}\n",
            1,
        );
        repo.write("app/db.yaml", sealed(&team, "db", "one"))
            .write("app/other.yaml", sealed(&team, "other", "one"))
            .write("app/web.yaml", objects::deployment("web", "nginx:1", "db"))
            .write("app/shop.yaml", objects::deployment("shop", "nginx:1", "other"))
            .write(
                "app/far.yaml",
                objects::deployment("far", "nginx:1", "not-from-git"),
            )
            .write("app/quiet.yaml", quiet);
        team.repository("app", &repo).await;
        team.sync_with("app", "app", |spec| spec.restart_on_secret_change = true)
            .await;
        applied(&team, &repo, "Begin").await;
        let web = template(&team, "web").await;
        let shop = template(&team, "shop").await;
        let digest = web.1.clone().expect("the template says what it was made for");
        assert!(
            digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{digest}"
        );
        assert_ne!(
            web.1, shop.1,
            "equal values of two Secrets cannot be told to be equal"
        );
        for unmoved in ["quiet", "far"] {
            assert_eq!(template(&team, unmoved).await, (1, None), "{unmoved}");
        }

        // Sealed again, it is what it was: neither Secret nor workload is written.
        let before: Secret = team.api().get("db").await.unwrap();
        repo.write("app/db.yaml", sealed(&team, "db", "one"));
        applied(&team, &repo, "Seal it again").await;
        let after: Secret = team.api().get("db").await.unwrap();
        assert_eq!(after.resource_version(), before.resource_version());
        assert_eq!(template(&team, "web").await, web);

        // Another value rolls who reads it, once.
        repo.write("app/db.yaml", sealed(&team, "db", "two"));
        applied(&team, &repo, "Another password").await;
        let rolled = template(&team, "web").await;
        assert_eq!(rolled.0, web.0 + 1);
        assert_ne!(rolled.1, web.1);
        assert_eq!(template(&team, "shop").await, shop);
        assert_eq!(template(&team, "quiet").await, (1, None));

        // With another image in the same commit it is one change all the same.
        repo.write("app/db.yaml", sealed(&team, "db", "three"))
            .write("app/web.yaml", objects::deployment("web", "nginx:2", "db"));
        applied(&team, &repo, "Another password, and an image").await;
        assert_eq!(template(&team, "web").await.0, rolled.0 + 1);

        // What is changed back is what it was.
        repo.write("app/db.yaml", sealed(&team, "db", "one"));
        applied(&team, &repo, "The first password").await;
        assert_eq!(template(&team, "web").await.1, web.1);
    });
}

/// A Secret that the API server refuses is not what the pods would be made anew for; and once it is applied they are.
#[test]
fn a_workload_waits_for_the_secret_that_it_is_rolled_for() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("restartwaits");
        let repo = stage.git.repository(team.name());
        let secret = |password: &str| {
            let mut secret = objects::secret(team.name(), "db", &[("password", password)]);
            secret["immutable"] = true.into();
            team.stage().seal(&secret)
        };
        repo.write("app/db.yaml", secret("one"))
            .write("app/web.yaml", objects::deployment("web", "nginx:1", "db"));
        team.repository("app", &repo).await;
        team.sync_with("app", "app", |spec| spec.restart_on_secret_change = true)
            .await;
        applied(&team, &repo, "Begin").await;
        let web = template(&team, "web").await;
        repo.write("app/db.yaml", secret("two"));
        let commit = repo.commit("What cannot be changed");
        team.failed("app", &commit).await;
        assert_eq!(template(&team, "web").await, web);

        // A file that cannot be read takes the Secret out of sight, and rolls nothing either.
        repo.write("app/db.yaml", "kind: [\n");
        let commit = repo.commit("A slip");
        team.failed("app", &commit).await;
        assert_eq!(template(&team, "web").await, web);

        let patch = json!({"spec": {"immutable": "Replace"}}).to_string();
        team.stage()
            .cluster
            .kubectl([
                "-n",
                team.name(),
                "patch",
                "sync",
                "app",
                "--type=merge",
                "--patch",
                &patch,
            ])
            .ok();
        repo.write("app/db.yaml", secret("three"));
        applied(&team, &repo, "It may be replaced").await;
        let rolled = template(&team, "web").await;
        assert_eq!(rolled.0, web.0 + 1);
        assert_ne!(rolled.1, web.1);
    });
}

#[test]
fn what_cannot_be_opened_rolls_nothing() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("norestart");
        let repo = stage.git.repository(team.name());
        repo.write("app/db.yaml", sealed(&team, "db", "one"))
            .write("app/web.yaml", objects::deployment("web", "nginx:1", "db"));
        team.repository("app", &repo).await;
        team.sync_with("app", "app", |spec| spec.restart_on_secret_change = true)
            .await;
        applied(&team, &repo, "Begin").await;
        let web = template(&team, "web").await;

        // Sealed for another name: it does not open here.
        let foreign = sealed(&team, "other", "two").replace("other", "db");
        repo.write("app/db.yaml", foreign);
        let commit = repo.commit("A Secret of somewhere else");
        let sync = team.failed("app", &commit).await;
        assert_eq!(reason(&sync), "ApplyFailed");
        let place = team.name();
        let said = serde_json::to_string(&sync.status).unwrap();
        assert!(
            said.contains(&format!(
                "It is to be restarted with Secret {place}/db, which is not applied"
            )),
            "{said}"
        );
        let failures = sync.status.unwrap().failures;
        let objects: Vec<&str> = failures.iter().map(|failure| failure.object.as_str()).collect();
        assert_eq!(objects, [format!("Secret {place}/db")], "{failures:#?}");
        assert_eq!(template(&team, "web").await, web);

        // Without the wish to be restarted, the workload waits for nobody.
        let patch = json!({"spec": {"restartOnSecretChange": false}}).to_string();
        team.stage()
            .cluster
            .kubectl([
                "-n",
                place,
                "patch",
                "sync",
                "app",
                "--type=merge",
                "--patch",
                &patch,
            ])
            .ok();
        let image = objects::deployment("web", "nginx:2", "db");
        repo.write("app/web.yaml", image).commit("Another image");
        team.until("web", "the image", |web: &Deployment| {
            let pod = web.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
            pod.is_some_and(|pod| pod.containers[0].image.as_deref() == Some("nginx:2"))
        })
        .await;
        assert_eq!(template(&team, "web").await.1, None);
    });
}

/// A workload that starts without its Secret, if it has to.
fn patient(name: &str, image: &str) -> String {
    let optional = "- secretRef: {name: db, optional: true}";
    objects::deployment(name, image, "db").replace("- secretRef: {name: db}", optional)
}

/// A Secret with these annotations on what it becomes.
fn annotated(team: &Space<'_>, annotations: serde_json::Value) -> String {
    let mut secret = objects::secret(team.name(), "db", &[("password", "one")]);
    secret["metadata"]["annotations"] = annotations;
    secret["stringData"] = json!({"password": "one"});
    secret.to_string()
}

/// A Secret that comes after its reader does not hold it up, and rolls nothing.
#[test]
fn a_workload_does_not_wait_for_a_secret_that_comes_after_it() {
    run(async {
        let stage = Stage::shared().await;
        for (name, annotations) in [
            ("restartwave", json!({"signet.dev/wave": "1"})),
            (
                "restartcircle",
                json!({"config.kubernetes.io/depends-on": "apps/namespaces/NAMESPACE/Deployment/web"}),
            ),
        ] {
            let team = stage.space(name);
            let repo = stage.git.repository(team.name());
            let annotations = annotations.to_string().replace("NAMESPACE", team.name());
            let secret = annotated(&team, serde_json::from_str(&annotations).unwrap());
            repo.write("app/db.yaml", secret)
                .write("app/web.yaml", patient("web", "nginx:1"));
            team.repository("app", &repo).await;
            team.sync_with("app", "app", |spec| {
                spec.restart_on_secret_change = true;
                spec.plaintext_secrets = crds::PlaintextSecrets::Allow;
            })
            .await;
            applied(&team, &repo, "Begin").await;
            team.api::<Secret>().get("db").await.unwrap();
            assert_eq!(template(&team, "web").await, (1, None));
        }
    });
}

/// A Secret that is only created stays as it was then: what Git says of it later rolls nobody.
#[test]
fn a_secret_that_is_only_created_rolls_nothing_later() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("restartonce");
        let repo = stage.git.repository(team.name());
        let once = |password: &str| {
            let mut secret = objects::secret(team.name(), "db", &[("password", password)]);
            secret["metadata"]["annotations"] = json!({"signet.dev/apply": "create-only"});
            secret["stringData"] = json!({"password": password});
            secret.to_string()
        };
        repo.write("app/db.yaml", once("one"))
            .write("app/web.yaml", objects::deployment("web", "nginx:1", "db"));
        team.repository("app", &repo).await;
        team.sync_with("app", "app", |spec| {
            spec.restart_on_secret_change = true;
            spec.plaintext_secrets = crds::PlaintextSecrets::Allow;
        })
        .await;
        applied(&team, &repo, "Begin").await;
        let before = template(&team, "web").await;
        repo.write("app/db.yaml", once("two"));
        applied(&team, &repo, "Another password").await;
        assert_eq!(template(&team, "web").await, before);
        let db: Secret = team.api().get("db").await.unwrap();
        assert_eq!(db.data.unwrap()["password"].0, b"one");
    });
}

/// What somebody froze is nobody's to wait for.
#[test]
fn a_frozen_secret_holds_nobody_up() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("restartfrozen");
        let repo = stage.git.repository(team.name());
        repo.write("app/db.yaml", sealed(&team, "db", "one"))
            .write("app/web.yaml", objects::deployment("web", "nginx:1", "db"));
        team.repository("app", &repo).await;
        team.sync_with("app", "app", |spec| spec.restart_on_secret_change = true)
            .await;
        applied(&team, &repo, "Begin").await;
        team.kubectl(["annotate", "secret", "db", "signet.dev/reconcile=disabled"])
            .ok();
        team.until("app", "the frozen one to be seen", |sync: &Sync| {
            sync.status
                .as_ref()
                .is_some_and(|status| status.frozen.len() == 1)
        })
        .await;
        repo.write("app/db.yaml", sealed(&team, "db", "two"))
            .write("app/web.yaml", objects::deployment("web", "nginx:2", "db"));
        repo.commit("Another password, and an image");
        team.until("web", "the image", |web: &Deployment| {
            let pod = web.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
            pod.is_some_and(|pod| pod.containers[0].image.as_deref() == Some("nginx:2"))
        })
        .await;
        let db: Secret = team.api().get("db").await.unwrap();
        assert_eq!(db.data.unwrap()["password"].0, b"one");
    });
}

/// Drift that has to wait for a Secret is told, with the reason.
#[test]
fn drift_of_a_workload_whose_secret_fails_is_told() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("restartdrift");
        let repo = stage.git.repository(team.name());
        repo.write("app/db.yaml", sealed(&team, "db", "one"))
            .write("app/web.yaml", objects::deployment("web", "nginx:1", "db"));
        team.repository("app", &repo).await;
        team.sync_with("app", "app", |spec| spec.restart_on_secret_change = true)
            .await;
        applied(&team, &repo, "Begin").await;
        let foreign = sealed(&team, "other", "two").replace("other", "db");
        repo.write("app/db.yaml", foreign);
        let commit = repo.commit("A Secret of somewhere else");
        team.failed("app", &commit).await;
        team.kubectl(["set", "image", "deployment/web", "main=nginx:9"])
            .ok();
        let sync = team
            .until("app", "the drift to be told", |sync: &Sync| {
                let drift = sync.status.as_ref().map(|status| &status.drift[..]);
                drift.is_some_and(|drift| !drift.is_empty())
            })
            .await;
        let drift = &sync.status.unwrap().drift[0];
        assert!(
            drift.object.ends_with("/web") && drift.message.contains("is to be restarted with Secret"),
            "{drift:#?}"
        );
        repo.write("app/db.yaml", sealed(&team, "db", "three"));
        applied(&team, &repo, "One that opens").await;
        let web: Deployment = team.api().get("web").await.unwrap();
        let image = &web.spec.unwrap().template.spec.unwrap().containers[0].image;
        assert_eq!(image.as_deref(), Some("nginx:1"));
    });
}
