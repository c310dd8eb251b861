//! Format v2 in a cluster: sealed for the keys that the controller publishes, opened from Git, refused where it does not belong.

use crds::{SealedFormat, SealedPolicy, SealedScope};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use sealing::keyset::{Audience, EndorsementName, KeyEntry, KeySet, KeySetError, Pins, Verified};
use sealing::v2::{Identities, Identity, Recipients, SealedSecret, Suite, seal_secret};
use sealing::{Scope, SealOptions};
use serde_json::{Value, json};
use tests::{Stage, http, objects, run, wait};

use crate::bad_support::Case;

/// The key set that a controller serves, once it lists a key of format v2: the first one is made while it serves those of
/// format v1 already.
async fn key_set(stage: &Stage) -> Verified {
    let url = stage.controller.key_set_url();
    wait::poll("a key of format v2 to be published", || async {
        let answer = http::get(&url).await.ok_or("no answer")?;
        let set = KeySet::read(&answer.body).map_err(|error| format!("{error}: {answer:?}"))?;
        let has_native = set.untrusted().keys.iter().any(KeyEntry::is_native);
        has_native.then_some(set).ok_or(answer.body)
    })
    .await
}

fn now() -> String {
    k8s_openapi::jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// The keys that the controller publishes, as a client takes them.
pub(crate) async fn published(stage: &Stage) -> Recipients {
    let verified = key_set(stage).await;
    let pins = Pins::of(verified.signers().iter().cloned());
    let set = verified.trusted(&pins, &Audience::Cluster, &now()).unwrap();
    assert!(
        set.keys().any(|key| key.certificate.is_some()),
        "both formats are listed"
    );
    let newest = set.keys().find(|key| key.is_native()).unwrap();
    assert_eq!(newest.suite, "mlkem768x25519", "hybrid by default");
    Recipients::new([newest.recipient.as_ref().unwrap().parse().unwrap()]).unwrap()
}

pub(crate) fn seal(secret: &Value, to: &Recipients, scope: Scope) -> Value {
    let options = SealOptions {
        scope: Some(scope),
        ..SealOptions::default()
    };
    seal_secret(secret, to, options).unwrap().to_value()
}

#[test]
fn what_is_sealed_for_the_published_key_opens() {
    run(async {
        let stage = Stage::shared().await;
        let case = Case::begin("native").await;
        let here = case.team.name();
        let to = published(stage).await;
        let mut shaped = objects::secret(here, "shaped", &[("password", "hunter2"), ("user", "app")]);
        shaped["type"] = "example.com/db".into();
        shaped["metadata"]["labels"] = json!({"app": "db"});
        // A second recipient edits: a team's key.
        let team = Identity::generate(Suite::MlKem768X25519).unwrap();
        let both = Recipients::new(to.iter().cloned().chain([team.recipient().clone()])).unwrap();
        let sealed = seal_secret(&shaped, &both, SealOptions::default()).unwrap();
        let unlocked = sealed.unlock(&Identities::new([team])).ok().unwrap();
        let mut template = unlocked.template();
        template["data"] = json!({"url": "db://${user}:${password}@h"});
        template["omit"] = json!(["password"]);
        let shaped = unlocked.retemplate(&template, &both).unwrap().to_value();

        let commit = case
            .repo
            .write("app/shaped.yaml", shaped.to_string())
            .write(
                "app/anywhere.yaml",
                seal(
                    &objects::secret("elsewhere", "before", &[("a", "b")]),
                    &to,
                    Scope::Cluster,
                )
                .to_string()
                .replace("\"elsewhere\"", &format!("\"{here}\""))
                .replace("\"before\"", "\"anywhere\""),
            )
            .commit("Sealed in format v2");
        case.team.applied("app", &commit).await;
        let secret: Secret = case.team.api().get("shaped").await.unwrap();
        assert_eq!(secret.type_.as_deref(), Some("example.com/db"));
        assert_eq!(secret.metadata.labels.as_ref().unwrap()["app"], "db");
        let data = secret.data.unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), ["url", "user"]);
        assert_eq!(data["url"].0, b"db://app:hunter2@h");
        let secret: Secret = case.team.api().get("anywhere").await.unwrap();
        assert_eq!(secret.data.unwrap()["a"].0, b"b");

        // One value is changed without a private key.
        let changed = SealedSecret::parse(&shaped).ok().unwrap();
        let value = [("user".to_owned(), sealing::Plaintext::new(b"root".to_vec()))].into();
        let changed = changed.set(&value, &to).unwrap().to_value();
        let commit = case
            .repo
            .write("app/shaped.yaml", changed.to_string())
            .commit("Another user");
        case.team.applied("app", &commit).await;
        let secret: Secret = case.team.api().get("shaped").await.unwrap();
        assert_eq!(secret.data.unwrap()["url"].0, b"db://root:hunter2@h");
    });
}

