//! Many Syncs of one Repository, each with a path of its own.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crds::{Repository, Sync};
use futures::{StreamExt, stream};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::watcher::{Config, Event, watch_object, watcher};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tests::{Repo, objects as harness};

use crate::ground::Ground;
use crate::objects;

/// Nothing that is measured takes longer.
const LONG: Duration = Duration::from_mins(8);
/// Requests of ours under way at once.
const AT_ONCE: usize = 32;
/// Objects of a shop.
const SHOP: usize = 4;

/// What each path holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A Deployment without replicas, its ServiceAccount, a Service and an Ingress.
    Shop,
    /// So many ConfigMaps.
    Maps(usize),
}

impl Shape {
    /// How many objects a path holds.
    pub(crate) fn objects(self) -> usize {
        match self {
            Self::Shop => SHOP,
            Self::Maps(count) => count,
        }
    }

    /// For a command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Shop => "shop",
            Self::Maps(_) => "maps",
        }
    }

    /// The file of a path. Object 0 is in its round `round`.
    fn file(self, path: usize, round: usize) -> String {
        match self {
            Self::Shop => {
                let documents = shop(path).map(|(_, object)| object.to_string());
                documents.join("\n---\n")
            }
            Self::Maps(count) => {
                objects::documents(path * count..(path + 1) * count, Some((path * count, round)))
            }
        }
    }
}

pub(crate) struct Fleet {
    pub(crate) syncs: usize,
    pub(crate) shape: Shape,
    pub(crate) repo: Repo,
    api: Api<Sync>,
}

impl Fleet {
    /// Commits all paths, and has the Repository follow them. No Sync does yet.
    pub(crate) async fn begin(ground: &Ground, namespace: &str, syncs: usize, shape: Shape) -> Self {
        let repo = ground.git.repository(namespace);
        for (file, content) in files(syncs, shape) {
            repo.write(&file, content);
        }
        let commit = repo.commit("all of them");
        let repository = json!({"apiVersion": "signet.dev/v1alpha1", "kind": "Repository",
            "metadata": {"name": "app", "namespace": namespace}, "spec": {"url": repo.url(), "interval": "1h"}});
        for objects in [harness::team(namespace), repository] {
            let apply = ["apply", "--server-side", "-f", "-"];
            ground.cluster.kubectl_with(apply, &objects.to_string()).ok();
        }
        let repositories: Api<Repository> = Api::namespaced(ground.client.clone(), namespace);
        let mut states = watch_object(repositories, "app").boxed();
        let fetched = async {
            while let Some(state) = states.next().await {
                let head = state
                    .ok()
                    .flatten()
                    .and_then(|found| found.status)
                    .and_then(|status| status.head);
                if head.is_some_and(|head| head.commit == commit) {
                    break;
                }
            }
        };
        tokio::time::timeout(LONG, fetched)
            .await
            .expect("the Repository is fetched");
        Self {
            syncs,
            shape,
            repo,
            api: Api::namespaced(ground.client.clone(), namespace),
        }
    }

    /// Creates the Syncs.
    pub(crate) async fn create(&self) {
        let create = |path| async move {
            let sync = Sync::new(
                &name(path),
                crds::SyncSpec::new("app", &name(path), harness::DEPLOYER),
            );
            self.api
                .create(&PostParams::default(), &sync)
                .await
                .expect("the Sync is accepted");
        };
        stream::iter((0..self.syncs).map(create))
            .buffer_unordered(AT_ONCE)
            .count()
            .await;
    }

    /// Asks each Sync to reconcile.
    pub(crate) async fn request(&self, value: &str) {
        stream::iter((0..self.syncs).map(|path| self.request_one(path, value)))
            .buffer_unordered(AT_ONCE)
            .count()
            .await;
    }

    /// Asks one Sync to reconcile.
    pub(crate) async fn request_one(&self, path: usize, value: &str) {
        let patch = json!({"metadata": {"annotations": {crds::annotation::REQUESTED_AT: value}}});
        let params = PatchParams::default();
        let answer = self.api.patch(&name(path), &params, &Patch::Merge(patch)).await;
        answer.expect("the Sync can be annotated");
    }

    /// Commits another content of one path, without pushing it.
    pub(crate) fn change(&self, path: usize, round: usize) -> String {
        self.repo
            .write(&format!("{}/all.yaml", name(path)), self.shape.file(path, round));
        self.repo.commit_only("one of them")
    }

    pub(crate) fn push(&self) {
        self.repo.push();
    }

    /// When the last of all Syncs was seen to be as `accept` wants it.
    pub(crate) async fn all(&self, accept: impl Fn(&Sync) -> bool) -> Instant {
        self.seen(self.syncs, accept).await
    }

    /// When one Sync was seen to have applied a commit.
    pub(crate) async fn applied(&self, path: usize, commit: &str) -> Instant {
        let name = name(path);
        self.seen(1, |sync| {
            sync.name_any() == name && harness::applied(sync) == commit && is_ready(sync)
        })
        .await
    }

    async fn seen(&self, wanted: usize, accept: impl Fn(&Sync) -> bool) -> Instant {
        let mut events = watcher(self.api.clone(), Config::default()).boxed();
        let mut good = HashSet::new();
        let all = async {
            while let Some(event) = events.next().await {
                if let Event::Apply(sync) | Event::InitApply(sync) = event.expect("the watch holds")
                    && accept(&sync)
                {
                    good.insert(sync.name_any());
                }
                if good.len() == wanted {
                    break;
                }
            }
            Instant::now()
        };
        let all = tokio::time::timeout(LONG, all).await;
        all.unwrap_or_else(|_| panic!("waited {LONG:?} for {wanted} Syncs: {} are right", good.len()))
    }
}

pub(crate) fn is_ready(sync: &Sync) -> bool {
    harness::is(sync, "Ready", "True")
}

/// The files of all paths.
pub(crate) fn files(syncs: usize, shape: Shape) -> impl Iterator<Item = (String, String)> {
    (0..syncs).map(move |path| (format!("{}/all.yaml", name(path)), shape.file(path, 0)))
}

/// An object of a shop as a plain client sends it: its path and its body.
pub(crate) fn plain(namespace: &str, index: usize) -> (String, Vec<u8>) {
    let [mut object] = [shop(index / SHOP)[index % SHOP].clone()];
    objects::mark(&mut object.1, namespace, index);
    let (place, name) = (
        object.0,
        object.1["metadata"]["name"].as_str().unwrap_or_default(),
    );
    let path = format!("/{}/namespaces/{namespace}/{}/{name}", place[0], place[1]);
    (path, object.1.to_string().into_bytes())
}

fn name(path: usize) -> String {
    format!("path-{path:05}")
}

/// The objects of a shop, each with its API's path and its plural.
fn shop(path: usize) -> [([&'static str; 2], Value); SHOP] {
    let name = name(path);
    let (metadata, labels) = (json!({"name": name}), json!({"app": name}));
    [
        (
            ["api/v1", "serviceaccounts"],
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),
        ),
        (
            ["api/v1", "services"],
            json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata,
                "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}),
        ),
        (
            ["apis/apps/v1", "deployments"],
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {
                "replicas": 0, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"serviceAccountName": name, "containers": [
                    {"name": "main", "image": "shop:1", "ports": [{"name": "http", "containerPort": 8080}]}]}}}}),
        ),
        (
            ["apis/networking.k8s.io/v1", "ingresses"],
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": {"rules": [
                {"host": format!("{name}.example.com"), "http": {"paths": [{"path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": name, "port": {"name": "http"}}}}]}}]}}),
        ),
    ]
}
