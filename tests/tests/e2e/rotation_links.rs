//! Values that lie in a submodule: no commit of the Repository around it changes them, and they hold the old keys.

use crds::{RotationPhase, RotationStep, Submodules};
use serde_json::json;
use tests::{Repo, Stage, run};

use crate::rotation_world::{
    commits, gone, keys, opened, phase, pull, rotate, stay, step, target, until, write,
};

/// Commits a link to what another repository has at its head.
fn link(repo: &Repo, lib: &Repo) -> String {
    let name = lib.bare().file_name().unwrap().to_str().unwrap().to_owned();
    repo.write(
        ".gitmodules",
        format!("[submodule \"lib\"]\n\tpath = app/lib\n\turl = ../{name}\n"),
    );
    std::fs::create_dir_all(repo.work().join("app/lib")).unwrap();
    let entry = format!("160000,{},app/lib", lib.head());
    repo.git(["update-index", "--add", "--cacheinfo", &entry]);
    repo.commit("Link")
}

#[test]
fn values_in_a_submodule_are_named_and_hold_the_old_keys() {
    run(async {
        let stage = Stage::own().await;
        let team = stage.space("linked");
        let repo = stage.git.repository(team.name());
        let lib = stage.git.repository(&format!("{}-lib", team.name()));
        write(&stage, &repo, team.name(), 0).await;
        write(&stage, &lib, team.name(), 1).await;
        lib.commit("Begin");
        let commit = link(&repo, &lib);
        team.repository_with("app", &repo, |spec| spec.submodules = Some(Submodules::default()))
            .await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let old = keys(&stage).await;
        let reseal = [target(&stage, team.name(), "app")];
        rotate(&stage, "spring", &json!({"reseal": reseal}));
        let rotation = until(&stage, "spring", "to name the submodule", |rotation| {
            let status = rotation.status.as_ref().unwrap();
            status.phase == RotationPhase::Blocked
                && step(rotation, team.name()) == Some(RotationStep::Blocked)
                && status.blocked == 2
        })
        .await;
        let status = rotation.status.as_ref().unwrap();
        for blocker in &status.blockers {
            assert!(
                blocker.place.contains("app/lib/app/file-1.yaml")
                    && blocker.message.contains("submodule app/lib cannot be changed"),
                "{blocker:#?}"
            );
        }
        // All else is sealed again.
        assert_eq!(commits(&repo, "main").len(), 1);
        assert_eq!(opened(&repo, team.name(), &old), (0, 3));
        stay(&stage, &old).await;

        // A person seals them again where they are, and moves the link.
        write(&stage, &lib, team.name(), 1).await;
        lib.commit("Sealed again");
        pull(&repo);
        link(&repo, &lib);
        phase(&stage, "spring", RotationPhase::Complete).await;
        gone(&stage, &old).await;
    });
}
