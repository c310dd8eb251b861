//! Documents that are read, and are no objects that the API server takes.

use k8s_openapi::api::core::v1::ConfigMap;
use tests::{objects, run};

use crate::bad_support::Case;

#[test]
fn what_is_no_object_or_of_no_known_kind() {
    run(async {
        let case = Case::begin("kinds").await;
        let sync = case
            .spoil(|repo| {
                repo.write(
                    "app/unknown.yaml",
                    "apiVersion: example.com/v1\nkind: Gadget\nmetadata: {name: a}\n",
                )
                .write(
                    "app/old.yaml",
                    "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: a}\n",
                )
                .write(
                    "app/older.yaml",
                    "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: a}\n",
                )
                .write(
                    "app/generated.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: a-}\n",
                )
                .write("app/values.yaml", "replicas: 3\nimage: web\n")
                .write(
                    "app/labels.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {on: yes}}\n",
                )
                .write("app/list.yaml", "- a\n- b\n");
            })
            .await;
        case.says(
            &sync,
            &[
                [
                    "app/generated.yaml document 1, line 1",
                    "",
                    "metadata.generateName is used",
                    "fixed metadata.name",
                ],
                [
                    "app/labels.yaml document 1, line 1",
                    "",
                    "metadata.labels",
                    "quotes",
                ],
                [
                    "app/list.yaml document 1, line 1",
                    "",
                    "not an object but a list",
                    "is this file a manifest?",
                ],
                [
                    "app/old.yaml document 1",
                    "Deployment a",
                    "does not know kind Deployment of extensions/v1beta1",
                    "correct apiVersion",
                ],
                [
                    "app/older.yaml document 1",
                    "Deployment a",
                    "does not serve kind Deployment in apps/v1beta1",
                    "it serves apps/v1",
                ],
                [
                    "app/unknown.yaml document 1",
                    "Gadget.example.com a",
                    "does not know kind Gadget of example.com/v1",
                    "install its CustomResourceDefinition",
                ],
                [
                    "app/values.yaml document 1, line 1",
                    "",
                    "apiVersion is missing",
                    "leave it out of the path",
                ],
            ],
        );
        case.mend(|repo| {
            for name in ["unknown", "old", "older", "generated", "values", "labels", "list"] {
                repo.remove(&format!("app/{name}.yaml"));
            }
        })
        .await;
    });
}

#[test]
fn wrong_types_and_unknown_fields_are_named_by_their_path() {
    run(async {
        let case = Case::begin("fields").await;
        let web = objects::deployment("web", "web:1", "db");
        let sync = case
            .spoil(|repo| {
                repo.write("app/type.yaml", web.replace("replicas: 1", "replicas: two"));
                let unknown = web.replace("image: web:1", "image: web:1\n        imagePullPolice: Always");
                repo.write("app/field.yaml", unknown.replace("name: web", "name: typo"));
                repo.write(
                    "app/value.yaml",
                    "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 99999}]}\n",
                );
            })
            .await;
        case.says(
            &sync,
            &[
                [
                    "app/field.yaml document 1",
                    "Deployment NS/typo",
                    "imagePullPolice",
                    "correct the object in Git",
                ],
                [
                    "app/type.yaml document 1",
                    "Deployment NS/web",
                    ".spec.replicas",
                    "correct the object in Git",
                ],
                [
                    "app/value.yaml document 1",
                    "Service NS/a",
                    "spec.ports[0].port",
                    "correct the object in Git",
                ],
            ],
        );
        case.mend(|repo| {
            repo.write("app/type.yaml", &web);
            repo.remove("app/field.yaml").remove("app/value.yaml");
        })
        .await;
    });
}

#[test]
fn an_object_that_two_files_make_is_refused_and_both_places_are_named() {
    run(async {
        let case = Case::begin("twice").await;
        let sync = case
            .spoil(|repo| {
                repo.write("app/a.yaml", objects::config_map("twice", "one"));
                let other = objects::config_map("other", "one");
                let twice = objects::config_map("twice", "two").replace(
                    "name: twice",
                    &format!("name: twice\n  namespace: {}", case.team.name()),
                );
                repo.write("app/z.yaml", format!("{other}---\n{twice}"));
            })
            .await;
        case.says(
            &sync,
            &[[
                "",
                "ConfigMap NS/twice",
                "app/a.yaml document 1; app/z.yaml document 2",
                "keep one of them",
            ]],
        );
        let found = case.team.api::<ConfigMap>().get_opt("twice").await.unwrap();
        assert!(found.is_none(), "neither is right: {found:?}");
        case.value("other", "one").await;
        case.mend(|repo| {
            repo.remove("app/a.yaml");
        })
        .await;
        case.value("twice", "two").await;
    });
}

#[test]
fn an_object_that_becomes_two_is_kept_as_it_was() {
    run(async {
        let case = Case::begin("became-two").await;
        case.spoil_all(|repo| {
            // `keep` is written twice now; the object that was applied stays as it was.
            repo.write("app/copy.yaml", objects::config_map("keep", "three"));
        })
        .await;
        case.value("keep", "one").await;
        case.value("new", "one").await;
        case.mend(|repo| {
            repo.remove("app/copy.yaml");
        })
        .await;
    });
}
