//! `signet migrate sealed-secrets` beside Bitnami's real controller: there, on to Git, and back, and no Secret is ever missing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crds::SealedSecret;
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, ResourceExt};
use sealing::{PrivateKey, SelfSigned};
use serde_json::{Value, json};
use tests::bitnami::{self, Bitnami, Running};
use tests::command::{self, Answer};
use tests::{Cluster, Controller, ControllerOptions, GitServer, Stage, objects, run, wait};
use tests::{ClusterRef, Space};

use crate::sealed_support::{data, is, observed};

const NAMES: [&str; 4] = ["db", "web", "any", "kept"];

/// Every Secret of a namespace, from now on: its uid, and what happened to it.
#[derive(Clone, Default)]
struct Watched {
    uids: Arc<Mutex<BTreeMap<String, String>>>,
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    /// Follows them until the test ends.
    async fn start(cluster: &Cluster, namespace: &str) -> Self {
        let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(cluster.client(), namespace);
        let watched = Self::default();
        let follower = watched.clone();
        tokio::spawn(async move {
            let mut events = Box::pin(watcher(api, Config::default()));
            while let Some(event) = events.next().await {
                follower.see(event.ok());
            }
        });
        wait::poll("the watch to have seen every Secret", || async {
            let uids = watched.uids.lock().unwrap().clone();
            if NAMES.iter().all(|name| uids.contains_key(*name)) {
                Ok(())
            } else {
                Err(format!("{uids:?}"))
            }
        })
        .await;
        watched
    }

    fn see(&self, event: Option<Event<PartialObjectMeta<Secret>>>) {
        let says = |what: String| self.wrong.lock().unwrap().push(what);
        match event {
            Some(Event::Apply(secret) | Event::InitApply(secret)) => {
                let (name, uid) = (secret.name_any(), secret.uid().unwrap_or_default());
                if secret.metadata.deletion_timestamp.is_some() {
                    says(format!("{name} is being deleted"));
                }
                let before = self.uids.lock().unwrap().insert(name.clone(), uid.clone());
                if before.is_some_and(|before| before != uid) {
                    says(format!("{name} is another one"));
                }
            }
            Some(Event::Delete(secret)) => says(format!("{} was deleted", secret.name_any())),
            _ => {}
        }
    }

    /// None was missing for a moment, and each is still the one that it was.
    async fn all_there(&self, team: &Space<'_>) {
        for name in NAMES {
            let secret = team.api::<Secret>().get(name).await.unwrap();
            assert_eq!(self.uids.lock().unwrap()[name], secret.uid().unwrap(), "{name}");
        }
        assert_eq!(*self.wrong.lock().unwrap(), Vec::<String>::new());
    }
}

/// Bitnami's Deployment, as its chart labels it. Its Pod is a simulated one: the real process runs beside.
fn deployment() -> Value {
    let labels = json!({"app.kubernetes.io/name": "sealed-secrets"});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "sealed-secrets-controller", "namespace": bitnami::PLACE, "labels": labels},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "controller", "image": "sealed-secrets"}]}}},
    })
}

/// Ends the process when its Deployment is scaled to nothing, as a kubelet would.
fn follow_scale(cluster: &Cluster, running: Running) -> std::thread::JoinHandle<()> {
    let kubeconfig = cluster.kubeconfig().to_owned();
    std::thread::spawn(move || {
        let place = format!("--namespace={}", bitnami::PLACE);
        let name = "deployment/sealed-secrets-controller";
        let scaled = [
            "wait",
            "--for=jsonpath={.spec.replicas}=0",
            name,
            &place,
            "--timeout=300s",
        ];
        let mut kubectl = command::kubectl(&kubeconfig);
        kubectl.args(scaled);
        let waited = command::run(kubectl, b"");
        running.stop();
        waited.ok();
    })
}

fn key_pair(certificate: &Path) -> Value {
    let key = PrivateKey::generate(2048).unwrap();
    let made = SelfSigned::new(SystemTime::now(), Duration::from_hours(24));
    let made = made.sign(&key).unwrap();
    std::fs::write(certificate, made.to_pem()).unwrap();
    json!({"tls.crt": STANDARD.encode(made.to_pem()), "tls.key": STANDARD.encode(key.to_pkcs1_pem().unwrap().as_bytes())})
}

/// What the real kubeseal makes of a Secret.
fn kubeseal(certificate: &Path, arguments: &[&str], secret: &Value) -> Value {
    let mut kubeseal = command::kubeseal();
    kubeseal.arg("--cert").arg(certificate).args(arguments);
    serde_json::from_str(&command::run(kubeseal, secret.to_string().as_bytes()).ok()).unwrap()
}

async fn holds(team: &Space<'_>, name: &str, value: &str) {
    let what = format!("Secret {name} to hold {value}");
    team.until(name, &what, |secret: &Secret| {
        data(secret).get("a").is_some_and(|held| held == value)
    })
    .await;
}

