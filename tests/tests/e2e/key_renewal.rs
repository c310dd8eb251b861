//! Sealing keys of both formats over time: renewed by age and by cut-off, ordered as asked, and followed without a restart when
//! they are added, changed and removed.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;
use sealing::v2::{Identity, Recipients, Suite};
use sealing::{PrivateKey, Scope, SelfSigned};
use serde_json::{Value, json};
use tests::{ClusterRef, Controller, ControllerOptions, Stage, http, run, wait};

use crate::native::{published, seal};
use crate::sealed_support::Sealed;

const V1: &str = "sealedsecrets.bitnami.com/sealed-secrets-key";
const V2: &str = "signet.dev/sealing-key";
const HOUR: Duration = Duration::from_hours(1);

async fn certificate(stage: &Stage) -> String {
    http::get(&stage.controller.certificate_url()).await.unwrap().body
}

/// How many keys of each format there are.
async fn counted(stage: &Stage) -> (usize, usize) {
    let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), "signet-system");
    let count = async |label: &str| {
        let labelled = ListParams::default().labels(&format!("{label}=active"));
        secrets.list(&labelled).await.unwrap().items.len()
    };
    (count(V1).await, count(V2).await)
}

/// What the controller answers to the question whether it opens this.
async fn verified(stage: &Stage, sealed: &Value) -> u16 {
    let url = format!("{}/v1/verify", stage.controller.url());
    let body = sealed.to_string();
    http::post(&url, body.as_bytes(), &[]).await.unwrap().status
}

async fn answers(stage: &Stage, sealed: &Value, status: u16) {
    wait::poll(&format!("the answer {status}"), || async {
        let found = verified(stage, sealed).await;
        if found == status {
            Ok(())
        } else {
            Err(found.to_string())
        }
    })
    .await;
}

async fn restarted(stage: &mut Stage, arguments: &[&str]) {
    stage.controller.stop();
    let mut options = ControllerOptions::drop_in(&stage.cluster);
    options
        .arguments
        .extend(arguments.iter().map(ToString::to_string));
    stage.controller = Controller::start(&stage.cluster, options).await;
}

