//! Where in a document a text stands.

use std::fmt::{self, Display};

/// The way from a document's root to a text, keys as they are written. Displays as `spec.ports[0].port`; not made
/// printable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

impl Path {
    /// A way through mappings.
    pub fn of<'k>(keys: impl IntoIterator<Item = &'k str>) -> Self {
        Self(keys.into_iter().map(|key| Step::Key(key.to_owned())).collect())
    }

    /// The same way one step further.
    #[must_use]
    pub fn then(&self, step: Step) -> Self {
        let mut longer = self.clone();
        longer.push(step);
        longer
    }

    /// The same way further, through mappings.
    #[must_use]
    pub fn within<'k>(&self, keys: impl IntoIterator<Item = &'k str>) -> Self {
        let mut longer = self.clone();
        for key in keys {
            longer.push(Step::Key(key.to_owned()));
        }
        longer
    }

    /// The steps, the outermost first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(super) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    pub(super) fn pop(&mut self) {
        self.0.pop();
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
