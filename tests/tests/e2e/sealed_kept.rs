//! SealedSecret objects in the cluster, where this controller does better than Bitnami's: drift is repaired, what is
//! unchanged is left alone, and two writers are told.

use crds::{NativeSealedSecret, SealedSecret};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};
use sealing::Scope;
use serde_json::json;
use tests::audit::{Mark, Request, summary};
use tests::{Stage, http, objects, run, wait};

use crate::native::{published, seal};
use crate::sealed_support::{Sealed, data, said};

#[test]
fn drift_is_repaired_and_what_others_add_beside_stays() {
    run(async {
        let on = Sealed::on(Stage::drop_in().await, "sk-drift").await;
        on.sealed("db", &[("a", "one"), ("b", "two")]);
        let before = on.holds("db", &[("a", "one"), ("b", "two")]).await;
        on.synced("db").await;
        let good = |secret: &Secret| {
            data(secret) == data(&before) && secret.labels().get("mylabel").is_some_and(|v| v == "myvalue")
        };
        for patch in [
            json!({"stringData": {"a": "other"}}),
            json!({"data": {"b": null}}),
            json!({"stringData": {"c": "three"}}),
            json!({"metadata": {"labels": {"mylabel": "x"}}}),
            json!({"metadata": {"labels": {"mylabel": null}}}),
        ] {
            let text = patch.to_string();
            let spoil = ["patch", "secret", "db", "--type=merge", "--patch", &text];
            let took = on.team.repaired("db", &spoil, good).await;
            eprintln!("{text}: put back after {} ms", took.as_millis());
        }
        on.team.kubectl(["annotate", "secret", "db", "note=kept"]).ok();
        let took = on.team.repaired("db", &["delete", "secret", "db"], good).await;
        eprintln!("deleted: made again after {} ms", took.as_millis());
        on.team.kubectl(["annotate", "secret", "db", "note=kept"]).ok();
        on.merge(
            "db",
            json!({"spec": {"template": {"metadata": {"labels": {"new": "label"}}}}}),
        )
        .await;
        let secret = on
            .team
            .until("db", "the new label", |secret: &Secret| {
                secret.labels().contains_key("new")
            })
            .await;
        assert_eq!(secret.annotations()["note"], "kept");
        // Ours to take away, too.
        on.merge(
            "db",
            json!({"spec": {"template": {"metadata": {"labels": {"new": null}}}}}),
        )
        .await;
        on.team
            .until("db", "the label to go", |secret: &Secret| {
                !secret.labels().contains_key("new")
            })
            .await;
    });
}

#[test]
fn sealing_the_same_value_again_writes_no_secret() {
    run(async {
        let on = Sealed::on(Stage::drop_in().await, "sk-same").await;
        let mut plain = on.secret("db", &[("a", "one")]);
        // The API server fills in a type; Bitnami's controller writes the Secret for ever for that.
        plain.as_object_mut().unwrap().remove("type");
        on.create(&on.seal(&plain));
        on.synced("db").await;
        let before = on.version("db").await;
        on.replace(&on.seal(&plain));
        assert_eq!(on.synced("db").await.status.unwrap().observed_generation, Some(2));
        assert_eq!(on.version("db").await, before);
        plain["stringData"]["a"] = "two".into();
        on.replace(&on.seal(&plain));
        on.holds("db", &[("a", "two")]).await;
    });
}

#[test]
fn a_secret_without_owner_is_kept_up_and_outlives() {
    run(async {
        let on = Sealed::on(Stage::drop_in().await, "sk-skip").await;
        let seal = |value: &str| {
            let mut plain = on.secret("db", &[("a", value)]);
            plain["metadata"]["annotations"] =
                json!({"sealedsecrets.bitnami.com/skip-set-owner-references": "true"});
            on.seal(&plain)
        };
        on.create(&seal("one"));
        let secret = on.holds("db", &[("a", "one")]).await;
        assert!(secret.owner_references().is_empty());
        on.synced("db").await;
        // Upstream needs `managed` in the template too, or says that it is not managed.
        on.replace(&seal("two"));
        on.holds("db", &[("a", "two")]).await;
        on.synced("db").await;

        let api = on.team.api::<SealedSecret>();
        api.delete("db", &DeleteParams::background()).await.unwrap();
        on.team.gone::<SealedSecret>("db").await;
        assert!(on.has("db").await);
        // Made again, it goes on with the Secret that it finds.
        on.create(&seal("three"));
        on.holds("db", &[("a", "three")]).await;
    });
}

