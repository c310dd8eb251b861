//! Signatures of commits, made by the real git and ssh-keygen: what is good is applied, what is not is named and left.

use std::path::{Path, PathBuf};
use std::process::Command;

use crds::{OnRewrite, Repository, SignersKind, SignersReference, Verify, VerifyMode, VerifyRule};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tests::{Repo, Space, Stage, command, objects, run};

/// People with keys, who sign in one clone.
pub(crate) struct People {
    home: PathBuf,
}

impl People {
    pub(crate) fn new(home: &Path, names: &[&str]) -> Self {
        for name in names {
            let mut keygen = Command::new("ssh-keygen");
            keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
                .arg(home.join(name));
            command::run(keygen, b"").ok();
        }
        Self {
            home: home.to_owned(),
        }
    }

    pub(crate) fn public(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.home.join(format!("{name}.pub"))).unwrap();
        text.trim().to_owned()
    }

    /// From now on commits are signed by this person, or by nobody.
    pub(crate) fn sign(&self, repo: &Repo, name: Option<&str>) {
        repo.git(["config", "gpg.format", "ssh"]);
        let on = if name.is_some() { "true" } else { "false" };
        repo.git(["config", "commit.gpgsign", on]);
        repo.git(["config", "tag.gpgsign", on]);
        if let Some(name) = name {
            let key = self.home.join(name).display().to_string();
            repo.git(["config", "user.signingkey", &key]);
        }
    }

    /// Who may sign, in a ConfigMap that the controller may read.
    pub(crate) fn trust(&self, team: &Space<'_>, names: &[&str], revoked: &[&str]) {
        let line = |name: &&str| format!("{name}@example.org {}\n", self.public(name));
        let allowed: String = names.iter().map(line).collect();
        let mut files = json!({"allowed_signers": allowed});
        if !revoked.is_empty() {
            let keys: Vec<String> = revoked.iter().map(|name| self.public(name)).collect();
            files["revoked_keys"] = keys.join("\n").into();
        }
        trust_files(team, &files);
    }
}

/// The same, from the files.
pub(crate) fn trust_files(team: &Space<'_>, files: &serde_json::Value) {
    let list = objects::list(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "signers", "namespace": team.name()},
            "data": files}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "signers", "namespace": team.name()},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["signers"], "verbs": ["get"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "signers", "namespace": team.name()},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "signers"},
            "subjects": [{"kind": "ServiceAccount", "name": "signet-controller", "namespace": "signet-system"}]}),
    ]);
    team.stage()
        .cluster
        .kubectl_with(
            ["apply", "--server-side", "--force-conflicts", "-f", "-"],
            &list.to_string(),
        )
        .ok();
}

pub(crate) fn verify(mode: VerifyMode) -> Verify {
    Verify {
        mode,
        signers_ref: SignersReference {
            kind: SignersKind::ConfigMap,
            name: "signers".into(),
        },
        on_rewrite: OnRewrite::Refuse,
        since: None,
        rules: Vec::new(),
    }
}

/// Waits until the Repository says why it is refused, and gives the sentences.
pub(crate) async fn refused(team: &Space<'_>, name: &str, reason: &str) -> String {
    let what = format!("Repository {name} to be refused with {reason}");
    let found = team
        .until(name, &what, |found: &Repository| {
            ready(found).is_some_and(|ready| ready.reason == reason)
        })
        .await;
    ready(&found).unwrap().message.clone()
}

pub(crate) fn ready(repository: &Repository) -> Option<&crds::Condition> {
    let conditions = &repository.status.as_ref()?.conditions;
    conditions.iter().find(|condition| condition.type_ == "Ready")
}

pub(crate) async fn change(team: &Space<'_>, name: &str, patch: serde_json::Value) {
    let patch = Patch::Merge(patch);
    let api = team.api::<Repository>();
    api.patch(name, &PatchParams::default(), &patch).await.unwrap();
}

