//! Looks at the commits that a new head brings, on a blocking thread.

use std::path::PathBuf;

use proof::{Signer, Trust};
use source::{Commit, CommitId, RefSpec, Remote, Rewritten, SourceError, Store};

use super::policy::{Policy, Refusal};
use crate::repository::failure::Failure;
use crate::repository::revision::short;
use crate::text;

/// What to verify with.
pub(in crate::repository) struct Verifier {
    pub(in crate::repository) policy: Policy,
    pub(in crate::repository) trust: Trust,
    /// The last commit that was verified, of this remote and ref.
    pub(in crate::repository) before: Option<CommitId>,
    /// Where history is kept: a store of its own, so that the one that is polled stays small.
    pub(in crate::repository) dir: PathBuf,
    pub(in crate::repository) remote: Remote,
    pub(in crate::repository) reference: RefSpec,
}

/// A head that may be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::repository) struct Checked {
    /// Who signed it, for people.
    pub(in crate::repository) signer: String,
    /// How many commits were looked at.
    pub(in crate::repository) commits: u64,
}

/// What is refused of a range: the first commit, and how many.
#[derive(Default)]
struct Found {
    seen: u64,
    refused: u64,
    first: Option<(String, String, Refusal)>,
    head: Option<Signer>,
}

impl Verifier {
    /// Verifies a head that `store` holds, as the policy asks for. `label` is the branch or tag that it was found at.
    pub(in crate::repository) fn check(
        &self,
        store: &Store,
        head: &Commit,
        label: &str,
    ) -> Result<Checked, Failure> {
        let tagged = if self.policy.tag {
            Some(self.tag(store, head, label)?)
        } else {
            None
        };
        let checked = if self.policy.head {
            Some(self.commits(store, head)?)
        } else {
            None
        };
        match (tagged, checked) {
            (Some(tagger), Some(checked)) => Ok(Checked {
                signer: format!("{tagger}, and the tagged commit by {}", checked.signer),
                ..checked
            }),
            (Some(signer), None) => Ok(Checked { signer, commits: 0 }),
            (None, Some(checked)) => Ok(checked),
            (None, None) => Err(unsaid()),
        }
    }

    /// The annotated tag that is followed: signed, for this commit, and under its own name.
    fn tag(&self, store: &Store, head: &Commit, label: &str) -> Result<String, Failure> {
        let object = store
            .tag_object(&self.remote, &self.reference)
            .map_err(|error| Failure::from(&error))?;
        let Some(object) = object else {
            return Err(Failure {
                reason: "TagUnsigned",
                message:
                    "The tag is refused: it is a plain one, which cannot be signed. Make it with git tag -s."
                        .into(),
                temporary: false,
            });
        };
        let names = |field: &[u8]| -> Option<String> {
            let line = object
                .split(|byte| *byte == b'\n')
                .find_map(|line| line.strip_prefix(field))?;
            Some(String::from_utf8_lossy(line).into_owned())
        };
        let (target, name) = (names(b"object "), names(b"tag ").unwrap_or_default());
        let shown = text::bounded(&name, 100);
        let refuse = |reason, why: String, hint: &str| Failure {
            reason,
            message: format!("Tag {shown} is refused: {why}. {hint}."),
            temporary: false,
        };
        let signer = match self.policy.judge(self.trust.tag(&object), &[]) {
            Ok(signer) => signer,
            Err(refusal) => return Err(refuse(refusal.reason(), refusal.clause(), refusal.hint())),
        };
        if target != Some(head.id.to_string()) || name != label {
            let why = "it was signed for another commit or under another name";
            return Err(refuse("TagMismatch", why.into(), "Find out who moved it"));
        }
        Ok(signer.to_string())
    }

