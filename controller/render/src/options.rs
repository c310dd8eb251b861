//! What an object's annotations say of how it is applied: Signet's own, and those of the tools that people come from.

mod dependency;
mod duration;
mod hook;
mod other_tools;
mod own;

use crate::Facts;
pub use dependency::Dependency;
pub use hook::{DeletePolicy, Hook, HookPhase};

/// What an object's annotations say of how it is applied. What they say of its end is read of the live object: `apply::words`.
///
/// Where several tools' annotations speak of one thing, Signet's own (`signet.dev/…`) wins; without it, whatever
/// changes and deletes less. A value that one of Signet's does not know is an error. Other tools' are read as those
/// tools read them, who mostly ignore what they do not know.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// `signet.dev/wave`, Argo CD's `sync-wave`, or the `helm.sh/hook-weight` of a Helm hook. `None`: none of them.
    pub wave: Option<i32>,
    /// Something that runs at a moment of a sync; `None` for an ordinary object.
    pub hook: Option<Hook>,
    /// Never applied: Argo CD's hook `Skip`, Helm's tests, Helm hooks for a rollback alone, hooks of no known phase.
    pub skip: bool,
    /// `config.kubernetes.io/depends-on`: what has to be there and healthy first. Each once, in the order written.
    pub depends_on: Vec<Dependency>,
    /// The object is left as it is: neither applied, nor repaired, nor pruned.
    pub reconcile_disabled: bool,
    /// The object is created where it is missing, and never changed afterwards.
    pub create_only: bool,
    /// Whether an object that cannot be changed in place is deleted and created anew; `None`: as the Sync has it.
    pub replace: Option<bool>,
    /// The object's health does not count.
    pub ignore_health: bool,
    /// No variables are substituted in the object.
    pub substitute_disabled: bool,
    /// Fields that another manager owns are not taken over.
    pub takeover_disabled: bool,
    /// `signet.dev/restart-on-secret-change`: whether a workload is rolled when a Secret that its pods read changes; `None`: as the
    /// Sync has it.
    pub restart: Option<bool>,
    /// No annotation, and kept here because few objects have it: the Secrets that a workload's pods mount or read, by name.
    pub reads: Vec<Box<str>>,
    /// No annotation, and kept here because few objects have it: after how many seconds a Job that is a hook goes by itself.
    pub ttl: Option<u32>,
    /// No annotation, and kept here because few objects have it: paths of fields of a sealed object that mean nothing in format
    /// v1, which leaves them out. Mostly slips. Format v2 refuses them.
    pub ignored_fields: Vec<String>,
}

/// An annotation whose value is not understood. The value itself is not repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the annotation {annotation} is not understood: {message}")]
pub struct OptionError {
    /// The annotation's key.
    pub annotation: String,
    /// What to write instead.
    pub message: String,
}

impl OptionError {
    fn new(annotation: &str, message: impl Into<String>) -> Self {
        Self {
            annotation: annotation.into(),
            message: message.into(),
        }
    }
}

impl Options {
    /// Those of an object without annotations.
    pub const NONE: Self = Self {
        wave: None,
        hook: None,
        skip: false,
        depends_on: Vec::new(),
        reconcile_disabled: false,
        create_only: false,
        replace: None,
        ignore_health: false,
        substitute_disabled: false,
        takeover_disabled: false,
        restart: None,
        reads: Vec::new(),
        ttl: None,
        ignored_fields: Vec::new(),
    };

    /// Reads the annotations. Fails on the first that is not understood.
    pub fn of(facts: &Facts) -> Result<Self, OptionError> {
        let mut options = other_tools::read(facts)?;
        own::read(facts, &mut options)?;
        Ok(options)
    }
}

/// Whether variables are left alone in an object, whatever is wrong with its other annotations.
pub(crate) fn substitute_disabled(facts: &Facts) -> bool {
    match facts.annotation(own::SUBSTITUTE).map(str::trim) {
        Some(own) => own == "disabled",
        None => facts.flux_says("substitute", "disabled"),
    }
}

#[cfg(test)]
mod tests;
