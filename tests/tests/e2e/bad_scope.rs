//! `SealedSecrets` whose annotations, form or number is wrong.

use serde_json::{Value, json};
use tests::{objects, run};

use crate::bad_support::{Case, parse};

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
