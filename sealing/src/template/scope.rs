//! The variables of a template: of types while it is checked, of values while it runs.

/// A stack of variables. The first is `$`, whose name is empty.
pub(super) struct Scope<T>(Vec<(String, T)>);

impl<T: Clone> Scope<T> {
    pub(super) fn new(root: T) -> Self {
        Self(vec![(String::new(), root)])
    }

    pub(super) fn declare(&mut self, name: &str, value: T) {
        self.0.push((name.to_owned(), value));
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// Sets the innermost variable of this name; false if there is none.
    pub(super) fn assign(&mut self, name: &str, value: T) -> bool {
        let found = self.0.iter_mut().rev().find(|(known, _)| known == name);
        found.map(|(_, place)| *place = value).is_some()
    }

    /// How many there are: what a block is left with.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A block ends, and its variables with it.
    pub(super) fn leave(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// What the first so many hold.
    pub(super) fn values(&self, len: usize) -> Vec<T> {
        self.0.iter().take(len).map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn set_values(&mut self, values: Vec<T>) {
        for ((_, place), value) in self.0.iter_mut().zip(values) {
            *place = value;
        }
    }
}
