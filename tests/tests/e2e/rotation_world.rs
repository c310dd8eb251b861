//! A cluster whose sealing keys are changed: Repositories of multi-document files with values of both formats, and questions to
//! Git and to the cluster about what became of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crds::{KeyRotation, RepositorySpec, RotationPhase, RotationStep};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use manifest::{Limits, each_object, read_stream};
use sealing::v2::{Identity, Recipients, SealedSecret};
use sealing::{Certificate, KeyRing, PrivateKey, Scope, SealingKey};
use serde_json::{Value, json};
use tests::{GitServer, Repo, Space, Stage, command, objects, wait};

use crate::native::{published, seal};

/// The controller's namespace.
pub(crate) const HOME: &str = "signet-system";

/// Creates a KeyRotation. `spec` is merged into one that makes a key of both formats and retires at once.
pub(crate) fn rotate(stage: &Stage, name: &str, spec: &Value) {
    let mut whole = json!({
        "algorithm": {"v1": "RSA4096", "v2": "MLKEM768X25519"},
        "retire": {"then": "Destroy", "grace": "0s"},
    });
    for (key, value) in spec.as_object().unwrap() {
        whole[key] = value.clone();
    }
    let object = json!({"apiVersion": "signet.dev/v1alpha1", "kind": "KeyRotation",
        "metadata": {"name": name, "namespace": HOME}, "spec": whole});
    stage
        .cluster
        .kubectl_with(["create", "-f", "-"], &object.to_string())
        .ok();
}

/// `spec.reseal` for a Repository, with the Secret `push`, which is made.
pub(crate) fn target(stage: &Stage, namespace: &str, name: &str) -> Value {
    let login = json!({"username": "signet", "password": "push-right"});
    target_with(stage, namespace, name, "push", &login)
}

/// The same, with a Secret of this name and content.
pub(crate) fn target_with(stage: &Stage, namespace: &str, name: &str, secret: &str, data: &Value) -> Value {
    let made = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret, "namespace": HOME},
        "stringData": data});
    stage
        .cluster
        .kubectl_with(["apply", "--server-side", "-f", "-"], &made.to_string())
        .ok();
    let url = address(stage, namespace, name);
    json!({"namespace": namespace, "name": name, "pushSecretRef": {"name": secret}, "url": url})
}

/// Where a Repository is.
pub(crate) fn address(stage: &Stage, namespace: &str, name: &str) -> String {
    let url = [
        "-n",
        namespace,
        "get",
        "repository",
        name,
        "-o=jsonpath={.spec.url}",
    ];
    stage.cluster.kubectl(url).ok()
}

/// Waits until a rotation is as wanted.
pub(crate) async fn until(
    stage: &Stage,
    name: &str,
    what: &str,
    mut accept: impl FnMut(&KeyRotation) -> bool,
) -> KeyRotation {
    let api: Api<KeyRotation> = Api::namespaced(stage.cluster.client(), HOME);
    wait::until(
        &stage.cluster,
        api,
        name,
        &format!("KeyRotation {name}: {what}"),
        |rotation| rotation.status.is_some() && accept(rotation),
    )
    .await
}

/// Waits until it is in a phase.
pub(crate) async fn phase(stage: &Stage, name: &str, phase: RotationPhase) -> KeyRotation {
    until(stage, name, phase.as_str(), |rotation| {
        rotation.status.as_ref().unwrap().phase == phase
    })
    .await
}

/// What a condition says.
pub(crate) fn said<'r>(rotation: &'r KeyRotation, condition: &str) -> &'r str {
    let conditions = &rotation.status.as_ref().unwrap().conditions;
    conditions
        .iter()
        .find(|known| known.type_ == condition)
        .map_or("", |known| known.message.as_str())
}

/// Writes a file of several documents with comments: a `ConfigMap`, a SealedSecret of Bitnami's kind that names no namespace, one
/// of our own kind.
pub(crate) async fn write(stage: &Stage, repo: &Repo, namespace: &str, number: usize) {
    let v1 = objects::secret(
        namespace,
        &format!("v1-{number}"),
        &[("password", &format!("one-{number}")), ("user", "app")],
    );
    let mut v1: Value = serde_json::from_str(&stage.seal(&v1)).unwrap();
    v1["metadata"].as_object_mut().unwrap().remove("namespace");
    let v1 = manifest::write_yaml(&[v1]);
    let v2 = objects::secret(
        namespace,
        &format!("v2-{number}"),
        &[("token", &format!("two-{number}"))],
    );
    let v2 = manifest::write_yaml(&[seal(&v2, &published(stage).await, Scope::Strict)]);
    let map = objects::config_map(&format!("map-{number}"), "one");
    let text = format!(
        "# File {number}: what the app reads.\n{map}---\n# Ask the team before you change this.\n{}# After it.\n---\n{}\
         # The end.\n",
        v1.trim_start_matches("---\n"),
        v2.trim_start_matches("---\n"),
    );
    repo.write(&format!("app/file-{number}.yaml"), text);
}

