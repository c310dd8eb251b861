//! Readiness: every room that has to be up opens its gate once.

use std::sync::{Arc, Mutex, PoisonError};

/// All gates. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    closed: Vec<&'static str>,
    /// Gates that only who acts has to open.
    acting: Vec<&'static str>,
    stands_by: bool,
}

/// One room's gate. Dropped unopened, it stays closed.
#[derive(Debug)]
pub struct Gate {
    readiness: Readiness,
    name: &'static str,
}

impl Readiness {
    /// Adds a closed gate. `name` is what the controller is said to wait for.
    #[must_use]
    pub fn gate(&self, name: &'static str) -> Gate {
        self.state().closed.push(name);
        Gate {
            readiness: self.clone(),
            name,
        }
    }

    /// Adds a closed gate that does not count while another controller acts.
    #[must_use]
    pub fn gate_to_act(&self, name: &'static str) -> Gate {
        self.state().acting.push(name);
        self.gate(name)
    }

    /// Another controller acts, and this one only serves what is asked of it.
    pub fn stand_by(&self, stands_by: bool) {
        self.state().stands_by = stands_by;
    }

    /// Whether another controller acts.
    #[must_use]
    pub fn stands_by(&self) -> bool {
        self.state().stands_by
    }

    /// What is still waited for; empty when the controller is ready.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<&'static str> {
        let state = self.state();
        let counts = |name: &&&'static str| !state.stands_by || !state.acting.contains(name);
        state.closed.iter().filter(counts).copied().collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// The room is up. Again is fine.
    pub fn open(&self) {
        self.readiness.state().closed.retain(|name| *name != self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn ready_when_every_gate_is_open() {
        let readiness = Readiness::default();
        let keys = readiness.gate("the sealing keys");
        let watch = readiness.gate("the watch on Repositories");
        keys.open();
        keys.open();
        assert_eq!(readiness.waiting_for(), ["the watch on Repositories"]);
        watch.open();
        assert!(readiness.waiting_for().is_empty());
    }

    #[test]
    fn who_stands_by_need_not_act() {
        let readiness = Readiness::default();
        let (keys, _syncs) = (
            readiness.gate("the sealing keys"),
            readiness.gate_to_act("the Syncs"),
        );
        readiness.stand_by(true);
        assert_eq!(readiness.waiting_for(), ["the sealing keys"]);
        keys.open();
        assert!(readiness.waiting_for().is_empty());
        readiness.stand_by(false);
        assert_eq!(readiness.waiting_for(), ["the Syncs"]);
    }
}
