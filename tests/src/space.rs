//! A namespace of a test's own, with what a team has there.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crds::{Repository, RepositorySpec, Sync, SyncSpec};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::wait::{self, Watched};
use crate::{Cluster, Repo, Stage, command, identity, objects};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A namespace. Dropping it deletes it, without waiting.
pub struct Space<'a> {
    stage: &'a Stage,
    name: String,
}

impl<'a> Space<'a> {
    pub(crate) fn create(stage: &'a Stage, prefix: &str) -> Self {
        // A cluster that is used again has the namespaces of earlier processes.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}-{}-{count}", std::process::id());
        let team = objects::team(&name);
        stage
            .cluster
            .kubectl_with(["apply", "--server-side", "-f", "-"], &team.to_string())
            .ok();
        Self { stage, name }
    }

    pub(crate) fn of(stage: &'a Stage, name: &str) -> Self {
        let name = name.to_owned();
        Self { stage, name }
    }

    /// The namespace's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Leaves the namespace behind, for a test whose stage goes away as a whole, and gives its name.
    pub fn keep(self) -> String {
        let name = self.name.clone();
        std::mem::forget(self);
        name
    }

    /// The stage it is on.
    pub fn stage(&self) -> &'a Stage {
        self.stage
    }

    fn cluster(&self) -> &'a Cluster {
        &self.stage.cluster
    }

    /// The administrator's view of one kind in this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType: Default, Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.cluster().client(), &self.name)
    }

    /// A kubeconfig of the namespace's `deployer`: somebody with a team's rights and no more.
    pub async fn kubeconfig(&self) -> PathBuf {
        let file = self.cluster().home().join(format!("{}.kubeconfig", self.name));
        let way = identity::Way::default();
        identity::write_kubeconfig(self.cluster(), &self.name, objects::DEPLOYER, way, &file).await;
        file
    }

    /// Runs kubectl as the administrator in this namespace.
    pub fn kubectl<'b>(&'b self, arguments: impl IntoIterator<Item = &'b str>) -> command::Answer {
        let here = ["--namespace", self.name.as_str()];
        self.cluster().kubectl(here.into_iter().chain(arguments))
    }

    /// Gives the namespace's `deployer` every right in the cluster, as a platform team's has.
    pub fn make_platform(&self) {
        let binding = objects::platform(&self.name).to_string();
        self.cluster()
            .kubectl_with(["apply", "--server-side", "-f", "-"], &binding)
            .ok();
        // The API server's authorizer learns of it by a watch: until then the account is refused what it may do.
        let account = format!("system:serviceaccount:{}:{}", self.name, objects::DEPLOYER);
        let asks = ["auth", "can-i", "*", "*", "--all-namespaces", "--as", &account];
        let known = || self.cluster().kubectl(asks).code == 0;
        let deadline = std::time::Instant::now() + wait::LONG;
        while !known() {
            assert!(
                std::time::Instant::now() < deadline,
                "{account} never gets its rights"
            );
        }
    }

    /// Creates a Repository that asks its remote every second.
    pub async fn repository(&self, name: &str, repo: &Repo) {
        self.repository_with(name, repo, |_| {}).await;
    }

    /// The same, changed before it is created.
    pub async fn repository_with(&self, name: &str, repo: &Repo, change: impl FnOnce(&mut RepositorySpec)) {
        let mut spec = objects::repository_spec(repo.url());
        change(&mut spec);
        let repository = Repository::new(name, spec);
        self.api()
            .create(&PostParams::default(), &repository)
            .await
            .expect("the Repository is accepted");
    }

    /// Creates a Sync of one path of the Repository `app`, as `deployer`.
    pub async fn sync(&self, name: &str, path: &str) {
        self.sync_with(name, path, |_| {}).await;
    }

    /// The same, changed before it is created.
    pub async fn sync_with(&self, name: &str, path: &str, change: impl FnOnce(&mut SyncSpec)) {
        let mut spec = objects::sync_spec("app", path);
        change(&mut spec);
        self.api()
            .create(&PostParams::default(), &Sync::new(name, spec))
            .await
            .expect("the Sync is accepted");
    }

    /// Asks for a reconciliation of a Sync now.
    pub async fn request(&self, sync: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {crds::annotation::REQUESTED_AT: value}}});
        let syncs: Api<Sync> = self.api();
        syncs
            .patch(sync, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("the Sync can be annotated");
    }

    /// Waits until a Sync has applied a commit without a failure.
    pub async fn applied(&self, sync: &str, commit: &str) -> Sync {
        let what = format!("Sync {sync} to have applied {commit}");
        self.until(sync, &what, |sync| {
            objects::applied(sync) == commit && objects::is(sync, "Ready", "True")
        })
        .await
    }

    /// Waits until a Sync has applied a commit without a failure, whether its objects are ready or not.
    pub async fn sent(&self, sync: &str, commit: &str) -> Sync {
        let what = format!("Sync {sync} to have sent {commit}");
        self.until(sync, &what, |sync| objects::applied(sync) == commit)
            .await
    }

    /// Waits until a Sync has tried a commit and failed.
    pub async fn failed(&self, sync: &str, commit: &str) -> Sync {
        let what = format!("Sync {sync} to have tried {commit} and to say what failed");
        self.until(sync, &what, |sync| {
            objects::attempted(sync) == commit && objects::is(sync, "Ready", "False")
        })
        .await
    }

    /// Waits until a Repository has fetched a commit.
    pub async fn fetched(&self, repository: &str, commit: &str) -> Repository {
        let what = format!("Repository {repository} to have fetched {commit}");
        self.until(repository, &what, |repository: &Repository| {
            let head = repository.status.as_ref().and_then(|status| status.head.as_ref());
            head.is_some_and(|head| head.commit == commit)
        })
        .await
    }

    /// Waits until an object of this namespace is as wanted.
    pub async fn until<K>(&self, name: &str, what: &str, accept: impl FnMut(&K) -> bool) -> K
    where
        K: Watched + kube::Resource<Scope = NamespaceResourceScope>,
    {
        wait::until(self.cluster(), self.api(), name, what, accept).await
    }

    /// Waits until an object of this namespace is gone.
    pub async fn gone<K>(&self, name: &str)
    where
        K: Watched + kube::Resource<Scope = NamespaceResourceScope>,
    {
        wait::gone(self.cluster(), self.api::<K>(), name).await;
    }

    /// Spoils an object of this namespace with kubectl, and gives how long it took to be good again.
    pub async fn repaired<K>(&self, name: &str, kubectl: &[&str], good: impl Fn(&K) -> bool) -> Duration
    where
        K: Watched + kube::Resource<Scope = NamespaceResourceScope>,
    {
        let mut command = command::kubectl(self.cluster().kubeconfig());
        command.args(["--namespace", &self.name]).args(kubectl);
        wait::repaired(self.cluster(), self.api(), name, command, good).await
    }

    /// Waits for an event about an object and gives what it says.
    pub async fn event(&self, kind: &str, name: &str, reason: &str) -> String {
        let what = format!("event {reason} about {kind} {name}");
        let event: Event = wait::any(self.cluster(), self.api(), &what, |event: &Event| {
            let about = event.regarding.as_ref();
            about.and_then(|about| about.kind.as_deref()) == Some(kind)
                && about.and_then(|about| about.name.as_deref()) == Some(name)
                && event.reason.as_deref() == Some(reason)
        })
        .await;
        event.note.unwrap_or_default()
    }
}

impl Drop for Space<'_> {
    fn drop(&mut self) {
        if std::env::var_os("SIGNET_TEST_KEEP").is_some() {
            return;
        }
        let namespaces: Api<Namespace> = Api::all(self.cluster().client());
        let name = self.name.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { namespaces.delete(&name, &DeleteParams::background()).await });
        }
    }
}
