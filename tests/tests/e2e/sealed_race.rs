//! SealedSecrets whose Secret somebody else makes while it is being written, and Syncs that want it while it cannot be written.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crds::SealedSecret;
use http::Method;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::{Value, json};
use tests::fault_proxy::{Asked, Fault, FaultProxy};
use tests::{Cluster, ClusterRef, ControllerOptions, Stage, command, objects, run};

use crate::sealed_support::{MANAGED, Sealed, data, said};

/// In the place of Bitnami's controller, with every request on a road that a test can stand in.
async fn drop_in_behind_a_proxy() -> (Stage, FaultProxy) {
    let cluster = Cluster::own().await;
    let road = FaultProxy::start(&cluster).await;
    let mut options = ControllerOptions::drop_in(&cluster);
    road.lead(&mut options);
    let stage = Stage::on(ClusterRef::Own(Box::new(cluster)), options).await;
    (stage, road)
}

/// By the direct road.
fn kubectl(kubeconfig: &Path, arguments: &[&str], input: &str) {
    let mut kubectl = command::kubectl(kubeconfig);
    kubectl.args(arguments);
    command::run(kubectl, input.as_bytes()).ok();
}

/// Does something once, when the first apply of a Secret has been sent and has not arrived.
fn at_the_same_moment(road: &FaultProxy, name: &str, act: impl Fn() + Send + Sync + 'static) {
    let end = format!("/secrets/{name}");
    let done = AtomicBool::new(false);
    road.set(move |asked: &Asked<'_>| {
        let writes = *asked.method == Method::PATCH && asked.path.ends_with(&end);
        if writes && !done.swap(true, Ordering::SeqCst) {
            act();
        }
        None
    });
}

/// Waits until a SealedSecret says that the Secret is somebody else's.
async fn refused(on: &Sealed<'_>, name: &str) {
    on.team
        .until(name, "the Secret to be refused", |sealed: &SealedSecret| {
            said(sealed).contains("already exists and is not managed by SealedSecret")
        })
        .await;
}

/// Just what its maker put there.
async fn is_theirs(on: &Sealed<'_>, name: &str) {
    let secret = on.team.api::<Secret>().get(name).await.unwrap();
    assert_eq!(data(&secret), [("x".to_owned(), "theirs".to_owned())].into());
    assert!(secret.owner_references().is_empty(), "{:?}", secret.metadata);
    assert!(secret.annotations().is_empty() && secret.labels().is_empty());
    assert_eq!(secret.immutable, None);
    let managers = secret.metadata.managed_fields.unwrap_or_default();
    assert_eq!(managers.len(), 1, "{managers:?}");
}

#[test]
fn a_secret_that_somebody_makes_at_the_same_moment_stays_theirs() {
    run(async {
        let (stage, road) = drop_in_behind_a_proxy().await;
        let on = Sealed::on(&stage, "sr-made").await;
        for (name, immutable) in [("db", false), ("fixed", true)] {
            let theirs = objects::secret(on.team.name(), name, &[("x", "theirs")]).to_string();
            let kubeconfig = stage.cluster.kubeconfig().to_owned();
            at_the_same_moment(&road, name, move || {
                kubectl(&kubeconfig, &["create", "-f", "-"], &theirs);
            });
            let mut plain = on.secret(name, &[("a", "one")]);
            if immutable {
                plain["immutable"] = true.into();
            }
            on.create(&on.seal(&plain));
            refused(&on, name).await;
            is_theirs(&on, name).await;
            // Whose it is may still give it away.
            on.team
                .kubectl(["annotate", "secret", name, &format!("{MANAGED}=true")])
                .ok();
            let secret = on.holds(name, &[("a", "one")]).await;
            assert_eq!(secret.immutable, immutable.then_some(true));
            on.synced(name).await;
        }
    });
}

