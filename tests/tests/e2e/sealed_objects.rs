//! SealedSecret objects in the cluster: the cases of upstream's integration test (`integration/controller_test.go`), as ours,
//! on what the real kubeseal sealed.

use std::collections::BTreeMap;
use std::time::Duration;

use crds::SealedSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;
use tests::{Stage, run, wait};

use crate::sealed_support::{MANAGED, PATCH, Sealed, annotations, data, is, observed};

#[test]
fn a_sealed_secret_becomes_its_secret() {
    run(async {
        let on = Sealed::on(Stage::drop_in().await, "so-create").await;
        on.sealed("db", &[("foo", "bar")]);
        let secret = on.holds("db", &[("foo", "bar")]).await;
        assert_eq!(secret.labels()["mylabel"], "myvalue");
        assert_eq!(secret.type_.as_deref(), Some("Opaque"));
        let sealed = on.synced("db").await;
        assert!(is(&sealed, "Ready", "True"));
        let owners = secret.owner_references();
        assert_eq!(owners.len(), 1);
        assert_eq!(
            (owners[0].name.as_str(), &owners[0].uid),
            ("db", &sealed.uid().unwrap())
        );
        assert_eq!(
            (owners[0].controller, owners[0].block_owner_deletion),
            (Some(true), None)
        );
        let status = sealed.status.unwrap();
        let first = &status.conditions.unwrap()[0];
        assert_eq!((first.type_.as_str(), first.reason.as_deref()), ("Synced", None));
        assert_eq!(first.last_transition_time, first.last_update_time);
        assert_eq!(
            on.event("db", "Unsealed").await,
            "SealedSecret unsealed successfully"
        );

        // Update: the generation moves, the transition time does not.
        wait::poll("the clock to move on", || async {
            let now = k8s_openapi::jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string();
            if Some(&now) > first.last_update_time.as_ref() {
                Ok(())
            } else {
                Err(now)
            }
        })
        .await;
        let again = on.seal(&on.secret("db", &[("foo", "baz")]));
        on.replace(&again);
        on.holds("db", &[("foo", "baz")]).await;
        let sealed = on.synced("db").await;
        assert_eq!(observed(&sealed), Some(2));
        let conditions = sealed.status.unwrap().conditions.unwrap();
        assert_eq!(conditions[0].last_transition_time, first.last_transition_time);
        assert!(conditions[0].last_update_time > first.last_update_time);

        // An item that is renamed, and one that is added.
        let mut renamed = on.seal(&on.secret("db", &[("foo", "bar"), ("foo2", "new!")]));
        let values = &mut renamed["spec"]["encryptedData"];
        let foo = values["foo"].take();
        values.as_object_mut().unwrap().remove("foo");
        values["xyzzy"] = foo;
        on.replace(&renamed);
        on.holds("db", &[("xyzzy", "bar"), ("foo2", "new!")]).await;

        // And with it goes its Secret.
        let api = on.team.api::<SealedSecret>();
        api.delete("db", &DeleteParams::background()).await.unwrap();
        on.team.gone::<Secret>("db").await;
    });
}

#[test]
fn an_existing_secret_is_replaced_patched_or_left() {
    run(async {
        let on = Sealed::on(Stage::drop_in().await, "so-exists").await;
        let existing = |name: &str, marks: &[&str], values: &[(&str, &str)]| {
            let mut secret = on.secret(name, values);
            secret["metadata"]["labels"]["anotherlabel"] = "anothervalue".into();
            for mark in marks {
                secret["metadata"]["annotations"][*mark] = "true".into();
            }
            on.create(&secret);
            on.sealed(name, &[("foo", "bar")]);
        };
        let both = [("foo", "bar1"), ("foo2", "bar2")];
        existing("managed", &[MANAGED], &both);
        existing("both", &[MANAGED, PATCH], &both);
        existing("patch", &[PATCH], &both);
        existing("left", &[], &both);
        on.create(&json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "empty", "annotations": {PATCH: "true"}}}));
        on.sealed("empty", &[("foo", "bar")]);

        let labels = |secret: &Secret| secret.labels().clone();
        let all = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let pairs = pairs.iter();
            pairs.map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        let (mine, other) = (("mylabel", "myvalue"), ("anotherlabel", "anothervalue"));

        let secret = on.holds("managed", &[("foo", "bar")]).await;
        assert_eq!(secret.owner_references()[0].name, "managed");
        assert_eq!(annotations(&secret), all(&[]));
        assert_eq!(labels(&secret), all(&[mine]));
        on.synced("managed").await;
        on.event("managed", "Unsealed").await;

        let secret = on.holds("both", &[("foo", "bar"), ("foo2", "bar2")]).await;
        assert_eq!(secret.owner_references()[0].name, "both");
        assert_eq!(annotations(&secret), all(&[(MANAGED, "true"), (PATCH, "true")]));
        assert_eq!(labels(&secret), all(&[mine, other]));

        let secret = on.holds("patch", &[("foo", "bar"), ("foo2", "bar2")]).await;
        assert!(secret.owner_references().is_empty());
        assert_eq!(annotations(&secret), all(&[(PATCH, "true")]));
        assert_eq!(labels(&secret), all(&[mine, other]));
        on.event("patch", "Unsealed").await;

        let secret = on.holds("empty", &[("foo", "bar")]).await;
        assert!(secret.owner_references().is_empty());
        assert_eq!(labels(&secret), all(&[mine]));
        on.synced("empty").await;

        let said = on.failed("left").await;
        let words = "failed update: Resource \"left\" already exists and is not managed by SealedSecret";
        assert!(said.starts_with(words), "{said}");
        assert!(on.event("left", "ErrUpdateFailed").await.starts_with(words));
        let left = on.team.api::<Secret>().get("left").await.unwrap();
        assert_eq!(data(&left), all(&both));

        // Better than upstream: what blocked it goes, and it is made, without anybody touching the SealedSecret.
        on.team.kubectl(["delete", "secret", "left"]).ok();
        on.holds("left", &[("foo", "bar")]).await;
        on.synced("left").await;
        // And permission that is taken back is respected: what others have in it is not ours.
        on.team
            .kubectl(["annotate", "secret", "patch", &format!("{PATCH}-")])
            .ok();
        on.failed("patch").await;
        on.holds("patch", &[("foo", "bar"), ("foo2", "bar2")]).await;
    });
}

