//! A mutating webhook that alters what Git says, at every write: it and Git settle, without a fight and without a loop.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::{Value, json};
use tests::audit::Request;
use tests::webhook::{Asked, Webhook};
use tests::{objects, run, wait};

use crate::world::{World, status, value_of};

/// Longer than the pause between two looks at an object that may have been altered behind somebody's write: a loop of those
/// would be seen.
const SILENCE: Duration = Duration::from_secs(33);
/// Where the webhook has images come from, as many do.
const MIRROR: &str = "mirror.example.com/";

/// Rewrites images, which it does once to each; and sets numbers that it never sets twice.
fn alter(count: &AtomicI64, asked: &Asked, object: &Value) -> Vec<Value> {
    let set = |path: &str, value: Value| json!({"op": "add", "path": path, "value": value});
    let number = || 100 + count.fetch_add(1, Ordering::Relaxed);
    match (asked.object.0.as_str(), asked.object.1.as_str()) {
        ("Deployment", _) => {
            let image = &object["spec"]["template"]["spec"]["containers"][0]["image"];
            let image = image.as_str().unwrap_or_default();
            let mut patch = vec![set("/spec/minReadySeconds", json!(number()))];
            if !image.starts_with(MIRROR) {
                let path = "/spec/template/spec/containers/0/image";
                patch.push(set(path, json!(format!("{MIRROR}{image}"))));
            }
            patch
        }
        ("ConfigMap", "map") => vec![set("/data/value", json!(number().to_string()))],
        _ => Vec::new(),
    }
}

#[test]
fn what_a_webhook_alters_at_every_write_settles_without_a_fight() {
    run(async {
        let world = World::begin("altered").await;
        let (team, cluster) = (&world.team, &world.team.stage().cluster);
        let count = AtomicI64::new(0);
        let webhook = Webhook::start(move |asked, object| alter(&count, asked, object)).await;
        // Whatever becomes of this test, nobody else waits for its webhook.
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": team.name()},
            "webhooks": [{
                "name": "alter.example.com", "clientConfig": webhook.client_config(),
                "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore",
                "timeoutSeconds": 5, "reinvocationPolicy": "Never",
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": team.name()}},
                "rules": [
                    {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]},
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]},
                ],
            }],
        });
        cluster
            .kubectl_with(["create", "-f", "-"], &configuration.to_string())
            .ok();
        let web = objects::deployment("web", "web:1", "db")
            .replace("replicas: 1", "replicas: 0\n  minReadySeconds: 5");
        wait::poll("the webhook to be asked", || async {
            let create = [
                "create",
                "--dry-run=server",
                "--namespace",
                team.name(),
                "-f",
                "-",
            ];
            let answer = cluster.kubectl_with(create, &web);
            if webhook.asked().is_empty() {
                Err(answer.to_string())
            } else {
                Ok(())
            }
        })
        .await;

        let mark = world.mark();
        world
            .repo
            .write("app/web.yaml", &web)
            .write("app/map.yaml", objects::config_map("map", "one"));
        let commit = world.repo.commit("Begin");
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let map: ConfigMap = team.api().get("map").await.unwrap();
        assert_ne!(value_of(&map), Some("one"), "it is altered: {map:?}");

        // Writes of others, behind which it alters fields that Git sets; and real drift, which is put back.
        team.kubectl(["annotate", "deployment", "web", "acme=1"]).ok();
        team.kubectl(["annotate", "configmap", "map", "acme=1"]).ok();
        team.kubectl(["set", "image", "deployment", "web", "main=evil:1"])
            .ok();
        let mirrored = format!("{MIRROR}web:1");
        team.until("web", "the image to be back", |now: &Deployment| {
            let pod = now.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
            pod.containers[0].image.as_deref() == Some(&mirrored)
        })
        .await;
        team.repaired("map", &["delete", "configmap", "map"], |_: &ConfigMap| true)
            .await;

        // And then it ends.
        let writes = || {
            let mut writes = world.writes(mark);
            writes.retain(|request| ["deployments", "configmaps"].contains(&request.resource.as_str()));
            writes
        };
        let mut last: (Vec<Request>, Instant) = (writes(), Instant::now());
        wait::poll("the writes to end", || {
            let now = writes();
            if now.len() != last.0.len() {
                last = (now, Instant::now());
            }
            let (count, quiet) = (last.0.len(), last.1.elapsed() >= SILENCE);
            async move {
                if quiet {
                    Ok(())
                } else {
                    Err(format!("{count} writes so far"))
                }
            }
        })
        .await;
        eprintln!("{} writes: {:#?}", last.0.len(), last.0);
        assert!(last.0.len() <= 8, "{:#?}", last.0);
        let deployer = format!("system:serviceaccount:{}:{}", team.name(), objects::DEPLOYER);
        let ours = |asked: &&Asked| asked.user == deployer && !asked.dry_run;
        let altered = webhook.asked().iter().filter(ours).count();
        // The API server asks again where it meets another write on the way.
        assert!(
            altered >= last.0.len(),
            "each of them was altered: {:#?}",
            webhook.asked()
        );

        let sync = world.says("app", "Applied").await;
        assert!(status(&sync).drift.is_empty(), "{sync:#?}");
        let events = team.api::<Event>().list(&ListParams::default()).await.unwrap();
        let fights: Vec<_> = events
            .iter()
            .filter(|event| event.reason.as_deref() == Some("Fight"))
            .collect();
        assert!(fights.is_empty(), "{fights:#?}");
        cluster
            .kubectl(["delete", "mutatingwebhookconfiguration", team.name()])
            .ok();
    });
}
