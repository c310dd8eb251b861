//! Rules of users: CEL expressions over objects of one kind, as Flux's `healthCheckExprs` are.

mod evaluate;
mod expression;
mod fuel;
mod view;

use crate::object::Object;
use crate::verdict::{Status, Verdict, printable};
use crate::{generic, need};
use evaluate::{Answer, Evaluation};
use expression::Expression;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most rules that are taken.
const RULES: usize = 256;

/// The rules of users, compiled, on top of what is shipped. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    compiled: Arc<Compiled>,
}

/// Group, then kind; an empty kind is every kind of the group that has no rule of its own.
#[derive(Debug, Default)]
struct Compiled {
    groups: BTreeMap<Box<str>, BTreeMap<Box<str>, Rule>>,
    digest: [u8; 16],
}

#[derive(Debug)]
struct Rule {
    in_progress: Option<Expression>,
    failed: Option<Expression>,
    current: Option<Expression>,
}

/// A rule for the objects of one kind, in every version: CEL expressions, tried in this order.
///
/// They see the object as `self`, and its parts as `metadata`, `spec` and `status`. An expression that cannot be
/// evaluated, say because a field is missing, is false. When none is true the object is in progress; but a rule without
/// `current` leaves that to what is known of the kind.
///
/// CEL's standard functions and the macros `has`, `all`, `exists`, `exists_one` and `filter` are there. What could make
/// an expression costly is not: `map`, `matches`, and `+` on anything but numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleSpec<'a> {
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The kind; empty for all kinds of the group that have no rule of their own.
    pub kind: &'a str,
    /// True while the object is on its way. At most 2 KiB, as the others.
    pub in_progress: Option<&'a str>,
    /// True when it has failed.
    pub failed: Option<&'a str>,
    /// True when it is as wanted.
    pub current: Option<&'a str>,
}

/// A rule that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {index}, {field}: {message}")]
pub struct RuleError {
    /// Which rule, counted from 0.
    pub index: usize,
    /// Which field of it: `kind`, `inProgress`, `failed` or `current`.
    pub field: &'static str,
    /// What is wrong, in at most 256 bytes. It may quote the expression.
    pub message: String,
}

impl Rules {
    /// Compiles rules. No rules: the shipped set alone.
    ///
    /// # Errors
    /// The first rule that cannot be used: no CEL, too large, for a Secret, or for a kind that has one already.
    pub fn compile(specs: &[RuleSpec<'_>]) -> Result<Self, RuleError> {
        let mut groups = BTreeMap::<Box<str>, BTreeMap<Box<str>, Rule>>::new();
        for (index, spec) in specs.iter().enumerate() {
            let error = |field, message: &str| RuleError {
                index,
                field,
                message: printable(message).into(),
            };
            if index >= RULES {
                return Err(error("kind", &format!("there may be {RULES} rules at most")));
            }
            if need::is_secret(spec.group, spec.kind) {
                return Err(error("kind", "the content of Secrets is never looked at"));
            }
            if [spec.in_progress, spec.failed, spec.current]
                .iter()
                .all(Option::is_none)
            {
                return Err(error("current", "the rule has no expression"));
            }
            let compile = |field, source: Option<&str>| {
                source
                    .map(|s| Expression::compile(s).map_err(|m| error(field, &m)))
                    .transpose()
            };
            let rule = Rule {
                in_progress: compile("inProgress", spec.in_progress)?,
                failed: compile("failed", spec.failed)?,
                current: compile("current", spec.current)?,
            };
            if groups
                .entry(spec.group.into())
                .or_default()
                .insert(spec.kind.into(), rule)
                .is_some()
            {
                return Err(error("kind", "the kind has a rule already"));
            }
        }
        Ok(Self {
            compiled: Arc::new(Compiled {
                groups,
                digest: digest(specs),
            }),
        })
    }

    /// Whether a rule of a user covers a kind, whose content is then needed. Never for Secrets.
    pub fn has(&self, group: &str, kind: &str) -> bool {
        self.rule(group, kind).is_some()
    }

    /// A digest of the rules: equal for equal ones, in whatever order.
    pub fn digest(&self) -> [u8; 16] {
        self.compiled.digest
    }

    fn rule(&self, group: &str, kind: &str) -> Option<&Rule> {
        if need::is_secret(group, kind) {
            return None;
        }
        let kinds = self.compiled.groups.get(group)?;
        kinds.get(kind).or_else(|| kinds.get(""))
    }

    /// What a user's rule says, where there is one and it says something.
    pub(crate) fn judge(&self, object: &Object<'_>) -> Option<Verdict> {
        let rule = self.rule(object.group(), object.kind())?;
        let all = [&rule.in_progress, &rule.failed, &rule.current];
        let evaluation = Evaluation::new(object.value(), all.into_iter().flatten());
        let tried = [
            (&rule.in_progress, Status::InProgress, "inProgress"),
            (&rule.failed, Status::Failed, "failed"),
            (&rule.current, Status::Current, "current"),
        ];
        for (expression, status, field) in tried {
            let Some(expression) = expression else { continue };
            match evaluation.run(expression) {
                Answer::True => return Some(said(object, status, field)),
                Answer::False => {}
                Answer::None(why) => {
                    let message = format!("The rule's expression {field} gives no answer: {why}.");
                    return Some(Verdict::new(Status::Unknown, "RuleFailed", &message));
                }
            }
        }
        rule.current
            .as_ref()
            .map(|_| said(object, Status::InProgress, "current"))
    }
}

/// A verdict by a rule, with what the object says of itself where it says something.
fn said(object: &Object<'_>, status: Status, field: &str) -> Verdict {
    let ready = generic::ready(object);
    let quoted = object.condition("Ready").map(|_| &*ready.message);
    let own = match status {
        Status::InProgress if field == "current" => "The rule's expression current is not true yet.",
        Status::InProgress => "The rule's expression inProgress is true.",
        Status::Failed => "The rule's expression failed is true.",
        _ => "The rule's expression current is true.",
    };
    Verdict::new(
        status,
        "Rule",
        &quoted.map_or_else(|| own.to_owned(), |q| format!("{own} {q}")),
    )
}

fn digest(specs: &[RuleSpec<'_>]) -> [u8; 16] {
    let mut sorted: Vec<_> = specs.iter().collect();
    sorted.sort_by_key(|spec| (spec.group, spec.kind));
    let mut hash = Sha256::new();
    for spec in sorted {
        for part in [
            Some(spec.group),
            Some(spec.kind),
            spec.in_progress,
            spec.failed,
            spec.current,
        ] {
            // A length that no text has stands for none.
            hash.update(part.map_or(u64::MAX, |p| p.len() as u64).to_be_bytes());
            hash.update(part.unwrap_or(""));
        }
    }
    if specs.is_empty() {
        return [0; 16];
    }
    let hash = hash.finalize();
    std::array::from_fn(|i| hash[i])
}