pub(crate) fn write(repo: &Repo, path: &str, value: &str) {
    repo.write(path, objects::config_map("map", value));
}

#[test]
fn every_commit_since_the_last_is_verified() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed");
        let home = tempfile::tempdir().unwrap();
        let people = People::new(home.path(), &["ada", "bob", "eve"]);
        people.trust(&team, &["ada", "bob"], &[]);
        let repo = stage.git.repository(team.name());
        people.sign(&repo, Some("ada"));
        write(&repo, "app/map.yaml", "one");
        let first = repo.commit("First");
        team.repository_with("app", &repo, |spec| {
            spec.verify = Some(Verify {
                rules: vec![VerifyRule {
                    paths: vec!["infra/".into()],
                    signers: vec!["ada@example.org".into()],
                }],
                ..verify(VerifyMode::Range)
            });
        })
        .await;
        team.sync("app", "app").await;
        let sync = team.applied("app", &first).await;
        let signer = sync
            .status
            .unwrap()
            .last_applied_revision
            .unwrap_or_default()
            .signer;
        assert!(signer.starts_with("ada@example.org (SHA256:"), "{signer}");
        // And so does the history, as a table and as JSON.
        let history = |arguments: &[&str]| {
            let mut signet = command::signet(team.stage().cluster.kubeconfig());
            signet.args(["history", "-n", team.name()]).args(arguments);
            signet.current_dir(repo.work());
            command::run(signet, b"").ok()
        };
        let table = history(&[]);
        assert!(table.contains("SIGNED BY") && table.contains(&signer), "{table}");
        let rows: serde_json::Value = serde_json::from_str(&history(&["-o", "json"])).unwrap();
        assert_eq!(rows[0]["signedBy"], json!([signer]), "{rows:#}");
        let found = team.fetched("app", &first).await;
        assert!(
            ready(&found)
                .unwrap()
                .message
                .contains("Signed by ada@example.org")
        );

        // Unsigned in the middle, signed at the end: the one in the middle is named, and nothing moves.
        people.sign(&repo, None);
        write(&repo, "app/map.yaml", "unsigned");
        let middle = repo.commit_only("Slipped in");
        people.sign(&repo, Some("bob"));
        write(&repo, "app/map.yaml", "on top");
        repo.commit("On top");
        let message = refused(&team, "app", "CommitUnsigned").await;
        assert!(
            message.contains(&format!("Commit {} (Slipped in)", &middle[..12])),
            "{message}"
        );
        assert!(
            message.contains("it is not signed") && message.contains("git commit --amend -S"),
            "{message}"
        );
        assert!(
            message.contains(&format!("main@{} stays in use", &first[..12])),
            "{message}"
        );
        team.event("Repository", "app", "CommitUnsigned").await;

        // Signed anew, in the place of what was refused: the last verified commit is still below.
        repo.git(["reset", "--quiet", "--hard", &first]);
        write(&repo, "app/map.yaml", "two");
        let second = repo.commit_only("Second");
        repo.force_push();
        team.applied("app", &second).await;

        // A stranger; somebody who may sign, and not this path; a merge that brings it in.
        people.sign(&repo, Some("eve"));
        write(&repo, "app/map.yaml", "eve");
        repo.commit("Eve was here");
        let message = refused(&team, "app", "SignerUnknown").await;
        assert!(message.contains("nobody is trusted with (SHA256:"), "{message}");
        repo.git(["reset", "--quiet", "--hard", &second]);
        people.sign(&repo, Some("bob"));
        write(&repo, "infra/map.yaml", "bob");
        repo.commit_only("Infra by Bob");
        repo.force_push();
        let message = refused(&team, "app", "SignerNotAllowed").await;
        assert!(
            message.contains("it changes infra, and bob@example.org"),
            "{message}"
        );
        assert!(message.contains("only ada@example.org may"), "{message}");
        repo.git(["reset", "--quiet", "--hard", &second]);
        repo.git(["checkout", "--quiet", "-b", "side"]);
        people.sign(&repo, None);
        write(&repo, "side/map.yaml", "side");
        let side = repo.commit_only("On the side");
        people.sign(&repo, Some("ada"));
        repo.git(["checkout", "--quiet", "main"]);
        repo.git(["merge", "--quiet", "--no-ff", "-m", "Merge", "side"]);
        repo.force_push();
        let message = refused(&team, "app", "CommitUnsigned").await;
        assert!(message.contains(&side[..12]), "{message}");

        // By Ada it may.
        repo.git(["reset", "--quiet", "--hard", &second]);
        write(&repo, "infra/map.yaml", "ada");
        write(&repo, "app/map.yaml", "three");
        let third = repo.commit_only("Infra by Ada");
        repo.force_push();
        team.applied("app", &third).await;

        // Rewritten below the last verified commit: signed well, and refused until somebody accepts it.
        repo.git(["reset", "--quiet", "--hard", &first]);
        write(&repo, "app/map.yaml", "rewritten");
        let other = repo.commit_only("Another second");
        repo.force_push();
        let message = refused(&team, "app", "BranchRewritten").await;
        assert!(
            message.contains(&format!("set spec.verify.since to {other}")),
            "{message}"
        );
        change(&team, "app", json!({"spec": {"verify": {"since": other}}})).await;
        team.applied("app", &other).await;

        // Bob's key is stolen: what he signs counts no more.
        people.trust(&team, &["ada", "bob"], &["bob"]);
        people.sign(&repo, Some("bob"));
        write(&repo, "app/map.yaml", "bob");
        repo.commit("By whoever has Bob's key");
        let message = refused(&team, "app", "SignerRevoked").await;
        assert!(message.contains("is revoked"), "{message}");
    });
}

