//! What will change. Pure.

use super::survey::{Object, Survey, Target};
use super::workload::Workload;
use sealing::Printable;

/// Every step, in order.
pub(super) struct Plan {
    pub(super) theirs: String,
    pub(super) ours: String,
    pub(super) keys: Vec<KeyStep>,
    pub(super) workload: Option<Workload>,
    pub(super) objects: Vec<ObjectStep>,
}

/// One key.
pub(super) struct KeyStep {
    pub(super) name: String,
    pub(super) fingerprint: Option<String>,
    pub(super) action: KeyAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyAction {
    Copy,
    /// Signet has it.
    There,
    /// Bitnami's controller does not load it either.
    NotActive,
    /// Damaged, or not a pair.
    Unusable,
}

/// One SealedSecret.
pub(super) struct ObjectStep {
    /// `namespace/name`, safe to print.
    pub(super) object: String,
    pub(super) action: Action,
    /// Why Signet will not open it; what else is to be known.
    pub(super) notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Signet keeps the Secret up from now on.
    TakeOver,
    /// The Secret is detached, and the object goes.
    Remove,
    /// Signet has it already.
    None,
    /// Signet will not open it. Its Secret stays as it is.
    Refused,
    /// Its Secret is somebody else's, which Bitnami's controller left alone too.
    Foreign,
}

impl Action {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::TakeOver => "take over",
            Self::Remove => "remove",
            Self::None => "none",
            Self::Refused => "refused",
            Self::Foreign => "left",
        }
    }
}

impl KeyAction {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::There => "none",
            Self::NotActive => "not active",
            Self::Unusable => "unusable",
        }
    }
}

impl Plan {
    pub(super) fn of(survey: &Survey, remove: bool) -> Self {
        let keys = survey.keys.iter().map(|key| KeyStep {
            name: key.name.clone(),
            fingerprint: key.fingerprint.clone(),
            action: if key.there {
                KeyAction::There
            } else if key.fingerprint.is_none() {
                KeyAction::Unusable
            } else if key.is_wanted() {
                KeyAction::Copy
            } else {
                KeyAction::NotActive
            },
        });
        Self {
            theirs: survey.theirs.clone(),
            ours: survey.ours.clone(),
            keys: keys.collect(),
            workload: survey.workload.clone(),
            objects: survey.objects.iter().map(|object| step(object, remove)).collect(),
        }
    }

    /// Whether there is anything to do.
    pub(super) fn is_pending(&self) -> bool {
        self.keys.iter().any(|key| key.action == KeyAction::Copy)
            || self
                .workload
                .as_ref()
                .is_some_and(|workload| workload.replicas != 0)
            || self
                .objects
                .iter()
                .any(|step| matches!(step.action, Action::TakeOver | Action::Remove))
    }

    /// What Signet will not open, a line each.
    pub(super) fn refused(&self) -> impl Iterator<Item = String> {
        let refused = self.objects.iter().filter(|step| step.action == Action::Refused);
        refused.map(|step| format!("{}: {}", step.object, step.notes.join("; ")))
    }
}

/// What becomes of one object.
pub(super) fn action(object: &Object, remove: bool) -> Action {
    match (&object.secret, object.problems.is_empty()) {
        // What nobody opens makes no Secret: there is nothing to take over, and nothing to lose.
        (_, false) => Action::Refused,
        (Target::Foreign, true) => Action::Foreign,
        (_, true) if remove => Action::Remove,
        (_, true) if object.taken => Action::None,
        (_, true) => Action::TakeOver,
    }
}

fn step(object: &Object, remove: bool) -> ObjectStep {
    let mut notes = object.problems.clone();
    match object.secret {
        Target::Missing if notes.is_empty() => notes.push("it has no Secret yet".to_owned()),
        Target::Foreign => notes.push("its Secret is not its own".to_owned()),
        Target::Ownerless(_) if notes.is_empty() && !remove && !object.taken => {
            notes.push("its Secret has no owner, and is marked as managed".to_owned());
        }
        _ => {}
    }
    ObjectStep {
        object: shown(object),
        action: action(object, remove),
        notes,
    }
}

/// `namespace/name`, safe to print.
pub(super) fn shown(object: &Object) -> String {
    format!("{}/{}", Printable(&object.namespace), Printable(&object.name))
}