fn plan(answer: &Answer) -> Value {
    serde_json::from_str(&answer.stdout).unwrap_or_else(|err| panic!("{err}\n{answer}"))
}

#[test]
fn a_cluster_moves_from_bitnamis_controller_to_signet_and_back() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let certificate = home.path().join("cert.pem");
        let record = format!("--record={}", home.path().join("record.json").display());
        let cluster = Cluster::own().await;
        let theirs = Bitnami::install(&cluster, &key_pair(&certificate));
        cluster
            .kubectl_with(["apply", "-f", "-"], &deployment().to_string())
            .ok();
        let running = theirs.start().await;
        let mut stage = Stage {
            controller: Controller::start(&cluster, ControllerOptions::for_tests(&cluster)).await,
            git: GitServer::start(&cluster.home().join("git")).await,
            cluster: ClusterRef::Own(Box::new(cluster)),
        };
        let namespace = stage.space("moves").keep();

        // Bitnami's controller at its work: all scopes, one that it is not to own, one that Signet refuses.
        let seal = |name: &str, value: &str| {
            let scope = if name == "any" { "cluster-wide" } else { "strict" };
            let mut secret = objects::secret(&namespace, name, &[("a", value)]);
            if name == "kept" {
                secret["metadata"]["annotations"] =
                    json!({"sealedsecrets.bitnami.com/skip-set-owner-references": "true"});
            }
            kubeseal(&certificate, &["--scope", scope], &secret)
        };
        let create = |cluster: &Cluster, object: &Value| {
            cluster
                .kubectl_with(["apply", "-f", "-"], &object.to_string())
                .ok();
        };
        let sealed: Vec<Value> = NAMES.iter().map(|name| seal(name, "one")).collect();
        for object in &sealed {
            create(&stage.cluster, object);
        }
        let mut odd = seal("odd", "one");
        odd["spec"]["template"]["data"] = json!({"x": "{{ derivePassword 1 \"long\" .a .a .a }}"});
        create(&stage.cluster, &odd);
        let team = stage.space_of(&namespace);
        for name in NAMES {
            holds(&team, name, "one").await;
        }
        holds(&team, "odd", "one").await;
        let watched = Watched::start(&stage.cluster, &namespace).await;

        // What will change.
        let migrate = |stage: &Stage, arguments: &[&str]| {
            let all = [
                "migrate",
                "sealed-secrets",
                &record,
                "--from-namespace",
                bitnami::PLACE,
            ]
            .into_iter()
            .chain(arguments.iter().copied());
            stage.cluster.signet(all, "")
        };
        let before = migrate(&stage, &["-o", "json"]);
        assert_eq!(before.code, 1, "{before}");
        let told = plan(&before);
        assert_eq!(told["keys"][0]["change"], "copy");
        assert_eq!(told["controller"]["replicas"], 1);
        let change = |told: &Value, name: &str| {
            let object = format!("{namespace}/{name}");
            let all = told["objects"].as_array().unwrap();
            let found = all.iter().find(|step| step["object"] == object.as_str());
            found.unwrap()["change"].as_str().unwrap().to_owned()
        };
        for name in NAMES {
            assert_eq!(change(&told, name), "take over", "{told:#}");
        }
        assert_eq!(change(&told, "odd"), "refused");
        let refused = migrate(&stage, &["--apply"]);
        assert!(
            refused.code == 2
                && refused
                    .stderr
                    .contains("Signet will not open 1 of them, and nothing was changed"),
            "{refused}"
        );

        // Keys first, then Signet opens, then Bitnami's controller goes.
        let keys = migrate(&stage, &["--apply", "--only-keys"]);
        assert_eq!(keys.code, 0, "{keys}");
        let _ = team.keep();
        stage.controller.stop();
        stage.controller =
            Controller::start(&stage.cluster, ControllerOptions::drop_in(&stage.cluster)).await;
        let process = follow_scale(&stage.cluster, running);
        let moved = migrate(&stage, &["--apply", "--accept-refused"]);
        assert_eq!(moved.code, 0, "{moved}");
        process.join().unwrap();
        let team = stage.space_of(&namespace);
        for name in NAMES {
            let taken = |sealed: &SealedSecret| {
                is(sealed, "Ready", "True") && observed(sealed) == sealed.metadata.generation
            };
            team.until(name, "Signet to have it", taken).await;
        }
        watched.all_there(&team).await;
        let after = migrate(&stage, &["-o", "json"]);
        assert_eq!(after.code, 0, "{after}");
        // It is kept up: an edit of the SealedSecret arrives, and one of the Secret does not stay.
        create(&stage.cluster, &seal("db", "two"));
        holds(&team, "db", "two").await;
        let spoil = [
            "patch",
            "secret",
            "web",
            "--type=merge",
            "--patch",
            r#"{"stringData":{"a":"spoilt"}}"#,
        ];
        team.kubectl(spoil).ok();
        holds(&team, "web", "one").await;

        // On to Git: the objects go, the Secrets stay, and a Sync has them.
        let removed = migrate(&stage, &["--apply", "--remove-objects", "--accept-refused"]);
        assert_eq!(removed.code, 0, "{removed}");
        for name in NAMES {
            team.gone::<SealedSecret>(name).await;
            let secret: Secret = team.api().get(name).await.unwrap();
            assert!(secret.owner_references().is_empty(), "{name}");
        }
        watched.all_there(&team).await;
        let repo = stage.git.repository(&namespace);
        for (name, object) in NAMES.iter().zip(&sealed) {
            repo.write(&format!("app/{name}.json"), object.to_string());
        }
        let commit = repo.commit("From the cluster");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        holds(&team, "db", "one").await;
        watched.all_there(&team).await;

        // And back.
        team.kubectl(["delete", "sync", "app"]).ok();
        team.gone::<crds::Sync>("app").await;
        let _ = team.keep();
        stage.controller.stop();
        stage.controller =
            Controller::start(&stage.cluster, ControllerOptions::for_tests(&stage.cluster)).await;
        let undone = migrate(&stage, &["--undo"]);
        assert_eq!(undone.code, 0, "{undone}");
        let running = theirs.start().await;
        let team = stage.space_of(&namespace);
        for name in NAMES {
            let synced = |sealed: &SealedSecret| is(sealed, "Synced", "True");
            let object = team.until(name, "Bitnami's controller to have it", synced).await;
            let secret: Secret = team.api().get(name).await.unwrap();
            let owned = secret
                .owner_references()
                .iter()
                .any(|owner| Some(&owner.uid) == object.uid().as_ref());
            assert_eq!(owned, name != "kept", "{name}");
        }
        create(&stage.cluster, &seal("web", "three"));
        holds(&team, "web", "three").await;
        watched.all_there(&team).await;
        running.stop();
    });
}