#[test]
fn a_secret_that_is_deleted_is_made_again_where_it_was_the_sealed_secrets() {
    run(async {
        let on = Sealed::on(Stage::drop_in().await, "so-again").await;
        on.sealed("owned", &[("foo", "bar")]);
        for (name, mark) in [("managed", MANAGED), ("patch", PATCH)] {
            let mut secret = on.secret(name, &[("foo", "bar1"), ("foo2", "bar2")]);
            secret["metadata"]["annotations"] = json!({mark: "true"});
            on.create(&secret);
            on.sealed(name, &[("foo", "bar")]);
        }
        for name in ["owned", "managed", "patch"] {
            on.synced(name).await;
        }
        for name in ["owned", "managed"] {
            on.team
                .repaired(name, &["delete", "secret", name], |_: &Secret| true)
                .await;
            on.holds(name, &[("foo", "bar")]).await;
        }
        on.team.kubectl(["delete", "secret", "patch"]).ok();
        let said = on.failed("patch").await;
        assert!(said.contains("is gone"), "{said}");
        assert!(
            !on.has("patch").await,
            "it was somebody else's, who may make it again"
        );
        let mut secret = on.secret("patch", &[("foo3", "bar3")]);
        secret["metadata"]["annotations"] = json!({PATCH: "true"});
        on.create(&secret);
        on.holds("patch", &[("foo", "bar"), ("foo3", "bar3")]).await;
    });
}

#[test]
fn names_namespaces_and_scopes_are_kept() {
    run(async {
        let stage = Stage::drop_in().await;
        let on = Sealed::on(stage, "so-scope").await;
        let other = Sealed::on(stage, "so-other").await;
        let sealed =
            |scope: &str, name: &str| on.seal_with(&["--scope", scope], &on.secret(name, &[("foo", "bar")]));
        let moved = |scope: &str, name: &str, to: &Sealed<'_>, new: &str| {
            let mut object = sealed(scope, name);
            object["metadata"]["name"] = new.into();
            object["metadata"]["namespace"] = to.team.name().into();
            to.create(&object);
        };
        moved("strict", "a", &on, "strict-name");
        moved("strict", "b", &other, "b");
        moved("namespace-wide", "c", &on, "wide-name");
        moved("namespace-wide", "d", &other, "d");
        moved("cluster-wide", "e", &other, "everywhere");

        on.holds("wide-name", &[("foo", "bar")]).await;
        other.holds("everywhere", &[("foo", "bar")]).await;
        for (on, name) in [(&on, "strict-name"), (&other, "b"), (&other, "d")] {
            let said = on.failed(name).await;
            assert!(said.starts_with("no key could decrypt secret (foo): "), "{said}");
            let note = on.event(name, "ErrUnsealFailed").await;
            assert!(
                note.starts_with("Failed to unseal: no key could decrypt secret (foo)"),
                "{note}"
            );
            assert!(!on.has(name).await);
        }

        // A lost annotation is named; and to set it is enough, though the generation does not move with it.
        let mut lost = sealed("namespace-wide", "lost");
        lost["metadata"].as_object_mut().unwrap().remove("annotations");
        on.create(&lost);
        let said = on.failed("lost").await;
        assert!(
            said.contains("sealedsecrets.bitnami.com/namespace-wide"),
            "{said}"
        );
        on.merge(
            "lost",
            json!({"metadata": {"annotations": {"sealedsecrets.bitnami.com/namespace-wide": "true"}}}),
        )
        .await;
        on.holds("lost", &[("foo", "bar")]).await;
    });
}

