//! The cluster with a running controller and a Git server, and what is asked of them again and again.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tests::audit::{self, Mark, Request};
use tests::{Cluster, Controller, ControllerOptions, GitServer, http};

use crate::process::{self, Machine, Used};

/// A controller that sends no request for so long has nothing left to do: its checkpoint is written after two seconds.
const SILENCE: Duration = Duration::from_secs(3);

pub(crate) struct Ground {
    pub(crate) client: Client,
    pub(crate) controller: Controller,
    pub(crate) git: GitServer,
    pub(crate) cluster: Cluster,
}

/// Where the controller and the machine were when something began.
pub(crate) struct Start {
    mark: Mark,
    cpu: f64,
    machine: Machine,
    pub(crate) at: Instant,
    wall: Timestamp,
}

/// What it took until the controller had nothing left to do.
pub(crate) struct Cost {
    pub(crate) cpu: f64,
    pub(crate) machine: Used,
    pub(crate) requests: Vec<Request>,
    /// From the start to the controller's last request, in seconds.
    pub(crate) settled: f64,
    pub(crate) rss: f64,
    pub(crate) peak: f64,
}

impl Ground {
    pub(crate) async fn start(cluster: Cluster) -> Self {
        let options = ControllerOptions::plain(cluster.home());
        Self {
            client: crate::client::plain(cluster.kubeconfig()).await,
            controller: Controller::start(&cluster, options).await,
            git: GitServer::start(&cluster.home().join("git")).await,
            cluster,
        }
    }

    pub(crate) fn pid(&mut self) -> i32 {
        self.controller.process().id()
    }

    /// Something is about to begin.
    pub(crate) fn begin(&mut self) -> Start {
        let cpu = process::cpu_seconds(self.pid());
        self.begin_with(cpu)
    }

    /// The controller is about to be started.
    pub(crate) fn begin_without(&self) -> Start {
        self.begin_with(0.0)
    }

    fn begin_with(&self, cpu: f64) -> Start {
        Start {
            mark: self.cluster.audit().mark(),
            cpu,
            machine: Machine::now(),
            wall: Timestamp::now(),
            at: Instant::now(),
        }
    }

    /// Waits until the controller has nothing left to do.
    pub(crate) async fn rest(&mut self, start: &Start) -> Cost {
        loop {
            let mark = self.cluster.audit().mark();
            tokio::time::sleep(SILENCE).await;
            if self.cluster.audit().by_controller(mark).is_empty() {
                break;
            }
        }
        let requests = self.cluster.audit().by_controller(start.mark);
        let last = requests
            .iter()
            .filter_map(|request| request.time.parse::<Timestamp>().ok())
            .max();
        let pid = self.pid();
        Cost {
            cpu: process::cpu_seconds(pid) - start.cpu,
            machine: start.machine.used(),
            settled: last.map_or(0.0, |last| last.duration_since(start.wall).as_secs_f64().max(0.0)),
            requests,
            rss: process::resident(pid),
            peak: process::peak(pid),
        }
    }

    /// A counter of the controller.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let reply = http::get(&format!("{}/metrics", self.controller.metrics_url())).await;
        let body = reply.expect("the controller answers").body;
        let line = body
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("no metric {name} in\n{body}"))
    }
}

impl Cost {
    pub(crate) fn writes(&self) -> usize {
        self.requests.iter().filter(|request| request.writes()).count()
    }

    /// The requests by verb and resource.
    pub(crate) fn summary(&self) -> String {
        audit::summary(&self.requests)
    }
}
