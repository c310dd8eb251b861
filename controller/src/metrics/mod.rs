//! What the controller counts, as OpenMetrics text. No name of a Secret, object or repository is a label, unless somebody
//! asks for `sealed_secrets_controller_condition_info`.

mod keys;
mod process;
mod rotation;
mod sealed;

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub use keys::KeyMetrics;
pub use rotation::RotationMetrics;
pub use sealed::{SealedMetrics, UnsealError};

/// Content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As wished.
    Success,
    /// Not as wished; it is tried again.
    Failure,
}

/// What a poll of a remote found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollOutcome {
    /// The commit that is known already.
    Unchanged,
    /// Another commit.
    Changed,
    /// No answer that could be used.
    Failure,
    /// Not asked: another Repository that asks the same had just been answered.
    Shared,
}

/// What became of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// Repositories look at their remotes.
    Taken,
    /// Signed, and nothing here follows what it tells of.
    Ignored,
    /// Delivered before.
    Replayed,
    /// Not signed with the secret, or no such receiver.
    Refused,
    /// Signed, and too many.
    Limited,
    /// Signed, and not JSON.
    Unreadable,
}

/// What an apply did to one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// It was not there before.
    Created,
    /// It was there, and different.
    Changed,
    /// It was there, as Git has it.
    Unchanged,
    /// The API server refused it, or it could not be sent.
    Failed,
}

/// The label `result`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabel {
    result: &'static str,
}

/// A counter by result; count with [`count`].
pub type ByResult = Family<ResultLabel, Counter>;

/// Every metric of the controller.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// `signet_sync_runs_total{result}`: runs of Syncs.
    pub sync_runs: ByResult,
    /// `signet_objects_applied_total{result}`: objects that were applied.
    pub objects_applied: ByResult,
    /// `signet_objects_pruned_total`: objects that were deleted because they left Git.
    pub objects_pruned: Counter,
    /// `signet_drift_repaired_total`: objects that were put back after somebody changed or deleted them.
    pub drift_repaired: Counter,
    /// `signet_polls_total{result}`: questions to remotes for their newest commit.
    pub polls: ByResult,
    /// `signet_fetches_total{result}`: fetches of a new commit.
    pub fetches: ByResult,
    /// `signet_webhooks_total{result}`: deliveries of webhooks.
    pub webhooks: ByResult,
    /// `signet_fetch_seconds`: how long fetches took.
    pub fetch_seconds: Histogram,
    /// `signet_repositories`: Repositories that are followed.
    pub repositories: Gauge,
    /// `signet_private_key_operations_total`, `signet_sealing_key_info{fingerprint,not_before}`,
    /// `signet_sealing_keys_unusable`, `signet_sealing_key_values{fingerprint}`,
    /// `signet_sealing_key_not_before_seconds{fingerprint,format}`.
    pub keys: Arc<KeyMetrics>,
    /// `signet_key_rotations{phase}`, `signet_key_rotation_…`.
    pub rotations: RotationMetrics,
    /// `sealed_secrets_controller_…`: what Bitnami's controller counts, under its names.
    pub sealed: SealedMetrics,
}

impl Metrics {
    /// All metrics at zero, and those of the process. With `names`, SealedSecrets are named in labels.
    #[must_use]
    pub fn new(names: bool) -> Self {
        let mut registry = Registry::with_prefix("signet");
        let sync_runs = ByResult::default();
        registry.register("sync_runs", "Runs of Syncs", sync_runs.clone());
        let objects_applied = ByResult::default();
        registry.register(
            "objects_applied",
            "Objects that were applied",
            objects_applied.clone(),
        );
        let objects_pruned = Counter::default();
        registry.register(
            "objects_pruned",
            "Objects that were deleted because they left Git",
            objects_pruned.clone(),
        );
        let drift_repaired = Counter::default();
        registry.register(
            "drift_repaired",
            "Objects that were put back after somebody changed or deleted them",
            drift_repaired.clone(),
        );
        let polls = ByResult::default();
        registry.register(
            "polls",
            "Questions to remotes for their newest commit",
            polls.clone(),
        );
        let fetches = ByResult::default();
        registry.register("fetches", "Fetches of a new commit", fetches.clone());
        let webhooks = ByResult::default();
        registry.register("webhooks", "Deliveries of webhooks", webhooks.clone());
        // 5 ms to 80 s.
        let fetch_seconds = Histogram::new((0..15).map(|n| 0.005 * f64::from(1_u16 << n)));
        registry.register("fetch_seconds", "How long fetches took", fetch_seconds.clone());
        let repositories = Gauge::default();
        registry.register(
            "repositories",
            "Repositories that are followed",
            repositories.clone(),
        );
        let rotations = RotationMetrics::default();
        rotations.register(&mut registry);
        let keys = Arc::new(KeyMetrics::default());
        registry.register_collector(Box::new(Arc::clone(&keys)));

        Self {
            registry,
            sync_runs,
            objects_applied,
            objects_pruned,
            drift_repaired,
            polls,
            fetches,
            webhooks,
            fetch_seconds,
            repositories,
            keys,
            rotations,
            sealed: SealedMetrics::new(names),
        }
    }

