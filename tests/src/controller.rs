//! The controller's own binary as a child process, with the rights of the service account that the install makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use serde::Deserialize;

use crate::child::{self, Child};
use crate::{Cluster, http, identity, paths, wait};

/// The namespace that the install manifest makes.
pub(crate) const NAMESPACE: &str = "signet-system";
/// The controller's service account there.
pub(crate) const ACCOUNT: &str = "signet-controller";

/// How to run it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its data, its log and its kubeconfig go.
    pub home: PathBuf,
    /// Another address for the API server: a proxy.
    pub server: Option<String>,
    /// Another certificate authority, in a file: a proxy that ends TLS.
    pub authority: Option<PathBuf>,
    /// More command-line arguments.
    pub arguments: Vec<String>,
    /// More environment variables.
    pub environment: Vec<(String, String)>,
}

impl Options {
    /// As it runs by default.
    pub fn plain(home: &Path) -> Self {
        Self {
            home: home.join("controller"),
            server: None,
            authority: None,
            arguments: Vec::new(),
            // As deploy/install.yaml has it.
            environment: vec![("MALLOC_ARENA_MAX".into(), "1".into())],
        }
    }

    /// What the tests start with: a key that takes no time to make, and every detail in the log.
    pub fn for_tests(cluster: &Cluster) -> Self {
        Self {
            arguments: vec!["--key-size=2048".into(), "--log-level=debug".into()],
            ..Self::plain(cluster.home())
        }
    }

    /// The same in the place of Bitnami's controller, with all that `deploy/sealed-secrets.yaml` switches on.
    pub fn drop_in(cluster: &Cluster) -> Self {
        let mut options = Self::for_tests(cluster);
        for argument in [
            "--sealed-secrets=all",
            "--serve-verify",
            "--serve-rotate",
            "--rate-limit=1000",
            // So slow that a busy machine, where a request takes a while, reaches it too.
            "--api-rate-limit=1",
        ] {
            options.arguments.push(argument.into());
        }
        options
    }
}

/// A running controller, or one that was stopped and can be started again.
#[derive(Debug)]
pub struct Controller {
    options: Options,
    addresses: Addresses,
    child: Option<Child>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Addresses {
    #[serde(rename = "http")]
    public: String,
    metrics: String,
    api: String,
}

impl Controller {
    /// Starts it and waits until it is ready.
    pub async fn start(cluster: &Cluster, options: Options) -> Self {
        let mut controller = Self::prepare(cluster, options).await;
        controller.start_again().await;
        controller
    }

    /// Starts it and waits until it listens: it may not become ready.
    pub async fn start_standing_by(cluster: &Cluster, options: Options) -> Self {
        let mut controller = Self::prepare(cluster, options).await;
        controller.child = Some(Child::start(&controller.command(), &controller.log_file()));
        let file = controller.addresses_file();
        controller.addresses = controller
            .ask("say its addresses", || async { read_addresses(&file) })
            .await;
        controller
    }

    /// Starts it so that it outlives this process.
    pub async fn start_detached(cluster: &Cluster, options: Options) -> Self {
        let mut controller = Self::prepare(cluster, options).await;
        child::detach(&mut controller.command(), &controller.log_file());
        controller.become_ready().await;
        controller
    }

    async fn prepare(cluster: &Cluster, options: Options) -> Self {
        fs::create_dir_all(options.home.join("data")).expect("a directory for the controller");
        let kubeconfig = options.home.join("kubeconfig");
        let way = identity::Way {
            server: options.server.as_deref(),
            authority: options.authority.as_deref(),
        };
        identity::write_kubeconfig(cluster, NAMESPACE, ACCOUNT, way, &kubeconfig).await;
        let controller = Self {
            options,
            addresses: Addresses::default(),
            child: None,
        };
        cluster.note_log(controller.log_file());
        controller
    }

    /// Starts it after it was stopped, with the data it had, and waits until it is ready.
    pub async fn start_again(&mut self) {
        assert!(self.child.is_none(), "the controller runs already");
        let _ = fs::remove_file(self.addresses_file());
        self.child = Some(Child::start(&self.command(), &self.log_file()));
        self.become_ready().await;
    }