#[test]
fn types_immutability_and_templates_are_kept() {
    run(async {
        let on = Sealed::on(Stage::drop_in().await, "so-types").await;
        let docker = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "c3R...zE2"}}}"#;
        let mut typed = on.secret("docker", &[(".dockerconfigjson", docker)]);
        typed["type"] = "kubernetes.io/dockerconfigjson".into();
        on.create(&on.seal(&typed));
        let secret = on.holds("docker", &[(".dockerconfigjson", docker)]).await;
        assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/dockerconfigjson"));

        let mut rendered = on.seal(&on.secret("rendered", &[("pw", "hunter2")]));
        rendered["spec"]["template"]["data"] = json!({"url": "x://{{ .pw }}@h", "pw": null});
        on.create(&rendered);
        on.holds("rendered", &[("url", "x://hunter2@h")]).await;

        // No template is an oracle: it is refused by name, and nothing of the value is said.
        let mut oracle = on.seal(&on.secret("oracle", &[("pw", "xk3jf8sdf")]));
        oracle["spec"]["template"]["data"] = json!({"x": "{{ fail .pw }}"});
        on.create(&oracle);
        let said = on.failed("oracle").await;
        assert!(said.contains("fail") && !said.contains("xk3jf8sdf"), "{said}");
        assert!(!on.has("oracle").await);

        let mut fixed = on.secret("fixed", &[("foo", "bar")]);
        fixed["immutable"] = true.into();
        on.create(&on.seal(&fixed));
        on.holds("fixed", &[("foo", "bar")]).await;
        on.synced("fixed").await;
        fixed["stringData"]["foo"] = "baz".into();
        on.replace(&on.seal(&fixed));
        let said = on.failed("fixed").await;
        assert!(said.starts_with("the target Secret is immutable"), "{said}");
        assert!(said.contains("delete and recreate the Secret"), "{said}");
        on.event("fixed", "ErrUpdateFailed").await;
        on.holds("fixed", &[("foo", "bar")]).await;
        // As it says: delete it, and it is made anew.
        on.team.kubectl(["delete", "secret", "fixed"]).ok();
        on.holds("fixed", &[("foo", "baz")]).await;

        // Set later, immutability is honoured. Upstream says Synced and leaves the Secret mutable.
        on.sealed("later", &[("foo", "bar")]);
        on.synced("later").await;
        on.merge("later", json!({"spec": {"template": {"immutable": true}}}))
            .await;
        on.team
            .until("later", "the Secret to be immutable", |secret: &Secret| {
                secret.immutable == Some(true)
            })
            .await;
    });
}

#[test]
fn a_wrong_key_makes_no_secret_until_it_is_there() {
    run(async {
        // The keys are the cluster's, so it is one of its own.
        let stage = Stage::own_drop_in().await;
        let on = Sealed::on(&stage, "so-key").await;
        let home = tempfile::tempdir().unwrap();
        let (certificate, key) = (home.path().join("tls.crt"), home.path().join("tls.key"));
        let private = sealing::PrivateKey::generate(2048).unwrap();
        let then = std::time::SystemTime::now() - Duration::from_hours(2);
        let signed = sealing::SelfSigned::new(then, Duration::from_hours(9))
            .sign(&private)
            .unwrap();
        std::fs::write(&certificate, signed.to_pem()).unwrap();
        std::fs::write(&key, private.to_pkcs1_pem().unwrap().as_bytes()).unwrap();
        let cert = certificate.to_str().unwrap();

        on.create(&on.seal_with(&["--cert", cert], &on.secret("db", &[("foo", "bar")])));
        let said = on.failed("db").await;
        assert!(said.starts_with("no key could decrypt secret (foo)"), "{said}");
        on.event("db", "ErrUnsealFailed").await;
        assert!(!on.has("db").await);

        let system = ["--namespace", "signet-system"];
        let kubectl = |arguments: &[&str]| {
            stage
                .cluster
                .kubectl(system.into_iter().chain(arguments.iter().copied()))
                .ok();
        };
        let (cert, key) = (format!("--cert={cert}"), format!("--key={}", key.display()));
        kubectl(&["create", "secret", "tls", "theirs", &cert, &key]);
        kubectl(&[
            "label",
            "secret",
            "theirs",
            "sealedsecrets.bitnami.com/sealed-secrets-key=active",
        ]);
        on.holds("db", &[("foo", "bar")]).await;
        on.synced("db").await;
        // It is the older one: nobody seals for it.
        let pem = tests::http::get(&stage.controller.certificate_url())
            .await
            .unwrap()
            .body;
        assert_ne!(pem, signed.to_pem());
    });
}
