//! What nobody knows holds the old keys: before a key is deleted for good, everything that may need it was looked at, and what
//! could not be looked at is named.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crds::{Blocker, KeyRotation, RotationPhase, RotationStep};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use sealing::v2::{Identity, Recipients, Suite};
use serde_json::{Value, json};
use tests::{GitServer, Repo, Stage, objects, run, wait};

use crate::rotation_world::{
    HOME, ask, begin, commits, gone, is_there, keys, opened, phase, pull, rotate, said, stay, step, target,
    until, versions,
};

fn message<'r>(rotation: &'r KeyRotation, namespace: &str) -> &'r str {
    let all = &rotation.status.as_ref().unwrap().repositories;
    let one = all.iter().find(|one| one.namespace == namespace);
    one.map_or("", |one| one.message.as_str())
}

fn blocker<'r>(rotation: &'r KeyRotation, place: &str) -> Option<&'r Blocker> {
    let all = &rotation.status.as_ref().unwrap().blockers;
    all.iter().find(|one| one.place.contains(place))
}

/// A SealedSecret of Bitnami's kind that names no namespace, sealed for this one.
pub(crate) fn nameless(stage: &Stage, namespace: &str, name: &str) -> String {
    let sealed = stage.seal(&objects::secret(namespace, name, &[("a", "one")]));
    let mut sealed: Value = serde_json::from_str(&sealed).unwrap();
    sealed["metadata"].as_object_mut().unwrap().remove("namespace");
    sealed.to_string()
}

