//! Signed branches and tags that move otherwise than forward, or far.

use std::fmt::Write as _;

use crds::{OnRewrite, Repository, Sync, VerifyMode};
use serde_json::json;
use tests::{Repo, Space, Stage, command, git, objects, run};

use crate::signed::{People, change, ready, refused, verify, write};
use crate::signed_rules::pin;

/// Ada, whose signature counts, and a repository with one commit of hers.
fn begin(team: &Space<'_>, home: &tempfile::TempDir) -> (People, Repo, String) {
    let people = People::new(home.path(), &["ada"]);
    people.trust(team, &["ada"], &[]);
    let repo = team.stage().git.repository(team.name());
    // What lies below the first head was never signed.
    people.sign(&repo, None);
    write(&repo, "app/map.yaml", "zero");
    repo.commit("Unsigned");
    people.sign(&repo, Some("ada"));
    write(&repo, "app/map.yaml", "one");
    let first = repo.commit("First");
    (people, repo, first)
}

async fn follow(team: &Space<'_>, repo: &Repo, mode: VerifyMode, on_rewrite: OnRewrite) {
    team.repository_with("app", repo, |spec| {
        let mut wish = verify(mode);
        wish.on_rewrite = on_rewrite;
        spec.verify = Some(wish);
    })
    .await;
    team.sync("app", "app").await;
}

#[test]
fn a_branch_that_goes_back_is_refused_or_followed_as_is_asked_for() {
    run(async {
        let stage = Stage::shared().await;
        // Where the first head is the later commit, nothing is known yet of what lies below it.
        for (on_rewrite, late) in [
            (OnRewrite::Refuse, false),
            (OnRewrite::Report, false),
            (OnRewrite::Report, true),
        ] {
            let team = stage.space("signed-back");
            let home = tempfile::tempdir().unwrap();
            let (_people, repo, first) = begin(&team, &home);
            if !late {
                follow(&team, &repo, VerifyMode::Range, on_rewrite).await;
                team.applied("app", &first).await;
            }
            write(&repo, "app/map.yaml", "two");
            let second = repo.commit("Second");
            if late {
                follow(&team, &repo, VerifyMode::Range, on_rewrite).await;
            }
            team.applied("app", &second).await;

            repo.git(["reset", "--quiet", "--hard", "HEAD~1"]);
            repo.force_push();
            if on_rewrite == OnRewrite::Refuse {
                let message = refused(&team, "app", "BranchRewritten").await;
                assert!(message.contains(&first[..12]), "{message}");
                team.sent("app", &second).await;
                continue;
            }
            team.applied("app", &first).await;
            let said = team.event("Repository", "app", "BranchRewritten").await;
            assert!(said.contains(&second[..12]), "{said}");
        }
    });
}

#[test]
fn a_version_that_is_taken_back_leaves_the_one_before_it() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-version");
        let home = tempfile::tempdir().unwrap();
        let (_people, repo, first) = begin(&team, &home);
        let publish = |tag: &str, commit: &str| {
            repo.git(["tag", "--no-sign", tag, commit]);
            repo.git(["push", "--quiet", "origin", tag]);
        };
        publish("v1.0.0", &first);
        team.repository_with("app", &repo, |spec| {
            spec.reference.semver = Some(">=1.0.0".into());
            spec.verify = Some(verify(VerifyMode::Range));
        })
        .await;
        team.sync("app", "app").await;
        team.applied("app", &first).await;
        write(&repo, "app/map.yaml", "two");
        let second = repo.commit("Second");
        publish("v1.1.0", &second);
        team.applied("app", &second).await;

        repo.git(["push", "--quiet", "--delete", "origin", "v1.1.0"]);
        team.applied("app", &first).await;
        let found = team.fetched("app", &first).await;
        assert_eq!(ready(&found).unwrap().reason, "Fetched");
        assert_eq!(found.status.unwrap().verified.unwrap().commit, first);
    });
}

/// Adds commits to the branch, in one go, and takes them into the clone.
fn many(repo: &Repo, count: usize) {
    let mut stream = String::new();
    for number in 0..count {
        let from = if number == 0 {
            "from refs/heads/main^0\n"
        } else {
            ""
        };
        let time = 1_700_000_000 + number;
        write!(
            stream,
            "commit refs/heads/main\ncommitter Bob <bob@example.org> {time} +0000\ndata 1\nx\n{from}\n"
        )
        .unwrap();
    }
    let mut import = git::git(repo.work());
    import.args(["fast-import", "--quiet"]);
    command::run(import, stream.as_bytes()).ok();
}

