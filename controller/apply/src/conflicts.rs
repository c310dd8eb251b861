//! What to do about fields that others own. Pure.

use crate::error::{FieldConflict, bounded};
use crds::Conflicts;

/// What to do about an apply that met fields of others.
#[derive(Debug, PartialEq, Eq)]
pub enum Judgement<'a> {
    /// Nothing: the object fails.
    Refuse {
        /// Whose they are.
        message: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// Leave these fields out, and apply again.
    Yield(Vec<&'a FieldConflict>),
    /// Take them all.
    TakeOver,
}

const ONE_OWNER: &str = "let one owner set these fields, or remove them from one of the two sources";

/// Who is who among field managers, and what the Sync says of them.
pub struct Parties<'p> {
    /// What the Sync wants done about managers that nobody knows.
    pub policy: Conflicts,
    /// Whether a manager is trusted: it is yielded to.
    pub trusts: &'p dyn Fn(&str) -> bool,
    /// Whether a field is nobody's any more: its manager was a Sync that is gone, or does not want the object.
    pub is_left: &'p dyn Fn(&FieldConflict) -> bool,
}

/// Judges each conflict by whose the field is. What may not be touched goes first, what is yielded second: nothing is
/// taken while something else is still in the way. `claim`: another Sync, or another tool's ApplySet, has its hand on one
/// of them, in words.
#[must_use]
pub fn judge<'a>(
    conflicts: &'a [FieldConflict],
    claim: Option<String>,
    parties: &Parties<'_>,
) -> Judgement<'a> {
    if let Some(message) = claim {
        return Judgement::Refuse {
            message,
            hint: ONE_OWNER,
        };
    }
    let mut yielded = Vec::new();
    let mut refused = Vec::new();
    for conflict in conflicts {
        if is_mark(conflict) || (parties.is_left)(conflict) {
            continue;
        }
        match parties.policy {
            _ if (parties.trusts)(&conflict.manager) => yielded.push(conflict),
            Conflicts::TakeOver => {}
            Conflicts::Yield => yielded.push(conflict),
            Conflicts::Fail => refused.push(conflict),
        }
    }
    if !refused.is_empty() {
        return Judgement::Refuse {
            message: belongs(&refused),
            hint: "let one owner set these fields, or say with spec.conflicts who wins: TakeOver or Yield",
        };
    }
    if yielded.is_empty() {
        Judgement::TakeOver
    } else {
        Judgement::Yield(yielded)
    }
}

/// Our own marks are nobody else's to set: without them an object is not found again.
fn is_mark(conflict: &FieldConflict) -> bool {
    let path = &conflict.field;
    let is = |name: &str| {
        path.strip_suffix(name)
            .is_some_and(|rest| rest.starts_with(".metadata."))
    };
    is(crds::label::APPLYSET_PART_OF) || is(crds::annotation::SOURCE)
}

/// The fields of each manager, in a sentence.
fn belongs(conflicts: &[&FieldConflict]) -> String {
    let mut managers: Vec<&str> = Vec::new();
    for conflict in conflicts {
        if !managers.contains(&conflict.manager.as_str()) {
            managers.push(&conflict.manager);
        }
    }
    let said: Vec<String> = managers
        .iter()
        .take(3)
        .map(|manager| {
            let mut fields: Vec<&str> = conflicts
                .iter()
                .filter(|conflict| conflict.manager == *manager)
                .map(|conflict| conflict.field.as_str())
                .collect();
            let more = fields.len().saturating_sub(3);
            fields.truncate(3);
            let mut list: Vec<String> = fields.iter().map(|field| shown(field)).collect();
            if more > 0 {
                list.push(format!("{more} more"));
            }
            let (noun, verb) = if list.len() == 1 {
                ("field", "belongs")
            } else {
                ("fields", "belong")
            };
            format!("{noun} {} {verb} to field manager {manager:?}", joined(&list))
        })
        .collect();
    let more = managers.len().saturating_sub(3);
    let tail = if more > 0 {
        format!("; and {more} managers more")
    } else {
        String::new()
    };
    format!("{}{tail}", said.join("; "))
}

fn joined(list: &[String]) -> String {
    match list {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// A field's path as a conflict names it, at a length for people. An element of a set is a value: it is not shown.
#[must_use]
pub fn shown(field: &str) -> String {
    match field.split_once("[=") {
        Some((set, _)) => format!("{}[=…]", bounded(set, 253)),
        None => bounded(field, 253),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_elements_of_a_set_are_not_shown() {
        assert_eq!(shown(".spec.list[=\"hunter2\"]"), ".spec.list[=…]");
        assert_eq!(shown(".spec.list[name=\"a\"].b"), ".spec.list[name=\"a\"].b");
        assert!(shown(&".x".repeat(500)).len() <= 256);
    }

    fn conflict(manager: &str, field: &str) -> FieldConflict {
        FieldConflict {
            manager: manager.into(),
            field: field.into(),
        }
    }

    #[test]
    fn managers_and_fields_are_named_but_not_without_end() {
        let conflicts: Vec<_> = (0..9)
            .map(|n| conflict(if n < 5 { "a" } else { "b" }, &format!(".f{n}")))
            .collect();
        let refs: Vec<_> = conflicts.iter().collect();
        assert_eq!(
            belongs(&refs),
            "fields .f0, .f1, .f2 and 2 more belong to field manager \"a\"; fields .f5, .f6, .f7 and 1 more belong to \
             field manager \"b\""
        );
    }
}