async fn become_of(stage: &Stage, wanted: (usize, usize)) {
    wait::poll(&format!("{wanted:?} keys"), || async {
        let found = counted(stage).await;
        if found == wanted {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
}

async fn stays(stage: &Stage, wanted: (usize, usize)) {
    wait::throughout(Duration::from_secs(3), || async {
        let found = counted(stage).await;
        if found == wanted {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
}

#[test]
fn keys_are_renewed_by_age_and_by_cut_off_and_ordered_as_asked() {
    run(async {
        let cluster = tests::Cluster::own().await;
        let options = ControllerOptions::drop_in(&cluster);
        let mut stage = Stage::on(ClusterRef::Own(Box::new(cluster)), options).await;
        let (first, first_native) = (certificate(&stage).await, published(&stage).await.key_ids());
        assert_eq!(counted(&stage).await, (1, 1));
        let (old, old_native, name) = {
            let on = Sealed::on(&stage, "renewed").await;
            let secret = on.secret("db", &[("a", "one")]);
            let both = (
                on.seal(&secret),
                seal(&secret, &published(&stage).await, Scope::Strict),
            );
            (both.0, both.1, on.team.keep())
        };

        // Older than the period: one more of each, and after that a rest, however short the period.
        restarted(&mut stage, &["--key-renew-period=1s"]).await;
        become_of(&stage, (2, 2)).await;
        wait::poll("both new keys to be served", || async {
            let native = published(&stage).await.key_ids();
            if certificate(&stage).await != first && native != first_native {
                Ok(())
            } else {
                Err("the first one is served".to_owned())
            }
        })
        .await;
        stays(&stage, (2, 2)).await;
        // What was sealed for the first ones opens.
        assert_eq!(
            (verified(&stage, &old).await, verified(&stage, &old_native).await),
            (200, 200)
        );

        // A cut-off ahead is waited for, and asks for one key.
        let second = (certificate(&stage).await, published(&stage).await.key_ids());
        let soon = jiff::Zoned::now() + jiff::SignedDuration::from_secs(5);
        let cut_off = jiff::fmt::rfc2822::to_string(&soon).unwrap();
        let flag = format!("--key-cutoff-time={cut_off}");
        restarted(&mut stage, &[&flag]).await;
        assert_eq!(counted(&stage).await, (2, 2), "it is not yet");
        become_of(&stage, (3, 3)).await;
        stays(&stage, (3, 3)).await;
        restarted(&mut stage, &[&flag]).await;
        stays(&stage, (3, 3)).await;
        let third = (certificate(&stage).await, published(&stage).await.key_ids());
        assert!(third.0 != second.0 && third.1 != second.1);

        // Newest by certificate, and newest by the Secret's creation, are two things.
        let (pem, key) = pair(SystemTime::now() - HOUR);
        bring(&stage, "older-certificate", &v1_data(&pem, &key));
        let for_it = sealed_with(&stage, &name, &pem).await;
        answers(&stage, &for_it, 200).await;
        assert_eq!(certificate(&stage).await, third.0);
        restarted(&mut stage, &["--key-order-priority=SecretCreationTimestamp"]).await;
        assert_eq!(certificate(&stage).await, pem);
    });
}

#[test]
fn keys_that_are_added_changed_and_removed_take_effect_without_a_restart() {
    run(async {
        let stage = Stage::own_drop_in().await;
        let name = stage.space("reload").keep();
        let pairs: Vec<_> = (0..2).map(|_| pair(SystemTime::now() - HOUR)).collect();
        let mut v1 = Vec::new();
        for (pem, _) in &pairs {
            v1.push(sealed_with(&stage, &name, pem).await);
        }
        let natives: Vec<_> = (0..2)
            .map(|_| Identity::generate(Suite::MlKem768X25519).unwrap())
            .collect();
        let secret = tests::objects::secret(&name, "db", &[("a", "one")]);
        let v2: Vec<_> = natives
            .iter()
            .map(|key| {
                seal(
                    &secret,
                    &Recipients::new([key.recipient().clone()]).unwrap(),
                    Scope::Strict,
                )
            })
            .collect();
        let data = |index: usize| {
            [
                ("mine-v1", v1_data(&pairs[index].0, &pairs[index].1)),
                ("mine-v2", v2_data(&natives[index])),
            ]
        };
        for sealed in v1.iter().chain(&v2) {
            assert_eq!(verified(&stage, sealed).await, 409);
        }
        // Added.
        for (name, data) in data(0) {
            bring(&stage, name, &data);
        }
        for sealed in [&v1[0], &v2[0]] {
            answers(&stage, sealed, 200).await;
        }
        // Changed: the one that it was opens nothing any more.
        for (name, data) in data(1) {
            bring(&stage, name, &data);
        }
        for sealed in [&v1[1], &v2[1]] {
            answers(&stage, sealed, 200).await;
        }
        for sealed in [&v1[0], &v2[0]] {
            answers(&stage, sealed, 409).await;
        }
        // Removed.
        for name in ["mine-v1", "mine-v2"] {
            stage
                .cluster
                .kubectl(["-n", "signet-system", "delete", "secret", name])
                .ok();
        }
        for sealed in [&v1[1], &v2[1]] {
            answers(&stage, sealed, 409).await;
        }
    });
}

/// Before there was a label, the key had this name and no number. It is read at the start, as Bitnami's controller does.
#[test]
fn a_key_from_before_there_were_labels_opens_what_was_sealed_for_it() {
    run(async {
        let mut stage = Stage::own_drop_in().await;
        let name = stage.space("legacy").keep();
        let (pem, key) = pair(SystemTime::now() - HOUR);
        let sealed = sealed_with(&stage, &name, &pem).await;
        let data = v1_data(&pem, &key);
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": data["type"], "data": data["data"],
            "metadata": {"name": "sealed-secrets-key", "namespace": "signet-system"},
        });
        stage
            .cluster
            .kubectl_with(["apply", "--server-side", "-f", "-"], &secret.to_string())
            .ok();
        let newest = certificate(&stage).await;
        restarted(&mut stage, &[]).await;
        answers(&stage, &sealed, 200).await;
        // It is old: what is sealed anew is sealed for the other one.
        assert_eq!(certificate(&stage).await, newest);
    });
}

/// A certificate that begins then, and its private key.
fn pair(not_before: SystemTime) -> (String, String) {
    let key = PrivateKey::generate(2048).unwrap();
    let signed = SelfSigned::new(not_before, HOUR * 24).sign(&key).unwrap();
    (
        signed.to_pem().to_owned(),
        key.to_pkcs1_pem().unwrap().to_string(),
    )
}

fn v1_data(certificate: &str, key: &str) -> Value {
    json!({"type": "kubernetes.io/tls", "label": V1,
        "data": {"tls.crt": STANDARD.encode(certificate), "tls.key": STANDARD.encode(key)}})
}

fn v2_data(key: &Identity) -> Value {
    json!({"type": "signet.dev/sealing-key", "label": V2,
        "data": {"identity": STANDARD.encode(key.to_text().as_bytes())}})
}

/// Creates a key, or puts another in its place.
fn bring(stage: &Stage, name: &str, key: &Value) {
    let label = key["label"].as_str().unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": key["type"], "data": key["data"],
        "metadata": {"name": name, "namespace": "signet-system", "labels": {label: "active"}},
    });
    stage
        .cluster
        .kubectl_with(["apply", "--server-side", "-f", "-"], &secret.to_string())
        .ok();
}

/// A SealedSecret for a certificate, by the real kubeseal.
async fn sealed_with(stage: &Stage, namespace: &str, pem: &str) -> Value {
    let file = stage.cluster.home().join("key-renewal.pem");
    tokio::fs::write(&file, pem).await.unwrap();
    let mut kubeseal = tests::command::kubeseal();
    kubeseal.arg("--cert").arg(&file);
    let secret = tests::objects::secret(namespace, "db", &[("a", "one")]);
    let sealed = tests::command::run(kubeseal, secret.to_string().as_bytes()).ok();
    serde_json::from_str(&sealed).unwrap()
}