    /// The head by itself, or everything since the last one.
    fn commits(&self, store: &Store, head: &Commit) -> Result<Checked, Failure> {
        let new = head.id;
        let mut found = Found::default();
        let mut rewritten = Rewritten::No;
        match self.before {
            Some(old) if self.policy.range && old != new => {
                let history = Store::open(&self.dir).map_err(|error| Failure::from(&error))?;
                let paths = self.policy.paths();
                rewritten = history
                    .range(&self.remote, &self.reference, (old, new), &paths, &mut |step| {
                        let verdict = self.trust.commit(step.object);
                        let judged = self.policy.judge(verdict, step.touches);
                        found.note(step.commit.id == new, step.commit, judged);
                    })
                    .map_err(|error| unseen(&error, old))?;
            }
            _ if self.policy.since == Some(new) => {
                return Ok(Checked {
                    signer: "nobody: spec.verify.since names this commit".into(),
                    commits: 0,
                });
            }
            before => {
                let object = store.commit_object(new).map_err(|error| Failure::from(&error))?;
                let judged = self.policy.judge(self.trust.commit(&object), &[]);
                found.note(true, head, judged);
                if let Some(old) = before.filter(|old| *old != new) {
                    rewritten = store
                        .compare(&self.remote, &self.reference, old, new)
                        .map_err(|error| Failure::from(&error))?;
                }
            }
        }
        if let (Some(old), false) = (self.before, rewritten == Rewritten::No)
            && !self.policy.report_rewrites
        {
            return Err(rewrite(old, new, self.policy.range));
        }
        found.end()
    }

    /// Verifies one earlier commit by itself.
    pub(in crate::repository) fn one(&self, store: &Store, commit: &Commit) -> Result<(), Failure> {
        let object = store
            .commit_object(commit.id)
            .map_err(|error| Failure::from(&error))?;
        let mut found = Found::default();
        found.note(true, commit, self.policy.judge(self.trust.commit(&object), &[]));
        found.end().map(drop)
    }
}

fn unseen(error: &SourceError, old: CommitId) -> Failure {
    let failure = Failure::from(error);
    if failure.temporary || !matches!(error, SourceError::TooLarge(_)) {
        return failure;
    }
    let old = old.to_string();
    Failure {
        reason: "HistoryUnverified",
        message: format!(
            "The commits since {} cannot all be verified: {error}. Verify them yourself, and set spec.verify.since to \
             the last one that you trust.",
            short(&old)
        ),
        temporary: false,
    }
}

fn rewrite(old: CommitId, new: CommitId, range: bool) -> Failure {
    let (old, new) = (old.to_string(), new.to_string());
    let accept = if range {
        format!("set spec.verify.since to {new}")
    } else {
        "set spec.verify.onRewrite to Report for the time".to_owned()
    };
    Failure {
        reason: "BranchRewritten",
        message: format!(
            "The branch was rewritten: {} does not descend from {}, the last verified commit, and spec.verify.onRewrite \
             is Refuse. To accept it, {accept}; or push the branch as it was.",
            short(&new),
            short(&old)
        ),
        temporary: false,
    }
}

fn unsaid() -> Failure {
    Failure {
        reason: "Failed",
        message: "The head was not among its own commits. It is tried again.".into(),
        temporary: true,
    }
}

impl Found {
    fn note(&mut self, head: bool, commit: &Commit, judged: Result<Signer, Refusal>) {
        self.seen += 1;
        match judged {
            Ok(signer) if head => self.head = Some(signer),
            Ok(_) => {}
            Err(refusal) => {
                self.refused += 1;
                let named = || {
                    (
                        commit.id.to_string(),
                        text::bounded(&commit.subject, 100),
                        refusal,
                    )
                };
                self.first.get_or_insert_with(named);
            }
        }
    }

    fn end(self) -> Result<Checked, Failure> {
        if let Some((id, subject, refusal)) = self.first {
            let more = match self.refused {
                1 => String::new(),
                more => format!(" {more} of {} commits are refused; this is the first.", self.seen),
            };
            return Err(Failure {
                reason: refusal.reason(),
                message: format!(
                    "Commit {} ({subject}) is refused: {}.{more} {}.",
                    short(&id),
                    refusal.clause(),
                    refusal.hint()
                ),
                temporary: false,
            });
        }
        let signer = self.head.ok_or_else(unsaid)?.to_string();
        Ok(Checked {
            signer,
            commits: self.seen,
        })
    }
}
