//! A branch of its own that waits to be merged: there is one, whoever brings it up to date and whenever the controller is killed,
//! and it is told by the commit that the followed branch has in the end.

use crds::{KeyRotation, RotationPhase, RotationStep};
use serde_json::json;
use tests::fault_proxy::Fault;
use tests::{Repo, Stage, run};

use crate::faults::behind_faults;
use crate::rotation_world::{
    HOME, ask, begin, commits, git, gone, keys, opened, phase, pull, rotate, said, step, target, until,
};

/// The branches that the remote has.
fn branches(repo: &Repo) -> Vec<String> {
    let all = git(repo, &["for-each-ref", "--format=%(refname:short)", "refs/heads"]);
    all.lines().map(str::to_owned).collect()
}

/// Waits until what a person asked for was done: after that nothing is made any more.
async fn asked(stage: &Stage, word: &str) -> KeyRotation {
    ask(stage, "spring", word).await;
    until(stage, "spring", word, |rotation| {
        rotation.status.as_ref().unwrap().last_handled_request == word
    })
    .await
}

#[test]
fn a_branch_that_is_brought_up_to_date_stays_the_one() {
    run(async {
        let stage = Stage::own().await;
        let (team, repo) = begin(&stage, "up-to-date", 2).await;
        let old = keys(&stage).await;
        let mut reseal = target(&stage, team.name(), "app");
        reseal["branch"] = "signet/rotation".into();
        rotate(&stage, "spring", &json!({"reseal": [reseal]}));
        phase(&stage, "spring", RotationPhase::AwaitingMerge).await;
        // Another commit on the followed branch, and the host's button: a merge of it into ours.
        let note = repo.write("notes.txt", "one").commit("A note");
        team.fetched("app", &note).await;
        repo.git(["fetch", "--quiet", "origin"]);
        repo.git(["checkout", "--quiet", "-b", "side", "origin/signet/rotation"]);
        repo.git(["merge", "--quiet", "--no-edit", "main"]);
        repo.git(["push", "--quiet", "origin", "side:signet/rotation"]);
        let rotation = asked(&stage, "after a merge").await;
        assert_eq!(branches(&repo), ["main", "signet/rotation"]);
        assert_eq!(step(&rotation, team.name()), Some(RotationStep::AwaitingMerge));

        // One that changes a file that is to be changed, resolved by whoever brings it up to date: by a rebase.
        let text = std::fs::read_to_string(repo.work().join("app/file-0.yaml")).unwrap();
        repo.git(["checkout", "--quiet", "main"]);
        let main = std::fs::read_to_string(repo.work().join("app/file-0.yaml")).unwrap();
        let changed = repo
            .write("app/file-0.yaml", format!("# Another comment.\n{main}"))
            .commit_only("A comment");
        repo.git(["checkout", "--quiet", "-B", "side", "main"]);
        let other = repo.git(["show", "origin/signet/rotation:app/file-1.yaml"]);
        repo.write("app/file-0.yaml", format!("# Another comment.\n{text}"))
            .write("app/file-1.yaml", format!("{other}\n"));
        repo.commit_only("Sealed again, on top of what there is");
        // Ours first: what is followed is never ahead of it.
        repo.git(["push", "--quiet", "--force", "origin", "side:signet/rotation"]);
        repo.git(["push", "--quiet", "origin", "main"]);
        team.applied("app", &changed).await;
        let rotation = asked(&stage, "after a rebase").await;
        assert_eq!(branches(&repo), ["main", "signet/rotation"]);
        assert_eq!(step(&rotation, team.name()), Some(RotationStep::AwaitingMerge));
        // It still is, after a commit that has nothing to do with it.
        repo.git(["checkout", "--quiet", "main"]);
        let note = repo.write("notes.txt", "two").commit("Another note");
        team.fetched("app", &note).await;
        let rotation = asked(&stage, "after another note").await;
        assert_eq!(branches(&repo), ["main", "signet/rotation"]);
        assert_eq!(step(&rotation, team.name()), Some(RotationStep::AwaitingMerge));
        repo.git(["checkout", "--quiet", "side"]);

        // Taken back on the branch: it does not change all that is to be changed any more.
        repo.write("app/file-0.yaml", format!("# Another comment.\n{main}"));
        repo.commit_only("Not this one");
        repo.git(["push", "--quiet", "origin", "side:signet/rotation"]);
        asked(&stage, "after it was taken back").await;
        assert_eq!(branches(&repo), ["main", "signet/rotation", "signet/rotation-2"]);

        // Brought up to date, merged, and taken back.
        repo.git(["checkout", "--quiet", "main"]);
        let note = repo.write("notes.txt", "three").commit("One more note");
        team.fetched("app", &note).await;
        repo.git(["fetch", "--quiet", "origin"]);
        repo.git(["checkout", "--quiet", "-B", "side", "origin/signet/rotation-2"]);
        repo.git(["merge", "--quiet", "--no-edit", "main"]);
        repo.git(["push", "--quiet", "origin", "side:signet/rotation-2"]);
        asked(&stage, "after one more merge").await;
        repo.git(["checkout", "--quiet", "main"]);
        repo.git(["merge", "--quiet", "--ff-only", "side"]);
        repo.git(["checkout", "--quiet", &note, "--", "app"]);
        repo.commit("Not now");
        until(&stage, "spring", "to say that it was taken back", |rotation| {
            step(rotation, team.name()) == Some(RotationStep::RolledBack)
        })
        .await;
        let all = ["main", "signet/rotation", "signet/rotation-2"];
        assert_eq!(branches(&repo), all, "it is not made again by itself");
        let rotation = asked(&stage, "once more").await;
        assert_eq!(step(&rotation, team.name()), Some(RotationStep::AwaitingMerge));
        assert_eq!(branches(&repo), [&all[..], &["signet/rotation-3"]].concat());

        repo.git(["fetch", "--quiet", "origin"]);
        repo.git(["merge", "--quiet", "--no-edit", "origin/signet/rotation-3"]);
        repo.push();
        phase(&stage, "spring", RotationPhase::Complete).await;
        gone(&stage, &old).await;
        assert_eq!(opened(&repo, team.name(), &keys(&stage).await), (6, 6));
    });
}

