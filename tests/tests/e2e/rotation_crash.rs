//! Killed in every phase of a rotation and started again, the controller ends where it would have: one new key of each format,
//! one commit, nothing written twice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crds::{KeyRotation, RotationPhase, RotationStep};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use sealing::v2::{Identities, Identity, Suite};
use serde_json::json;
use tests::fault_proxy::{Asked, Fault};
use tests::{Repo, Stage, run};

use crate::faults::behind_faults;
use crate::rotation_world::{
    HOME, OldKeys, begin, commits, gone, keys, opened, phase, pull, rotate, stay, step, target, until,
    versions,
};

/// In so many lives the write of the same number is the last one. Then it is the one after that: so every life gets as far as those
/// before it in the end, whatever it does again, and there is an end.
const SAME: usize = 6;
/// More lives than it can take.
const LIVES: usize = 60;

#[test]
fn a_controller_that_is_killed_in_any_phase_goes_on_where_it_was() {
    run(async {
        let mut stage = Stage::own().await;
        let (name, repo, before) = {
            let (team, repo) = begin(&stage, "killed", 3).await;
            let before = versions(&team).await;
            (team.keep(), repo, before)
        };
        let old = keys(&stage).await;
        let reseal = [target(&stage, &name, "app")];
        rotate(
            &stage,
            "spring",
            &json!({"reseal": reseal, "retire": {"then": "Destroy", "grace": "2s"}}),
        );
        // Killed whenever it has said something new, until it has nothing more to say.
        let api: Api<KeyRotation> = Api::namespaced(stage.cluster.client(), HOME);
        let mut seen: Option<String> = None;
        let mut kills = 0;
        let deadline = std::time::Instant::now() + tests::wait::LONG * 6;
        loop {
            assert!(std::time::Instant::now() < deadline, "it does not end: {seen:?}");
            let rotation = api.get("spring").await.unwrap();
            let status = rotation.status.clone().unwrap_or_default();
            if status.phase == RotationPhase::Complete {
                break;
            }
            let steps: Vec<_> = status
                .repositories
                .iter()
                // Not which commit: started again, it makes another, and would never come to push one.
                .map(|one| (one.step, one.commit.is_empty()))
                .collect();
            let now = format!(
                "{:?} {} {steps:?} {:?}",
                status.phase,
                status.new_keys.len(),
                status.old_keys
            );
            if seen.as_ref() != Some(&now) {
                stage.controller.kill();
                kills += 1;
                eprintln!("killed at {now}");
                seen = Some(now);
                stage.controller.start_again().await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(kills >= 4, "{kills}");
        ended_once(&stage, &repo, &name, &old, 9).await;
        let team = stage.space_of(&name);
        // The checkpoint is the controller's own; the namespace's Secrets are as they were.
        assert_eq!(before, versions(&team).await);
        team.keep();
    });
}

/// The rotation has come to its end, and done everything once: of `values` values in one Repository, the new keys open all.
async fn ended_once(stage: &Stage, repo: &Repo, name: &str, old: &OldKeys, values: usize) -> KeyRotation {
    let rotation = phase(stage, "spring", RotationPhase::Complete).await;
    let status = rotation.status.as_ref().unwrap();
    assert_eq!(
        (status.new_keys.len(), status.old_keys.len()),
        (2, 2),
        "{status:#?}"
    );
    let new = keys(stage).await;
    assert_eq!(new.secrets.len(), 2, "one new key of each format");
    assert_eq!(commits(repo, "main").len(), 1, "one commit");
    assert_eq!(opened(repo, name, &new), (values, values));
    gone(stage, old).await;
    rotation
}

#[test]
fn a_commit_that_is_taken_back_while_the_controller_is_down_is_not_pushed_again() {
    run(async {
        let (mut stage, faults) = behind_faults().await;
        let (name, repo) = {
            let (team, repo) = begin(&stage, "killed-back", 1).await;
            (team.keep(), repo)
        };
        let old = keys(&stage).await;
        let reseal = [target(&stage, &name, "app")];
        // From the push on it can write down nothing.
        let main = repo.bare().join("refs/heads/main");
        let before = std::fs::read(&main).unwrap();
        faults.set(move |asked| {
            let is_its = asked.writes() && asked.path.contains(&format!("/{HOME}/keyrotations/"));
            (is_its && std::fs::read(&main).is_ok_and(|now| now != before)).then_some(Fault::CutRequest)
        });
        let before = faults.faults();
        rotate(&stage, "spring", &json!({"reseal": reseal}));
        tests::wait::poll("a write to be cut off", || async {
            (faults.faults() > before)
                .then_some(())
                .ok_or("none yet".to_owned())
        })
        .await;
        stage.controller.kill();
        faults.clear();
        let rotation = until(&stage, "spring", "to have been about to push", |_| true).await;
        assert_eq!(step(&rotation, &name), Some(RotationStep::Pushing));
        pull(&repo);
        repo.revert();
        stage.controller.start_again().await;
        until(&stage, "spring", "to say that it was taken back", |rotation| {
            step(rotation, &name) == Some(RotationStep::RolledBack)
        })
        .await;
        assert_eq!(commits(&repo, "main").len(), 1);
        stay(&stage, &old).await;
        stage.space_of(&name).keep();
    });
}

/// Whether a request is one of the writes that a rotation is made of.
fn is_its(asked: &Asked<'_>) -> bool {
    let secrets = format!("/api/v1/namespaces/{HOME}/secrets");
    asked.writes() && (asked.path.starts_with(&secrets) || asked.path.contains("/keyrotations/"))
}

#[test]
fn each_write_may_be_cut_off_with_the_controller() {
    run(async {
        let (mut stage, faults) = behind_faults().await;
        let (name, repo, before) = {
            let (team, repo) = begin(&stage, "cut", 2).await;
            let before = versions(&team).await;
            (team.keep(), repo, before)
        };
        let old = keys(&stage).await;
        let recovery = Identity::generate(Suite::X25519).unwrap();
        let reseal = [target(&stage, &name, "app")];
        stage.controller.kill();
        let retire = json!({"grace": "0s", "recipients": [recovery.recipient().to_string()]});
        rotate(&stage, "spring", &json!({"reseal": reseal, "retire": retire}));
        let api: Api<KeyRotation> = Api::namespaced(stage.cluster.client(), HOME);
        let is_complete = async || {
            let status = api.get("spring").await.unwrap().status.unwrap_or_default();
            status.phase == RotationPhase::Complete
        };
        // The last write does not arrive, or its answer does not.
        let deadline = Instant::now() + tests::wait::LONG * 6;
        let (mut lives, mut cuts) = (0, 0);
        loop {
            assert!(
                lives < LIVES && Instant::now() < deadline,
                "it does not end: {lives} lives"
            );
            let last = lives / SAME;
            let fault = match lives % 2 {
                0 => Fault::CutRequest,
                _ => Fault::CutAnswer,
            };
            lives += 1;
            let (hit, seen) = (faults.faults(), AtomicUsize::new(0));
            faults.set(move |asked| {
                if !is_its(asked) {
                    return None;
                }
                let number = seen.fetch_add(1, Ordering::Relaxed);
                match number {
                    number if number < last => None,
                    number if number == last => Some(fault),
                    // It is as good as dead.
                    _ => Some(Fault::CutRequest),
                }
            });
            stage.controller.start_again().await;
            let is_cut = loop {
                assert!(Instant::now() < deadline, "it goes nowhere in life {lives}");
                if faults.faults() > hit {
                    break true;
                }
                if is_complete().await {
                    break false;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            if !is_cut {
                break;
            }
            cuts += 1;
            stage.controller.kill();
        }
        faults.clear();
        eprintln!("{cuts} writes were cut off");
        assert!(cuts >= 10, "{cuts}");
        let rotation = ended_once(&stage, &repo, &name, &old, 6).await;
        let status = rotation.status.unwrap();
        // One archive of each old key, which opens.
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), HOME);
        let all = secrets.list(&ListParams::default()).await.unwrap().items;
        let archives = all
            .iter()
            .filter(|secret| secret.type_.as_deref() == Some("signet.dev/archived-sealing-key"));
        assert_eq!(archives.count(), 2);
        let identities = Identities::new([Identity::parse(&recovery.to_text()).unwrap()]);
        for key in &status.old_keys {
            assert!(key.retired, "{key:?}");
            let archive = secrets.get(&key.archive).await.unwrap();
            let open = identities
                .decrypt(&archive.data.unwrap()["key.age"].0, 1 << 20)
                .unwrap();
            let text = String::from_utf8(open.expose().to_vec()).unwrap();
            assert!(text.contains(&key.secret), "the archive holds the key");
        }
        let team = stage.space_of(&name);
        assert_eq!(before, versions(&team).await);
        team.keep();
    });
}
