//! `.signetignore`: what it names is no part of a Sync, whatever it is, and costs it nothing when it changes.

use crds::Sync;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use tests::audit::Request;
use tests::{Stage, objects, run, wait};

use crate::world::{A_WHILE, World};

fn word(request: &Request) -> String {
    format!("{} {}", request.verb, request.resource)
}

#[test]
fn what_signetignore_names_is_not_applied_and_its_changes_cost_nothing() {
    run(async {
        let world = World::on(Stage::shared().await, "ignored").await;
        let (team, repo) = (&world.team, &world.repo);
        repo.write("app/.signetignore", "# Not for the cluster.\nci/\n*.draft.yaml\n")
            .write("app/map.yaml", objects::config_map("map", "one"))
            .write("app/later.draft.yaml", objects::config_map("later", "one"))
            // Neither is a manifest, and one is not even YAML: without the file, the Sync fails.
            .write("app/ci/pipeline.yaml", "stages: [build\n\t- test")
            .write("app/deep/values.draft.yaml", "replicas: 2\n");
        let first = repo.commit("Begin");
        team.sync("app", "app").await;
        let applied = team.applied("app", &first).await;
        world.stays(&[("map", Some("one")), ("later", None)]).await;

        // All that it names changes, more comes and some goes: the Repository tells of its new head, and nobody does anything.
        let (mark, version) = (world.mark(), applied.resource_version());
        repo.write("app/ci/pipeline.yaml", "stages: ]")
            .write(
                "app/ci/more.yaml",
                objects::config_map("map", "another of that name"),
            )
            .write("app/later.draft.yaml", objects::config_map("later", "two"))
            .remove("app/deep/values.draft.yaml");
        let second = repo.commit("Change what is ignored");
        team.fetched("app", &second).await;
        wait::throughout(A_WHILE, || async {
            let mut seen = team.stage().cluster.audit().by_controller(mark);
            // Events come when there is time for them, also those of what was before.
            let counts = |request: &Request| request.verb != "watch" && request.resource != "events";
            seen.retain(|request| request.namespace == team.name() && counts(request));
            let mut words: Vec<_> = seen.iter().map(word).collect();
            words.sort();
            if words == ["patch repositories"] {
                Ok(())
            } else {
                Err(format!("{seen:#?}"))
            }
        })
        .await;
        let sync: Sync = team.api().get("app").await.unwrap();
        assert_eq!(sync.resource_version(), version, "nothing was written about it");
        assert_eq!(objects::applied(&sync), first);
        world.stays(&[("map", Some("one")), ("later", None)]).await;

        // What is not named any more is applied, and what is named from now on goes.
        repo.write("app/.signetignore", "ci/\ndeep/\n");
        let third = repo.commit("Apply the draft");
        team.applied("app", &third).await;
        world.value("later", "two").await;
        repo.write("app/.signetignore", "ci/\ndeep/\n/later*\n");
        let fourth = repo.commit("Ignore it again");
        team.applied("app", &fourth).await;
        team.gone::<ConfigMap>("later").await;
        world.value("map", "one").await;
    });
}
