//! Looks at the commits that a new head brings, on a blocking thread.

use std::path::PathBuf;

use proof::{Signer, Trust};
use source::{Commit, CommitId, Known, RefSpec, Remote, Rewritten, SourceError, Store};

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
    /// The last verified commit, if that is another one, and whether the head leaves it out.
    pub(in crate::repository) before: Option<(CommitId, Rewritten)>,
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
            (Some(signer), None) => Ok(Checked {
                signer,
                commits: 0,
                before: self.other(head.id).map(|old| (old, Rewritten::No)),
            }),
            (None, Some(checked)) => Ok(checked),
            (None, None) => Err(unsaid()),
        }
    }

    /// The annotated tag that is followed: signed, for this commit, and under its own name.
    fn tag(&self, store: &Store, head: &Commit, label: &str) -> Result<String, Failure> {
        let object = store
            .tag_object(&self.asking(), &self.reference)
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
        let Some(old) = self.other(new) else {
            if self.policy.since == Some(new) {
                return Ok(Checked {
                    signer: "nobody: spec.verify.since names this commit".into(),
                    commits: 0,
                    before: None,
                });
            }
            return self.alone(store, head)?.end();
        };
        // Its parents tell what it descends from where a rewrite has taken it away.
        let known = store
            .snapshot(old)
            .map_or_else(|_| old.into(), |held| held.commit().into());
        let (found, rewritten) = if self.policy.range {
            self.range(&known, new)?
        } else {
            let found = self.alone(store, head)?;
            if found.refused > 0 {
                return found.end();
            }
            (found, self.descent(store, &known, new)?)
        };
        if !self.policy.report_rewrites {
            match rewritten {
                Rewritten::No => {}
                Rewritten::Yes => {
                    return Err(rewrite(
                        old,
                        new,
                        self.policy.range && self.policy.since != Some(new),
                    ));
                }
                Rewritten::Unknown => return Err(unknown(old, new)),
            }
        }
        Ok(Checked {
            before: Some((old, rewritten)),
            ..found.end()?
        })
    }

    /// The last verified commit, if the head is another one.
    fn other(&self, head: CommitId) -> Option<CommitId> {
        self.before.filter(|old| *old != head)
    }

    fn range(&self, old: &Known, new: CommitId) -> Result<(Found, Rewritten), Failure> {
        let mut found = Found::default();
        let history = self.history()?;
        let paths = self.policy.paths();
        let rewritten = history
            .range(&self.asking(), &self.reference, (old, new), &paths, &mut |step| {
                let verdict = self.trust.commit(step.object);
                // What nobody has signed is refused whatever it changes: it is not compared.
                let touches = match verdict.signer() {
                    Some(_) => step.touches(),
                    None => Vec::new(),
                };
                let judged = self.policy.judge(verdict, &touches);
                found.note(step.commit.id == new, step.commit, judged);
            })
            .map_err(|error| unseen(&error, old.id))?;
        Ok((found, rewritten))
    }

    /// A commit by itself: its signature, and who may change what it changes.
    fn alone(&self, store: &Store, commit: &Commit) -> Result<Found, Failure> {
        let mut found = Found::default();
        let object = store
            .commit_object(commit.id)
            .map_err(|error| Failure::from(&error))?;
        let verdict = self.trust.commit(&object);
        let paths = self.policy.paths();
        // History is fetched for what is signed, and only where rules are about what is changed.
        if paths.is_empty() || verdict.signer().is_none() {
            found.note(true, commit, self.policy.judge(verdict, &[]));
            return Ok(found);
        }
        self.history()?
            .alone(&self.asking(), &self.reference, commit.id, &paths, &mut |step| {
                let judged = self.policy.judge(verdict.clone(), &step.touches());
                found.note(true, commit, judged);
            })
            .map_err(|error| uncompared(&error, commit.id))?;
        Ok(found)
    }

    /// Whether the head descends from the last verified commit: as the store has it, or as history tells.
    fn descent(&self, store: &Store, old: &Known, new: CommitId) -> Result<Rewritten, Failure> {
        if !self.reference.has_history() || store.holds_between(old.id, new) {
            return Ok(Rewritten::No);
        }
        self.history()?
            .descends(&self.asking(), &self.reference, old, new)
            .map_err(|error| match error {
                SourceError::NoSuchCommit => moved(),
                error => Failure::from(&error),
            })
    }

    /// The remote, for one question, which ends with the look and counts by itself.
    fn asking(&self) -> Remote {
        self.remote.for_one_look()
    }

    fn history(&self) -> Result<Store, Failure> {
        Store::open(&self.dir).map_err(|error| Failure::from(&error))
    }

    /// Verifies one earlier commit by itself.
    pub(in crate::repository) fn one(&self, store: &Store, commit: &Commit) -> Result<(), Failure> {
        self.alone(store, commit)?.end().map(drop)
    }
}

fn unseen(error: &SourceError, old: CommitId) -> Failure {
    let old = old.to_string();
    unverified(error, || {
        format!(
            "The commits since {} cannot all be verified: {error}. Verify them yourself, and set spec.verify.since to \
             the last one that you trust.",
            short(&old)
        )
    })
}

fn uncompared(error: &SourceError, commit: CommitId) -> Failure {
    let commit = commit.to_string();
    unverified(error, || {
        format!(
            "What commit {} changes cannot be told, which spec.verify.rules ask for: {error}. Look at it yourself, and set \
             spec.verify.since to it if you trust it.",
            short(&commit)
        )
    })
}

/// A failure of looking at history: `sentences` where more history would be needed than there may be.
fn unverified(error: &SourceError, sentences: impl FnOnce() -> String) -> Failure {
    match error {
        SourceError::TooLarge(_) => Failure {
            reason: "HistoryUnverified",
            message: sentences(),
            temporary: false,
        },
        SourceError::NoSuchCommit => moved(),
        error => Failure::from(error),
    }
}

fn moved() -> Failure {
    Failure {
        reason: "Failed",
        message: "The branch or tag was moved while its commits were verified. It is tried again.".into(),
        temporary: true,
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

fn unknown(old: CommitId, new: CommitId) -> Failure {
    let (old, new) = (old.to_string(), new.to_string());
    Failure {
        reason: "HistoryUnverified",
        message: format!(
            "Whether {} descends from {}, the last verified commit, cannot be told from 5,000 commits, and \
             spec.verify.onRewrite is Refuse. To accept it, set spec.verify.onRewrite to Report for the time.",
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
            before: None,
        })
    }
}