#[test]
fn one_that_is_made_again_keeps_its_secret() {
    run(async {
        let on = Sealed::on(Stage::drop_in().await, "sk-orphan").await;
        let sealed = on.seal(&on.secret("db", &[("a", "one")]));
        on.create(&sealed);
        on.synced("db").await;
        let before = on.team.api::<Secret>().get("db").await.unwrap();
        on.team
            .kubectl(["delete", "sealedsecret", "db", "--cascade=orphan"])
            .ok();
        on.create(&sealed);
        let now = on.synced("db").await;
        let secret = on
            .team
            .until("db", "the new owner", |secret: &Secret| {
                let owners = secret.owner_references();
                owners.len() == 1 && Some(&owners[0].uid) == now.metadata.uid.as_ref()
            })
            .await;
        assert_eq!(secret.uid(), before.uid(), "it is the same Secret");
    });
}

#[test]
fn a_frozen_one_is_left_alone() {
    run(async {
        let on = Sealed::on(Stage::drop_in().await, "sk-frozen").await;
        on.sealed("db", &[("a", "one")]);
        on.synced("db").await;
        let freeze =
            |value: serde_json::Value| json!({"metadata": {"annotations": {"signet.dev/reconcile": value}}});
        on.merge("db", freeze("disabled".into())).await;
        // The room sees the freeze before the edit: one watch, and what follows asks for the next event of another. So an
        // edit may be repaired once; then the freeze holds.
        on.team
            .kubectl(["patch", "secret", "db", "--patch", r#"{"stringData":{"a":"x"}}"#])
            .ok();
        wait::poll("the Secret to stay edited", || async {
            let secret = on.team.api::<Secret>().get("db").await.unwrap();
            if data(&secret)["a"] == "x" {
                return Ok(());
            }
            on.team
                .kubectl(["patch", "secret", "db", "--patch", r#"{"stringData":{"a":"x"}}"#])
                .ok();
            Err(format!("{:?}", data(&secret)))
        })
        .await;
        on.merge("db", freeze(serde_json::Value::Null)).await;
        on.holds("db", &[("a", "one")]).await;
    });
}

#[test]
fn two_writers_of_one_secret_are_refused_with_words() {
    run(async {
        let stage = Stage::drop_in().await;
        let on = Sealed::on(stage, "sk-two").await;
        let repo = stage.git.repository(on.team.name());
        // First the object, then the Sync.
        on.sealed("object", &[("a", "object")]);
        on.synced("object").await;
        let seal = |name: &str| stage.seal(&objects::secret(on.team.name(), name, &[("a", "git")]));
        let commit = repo
            .write("one/x.yaml", seal("object"))
            .write("two/y.yaml", seal("git"))
            .commit("Both");
        on.team.repository("app", &repo).await;
        on.team.sync("one", "one").await;
        let sync = on.team.failed("one", &commit).await;
        let message = format!("{:?}", sync.status.unwrap());
        assert!(
            message.contains("a SealedSecret object in the cluster makes this Secret"),
            "{message}"
        );
        on.holds("object", &[("a", "object")]).await;

        // First the Sync, then the object.
        on.team.sync("two", "two").await;
        on.team.applied("two", &commit).await;
        on.sealed("git", &[("a", "object")]);
        let said = on.failed("git").await;
        assert!(
            said.contains(&format!("Sync {}/two writes it from Git", on.team.name())),
            "{said}"
        );
        on.holds("git", &[("a", "git")]).await;

        // Once the object is gone, orphaned, the Sync takes the Secret over.
        on.team
            .kubectl(["delete", "sealedsecret", "object", "--cascade=orphan"])
            .ok();
        on.team.request("one", "again").await;
        on.team.applied("one", &commit).await;
        on.holds("object", &[("a", "git")]).await;
    });
}

/// Enough to be told from one by one, and few enough to be quick.
const MANY: usize = 40;
/// The same, of format v2.
const NATIVE: usize = 3;

#[test]
fn a_restart_with_nothing_changed_opens_and_writes_nothing() {
    run(async {
        let mut stage = Stage::own_drop_in().await;
        let name = {
            let on = Sealed::on(&stage, "sk-restart").await;
            let before = operations(&stage).await;
            for n in 0..MANY {
                on.sealed(&format!("s{n}"), &[("a", "one"), ("b", "two")]);
            }
            for n in 0..MANY {
                on.synced(&format!("s{n}")).await;
            }
            // Each value was opened once, and no more.
            assert_eq!(operations(&stage).await - before, 2 * MANY as u64);
            // Of format v2, each data key is opened once.
            let (before, to) = (operations(&stage).await, published(&stage).await);
            for n in 0..NATIVE {
                let plain = on.secret(&format!("n{n}"), &[("a", "one"), ("b", "two")]);
                on.create(&seal(&plain, &to, Scope::Strict));
            }
            for n in 0..NATIVE {
                on.holds(&format!("n{n}"), &[("a", "one"), ("b", "two")]).await;
                on.event(&format!("n{n}"), "Unsealed").await;
            }
            assert_eq!(operations(&stage).await - before, NATIVE as u64);
            // One that does not open is tried again, and says what it said.
            let mut bad = on.seal(&on.secret("bad", &[("a", "one")]));
            bad["metadata"]["name"] = "worse".into();
            on.create(&bad);
            on.failed("worse").await;
            on.team.keep()
        };
        let audit = stage.cluster.audit().clone();
        for how in ["SIGTERM", "kill -9"] {
            let before = versions(&stage, &name).await;
            if how == "SIGTERM" {
                assert!(stage.controller.stop().success());
            } else {
                stage.controller.kill();
            }
            let mark = audit.mark();
            stage.controller.start_again().await;
            settled(&stage, mark).await;
            let asked = about(&stage, mark, &name);
            eprintln!("{how}: {}", summary(&audit.by_controller(mark)));
            let writes: Vec<_> = asked.iter().filter(|request| request.writes()).collect();
            assert!(
                writes.iter().all(|request| request.resource == "events"),
                "{writes:#?}"
            );
            // The one that failed costs what it costs to find out why.
            let failing = 1 + 2;
            assert!(
                operations(&stage).await <= failing,
                "{}",
                operations(&stage).await
            );
            assert_eq!(versions(&stage, &name).await, before);
        }
        // The bad one gone, a restart costs no private operation at all.
        stage
            .cluster
            .kubectl(["--namespace", &name, "delete", "sealedsecret", "worse"])
            .ok();
        stage.controller.kill();
        let mark = audit.mark();
        stage.controller.start_again().await;
        settled(&stage, mark).await;
        assert_eq!(operations(&stage).await, 0);
        let writes: Vec<Request> = about(&stage, mark, &name)
            .into_iter()
            .filter(Request::writes)
            .collect();
        assert!(writes.is_empty(), "{writes:#?}");

        // What happens while nobody looks is found afterwards.
        stage.controller.kill();
        let kubectl = |arguments: &[&str]| {
            let here = ["--namespace", name.as_str()];
            stage
                .cluster
                .kubectl(here.into_iter().chain(arguments.iter().copied()))
                .ok();
        };
        kubectl(&["delete", "secret", "s0"]);
        kubectl(&["patch", "secret", "s1", "--patch", r#"{"stringData":{"a":"x"}}"#]);
        stage.controller.start_again().await;
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), &name);
        for which in ["s0", "s1"] {
            let good = |secret: &Secret| data(secret).get("a").is_some_and(|value| value == "one");
            wait::until(&stage.cluster, secrets.clone(), which, "it to be put right", good).await;
        }
    });
}

/// Private operations so far, by the metric.
pub(crate) async fn operations(stage: &Stage) -> u64 {
    let url = format!("{}/metrics", stage.controller.metrics_url());
    let text = http::get(&url).await.unwrap().body;
    let line = text
        .lines()
        .find(|line| line.starts_with("signet_private_key_operations_total "));
    line.unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}

/// The versions of every Secret and SealedSecret, and what the latter say.
async fn versions(stage: &Stage, namespace: &str) -> Vec<(String, Option<String>, String)> {
    let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), namespace);
    let sealed: Api<SealedSecret> = Api::namespaced(stage.cluster.client(), namespace);
    let native: Api<NativeSealedSecret> = Api::namespaced(stage.cluster.client(), namespace);
    let native = native.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(native.len(), NATIVE);
    let native = native
        .iter()
        .map(|sealed| (sealed.name_any(), sealed.resource_version(), String::new()));
    let secrets = secrets.list(&ListParams::default()).await.unwrap().items;
    let sealed = sealed.list(&ListParams::default()).await.unwrap().items;
    let secrets = secrets
        .iter()
        .map(|secret| (secret.name_any(), secret.resource_version(), String::new()));
    let sealed = sealed
        .iter()
        .map(|sealed| (sealed.name_any(), sealed.resource_version(), said(sealed)));
    secrets.chain(sealed).chain(native).collect()
}

fn about(stage: &Stage, mark: Mark, namespace: &str) -> Vec<Request> {
    let mut requests = stage.cluster.audit().by_controller(mark);
    requests.retain(|request| request.namespace == namespace);
    requests
}

/// Waits until the controller has asked for nothing for two seconds.
async fn settled(stage: &Stage, mark: Mark) {
    let audit = stage.cluster.audit();
    let mut last = (audit.by_controller(mark).len(), std::time::Instant::now());
    wait::poll("the controller to come to rest", || {
        let count = audit.by_controller(mark).len();
        if count != last.0 {
            last = (count, std::time::Instant::now());
        }
        let quiet = last.1.elapsed().as_secs() >= 2;
        async move {
            if quiet {
                Ok(())
            } else {
                Err(format!("{count} requests so far"))
            }
        }
    })
    .await;
}
