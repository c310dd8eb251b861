//! Files that cannot be read: each is named with document and line, and costs no other document anything.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::ConfigMap;
use tests::{objects, run};

use crate::bad_support::Case;

#[test]
fn broken_yaml_is_named_by_file_document_and_line() {
    run(async {
        let case = Case::begin("broken").await;
        let (first, third) = (
            objects::config_map("first", "one"),
            objects::config_map("third", "one"),
        );
        let broken = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: second\ndata:\n  value: \"two\n";
        let sync = case
            .spoil(|repo| {
                repo.write("app/many.yaml", format!("{first}---\n{broken}---\n{third}"));
                repo.write(
                    "app/tabs.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: tabs\n",
                );
                repo.write("app/half.json", "{\"apiVersion\": \"v1\", \"kind\":");
            })
            .await;
        case.says(
            &sync,
            &[
                [
                    "app/half.json document 1, line 1",
                    "",
                    "a value was expected here",
                    "",
                ],
                ["app/many.yaml document 2, line 14", "", "quote", ""],
                [
                    "app/tabs.yaml document 1, line 4",
                    "",
                    "a tab is used where YAML takes only spaces",
                    "space",
                ],
            ],
        );
        let message = objects::message(&sync, "Ready");
        assert!(
            message.contains("3 failures") && message.contains("app/many.yaml document 2"),
            "{message}"
        );
        // The neighbours in the same file are applied.
        for name in ["first", "third"] {
            let _: ConfigMap = case.team.api().get(name).await.unwrap();
        }
        case.mend(|repo| {
            let second = objects::config_map("second", "two");
            repo.write("app/many.yaml", format!("{first}---\n{second}---\n{third}"));
            repo.remove("app/tabs.yaml").remove("app/half.json");
        })
        .await;
        case.value("second", "two").await;
    });
}

#[test]
fn bombs_do_not_go_off() {
    run(async {
        let case = Case::begin("bombs").await;
        let sync = case
            .spoil(|repo| {
                repo.write("app/laughs.yaml", billion_laughs());
                let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
                repo.write(
                    "app/deep.yaml",
                    format!("apiVersion: v1\nkind: ConfigMap\ndata: {deep}\n"),
                );
                repo.write("app/deep.json", format!("{{\"data\": {deep}}}"));
                repo.write(
                    "app/self.yaml",
                    "apiVersion: v1\nkind: ConfigMap\ndata: &a\n  <<: *a\n",
                );
            })
            .await;
        case.says(
            &sync,
            &[
                ["app/deep.json document 1, line 1", "", "more than 100 levels", ""],
                ["app/deep.yaml document 1, line 3", "", "more than 100 levels", ""],
                [
                    "app/laughs.yaml document 1, line 9",
                    "",
                    "counting what aliases repeat",
                    "split",
                ],
                ["app/self.yaml document 1, line 4", "", "contains it", ""],
            ],
        );
        case.mend(|repo| {
            for name in ["laughs.yaml", "deep.yaml", "deep.json", "self.yaml"] {
                repo.remove(&format!("app/{name}"));
            }
        })
        .await;
    });
}

#[test]
fn a_document_of_ten_megabytes_is_refused_alone() {
    run(async {
        let case = Case::begin("large").await;
        let neighbour = objects::config_map("neighbour", "one");
        let sync = case
            .spoil(|repo| {
                let large = objects::config_map("large", &"x".repeat(10 << 20));
                repo.write("app/large.yaml", format!("{large}---\n{neighbour}"));
            })
            .await;
        case.says(
            &sync,
            &[[
                "app/large.yaml document 1, line 1",
                "",
                "the document is larger than 3145728 bytes",
                "",
            ]],
        );
        case.value("neighbour", "one").await;
        case.mend(|repo| {
            let small = objects::config_map("large", "x");
            repo.write("app/large.yaml", format!("{small}---\n{neighbour}"));
        })
        .await;
        case.value("large", "x").await;
    });
}

/// A few hundred bytes that stand for a billion texts.
fn billion_laughs() -> String {
    let mut text = String::from("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: laughs}\nx0: &x0 [lol]\n");
    for level in 1..=9 {
        let repeated = vec![format!("*x{}", level - 1); 10].join(", ");
        let _ = writeln!(text, "x{level}: &x{level} [{repeated}]");
    }
    text
}
