//! Where a Repository may be: beside http, over https with a certificate authority of its own, and in a directory.

#[path = "../../../controller/source/tests/support/proxy.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of `source`")]
mod proxy;

#[path = "../../../controller/source/tests/support/github.rs"]
#[allow(unreachable_pub, reason = "shared with the tests of `source`")]
mod github;

use github::GitHub;
use k8s_openapi::api::core::v1::ConfigMap;
use proxy::HttpProxy;
use serde_json::json;
use tests::tls::Tls;
use tests::{Cluster, ClusterRef, ControllerOptions, GitServer, Space, Stage, objects, run};

#[test]
fn https_with_an_authority_of_its_own_and_only_with_that() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("https");
        let tls = Tls::start(stage.git.address()).await;
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        let url = repo
            .url()
            .replace(&format!("http://{}", stage.git.address()), &tls.url());
        assert!(url.starts_with("https://"), "{url}");
        team.repository_with("app", &repo, |spec| spec.url.clone_from(&url))
            .await;
        team.sync("app", "app").await;
        let refused = team
            .until(
                "app",
                "the Repository to be refused",
                |found: &crds::Repository| {
                    found.status.as_ref().is_some_and(|status| {
                        status
                            .conditions
                            .iter()
                            .any(|c| c.type_ == "Ready" && c.message.contains("certificate"))
                    })
                },
            )
            .await;
        eprintln!("{:?}", refused.status.map(|status| status.conditions));

        let objects = objects::list(&[
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git", "namespace": team.name()},
                "stringData": {"ca.crt": tls.authority()}}),
            // As deploy/README.md has it: credentials are read with a right that each namespace gives.
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": {"name": "git", "namespace": team.name()},
                "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["git"], "verbs": ["get"]}]}),
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": "git", "namespace": team.name()},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "git"},
                "subjects": [{"kind": "ServiceAccount", "name": "signet-controller", "namespace": "signet-system"}]}),
        ]);
        stage
            .cluster
            .kubectl_with(["apply", "--server-side", "-f", "-"], &objects.to_string())
            .ok();
        let patch = [
            "patch",
            "repository",
            "app",
            "--type=merge",
            "--patch",
            r#"{"spec":{"secretRef":{"name":"git"}}}"#,
        ];
        team.kubectl(patch).ok();
        team.applied("app", &commit).await;
    });
}

/// A Secret of the team, and the right to read it, as deploy/README.md has it.
fn secret(team: &Space<'_>, name: &str, fields: &serde_json::Value) {
    let namespace = team.name();
    let objects = objects::list(&[
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": fields}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": name, "namespace": namespace},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["get"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "signet-controller", "namespace": "signet-system"}]}),
    ]);
    let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    team.stage()
        .cluster
        .kubectl_with(arguments, &objects.to_string())
        .ok();
}

async fn told(team: &Space<'_>, reason: &str) -> String {
    let found = team
        .until("app", reason, |found: &crds::Repository| {
            let conditions = found.status.iter().flat_map(|status| &status.conditions);
            conditions
                .filter(|c| c.type_ == "Ready")
                .any(|c| c.reason == reason)
        })
        .await;
    let conditions = found.status.unwrap().conditions;
    conditions
        .into_iter()
        .find(|c| c.type_ == "Ready")
        .unwrap()
        .message
}

#[test]
fn a_client_certificate_opens_a_server_that_asks_for_one() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("mutual");
        let home = tempfile::tempdir().unwrap();
        let server = GitServer::start(home.path()).await;
        server.require_login("writer", "correct horse");
        let tls = Tls::start_mutual(server.address()).await;
        let repo = server.repository(team.name());
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        let url = repo
            .url()
            .replace(&format!("http://{}", server.address()), &tls.url());
        secret(&team, "git", &json!({"ca.crt": tls.authority()}));
        team.repository_with("app", &repo, |spec| {
            spec.url.clone_from(&url);
            spec.secret_ref = Some(crds::LocalReference { name: "git".into() });
        })
        .await;
        team.sync("app", "app").await;
        told(&team, "TlsFailed").await;
        // A key that belongs to another certificate is not even shown.
        let (certificate, key) = tls.client();
        let other = Tls::start_mutual(server.address()).await;
        let wrong = json!({"ca.crt": tls.authority(), "tls.crt": certificate, "tls.key": other.client().1});
        secret(&team, "git", &wrong);
        told(&team, "BadCredentials").await;
        let strangers =
            json!({"ca.crt": tls.authority(), "tls.crt": other.client().0, "tls.key": other.client().1});
        secret(&team, "git", &strangers);
        told(&team, "TlsFailed").await;
        let shown = json!({"ca.crt": tls.authority(), "tls.crt": certificate, "tls.key": key});
        secret(&team, "git", &shown);
        told(&team, "Unauthorized").await;
        // Certificate and login, together.
        let mut both = shown;
        both["username"] = "writer".into();
        both["password"] = "correct horse".into();
        secret(&team, "git", &both);
        team.applied("app", &commit).await;
        let text = serde_json::to_string(&team.fetched("app", &commit).await).unwrap();
        assert!(!text.contains("PRIVATE KEY"), "{text}");
    });
}

