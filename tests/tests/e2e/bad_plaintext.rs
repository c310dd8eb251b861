//! Secrets that stand in Git in plain text, under each policy, and Secrets that the API server refuses.

use crds::PlaintextSecrets;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use tests::{objects, run};

use crate::bad_support::Case;

const SAYS: &str = "this Secret stands in Git in plain text";

#[test]
fn a_plain_secret_is_applied_with_a_warning_by_default() {
    run(async {
        let case = Case::begin("plain-warn").await;
        let commit = case
            .repo
            .write("app/db.yaml", secret(&case))
            .commit("In plain text");
        let sync = case.team.applied("app", &commit).await;
        assert!(exists(&case).await);
        let warning = case.warning(&sync, "Secret NS/db").expect("a warning");
        assert_eq!(
            (warning.source.as_str(), warning.message.as_str()),
            ("app/db.yaml document 1", SAYS)
        );
        assert!(
            warning.hint.contains("signet seal") && warning.hint.contains("change the value at its source"),
            "{warning:#?}"
        );
        let note = case.team.event("Sync", "app", "PlaintextSecret").await;
        assert!(note.contains("app/db.yaml document 1"), "{note}");

        // Sealed, the warning goes.
        let sealed = case.team.stage().seal(&objects::secret(
            case.team.name(),
            "db",
            &[("password", "hunter2")],
        ));
        let commit = case.repo.write("app/db.yaml", sealed).commit("Seal it");
        let sync = case.team.applied("app", &commit).await;
        assert!(sync.status.unwrap().warnings.is_empty());
    });
}

#[test]
fn a_plain_secret_is_refused_where_that_is_the_policy() {
    run(async {
        let case = Case::begin_with("plain-refuse", |spec| {
            spec.plaintext_secrets = PlaintextSecrets::Refuse;
        })
        .await;
        let sync = case
            .spoil(|repo| {
                repo.write("app/db.yaml", secret(&case));
            })
            .await;
        case.says(
            &sync,
            &[[
                "app/db.yaml document 1",
                "Secret NS/db",
                SAYS,
                "seal it with `signet seal`",
            ]],
        );
        assert!(!exists(&case).await, "it was applied all the same");
        assert!(!format!("{:?}", sync.status).contains("hunter2"));
        case.mend(|repo| {
            let sealed = objects::secret(case.team.name(), "db", &[("password", "hunter2")]);
            repo.write("app/db.yaml", case.team.stage().seal(&sealed));
        })
        .await;
        assert!(exists(&case).await);
    });
}

#[test]
fn a_plain_secret_is_applied_silently_where_that_is_the_policy() {
    run(async {
        let case = Case::begin_with("plain-allow", |spec| {
            spec.plaintext_secrets = PlaintextSecrets::Allow;
        })
        .await;
        let commit = case
            .repo
            .write("app/db.yaml", secret(&case))
            .commit("In plain text");
        let sync = case.team.applied("app", &commit).await;
        assert!(exists(&case).await);
        assert!(sync.status.unwrap().warnings.is_empty());
        // The event of this very pass is there, so one about the Secret would be, too.
        case.team.event("Sync", "app", "Applied").await;
        let events = case
            .team
            .api::<Event>()
            .list(&ListParams::default())
            .await
            .unwrap();
        let reasons: Vec<_> = events
            .items
            .iter()
            .filter_map(|event| event.reason.as_deref())
            .collect();
        assert!(!reasons.contains(&"PlaintextSecret"), "{reasons:?}");
    });
}

#[test]
fn a_plain_secret_that_the_api_server_refuses_is_not_quoted() {
    run(async {
        let case = Case::begin("plain-bad").await;
        let start = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n";
        let sync = case
            .spoil(|repo| {
                repo.write("app/data.yaml", format!("{start}data: {{password: hunter2!}}\n"))
                    .write(
                        "app/key.yaml",
                        format!("{start}data: {{\"hunter2 key\": aGk=}}\n").replace("db", "db2"),
                    )
                    .write(
                        "app/type.yaml",
                        format!("{start}data: [hunter2]\n").replace("db", "db3"),
                    )
                    .write(
                        "app/number.yaml",
                        format!("{start}stringData: {{password: 31337}}\n").replace("db", "db4"),
                    );
            })
            .await;
        case.says(
            &sync,
            &[
                ["app/data.yaml document 1", "Secret NS/db", "", ""],
                ["app/key.yaml document 1", "Secret NS/db2", "", ""],
                ["app/number.yaml document 1", "Secret NS/db4", "stringData", ""],
                ["app/type.yaml document 1", "Secret NS/db3", "", ""],
            ],
        );
        let status = format!("{:#?}", sync.status);
        assert!(
            !status.contains("hunter2!") && !status.contains("31337"),
            "{status}"
        );
        case.mend(|repo| {
            for name in ["data", "key", "type", "number"] {
                repo.remove(&format!("app/{name}.yaml"));
            }
        })
        .await;
    });
}

fn secret(case: &Case<'_>) -> String {
    objects::secret(case.team.name(), "db", &[("password", "hunter2")]).to_string()
}

async fn exists(case: &Case<'_>) -> bool {
    case.team.api::<Secret>().get_opt("db").await.unwrap().is_some()
}
