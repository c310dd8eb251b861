//! What the controller logs in to Git hosts with and writes there: keys of its own making, a password that may push, and the notes.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crds::{DeployKey, LocalReference, Notes, Repository, RepositorySpec};
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;
use tests::{Repo, Space, command, git};

use super::cli::Cli;
use super::sinks::{Capture, Sink};
use super::values::{Class, Values};

const REF: &str = "refs/notes/signet/leak";

/// Has the results of every commit written down, by somebody whose password is a secret.
pub(super) fn note_results(team: &Space<'_>, values: &mut Values) -> impl FnOnce(&mut RepositorySpec) {
    let login = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "push", "namespace": team.name()},
        "stringData": {"username": "writer", "password": values.sealed("password that may push")}});
    let cluster = &team.stage().cluster;
    cluster
        .kubectl_with(["create", "-f", "-"], &login.to_string())
        .ok();
    |spec| {
        spec.notes = Some(Notes {
            cluster: "leak".into(),
            push_secret_ref: LocalReference { name: "push".into() },
        });
    }
}

/// What is written in Git of all those commits, with everything that came to a bad end.
pub(super) fn notes(repo: &Repo) -> Capture {
    let mut log = git::git(repo.bare());
    log.args(["log", "-p", "--format=fuller", REF]);
    let text = command::run(log, b"").ok();
    assert!(text.contains(" Ready: ") && text.contains(" Failed: "), "{text}");
    Capture::new(Sink::GitStore, REF, text)
}

/// A deploy key that is made, shown, and made again.
pub(super) async fn deploy_key(team: &Space<'_>, repo: &Repo, values: &mut Values, cli: &mut Cli) {
    // As docs/git.md has it.
    let rights = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "made-key", "namespace": team.name()}, "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["made-key-deploy-key"],
                "verbs": ["get", "update"]}]});
    let cluster = &team.stage().cluster;
    cluster
        .kubectl_with(["create", "-f", "-"], &rights.to_string())
        .ok();
    let account = "--serviceaccount=signet-system:signet-controller";
    team.kubectl(["create", "rolebinding", "made-key", "--role=made-key", account])
        .ok();
    team.repository_with("made-key", repo, |spec| {
        spec.url = "ssh://git@127.0.0.1:9/nobody.git".into();
        spec.deploy_key = Some(DeployKey {
            generate: true,
            known_hosts: "[127.0.0.1]:9 ssh-ed25519 \
                          AAAAC3NzaC1lZDI1NTE5AAAAIBvDb0nVxkZbZ0b1mRVqSrsrGcHc2sIPbmPUHTJRT1nA"
                .into(),
        });
    })
    .await;
    let here = ["--namespace", team.name()];
    for (arguments, field) in [
        (&["deploy-key", "made-key"][..], "identity"),
        (&["deploy-key", "made-key", "--output", "json"], "identity"),
        (&["deploy-key", "made-key", "--renew"], "next-identity"),
    ] {
        let shown = cli.run(&[arguments, &here].concat(), "").ok();
        assert!(shown.contains("ssh-ed25519 AAAA"), "{shown}");
        let secret: Secret = team.api().get("made-key-deploy-key").await.unwrap();
        let data = secret.data.unwrap();
        let identity = data
            .get(field)
            .unwrap_or_else(|| panic!("{field} among {:?}", data.keys()));
        values.bytes(
            &format!("deploy key, {}", arguments.join(" ")),
            Class::Sealed,
            seed(&identity.0),
        );
    }
    team.until("made-key", "the key to be shown", |found: &Repository| {
        let key = found
            .status
            .as_ref()
            .and_then(|status| status.deploy_key.as_ref());
        key.is_some_and(|key| !key.next_public_key.is_empty())
    })
    .await;
}

/// The secret half of an ed25519 key as `ssh-keygen` writes it (PROTOCOL.key): after its length, before the public half.
fn seed(pem: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(pem).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = BASE64_STANDARD.decode(body).unwrap();
    let length = [0, 0, 0, 64];
    let at = bytes.windows(4).rposition(|part| part == length).unwrap();
    bytes[at + 4..at + 36].to_vec()
}
