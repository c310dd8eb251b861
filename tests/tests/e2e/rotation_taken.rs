//! A rotation whose new key somebody else has made: Bitnami's controller renews its own, and the old one goes, while kubeseal seals
//! for whatever certificate is published.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crds::{KeyRotation, RotationPhase};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use tests::{Stage, command, objects, run};

use crate::rotation_world::{
    HOME, begin, gone, keys, opened, phase, pull, rotate, said, target, until, versions,
};

#[test]
fn a_key_that_bitnamis_controller_made_is_taken_and_the_one_before_it_goes() {
    run(async {
        let stage = Stage::own().await;
        let (team, repo) = begin(&stage, "taken", 2).await;
        let mut old = keys(&stage).await;
        // Those of format v2 stay.
        old.secrets
            .retain(|secret| secret.type_.as_deref() == Some("kubernetes.io/tls"));
        let before = versions(&team).await;
        let reseal = [target(&stage, team.name(), "app")];
        let spec = json!({"algorithm": {"v1": "RSA4096"}, "newKeys": "TakeNewest", "reseal": reseal});
        rotate(&stage, "renewals", &spec);
        let rotation = phase(&stage, "renewals", RotationPhase::Pending).await;
        assert!(
            said(&rotation, "Ready").contains("no key that is older"),
            "{}",
            said(&rotation, "Ready")
        );
        // It waits, and holds nobody up.
        rotate(
            &stage,
            "native",
            &json!({"algorithm": {"v2": "X25519"}, "reseal": [target(&stage, team.name(), "app")]}),
        );
        phase(&stage, "native", RotationPhase::Complete).await;

        // People seal with kubeseal, for the certificate that is published at the time.
        let stop = Arc::new(AtomicBool::new(false));
        let work = {
            let (stop, repo, namespace) = (Arc::clone(&stop), repo.clone(), team.name().to_owned());
            let certificate = stage.controller.certificate_url();
            tokio::task::spawn_blocking(move || {
                let mut sealed = 0;
                while !stop.load(Ordering::Relaxed) {
                    let secret = objects::secret(&namespace, &format!("late-{sealed}"), &[("a", "b")]);
                    let mut kubeseal = command::kubeseal();
                    kubeseal.arg("--cert").arg(&certificate);
                    let text = command::run(kubeseal, secret.to_string().as_bytes()).ok();
                    repo.write(&format!("app/late-{sealed}.json"), text);
                    repo.commit_only("One more");
                    loop {
                        let mut push = tests::git::git(repo.work());
                        push.args(["push", "--quiet", "origin", "HEAD"]);
                        if command::run(push, b"").code == 0 {
                            break;
                        }
                        pull(&repo);
                    }
                    sealed += 1;
                    std::thread::sleep(Duration::from_millis(300));
                }
                sealed
            })
        };
        bitnamis(&stage);
        let rotation = phase(&stage, "renewals", RotationPhase::Complete).await;
        stop.store(true, Ordering::Relaxed);
        let sealed = work.await.unwrap();
        assert!(sealed > 1, "{sealed}");
        let status = rotation.status.as_ref().unwrap();
        assert_eq!(
            (status.new_keys.len(), status.old_keys.len()),
            (1, 1),
            "{status:#?}"
        );
        assert_eq!(status.new_keys[0].secret, "sealed-secrets-keyx7k2p");
        gone(&stage, &old).await;
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), HOME);
        let labelled = ListParams::default().labels(&format!("{}=active", crds::label::SEALING_KEY));
        let left = secrets.list(&labelled).await.unwrap().items;
        assert_eq!(left.len(), 1, "no other was made");
        // Who pinned the old one follows: what it said of the new one is kept.
        assert!(left[0].annotations().contains_key("signet.dev/endorsements"));
        assert!(
            left[0].annotations().contains_key("example.com/by"),
            "nothing is lost"
        );
        // All that was sealed meanwhile is applied, and nothing that was there was written.
        let commit = pull(&repo);
        team.applied("app", &commit).await;
        let now = versions(&team).await;
        for (name, version) in &before {
            assert_eq!(now.get(name), Some(version), "{name}");
        }
        assert_eq!(now.len(), before.len() + sealed);
        let all = opened(&repo, team.name(), &keys(&stage).await);
        assert_eq!(all, (6 + sealed, 6 + sealed));

        // The Sync says which key opened what.
        let sync = team
            .until("app", "to name the new key alone", |sync: &crds::Sync| {
                let opened = sync.status.iter().flat_map(|status| &status.opened_with);
                let v1: Vec<_> = opened.filter(|one| one.key.starts_with("SHA256:")).collect();
                v1.len() == 1 && v1[0].key == status.new_keys[0].id && v1[0].values as usize == 4 + sealed
            })
            .await;
        let text = tests::http::get(&format!("{}/metrics", stage.controller.metrics_url()))
            .await
            .unwrap()
            .body;
        for one in &sync.status.unwrap().opened_with {
            let line = format!(
                "signet_sealing_key_values{{fingerprint=\"{}\"}} {}",
                one.key, one.values
            );
            assert!(text.contains(&line), "{line}");
        }
        let done: KeyRotation = until(&stage, "renewals", "to be ready", |_| true).await;
        assert!(done.status.unwrap().completed.is_some());
    });
}

/// Stores a key as Bitnami's controller does when it renews its own.
fn bitnamis(stage: &Stage) {
    let private = sealing::PrivateKey::generate(4096).unwrap();
    let signed = sealing::SelfSigned::new(SystemTime::now(), Duration::from_hours(24))
        .sign(&private)
        .unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "sealed-secrets-keyx7k2p", "namespace": HOME,
            "annotations": {"example.com/by": "bitnami"},
            "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"}},
        "stringData": {"tls.crt": signed.to_pem(), "tls.key": private.to_pkcs1_pem().unwrap().as_str()},
    });
    stage
        .cluster
        .kubectl_with(["create", "-f", "-"], &secret.to_string())
        .ok();
}
