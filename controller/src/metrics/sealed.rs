//! What Bitnami's controller counts, under the names that its users' dashboards and alerts have.

use std::fmt::{self, Write};
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Why a SealedSecret was not made into its Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsealError {
    /// It could not be read.
    Fetch,
    /// It does not open.
    Unseal,
    /// The Secret is somebody else's.
    Unmanaged,
    /// The Secret could not be written.
    Update,
    /// The status could not be written.
    Status,
}

/// Metrics with the prefix `sealed_secrets_controller_`.
pub struct SealedMetrics {
    registry: Registry,
    /// `unseal_requests_total`: turns in which a SealedSecret was to be opened.
    pub requests: Counter,
    errors: Family<ErrorLabels, Counter>,
    /// `http_requests_total`.
    http: Family<HttpLabels, Counter>,
    /// `http_request_duration_seconds`.
    seconds: Family<PathLabels, Histogram>,
    conditions: Option<Conditions>,
}

/// Namespace and name.
type Name = (Arc<str>, Arc<str>);

/// `condition_info`: -1, 0, 1 for False, unknown, True.
struct Conditions {
    family: Family<ConditionLabels, Gauge>,
    /// Labels that are set, by namespace and name: the instance may change.
    set: Mutex<HashMap<Name, ConditionLabels>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    reason: &'static str,
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    namespace: String,
    name: String,
    condition: &'static str,
    ss_app_kubernetes_io_instance: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpLabels {
    path: &'static str,
    code: u16,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PathLabels {
    path: &'static str,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    revision: &'static str,
}

impl SealedMetrics {
    /// All at zero. With `names`, SealedSecrets are named.
    #[must_use]
    pub fn new(names: bool) -> Self {
        let mut registry = Registry::with_prefix("sealed_secrets_controller");
        let build: Family<BuildLabels, Gauge> = Family::default();
        let revision = env!("CARGO_PKG_VERSION");
        build.get_or_create(&BuildLabels { revision }).set(0);
        registry.register("build_info", "The version that runs", build);
        let requests = Counter::default();
        registry.register(
            "unseal_requests",
            "SealedSecrets that were to be opened",
            requests.clone(),
        );
        let errors: Family<ErrorLabels, Counter> = Family::default();
        registry.register(
            "unseal_errors",
            "SealedSecrets that did not become their Secrets",
            errors.clone(),
        );
        let http: Family<HttpLabels, Counter> = Family::default();
        registry.register("http_requests", "Requests to the public listener", http.clone());
        let seconds: Family<PathLabels, Histogram> = Family::new_with_constructor(|| {
            // Prometheus' default buckets, as upstream has them.
            Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
        });
        registry.register(
            "http_request_duration_seconds",
            "How long they took",
            seconds.clone(),
        );
        let conditions = names.then(|| {
            let family: Family<ConditionLabels, Gauge> = Family::default();
            registry.register("condition_info", "Conditions of SealedSecrets", family.clone());
            Conditions {
                family,
                set: Mutex::default(),
            }
        });
        Self {
            registry,
            requests,
            errors,
            http,
            seconds,
            conditions,
        }
    }

    /// Counts a failure.
    pub fn failed(&self, reason: UnsealError, namespace: &str) {
        let reason = match reason {
            UnsealError::Fetch => "fetch",
            UnsealError::Unseal => "unseal",
            UnsealError::Unmanaged => "unmanaged",
            UnsealError::Update => "update",
            UnsealError::Status => "status",
        };
        let namespace = namespace.to_owned();
        self.errors
            .get_or_create(&ErrorLabels { reason, namespace })
            .inc();
    }

    /// Counts a request to the public listener.
    pub fn answered(&self, path: &'static str, method: &'static str, code: u16, took: Duration) {
        self.http.get_or_create(&HttpLabels { path, code, method }).inc();
        self.seconds
            .get_or_create(&PathLabels { path, method })
            .observe(took.as_secs_f64());
    }

    /// A SealedSecret's condition `Synced`; none where it is not known.
    pub fn condition(&self, name: &Name, instance: Option<&str>, synced: Option<bool>) {
        let Some(conditions) = &self.conditions else {
            return;
        };
        let labels = ConditionLabels {
            namespace: name.0.to_string(),
            name: name.1.to_string(),
            condition: "Synced",
            ss_app_kubernetes_io_instance: instance.unwrap_or_default().to_owned(),
        };
        let mut set = conditions.set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = set.insert(name.clone(), labels.clone())
            && before != labels
        {
            conditions.family.remove(&before);
        }
        let value = synced.map_or(0, |synced| if synced { 1 } else { -1 });
        conditions.family.get_or_create(&labels).set(value);
    }

    /// A SealedSecret is gone.
    pub fn forget(&self, name: &Name) {
        let Some(conditions) = &self.conditions else {
            return;
        };
        let mut set = conditions.set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(labels) = set.remove(name) {
            conditions.family.remove(&labels);
        }
    }

    pub(super) fn encode(&self, out: &mut impl Write) -> fmt::Result {
        encode_registry(out, &self.registry)
    }
}

impl fmt::Debug for SealedMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedMetrics(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(metrics: &SealedMetrics) -> String {
        let mut text = String::new();
        metrics.encode(&mut text).unwrap();
        text
    }

    #[test]
    fn dashboards_of_bitnamis_controller_find_their_metrics() {
        let metrics = SealedMetrics::new(true);
        let name = ("shop".into(), "db".into());
        metrics.requests.inc();
        metrics.failed(UnsealError::Unmanaged, "shop");
        metrics.answered("/v1/verify", "POST", 409, Duration::from_millis(3));
        metrics.condition(&name, Some("web"), Some(false));
        let said = text(&metrics);
        for line in [
            "sealed_secrets_controller_unseal_requests_total 1",
            "sealed_secrets_controller_unseal_errors_total{reason=\"unmanaged\",namespace=\"shop\"} 1",
            "sealed_secrets_controller_http_requests_total{path=\"/v1/verify\",code=\"409\",method=\"POST\"} 1",
            "sealed_secrets_controller_condition_info{namespace=\"shop\",name=\"db\",condition=\"Synced\",\
             ss_app_kubernetes_io_instance=\"web\"} -1",
        ] {
            assert!(
                said.lines().any(|found| found == line),
                "{line} is missing in\n{said}"
            );
        }
        metrics.forget(&name);
        assert!(!text(&metrics).contains("\"db\""));
    }

    #[test]
    fn nobody_is_named_unless_asked_for() {
        let metrics = SealedMetrics::new(false);
        metrics.condition(&("shop".into(), "db".into()), None, Some(true));
        assert!(!text(&metrics).contains("condition_info"));
    }
}
