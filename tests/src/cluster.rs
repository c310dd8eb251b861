//! A control plane of one's own, or the one that all tests of a process share.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

use crate::audit::Audit;
use crate::command::{self, Answer};
use crate::install;
use crate::launch::{Lifetime, launch};

/// Names a kubeconfig of a running cluster to use instead of starting a shared one: for quick turns while writing tests.
const REUSE: &str = "SIGNET_TEST_KUBECONFIG";

static SHARED: OnceCell<Cluster> = OnceCell::const_new();

/// A control plane weighs half a gigabyte and both processors while it starts.
static OWN: Semaphore = Semaphore::const_new(2);

/// A running Kubernetes control plane with Signet's kinds and rights installed.
pub struct Cluster {
    kubeconfig: PathBuf,
    server: String,
    ca_file: PathBuf,
    home: PathBuf,
    audit: Audit,
    client: Client,
    ready_seconds: f64,
    notes: Mutex<Vec<PathBuf>>,
    process: Option<Child>,
    lifetime: Lifetime,
    _permit: Option<SemaphorePermit<'static>>,
}

impl Cluster {
    /// The cluster that all tests of this process share, each in namespaces of its own.
    pub async fn shared() -> &'static Self {
        SHARED
            .get_or_init(|| async {
                match std::env::var_os(REUSE) {
                    Some(kubeconfig) => Self::reuse(kubeconfig.into()).await,
                    None => Self::start(&new_home(), Lifetime::Held, None).await,
                }
            })
            .await
    }

    /// A cluster for one test: for what is cluster-wide by nature, or counts requests, or restarts the controller.
    pub async fn own() -> Self {
        let permit = OWN.acquire().await.expect("never closed");
        Self::start(&new_home(), Lifetime::Held, Some(permit)).await
    }

    /// The same with nothing of Signet in it.
    pub async fn empty() -> Self {
        let permit = OWN.acquire().await.expect("never closed");
        Self::bare(&new_home(), Lifetime::Held, Some(permit)).await
    }

    /// A cluster that outlives this process, in a directory that is kept.
    pub async fn detached(home: &Path) -> Self {
        Self::start(home, Lifetime::Detached, None).await
    }

    /// A cluster for the demo, gone with this process.
    pub async fn held() -> Self {
        Self::start(&new_home(), Lifetime::Held, None).await
    }

    async fn start(home: &Path, lifetime: Lifetime, permit: Option<SemaphorePermit<'static>>) -> Self {
        let cluster = Self::bare(home, lifetime, permit).await;
        install::install(&cluster);
        cluster
    }

    async fn bare(home: &Path, lifetime: Lifetime, permit: Option<SemaphorePermit<'static>>) -> Self {
        let data = home.to_owned();
        let (process, report) = tokio::task::spawn_blocking(move || launch(&data, lifetime))
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        Self {
            client: client(&report.kubeconfig).await,
            kubeconfig: report.kubeconfig,
            server: report.server,
            ca_file: report.ca_file,
            home: home.to_owned(),
            audit: Audit::new(report.audit_log),
            ready_seconds: report.ready_seconds,
            notes: Mutex::default(),
            process: Some(process),
            lifetime,
            _permit: permit,
        }
    }

    async fn reuse(kubeconfig: PathBuf) -> Self {
        let data = kubeconfig.parent().expect("a path of a file").to_owned();
        let home = data.join(format!("test-{}", std::process::id()));
        std::fs::create_dir_all(&home).expect("a directory beside the kubeconfig");
        let config = Kubeconfig::read_from(&kubeconfig).expect("a kubeconfig");
        let server = config.clusters[0].cluster.as_ref().and_then(|c| c.server.clone());
        let cluster = Self {
            client: client(&kubeconfig).await,
            server: server.expect("a server's address"),
            ca_file: data.join("ca.crt"),
            home,
            audit: Audit::new(data.join("audit.log")),
            ready_seconds: 0.0,
            notes: Mutex::default(),
            process: None,
            lifetime: Lifetime::Held,
            _permit: None,
            kubeconfig,
        };
        install::install(&cluster);
        cluster
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The API server's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The API server's certificate authority.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// The control plane's own directory.
    pub fn data_dir(&self) -> &Path {
        self.kubeconfig.parent().expect("a path of a file")
    }

    /// A directory that goes away with the cluster.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Who asked the API server for what.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The administrator's client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// How long the control plane took to be ready.
    pub fn ready_seconds(&self) -> f64 {
        self.ready_seconds
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Answer {
        self.kubectl_with(arguments, "")
    }

    /// Makes what listens at `to` (`HOST:PORT`) a Service, given by namespace and name, with one port, given by number and name.
    pub fn expose(&self, (namespace, service): (&str, &str), (port, port_name): (&str, &str), to: &str) {
        let mut expose = std::process::Command::new(crate::paths::signet_cluster());
        expose
            .arg("expose")
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(["--namespace", namespace, "--service", service])
            .args(["--port", port, "--port-name", port_name, "--to", to]);
        command::run(expose, b"").ok();
    }

    /// Runs kubectl as the administrator, with something on its standard input.
    pub fn kubectl_with<'a>(&self, arguments: impl IntoIterator<Item = &'a str>, input: &str) -> Answer {
        let mut kubectl = command::kubectl(&self.kubeconfig);
        kubectl.args(arguments);
        command::run(kubectl, input.as_bytes())
    }

    /// Runs `signet` as the administrator.
    pub fn signet<'a>(&self, arguments: impl IntoIterator<Item = &'a str>, input: &str) -> Answer {
        let mut signet: Command = command::signet(&self.kubeconfig);
        signet.args(arguments).current_dir(&self.home);
        command::run(signet, input.as_bytes())
    }

    /// A log file whose end belongs into the message of any failure on this cluster.
    pub fn note_log(&self, log: PathBuf) {
        self.notes().push(log);
    }

    /// The ends of the noted logs.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        for log in self.notes().iter() {
            let content = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<_> = content.lines().collect();
            let tail = &lines[lines.len().saturating_sub(40)..];
            let _ = writeln!(text, "--- end of {}\n{}", log.display(), tail.join("\n"));
        }
        text
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take()
            && self.lifetime == Lifetime::Held
        {
            drop(process.stdin.take());
            let _ = process.wait();
        }
    }
}

/// A client from a kubeconfig file.
pub(crate) async fn client(kubeconfig: &Path) -> Client {
    let file = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .expect("a usable kubeconfig");
    Client::try_from(config).expect("a client")
}

/// An empty directory. Whoever gets it removes it: the control plane, when it ends.
fn new_home() -> PathBuf {
    tempfile::Builder::new()
        .prefix("signet-test-")
        .tempdir()
        .expect("a temporary directory")
        .keep()
}
