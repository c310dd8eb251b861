//! The drill that a backup is for: the keys are lost, the backup is restored, and the commit that was there all the time opens
//! again. Cluster-wide by nature, so in a cluster of its own.

use std::path::Path;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use sealing::Scope;
use sealing::v2::{Identity, Suite};
use tests::{Stage, http, objects, run, wait};

use crate::native::{published, seal};

const LABELS: [&str; 2] = [
    "sealedsecrets.bitnami.com/sealed-secrets-key",
    "signet.dev/sealing-key",
];

#[test]
fn lost_keys_are_restored_from_a_backup_and_the_same_commit_opens_again() {
    run(async {
        let stage = Stage::own().await;
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
        let home = tempfile::tempdir().unwrap();
        let offline = Identity::generate(Suite::MlKem768X25519).unwrap();
        let (backup, identity) = (home.path().join("keys.age"), home.path().join("recovery.txt"));
        std::fs::write(&identity, offline.to_text().as_str()).unwrap();
        let recipient = offline.recipient().to_string();
        let signet = |arguments: &[&str]| stage.cluster.signet(arguments.iter().copied(), "");
        signet(&["keys", "backup", "--recipient", &recipient, "-w", text(&backup)]).ok();
        let written = std::fs::read(&backup).unwrap();
        for word in ["PRIVATE KEY", "AGE-SECRET-KEY", "tls.key"] {
            assert!(!written.windows(word.len()).any(|bytes| bytes == word.as_bytes()));
        }
        let drill = ["keys", "restore", text(&backup), "--identity", text(&identity)];
        let said = signet(&[&drill[..], &["--dry-run"]].concat());
        assert!(said.stderr.contains("The backup opens: 2 keys."), "{said}");

        // All keys are lost, and what was opened with them.
        let keys: Api<Secret> = Api::namespaced(stage.cluster.client(), "signet-system");
        for label in LABELS {
            let selected = ListParams::default().labels(label);
            keys.delete_collection(&DeleteParams::default(), &selected)
                .await
                .unwrap();
        }
        let url = stage.controller.key_set_url();
        wait::poll("the controller to have no key", || async {
            let answer = http::get(&url).await.ok_or("no answer")?;
            (answer.status == 503).then_some(()).ok_or(format!("{answer:?}"))
        })
        .await;
        for name in ["old", "new"] {
            team.kubectl(["delete", "secret", name]).ok();
        }
        team.request("app", "without keys").await;
        let sync = team
            .until("app", "both values to be refused", |sync: &crds::Sync| {
                sync.status
                    .as_ref()
                    .is_some_and(|status| status.counts.failed == 2)
            })
            .await;
        for failure in sync.status.unwrap().failures {
            assert!(
                failure.message.contains("this controller has no sealing keys"),
                "{failure:?}"
            );
            assert!(failure.hint.contains("signet keys restore"), "{failure:?}");
        }

        // They are restored, and nobody has to do anything else.
        signet(&drill).ok();
        team.applied("app", &commit).await;
        for name in ["old", "new"] {
            let secret: Secret = team.api().get(name).await.unwrap();
            assert_eq!(secret.data.unwrap()["password"].0, b"hunter2");
        }
        assert_eq!(published(&stage).await.key_ids(), to.key_ids());
        // A second time there is nothing to do.
        let said = signet(&drill);
        assert!(said.stderr.contains("is there already"), "{said}");
        said.ok();
    });
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