#[test]
fn a_controller_that_is_killed_behind_the_push_of_a_branch_makes_no_second_one() {
    run(async {
        let (mut stage, faults) = behind_faults().await;
        let (name, repo) = {
            let (team, repo) = begin(&stage, "branch-killed", 1).await;
            (team.keep(), repo)
        };
        let old = keys(&stage).await;
        let mut reseal = target(&stage, &name, "app");
        reseal["branch"] = "signet/rotation".into();
        // From the push on it can write down nothing.
        let pushed = repo.bare().join("refs/heads/signet/rotation");
        faults.set(move |asked| {
            let is_its = asked.writes() && asked.path.contains(&format!("/{HOME}/keyrotations/"));
            (is_its && pushed.exists()).then_some(Fault::CutRequest)
        });
        let before = faults.faults();
        rotate(&stage, "spring", &json!({"reseal": [reseal]}));
        tests::wait::poll("a write to be cut off", || async {
            (faults.faults() > before)
                .then_some(())
                .ok_or("none yet".to_owned())
        })
        .await;
        stage.controller.kill();
        assert_eq!(branches(&repo), ["main", "signet/rotation"]);
        let first = commits(&repo, "signet/rotation");
        faults.clear();
        let rotation = until(&stage, "spring", "to have been about to push", |_| true).await;
        assert_eq!(step(&rotation, &name), Some(RotationStep::Pushing));
        stage.controller.start_again().await;
        let rotation = phase(&stage, "spring", RotationPhase::AwaitingMerge).await;
        let known = &rotation.status.as_ref().unwrap().repositories[0];
        assert_eq!(
            (&known.commit, known.branch.as_str()),
            (&first[0], "signet/rotation")
        );
        assert_eq!(branches(&repo), ["main", "signet/rotation"]);
        assert_eq!(commits(&repo, "signet/rotation"), first);

        pull(&repo);
        repo.git(["fetch", "--quiet", "origin"]);
        // A squash: the branch's own commit is no part of what is followed.
        let before = repo.head();
        repo.git(["merge", "--quiet", "--squash", "origin/signet/rotation"]);
        let squashed = repo.commit("Seal again, all in one");
        let rotation = phase(&stage, "spring", RotationPhase::Complete).await;
        let range = format!("{}..{}", &before[..12], &squashed[..12]);
        let end = said(&rotation, "Retired");
        assert!(end.contains(&range) && !end.contains(&first[0][..12]), "{end}");
        gone(&stage, &old).await;
        assert_eq!(opened(&repo, &name, &keys(&stage).await), (3, 3));
        stage.space_of(&name).keep();
    });
}