#[test]
fn what_was_moved_or_changed_is_refused_and_its_neighbours_are_not() {
    run(async {
        let stage = Stage::shared().await;
        let case = Case::begin("native-bad").await;
        let here = case.team.name();
        let to = published(stage).await;
        let sealed = |name: &str| {
            seal(
                &objects::secret(here, name, &[("password", "hunter2")]),
                &to,
                Scope::Strict,
            )
        };
        let mut renamed = sealed("before");
        renamed["metadata"]["name"] = "after".into();
        let mut lied = sealed("before");
        lied["metadata"]["name"] = "behind".into();
        lied["spec"]["sealedFor"]["name"] = "behind".into();
        let mut typed = sealed("typed");
        typed["spec"]["template"] = json!({"type": "kubernetes.io/basic-auth"});
        let mut field = sealed("field");
        field["spec"]["value"] = json!({});
        let stranger = Identity::generate(Suite::X25519).unwrap();
        let stranger = Recipients::new([stranger.recipient().clone()]).unwrap();
        let foreign = seal(
            &objects::secret(here, "foreign", &[("a", "b")]),
            &stranger,
            Scope::Strict,
        );
        let sync = case
            .spoil(|repo| {
                repo.write("app/field.yaml", field.to_string())
                    .write("app/foreign.yaml", foreign.to_string())
                    .write("app/good.yaml", sealed("good").to_string())
                    .write("app/behind.yaml", lied.to_string())
                    .write("app/renamed.yaml", renamed.to_string())
                    .write("app/typed.yaml", typed.to_string());
            })
            .await;
        case.says(
            &sync,
            &[
                [
                    "app/behind.yaml document 1",
                    "Secret NS/behind",
                    "key password: it does not open for behind in namespace NS with scope Strict",
                    "restore the object from Git's history",
                ],
                [
                    "app/field.yaml document 1",
                    "Secret NS/field",
                    "spec.value: there is no such field in this format",
                    "restore the field",
                ],
                [
                    "app/foreign.yaml document 1",
                    "Secret NS/foreign",
                    "key a: it is sealed for key-",
                    "seal it again for this cluster's keys",
                ],
                [
                    "app/renamed.yaml document 1",
                    "Secret NS/after",
                    "it is sealed for before in namespace NS, and stands here as after in namespace NS",
                    "move it back",
                ],
                [
                    "app/typed.yaml document 1",
                    "Secret NS/typed",
                    "key password: it does not open for typed in namespace NS with scope Strict",
                    "restore the object from Git's history",
                ],
            ],
        );
        assert!(!format!("{:?}", sync.status).contains("hunter2"));
        let good: Secret = case.team.api().get("good").await.unwrap();
        assert_eq!(good.data.unwrap()["password"].0, b"hunter2");
    });
}

#[test]
fn a_sync_can_demand_format_and_scope() {
    run(async {
        let stage = Stage::shared().await;
        let case = Case::begin_with("native-policy", |spec| {
            spec.sealed = Some(SealedPolicy {
                formats: vec![SealedFormat::V2],
                scopes: vec![SealedScope::Strict],
            });
        })
        .await;
        let here = case.team.name();
        let to = published(stage).await;
        let secret = |name: &str| objects::secret(here, name, &[("password", "hunter2")]);
        let sync = case
            .spoil(|repo| {
                repo.write("app/old.yaml", stage.seal(&secret("old")))
                    .write(
                        "app/strict.yaml",
                        seal(&secret("strict"), &to, Scope::Strict).to_string(),
                    )
                    .write(
                        "app/wide.yaml",
                        seal(&secret("wide"), &to, Scope::Namespace).to_string(),
                    );
            })
            .await;
        case.says(
            &sync,
            &[
                [
                    "app/old.yaml document 1",
                    "Secret NS/old",
                    "sealed in format v1 (bitnami.com), which spec.sealed.formats of this Sync does not accept",
                    "seal it again in a format that the Sync accepts",
                ],
                [
                    "app/wide.yaml document 1",
                    "Secret NS/wide",
                    "sealed with scope Namespace, which spec.sealed.scopes of this Sync does not accept",
                    "narrower scope",
                ],
            ],
        );
        assert!(
            case.team
                .api::<Secret>()
                .get_opt("strict")
                .await
                .unwrap()
                .is_some()
        );
        assert!(case.team.api::<Secret>().get_opt("old").await.unwrap().is_none());
    });
}