/// The keys as they are stored: to be tried when they are gone.
pub(crate) struct OldKeys {
    pub(crate) ring: KeyRing,
    pub(crate) ids: Vec<String>,
    pub(crate) secrets: Vec<Secret>,
}

/// The keys in use.
pub(crate) async fn keys(stage: &Stage) -> OldKeys {
    let api: Api<Secret> = Api::namespaced(stage.cluster.client(), HOME);
    let listed = async |label: &str| {
        let labelled = ListParams::default().labels(&format!("{label}=active"));
        api.list(&labelled).await.unwrap().items
    };
    let text = |secret: &Secret, field: &str| {
        String::from_utf8(secret.data.as_ref().unwrap()[field].0.clone()).unwrap()
    };
    let (v1, v2) = (
        listed(crds::label::SEALING_KEY).await,
        listed(crds::label::NATIVE_SEALING_KEY).await,
    );
    let rsa = v1.iter().map(|secret| {
        let key = PrivateKey::from_pem(&text(secret, "tls.key")).unwrap();
        let certificate = Certificate::from_pem(&text(secret, "tls.crt")).unwrap();
        SealingKey::new(key, certificate).unwrap()
    });
    let age = v2
        .iter()
        .map(|secret| Identity::parse(&text(secret, "identity")).ok().unwrap());
    let ring = KeyRing::new(rsa).with_native(age);
    let ids = ring
        .keys()
        .iter()
        .map(|key| key.fingerprint().as_str().to_owned());
    let ids: Vec<_> = ids
        .chain(ring.native().iter().map(|key| key.key_id().as_str().to_owned()))
        .collect();
    OldKeys {
        ring,
        ids,
        secrets: v1.into_iter().chain(v2).collect(),
    }
}

/// How many values of a repository's branch these keys open, and how many there are.
pub(crate) fn opened(repo: &Repo, namespace: &str, keys: &OldKeys) -> (usize, usize) {
    let (mut open, mut all) = (0, 0);
    for text in files(repo, "main").values() {
        for document in read_stream(text.as_bytes(), &Limits::default()).unwrap() {
            let Ok(value) = document.value else { continue };
            each_object(&value, 4, &mut |object, _| {
                if let Ok(sealed) = SealedSecret::parse(object) {
                    all += sealed.keys().count();
                    if let Ok(unlocked) = sealed.unlock(keys.ring.native()) {
                        open += unlocked.values().len();
                    }
                } else if object["kind"] == "SealedSecret" {
                    let name = object["metadata"]["name"].as_str().unwrap();
                    let label = Scope::from_annotations(object.pointer("/metadata/annotations"))
                        .label(namespace, name);
                    for value in object["spec"]["encryptedData"].as_object().unwrap().values() {
                        all += 1;
                        open += usize::from(keys.ring.open(value.as_str().unwrap(), &label).is_ok());
                    }
                }
            });
        }
    }
    (open, all)
}

/// The files of a ref of the remote.
pub(crate) fn files(repo: &Repo, reference: &str) -> BTreeMap<String, String> {
    let entries = git(repo, &["ls-tree", "-r", reference]);
    // A link to another repository is no file of this one.
    let files = entries
        .lines()
        .filter_map(|line| line.split_once('\t').filter(|(what, _)| what.contains(" blob ")));
    files
        .map(|(_, name)| {
            (
                name.to_owned(),
                git(repo, &["show", &format!("{reference}:{name}")]),
            )
        })
        .collect()
}

/// Runs git in the remote itself.
pub(crate) fn git(repo: &Repo, arguments: &[&str]) -> String {
    let mut command = tests::git::git(repo.bare());
    command.args(arguments);
    command::run(command, b"").ok()
}

/// The commits of a rotation, newest first.
pub(crate) fn commits(repo: &Repo, reference: &str) -> Vec<String> {
    let log = git(repo, &["log", "--author=Signet", "--format=%H", reference]);
    log.lines().map(str::to_owned).collect()
}

/// A text in which all that a rotation may change is hidden: sealed values, and ids of keys.
pub(crate) fn masked(text: &str) -> String {
    let is = |c: char| c.is_ascii_alphanumeric() || "+/=._-".contains(c);
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if is(c) {
            word.push(c);
            continue;
        }
        let id = word.len() == 16 && word.chars().all(|c| c.is_ascii_hexdigit());
        let hide = id || word.len() > 60 || word.starts_with("key-");
        out.push_str(if hide { "#" } else { &word });
        word.clear();
        out.push(c);
    }
    out.replace("\"#\"", "#").replace("'#'", "#")
}

