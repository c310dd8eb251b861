//! Metrics of KeyRotations. No name of a Repository or Secret is a label.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

/// What is known of all KeyRotations together.
#[derive(Debug, Default)]
pub struct RotationMetrics {
    phases: Family<PhaseLabel, Gauge>,
    left: Gauge,
    blocked: Gauge,
    leaked: Gauge,
    /// `signet_key_rotation_values_total`: values that were sealed again in commits that were pushed.
    pub values: Counter,
}

impl RotationMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("key_rotations", "KeyRotations by phase", self.phases.clone());
        registry.register(
            "key_rotation_values_left",
            "Values that the rotation under way has found to hang on an old key still",
            self.left.clone(),
        );
        registry.register(
            "key_rotation_blocked",
            "Things that hold the rotation under way up, as its status names them",
            self.blocked.clone(),
        );
        registry.register(
            "key_rotation_leaked_values",
            "Values that were sealed for a key that leaked and are not known to be changed since",
            self.leaked.clone(),
        );
        registry.register(
            "key_rotation_values",
            "Values that were sealed again in commits that were pushed",
            self.values.clone(),
        );
    }

    /// How many values that leaked are still to be changed, in all reports together.
    pub fn set_leaked(&self, values: u64) {
        self.leaked.set(i64::try_from(values).unwrap_or(i64::MAX));
    }

    /// The phase of each rotation; of the one under way, how much is left, and by how many things it is held up.
    pub fn set(&self, phases: impl IntoIterator<Item = &'static str>, left: u64, blocked: u64) {
        self.phases.clear();
        for phase in phases {
            self.phases.get_or_create(&PhaseLabel { phase }).inc();
        }
        self.left.set(i64::try_from(left).unwrap_or(i64::MAX));
        self.blocked.set(i64::try_from(blocked).unwrap_or(i64::MAX));
    }
}
