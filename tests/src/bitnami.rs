//! The real sealed-secrets controller as a process beside the control plane, with what a pod of it would have.
//!
//! It takes in-cluster configuration only: two environment variables, and the service account's folder, which it gets in a
//! mount namespace of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::child::Child;
use crate::{Cluster, http, objects, paths};
use serde_json::{Value, json};

/// Who it is to the API server.
pub const USER: &str = "system:serviceaccount:sealed-secrets:sealed-secrets";
/// Its namespace, and the names of its account and its Deployment.
pub const PLACE: &str = "sealed-secrets";
const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// It says ready when its watches have started, which takes well under a second.
const READY: Duration = Duration::from_mins(1);

/// Only root may make a mount namespace without a user namespace around it.
const ENTER: &str = r#"
set -e
files=$1; shift
mount -t tmpfs tmpfs /var/run
mkdir -p FOLDER
cp "$files"/* FOLDER
exec "$@"
"#;
const START: &str = r#"
if [ "$(id -u)" = 0 ]; then exec unshare --mount /bin/sh "$@"; else exec unshare --map-root-user --mount /bin/sh "$@"; fi
"#;

/// What it needs on the cluster and on the disk; it can be started again and again.
pub struct Bitnami {
    home: PathBuf,
    server: (String, String),
    log: PathBuf,
}

/// A running one.
pub struct Running {
    child: Child,
    address: String,
    /// When the process was started.
    pub started: Instant,
    /// When it said so.
    pub ready: Instant,
}

impl Bitnami {
    /// Installs its kind, its rights and the sealing key, whose `data` is that of a TLS Secret.
    pub fn install(cluster: &Cluster, key: &Value) -> Self {
        if cluster.kubectl(["get", "crd", "sealedsecrets.bitnami.com"]).code != 0 {
            apply(cluster, &kind());
            let established = "--for=condition=Established";
            cluster
                .kubectl([
                    "wait",
                    established,
                    "crd/sealedsecrets.bitnami.com",
                    "--timeout=60s",
                ])
                .ok();
        }
        let account = json!({"name": PLACE, "namespace": PLACE});
        apply(
            cluster,
            &objects::list(&[
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE}}),
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}),
                json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                    "metadata": {"name": PLACE},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                    "subjects": [{"kind": "ServiceAccount", "name": PLACE, "namespace": PLACE}]}),
                json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": key,
                    "metadata": {"name": "sealed-secrets-key0", "namespace": PLACE,
                        "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"}}}),
            ]),
        );
        let home = cluster.home().join("bitnami");
        let files = home.join("account");
        std::fs::create_dir_all(&files).expect("a directory");
        let token = cluster
            .kubectl(["create", "token", PLACE, "--namespace", PLACE, "--duration=4h"])
            .ok();
        let write = |name: &str, content: &[u8]| std::fs::write(files.join(name), content).expect("a file");
        write("token", token.trim().as_bytes());
        write("namespace", PLACE.as_bytes());
        write(
            "ca.crt",
            &std::fs::read(cluster.ca_file()).expect("the authority's certificate"),
        );
        let address = cluster.server().trim_start_matches("https://");
        let (host, port) = address.rsplit_once(':').expect("a host and a port");
        let log = home.join("log");
        cluster.note_log(log.clone());
        Self {
            server: (host.to_owned(), port.to_owned()),
            home,
            log,
        }
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> Running {
        let [api, metrics] = [free_port(), free_port()];
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", START, "sh", "-c"])
            .arg(ENTER.replace("FOLDER", FOLDER))
            .arg("sh")
            .arg(self.home.join("account"))
            .arg(controller())
            // No limit of its own on requests, from it or to it, no second key, nothing else to listen to.
            .args(["--kubeclient-qps=-1", "--key-renew-period=0"])
            .args(["--rate-limit=1000000", "--rate-limit-burst=1000000"])
            .arg(format!("--listen-addr={api}"))
            .arg(format!("--listen-metrics-addr={metrics}"))
            .env("KUBERNETES_SERVICE_HOST", &self.server.0)
            .env("KUBERNETES_SERVICE_PORT", &self.server.1)
            .env("POD_NAMESPACE", PLACE);
        let started = Instant::now();
        let mut child = Child::start(&command, &self.log);
        let url = format!("http://{api}/readyz");
        loop {
            if http::get(&url).await.is_some_and(|reply| reply.status == 200) {
                break;
            }
            let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(child.ended().is_none(), "sealed-secrets ended\n{}", log());
            assert!(
                started.elapsed() < READY,
                "sealed-secrets is not ready\n{}",
                log()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Running {
            child,
            address: api,
            started,
            ready: Instant::now(),
        }
    }
}

impl Running {
    /// Its process.
    pub fn pid(&self) -> i32 {
        self.child.id()
    }

    /// Makes it a Service, for kubeseal.
    pub fn expose(&self, cluster: &Cluster) {
        cluster.expose((PLACE, PLACE), ("8080", "http"), &self.address);
    }

    /// Ends it.
    pub fn stop(self) {
        self.child.kill();
    }
}

fn controller() -> PathBuf {
    let beside = |path: PathBuf| path.parent().map(Path::to_owned);
    let folder = beside(paths::kubeseal()).expect("kubeseal is in a folder");
    let path = folder.join("sealed-secrets-controller");
    assert!(path.is_file(), "{} is not built: `make kubeseal`", path.display());
    path
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

fn apply(cluster: &Cluster, object: &Value) {
    cluster
        .kubectl_with(
            ["apply", "--server-side", "--force-conflicts", "-f", "-"],
            &object.to_string(),
        )
        .ok();
}

/// The kind, as far as its controller needs it.
fn kind() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "sealedsecrets.bitnami.com"},
        "spec": {
            "group": "bitnami.com", "scope": "Namespaced",
            "names": {"kind": "SealedSecret", "listKind": "SealedSecretList", "plural": "sealedsecrets", "singular": "sealedsecret"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
            }],
        },
    })
}
