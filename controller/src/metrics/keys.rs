//! Metrics of the sealing keys, read from the ring itself when somebody asks.

use std::collections::{BTreeMap, HashMap};
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
    /// When each key of format v2 was made, in seconds since 1970, by its id.
    made: Vec<(String, i64)>,
    /// Of each Sync, how many values were opened with which key.
    used: HashMap<String, Vec<(String, u32)>>,
}

impl KeyMetrics {
    /// How many values of what a Sync has applied were opened with which key; none any more where it is gone.
    pub fn used(&self, sync: &str, keys: Vec<(String, u32)>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.is_empty() {
            state.used.remove(sync);
        } else {
            state.used.insert(sync.to_owned(), keys);
        }
    }

    /// From now on `ring` is the one in use, whose keys of format v2 were `made` in these seconds since 1970, by id; `unusable`
    /// Secrets are labelled as sealing keys and are none.
    ///
    /// Operations that a worker still does with the ring before are not counted: there are only as many as were under
    /// way at that moment.
    pub fn replaced(&self, ring: Arc<KeyRing>, made: Vec<(String, i64)>, unusable: usize) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = state.ring.replace(ring) {
            state.earlier_operations = state
                .earlier_operations
                .saturating_add(before.private_operations());
        }
        state.made = made;
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

        // A key that nothing hangs on is there with 0: that is what is looked for.
        let mut used: BTreeMap<&str, i64> = BTreeMap::new();
        if let Some(ring) = &state.ring {
            let v1 = ring.keys().iter().map(|key| key.fingerprint().as_str());
            let v2 = ring.native().iter().map(|key| key.key_id().as_str());
            used.extend(v1.chain(v2).map(|id| (id, 0)));
        }
        for (key, values) in state.used.values().flatten() {
            *used.entry(key).or_default() += i64::from(*values);
        }
        let mut metric = encoder.encode_descriptor(
            "sealing_key_values",
            "Values in what Syncs have applied, by the sealing key that opened them",
            None,
            one.metric_type(),
        )?;
        for (id, values) in used {
            let gauge = ConstGauge::new(values);
            gauge.encode(metric.encode_family(&[("fingerprint", id)])?)?;
        }

        let mut metric = encoder.encode_descriptor(
            "sealing_key_not_before_seconds",
            "When the certificate of a sealing key of format v1 begins, or a key of format v2 was made, in seconds since 1970",
            None,
            one.metric_type(),
        )?;
        for key in state.ring.iter().flat_map(|ring| ring.keys()) {
            let begins = key.certificate().not_before();
            let seconds = begins
                .duration_since(std::time::SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            let gauge = ConstGauge::new(i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX));
            let labels = [("fingerprint", key.fingerprint().as_str()), ("format", "v1")];
            gauge.encode(metric.encode_family(&labels)?)?;
        }
        for (id, seconds) in &state.made {
            let gauge = ConstGauge::new(*seconds);
            let labels = [("fingerprint", id.as_str()), ("format", "v2")];
            gauge.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