/// A status is a word of the past: who said it may be gone by now.
#[test]
fn bitnamis_controller_is_not_stopped_on_the_word_of_one_that_is_gone() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let certificate = home.path().join("cert.pem");
        let record = format!("--record={}", home.path().join("record.json").display());
        let cluster = Cluster::own().await;
        let _theirs = Bitnami::install(&cluster, &key_pair(&certificate));
        cluster
            .kubectl_with(["apply", "-f", "-"], &deployment().to_string())
            .ok();
        let mut stage = Stage {
            controller: Controller::start(&cluster, ControllerOptions::drop_in(&cluster)).await,
            git: GitServer::start(&cluster.home().join("git")).await,
            cluster: ClusterRef::Own(Box::new(cluster)),
        };
        let migrate = |stage: &Stage, arguments: &[&str]| {
            let all = [
                "migrate",
                "sealed-secrets",
                &record,
                "--from-namespace",
                bitnami::PLACE,
            ];
            stage
                .cluster
                .signet(all.into_iter().chain(arguments.iter().copied()), "")
        };
        assert_eq!(migrate(&stage, &["--apply", "--only-keys"]).code, 0);
        let namespace = stage.space("stale").keep();
        for name in ["db", "web"] {
            let sealed = kubeseal(
                &certificate,
                &[],
                &objects::secret(&namespace, name, &[("a", "one")]),
            );
            stage
                .cluster
                .kubectl_with(["apply", "-f", "-"], &sealed.to_string())
                .ok();
        }
        let ready = |sealed: &SealedSecret| {
            is(sealed, "Ready", "True") && observed(sealed) == sealed.metadata.generation
        };
        let replicas = |stage: &Stage| {
            let place = ["-n", bitnami::PLACE, "-o", "jsonpath={.spec.replicas}"];
            let what = ["get", "deployment", "sealed-secrets-controller"];
            stage.cluster.kubectl(what.into_iter().chain(place)).ok()
        };
        let before = {
            let team = stage.space_of(&namespace);
            team.until("db", "Signet to have it", ready).await;
            team.until("web", "Signet to have it", ready).await;
            let before = team.api::<Secret>().get("db").await.unwrap();
            let _ = team.keep();
            before
        };

        // It says so, and is gone.
        stage.controller.stop();
        for more in [&[][..], &["--remove-objects"]] {
            let refused = migrate(&stage, &[&["--apply", "--timeout=3s"], more].concat());
            assert!(
                refused.code == 1
                    && refused.stderr.contains("stale-")
                    && refused.stderr.contains("was not stopped, and goes on"),
                "{refused}"
            );
            assert_eq!(replicas(&stage), "1");
        }
        // It is back, and says so again.
        stage.controller.start_again().await;
        let moved = migrate(&stage, &["--apply"]);
        assert_eq!(moved.code, 0, "{moved}");
        assert_eq!(replicas(&stage), "0");
        let team = stage.space_of(&namespace);
        team.until("db", "Signet to have it", ready).await;
        let after = team.api::<Secret>().get("db").await.unwrap();
        assert_eq!(
            after.resource_version(),
            before.resource_version(),
            "the Secret was not written"
        );
        let _ = team.keep();
    });
}
