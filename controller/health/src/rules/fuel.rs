//! What an evaluation may cost. CEL's interpreter has no limit of its own, so the values it works on count.

use std::sync::atomic::{AtomicU64, Ordering};

/// The budget of one rule over one object, in steps of about 50 ns (see `expression.rs` for what that comes to).
const BUDGET: u64 = 2_000_000;

/// What is left of the budget. Atomic only because CEL's values have to be shareable.
#[derive(Debug)]
pub(crate) struct Fuel {
    left: AtomicU64,
    /// What running an expression once costs at most, apart from what it reads: its size.
    expression: u64,
}

impl Fuel {
    pub(crate) fn new(expression: usize) -> Self {
        Self {
            left: AtomicU64::new(BUDGET),
            expression: expression as u64,
        }
    }

    /// Takes steps; false when the budget is used up, and then for ever.
    pub(crate) fn spend(&self, steps: u64) -> bool {
        let left = self.left.load(Ordering::Relaxed).saturating_sub(steps);
        self.left.store(left, Ordering::Relaxed);
        left > 0
    }

    /// One turn of a loop: the whole expression may run in it.
    pub(crate) fn turn(&self) -> bool {
        self.spend(self.expression)
    }

    /// A list of that many elements, as values: some 64 bytes each, so that this bounds memory too.
    pub(crate) fn list(&self, elements: usize) -> bool {
        self.spend((elements as u64).saturating_mul(4))
    }

    /// A string that any part of the expression may read once.
    pub(crate) fn text(&self, bytes: usize) -> bool {
        self.spend(1 + bytes as u64 / 512 * self.expression)
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}
