//! SealedSecrets that do not open: what can be known of the reason is said, never a value, sealed or not.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::Secret;
use sealing::{PrivateKey, SelfSigned};
use serde_json::{Value, json};
use tests::{objects, run};

use crate::bad_support::Case;

const RESEAL: &str = "seal the value again for this namespace and name";

#[test]
fn each_way_in_which_a_value_does_not_open_is_told_apart() {
    run(async {
        let case = Case::begin("sealed").await;
        let here = case.team.name();
        let seal = |namespace: &str, name: &str| {
            let secret = objects::secret(namespace, name, &[("password", "hunter2"), ("user", "root")]);
            parse(&case.team.stage().seal(&secret))
        };
        // `seal(here, NAME)` with another password.
        let with = |name: &str, change: &dyn Fn(&str) -> String| {
            let mut sealed = seal(here, name);
            let password = &mut sealed["spec"]["encryptedData"]["password"];
            *password = change(password.as_str().unwrap()).into();
            sealed.to_string()
        };
        let (mut renamed, mut moved) = (seal(here, "before"), seal("elsewhere", "moved"));
        renamed["metadata"]["name"] = "after".into();
        moved["metadata"]["namespace"] = here.into();
        let sync = case
            .spoil(|repo| {
                repo.write("app/good.yaml", seal(here, "good").to_string())
                    .write("app/name.yaml", renamed.to_string())
                    .write("app/namespace.yaml", moved.to_string())
                    .write("app/none.yaml", with("none", &|_| String::new()))
                    .write("app/short.yaml", with("short", &|sealed| sealed[..80].to_owned()))
                    .write("app/tail.yaml", with("tail", &|sealed| shorter(sealed, 7)))
                    .write("app/text.yaml", with("text", &|_| "hunter2!".to_owned()));
            })
            .await;
        let not_here = |name: &str| {
            format!(
                "key password: no key of this controller opens it under namespace NS, name {name}, scope strict; is it \
                 sealed for another name, namespace or scope?; key user: no key"
            )
        };
        case.says(
            &sync,
            &[
                [
                    "app/name.yaml document 1",
                    "Secret NS/after",
                    &not_here("after"),
                    RESEAL,
                ],
                [
                    "app/namespace.yaml document 1",
                    "Secret NS/moved",
                    &not_here("moved"),
                    RESEAL,
                ],
                [
                    "app/none.yaml document 1",
                    "Secret NS/none",
                    "key password: the sealed value is truncated",
                    RESEAL,
                ],
                [
                    "app/short.yaml document 1",
                    "Secret NS/short",
                    "key password: the sealed value is truncated",
                    RESEAL,
                ],
                [
                    "app/tail.yaml document 1",
                    "Secret NS/tail",
                    "key password: no key of this controller opens it",
                    RESEAL,
                ],
                [
                    "app/text.yaml document 1",
                    "Secret NS/text",
                    "key password: the sealed value is not base64",
                    RESEAL,
                ],
            ],
        );
        case.holds("good", "password", "hunter2").await;
        assert!(!format!("{:?}", sync.status).contains("hunter2"));
        let mended = ["name", "namespace", "none", "short", "tail", "text"];
        case.mend(|repo| {
            for name in mended {
                repo.write(&format!("app/{name}.yaml"), seal(here, name).to_string());
            }
        })
        .await;
        for name in mended {
            case.holds(name, "password", "hunter2").await;
        }
    });
}

#[test]
fn a_value_sealed_for_another_controller_is_refused() {
    run(async {
        let case = Case::begin("foreign-key").await;
        let secret = objects::secret(case.team.name(), "db", &[("password", "hunter2")]);
        let home = tempfile::tempdir().unwrap();
        let seal_for = |bits: usize| {
            let key = PrivateKey::generate(bits).unwrap();
            let certificate = SelfSigned::new(SystemTime::now(), Duration::from_hours(1))
                .sign(&key)
                .unwrap();
            let file = home.path().join("other.pem");
            std::fs::write(&file, certificate.to_pem()).unwrap();
            let arguments = ["seal", "--cert", file.to_str().unwrap()];
            case.team
                .stage()
                .cluster
                .signet(arguments, &secret.to_string())
                .ok()
        };
        let (same_size, mut renamed) = (seal_for(2048), parse(&seal_for(3072)));
        renamed["metadata"]["name"] = "db2".into();
        let sync = case
            .spoil(|repo| {
                repo.write("app/db.yaml", same_size);
                repo.write("app/db2.yaml", renamed.to_string());
            })
            .await;
        case.says(
            &sync,
            &[
                [
                    "app/db.yaml document 1",
                    "Secret NS/db",
                    "no key of this controller opens it under namespace NS, name db, scope strict",
                    "with this cluster's certificate (`signet cert`)",
                ],
                [
                    "app/db2.yaml document 1",
                    "Secret NS/db2",
                    "it is sealed for a key of 3072 bits, which this controller does not have; is it sealed for \
                     another cluster?",
                    RESEAL,
                ],
            ],
        );
        case.mend(|repo| {
            repo.write("app/db.yaml", case.team.stage().seal(&secret))
                .remove("app/db2.yaml");
        })
        .await;
        case.holds("db", "password", "hunter2").await;
    });
}

