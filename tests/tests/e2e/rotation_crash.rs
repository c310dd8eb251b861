//! Killed in every phase of a rotation and started again, the controller ends where it would have: one new key of each format,
//! one commit, nothing written twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crds::{KeyRotation, RotationPhase};
use http::Method;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use sealing::v2::{Identities, Identity, Suite};
use serde_json::json;
use tests::fault_proxy::{Asked, Fault, FaultProxy};
use tests::{Cluster, ClusterRef, ControllerOptions, Stage, run};

use crate::rotation_world::{HOME, begin, commits, gone, keys, opened, phase, rotate, target, versions};

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
        let rotation = phase(&stage, "spring", RotationPhase::Complete).await;
        let status = rotation.status.as_ref().unwrap();
        assert_eq!(
            (status.new_keys.len(), status.old_keys.len()),
            (2, 2),
            "{status:#?}"
        );
        let new = keys(&stage).await;
        assert_eq!(new.secrets.len(), 2, "one new key of each format");
        assert_eq!(commits(&repo, "main").len(), 1, "one commit");
        assert_eq!(opened(&repo, &name, &new), (9, 9));
        gone(&stage, &old).await;
        let team = stage.space_of(&name);
        // The checkpoint is the controller's own; the namespace's Secrets are as they were.
        assert_eq!(before, versions(&team).await);
        team.keep();
    });
}

/// Whether a request is a step of a rotation: its status, a new key, an archive, an old key that goes.
fn is_step(asked: &Asked<'_>) -> bool {
    let secrets = "/api/v1/namespaces/signet-system/secrets";
    match *asked.method {
        Method::PATCH => asked.path.contains("/keyrotations/"),
        Method::POST => asked.path == secrets,
        Method::DELETE => asked.path.starts_with(secrets),
        _ => false,
    }
}

#[test]
fn killed_before_and_after_each_thing_that_it_writes_it_loses_no_key() {
    run(async {
        let cluster = Cluster::own().await;
        let proxy = FaultProxy::start(&cluster).await;
        let mut options = ControllerOptions::for_tests(&cluster);
        proxy.lead(&mut options);
        let mut stage = Stage::on(ClusterRef::Own(Box::new(cluster)), options).await;
        let (name, repo, before) = {
            let (team, repo) = begin(&stage, "killed-archive", 1).await;
            let before = versions(&team).await;
            (team.keep(), repo, before)
        };
        let old = keys(&stage).await;
        let recovery = Identity::generate(Suite::X25519).unwrap();
        let reseal = [target(&stage, &name, "app")];
        let retire = json!({"grace": "0s", "recipients": [recovery.recipient().to_string()]});
        // Each step is cut off before the API server learns of it, and when it is done again before the answer has come. Then a status
        // goes through: a commit is written down before it is pushed, and each start makes another.
        let (count, dying) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, dies) = (Arc::clone(&count), Arc::clone(&dying));
        let (statuses, others) = (AtomicUsize::new(0), AtomicUsize::new(0));
        proxy.set(move |asked| {
            if !is_step(asked) {
                return None;
            }
            if dies.swap(true, Ordering::SeqCst) {
                return Some(Fault::CutRequest);
            }
            let is_status = *asked.method == Method::PATCH;
            let of_kind = if is_status { &statuses } else { &others };
            let faults = [Some(Fault::CutRequest), Some(Fault::CutAnswer), None];
            let faults = if is_status { &faults[..] } else { &faults[..2] };
            let fault = faults[of_kind.fetch_add(1, Ordering::SeqCst) % faults.len()];
            match fault {
                Some(_) => counted.fetch_add(1, Ordering::SeqCst),
                None => usize::from(dies.swap(false, Ordering::SeqCst)),
            };
            fault
        });
        rotate(&stage, "spring", &json!({"reseal": reseal, "retire": retire}));
        let api: Api<KeyRotation> = Api::namespaced(stage.cluster.client(), HOME);
        let deadline = std::time::Instant::now() + tests::wait::LONG * 6;
        loop {
            let rotation = api.get("spring").await.unwrap();
            let status = rotation.status.unwrap_or_default();
            let now = format!("{:?}", status.phase);
            assert!(std::time::Instant::now() < deadline, "it does not end: {now}");
            if dying.load(Ordering::SeqCst) {
                stage.controller.kill();
                eprintln!("killed at step {} in {now}", count.load(Ordering::SeqCst));
                dying.store(false, Ordering::SeqCst);
                stage.controller.start_again().await;
            } else if status.phase == RotationPhase::Complete {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        proxy.clear();
        assert!(count.load(Ordering::SeqCst) >= 20, "{count:?}");
        let rotation = phase(&stage, "spring", RotationPhase::Complete).await;
        let status = rotation.status.as_ref().unwrap();
        assert_eq!(
            (status.new_keys.len(), status.old_keys.len()),
            (2, 2),
            "{status:#?}"
        );
        let new = keys(&stage).await;
        assert_eq!(new.secrets.len(), 2, "one new key of each format");
        assert_eq!(commits(&repo, "main").len(), 1, "one commit");
        assert_eq!(opened(&repo, &name, &new), (3, 3));
        gone(&stage, &old).await;
        // One archive a key, and each opens and holds its key.
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), HOME);
        let all = secrets.list(&ListParams::default()).await.unwrap().items;
        let archives: Vec<_> = all
            .iter()
            .filter(|secret| secret.name_any().starts_with("signet-archived-key-"))
            .collect();
        assert_eq!(archives.len(), 2);
        let identities = Identities::new([recovery]);
        for key in &status.old_keys {
            let archive = archives.iter().find(|archive| archive.name_any() == key.archive);
            let archive = archive.unwrap_or_else(|| panic!("{key:#?}"));
            let file = &archive.data.as_ref().unwrap()["key.age"].0;
            let text = identities.decrypt(file, 1 << 20).unwrap();
            let text = std::str::from_utf8(text.expose()).unwrap();
            assert!(text.contains(&format!("\"name\":\"{}\"", key.secret)), "{key:#?}");
        }
        let team = stage.space_of(&name);
        assert_eq!(before, versions(&team).await);
        team.keep();
    });
}
