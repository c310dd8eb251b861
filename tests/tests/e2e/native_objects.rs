//! SealedSecret objects of format v2 in the cluster: opened beside Bitnami's kind, by the same rules.

use crds::{NativeSealedSecret, SealedSecret};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::DeleteParams;
use sealing::Scope;
use sealing::v2::{Identity, Recipients, Suite};
use serde_json::{Value, json};
use tests::{Stage, objects, run};

use crate::native::{published, seal};
use crate::sealed_support::{Sealed, data};

/// Waits for the condition `Synced` of the present generation, and gives its message.
async fn said(on: &Sealed<'_>, name: &str, status: &str) -> String {
    let what = format!("the SealedSecret of format v2 to be Synced={status}");
    let first = |sealed: &NativeSealedSecret| {
        let said = sealed.status.as_ref()?;
        let current = said.observed_generation == sealed.metadata.generation;
        said.conditions.as_ref()?.first().filter(|_| current).cloned()
    };
    let sealed = on
        .team
        .until(name, &what, |sealed: &NativeSealedSecret| {
            first(sealed).is_some_and(|known| known.type_ == "Synced" && known.status == status)
        })
        .await;
    first(&sealed).unwrap().message.unwrap_or_default()
}

fn sealed(on: &Sealed<'_>, to: &Recipients, name: &str, values: &[(&str, &str)]) -> Value {
    seal(&on.secret(name, values), to, Scope::Strict)
}

#[test]
fn an_object_of_format_v2_becomes_its_secret_and_is_kept_up() {
    run(async {
        let stage = Stage::drop_in().await;
        let on = Sealed::on(stage, "no-create").await;
        let to = published(stage).await;
        // Applied as people do, with kubectl's copy of the object in an annotation.
        let apply = |object: &Value| {
            stage.cluster.kubectl_with(
                ["apply", "--namespace", on.team.name(), "-f", "-"],
                &object.to_string(),
            )
        };
        apply(&sealed(&on, &to, "db", &[("foo", "bar")])).ok();
        let secret = on.holds("db", &[("foo", "bar")]).await;
        assert_eq!(said(&on, "db", "True").await, "");
        assert_eq!(secret.labels()["mylabel"], "myvalue");
        let owner = &secret.owner_references()[0];
        assert_eq!(
            (owner.api_version.as_str(), owner.name.as_str()),
            ("signet.dev/v1alpha1", "db")
        );
        assert_eq!(
            on.event("db", "Unsealed").await,
            "SealedSecret unsealed successfully"
        );
        // Drift is repaired; the same value sealed again writes nothing; another one is written.
        let good = |secret: &Secret| data(secret).get("foo").is_some_and(|value| value == "bar");
        let edit = [
            "patch",
            "secret",
            "db",
            "--type=merge",
            "--patch",
            r#"{"stringData":{"foo":"other"}}"#,
        ];
        on.team.repaired("db", &edit, good).await;
        let before = on.version("db").await;
        apply(&sealed(&on, &to, "db", &[("foo", "bar")])).ok();
        assert_eq!(said(&on, "db", "True").await, "");
        assert_eq!(on.version("db").await, before);
        apply(&sealed(&on, &to, "db", &[("foo", "baz")])).ok();
        on.holds("db", &[("foo", "baz")]).await;

        // The kind knows its format.
        let mut renamed = sealed(&on, &to, "db", &[("foo", "bar")]);
        renamed["metadata"]["name"] = "other".into();
        let refused = apply(&renamed).refused();
        assert!(refused.contains("it is sealed for another name"), "{refused}");

        let api = on.team.api::<NativeSealedSecret>();
        api.delete("db", &DeleteParams::background()).await.unwrap();
        on.team.gone::<Secret>("db").await;
    });
}

#[test]
fn what_does_not_open_is_said_and_opens_once_its_key_is_there() {
    run(async {
        let stage = Stage::own_drop_in().await;
        let on = Sealed::on(&stage, "no-bad").await;
        let to = published(&stage).await;
        let mut typed = sealed(&on, &to, "typed", &[("foo", "hunter2")]);
        typed["spec"]["template"] = json!({"type": "example.com/other"});
        on.create(&typed);
        let message = said(&on, "typed", "False").await;
        assert!(
            message.contains("key foo: it does not open for typed in namespace")
                && !message.contains("hunter2"),
            "{message}"
        );
        let elsewhere = objects::secret("elsewhere", "moved", &[("foo", "hunter2")]);
        let mut moved = seal(&elsewhere, &to, Scope::Strict);
        moved["metadata"]["namespace"] = on.team.name().into();
        on.create(&moved);
        let message = said(&on, "moved", "False").await;
        assert!(
            message.contains("it is sealed for moved in namespace elsewhere"),
            "{message}"
        );
        assert!(on.event("moved", "ErrUnsealFailed").await.contains("elsewhere"));

        let own = Identity::generate(Suite::X25519).unwrap();
        let stranger = Recipients::new([own.recipient().clone()]).unwrap();
        on.create(&sealed(&on, &stranger, "later", &[("foo", "bar")]));
        let message = said(&on, "later", "False").await;
        assert!(message.contains(own.key_id().as_str()), "{message}");
        assert!(!on.has("later").await);
        let key = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "signet.dev/sealing-key",
            "metadata": {"name": "team", "namespace": "signet-system", "labels": {"signet.dev/sealing-key": "active"}},
            "stringData": {"identity": own.to_text().as_str()},
        });
        stage
            .cluster
            .kubectl_with(["create", "-f", "-"], &key.to_string())
            .ok();
        on.holds("later", &[("foo", "bar")]).await;
    });
}

#[test]
fn two_kinds_of_one_name_do_not_fight() {
    run(async {
        let stage = Stage::drop_in().await;
        let on = Sealed::on(stage, "no-two").await;
        let to = published(stage).await;
        on.sealed("db", &[("foo", "v1")]);
        on.synced("db").await;
        let before = on.version("db").await;
        on.create(&sealed(&on, &to, "db", &[("foo", "v2")]));
        let message = said(&on, "db", "False").await;
        assert!(
            message.contains("a SealedSecret of bitnami.com has the same name"),
            "{message}"
        );
        assert_eq!(on.version("db").await, before);

        // Handed over: the old object goes, its Secret stays, and the new one goes on with it.
        let api = on.team.api::<SealedSecret>();
        api.delete("db", &DeleteParams::orphan()).await.unwrap();
        on.team.gone::<SealedSecret>("db").await;
        let secret = on.holds("db", &[("foo", "v2")]).await;
        assert_eq!(said(&on, "db", "True").await, "");
        assert_eq!(secret.owner_references()[0].api_version, "signet.dev/v1alpha1");
    });
}
