//! The controller as a process: its first start, its listeners, and what a restart does not do.

use std::time::Instant;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use tests::audit::{Mark, Request, summary};
use tests::{Repo, Stage, http, objects, run, wait};

/// Bitnami's label for sealing keys.
const KEYS: &str = "sealedsecrets.bitnami.com/sealed-secrets-key=active";

#[test]
fn it_makes_its_key_once_and_serves_only_what_is_public() {
    run(async {
        let stage = Stage::shared().await;
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), "signet-system");
        let keys = secrets
            .list(&ListParams::default().labels(KEYS))
            .await
            .unwrap()
            .items;
        assert_eq!(keys.len(), 1, "one key, and Bitnami's controller would find it");
        let key = &keys[0];
        assert_eq!(key.type_.as_deref(), Some("kubernetes.io/tls"));
        assert!(
            key.name_any().starts_with("sealed-secrets-key"),
            "{}",
            key.name_any()
        );
        let data = key.data.as_ref().unwrap();
        let (certificate, private) = (&data["tls.crt"].0, &data["tls.key"].0);
        assert!(private.starts_with(b"-----BEGIN"), "the private key is PEM");

        let public = stage.controller.url();
        let served = get(&public, "/v1/cert.pem").await;
        assert_eq!(
            (served.0, served.1.as_bytes().trim_ascii()),
            (200, certificate.trim_ascii())
        );
        assert_eq!(get(&public, "/healthz").await.0, 200);
        assert_eq!(get(&public, "/readyz").await.0, 200);
        for path in [
            "/",
            "/metrics",
            "/v1/",
            "/v1/key.pem",
            "/debug/pprof",
            "/../etc/passwd",
        ] {
            assert_eq!(get(&public, path).await.0, 404, "{path}");
        }
        let metrics = get(&stage.controller.metrics_url(), "/metrics").await;
        assert_eq!(metrics.0, 200);
        assert!(metrics.1.contains("signet_"), "{}", metrics.1);
        assert_eq!(get(&stage.controller.metrics_url(), "/v1/cert.pem").await.0, 404);
    });
}

#[test]
fn a_restart_writes_nothing_and_forgets_nothing() {
    run(async {
        let mut stage = Stage::own().await;
        let repo = stage.git.repository("restart");
        let name = begin(&stage, &repo).await;
        let before = versions(&stage, &name).await;

        // In order; in order and with an empty disk; and not in order at all.
        for how in ["SIGTERM", "SIGTERM, and its caches are gone", "kill -9"] {
            let mark = stage.cluster.audit().mark();
            if how.starts_with("SIGTERM") {
                let status = stage.controller.stop();
                assert!(status.success(), "it ends in order: {status}");
            } else {
                stage.controller.kill();
            }
            if how.contains("caches") {
                stage.controller.clear_caches();
            }
            let start = Instant::now();
            stage.controller.start_again().await;
            let ready = start.elapsed();
            settled(&stage, mark).await;
            eprintln!(
                "{how}: ready again after {} ms; {}",
                ready.as_millis(),
                summary(&stage.cluster.audit().by_controller(mark))
            );
            let writes = writes_to_members(&stage, &name, mark);
            assert!(
                writes.is_empty(),
                "{how}: {writes:#?}\n{}",
                stage.cluster.explain()
            );
            assert_eq!(versions(&stage, &name).await, before, "{how}");
        }

        // What happens while nobody looks is found afterwards: a deletion, an edit, and a commit that drops a file.
        stage.controller.kill();
        let kubectl = |arguments: &[&str]| {
            let here = ["--namespace", name.as_str()];
            stage
                .cluster
                .kubectl(here.into_iter().chain(arguments.iter().copied()))
                .ok();
        };
        kubectl(&["delete", "configmap", "a"]);
        kubectl(&[
            "patch",
            "configmap",
            "b",
            "--patch",
            r#"{"data":{"value":"wrong"}}"#,
        ]);
        let maps: Api<ConfigMap> = Api::namespaced(stage.cluster.client(), &name);
        repo.remove("app/c.yaml").commit("Drop one");
        stage.controller.start_again().await;
        let good = |map: &ConfigMap| map.data.as_ref().is_some_and(|data| data["value"] == "one");
        wait::until(&stage.cluster, maps.clone(), "a", "a to be made again", good).await;
        wait::until(&stage.cluster, maps.clone(), "b", "b to be put right", good).await;
        wait::gone(&stage.cluster, maps, "c").await;
    });
}

/// Applies three ConfigMaps and a Secret, and gives the namespace's name. It goes with the cluster.
async fn begin(stage: &Stage, repo: &Repo) -> String {
    let team = stage.space("restart");
    for name in ["a", "b", "c"] {
        repo.write(&format!("app/{name}.yaml"), objects::config_map(name, "one"));
    }
    let secret = objects::secret(team.name(), "db", &[("password", "swordfish")]);
    let commit = repo.write("app/db.yaml", stage.seal(&secret)).commit("Begin");
    team.repository("app", repo).await;
    team.sync("app", "app").await;
    team.applied("app", &commit).await;
    team.keep()
}

async fn get(base: &str, path: &str) -> (u16, String) {
    let reply = http::get(&format!("{base}{path}")).await.expect("an answer");
    (reply.status, reply.body)
}

/// The versions of everything that the Sync owns.
async fn versions(stage: &Stage, namespace: &str) -> Vec<(String, Option<String>)> {
    let maps: Api<ConfigMap> = Api::namespaced(stage.cluster.client(), namespace);
    let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), namespace);
    let maps = maps.list(&ListParams::default()).await.unwrap().items;
    let secrets = secrets.list(&ListParams::default()).await.unwrap().items;
    let maps = maps.iter().map(|map| (map.name_any(), map.resource_version()));
    let secrets = secrets
        .iter()
        .map(|secret| (secret.name_any(), secret.resource_version()));
    maps.chain(secrets).collect()
}

/// What was written to objects of the team's kinds in its namespace, as whomever.
fn writes_to_members(stage: &Stage, namespace: &str, mark: Mark) -> Vec<Request> {
    let mut requests = stage.cluster.audit().by_controller(mark);
    requests.retain(|request| {
        let member = ["configmaps", "secrets"].contains(&request.resource.as_str());
        request.writes() && request.namespace == namespace && member
    });
    requests
}

/// Waits until the controller has asked for nothing for two seconds.
async fn settled(stage: &Stage, mark: Mark) {
    let audit = stage.cluster.audit();
    let mut last = (audit.by_controller(mark).len(), Instant::now());
    wait::poll("the controller to come to rest", || {
        let count = audit.by_controller(mark).len();
        if count != last.0 {
            last = (count, Instant::now());
        }
        let quiet = last.1.elapsed().as_secs() >= 2;
        async move {
            if quiet {
                Ok(())
            } else {
                Err(format!("{count} requests so far"))
            }
        }
    })
    .await;
}
