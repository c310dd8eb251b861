//! Who may change what, where one commit is looked at by itself: the first head, the first after a change of ref, a pin.

use crds::{Sync, Verify, VerifyMode, VerifyRule};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{Repo, Space, Stage, objects, run};

use crate::signed::{People, change, refused, verify, write};

/// Only Ada may change `infra/`.
fn infra_by_ada() -> Verify {
    Verify {
        rules: vec![VerifyRule {
            paths: vec!["infra/".into()],
            signers: vec!["ada@example.org".into()],
        }],
        ..verify(VerifyMode::Range)
    }
}

pub(crate) async fn pin(team: &Space<'_>, commit: Option<&str>) {
    let until = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
    let pin = commit.map(|commit| json!({"commit": commit, "until": until}));
    let patch = Patch::Merge(json!({"spec": {"pin": pin}}));
    let api = team.api::<Sync>();
    api.patch("app", &PatchParams::default(), &patch).await.unwrap();
}

fn by_bob(message: &str, commit: &str) {
    assert!(
        message.contains(&commit[..12])
            && message.contains("it changes infra, and bob@example.org")
            && message.contains("only ada@example.org may"),
        "{message}"
    );
}

/// One commit by each, on `main`: Ada's has infra in it, Bob's changes it.
fn by_both(people: &People, repo: &Repo) -> (String, String) {
    people.sign(repo, Some("ada"));
    write(repo, "app/map.yaml", "one");
    write(repo, "infra/map.yaml", "one");
    let ada = repo.commit("By Ada");
    people.sign(repo, Some("bob"));
    write(repo, "infra/map.yaml", "two");
    let bob = repo.commit("By Bob");
    (ada, bob)
}

#[test]
fn a_first_head_and_a_pin_change_no_path_but_by_its_signers() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-rules");
        let home = tempfile::tempdir().unwrap();
        let people = People::new(home.path(), &["ada", "bob"]);
        people.trust(&team, &["ada", "bob"], &[]);
        let repo = stage.git.repository(team.name());
        let (_, bob) = by_both(&people, &repo);
        team.repository_with("app", &repo, |spec| spec.verify = Some(infra_by_ada()))
            .await;
        team.sync("app", "app").await;
        by_bob(&refused(&team, "app", "SignerNotAllowed").await, &bob);

        // Bob may change what no rule is about, and that is a first head too: what lies below it is not looked at.
        write(&repo, "app/map.yaml", "three");
        let third = repo.commit("By Bob, in app");
        team.applied("app", &third).await;

        // Another ref begins anew.
        repo.git(["push", "--quiet", "origin", &format!("{bob}:refs/heads/other")]);
        change(&team, "app", json!({"spec": {"ref": {"branch": "other"}}})).await;
        by_bob(&refused(&team, "app", "SignerNotAllowed").await, &bob);
        change(&team, "app", json!({"spec": {"ref": {"branch": "main"}}})).await;
        team.applied("app", &third).await;

        // And so does a pin.
        pin(&team, Some(&bob)).await;
        let what = "the pin to be refused";
        let sync = team
            .until("app", what, |sync: &Sync| {
                let message = objects::message(sync, "Ready");
                message.contains("cannot give") && message.contains("infra")
            })
            .await;
        by_bob(objects::message(&sync, "Ready"), &bob);
        pin(&team, None).await;
        team.applied("app", &third).await;
    });
}

#[test]
fn a_merge_that_is_the_first_head_may_bring_in_what_others_signed() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-merge");
        let home = tempfile::tempdir().unwrap();
        let people = People::new(home.path(), &["ada", "bob"]);
        people.trust(&team, &["ada", "bob"], &[]);
        let repo = stage.git.repository(team.name());
        people.sign(&repo, Some("ada"));
        write(&repo, "infra/map.yaml", "one");
        write(&repo, "app/map.yaml", "one");
        repo.commit("Begin");
        // Longer apart than what is fetched first.
        repo.git(["checkout", "--quiet", "-b", "side"]);
        for value in ["two", "three", "four"] {
            write(&repo, "infra/map.yaml", value);
            repo.commit_only(value);
        }
        repo.git(["checkout", "--quiet", "main"]);
        people.sign(&repo, Some("bob"));
        for value in ["two", "three", "four"] {
            write(&repo, "app/map.yaml", value);
            repo.commit_only(value);
        }
        repo.git(["merge", "--quiet", "--no-ff", "-m", "Merge", "side"]);
        repo.push();
        let merge = repo.head();
        team.repository_with("app", &repo, |spec| spec.verify = Some(infra_by_ada()))
            .await;
        team.sync("app", "app").await;
        team.applied("app", &merge).await;
    });
}