#[test]
fn what_nobody_knows_holds_the_old_keys() {
    run(async {
        let stage = Stage::own().await;
        // Values that no Sync reads, in files whose namespace nothing says.
        let (team, repo) = begin(&stage, "safe-outside", 1).await;
        repo.write("base/own.json", nameless(&stage, team.name(), "own"));
        repo.write("base/other.json", nameless(&stage, "nobody-knows", "other"));
        repo.write("clusters/b/other.json", nameless(&stage, "nobody-knows", "other"));
        let wide = json!({"sealedsecrets.bitnami.com/cluster-wide": "true"});
        let mut secret = objects::secret(team.name(), "wide", &[("a", "one")]);
        secret["metadata"]["annotations"] = wide;
        let mut wide: Value = serde_json::from_str(&stage.seal(&secret)).unwrap();
        wide["metadata"].as_object_mut().unwrap().remove("namespace");
        repo.write("base/wide.json", wide.to_string());
        let commit = repo.commit("Values that no Sync reads");
        team.fetched("app", &commit).await;
        // A Repository that is gone, and one with a fall-back.
        let (away, _) = begin(&stage, "safe-gone", 1).await;
        away.kubectl(["delete", "repository", "app"]).ok();
        let (fallen, fallen_repo) = begin(&stage, "safe-fallback", 1).await;
        let fallbacks = json!({"spec": {"fallbacks": [{"url": fallen_repo.url()}]}});
        let merge = |patch: Value| Patch::Merge(patch);
        fallen
            .api::<crds::Repository>()
            .patch("app", &PatchParams::default(), &merge(fallbacks))
            .await
            .unwrap();
        // One whose address was changed, by whoever may: to a server that has the same commits.
        let (moved, moved_repo) = begin(&stage, "safe-moved", 1).await;
        let moved_target = target(&stage, moved.name(), "app");
        let evil = GitServer::start(&stage.cluster.home().join("evil")).await;
        let copy = evil.repository(moved.name());
        moved_repo.git(["push", "--quiet", copy.bare().to_str().unwrap(), "main"]);
        let elsewhere = json!({"spec": {"url": copy.url()}});
        moved
            .api::<crds::Repository>()
            .patch("app", &PatchParams::default(), &merge(elsewhere))
            .await
            .unwrap();
        let old = keys(&stage).await;
        // An object that another controller may open, and a key that cannot be read.
        let lone = stage.space("safe-object");
        let sealed = stage.seal(&objects::secret(lone.name(), "lone", &[("a", "one")]));
        stage.cluster.kubectl_with(["create", "-f", "-"], &sealed).ok();
        let broken = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "broken", "namespace": HOME,
            "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"}}, "stringData": {"tls.key": "x"}});
        stage
            .cluster
            .kubectl_with(["create", "-f", "-"], &broken.to_string())
            .ok();

        let before = versions(&team).await;
        let mut own_target = target(&stage, team.name(), "app");
        own_target["elsewhere"] = json!(["clusters/b"]);
        let reseal = [own_target, target(&stage, fallen.name(), "app"), moved_target];
        rotate(&stage, "spring", &json!({"reseal": reseal}));
        let rotation = until(&stage, "spring", "to have named everything", |rotation| {
            step(rotation, away.name()) == Some(RotationStep::Unknown)
                && step(rotation, fallen.name()) == Some(RotationStep::Unknown)
                && step(rotation, moved.name()) == Some(RotationStep::AwaitingCommit)
                && step(rotation, team.name()) == Some(RotationStep::Blocked)
                && blocker(rotation, "the cluster").is_some()
        })
        .await;
        let status = rotation.status.as_ref().unwrap();
        let outside = blocker(&rotation, "base/other.json").unwrap();
        assert_eq!(outside.object, "other key a", "{outside:#?}");
        for good in ["base/own.json", "base/wide.json", "clusters/b"] {
            assert!(blocker(&rotation, good).is_none(), "{:#?}", status.blockers);
        }
        let object = blocker(&rotation, "the cluster").unwrap();
        assert!(
            object.object.ends_with(&format!("{}/lone", lone.name()))
                && object.message.contains("--sealed-secrets"),
            "{object:#?}"
        );
        assert!(message(&rotation, away.name()).contains("no such Repository"));
        assert!(message(&rotation, fallen.name()).contains("spec.fallbacks"));
        assert!(message(&rotation, moved.name()).contains("spec.url"));
        assert!(status.unused_since.is_none());
        stay(&stage, &old).await;
        assert!(
            !evil.was_given("signet", "push-right"),
            "the push Secret went elsewhere"
        );
        assert!(commits(&copy, "main").is_empty());

        // One after the other is put in order.
        away.kubectl(["delete", "sync", "app"]).ok();
        let none = json!({"spec": {"fallbacks": null}});
        fallen
            .api::<crds::Repository>()
            .patch("app", &PatchParams::default(), &merge(none))
            .await
            .unwrap();
        let back = json!({"spec": {"url": moved_repo.url()}});
        moved
            .api::<crds::Repository>()
            .patch("app", &PatchParams::default(), &merge(back))
            .await
            .unwrap();
        lone.kubectl(["delete", "sealedsecret.bitnami.com", "lone"]).ok();
        pull(&repo);
        let commit = repo.remove("base/other.json").commit("Without it");
        team.fetched("app", &commit).await;
        ask(&stage, "spring", "again").await;
        let rotation = until(&stage, "spring", "to name the key", |rotation| {
            said(rotation, "Ready").contains("broken")
        })
        .await;
        assert_eq!(rotation.status.as_ref().unwrap().phase, RotationPhase::Blocked);
        stay(&stage, &old).await;
        stage
            .cluster
            .kubectl(["-n", HOME, "delete", "secret", "broken"])
            .ok();
        ask(&stage, "spring", "once more").await;
        phase(&stage, "spring", RotationPhase::Complete).await;
        gone(&stage, &old).await;
        let now = keys(&stage).await;
        // The cluster-wide one has another label than `opened` tries, and the other cluster's is nobody's here.
        assert_eq!(opened(&repo, team.name(), &old).0, 0);
        assert!(opened(&repo, team.name(), &now).0 >= 4);
        assert_eq!(opened(&moved_repo, moved.name(), &now), (3, 3));
        assert_eq!(before, versions(&team).await);
        assert!(!evil.was_given("signet", "push-right"));
    });
}

/// Has a remote refuse what is pushed to its branch `main`, as a host with a protected branch does, and count how often that is tried.
fn protect(repo: &Repo) -> std::path::PathBuf {
    let tries = repo.bare().join("tries");
    std::fs::write(&tries, "").unwrap();
    let hook = repo.bare().join("hooks/update");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\necho \"$1\" >> {}\n[ -e {} ] && exit 0\nexit 1\n",
        tries.display(),
        repo.bare().join("open").display()
    );
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    tries
}

fn tries(file: &std::path::Path) -> usize {
    std::fs::read_to_string(file).unwrap().lines().count()
}

