//! Runs expressions over one object.

use super::expression::{Expression, PARTS};
use super::fuel::Fuel;
use super::view::view;
use cel::common::types::CelBool;
use cel::{Context, Env, Value as CelValue};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

/// Building the standard environment takes some 100 µs; it is the same for all.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// What an expression says.
pub(crate) enum Answer {
    True,
    False,
    /// Nothing, with why.
    None(&'static str),
}

/// The expressions of one rule, over one object, within one budget.
pub(crate) struct Evaluation<'a> {
    object: &'a Value,
    fuel: Fuel,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new<'e>(object: &'a Value, all: impl Iterator<Item = &'e Expression>) -> Self {
        let largest = all.map(Expression::size).max().unwrap_or(0);
        Self {
            object,
            fuel: Fuel::new(largest),
        }
    }

    /// An expression that fails is false: mostly a field is not there yet.
    pub(crate) fn run(&self, expression: &Expression) -> Answer {
        self.fuel.turn();
        // The interpreter is not ours and has `panic!` in it.
        let result = catch_unwind(AssertUnwindSafe(|| self.evaluate(expression)));
        match result {
            _ if self.fuel.is_spent() => Answer::None("it would take too long over this object"),
            Err(_) => Answer::None("it cannot be evaluated"),
            Ok(Ok(Some(true))) => Answer::True,
            Ok(Ok(Some(false)) | Err(())) => Answer::False,
            Ok(Ok(None)) => Answer::None("its result is neither true nor false"),
        }
    }

    /// The result where it is a boolean. Errors quote the object, and are dropped here.
    fn evaluate(&self, expression: &Expression) -> Result<Option<bool>, ()> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.add_variable_as_val("self", view(self.object, &self.fuel));
        for part in PARTS {
            if let Some(value) = self.object.get(part) {
                context.add_variable_as_val(part, view(value, &self.fuel));
            }
        }
        let value = CelValue::resolve_val(expression.tree(), &context).map_err(|_| ())?;
        Ok(value.downcast_ref::<CelBool>().map(|b| *b.inner()))
    }
}
