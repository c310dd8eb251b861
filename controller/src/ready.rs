//! Readiness: every room that has to be up opens its gate once.

use std::sync::{Arc, Mutex, PoisonError};

/// All gates. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Vec<&'static str>>>);

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
        self.closed().push(name);
        Gate {
            readiness: self.clone(),
            name,
        }
    }

    /// What is still waited for; empty when the controller is ready.
    #[must_use]
    pub fn waiting_for(&self) -> Vec<&'static str> {
        self.closed().clone()
    }

    fn closed(&self) -> std::sync::MutexGuard<'_, Vec<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    /// The room is up. Again is fine.
    pub fn open(&self) {
        self.readiness.closed().retain(|name| *name != self.name);
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
}