/// The resource versions of the Secrets of a namespace.
pub(crate) async fn versions(team: &Space<'_>) -> BTreeMap<String, String> {
    let secrets = team.api::<Secret>().list(&ListParams::default()).await.unwrap();
    secrets
        .items
        .iter()
        .map(|secret| (secret.name_any(), secret.resource_version().unwrap()))
        .collect()
}

/// Whether a Secret of the controller's namespace is there.
pub(crate) async fn is_there(stage: &Stage, secret: &str) -> bool {
    let api: Api<Secret> = Api::namespaced(stage.cluster.client(), HOME);
    api.get_opt(secret).await.unwrap().is_some()
}

/// The old keys are there, and open.
pub(crate) async fn stay(stage: &Stage, old: &OldKeys) {
    for secret in &old.secrets {
        assert!(
            is_there(stage, &secret.name_any()).await,
            "{} is gone",
            secret.name_any()
        );
    }
}

/// The old keys are gone.
pub(crate) async fn gone(stage: &Stage, old: &OldKeys) {
    for secret in &old.secrets {
        assert!(
            !is_there(stage, &secret.name_any()).await,
            "{} is there",
            secret.name_any()
        );
    }
}

/// Asks a rotation to try again now.
pub(crate) async fn ask(stage: &Stage, name: &str, word: &str) {
    let api: Api<KeyRotation> = Api::namespaced(stage.cluster.client(), HOME);
    let patch = json!({"metadata": {"annotations": {"signet.dev/requestedAt": word}}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

/// How far a rotation is with the Repository of a namespace.
pub(crate) fn step(rotation: &KeyRotation, namespace: &str) -> Option<RotationStep> {
    let all = &rotation.status.as_ref()?.repositories;
    Some(all.iter().find(|one| one.namespace == namespace)?.step)
}

/// A Repository `app`, a Sync `app` of its path `app`, and so many files, applied.
pub(crate) async fn begin<'s>(stage: &'s Stage, name: &str, count: usize) -> (Space<'s>, Repo) {
    begin_with(stage, name, count, |_, _, _| {}).await
}

/// The same on another Git server, with one file.
pub(crate) async fn begin_on<'s>(stage: &'s Stage, git: &GitServer, name: &str) -> (Space<'s>, Repo) {
    let team = stage.space(name);
    let repo = git.repository(team.name());
    write(stage, &repo, team.name(), 0).await;
    begun(&team, &repo, |_| {}).await;
    (team, repo)
}

/// The same, with the Repository's spec changed before it is created.
pub(crate) async fn begin_with<'s>(
    stage: &'s Stage,
    name: &str,
    count: usize,
    change: impl FnOnce(&Space<'s>, &Repo, &mut RepositorySpec),
) -> (Space<'s>, Repo) {
    let team = stage.space(name);
    let repo = stage.git.repository(team.name());
    for number in 0..count {
        write(stage, &repo, team.name(), number).await;
    }
    begun(&team, &repo, |spec| change(&team, &repo, spec)).await;
    (team, repo)
}

async fn begun(team: &Space<'_>, repo: &Repo, change: impl FnOnce(&mut RepositorySpec)) {
    let commit = repo.commit("Begin");
    team.repository_with("app", repo, change).await;
    team.sync("app", "app").await;
    team.applied("app", &commit).await;
}

/// Brings a clone up to what the remote has.
pub(crate) fn pull(repo: &Repo) -> String {
    repo.git(["pull", "--quiet", "--rebase", "--autostash", "origin", "main"]);
    repo.head()
}

/// Writes Secrets into a file, as `kubectl get secret … -o yaml` does.
pub(crate) fn backup(stage: &Stage, old: &OldKeys, file: &str) -> PathBuf {
    let items: Vec<Value> = old
        .secrets
        .iter()
        .map(|secret| {
            let data: BTreeMap<_, _> = secret
                .data
                .iter()
                .flatten()
                .map(|(key, value)| (key.clone(), STANDARD.encode(&value.0)))
                .collect();
            json!({"apiVersion": "v1", "kind": "Secret", "type": secret.type_,
                "metadata": {"name": secret.name_any(), "labels": secret.metadata.labels}, "data": data})
        })
        .collect();
    let path = stage.cluster.home().join(file);
    std::fs::write(&path, objects::list(&items).to_string()).unwrap();
    path
}

/// The published recipients, as the arguments of `--to`.
pub(crate) fn to(recipients: &Recipients) -> Vec<String> {
    recipients.iter().map(ToString::to_string).collect()
}