    /// All metrics as OpenMetrics text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::with_capacity(8 << 10);
        prometheus_client::encoding::text::encode_registry(&mut text, &self.registry)?;
        self.sealed.encode(&mut text)?;
        process::encode(&mut text)?;
        prometheus_client::encoding::text::encode_eof(&mut text)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(false)
    }
}

/// Counts `n` more with this result.
pub fn count(family: &ByResult, result: impl Into<&'static str>, n: u64) {
    let result = result.into();
    family.get_or_create(&ResultLabel { result }).inc_by(n);
}

impl From<Outcome> for &'static str {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
        }
    }
}

impl From<PollOutcome> for &'static str {
    fn from(outcome: PollOutcome) -> Self {
        match outcome {
            PollOutcome::Unchanged => "unchanged",
            PollOutcome::Changed => "changed",
            PollOutcome::Failure => "failure",
            PollOutcome::Shared => "shared",
        }
    }
}

impl From<WebhookOutcome> for &'static str {
    fn from(outcome: WebhookOutcome) -> Self {
        match outcome {
            WebhookOutcome::Taken => "taken",
            WebhookOutcome::Ignored => "ignored",
            WebhookOutcome::Replayed => "replayed",
            WebhookOutcome::Refused => "refused",
            WebhookOutcome::Limited => "limited",
            WebhookOutcome::Unreadable => "unreadable",
        }
    }
}

impl From<ApplyOutcome> for &'static str {
    fn from(outcome: ApplyOutcome) -> Self {
        match outcome {
            ApplyOutcome::Created => "created",
            ApplyOutcome::Changed => "changed",
            ApplyOutcome::Unchanged => "unchanged",
            ApplyOutcome::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ApplyOutcome, Metrics, Outcome, count};
    use std::sync::Arc;

    #[test]
    fn alerts_ask_for_what_there_is() {
        let metrics = Metrics::new(false);
        let ring = sealing::KeyRing::new([]);
        let native = sealing::v2::Identity::generate(sealing::v2::Suite::X25519).unwrap();
        let made = vec![(native.key_id().as_str().to_owned(), 1_000)];
        metrics
            .keys
            .replaced(Arc::new(ring.with_native([native])), made, 0);
        metrics.rotations.set(["Blocked"], 0, 0);
        let text = metrics.encode().unwrap();
        let rules = include_str!("../../../deploy/prometheus-rules.yaml");
        let expressions = rules
            .lines()
            .filter_map(|line| line.trim().strip_prefix("expr: "));
        let mut names = 0;
        for word in expressions.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        {
            if word.starts_with("signet_") {
                names += 1;
                assert!(
                    text.lines().any(|line| line.starts_with(&format!("{word}{{"))
                        || line.starts_with(&format!("{word} "))),
                    "{word} is missing in\n{text}"
                );
            }
        }
        assert!(names > 8, "{names}");
    }

    #[test]
    fn values_are_counted_by_the_key_that_opened_them() {
        let metrics = Metrics::new(false);
        let native = sealing::v2::Identity::generate(sealing::v2::Suite::X25519).unwrap();
        let id = native.key_id().as_str().to_owned();
        let ring = sealing::KeyRing::new([]).with_native([native]);
        metrics.keys.replaced(Arc::new(ring), Vec::new(), 0);
        let has = |line: &str| metrics.encode().unwrap().lines().any(|found| found == line);
        let line =
            |id: &str, count: u32| format!("signet_sealing_key_values{{fingerprint=\"{id}\"}} {count}");
        assert!(has(&line(&id, 0)), "nothing hangs on it");
        metrics
            .keys
            .used("shop/a", vec![(id.clone(), 3), ("SHA256:gone".into(), 1)]);
        metrics.keys.used("shop/b", vec![(id.clone(), 2)]);
        assert!(has(&line(&id, 5)) && has(&line("SHA256:gone", 1)));
        metrics.keys.used("shop/a", Vec::new());
        assert!(has(&line(&id, 2)) && !has(&line("SHA256:gone", 1)));
    }

    #[test]
    fn counts_show_up_by_their_documented_names() {
        let metrics = Metrics::new(false);
        count(&metrics.sync_runs, Outcome::Success, 1);
        count(&metrics.objects_applied, ApplyOutcome::Created, 1);
        metrics.objects_pruned.inc();
        metrics.rotations.set(["Pending"], 0, 0);
        metrics.rotations.set(["Blocked", "Complete", "Blocked"], 3, 7);
        metrics.rotations.set_leaked(4);
        metrics.fetch_seconds.observe(0.02);
        let text = metrics.encode().unwrap();
        for line in [
            "signet_sync_runs_total{result=\"success\"} 1",
            "signet_objects_applied_total{result=\"created\"} 1",
            "signet_objects_pruned_total 1",
            "signet_fetch_seconds_count 1",
            "signet_private_key_operations_total 0",
            "signet_key_rotations{phase=\"Blocked\"} 2",
            "signet_key_rotation_blocked 7",
            "signet_key_rotation_leaked_values 4",
            "# TYPE process_resident_memory_bytes gauge",
            "# TYPE process_cpu_seconds counter",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is missing in\n{text}"
            );
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