/// What was put into it is taken out later, where that cannot be done at once: it is not found to be ours meanwhile.
#[test]
fn what_could_not_be_taken_out_at_once_is_taken_out_later() {
    run(async {
        let (stage, road) = drop_in_behind_a_proxy().await;
        let on = Sealed::on(&stage, "sr-later").await;
        let theirs = objects::secret(on.team.name(), "db", &[("x", "theirs")]).to_string();
        let kubeconfig = stage.cluster.kubeconfig().to_owned();
        let writes = AtomicUsize::new(0);
        road.set(move |asked: &Asked<'_>| {
            if *asked.method != Method::PATCH || !asked.path.ends_with("/secrets/db") {
                return None;
            }
            match writes.fetch_add(1, Ordering::SeqCst) {
                0 => kubectl(&kubeconfig, &["create", "-f", "-"], &theirs),
                // All tries of a turn, and the first one of the next.
                1..=7 => {
                    return Some(Fault::Refuse {
                        code: 503,
                        retry_after: None,
                    });
                }
                _ => {}
            }
            None
        });
        on.sealed("db", &[("a", "one")]);
        refused(&on, "db").await;
        assert_eq!(road.faults(), 7);
        is_theirs(&on, "db").await;
    });
}

#[test]
fn a_secret_that_takes_the_place_of_ours_at_the_same_moment_stays_theirs() {
    run(async {
        let (stage, road) = drop_in_behind_a_proxy().await;
        let on = Sealed::on(&stage, "sr-anew").await;
        on.sealed("db", &[("a", "one")]);
        on.synced("db").await;
        let theirs = objects::secret(on.team.name(), "db", &[("x", "theirs")]).to_string();
        let kubeconfig = stage.cluster.kubeconfig().to_owned();
        let namespace = on.team.name().to_owned();
        at_the_same_moment(&road, "db", move || {
            kubectl(
                &kubeconfig,
                &["--namespace", &namespace, "delete", "secret", "db"],
                "",
            );
            kubectl(&kubeconfig, &["create", "-f", "-"], &theirs);
        });
        on.replace(&on.seal(&on.secret("db", &[("a", "two")])));
        refused(&on, "db").await;
        is_theirs(&on, "db").await;
    });
}

/// Both rooms begin at the same time after a start: what a SealedSecret has made is not a Sync's to take, also where it does not
/// open any more.
#[test]
fn a_sync_takes_no_secret_of_a_sealed_secret_at_a_start_or_when_it_fails() {
    run(async {
        let mut stage = Stage::own_drop_in().await;
        let (name, commit) = {
            let on = Sealed::on(&stage, "sr-claim").await;
            let repo = stage.git.repository(on.team.name());
            for name in ["good", "bad"] {
                on.sealed(name, &[("a", "object")]);
                on.synced(name).await;
                let plain = objects::secret(on.team.name(), name, &[("a", "git")]);
                repo.write(&format!("app/{name}.yaml"), stage.seal(&plain));
            }
            on.merge("bad", json!({"spec": {"encryptedData": {"a": "AgA="}}}))
                .await;
            on.failed("bad").await;
            let commit = repo.commit("The same Secrets");
            on.team.repository("app", &repo).await;
            on.team.fetched("app", &commit).await;
            (on.team.keep(), commit)
        };
        stage.controller.kill();
        let team = stage.space_of(&name);
        team.sync("app", "app").await;
        let name = team.keep();
        stage.controller.start_again().await;
        let team = stage.space_of(&name);
        let told = |sync: &Value| {
            sync.to_string()
                .matches("a SealedSecret object in the cluster makes this Secret")
                .count()
        };
        let sync = team.failed("app", &commit).await;
        assert!(told(&serde_json::to_value(sync.status).unwrap()) >= 1);
        for name in ["good", "bad"] {
            let secret = team.api::<Secret>().get(name).await.unwrap();
            assert_eq!(data(&secret)["a"], "object", "{name}");
        }
        // Once the object is gone, orphaned, the Sync takes the Secret over.
        for name in ["good", "bad"] {
            team.kubectl(["delete", "sealedsecret", name, "--cascade=orphan"])
                .ok();
        }
        team.request("app", "again").await;
        team.applied("app", &commit).await;
        for name in ["good", "bad"] {
            let secret = team.api::<Secret>().get(name).await.unwrap();
            assert_eq!(data(&secret)["a"], "git", "{name}");
        }
    });
}
