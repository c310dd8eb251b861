//! All that a test needs, started once: a cluster, a controller on it, and a Git server.

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::command::Answer;
use crate::{Cluster, Controller, ControllerOptions, GitServer, Repo, Space, objects};

static SHARED: OnceCell<Stage> = OnceCell::const_new();
static DROP_IN: OnceCell<Stage> = OnceCell::const_new();

/// A cluster with a controller, and a Git server.
pub struct Stage {
    /// The controller. One serves a whole cluster, so only a test with a stage of its own may stop it.
    pub controller: Controller,
    /// The Git server.
    pub git: GitServer,
    /// The cluster. It is dropped last, and takes everybody's directory with it.
    pub cluster: ClusterRef,
}

/// The shared cluster, or one's own.
pub enum ClusterRef {
    /// Shared with every test of the process.
    Shared(&'static Cluster),
    /// Gone with the stage.
    Own(Box<Cluster>),
}

impl std::ops::Deref for ClusterRef {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        match self {
            Self::Shared(cluster) => cluster,
            Self::Own(cluster) => cluster,
        }
    }
}

impl Stage {
    /// The one that all tests of this process share.
    pub async fn shared() -> &'static Self {
        SHARED
            .get_or_init(|| async {
                let cluster = Cluster::shared().await;
                let options = ControllerOptions::for_tests(cluster);
                Self::on(ClusterRef::Shared(cluster), options).await
            })
            .await
    }

    /// The one that all tests of this process share where the controller stands in the place of Bitnami's.
    pub async fn drop_in() -> &'static Self {
        DROP_IN
            .get_or_init(|| async {
                let cluster = Cluster::held().await;
                let options = ControllerOptions::drop_in(&cluster);
                Self::on(ClusterRef::Own(Box::new(cluster)), options).await
            })
            .await
    }

    /// The same, of one's own.
    pub async fn own_drop_in() -> Self {
        let cluster = Cluster::own().await;
        let options = ControllerOptions::drop_in(&cluster);
        Self::on(ClusterRef::Own(Box::new(cluster)), options).await
    }

    /// One of one's own: to count requests, or to stop the controller.
    pub async fn own() -> Self {
        let cluster = Cluster::own().await;
        let options = ControllerOptions::for_tests(&cluster);
        Self::on(ClusterRef::Own(Box::new(cluster)), options).await
    }

    /// A controller, started as told, and a Git server for a cluster.
    pub async fn on(cluster: ClusterRef, options: ControllerOptions) -> Self {
        Self {
            controller: Controller::start(&cluster, options).await,
            git: GitServer::start(&cluster.home().join("git")).await,
            cluster,
        }
    }

    /// A new namespace whose name begins with `name`, with a service account `deployer` that may do there what a
    /// team may.
    pub fn space(&self, name: &str) -> Space<'_> {
        Space::create(self, name)
    }

    /// A namespace of [`Stage::space`] that was kept.
    pub fn space_of(&self, name: &str) -> Space<'_> {
        Space::of(self, name)
    }

    /// Has the controller follow the path `app` of a repository, in a namespace that was kept: for tests that stop the controller.
    pub fn follow(&self, namespace: &str, repo: &Repo) {
        let place = json!({"name": "app", "namespace": namespace});
        let api = "signet.dev/v1alpha1";
        let both = objects::list(&[
            json!({"apiVersion": api, "kind": "Repository", "metadata": place,
                "spec": {"url": repo.url(), "interval": "1s"}}),
            json!({"apiVersion": api, "kind": "Sync", "metadata": place, "spec": {
                "sourceRef": {"name": "app"}, "path": "app", "serviceAccountName": objects::DEPLOYER}}),
        ]);
        self.cluster
            .kubectl_with(["create", "-f", "-"], &both.to_string())
            .ok();
    }

    /// Seals a Secret with `signet seal` for this controller, and gives the YAML.
    pub fn seal(&self, secret: &Value) -> String {
        self.seal_with(&[], secret).ok()
    }

    /// The same, with more arguments, and whatever comes of it.
    pub fn seal_with(&self, arguments: &[&str], secret: &Value) -> Answer {
        let certificate = self.controller.certificate_url();
        let arguments = ["seal", "--cert", &certificate]
            .into_iter()
            .chain(arguments.iter().copied());
        self.cluster.signet(arguments, &secret.to_string())
    }
}
