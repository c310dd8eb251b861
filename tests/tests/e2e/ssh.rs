//! A Repository over SSH: from its Secret to the cluster, and what is said when a key is not the right one.

#[path = "../../../controller/source/tests/support/ssh.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with the tests of `source`, which take more of it"
)]
pub(crate) mod server;

use std::path::Path;

use crds::Repository;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use server::{Keys, Setup, SshServer};
use tests::{Space, Stage, objects, run, wait};

use crate::audited::{bind, signet as audit};

/// Writes the Secret, and the right to read it, as deploy/README.md has it.
pub(crate) fn credentials(team: &Space<'_>, fields: &serde_json::Value) {
    let namespace = team.name();
    let objects = objects::list(&[
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "deploy", "namespace": namespace},
            "stringData": fields}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "deploy", "namespace": namespace},
            "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["deploy"], "verbs": ["get"]}]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "deploy", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deploy"},
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
        .until("app", reason, |found: &Repository| {
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

pub(crate) fn known(keys: &Keys, server: &SshServer, name: &str) -> String {
    server.known(&keys.public(name))
}

#[test]
fn a_key_with_a_passphrase_and_a_host_that_changes_its_own() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("ssh");
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("Begin");
        let keys = Keys::new();
        keys.make("host", "ed25519", "")
            .make("changed", "ed25519", "")
            .make("deploy", "ed25519", "correct horse")
            .make("wrong", "ed25519", "");
        let server = Setup::default()
            .host_key(&keys, "host")
            .authorize(&keys, "deploy")
            .start(repo.bare().parent().unwrap());
        let name = repo.bare().file_name().unwrap().to_str().unwrap().to_owned();
        let url = server.url().replace("repo.git", &name);
        credentials(
            &team,
            &json!({"identity": keys.text("wrong"), "known_hosts": known(&keys, &server, "host")}),
        );
        team.repository_with("app", &repo, |spec| {
            spec.url.clone_from(&url);
            spec.secret_ref = Some(crds::LocalReference {
                name: "deploy".into(),
            });
        })
        .await;
        team.sync("app", "app").await;
        let said = told(&team, "KeyRefused").await;
        assert!(
            said.contains("ssh-ed25519 SHA256:") && said.contains("deploy key"),
            "{said}"
        );

        let right = |known_hosts: &str| json!({"identity": keys.text("deploy"), "password": "correct horse", "known_hosts": known_hosts});
        credentials(&team, &right(&known(&keys, &server, "changed")));
        let said = told(&team, "HostKeyRefused").await;
        assert!(said.contains("somebody is in between"), "{said}");
        let logins = server.logins().len();
        credentials(&team, &right("git.example ssh-ed25519 AAAA\n"));
        let said = told(&team, "HostUnknown").await;
        assert!(said.contains("ssh-keyscan"), "{said}");
        assert_eq!(
            server.logins().len(),
            logins,
            "nobody logs in to a host that is not known"
        );

        credentials(&team, &right(&known(&keys, &server, "host")));
        team.applied("app", &commit).await;
        let next = repo
            .write("app/map.yaml", objects::config_map("map", "two"))
            .commit("Change it");
        team.applied("app", &next).await;
        let found = team.fetched("app", &next).await;
        let text = serde_json::to_string(&found).unwrap();
        assert!(
            !text.contains("correct horse") && !text.contains("PRIVATE"),
            "{text}"
        );
    });
}

#[test]
fn addresses_of_ssh_are_taken_and_passwords_in_them_are_not() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("ssh-addresses");
        let repo = stage.git.repository(team.name());
        team.repository_with("app", &repo, |spec| {
            spec.url = "git@127.0.0.1:team/app.git".into();
        })
        .await;
        let said = told(&team, "BadCredentials").await;
        assert!(
            said.contains("identity") && said.contains("known_hosts"),
            "{said}"
        );
        for url in [
            "ssh://git:hunter2@git.example/x",
            "git@",
            "ext::sh",
            "ssh//x",
            "https://git@git.example/x",
        ] {
            let patch = json!({"spec": {"url": url}});
            let refused = team
                .api::<Repository>()
                .patch("app", &PatchParams::default(), &Patch::Merge(patch))
                .await;
            assert!(refused.is_err(), "{url}");
        }
    });
}

