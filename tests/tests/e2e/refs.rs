//! What a Repository can follow beside a branch: tags, ranges of versions, pull requests, one commit.

use crds::{GitReference, Repository};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{Space, Stage, objects, run};

async fn follow(team: &Space<'_>, reference: serde_json::Value) {
    // A merge patch: what is not named goes.
    let mut fields = json!({"branch": null, "tag": null, "semver": null, "commit": null, "name": null});
    for (name, value) in reference.as_object().unwrap() {
        fields[name] = value.clone();
    }
    let patch = json!({"spec": {"ref": fields}});
    team.api::<Repository>()
        .patch("app", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

async fn revision(team: &Space<'_>, expected: &str) -> Repository {
    let at = |repository: &Repository| repository.status.as_ref().is_some_and(|s| s.revision == expected);
    team.until("app", expected, at).await
}

fn at(label: &str, commit: &str) -> String {
    format!("{label}@{}", &commit[..12])
}

#[test]
fn a_range_a_tag_a_pull_request_and_a_commit_are_followed() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("refs");
        let repo = stage.git.repository(team.name());
        let tagged = |value: &str, tag: &str| {
            let commit = repo
                .write("app/map.yaml", objects::config_map("map", value))
                .commit(tag);
            repo.git(["tag", "-a", "-m", tag, tag]);
            repo.git(["push", "-q", "origin", tag]);
            commit
        };
        let first = tagged("one", "v1.0.0");
        team.repository_with("app", &repo, |spec| {
            spec.reference = GitReference {
                semver: Some("1.x".into()),
                ..GitReference::default()
            };
        })
        .await;
        team.sync("app", "app").await;
        team.applied("app", &first).await;
        revision(&team, &at("v1.0.0", &first)).await;

        // Pre-releases and what is no version do not count.
        tagged("rc", "v1.2.0-rc.1");
        tagged("nightly", "nightly");
        let second = tagged("two", "v1.1.0");
        team.applied("app", &second).await;
        let repository = revision(&team, &at("v1.1.0", &second)).await;
        let ready = &repository.status.unwrap().conditions;
        let ready = ready.iter().find(|c| c.type_ == "Ready").unwrap();
        let start = format!("Tag v1.1.0 is at {}", &second[..12]);
        assert!(ready.message.starts_with(&start), "{}", ready.message);

        // A tag that is moved is followed, and told.
        repo.git(["tag", "-f", "v1.1.0", &first]);
        repo.git(["push", "-q", "-f", "origin", "v1.1.0"]);
        team.applied("app", &first).await;
        let told = team.event("Repository", "app", "TagMoved").await;
        assert!(told.contains("v1.1.0") && told.contains(&second[..12]), "{told}");

        follow(&team, json!({"tag": "v1.0.0"})).await;
        revision(&team, &at("v1.0.0", &first)).await;

        let proposed = repo
            .write("app/map.yaml", objects::config_map("map", "proposed"))
            .commit_only("Propose");
        repo.git(["push", "-q", "origin", "HEAD:refs/pull/7/head"]);
        follow(&team, json!({"name": "refs/pull/7/head"})).await;
        team.applied("app", &proposed).await;
        revision(&team, &at("refs/pull/7/head", &proposed)).await;

        follow(&team, json!({"commit": second})).await;
        team.applied("app", &second).await;
        revision(&team, &second[..12]).await;
    });
}

#[test]
fn what_cannot_be_followed_is_said_before_or_after() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("bad-refs");
        let repo = stage.git.repository(team.name());
        repo.write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        let manifest = |reference: &str| {
            format!(
                "apiVersion: signet.dev/v1alpha1\nkind: Repository\nmetadata: {{name: x, namespace: {}}}\n\
                 spec: {{url: {}, ref: {reference}}}\n",
                team.name(),
                repo.url()
            )
        };
        for (reference, words) in [
            (
                "{branch: main, tag: v1}",
                "give one of branch, tag, semver, commit and name",
            ),
            ("{commit: 0123abc}", "should match"),
            ("{name: heads/main}", "full ref name"),
            ("{tag: refs/tags/v1}", "plain tag name"),
        ] {
            let answer = stage
                .cluster
                .kubectl_with(["apply", "--server-side", "-f", "-"], &manifest(reference));
            let said = answer.refused();
            assert!(said.contains(words), "{reference}: {said}");
        }
        for (reference, reason, words) in [
            (json!({"semver": "1.2.3"}), "BadSpec", "=1.2.3"),
            (
                json!({"semver": ">=7"}),
                "NoVersion",
                "no tag is a version in the range >=7",
            ),
            (json!({"tag": "v9"}), "NoSuchTag", "there is no tag \"v9\""),
            (
                json!({"commit": "0".repeat(39) + "1"}),
                "CommitNotServed",
                "does not serve commit",
            ),
        ] {
            if reason == "BadSpec" {
                team.repository("app", &repo).await;
            }
            follow(&team, reference).await;
            team.until("app", reason, |found: &Repository| {
                found.status.as_ref().is_some_and(|status| {
                    let mut conditions = status.conditions.iter();
                    conditions.any(|c| {
                        c.type_ == "Ready"
                            && c.reason == reason
                            && c.message.to_lowercase().contains(&words.to_lowercase())
                    })
                })
            })
            .await;
        }
    });
}
