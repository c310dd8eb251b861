//! Beside the real kubeseal and its controller: what either seals, the other opens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use sealing::{PrivateKey, SelfSigned};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tests::bitnami::Bitnami;
use tests::{Cluster, Stage, command, http, objects, paths, run, wait};

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

#[test]
fn the_real_controller_opens_what_signet_sealed() {
    run(async {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        let cluster = Cluster::own().await;
        let key = PrivateKey::generate(2048).unwrap();
        let made = SelfSigned::new(SystemTime::now(), Duration::from_hours(24));
        let made = made.sign(&key).unwrap();
        std::fs::write(path("cert.pem"), made.to_pem()).unwrap();
        let pair = json!({"tls.crt": STANDARD.encode(made.to_pem()),
            "tls.key": STANDARD.encode(key.to_pkcs1_pem().unwrap().as_bytes())});
        let theirs = Bitnami::install(&cluster, &pair);
        let running = theirs.start().await;
        cluster.kubectl(["create", "namespace", "interop"]).ok();

        let signet = |arguments: &[&str], input: &str| {
            let mut signet = command::signet(cluster.kubeconfig());
            signet.current_dir(home.path()).args(arguments);
            command::run(signet, input.as_bytes()).ok()
        };
        let scopes = [("strict", "a"), ("namespace-wide", "b"), ("cluster-wide", "c")];
        for (scope, name) in scopes {
            let mut secret = objects::secret("interop", name, &[("emoji", "pâté 🥧\n"), ("empty", "")]);
            secret["metadata"]["labels"] = json!({"app": name});
            let file = format!("{name}.yaml");
            let seal = ["seal", "--cert", "cert.pem", "--scope", scope, "-w", &file];
            signet(&seal, &secret.to_string());
            // A value that was set later, without a private key, beside what was sealed at first.
            signet(
                &["set", &file, &format!("later={scope}"), "--cert", "cert.pem"],
                "",
            );
            signet(
                &[
                    "retemplate",
                    &file,
                    "--data",
                    "url=db://{{ .later }}",
                    "--immutable",
                    "true",
                ],
                "",
            );
            let file = path(&file);
            cluster.kubectl(["create", "-f", file.to_str().unwrap()]).ok();
        }
        let secrets: Api<Secret> = Api::namespaced(cluster.client(), "interop");
        for (scope, name) in scopes {
            let opened = |secret: &Secret| secret.data.as_ref().is_some_and(|data| data.contains_key("url"));
            let secret = wait::until(&cluster, secrets.clone(), name, "it to be opened", opened).await;
            let data = secret.data.unwrap();
            let value = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
            assert_eq!(
                ["emoji", "empty", "later", "url"].map(value),
                ["pâté 🥧\n", "", scope, &format!("db://{scope}")]
            );
            assert_eq!((data.len(), secret.immutable), (4, Some(true)), "{scope}");
            assert_eq!(secret.metadata.labels.unwrap()["app"], name);
        }
        running.stop();
    });
}
