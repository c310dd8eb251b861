//! SealedSecrets that do not open: what can be known of the reason is said, never a value, sealed or not.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sealing::{PrivateKey, SelfSigned};
use serde_json::json;
use tests::{objects, run};

use crate::bad_support::{Case, parse};

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
fn a_field_that_means_nothing_is_a_warning() {
    run(async {
        let case = Case::begin("sealed-slip").await;
        let sealed = case.team.stage().seal(&objects::secret(
            case.team.name(),
            "db",
            &[("password", "hunter2")],
        ));
        let slip = |field: &str| {
            let mut object = parse(&sealed);
            object["spec"]["template"][field] = json!({"note": "x"});
            object.to_string()
        };
        let commit = case
            .repo
            .write("app/db.yaml", slip("stringData"))
            .commit("A slip");
        let sync = case.team.applied("app", &commit).await;
        case.holds("db", "password", "hunter2").await;
        let warning = case.warning(&sync, "Secret NS/db").expect("a warning");
        assert_eq!(warning.source, "app/db.yaml document 1");
        assert!(
            warning.message.contains("spec.template.stringData means nothing")
                && warning.hint.contains("spec.encryptedData"),
            "{warning:#?}"
        );
        let note = case.team.event("Sync", "app", "IgnoredField").await;
        assert!(note.contains("app/db.yaml document 1"), "{note}");

        // What may be a line of a value is not repeated.
        let commit = case
            .repo
            .write("app/db.yaml", slip("hunter2"))
            .commit("A lost indentation");
        let sync = case.team.applied("app", &commit).await;
        let warning = case.warning(&sync, "Secret NS/db").expect("a warning");
        assert!(!format!("{sync:?}").contains("hunter2"), "{warning:#?}");

        let commit = case.repo.write("app/db.yaml", &sealed).commit("Mend it");
        let sync = case.team.applied("app", &commit).await;
        assert!(sync.status.unwrap().warnings.is_empty());
    });
}

/// A value that lacks its last bytes.
fn shorter(value: &str, bytes: usize) -> String {
    let mut whole = BASE64_STANDARD.decode(value).unwrap();
    whole.truncate(whole.len() - bytes);
    BASE64_STANDARD.encode(whole)
}