/// Lets the controller keep a deploy key in this namespace, as docs/git.md has it.
fn allow_deploy_key(team: &Space<'_>) {
    let namespace = team.name();
    let objects = objects::list(&[
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "deploy-key", "namespace": namespace},
        "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["app-deploy-key"], "verbs": ["get", "update"]},
        ]}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "deploy-key", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "deploy-key"},
            "subjects": [{"kind": "ServiceAccount", "name": "signet-controller", "namespace": "signet-system"}]}),
    ]);
    let arguments = ["apply", "--server-side", "-f", "-"];
    team.stage()
        .cluster
        .kubectl_with(arguments, &objects.to_string())
        .ok();
}

#[test]
fn a_deploy_key_is_made_shown_used_and_renewed() {
    run(async {
        let stage = Stage::shared().await;
        let team = stage.space("deploy-key");
        let kubeconfig = team.kubeconfig().await;
        let repo = stage.git.repository(team.name());
        let commit = |value: &str| {
            repo.write("app/map.yaml", objects::config_map("map", value))
                .commit(value)
        };
        let first = commit("one");
        let keys = Keys::new();
        keys.make("host", "ed25519", "");
        let server = Setup::default()
            .host_key(&keys, "host")
            .start(repo.bare().parent().unwrap());
        let name = repo.bare().file_name().unwrap().to_str().unwrap().to_owned();
        let known_hosts = known(&keys, &server, "host");
        team.repository_with("app", &repo, |spec| {
            spec.url = server.url().replace("repo.git", &name);
            spec.deploy_key = Some(crds::DeployKey {
                generate: true,
                known_hosts,
            });
        })
        .await;
        team.sync("app", "app").await;
        let said = told(&team, "DeployKeyForbidden").await;
        assert!(said.contains("app-deploy-key"), "{said}");

        allow_deploy_key(&team);
        let said = told(&team, "KeyRefused").await;
        assert!(said.contains("It is: ssh-ed25519 AAAA"), "{said}");
        let signet = |arguments: &[&str]| {
            let mut command = tests::command::signet(&kubeconfig);
            command.args(arguments);
            tests::command::run(command, b"").ok().trim().to_owned()
        };
        let one = signet(&["deploy-key", "app"]);
        assert!(said.contains(&one), "{said}: {one}");
        let made = team.event("Repository", "app", "DeployKeyMade").await;
        assert!(made.contains(&one), "{made}");
        server.authorize(&[&one]);
        team.applied("app", &first).await;

        // Another one: the old one is in use until the host knows the new one.
        let two = signet(&["deploy-key", "app", "--renew"]);
        assert!(two != one && two.starts_with("ssh-ed25519 "), "{two}");
        let second = commit("two");
        team.applied("app", &second).await;
        let status = team
            .fetched("app", &second)
            .await
            .status
            .unwrap()
            .deploy_key
            .unwrap();
        assert_eq!((&status.public_key, &status.next_public_key), (&one, &two));
        // And so is the history read.
        stage.controller.expose(&stage.cluster);
        bind(&team, "clients-read", "signet-system:signet-client");
        let name = format!("{}/app", team.name());
        wait::poll("the history to be told", || async {
            let arguments = ["--repository", &name];
            let answer = audit(stage.cluster.kubeconfig(), Path::new("/"), &arguments);
            if answer.code == 0 && answer.stdout.contains("two") {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;

        server.authorize(&[&one, &two]);
        let renewed = |found: &Repository| {
            let key = found
                .status
                .as_ref()
                .and_then(|status| status.deploy_key.as_ref());
            key.is_some_and(|key| key.public_key == two && key.next_public_key.is_empty())
        };
        let found = team.until("app", "the new key to be the only one", renewed).await;
        let told = team.event("Repository", "app", "DeployKeyRenewed").await;
        assert!(told.contains(&status.fingerprint), "{told}");
        server.authorize(&[&two]);
        let third = commit("three");
        team.applied("app", &third).await;

        let text = serde_json::to_string(&found).unwrap() + &told + &made + &one + &two;
        assert!(!text.contains("PRIVATE"), "{text}");
        let secret = team
            .kubectl(["get", "secret", "app-deploy-key", "-o", "json"])
            .ok();
        assert!(!secret.contains("next-identity"));
        let secret: serde_json::Value = serde_json::from_str(&secret).unwrap();
        assert_eq!(secret["metadata"]["ownerReferences"][0]["kind"], "Repository");
    });
}

/// Renews the deploy key of `app`, has the remote looked at once more, and says which key is in use and which is to come.
async fn renewed(team: &Space<'_>, known: &str) -> (String, String) {
    let mut renew = tests::command::signet(&team.kubeconfig().await);
    renew.args(["deploy-key", "app", "--renew"]);
    let next = tests::command::run(renew, b"").ok();
    assert!(!next.contains(known), "{next}");
    let patch = json!({"metadata": {"annotations": {crds::annotation::REQUESTED_AT: "after"}}});
    let repositories: kube::Api<Repository> = team.api();
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    repositories.patch("app", &params, &patch).await.unwrap();
    let found = team
        .until("app", "another look at the remote", |found: &Repository| {
            let status = found.status.as_ref();
            status.is_some_and(|status| status.last_handled_request == "after")
        })
        .await;
    let status = found.status.unwrap().deploy_key.unwrap();
    assert!(status.next_public_key.is_empty() || next.trim() == status.next_public_key);
    (status.public_key, status.next_public_key)
}

fn key_in_use(found: &Repository) -> String {
    let status = found.status.as_ref();
    let key = status.and_then(|status| status.deploy_key.as_ref());
    key.map(|key| key.public_key.clone()).unwrap_or_default()
}

#[test]
fn a_new_deploy_key_is_not_in_use_before_the_host_itself_has_taken_it() {
    run(async {
        let stage = Stage::shared().await;
        let keys = Keys::new();
        keys.make("host", "ed25519", "");

        // One commit for ever: the host is not asked for it again.
        let team = stage.space("deploy-key-commit");
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("One");
        repo.git([
            "--git-dir",
            &repo.bare().display().to_string(),
            "config",
            "uploadpack.allowReachableSHA1InWant",
            "true",
        ]);
        let server = Setup::default()
            .host_key(&keys, "host")
            .start(repo.bare().parent().unwrap());
        let name = repo.bare().file_name().unwrap().to_str().unwrap().to_owned();
        let url = server.url().replace("repo.git", &name);
        let known_hosts = known(&keys, &server, "host");
        allow_deploy_key(&team);
        let key = |known_hosts: &str| {
            Some(crds::DeployKey {
                generate: true,
                known_hosts: known_hosts.to_owned(),
            })
        };
        team.repository_with("app", &repo, |spec| {
            spec.url.clone_from(&url);
            spec.reference = serde_json::from_value(json!({"commit": commit})).unwrap();
            spec.deploy_key = key(&known_hosts);
        })
        .await;
        told(&team, "KeyRefused").await;
        let made = team.event("Repository", "app", "DeployKeyMade").await;
        let one = made
            .split_once("ssh-ed25519")
            .map(|(_, key)| format!("ssh-ed25519{key}"));
        let one = one.unwrap();
        server.authorize(&[one.trim()]);
        let one = key_in_use(&team.fetched("app", &commit).await);
        let (now, next) = renewed(&team, &one).await;
        assert_eq!(now, one, "the host has not taken the new one");
        server.authorize(&[&one, &next]);
        team.until("app", "the new key to be the only one", |found: &Repository| {
            key_in_use(found) == next
        })
        .await;

        // A mirror answers; the host itself is away.
        let team = stage.space("deploy-key-aside");
        let repo = stage.git.repository(team.name());
        let commit = repo
            .write("app/map.yaml", objects::config_map("map", "one"))
            .commit("One");
        let closed = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let port = closed.port().to_string();
        let was = url
            .split(':')
            .next_back()
            .unwrap()
            .split('/')
            .next()
            .unwrap()
            .to_owned();
        allow_deploy_key(&team);
        team.repository_with("app", &repo, |spec| {
            spec.url = url.replace(&was, &port);
            spec.deploy_key = key(&known_hosts.replace(&was, &port));
            spec.fallbacks = vec![crds::Fallback {
                url: repo.url().to_owned(),
                secret_ref: None,
            }];
        })
        .await;
        let one = key_in_use(&team.fetched("app", &commit).await);
        let (now, next) = renewed(&team, &one).await;
        assert_eq!(now, one, "nobody has asked the host");
        assert!(!next.is_empty());
    });
}