#[test]
fn a_rewritten_branch_is_followed_where_that_is_only_reported() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-rewrite");
        let home = tempfile::tempdir().unwrap();
        let people = People::new(home.path(), &["ada"]);
        people.trust(&team, &["ada"], &[]);
        let repo = stage.git.repository(team.name());
        people.sign(&repo, Some("ada"));
        write(&repo, "app/map.yaml", "one");
        let first = repo.commit("First");
        write(&repo, "app/map.yaml", "two");
        let second = repo.commit("Second");
        team.repository_with("app", &repo, |spec| {
            let mut wish = verify(VerifyMode::Range);
            wish.on_rewrite = OnRewrite::Report;
            wish.since = Some(first.clone());
            spec.verify = Some(wish);
        })
        .await;
        team.sync("app", "app").await;
        team.applied("app", &second).await;

        // Another second: told, and followed.
        repo.git(["reset", "--quiet", "--hard", &first]);
        write(&repo, "app/map.yaml", "rewritten");
        let other = repo.commit_only("Another second");
        repo.force_push();
        team.applied("app", &other).await;
        let said = team.event("Repository", "app", "BranchRewritten").await;
        assert!(
            said.contains(&second[..12]) && said.contains("is followed"),
            "{said}"
        );
        let found = team.fetched("app", &other).await;
        assert_eq!(ready(&found).unwrap().reason, "Fetched");
        assert_eq!(found.status.unwrap().verified.unwrap().commit, other);

        // Reporting a rewrite lets nobody in who may not sign.
        people.sign(&repo, None);
        repo.git(["reset", "--quiet", "--hard", &first]);
        write(&repo, "app/map.yaml", "unsigned");
        let unsigned = repo.commit_only("Unsigned");
        repo.force_push();
        let message = refused(&team, "app", "CommitUnsigned").await;
        assert!(message.contains(&unsigned[..12]), "{message}");
        team.sent("app", &other).await;
    });
}

