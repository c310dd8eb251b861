//! `kubeseal --validate` and `--re-encrypt`, as they are: through the API server's service proxy, which takes the caller's
//! identity away.

use serde_json::{Value, json};
use tests::{Stage, command, http, run};

use crate::sealed_support::Sealed;

#[test]
fn kubeseal_validates_and_re_encrypts_through_the_service_proxy() {
    run(async {
        let stage = Stage::own_drop_in().await;
        stage.controller.expose(&stage.cluster);
        let on = Sealed::on(&stage, "sh-kubeseal").await;
        let kubeseal = |arguments: &[&str], input: &Value| {
            let mut kubeseal = command::kubeseal();
            kubeseal
                .env("KUBECONFIG", stage.cluster.kubeconfig())
                .args([
                    "--controller-namespace",
                    "signet-system",
                    "--controller-name",
                    "signet",
                ])
                .args(arguments);
            command::run(kubeseal, input.to_string().as_bytes())
        };
        // Sealed with a fetched certificate, as kubeseal does without --cert.
        let plain = on.secret("db", &[("a", "one"), ("b", "two")]);
        let sealed: Value = serde_json::from_str(&kubeseal(&[], &plain).ok()).unwrap();
        kubeseal(&["--validate"], &sealed).ok();
        let mut renamed = sealed.clone();
        renamed["metadata"]["name"] = "other".into();
        let refused = kubeseal(&["--validate"], &renamed).refused();
        assert!(
            refused.contains("unable to decrypt sealed secret: other"),
            "{refused}"
        );
        let refused = kubeseal(&["--re-encrypt"], &renamed).refused();
        assert!(refused.contains("cannot re-encrypt secret"), "{refused}");

        // A new key, and what was sealed for the old one is sealed for it. Template, labels and scope stay.
        let mut kept = sealed.clone();
        kept["metadata"]["labels"] = json!({"team": "a"});
        kept["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-wave": "1"});
        kept["spec"]["template"]["data"] = json!({"url": "x://{{ .a }}"});
        kept["spec"]["template"]["metadata"]["annotations"] = json!({"sealedsecrets.bitnami.com/managed": "true", "sealedsecrets.bitnami.com/cluster-wide": "true"});
        let same: Value = serde_json::from_str(&kubeseal(&["--re-encrypt"], &kept).ok()).unwrap();
        assert_eq!(
            same["spec"]["encryptedData"], kept["spec"]["encryptedData"],
            "it is sealed for the newest key"
        );
        let home = tempfile::tempdir().unwrap();
        let old = home.path().join("old.pem");
        std::fs::write(&old, kubeseal(&["--fetch-cert"], &Value::Null).ok()).unwrap();
        new_key(&stage).await;
        let again: Value = serde_json::from_str(&kubeseal(&["--re-encrypt"], &kept).ok()).unwrap();
        for key in ["a", "b"] {
            assert_ne!(
                again["spec"]["encryptedData"][key],
                kept["spec"]["encryptedData"][key]
            );
        }
        for path in [
            "/metadata/labels/team",
            "/metadata/annotations/argocd.argoproj.io~1sync-wave",
            "/spec/template/data/url",
            "/spec/template/metadata/annotations/sealedsecrets.bitnami.com~1managed",
            "/spec/template/metadata/labels/mylabel",
        ] {
            assert_eq!(again.pointer(path), kept.pointer(path), "{path}");
        }
        assert_eq!(
            again["metadata"]["annotations"].as_object().unwrap().len(),
            1,
            "no scope was added"
        );
        on.create(&again);
        on.holds("db", &[("a", "one"), ("b", "two"), ("url", "x://one")])
            .await;
        // The form of before Sealed Secrets 0.7: the whole Secret is one value, beside values of which there are none.
        let inner = json!({"kind": "Secret", "data": {"a": "b25l"}}).to_string();
        let mut raw = command::kubeseal();
        raw.arg("--cert")
            .arg(&old)
            .args(["--raw", "--from-file=/dev/stdin", "--name=whole", "--namespace"]);
        raw.arg(on.team.name());
        let mut whole = kept.clone();
        whole["metadata"] = json!({"name": "whole", "namespace": on.team.name()});
        whole["spec"] = json!({"encryptedData": {}, "data": command::run(raw, inner.as_bytes()).ok().trim()});
        kubeseal(&["--validate"], &whole).ok();
        let sealed_again: Value = serde_json::from_str(&kubeseal(&["--re-encrypt"], &whole).ok()).unwrap();
        assert_ne!(sealed_again["spec"]["data"], whole["spec"]["data"]);
        assert_eq!(sealed_again["spec"]["encryptedData"], json!({}));
        whole["metadata"]["name"] = "moved".into();
        kubeseal(&["--re-encrypt"], &whole).refused();
        on.create(&sealed_again);
        on.holds("whole", &[("a", "one")]).await;
        // The template named another scope; it has no say, and the values open here alone.
        let mut elsewhere = again;
        elsewhere["metadata"]["annotations"] = json!({"sealedsecrets.bitnami.com/cluster-wide": "true"});
        kubeseal(&["--validate"], &elsewhere).refused();
        kubeseal(&["--re-encrypt"], &elsewhere).refused();
    });
}

