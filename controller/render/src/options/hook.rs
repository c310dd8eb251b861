//! Hooks: objects that run at a moment of a sync.

use std::time::Duration;

use super::OptionError;

/// An object that runs at a moment of a sync: created there, waited for, and perhaps deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// When: sorted, each once, at least one.
    pub when: Vec<HookPhase>,
    /// When it is deleted.
    pub delete: DeletePolicy,
    /// How long it may take (`signet.dev/hook-timeout`); `None`: as the Sync has it.
    pub timeout: Option<Duration>,
}

/// A moment of a sync, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookPhase {
    /// Before the first object is applied.
    Pre,
    /// While the objects are applied, in its wave.
    Sync,
    /// After all objects are healthy.
    Post,
    /// After a sync that failed.
    Fail,
    /// Before the objects are deleted with their Sync.
    PreDelete,
    /// After the objects were deleted with their Sync.
    PostDelete,
}

/// When a hook is deleted. Several may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletePolicy {
    /// The last one, before it is created again.
    pub before_creation: bool,
    /// After it succeeded.
    pub succeeded: bool,
    /// After it failed.
    pub failed: bool,
}

impl DeletePolicy {
    const NEVER: Self = Self {
        before_creation: false,
        succeeded: false,
        failed: false,
    };

    /// The union.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            before_creation: self.before_creation || other.before_creation,
            succeeded: self.succeeded || other.succeeded,
            failed: self.failed || other.failed,
        }
    }
}

impl Default for DeletePolicy {
    /// Before it is created again, as Argo CD and Helm have it.
    fn default() -> Self {
        Self {
            before_creation: true,
            ..Self::NEVER
        }
    }
}

/// What a hook annotation of another tool makes of its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing: the annotation does not count.
    Ordinary,
    Hook(Vec<HookPhase>),
    Skip,
}

impl Meaning {
    fn of(mut when: Vec<HookPhase>) -> Self {
        when.sort_unstable();
        when.dedup();
        if when.is_empty() {
            Self::Skip
        } else {
            Self::Hook(when)
        }
    }
}

/// The parts of a list separated by commas.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// `signet.dev/hook`.
pub(super) fn own(key: &str, text: &str) -> Result<Vec<HookPhase>, OptionError> {
    let mut when = Vec::new();
    for part in list(text) {
        when.push(match part {
            "Pre" => HookPhase::Pre,
            "Sync" => HookPhase::Sync,
            "Post" => HookPhase::Post,
            "Fail" => HookPhase::Fail,
            "PreDelete" => HookPhase::PreDelete,
            "PostDelete" => HookPhase::PostDelete,
            _ => return Err(expected(key)),
        });
    }
    match Meaning::of(when) {
        Meaning::Hook(when) => Ok(when),
        Meaning::Ordinary | Meaning::Skip => Err(expected(key)),
    }
}

fn expected(key: &str) -> OptionError {
    OptionError::new(
        key,
        "write one or more of `Pre`, `Sync`, `Post`, `Fail`, `PreDelete` and `PostDelete`, separated by commas",
    )
}

/// `signet.dev/hook-delete-policy`.
pub(super) fn own_policy(key: &str, text: &str) -> Result<DeletePolicy, OptionError> {
    policy(text, ["BeforeCreation", "Succeeded", "Failed"], true).ok_or_else(|| {
        OptionError::new(
            key,
            "write one or more of `BeforeCreation`, `Succeeded` and `Failed`, separated by commas",
        )
    })
}

/// `argocd.argoproj.io/hook`. Unknown phases are left out; an annotation without a known one makes a hook of no phase,
/// which Argo CD never applies. `Skip` counts where it stands alone.
pub(super) fn argo(text: &str) -> Meaning {
    Meaning::of(
        list(text)
            .filter_map(|part| {
                Some(match part {
                    "PreSync" => HookPhase::Pre,
                    "Sync" => HookPhase::Sync,
                    "PostSync" => HookPhase::Post,
                    "SyncFail" => HookPhase::Fail,
                    "PreDelete" => HookPhase::PreDelete,
                    "PostDelete" => HookPhase::PostDelete,
                    _ => return None,
                })
            })
            .collect(),
    )
}

/// `helm.sh/hook`. Tests run on demand and rollbacks are not ours, so both are no phase. Helm leaves a hook of no known
/// event out; `crd-install` is Helm 2's word for a definition, which is applied like any object.
pub(super) fn helm(text: &str) -> Meaning {
    let mut when = Vec::new();
    for part in list(text) {
        match part.to_ascii_lowercase().as_str() {
            "crd-install" => return Meaning::Ordinary,
            "pre-install" | "pre-upgrade" => when.push(HookPhase::Pre),
            "post-install" | "post-upgrade" => when.push(HookPhase::Post),
            "pre-delete" => when.push(HookPhase::PreDelete),
            "post-delete" => when.push(HookPhase::PostDelete),
            _ => {}
        }
    }
    Meaning::of(when)
}

/// `argocd.argoproj.io/hook-delete-policy`; `None` where nothing known stands.
pub(super) fn argo_policy(text: &str) -> Option<DeletePolicy> {
    policy(text, ["BeforeHookCreation", "HookSucceeded", "HookFailed"], false)
}

/// `helm.sh/hook-delete-policy`; `None` where nothing known stands.
pub(super) fn helm_policy(text: &str) -> Option<DeletePolicy> {
    policy(
        text,
        ["before-hook-creation", "hook-succeeded", "hook-failed"],
        false,
    )
}

/// The words are those for before creation, succeeded, failed.
fn policy(text: &str, words: [&str; 3], strict: bool) -> Option<DeletePolicy> {
    let mut policy = DeletePolicy::NEVER;
    for part in list(text) {
        match words.iter().position(|word| *word == part) {
            Some(0) => policy.before_creation = true,
            Some(1) => policy.succeeded = true,
            Some(_) => policy.failed = true,
            None if strict => return None,
            None => {}
        }
    }
    (policy != DeletePolicy::NEVER).then_some(policy)
}