#[test]
fn a_refused_head_is_not_served_after_a_restart_either() {
    run(async {
        let mut stage = Stage::own().await;
        let home = tempfile::tempdir().unwrap();
        let people = People::new(home.path(), &["ada"]);
        let (namespace, first) = {
            let team = stage.space("signed-restart");
            people.trust(&team, &["ada"], &[]);
            let repo = stage.git.repository(team.name());
            people.sign(&repo, Some("ada"));
            write(&repo, "app/map.yaml", "one");
            let first = repo.commit("First");
            team.repository_with("app", &repo, |spec| spec.verify = Some(verify(VerifyMode::Head)))
                .await;
            team.sync("app", "app").await;
            team.applied("app", &first).await;
            people.sign(&repo, None);
            write(&repo, "app/map.yaml", "unsigned");
            repo.commit("Unsigned");
            refused(&team, "app", "CommitUnsigned").await;
            (team.keep(), first)
        };
        // With its store, which holds the refused commit, and without.
        for clear in [false, true] {
            assert!(stage.controller.stop().success());
            if clear {
                stage.controller.clear_caches();
            }
            stage.controller.start_again().await;
            let team = stage.space_of(&namespace);
            // It works, and with the verified commit: what somebody breaks is put back as that has it.
            let wanted = |map: &k8s_openapi::api::core::v1::ConfigMap| {
                map.data.as_ref().is_some_and(|data| data["value"] == "one")
            };
            let spoil = [
                "patch",
                "configmap",
                "map",
                "--type=merge",
                "--patch",
                r#"{"data":{"value":"broken"}}"#,
            ];
            team.repaired("map", &spoil, wanted).await;
            refused(&team, "app", "CommitUnsigned").await;
            team.sent("app", &first).await;
            team.keep();
        }
    });
}

#[test]
fn a_signed_tag_stands_for_its_commit_and_no_other() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("signed-tag");
        let home = tempfile::tempdir().unwrap();
        let people = People::new(home.path(), &["ada"]);
        people.trust(&team, &["ada"], &[]);
        let repo = stage.git.repository(team.name());
        people.sign(&repo, None);
        write(&repo, "app/map.yaml", "one");
        let first = repo.commit("Unsigned");
        people.sign(&repo, Some("ada"));
        repo.git(["tag", "-s", "-m", "One", "v1.0.0"]);
        repo.git(["push", "--quiet", "origin", "v1.0.0"]);
        for (name, mode) in [("app", VerifyMode::Tag), ("both", VerifyMode::TagAndHead)] {
            team.repository_with(name, &repo, |spec| {
                spec.reference.semver = Some(">=1.0.0".into());
                spec.verify = Some(verify(mode));
            })
            .await;
        }
        team.sync("app", "app").await;
        team.applied("app", &first).await;
        // A signed tag on an unsigned commit is not a signed commit.
        refused(&team, "both", "CommitUnsigned").await;

        // The tag under another name: signed, and not for this.
        let tag = repo.git(["rev-parse", "v1.0.0"]);
        repo.git(["push", "--quiet", "origin", &format!("{tag}:refs/tags/v1.1.0")]);
        refused(&team, "app", "TagMismatch").await;
        // A plain tag cannot be signed.
        people.sign(&repo, None);
        write(&repo, "app/map.yaml", "two");
        repo.commit("Two");
        repo.git(["tag", "v1.2.0"]);
        repo.git(["push", "--quiet", "origin", "v1.2.0"]);
        refused(&team, "app", "TagUnsigned").await;
        people.sign(&repo, Some("ada"));
        write(&repo, "app/map.yaml", "three");
        let third = repo.commit("Three");
        repo.git(["tag", "-s", "-m", "Three", "v1.3.0"]);
        repo.git(["push", "--quiet", "origin", "v1.3.0"]);
        team.applied("app", &third).await;
        let both = team.fetched("both", &third).await;
        let signer = both.status.unwrap().verified.unwrap().signer;
        assert!(
            signer.contains("and the tagged commit by ada@example.org"),
            "{signer}"
        );
    });
}
