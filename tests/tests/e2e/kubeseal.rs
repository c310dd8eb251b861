//! Beside the real kubeseal: what either seals, the other opens.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tests::{Stage, command, http, objects, paths, run};

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

#[test]
fn both_fetch_the_certificate_through_the_service_and_seal_for_it() {
    run(async {
        let stage = Stage::shared().await;
        stage.controller.expose(&stage.cluster);
        let team = stage.space("fetch-cert");
        let kubeconfig = team.kubeconfig().await;
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("kubeseal");
        std::os::unix::fs::symlink(paths::binary("signet"), &link).unwrap();
        let direct = http::get(&stage.controller.certificate_url()).await.unwrap().body;
        let place = ["--controller-namespace=signet-system", "--controller-name=signet"];
        let repo = stage.git.repository(team.name());

        for (name, program, place) in [
            ("theirs", paths::kubeseal(), &place[..]),
            ("ours", link.clone(), &place[..]),
            // Signet's own place is looked at without being named.
            ("unnamed", link, &[]),
        ] {
            let kubeseal = |more: &[&str], input: &[u8]| {
                let mut command = std::process::Command::new(&program);
                command.env("KUBECONFIG", &kubeconfig).args(place).args(more);
                command::run(command, input)
            };
            assert_eq!(
                kubeseal(&["--fetch-cert"], b"").ok().trim(),
                direct.trim(),
                "{name}"
            );
            let secret = objects::secret(team.name(), name, &[("password", name)]).to_string();
            let sealed = kubeseal(&["-o", "yaml"], secret.as_bytes()).ok();
            repo.write(&format!("app/{name}.yaml"), sealed);
        }
        let commit = repo.commit("Sealed through the API server");
        team.repository("app", &repo).await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        for name in ["theirs", "ours", "unnamed"] {
            let secret: Secret = team.api().get(name).await.unwrap();
            assert_eq!(secret.data.unwrap()["password"].0, name.as_bytes());
        }
    });
}