#[test]
fn two_sealed_secrets_of_one_target_are_refused_whatever_their_formats() {
    run(async {
        let stage = Stage::shared().await;
        let case = Case::begin("native-two").await;
        let secret = objects::secret(case.team.name(), "db", &[("password", "hunter2")]);
        let to = published(stage).await;
        let sync = case
            .spoil(|repo| {
                repo.write("app/one.yaml", stage.seal(&secret))
                    .write("app/two.yaml", seal(&secret, &to, Scope::Strict).to_string());
            })
            .await;
        let said = format!("{:?}", sync.status.unwrap().failures);
        assert!(said.contains("2 documents make this object"), "{said}");
        assert!(case.team.api::<Secret>().get_opt("db").await.unwrap().is_none());
    });
}

/// Cluster-wide by nature, so in a cluster of its own.
#[test]
fn keys_are_made_once_kept_and_reloaded() {
    run(async {
        let stage = Stage::own().await;
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), "signet-system");
        let label = ListParams::default().labels("signet.dev/sealing-key=active");
        let made = secrets.list(&label).await.unwrap().items;
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].metadata.name.as_deref(), Some("signet-sealing-key00001"));
        assert_eq!(made[0].type_.as_deref(), Some("signet.dev/sealing-key"));
        let first_recipients = published(&stage).await;
        let before = first_recipients.key_ids();

        // A key of one's own, newer: it is taken at once, sealed for and opened.
        let own = Identity::generate(Suite::MlKem768X25519).unwrap();
        let key = |name: &str, audience: &str| -> Secret {
            serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "Secret", "type": "signet.dev/sealing-key",
                "metadata": {"name": name, "labels": {"signet.dev/sealing-key": "active"},
                    "annotations": {"signet.dev/audience": audience}},
                "stringData": {"identity": own.to_text().as_str()},
            }))
            .unwrap()
        };
        // The creation time of a Secret has whole seconds, and decides which key is newest.
        let first = made[0].metadata.creation_timestamp.as_ref().unwrap().0;
        wait::poll("the clock's next second", || async {
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
            (now.cast_signed() > first.as_second())
                .then_some(())
                .ok_or(now.to_string())
        })
        .await;
        secrets
            .create(&PostParams::default(), &key("for-a-project", "Project/web"))
            .await
            .unwrap();
        secrets
            .create(&PostParams::default(), &key("mine", "Cluster"))
            .await
            .unwrap();
        wait::poll("the new key to be published", || async {
            let ids = published(&stage).await.key_ids();
            (ids == [own.key_id().clone()])
                .then_some(())
                .ok_or(format!("{ids:?}"))
        })
        .await;

        // Of a private key nothing is said anywhere but in its Secret.
        let first_key = made[0].data.as_ref().unwrap()["identity"].0.clone();
        let first_key = String::from_utf8(first_key).unwrap();
        let metrics = format!("{}/metrics", stage.controller.metrics_url());
        let reply = http::get(&stage.controller.key_set_url()).await.unwrap().body;
        let said = [
            format!("{:?}", KeySet::read(&reply).unwrap()),
            reply,
            http::get(&metrics).await.unwrap().body,
            stage.controller.log(),
        ];
        for key in [first_key.as_str(), own.to_text().as_str()] {
            let (_, secret) = key.trim().rsplit_once('1').expect("Bech32 has a separator");
            for said in &said {
                assert!(!said.to_lowercase().contains(&secret[..24].to_lowercase()));
            }
        }
        assert!(said[2].contains(own.key_id().as_str()), "the metrics name it");

        let case = Case::on(&stage, &stage.git, "native-keys", |_| {}).await;
        let secret = |name: &str| objects::secret(case.team.name(), name, &[("a", "b")]);
        let to = published(&stage).await;
        assert_ne!(to.key_ids(), before);
        let commit = case
            .repo
            .write(
                "app/new.yaml",
                seal(&secret("new"), &to, Scope::Strict).to_string(),
            )
            .commit("For the new key");
        case.team.applied("app", &commit).await;
        // The old key is endorsed: who pinned it follows.
        let set = key_set(&stage).await;
        let listed = &set.untrusted().keys;
        assert_eq!(
            listed.iter().filter(|key| key.is_native()).count(),
            2,
            "the Project's is not listed"
        );
        let old = listed.iter().find(|key| key.id == before[0].as_str()).unwrap();
        let old = EndorsementName::of_public_text(&old.endorsement_key).unwrap();
        let pins = Pins::of([old.clone()]);
        assert!(set.trusted(&pins, &Audience::Cluster, &now()).is_ok());
        wait::poll("an event about the Project's key", || async {
            let note = stage.cluster.kubectl([
                "get",
                "events",
                "--namespace=signet-system",
                "--field-selector=reason=UnusableSealingKey,involvedObject.name=for-a-project",
                "--output=jsonpath={.items[*].message}",
            ]);
            let note = note.ok();
            note.contains("keys of Projects are not supported yet")
                .then_some(())
                .ok_or(note)
        })
        .await;

        // A key that leaked opens nothing from then on, and is named: who pinned it alone is told nothing any more.
        let sealed_for_old = seal(&secret("late"), &first_recipients, Scope::Strict);
        stage
            .cluster
            .kubectl([
                "label",
                "secret",
                "signet-sealing-key00001",
                "--namespace=signet-system",
                "--overwrite",
                "signet.dev/sealing-key=compromised",
            ])
            .ok();
        wait::poll("the compromised key to be named", || async {
            let set = key_set(&stage).await;
            set.untrusted()
                .compromised
                .contains(&old)
                .then_some(())
                .ok_or(format!("{:?}", set.untrusted()))
        })
        .await;
        let set = key_set(&stage).await;
        assert!(matches!(
            set.trusted(&pins, &Audience::Cluster, &now()),
            Err(KeySetError::NotPinned { .. })
        ));
        let commit = case
            .repo
            .write("app/late.yaml", sealed_for_old.to_string())
            .commit("For the key that leaked");
        case.team.failed("app", &commit).await;
        // A key that goes is not offered any more.
        secrets.delete("mine", &DeleteParams::default()).await.unwrap();
        wait::poll("no key of format v2 to be published", || async {
            let answer = http::get(&stage.controller.key_set_url())
                .await
                .ok_or("no answer")?;
            let set = KeySet::read(&answer.body).map_err(|error| error.to_string())?;
            let none = !set.untrusted().keys.iter().any(KeyEntry::is_native);
            none.then_some(()).ok_or(answer.body)
        })
        .await;
    });
}

