//! Killed in every phase of a rotation and started again, the controller ends where it would have: one new key of each format,
//! one commit, nothing written twice.

use crds::{KeyRotation, RotationPhase};
use kube::Api;
use serde_json::json;
use tests::{Stage, run};

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
