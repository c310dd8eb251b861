//! A part of a repository: what lies elsewhere is neither read nor fetched.

use std::time::Duration;

use crds::{Repository, RotationPhase, Sync};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{Space, Stage, objects, run, wait};

use crate::rotation_world::{commits, gone, keys, opened, phase, rotate, target, write};
use crate::world::value_of;

/// What does not shrink, and is no manifest.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..bytes).map(next).collect()
}

async fn read(team: &Space<'_>, paths: &[&str]) {
    let patch = json!({"spec": {"sparsePaths": paths}});
    team.api::<Repository>()
        .patch("app", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

async fn holds(team: &Space<'_>, name: &str, value: &str) {
    let map: ConfigMap = team.api().get(name).await.unwrap();
    assert_eq!(value_of(&map), Some(value));
}

#[test]
fn a_part_is_read_and_the_rest_costs_nothing() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("part");
        let repo = stage.git.repository(team.name());
        let begin = repo
            .write("deploy/app/map.yaml", objects::config_map("map", "one"))
            .write("tools/map.yaml", objects::config_map("tool", "one"))
            .write("code/large", noise(2 << 20))
            .commit("Begin");
        team.repository_with("app", &repo, |spec| spec.sparse_paths = vec!["deploy".into()])
            .await;
        team.sync("app", "deploy/app").await;
        team.sync("tools", "tools").await;
        team.applied("app", &begin).await;
        let tools = team.failed("tools", &begin).await;
        let message = objects::message(&tools, "Ready");
        assert!(
            message.contains(
                "the path is not among spec.sparsePaths of the Repository; add the path to spec.sparsePaths"
            ),
            "{message}"
        );

        // A commit elsewhere is no news, and one here is.
        let before: Sync = team.api().get("app").await.unwrap();
        let elsewhere = repo.write("code/large", noise(1 << 20)).commit("Elsewhere");
        team.fetched("app", &elsewhere).await;
        wait::throughout(Duration::from_secs(2), || async {
            let now: Sync = team.api().get("app").await.unwrap();
            let same = now.resource_version() == before.resource_version();
            same.then_some(())
                .ok_or_else(|| format!("the Sync was written to: {now:#?}"))
        })
        .await;
        let here = repo
            .write("deploy/app/map.yaml", objects::config_map("map", "two"))
            .commit("Here");
        team.applied("app", &here).await;
        holds(&team, "map", "two").await;

        // More of it, and all of it.
        read(&team, &["deploy", "tools/"]).await;
        team.applied("tools", &here).await;
        holds(&team, "tool", "one").await;
        read(&team, &[]).await;
        let last = repo
            .write("tools/map.yaml", objects::config_map("tool", "two"))
            .commit("Last");
        team.applied("tools", &last).await;
        holds(&team, "tool", "two").await;

        // What leaves the repository is refused by name, and nothing is lost.
        read(&team, &["../other"]).await;
        let refused = team
            .until("app", "to be refused", |found: &Repository| {
                let conditions = found.status.iter().flat_map(|status| &status.conditions);
                let ready = conditions.filter(|condition| condition.type_ == "Ready");
                ready.into_iter().any(|condition| {
                    condition
                        .message
                        .contains("spec.sparsePaths leaves the repository")
                })
            })
            .await;
        drop(refused);
        holds(&team, "map", "two").await;
    });
}

/// What is not read is not sealed again, and holds nothing up.
#[test]
fn a_rotation_seals_again_what_is_read() {
    run(async {
        let stage = Stage::own().await;
        let team = stage.space("part");
        let repo = stage.git.repository(team.name());
        write(&stage, &repo, team.name(), 0).await;
        let text = std::fs::read(repo.work().join("app/file-0.yaml")).unwrap();
        let commit = repo.write("old/file-0.yaml", text).commit("Begin");
        team.repository_with("app", &repo, |spec| spec.sparse_paths = vec!["app".into()])
            .await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let old = keys(&stage).await;
        rotate(
            &stage,
            "spring",
            &json!({"reseal": [target(&stage, team.name(), "app")]}),
        );
        phase(&stage, "spring", RotationPhase::Complete).await;
        gone(&stage, &old).await;
        assert_eq!(commits(&repo, "main").len(), 1);
        // Half of the values are in the file that is not read.
        let (open, all) = opened(&repo, team.name(), &old);
        assert_eq!(open * 2, all);
        let changed = crate::rotation_world::git(&repo, &["diff", "--name-only", &commit, "main"]);
        assert_eq!(changed.trim(), "app/file-0.yaml");
    });
}
