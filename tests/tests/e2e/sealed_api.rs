//! The listener that asks who is there: over TLS, by tokens for this controller alone, for what the token's identity may do.

use std::path::Path;

use crds::listener;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use tests::command::{self, Answer};
use tests::http::{self, Reply, Server};
use tests::{Space, Stage, objects, run, wait};

use crate::sealed_support::Sealed;

const NAMESPACE: &str = "signet-system";

/// The listener, as it says who it is.
async fn listener(stage: &Stage) -> Server {
    let maps: Api<ConfigMap> = Api::namespaced(stage.cluster.client(), NAMESPACE);
    let map = wait::until(
        &stage.cluster,
        maps,
        listener::CERTIFICATE,
        "the certificate to be published",
        |_| true,
    )
    .await;
    Server {
        certificate: map.data.unwrap().remove(listener::CERTIFICATE_FIELD).unwrap(),
        name: listener::server_name(NAMESPACE),
    }
}

/// A token of a namespace's `deployer`.
async fn token(team: &Space<'_>, audiences: &[&str]) -> String {
    let accounts: Api<ServiceAccount> = team.api();
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: audiences.iter().map(ToString::to_string).collect(),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let made = accounts
        .create_token_request(objects::DEPLOYER, &PostParams::default(), &request)
        .await;
    made.unwrap().status.unwrap().token
}

/// Lets a namespace's `deployer` ask about its SealedSecrets, and waits until the API server knows.
async fn let_in(team: &Space<'_>) {
    let account = format!("{}:{}", team.name(), objects::DEPLOYER);
    team.kubectl([
        "create",
        "rolebinding",
        "asks",
        "--clusterrole=signet-verify",
        "--serviceaccount",
        &account,
    ])
    .ok();
    let who = format!("system:serviceaccount:{account}");
    wait::poll("the right to be known", || async {
        let answer = team.kubectl([
            "auth",
            "can-i",
            "verify",
            "sealedsecrets.bitnami.com",
            "--as",
            &who,
        ]);
        if answer.code == 0 {
            Ok(())
        } else {
            Err(answer.to_string())
        }
    })
    .await;
}

