//! Beside the real kubeseal: what either seals, the other opens.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tests::{Stage, command, http, objects, run};

#[test]
fn the_controller_opens_what_kubeseal_sealed() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("kubeseal");
        let repo = stage.git.repository(team.name());
        let home = tempfile::tempdir().unwrap();
        let certificate = home.path().join("cert.pem");
        let pem = http::get(&stage.controller.certificate_url()).await.unwrap().body;
        std::fs::write(&certificate, pem).unwrap();

        for (scope, name) in [("strict", "a"), ("namespace-wide", "b"), ("cluster-wide", "c")] {
            let secret = objects::secret(team.name(), name, &[("password", scope), ("emoji", "pâté 🥧\n")]);
            let mut kubeseal = command::kubeseal();
            kubeseal
                .arg("--cert")
                .arg(&certificate)
                .args(["--scope", scope, "--format", "yaml"]);
            let sealed = command::run(kubeseal, secret.to_string().as_bytes()).ok();
            repo.write(&format!("app/{name}.yaml"), sealed);
        }
        let commit = repo.commit("Sealed by kubeseal");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        for (scope, name) in [("strict", "a"), ("namespace-wide", "b"), ("cluster-wide", "c")] {
            let secret: Secret = team.api().get(name).await.unwrap();
            let data = secret.data.unwrap();
            assert_eq!(data["password"].0, scope.as_bytes());
            assert_eq!(data["emoji"].0, "pâté 🥧\n".as_bytes());
        }
    });
}

#[test]
fn kubeseal_opens_what_signet_sealed_with_the_controllers_key() {
    run(async {
        let stage = Stage::shared().await;
        let home = tempfile::tempdir().unwrap();
        let keys = home.path().join("keys.yaml");
        let label = "sealedsecrets.bitnami.com/sealed-secrets-key";
        let secrets = stage.cluster.kubectl([
            "get",
            "secret",
            "--namespace=signet-system",
            "--selector",
            label,
            "--output=yaml",
        ]);
        std::fs::write(&keys, secrets.ok()).unwrap();

        for scope in ["strict", "namespace-wide", "cluster-wide"] {
            let secret = objects::secret("anywhere", "db", &[("password", "swordfish")]);
            let sealed = stage
                .seal_with(&["--scope", scope, "--output", "json"], &secret)
                .ok();
            let mut kubeseal = command::kubeseal();
            kubeseal
                .args(["--recovery-unseal", "--recovery-private-key"])
                .arg(&keys);
            let opened = command::run(kubeseal, sealed.as_bytes()).ok();
            let opened: Value = serde_json::from_str(&opened).unwrap();
            assert_eq!(opened["kind"], "Secret");
            assert_eq!(opened["metadata"]["namespace"], "anywhere");
            assert_eq!(opened["data"], json!({"password": "c3dvcmRmaXNo"}), "{scope}");
        }
    });
}