#[test]
fn a_protected_branch_is_a_no_and_an_archive_is_not_taken_on_trust() {
    run(async {
        let stage = Stage::own().await;
        let (team, repo) = begin(&stage, "protected", 1).await;
        let old = keys(&stage).await;
        let file = protect(&repo);
        let recovery = Identity::generate(Suite::X25519).unwrap();
        let to = Recipients::new([recovery.recipient().clone()]).unwrap();
        // Somebody has put something where the archive of the first key goes.
        let forged = archive_name(&old.ids[0], &to);
        let fake = json!({"apiVersion": "v1", "kind": "Secret", "type": "signet.dev/archived-sealing-key",
            "metadata": {"name": forged, "namespace": HOME, "annotations": {"signet.dev/archived-key": old.ids[0]}},
            "data": {"key.age": STANDARD.encode(to.encrypt(b"nothing").unwrap())}});
        stage
            .cluster
            .kubectl_with(["create", "-f", "-"], &fake.to_string())
            .ok();
        let reseal = [target(&stage, team.name(), "app")];
        let retire =
            json!({"grace": "0s", "when": "Confirmed", "recipients": [recovery.recipient().to_string()]});
        rotate(&stage, "spring", &json!({"reseal": reseal, "retire": retire}));
        let rotation = phase(&stage, "spring", RotationPhase::AwaitingCommit).await;
        let words = message(&rotation, team.name());
        assert!(words.contains("refuses the push: hook declined"), "{words}");
        let command = &rotation.status.as_ref().unwrap().repositories[0].command;
        assert!(command.starts_with("signet reseal"), "{command}");
        assert_eq!(tries(&file), 1);
        // News of the cluster are no reason to try again.
        for number in 0..4 {
            let patch = json!({"metadata": {"annotations": {"signet.dev/requestedAt": number.to_string()}}});
            team.api::<crds::Sync>()
                .patch("app", &PatchParams::default(), &Patch::Merge(patch))
                .await
                .unwrap();
            wait::throughout(Duration::from_millis(800), || async {
                match tries(&file) {
                    1 => Ok(()),
                    more => Err(format!("{more} pushes")),
                }
            })
            .await;
        }
        stay(&stage, &old).await;

        // The branch is opened, and a person says so.
        std::fs::write(repo.bare().join("open"), "").unwrap();
        ask(&stage, "spring", "open now").await;
        // Archives are made before anybody is asked, and one that is not ours is none.
        until(
            &stage,
            "spring",
            "to name what has the archive's name",
            |rotation| said(rotation, "Ready").contains(&forged),
        )
        .await;
        assert_eq!((tries(&file), commits(&repo, "main").len()), (2, 1));
        stay(&stage, &old).await;
        stage
            .cluster
            .kubectl(["-n", HOME, "delete", "secret", &forged])
            .ok();
        phase(&stage, "spring", RotationPhase::AwaitingConfirmation).await;

        // The label of the other old key is changed: it is not read any more, and not taken for gone.
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), HOME);
        let native = old.secrets.last().unwrap().metadata.name.clone().unwrap();
        let label = |value: &str| json!({"metadata": {"labels": {crds::label::NATIVE_SEALING_KEY: value}}});
        let relabel = async |value: &str| {
            secrets
                .patch(&native, &PatchParams::default(), &Patch::Merge(label(value)))
                .await
                .unwrap();
        };
        relabel("unused").await;
        let api: Api<KeyRotation> = Api::namespaced(stage.cluster.client(), HOME);
        let confirm = json!({"spec": {"retire": {"confirmed": old.ids}}});
        api.patch("spring", &PatchParams::default(), &Patch::Merge(confirm))
            .await
            .unwrap();
        until(&stage, "spring", "to name the key that is not read", |rotation| {
            said(rotation, "Ready").contains(&native)
        })
        .await;
        assert!(is_there(&stage, &native).await);
        relabel("active").await;
        let rotation = phase(&stage, "spring", RotationPhase::Complete).await;
        gone(&stage, &old).await;
        for key in &rotation.status.as_ref().unwrap().old_keys {
            let archive = secrets.get(&key.archive).await.unwrap();
            assert_eq!(archive.metadata.uid.as_deref(), Some(key.archive_uid.as_str()));
            let file = &archive.data.unwrap()["key.age"].0;
            let identities = sealing::v2::Identities::new([Identity::parse(&recovery.to_text()).unwrap()]);
            let open = identities.decrypt(file, 1 << 20).unwrap();
            let text = String::from_utf8(open.expose().to_vec()).unwrap();
            assert!(text.contains(&key.secret), "the archive holds the key");
        }
    });
}

/// The name of a key's archive: the controller's rule once more.
fn archive_name(id: &str, to: &Recipients) -> String {
    let mut text = id.as_bytes().to_vec();
    for id in to.key_ids() {
        text.push(0);
        text.extend_from_slice(id.as_str().as_bytes());
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
    let mut name = "signet-archived-key-".to_owned();
    for byte in &digest.as_ref()[..10] {
        let _ = write!(name, "{byte:02x}");
    }
    name
}