#[test]
fn a_scope_that_the_annotations_do_not_name_is_said() {
    run(async {
        let case = Case::begin("scope").await;
        let seal = |scope: &str, name: &str| {
            let secret = objects::secret(case.team.name(), name, &[("password", "hunter2")]);
            parse(&case.team.stage().seal_with(&["--scope", scope], &secret).ok())
        };
        let wide = "sealedsecrets.bitnami.com/cluster-wide";
        let annotated = |scope: &str, name: &str, annotations: Value| {
            let mut sealed = seal(scope, name);
            sealed["metadata"]["annotations"] = annotations;
            sealed.to_string()
        };
        let sync = case
            .spoil(|repo| {
                repo.write("app/lost.yaml", annotated("cluster-wide", "lost", Value::Null))
                    .write(
                        "app/strict.yaml",
                        annotated("strict", "strict", json!({wide: "true"})),
                    )
                    .write(
                        "app/wide.yaml",
                        annotated("namespace-wide", "wide", json!({wide: "true"})),
                    );
            })
            .await;
        let lost = format!(
            "key password: it was sealed cluster-wide, but the object lacks the annotation {wide}: \"true\""
        );
        let strict = format!(
            "key password: it was sealed for this name and namespace only, but the object carries the annotation {wide}; \
             remove it"
        );
        let other = format!(
            "key password: it was sealed namespace-wide, but the object carries the annotation {wide}; remove it and set \
             sealedsecrets.bitnami.com/namespace-wide: \"true\""
        );
        case.says(
            &sync,
            &[
                ["app/lost.yaml document 1", "Secret NS/lost", &lost, ""],
                ["app/strict.yaml document 1", "Secret NS/strict", &strict, ""],
                ["app/wide.yaml document 1", "Secret NS/wide", &other, ""],
            ],
        );
        let mended = [
            ("lost", "cluster-wide"),
            ("strict", "strict"),
            ("wide", "namespace-wide"),
        ];
        case.mend(|repo| {
            for (name, scope) in mended {
                repo.write(&format!("app/{name}.yaml"), seal(scope, name).to_string());
            }
        })
        .await;
        for (name, _) in mended {
            case.holds(name, "password", "hunter2").await;
        }
    });
}

#[test]
fn two_sealed_secrets_for_one_secret_are_refused_and_the_secret_stays() {
    run(async {
        let case = Case::begin("two-sealed").await;
        let seal = |value: &str| {
            let secret = objects::secret(case.team.name(), "db", &[("password", value)]);
            case.team.stage().seal(&secret)
        };
        let commit = case.repo.write("app/db.yaml", seal("first")).commit("Seal one");
        case.team.applied("app", &commit).await;
        let sync = case
            .spoil(|repo| {
                repo.write("app/db.yaml", seal("second"))
                    .write("app/other.yaml", seal("third"));
            })
            .await;
        case.says(
            &sync,
            &[[
                "",
                "Secret NS/db",
                "app/db.yaml document 1; app/other.yaml document 1",
                "keep one of them",
            ]],
        );
        case.holds("db", "password", "first").await;
        // One of them may also be a plain Secret.
        case.repo.write(
            "app/other.yaml",
            objects::secret(case.team.name(), "db", &[("password", "plain")]).to_string(),
        );
        let commit = case.repo.commit("In plain text");
        case.team.failed("app", &commit).await;
        case.holds("db", "password", "first").await;
        case.mend(|repo| {
            repo.remove("app/other.yaml");
        })
        .await;
        case.holds("db", "password", "second").await;
    });
}

#[test]
fn a_sealed_secret_without_the_form_of_one_is_named_by_path() {
    run(async {
        let case = Case::begin("form").await;
        let object = |spec: Value| json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "db"}, "spec": spec});
        let sync = case
            .spoil(|repo| {
                let numbers = object(json!({"encryptedData": {"password": 7, "a b": "x"}}));
                repo.write("app/form.json", numbers.to_string());
            })
            .await;
        case.says(
            &sync,
            &[[
                "app/form.json document 1",
                "Secret NS/db",
                "spec.encryptedData.password: must be a string",
                "seal",
            ]],
        );
        case.mend(|repo| {
            repo.remove("app/form.json");
        })
        .await;
    });
}

impl Case<'_> {
    /// Waits until the Secret has this value.
    async fn holds(&self, name: &str, key: &str, value: &str) {
        let what = format!("Secret {name} to be opened");
        self.team
            .until(name, &what, |secret: &Secret| {
                let data = secret.data.as_ref().and_then(|data| data.get(key));
                data.is_some_and(|found| found.0 == value.as_bytes())
            })
            .await;
    }
}

fn parse(sealed: &str) -> Value {
    serde_json::from_str(sealed).expect("what came as JSON is sealed as JSON")
}

/// A value that lacks its last bytes.
fn shorter(value: &str, bytes: usize) -> String {
    let mut whole = BASE64_STANDARD.decode(value).unwrap();
    whole.truncate(whole.len() - bytes);
    BASE64_STANDARD.encode(whole)
}