#[test]
fn a_proxy_is_the_only_way_where_one_is_named() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("proxied");
        let tls = Tls::start(stage.git.address()).await;
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        let host = tls.url().replace("https://", "");
        let url = repo
            .url()
            .replace(&format!("http://{}", stage.git.address()), &tls.url());
        // `reader:correct horse`, as RFC 7617 has it.
        let proxy = HttpProxy::start(Some("Basic cmVhZGVyOmNvcnJlY3QgaG9yc2U="));
        let address = format!("http://127.0.0.1:{}", proxy.port);
        secret(&team, "git", &json!({"ca.crt": tls.authority()}));
        secret(&team, "proxy", &json!({"address": address}));
        team.repository_with("app", &repo, |spec| {
            spec.url.clone_from(&url);
            spec.secret_ref = Some(crds::LocalReference { name: "git".into() });
            spec.proxy_secret_ref = Some(crds::LocalReference { name: "proxy".into() });
        })
        .await;
        team.sync("app", "app").await;
        let said = told(&team, "ProxyRefused").await;
        assert!(said.contains("407"), "{said}");
        assert_eq!(stage.git.requests(&repo), [""; 0], "nobody goes around it");
        secret(
            &team,
            "proxy",
            &json!({"address": address, "username": "reader", "password": "correct horse"}),
        );
        team.applied("app", &commit).await;
        let asked = proxy.asked();
        assert!(asked.iter().all(|target| *target == host), "{asked:?}");
        let text = serde_json::to_string(&team.fetched("app", &commit).await).unwrap();
        assert!(!text.contains("correct horse"), "{text}");
    });
}

#[test]
fn a_github_app_logs_in_with_a_token_that_is_renewed() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("github-app");
        let home = tempfile::tempdir().unwrap();
        let git = GitServer::start(&home.path().join("git")).await;
        let repo = git.repository("app");
        let one = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        let github = GitHub::start("1234", "99", "ghs_first");
        git.require_login("x-access-token", "ghs_first");
        let fields = |id: &str| {
            json!({"githubAppID": id, "githubAppInstallationID": "99", "githubAppPrivateKey": github.key_pem,
                "githubAppBaseURL": github.url})
        };
        secret(&team, "git", &fields("4321"));
        team.repository_with("app", &repo, |spec| {
            spec.secret_ref = Some(crds::LocalReference { name: "git".into() });
        })
        .await;
        team.sync("app", "app").await;
        let said = told(&team, "AppRefused").await;
        assert!(said.contains("401") && said.contains("githubAppID"), "{said}");
        secret(&team, "git", &fields("1234"));
        team.applied("app", &one).await;
        let two = repo
            .write("app/map.yaml", objects::config_map("map", "two"))
            .commit("Change it");
        team.applied("app", &two).await;
        let given = || github.asked().iter().filter(|answer| *answer == "201").count();
        assert_eq!(given(), 1, "one token serves many looks");

        // GitHub takes it back: another one is asked for.
        github.give("ghs_second");
        git.require_login("x-access-token", "ghs_second");
        let three = repo
            .write("app/map.yaml", objects::config_map("map", "three"))
            .commit("Change it again");
        team.applied("app", &three).await;
        assert_eq!(given(), 2);
        let text = serde_json::to_string(&team.fetched("app", &three).await).unwrap();
        assert!(!text.contains("ghs_") && !text.contains("PRIVATE KEY"), "{text}");
    });
}

#[test]
fn a_directory_below_the_allowed_one_and_no_other() {
    run(async {
        let cluster = Cluster::own().await;
        let mut options = ControllerOptions::for_tests(&cluster);
        let allowed = cluster.home().join("git");
        options
            .arguments
            .push(format!("--allow-file-remotes={}", allowed.display()));
        let stage = Stage::on(ClusterRef::Own(Box::new(cluster)), options).await;
        let team = stage.space("file");
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        let bare = repo.bare().display().to_string();
        assert!(bare.starts_with(allowed.to_str().unwrap()), "{bare}");
        team.repository_with("app", &repo, |spec| spec.url = format!("file://{bare}"))
            .await;
        team.sync("app", "app").await;
        team.applied("app", &commit).await;
        let next = repo
            .write("app/map.yaml", objects::config_map("map", "two"))
            .commit("Change it");
        team.applied("app", &next).await;
        holds(&team, "two").await;

        team.repository_with("other", &repo, |spec| spec.url = "file:///etc".into())
            .await;
        team.until(
            "other",
            "the Repository to be refused",
            |found: &crds::Repository| {
                found.status.as_ref().is_some_and(|status| {
                    status
                        .conditions
                        .iter()
                        .any(|c| c.type_ == "Ready" && format!("{:?}", c.status) == "False")
                })
            },
        )
        .await;
    });
}

async fn holds(team: &Space<'_>, value: &str) {
    team.until("map", value, |map: &ConfigMap| {
        map.data
            .as_ref()
            .and_then(|data| data.get("value"))
            .is_some_and(|found| found == value)
    })
    .await;
}