    /// Stops it as Kubernetes does, and gives how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.child.take().expect("it runs").terminate()
    }

    /// Ends it between two instructions.
    pub fn kill(&mut self) {
        self.child.take().expect("it runs").kill();
    }

    /// Removes what it keeps on disk; only while it is stopped.
    pub fn clear_caches(&self) {
        assert!(self.child.is_none(), "the controller runs");
        let data = self.data_dir();
        fs::remove_dir_all(&data).expect("its data can be removed");
        fs::create_dir_all(&data).expect("a directory for the controller");
    }

    /// The running process, to look at or to freeze.
    pub fn process(&mut self) -> &mut Child {
        self.child.as_mut().expect("it runs")
    }

    /// The public listener, as `http://HOST:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addresses.public)
    }

    /// The metrics listener, as `http://HOST:PORT`.
    pub fn metrics_url(&self) -> String {
        format!("http://{}", self.addresses.metrics)
    }

    /// The listener that asks who is there, as `https://HOST:PORT`.
    pub fn api_url(&self) -> String {
        format!("https://{}", self.addresses.api)
    }

    /// Where the sealing certificate is.
    pub fn certificate_url(&self) -> String {
        format!("{}/v1/cert.pem", self.url())
    }

    /// Where the key set document is.
    pub fn key_set_url(&self) -> String {
        format!("{}/v1/keys", self.url())
    }

    /// Makes the Services `signet` and `signet-api` lead here, so that the API server proxies to the controller as it does to a Pod.
    pub fn expose(&self, cluster: &Cluster) {
        let ways = [
            ("signet", "8080", "http", &self.addresses.public),
            ("signet-api", "443", "https", &self.addresses.api),
        ];
        for (service, port, port_name, to) in ways {
            cluster.expose((NAMESPACE, service), (port, port_name), to);
        }
    }

    /// Where it keeps Git repositories.
    pub fn data_dir(&self) -> PathBuf {
        self.options.home.join("data")
    }

    /// Everything it ever wrote to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.options.home.join("controller.log")
    }

    fn addresses_file(&self) -> PathBuf {
        self.options.home.join("addresses.json")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(paths::binary("signet-controller"));
        command
            .arg("--kubeconfig")
            .arg(self.options.home.join("kubeconfig"))
            .arg("--data-dir")
            .arg(self.data_dir())
            .arg("--addresses-file")
            .arg(self.addresses_file())
            .args(["--listen", "127.0.0.1:0", "--listen-metrics", "127.0.0.1:0"])
            .args(["--listen-api", "127.0.0.1:0"])
            .args(["--namespace", NAMESPACE])
            .args(&self.options.arguments)
            .envs(self.options.environment.iter().cloned());
        command
    }

    async fn become_ready(&mut self) {
        let file = self.addresses_file();
        self.addresses = self
            .ask("say its addresses", || async { read_addresses(&file) })
            .await;
        let url = format!("{}/readyz", self.url());
        self.ask("be ready", || ready(&url)).await;
    }

    async fn ask<T, F>(&mut self, what: &str, mut question: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        let log = self.log_file();
        let child = &mut self.child;
        wait::poll(&format!("the controller to {what}"), || {
            if let Some(status) = child.as_mut().and_then(Child::ended) {
                let log = fs::read_to_string(&log).unwrap_or_default();
                panic!("the controller ended ({status}) before it could {what}:\n{log}");
            }
            let answer = question();
            let log = &log;
            async move {
                answer
                    .await
                    .map_err(|seen| format!("{seen}\n{}", fs::read_to_string(log).unwrap_or_default()))
            }
        })
        .await
    }
}

fn read_addresses(file: &Path) -> Result<Addresses, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("{error} in {text:?}"))
}

async fn ready(url: &str) -> Result<(), String> {
    match http::get(url).await {
        Some(reply) if reply.status == 200 => Ok(()),
        reply => Err(format!("{reply:?}")),
    }
}