#[test]
fn who_asks_has_to_be_somebody_who_may() {
    run(async {
        let stage = Stage::drop_in().await;
        let (on, other) = (
            Sealed::on(stage, "api-own").await,
            Sealed::on(stage, "api-other").await,
        );
        let server = listener(stage).await;
        let url = |path: &str| format!("{}{path}", stage.controller.api_url());
        let ask = |path: &'static str, body: String, headers: Vec<(&'static str, String)>| {
            let (server, url) = (server.clone(), url(path));
            async move {
                let headers: Vec<_> = headers
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                http::over_tls(&server, "POST", &url, body.as_bytes(), &headers)
                    .await
                    .expect("an answer")
            }
        };
        let sealed = on.seal(&on.secret("db", &[("a", "one")]));
        let body = sealed.to_string();
        let ours = token(&on.team, &[listener::AUDIENCE]).await;
        let bearer = |token: &str| vec![("Authorization", format!("Bearer {token}"))];
        let told = |reply: &Reply| (reply.status, reply.body.clone());

        // Nobody; somebody made up; somebody of the cluster, whose token is for the API server; a signature that is cut off.
        let clusters = token(&on.team, &[]).await;
        for headers in [
            Vec::new(),
            bearer("x"),
            bearer(&clusters),
            bearer(&ours[..ours.len() - 8]),
            vec![("Authorization", format!("Basic {ours}"))],
        ] {
            for path in ["/v1/verify", "/v1/rotate", "/v1/usage"] {
                let reply = ask(path, body.clone(), headers.clone()).await;
                assert_eq!(reply.status, 401, "{path}: {}", reply.body);
            }
        }
        // Somebody without the right.
        for path in ["/v1/verify", "/v1/rotate", "/v1/usage"] {
            let reply = ask(path, body.clone(), bearer(&ours)).await;
            assert_eq!(
                told(&reply),
                (
                    403,
                    "You may not do that with SealedSecrets of this namespace.\n".to_owned()
                )
            );
        }
        let_in(&on.team).await;
        let good = ask("/v1/verify", body.clone(), bearer(&ours)).await;
        assert_eq!(told(&good), (200, String::new()));
        let proxied = ask("/v1/verify", body.clone(), vec![("Signet-Token", ours.clone())]).await;
        assert_eq!(told(&proxied), (200, String::new()));
        // In another namespace not, whatever the object says, nor in none.
        let elsewhere = other.seal(&other.secret("db", &[("a", "one")]));
        for foreign in [elsewhere.clone(), {
            let mut nowhere = elsewhere;
            nowhere["metadata"].as_object_mut().unwrap().remove("namespace");
            nowhere
        }] {
            assert_eq!(
                ask("/v1/verify", foreign.to_string(), bearer(&ours)).await.status,
                403
            );
        }
        let mut renamed = sealed.clone();
        renamed["metadata"]["name"] = "other".into();
        assert_eq!(
            ask("/v1/verify", renamed.to_string(), bearer(&ours)).await.status,
            409
        );
        let mut many = sealed.clone();
        many["spec"]["encryptedData"]["b"] = "AgA=".into();
        let usage = ask("/v1/usage", many.to_string(), bearer(&ours)).await;
        let usage: Value = serde_json::from_str(&usage.body).unwrap();
        assert!(
            usage["values"]["a"].as_str().unwrap().starts_with("SHA256:") && usage["values"]["b"].is_null(),
            "{usage}"
        );
        // The deprecated form has one value.
        let mut whole = sealed.clone();
        (whole["spec"]["encryptedData"], whole["spec"]["data"]) =
            (json!({}), sealed["spec"]["encryptedData"]["a"].clone());
        let usage = ask("/v1/usage", whole.to_string(), bearer(&ours)).await;
        let usage: Value = serde_json::from_str(&usage.body).unwrap();
        assert!(
            usage["values"]["data"].as_str().unwrap().starts_with("SHA256:"),
            "{usage}"
        );
        let again = ask("/v1/rotate", body.clone(), bearer(&ours)).await;
        assert_eq!(again.status, 200, "{}", again.body);
        assert_eq!(
            serde_json::from_str::<Value>(&again.body).unwrap()["metadata"]["name"],
            "db"
        );
        // Bounds, for who is known too.
        for (wrong, status) in [("{".to_owned(), 500), ("x".repeat((2 << 20) + 1), 400)] {
            assert_eq!(ask("/v1/verify", wrong, bearer(&ours)).await.status, status);
        }
        let get = http::over_tls(&server, "GET", &url("/v1/verify"), b"", &[])
            .await
            .unwrap();
        assert_eq!(get.status, 405);
        for path in ["/metrics", "/v1/cert.pem", "/healthz"] {
            let get = http::over_tls(&server, "GET", &url(path), b"", &[])
                .await
                .unwrap();
            assert_eq!(get.status, 404, "{path}");
        }
        // Plain HTTP, and another name, get nothing.
        assert!(
            http::post(&url("/v1/verify").replace("https", "http"), b"", &[])
                .await
                .is_none()
        );
        let stranger = Server {
            name: "signet-api.other.svc".into(),
            ..server.clone()
        };
        assert!(
            http::over_tls(&stranger, "GET", &url("/"), b"", &[])
                .await
                .is_none()
        );

        // Each has a limit of its own.
        let mut limited = 0;
        for _ in 0..300 {
            let reply = ask("/v1/verify", "{}".into(), bearer(&ours)).await;
            if reply.status == 429 {
                limited += 1;
                assert!(
                    reply.head.to_lowercase().contains("retry-after: 1"),
                    "{}",
                    reply.head
                );
                if limited == 3 {
                    break;
                }
            }
        }
        assert_eq!(limited, 3, "300 requests in a row were let in");
        let_in(&other.team).await;
        let others = token(&other.team, &[listener::AUDIENCE]).await;
        let theirs = other.seal(&other.secret("db", &[("a", "one")])).to_string();
        assert_eq!(ask("/v1/verify", theirs, bearer(&others)).await.status, 200);

        // No token is told: neither whole nor its signature alone.
        let log = stage.controller.log();
        assert!(
            log.contains("asked over the API listener"),
            "what was asked is logged"
        );
        for token in [&ours, &clusters, &others] {
            let signature = token.rsplit('.').next().unwrap();
            assert!(!log.contains(signature), "a token is in the log");
        }
    });
}