#[test]
fn a_head_that_is_far_from_the_last_one_is_no_rewrite() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-far");
        let home = tempfile::tempdir().unwrap();
        let (_people, repo, first) = begin(&team, &home);
        follow(&team, &repo, VerifyMode::Head, OnRewrite::Refuse).await;
        team.applied("app", &first).await;
        many(&repo, 520);
        write(&repo, "app/map.yaml", "two");
        let second = repo.commit("Second");
        team.applied("app", &second).await;

        // As far back, it is one.
        repo.git(["reset", "--quiet", "--hard", &first]);
        write(&repo, "app/map.yaml", "rewritten");
        repo.commit_only("Another second");
        repo.force_push();
        refused(&team, "app", "BranchRewritten").await;
        team.sent("app", &second).await;

        // Too far for anybody to tell: that is said, and no rewrite.
        repo.git(["reset", "--quiet", "--hard", &second]);
        many(&repo, 5_100);
        write(&repo, "app/map.yaml", "three");
        let third = repo.commit_only("Third");
        repo.force_push();
        let message = refused(&team, "app", "HistoryUnverified").await;
        assert!(
            message.contains(&second[..12]) && message.contains("onRewrite to Report"),
            "{message}"
        );
        change(&team, "app", json!({"spec": {"verify": {"onRewrite": "Report"}}})).await;
        team.applied("app", &third).await;
    });
}

#[test]
fn a_rewrite_behind_a_refused_head_is_told_with_what_was_followed() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-hidden");
        let home = tempfile::tempdir().unwrap();
        let (people, repo, first) = begin(&team, &home);
        follow(&team, &repo, VerifyMode::Head, OnRewrite::Report).await;
        team.applied("app", &first).await;

        // What is fetched and refused leaves the verified commit out; what comes on top of it descends from what was fetched.
        people.sign(&repo, None);
        repo.git(["reset", "--quiet", "--hard", "HEAD~1"]);
        write(&repo, "app/map.yaml", "unsigned");
        repo.commit_only("Unsigned, too");
        repo.force_push();
        refused(&team, "app", "CommitUnsigned").await;
        people.sign(&repo, Some("ada"));
        write(&repo, "app/map.yaml", "three");
        let third = repo.commit("On top of it");
        team.applied("app", &third).await;
        let said = team.event("Repository", "app", "BranchRewritten").await;
        assert!(
            said.contains(&first[..12]) && said.contains("is followed"),
            "{said}"
        );
        let found: Repository = team.fetched("app", &third).await;
        assert_eq!(found.status.unwrap().verified.unwrap().commit, third);
        assert!(objects::is(&team.applied("app", &third).await, "Ready", "True"));
    });
}

#[test]
fn a_pin_is_found_in_another_remote_once_it_is_there() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-pin");
        let home = tempfile::tempdir().unwrap();
        let (people, repo, first) = begin(&team, &home);
        follow(&team, &repo, VerifyMode::Head, OnRewrite::Refuse).await;
        team.applied("app", &first).await;

        // Elsewhere is a head that is refused, and not yet the commit that the Sync is pinned to.
        let other = stage.git.repository(&format!("{}-other", team.name()));
        people.sign(&other, None);
        write(&other, "app/map.yaml", "unsigned");
        other.commit("Unsigned");
        people.sign(&other, Some("ada"));
        write(&other, "app/map.yaml", "pinned");
        let pinned = other.commit_only("Pinned");
        pin(&team, Some(&pinned)).await;
        change(&team, "app", json!({"spec": {"url": other.url()}})).await;
        refused(&team, "app", "CommitUnsigned").await;
        let what = "the pin to be missed";
        team.until("app", what, |sync: &Sync| {
            objects::message(sync, "Ready").contains("cannot give")
        })
        .await;

        write(&other, "app/map.yaml", "newest");
        let newest = other.commit("Newest");
        team.fetched("app", &newest).await;
        team.sent("app", &pinned).await;
    });
}