/// Brings a key whose certificate begins later than any.
async fn new_key(stage: &Stage) {
    let private = sealing::PrivateKey::generate(2048).unwrap();
    let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    let signed = sealing::SelfSigned::new(soon, std::time::Duration::from_hours(1))
        .sign(&private)
        .unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "newer", "namespace": "signet-system",
            "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"}},
        "stringData": {"tls.crt": signed.to_pem(), "tls.key": private.to_pkcs1_pem().unwrap().as_str()},
    });
    stage
        .cluster
        .kubectl_with(["create", "-f", "-"], &secret.to_string())
        .ok();
    tests::wait::poll("the new certificate", || async {
        let pem = http::get(&stage.controller.certificate_url()).await.unwrap().body;
        if pem == signed.to_pem() { Ok(()) } else { Err(pem) }
    })
    .await;
}

#[test]
fn answers_are_yes_or_no_within_bounds() {
    run(async {
        let stage = Stage::drop_in().await;
        let on = Sealed::on(stage, "sh-bounds").await;
        let sealed = on.seal(&on.secret("db", &[("a", "one")]));
        let post = |path: &'static str, body: String| {
            let url = format!("{}{path}", stage.controller.url());
            async move { http::post(&url, body.as_bytes(), &[]).await.expect("an answer") }
        };
        let good = post("/v1/verify", sealed.to_string()).await;
        assert_eq!((good.status, good.body.as_str()), (200, ""));
        // YAML as well.
        let yaml = format!("---\n# a comment\n{sealed}\n");
        assert_eq!(post("/v1/verify", yaml).await.status, 200);
        let with = |change: &dyn Fn(&mut Value)| {
            let mut object = sealed.clone();
            change(&mut object);
            object.to_string()
        };
        // Wrong key, wrong place, damaged: one answer.
        let mut answers = Vec::new();
        for body in [
            with(&|object| object["metadata"]["name"] = "other".into()),
            with(&|object| object["metadata"]["namespace"] = "other".into()),
            with(&|object| {
                object["metadata"]["annotations"] = json!({"sealedsecrets.bitnami.com/cluster-wide": "true"});
            }),
            with(&|object| object["spec"]["encryptedData"]["a"] = "AgA=".into()),
            with(&|object| {
                let text = object["spec"]["encryptedData"]["a"].as_str().unwrap().to_owned();
                object["spec"]["encryptedData"]["a"] = format!("{}AAAA", &text[..text.len() - 4]).into();
            }),
        ] {
            let answer = post("/v1/verify", body).await;
            answers.push((answer.status, answer.body));
        }
        assert!(
            answers.iter().all(|answer| *answer == (409, String::new())),
            "{answers:?}"
        );
        for (body, status) in [
            ("{".to_owned(), 500),
            (on.secret("db", &[("a", "hunter2")]).to_string(), 500),
            (format!("{sealed}\n---\n{sealed}"), 500),
            ("x".repeat((2 << 20) + 1), 400),
        ] {
            let answer = post("/v1/verify", body).await;
            assert_eq!(answer.status, status, "{}", answer.body);
            assert!(!answer.body.contains("hunter2"), "{}", answer.body);
        }
        let many: serde_json::Map<_, _> = (0..2000).map(|n| (format!("k{n}"), json!("AgA="))).collect();
        let many = with(&|object| object["spec"]["encryptedData"] = many.clone().into());
        assert_eq!(post("/v1/verify", many).await.status, 413);
        let get = http::get(&format!("{}/v1/verify", stage.controller.url()))
            .await
            .unwrap();
        assert_eq!(get.status, 405);
    });
}

#[test]
fn no_header_escapes_the_limit_and_both_can_be_switched_off() {
    run(async {
        let cluster = tests::Cluster::own().await;
        let mut options = tests::ControllerOptions::drop_in(&cluster);
        options
            .arguments
            .retain(|argument| argument != "--serve-rotate" && !argument.starts_with("--rate-limit"));
        let stage = Stage::on(tests::ClusterRef::Own(Box::new(cluster)), options).await;
        let on = Sealed::on(&stage, "sh-limit").await;
        let sealed = on.seal(&on.secret("db", &[("a", "one")])).to_string();
        let url = format!("{}/v1/verify", stage.controller.url());
        let mut codes = Vec::new();
        for n in 0..12 {
            let from = format!("10.0.0.{n}");
            let headers = [("X-Forwarded-For", from.as_str()), ("X-Real-IP", from.as_str())];
            let answer = http::post(&url, sealed.as_bytes(), &headers).await.unwrap();
            if answer.status == 429 {
                assert_eq!(answer.body, "limit exceeded\n");
                let head = answer.head.to_lowercase();
                assert!(
                    head.contains("retry-after: 1") && head.contains("x-ratelimit-remaining: 0"),
                    "{head}"
                );
            }
            codes.push(answer.status);
        }
        let limited = codes.iter().filter(|code| **code == 429).count();
        assert!(codes[0] == 200 && limited >= 3, "{codes:?}");
        let rotate = format!("{}/v1/rotate", stage.controller.url());
        assert_eq!(
            http::post(&rotate, sealed.as_bytes(), &[]).await.unwrap().status,
            404
        );
    });
}
