//! What came beside what left: a path that is exchanged for another brings new objects while the old ones are still there. How
//! much of a Sync is deleted is measured by what was there before (`apply::prune::standing`), so what came meanwhile counts for nothing until then.

use super::inputs::Inputs;
use super::worker::Worker;
use apply::Key;

impl Worker {
    /// Whether something is recorded that Git does not hold, other than `but`, which is sorted. What somebody froze stays until it is
    /// thawed: what comes meanwhile counts all the same, where Git still holds some of what was there.
    pub(super) fn is_leaving(&self, inputs: &Inputs, but: &[Key]) -> bool {
        let records = self.checkpoint.records();
        let goes = |key: &&Key| !inputs.holds(key) && but.binary_search(key).is_err();
        let mut left = records.keys().filter(goes).peekable();
        if left.peek().is_none() {
            return false;
        }
        let exchanged = !records
            .iter()
            .any(|(key, record)| !record.beside && inputs.holds(key));
        exchanged || left.any(|key| !self.rooms.observer.frozen(key))
    }

    /// What came beside what left is what there is, once nothing is left but what was decided upon.
    pub(super) fn count_in(&mut self, inputs: &Inputs, decided: &[Key]) {
        let records = self.checkpoint.records().iter();
        let beside: Vec<Key> = records
            .filter(|(_, record)| record.beside)
            .map(|(key, _)| key.clone())
            .collect();
        if beside.is_empty() || self.is_leaving(inputs, decided) {
            return;
        }
        for key in beside {
            self.checkpoint.change(&key, |record| record.beside = false);
        }
        self.save_soon();
    }
}
