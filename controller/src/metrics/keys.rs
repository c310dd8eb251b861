//! Metrics of the sealing keys, read from the ring itself when somebody asks.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use sealing::KeyRing;

/// Counts that outlive the ring they come from: a changed set of keys is a new ring.
#[derive(Default)]
pub struct KeyMetrics(Mutex<State>);

#[derive(Default)]
struct State {
    ring: Option<Arc<KeyRing>>,
    earlier_operations: u64,
    unusable: i64,
}

impl KeyMetrics {
    /// From now on `ring` is the one in use; `unusable` Secrets are labelled as sealing keys and are none.
    ///
    /// Operations that a worker still does with the ring before are not counted: there are only as many as were under
    /// way at that moment.
    pub fn replaced(&self, ring: Arc<KeyRing>, unusable: usize) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = state.ring.replace(ring) {
            state.earlier_operations = state
                .earlier_operations
                .saturating_add(before.private_operations());
        }
        state.unusable = i64::try_from(unusable).unwrap_or(i64::MAX);
    }

    /// Private operations of all rings so far.
    #[must_use]
    pub fn private_operations(&self) -> u64 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .private_operations()
    }
}

impl State {
    fn private_operations(&self) -> u64 {
        let current = self.ring.as_ref().map_or(0, |ring| ring.private_operations());
        self.earlier_operations.saturating_add(current)
    }
}

impl fmt::Debug for KeyMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyMetrics(..)")
    }
}

impl Collector for KeyMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let operations = ConstCounter::new(state.private_operations());
        let metric = encoder.encode_descriptor(
            "private_key_operations",
            "Private operations: of format v1 each an attempt to open one sealed value, of format v2 a data key",
            None,
            operations.metric_type(),
        )?;
        operations.encode(metric)?;

        let unusable = ConstGauge::new(state.unusable);
        let metric = encoder.encode_descriptor(
            "sealing_keys_unusable",
            "Secrets that are labelled as sealing keys and cannot be used as one",
            None,
            unusable.metric_type(),
        )?;
        unusable.encode(metric)?;

        let one = ConstGauge::new(1_i64);
        let mut metric = encoder.encode_descriptor(
            "sealing_key_info",
            "Sealing keys that are loaded",
            None,
            one.metric_type(),
        )?;
        for key in state.ring.iter().flat_map(|ring| ring.keys()) {
            let not_before = jiff::Timestamp::try_from(key.certificate().not_before())
                .map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
                .unwrap_or_default();
            let labels = [
                ("fingerprint", key.fingerprint().as_str()),
                ("not_before", not_before.as_str()),
            ];
            one.encode(metric.encode_family(&labels)?)?;
        }
        for key in state.ring.iter().flat_map(|ring| ring.native().iter()) {
            let labels = [
                ("fingerprint", key.key_id().as_str()),
                ("suite", key.suite().as_str()),
            ];
            one.encode(metric.encode_family(&labels)?)?;
        }

        let mut metric = encoder.encode_descriptor(
            "sealing_key_not_before_seconds",
            "When the certificate of a sealing key of format v1 begins, in seconds since 1970",
            None,
            one.metric_type(),
        )?;
        for key in state.ring.iter().flat_map(|ring| ring.keys()) {
            let begins = key.certificate().not_before();
            let seconds = begins
                .duration_since(std::time::SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            let gauge = ConstGauge::new(i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX));
            let labels = [("fingerprint", key.fingerprint().as_str())];
            gauge.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
