//! The native format from a laptop to the cluster: the key is fetched through the API server and pinned, its successor is
//! followed, and `verify` asks the controller.

use std::path::Path;

use k8s_openapi::api::core::v1::Secret;
use sealing::v2::{Identity, Suite};
use serde_json::json;
use tests::command::{self, Answer};
use tests::{Stage, http, objects, run, wait};

use crate::native::published;

fn signet(kubeconfig: &Path, dir: &Path, arguments: &[&str], input: &str) -> Answer {
    let mut signet = command::signet(kubeconfig);
    signet.args(arguments).current_dir(dir);
    command::run(signet, input.as_bytes())
}

#[test]
fn the_controllers_key_is_sealed_for_followed_and_asked() {
    run(async {
        let stage = Stage::drop_in().await;
        stage.controller.expose(&stage.cluster);
        published(stage).await;
        let team = stage.space("cli-native");
        let repo = stage.git.repository(team.name());
        let work = repo.work();
        // A team's rights are enough to seal.
        let (team_config, admin) = (team.kubeconfig().await, stage.cluster.kubeconfig());
        std::fs::create_dir(work.join("app")).unwrap();
        let secret = |value: &str| objects::secret(team.name(), "db", &[("password", value)]).to_string();
        let pinned = || std::fs::read_to_string(work.join(".signet.yaml")).unwrap();

        // The first time it is asked for by name, then it is what is pinned.
        let seal = ["seal", "-w", "app/db.yaml"];
        let first = signet(
            &team_config,
            work,
            &[&seal[..], &["--format", "v2"]].concat(),
            &secret("one"),
        );
        assert!(
            first.code == 0 && first.stderr.starts_with("Pinned key key-"),
            "{first}"
        );
        let before = pinned();
        let second = signet(&team_config, work, &seal, &secret("two"));
        assert!(
            second.code == 0 && second.stderr.contains("in format v2 for key-"),
            "{second}"
        );
        assert_eq!(pinned(), before, "nothing new");
        let commit = repo.commit("Sealed in the native format");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let opened: Secret = team.api().get("db").await.unwrap();
        assert_eq!(opened.data.unwrap()["password"].0, b"two");

        // The controller opens it where it stands, and nowhere else.
        let verify = |file: &str| signet(admin, work, &["verify", "--controller", file], "");
        let good = verify("app/db.yaml");
        assert!(good.code == 0 && good.stderr.contains("all open"), "{good}");
        let text = std::fs::read_to_string(work.join("app/db.yaml")).unwrap();
        std::fs::write(
            work.join("moved.yaml"),
            text.replacen("name: db", "name: moved", 1),
        )
        .unwrap();
        let moved = verify("moved.yaml");
        assert!(
            moved.code == 1 && moved.stdout.contains("it is sealed for db in namespace"),
            "{moved}"
        );

        // A newer key: the one before it endorses it, so that the pin goes on to it without a question.
        let next = Identity::generate(Suite::MlKem768X25519).unwrap();
        let key = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "signet.dev/sealing-key",
            "metadata": {"name": "zz-next", "namespace": "signet-system", "labels": {"signet.dev/sealing-key": "active"}},
            "stringData": {"identity": next.to_text().as_str()},
        });
        stage
            .cluster
            .kubectl_with(["create", "-f", "-"], &key.to_string())
            .ok();
        let url = stage.controller.key_set_url();
        wait::poll("the next key to be published", || async {
            let answer = http::get(&url).await.ok_or("no answer")?;
            let set = sealing::keyset::KeySet::read(&answer.body).map_err(|err| err.to_string())?;
            let newest = set.untrusted().keys.iter().find(|key| key.is_native());
            let is_next = newest.is_some_and(|key| key.id == next.key_id().as_str());
            is_next.then_some(()).ok_or(answer.body)
        })
        .await;
        let third = signet(&team_config, work, &seal, &secret("three"));
        assert!(
            third.code == 0 && third.stderr.contains(next.key_id().as_str()),
            "{third}"
        );
        let after = pinned();
        assert!(
            after.contains(&next.recipient().to_string()) && after != before,
            "{after}"
        );
        let commit = repo.commit("For the next key");
        team.applied("app", &commit).await;
        let opened: Secret = team.api().get("db").await.unwrap();
        assert_eq!(opened.data.unwrap()["password"].0, b"three");
        // What is sealed for the key before opens, and is named as such.
        std::fs::write(work.join("old.yaml"), text).unwrap();
        let old = signet(admin, work, &["verify", "old.yaml"], "");
        assert!(old.code == 0 && old.stdout.contains("(former)"), "{old}");
    });
}