#[test]
fn signet_asks_as_a_service_account_through_the_service_proxy_and_directly() {
    run(async {
        let stage = Stage::shared().await;
        stage.controller.expose(&stage.cluster);
        let team = stage.space("api-cli");
        listener(stage).await;
        let home = tempfile::tempdir().unwrap();
        let plain = objects::secret(team.name(), "db", &[("password", "swordfish")]);
        std::fs::write(home.path().join("db.json"), stage.seal(&plain)).unwrap();
        let signet = |kubeconfig: &Path, arguments: &[&str]| -> Answer {
            let mut signet = command::signet(kubeconfig);
            signet.args(arguments).current_dir(home.path());
            let answer = command::run(signet, b"");
            // How every such token begins: the JSON of its header.
            assert!(!answer.to_string().contains("eyJ"), "a token is told: {answer}");
            answer
        };
        let admin = stage.cluster.kubeconfig();
        let account = format!("--controller-account={}/{}", team.name(), objects::DEPLOYER);

        // An administrator may make tokens of signet-client, which may ask everywhere. Nothing is open to nobody here.
        let asked = signet(admin, &["verify", "db.json", "--controller"]);
        assert!(asked.stderr.contains("1 SealedSecret: all open."), "{asked}");
        signet(admin, &["seal", "--validate", "-f", "db.json"]).ok();
        signet(admin, &["seal", "--re-encrypt", "-f", "db.json"]).ok();
        let usage = signet(admin, &["keys", "usage", "db.json", "--controller"]).ok();
        assert!(usage.contains("SHA256:") && usage.contains("password"), "{usage}");
        // By the address: who answers has to have the certificate that is published.
        let url = format!("--controller-url={}", stage.controller.api_url());
        signet(admin, &["verify", "db.json", "--controller", &url]).ok();
        std::fs::write(
            home.path().join("other.pem"),
            tests::tls::Tls::start("127.0.0.1:1".parse().unwrap())
                .await
                .authority(),
        )
        .unwrap();
        let refused = signet(
            admin,
            &[
                "verify",
                "db.json",
                "--controller",
                &url,
                "--controller-ca=other.pem",
            ],
        );
        assert!(
            refused.code == 2 && refused.stderr.contains("certificate"),
            "{refused}"
        );
        let plain_http = url.replace("https", "http");
        let refused = signet(admin, &["verify", "db.json", "--controller", &plain_http]);
        assert!(refused.stderr.contains("is no https URL"), "{refused}");

        // A team, as its own account: first without the right, then with it, and nowhere else.
        let kubeconfig = team.kubeconfig().await;
        let refused = signet(&kubeconfig, &["verify", "db.json", "--controller"]);
        assert!(
            refused.code == 2
                && refused
                    .stderr
                    .contains("you may not make a token of service account signet-system/signet-client"),
            "{refused}"
        );
        let asks = ["verify", "db.json", "--controller", &account];
        let refused = signet(admin, &asks);
        assert!(
            refused.code == 2 && refused.stderr.contains("may not do that in this namespace"),
            "{refused}"
        );
        let_in(&team).await;
        let asked = signet(admin, &asks);
        assert!(asked.stderr.contains("1 SealedSecret: all open."), "{asked}");
        let file = home.path().join("token");
        std::fs::write(&file, token(&team, &[listener::AUDIENCE]).await).unwrap();
        let by_file = format!("--controller-token-file={}", file.display());
        signet(&kubeconfig, &["verify", "db.json", "--controller", &by_file]).ok();
        // With token, address and certificate at hand no cluster is needed.
        let maps: Api<ConfigMap> = Api::namespaced(stage.cluster.client(), NAMESPACE);
        let map = maps.get(listener::CERTIFICATE).await.unwrap();
        std::fs::write(
            home.path().join("ca.pem"),
            &map.data.unwrap()[listener::CERTIFICATE_FIELD],
        )
        .unwrap();
        let offline = Path::new("/dev/null");
        signet(
            offline,
            &[
                "verify",
                "db.json",
                "--controller",
                &by_file,
                &url,
                "--controller-ca=ca.pem",
            ],
        )
        .ok();
        // A guess about a place that is not the team's business stays one.
        let text = std::fs::read_to_string(home.path().join("db.json")).unwrap();
        std::fs::write(home.path().join("db.json"), text.replace("\"db\"", "\"db2\"")).unwrap();
        let asked = signet(admin, &asks);
        assert!(
            asked.code == 1 && asked.stderr.contains("1 of 1 SealedSecret will not open"),
            "{asked}"
        );
    });
}

#[test]
fn the_listeners_certificate_is_made_again_where_it_is_gone_or_damaged() {
    run(async {
        let mut stage = Stage::own().await;
        let first = listener(&stage).await;
        let secrets: Api<Secret> = Api::namespaced(stage.cluster.client(), NAMESPACE);
        let answers = |server: Server, url: String| async move {
            wait::poll("the listener to answer", || async {
                let reply = http::over_tls(&server, "GET", &format!("{url}/"), b"", &[]).await;
                reply
                    .map(|_| ())
                    .ok_or_else(|| "nobody answers under that certificate".to_owned())
            })
            .await;
        };
        answers(first.clone(), stage.controller.api_url()).await;
        // The same after a restart.
        stage.controller.stop();
        stage.controller.start_again().await;
        answers(first.clone(), stage.controller.api_url()).await;
        // Removed, and then spoiled, while nobody runs.
        for spoil in [false, true] {
            stage.controller.stop();
            if spoil {
                let patch = json!({"data": {"tls.crt": "eA=="}}).to_string();
                let what = [
                    "-n",
                    NAMESPACE,
                    "patch",
                    "secret",
                    listener::CERTIFICATE,
                    "-p",
                    &patch,
                ];
                stage.cluster.kubectl(what).ok();
            } else {
                secrets
                    .delete(listener::CERTIFICATE, &DeleteParams::default())
                    .await
                    .unwrap();
            }
            let before = listener(&stage).await;
            stage.controller.start_again().await;
            let now = wait::poll("another certificate to be published", || async {
                let now = listener(&stage).await;
                if now.certificate == before.certificate {
                    Err("it is the same".to_owned())
                } else {
                    Ok(now)
                }
            })
            .await;
            answers(now, stage.controller.api_url()).await;
        }
    });
}