/// Cluster-wide by nature, so in a cluster of its own.
#[test]
fn keys_of_v1_are_published_where_none_of_v2_can_be_used_or_made() {
    run(async {
        let mut stage = Stage::own().await;
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), "signet-system");
        stage.controller.stop();
        secrets
            .delete("signet-sealing-key00001", &DeleteParams::default())
            .await
            .unwrap();
        let malformed: Secret = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "signet.dev/sealing-key",
            "metadata": {"name": "malformed", "labels": {"signet.dev/sealing-key": "active"}},
            "stringData": {"identity": "hunter2"},
        }))
        .unwrap();
        secrets.create(&PostParams::default(), &malformed).await.unwrap();
        let may = |verbs: Value| {
            let patch = json!([{"op": "replace", "path": "/rules/0/verbs", "value": verbs}]).to_string();
            stage
                .cluster
                .kubectl([
                    "patch",
                    "role",
                    "signet-controller",
                    "--namespace=signet-system",
                    "--type=json",
                    "-p",
                    &patch,
                ])
                .ok();
        };
        // The manifest for SealedSecret objects gives a right to make Secrets everywhere.
        stage
            .cluster
            .kubectl(["delete", "clusterrolebinding", "signet-sealed-secrets"])
            .ok();
        may(json!(["get", "list", "watch", "update", "delete"]));
        stage.controller.start_again().await;

        let certificate = http::get(&stage.controller.certificate_url()).await.unwrap();
        assert_eq!(certificate.status, 200);
        let answer = http::get(&stage.controller.key_set_url()).await.unwrap();
        let set = KeySet::read(&answer.body).unwrap();
        let listed = &set.untrusted().keys;
        assert!(!listed.is_empty() && listed.iter().all(|key| !key.is_native()));
        wait::poll("the log to say what is missing", || async {
            let log = stage.controller.log();
            let said = log.contains("there is no sealing key of format v2 yet; it is tried again")
                && log.contains("its identity cannot be used");
            said.then_some(()).ok_or(log)
        })
        .await;
        assert!(!stage.controller.log().contains("hunter2"));

        // The right is given: both formats open, nothing is restarted.
        may(json!(["get", "list", "watch", "create", "update", "delete"]));
        wait::poll("a key of format v2", || async {
            let answer = http::get(&stage.controller.key_set_url()).await.unwrap();
            let set = KeySet::read(&answer.body).unwrap();
            let natives = set.untrusted().keys.iter().filter(|key| key.is_native()).count();
            (natives == 1).then_some(()).ok_or(natives.to_string())
        })
        .await;
        let case = Case::on(&stage, &stage.git, "native-late", |_| {}).await;
        let secret = |name: &str| objects::secret(case.team.name(), name, &[("a", "b")]);
        let to = published(&stage).await;
        let commit = case
            .repo
            .write("app/old.yaml", stage.seal(&secret("old")))
            .write(
                "app/new.yaml",
                seal(&secret("new"), &to, Scope::Strict).to_string(),
            )
            .commit("Both formats");
        case.team.applied("app", &commit).await;
    });
}
