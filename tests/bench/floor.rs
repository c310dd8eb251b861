//! The floor: what the API server takes for the same objects from a client that does nothing else.
//!
//! The client is a process of its own, so that its processor time is not mixed with that of the watch, which is the
//! same as Signet's measurements have.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::client::Body;
use serde::{Deserialize, Serialize};
use tests::Cluster;
use tokio::task::JoinSet;

use crate::fleet::{self, Shape};
use crate::follow::Follow;
use crate::numbers::count;
use crate::process::{self, Machine};
use crate::report::Report;
use crate::{client, objects};

/// The hidden argument with which the benchmark runs itself as the client.
const SERVE: &str = "floor-client";
/// Requests under way at once, as many as a Sync has.
const AT_ONCE: usize = 32;
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// As long as the manager of a Sync.
const MANAGER: &str = "floors%2Ffloorset-0123456789012345678901234567890123456789012-v1";

/// Creates the objects in an empty namespace, and reports how fast.
pub(crate) async fn measure(cluster: &Cluster, total: usize, report: &mut Report) {
    let first = report.json()["rows"].as_array().is_none_or(Vec::is_empty);
    let (case, namespace) = if first {
        ("floor, before", "floor-before")
    } else {
        ("floor, after", "floor-after")
    };
    cluster.kubectl(["create", "namespace", namespace]).ok();
    let watching = client::plain(cluster.kubeconfig()).await;
    let follow = Follow::start::<ConfigMap>(watching, namespace, objects::expected(total));
    let before = Machine::now();
    let began = Instant::now();
    let done = serve(cluster, namespace, Shape::Maps(total), total).await;
    let seen = follow.all_good().await.duration_since(began).as_secs_f64();
    let machine = before.used();
    let rate = count(total) / done.seconds;
    report.floor(rate);
    report.add(case, "objects a second", rate, "/s");
    report.add(case, "first request → last answer", done.seconds, "s");
    report.add(case, "client started → the watch has seen all", seen, "s");
    report.add(case, "client CPU", done.cpu, "s");
    report.add(case, "control plane CPU", machine.cluster, "s");
    report.add(case, "processors busy with others", machine.others, "");
}

/// The same for the objects of a fleet: there is nobody who watches them.
pub(crate) async fn measure_fleet(
    cluster: &Cluster,
    case: &'static str,
    shape: Shape,
    total: usize,
    report: &mut Report,
) {
    cluster.kubectl(["create", "namespace", "floor"]).ok();
    let before = Machine::now();
    let done = serve(cluster, "floor", shape, total).await;
    let machine = before.used();
    report.add(case, "floor: first request → last answer", done.seconds, "s");
    report.add(case, "floor: objects a second", count(total) / done.seconds, "/s");
    report.add(case, "floor: client CPU", done.cpu, "s");
    report.add(case, "floor: processors busy with others", machine.others, "");
}

async fn serve(cluster: &Cluster, namespace: &str, shape: Shape, total: usize) -> Done {
    let mut child = tokio::process::Command::new(std::env::current_exe().expect("our own path"));
    child
        .args([SERVE, namespace, shape.word(), &total.to_string()])
        .arg(cluster.kubeconfig())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let output = child.spawn().expect("we start again").wait_with_output();
    let output = output.await.expect("its output can be read");
    assert!(output.status.success(), "the plain client failed");
    serde_json::from_slice(&output.stdout).expect("its result")
}

#[derive(Deserialize, Serialize)]
struct Done {
    seconds: f64,
    cpu: f64,
}

/// What the process is to do that is only the client.
pub(crate) struct Order {
    namespace: String,
    shop: bool,
    total: usize,
    kubeconfig: PathBuf,
}

impl Order {
    pub(crate) fn parse(words: &[String]) -> Option<Self> {
        let [order, namespace, shape, total, kubeconfig] = words else {
            return None;
        };
        (order == SERVE).then(|| Self {
            namespace: namespace.clone(),
            shop: shape == Shape::Shop.word(),
            total: total.parse().expect("a number"),
            kubeconfig: kubeconfig.into(),
        })
    }

    pub(crate) async fn serve(self) {
        let client = client::plain(&self.kubeconfig).await;
        let next = Arc::new(AtomicUsize::new(0));
        let namespace: Arc<str> = self.namespace.into();
        let began = Instant::now();
        let mut workers = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (client, next, namespace) = (client.clone(), Arc::clone(&next), Arc::clone(&namespace));
            workers.spawn(async move {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= self.total {
                        break;
                    }
                    create(&client, &namespace, self.shop, index).await;
                }
            });
        }
        workers.join_all().await;
        let done = Done {
            seconds: began.elapsed().as_secs_f64(),
            cpu: process::cpu_seconds(std::process::id().cast_signed()),
        };
        println!("{}", serde_json::to_string(&done).expect("numbers"));
    }
}

async fn create(client: &Client, namespace: &str, shop: bool, index: usize) {
    let (path, body) = if shop {
        fleet::plain(namespace, index)
    } else {
        let path = format!(
            "/api/v1/namespaces/{namespace}/configmaps/{}",
            objects::name(index)
        );
        (path, objects::body(namespace, index))
    };
    let uri = format!("{path}?fieldManager={MANAGER}&fieldValidation=Strict&force=false");
    let request = Request::patch(uri)
        .header(ACCEPT, METADATA)
        .header(CONTENT_TYPE, "application/apply-patch+yaml")
        .body(Body::from(body))
        .expect("a request");
    let answer = client.send(request).await.expect("the API server answers");
    let status = answer.status().as_u16();
    let body = answer
        .into_body()
        .collect_bytes()
        .await
        .expect("the whole answer");
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
}
