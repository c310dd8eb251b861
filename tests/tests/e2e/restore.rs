//! The drill that a backup is for: the keys are lost, the backup is restored, and the commit that was there all the time opens
//! again. Cluster-wide by nature, so in a cluster of its own.

use std::path::Path;

use crds::{ObjectReport, Sync};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use sealing::Scope;
use sealing::v2::{Identity, Suite};
use tests::{Space, Stage, http, objects, run, wait};

use crate::native::{published, seal};

const LABELS: [&str; 2] = [
    "sealedsecrets.bitnami.com/sealed-secrets-key",
    "signet.dev/sealing-key",
];

#[test]
fn lost_keys_are_restored_from_a_backup_and_the_same_commit_opens_again() {
    run(async {
        let mut stage = Stage::own().await;
        let home = tempfile::tempdir().unwrap();
        let (backup, identity) = (home.path().join("keys.age"), home.path().join("recovery.txt"));
        let drill = ["keys", "restore", text(&backup), "--identity", text(&identity)];
        let (namespace, commit, before) = {
            let team = stage.space("restore");
            let repo = stage.git.repository(team.name());
            let secret = |name: &str| objects::secret(team.name(), name, &[("password", "hunter2")]);
            let to = published(&stage).await;
            let commit = repo
                .write("app/old.yaml", stage.seal(&secret("old")))
                .write(
                    "app/new.yaml",
                    seal(&secret("new"), &to, Scope::Strict).to_string(),
                )
                .commit("Both formats");
            team.repository("app", &repo).await;
            team.sync("app", "app").await;
            team.applied("app", &commit).await;

            // The backup, for an offline key. Nothing of it can be read.
            let offline = Identity::generate(Suite::MlKem768X25519).unwrap();
            std::fs::write(&identity, offline.to_text().as_str()).unwrap();
            let recipient = offline.recipient().to_string();
            let arguments = ["keys", "backup", "--recipient", &recipient, "-w", text(&backup)];
            stage.cluster.signet(arguments, "").ok();
            let written = std::fs::read(&backup).unwrap();
            for word in ["PRIVATE KEY", "AGE-SECRET-KEY", "tls.key"] {
                assert!(!written.windows(word.len()).any(|bytes| bytes == word.as_bytes()));
            }
            let said = stage.cluster.signet(drill.into_iter().chain(["--dry-run"]), "");
            assert!(said.stderr.contains("The backup opens: 2 keys."), "{said}");

            // All keys are lost while the controller runs, and what was opened with them.
            lose_keys(&stage).await;
            let url = stage.controller.key_set_url();
            wait::poll("the controller to have no key", || async {
                let answer = http::get(&url).await.ok_or("no answer")?;
                (answer.status == 503).then_some(()).ok_or(format!("{answer:?}"))
            })
            .await;
            for failure in refused(&team).await {
                assert!(
                    failure.message.contains("this controller has no sealing keys"),
                    "{failure:?}"
                );
                assert!(failure.hint.contains("signet keys restore"), "{failure:?}");
            }
            // They are restored, and nobody has to do anything else.
            stage.cluster.signet(drill, "").ok();
            opened(&team, &commit).await;
            assert_eq!(published(&stage).await.key_ids(), to.key_ids());
            let said = stage.cluster.signet(drill, "");
            assert!(said.stderr.contains("is there already"), "{said}");
            said.ok();
            (team.keep(), commit, to.key_ids())
        };

        // And while it does not: it starts with new keys, which have the names of the old ones.
        stage.controller.stop();
        lose_keys(&stage).await;
        stage.controller.start_again().await;
        let team = stage.space_of(&namespace);
        assert_ne!(published(&stage).await.key_ids(), before);
        let failures = format!("{:?}", refused(&team).await);
        assert!(
            failures.contains("of which no private key is here")
                && failures.contains("no key of this controller opens it"),
            "{failures}"
        );
        let said = stage.cluster.signet(drill, "");
        for name in [
            "sealed-secrets-key00001-restored",
            "signet-sealing-key00001-restored",
        ] {
            assert!(said.stderr.contains(name), "{said}");
        }
        said.ok();
        opened(&team, &commit).await;
    });
}

async fn lose_keys(stage: &Stage) {
    let keys: Api<Secret> = Api::namespaced(stage.cluster.client(), "signet-system");
    for label in LABELS {
        let selected = ListParams::default().labels(label);
        keys.delete_collection(&DeleteParams::default(), &selected)
            .await
            .unwrap();
    }
}

/// Deletes both Secrets, and waits until neither can be made.
async fn refused(team: &Space<'_>) -> Vec<ObjectReport> {
    for name in ["old", "new"] {
        team.kubectl(["delete", "secret", name]).ok();
    }
    let sync = team
        .until("app", "both values to be refused", |sync: &Sync| {
            sync.status
                .as_ref()
                .is_some_and(|status| status.counts.failed == 2)
        })
        .await;
    sync.status.unwrap().failures
}

async fn opened(team: &Space<'_>, commit: &str) {
    for name in ["old", "new"] {
        team.until(name, "it to be opened", |secret: &Secret| {
            let data = secret.data.as_ref().and_then(|data| data.get("password"));
            data.is_some_and(|value| value.0 == b"hunter2")
        })
        .await;
    }
    team.applied("app", commit).await;
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
