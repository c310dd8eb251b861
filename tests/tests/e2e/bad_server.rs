//! Objects that the API server itself fails on: too large for its store, or stopped by a webhook that is down.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use tests::{objects, run, wait};

use crate::bad_support::Case;

#[test]
fn an_object_too_large_for_the_store_fails_alone() {
    run(async {
        let case = Case::begin("etcd").await;
        let web = objects::deployment("web", "web:1", "db").replace("replicas: 1", "replicas: 0");
        let with = |size: usize| {
            let value = "x".repeat(size);
            web.replace(
                "image: web:1",
                &format!("image: web:1\n        env: [{{name: A, value: {value}}}]"),
            )
        };
        let sync = case
            .spoil(|repo| {
                // Below the most that we read and that a request may hold, above what etcd takes.
                repo.write("app/large.yaml", with(2 << 20));
                // The API server has a smaller limit of its own for these.
                repo.write(
                    "app/map.yaml",
                    objects::config_map("map", &"x".repeat(1100 << 10)),
                );
            })
            .await;
        case.says(
            &sync,
            &[
                [
                    "app/large.yaml document 1",
                    "Deployment NS/web",
                    "larger than max",
                    "no object over 1.5 MB",
                ],
                [
                    "app/map.yaml document 1",
                    "ConfigMap NS/map",
                    "Too long",
                    "correct the object in Git",
                ],
            ],
        );
        for failure in &sync.status.as_ref().unwrap().failures {
            assert!(failure.message.len() < 600, "it quotes the object: {failure:?}");
        }
        case.mend(|repo| {
            repo.write("app/large.yaml", with(10)).remove("app/map.yaml");
        })
        .await;
    });
}

#[test]
fn a_webhook_that_is_down_fails_only_what_it_is_asked_about() {
    run(async {
        let case = Case::begin("webhook").await;
        let cluster = &case.team.stage().cluster;
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let webhook = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": case.team.name()},
            "webhooks": [{
                "name": "down.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 1,
                "clientConfig": {"url": format!("https://{closed}/")},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": case.team.name()}},
                "rules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["services"],
                }],
            }],
        });
        cluster
            .kubectl_with(["create", "-f", "-"], &webhook.to_string())
            .ok();
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n";
        wait::poll("the webhook to be asked", || async {
            let dry = [
                "create",
                "service",
                "clusterip",
                "b",
                "--tcp=80",
                "--dry-run=server",
            ];
            let answer = case.team.kubectl(dry);
            if answer.code == 0 {
                Err(answer.to_string())
            } else {
                Ok(())
            }
        })
        .await;
        // What comes after it in order is applied as well.
        let web = objects::deployment("web", "web:1", "db");
        let sync = case
            .spoil(|repo| {
                repo.write("app/a.yaml", service).write("app/web.yaml", web);
            })
            .await;
        let failed = "failed calling webhook \"down.example.com\"";
        case.says(
            &sync,
            &[[
                "app/a.yaml document 1",
                "Service NS/a",
                failed,
                "look at the webhook",
            ]],
        );
        let _: Deployment = case.team.api().get("web").await.unwrap();

        // It heals without a commit.
        cluster
            .kubectl(["delete", "validatingwebhookconfiguration", case.team.name()])
            .ok();
        case.team.applied("app", &case.repo.head()).await;
        case.team.gone::<ConfigMap>("goes").await;
    });
}
