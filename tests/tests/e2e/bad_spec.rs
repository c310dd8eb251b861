//! Syncs that ask for what cannot be done.

use crds::{ClusterReference, Sync};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{objects, run};

use crate::bad_support::Case;

#[test]
fn a_sync_for_another_cluster_is_stalled_and_says_so() {
    run(async {
        let case = Case::begin("cluster").await;
        let commit = case
            .repo
            .write("two/map.yaml", objects::config_map("map", "one"))
            .commit("Another path");
        let cluster = ClusterReference {
            kind: crds::ClusterKind::Cluster,
            name: "far".into(),
        };
        case.team
            .sync_with("two", "two", |spec| spec.cluster_ref = Some(cluster))
            .await;
        let sync = case
            .team
            .until("two", "the Sync to be stalled", |sync: &Sync| {
                objects::is(sync, "Stalled", "True")
            })
            .await;
        assert!(objects::is(&sync, "Ready", "False") && objects::is(&sync, "Reconciling", "False"));
        let message = objects::message(&sync, "Stalled");
        assert_eq!(
            message,
            "spec.clusterRef: remote clusters are not supported yet; remove it."
        );
        assert!(
            case.team
                .api::<ConfigMap>()
                .get_opt("map")
                .await
                .unwrap()
                .is_none()
        );

        let patch = json!({"spec": {"clusterRef": null}});
        let syncs = case.team.api::<Sync>();
        syncs
            .patch("two", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        case.team.applied("two", &commit).await;
    });
}

#[test]
fn a_sync_that_is_sent_to_another_cluster_later_leaves_what_it_applied() {
    run(async {
        let case = Case::begin("sent-away").await;
        let syncs = case.team.api::<Sync>();
        let patch = json!({"spec": {"clusterRef": {"name": "far"}}});
        syncs
            .patch("app", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        case.team
            .until("app", "the Sync to be stalled", |sync: &Sync| {
                objects::is(sync, "Stalled", "True")
            })
            .await;
        case.repo.remove("app/goes.yaml").commit("Drop one");
        case.repo.write("app/new.yaml", objects::config_map("new", "one"));
        case.stands().await;
        let patch = json!({"spec": {"clusterRef": null}});
        syncs
            .patch("app", &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        case.mend(|repo| {
            repo.write("app/keep.yaml", objects::config_map("keep", "two"));
        })
        .await;
    });
}

#[test]
fn a_sync_without_its_repository_says_so_and_starts_when_it_comes() {
    run(async {
        let case = Case::begin("no-source").await;
        let commit = case
            .repo
            .write("two/map.yaml", objects::config_map("map", "one"))
            .commit("Another path");
        case.team
            .sync_with("two", "two", |spec| spec.source_ref.name = "late".into())
            .await;
        let says = format!("There is no Repository late in namespace {}.", case.team.name());
        case.team
            .until("two", "the Sync to miss its Repository", |sync: &Sync| {
                objects::is(sync, "Ready", "False") && objects::message(sync, "Ready").starts_with(&says)
            })
            .await;
        case.team.repository("late", &case.repo).await;
        case.team.applied("two", &commit).await;
    });
}

#[test]
fn a_repository_that_is_deleted_takes_nothing_with_it() {
    run(async {
        let case = Case::begin("source-gone").await;
        case.team.kubectl(["delete", "repository", "app"]).ok();
        case.team
            .until("app", "the Sync to miss its Repository", |sync: &Sync| {
                objects::message(sync, "Ready").starts_with("There is no Repository app in namespace")
            })
            .await;
        case.stands().await;
        // The same commit as before: everything is as it was.
        case.team.repository("app", &case.repo).await;
        case.team.applied("app", &case.repo.head()).await;
        case.repo
            .remove("app/goes.yaml")
            .write("app/new.yaml", objects::config_map("new", "one"));
        case.mend(|repo| {
            repo.write("app/keep.yaml", objects::config_map("keep", "two"));
        })
        .await;
    });
}
