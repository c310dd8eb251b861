//! What to do about fields that others own. Pure.

use crate::sync::names::{Names, Owner, shown};
use crate::sync::policy::Policy;
use apply::{FieldConflict, Key};
use crds::Conflicts;

/// What to do about an apply that met fields of others.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement<'a> {
    /// Nothing: the object fails.
    Refuse { message: String, hint: &'static str },
    /// Leave these fields out, and apply again.
    Yield(Vec<&'a FieldConflict>),
    /// Take them all.
    TakeOver,
}

const ONE_OWNER: &str = "let one owner set these fields, or remove them from one of the two sources";

/// Judges each conflict by whose the field is. What may not be touched goes first, what is yielded second: nothing is
/// taken while something else is still in the way.
pub(super) fn judge<'a>(
    conflicts: &'a [FieldConflict],
    key: &Key,
    names: &Names,
    policy: &Policy,
) -> Judgement<'a> {
    if let Some(message) = names.claim(conflicts, key) {
        return Judgement::Refuse {
            message,
            hint: ONE_OWNER,
        };
    }
    let mut yielded = Vec::new();
    let mut refused = Vec::new();
    for conflict in conflicts {
        if is_mark(conflict) || names.owner(conflict, key) == Owner::LostSync {
            continue;
        }
        match policy.conflicts {
            _ if policy.trusts(&conflict.manager) => yielded.push(conflict),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crds::SyncSpec;

    fn conflict(manager: &str, field: &str) -> FieldConflict {
        FieldConflict {
            manager: manager.into(),
            field: field.into(),
        }
    }

    fn policy(conflicts: Conflicts) -> Policy {
        let mut spec = SyncSpec::new("r", ".", "s");
        spec.conflicts = conflicts;
        spec.trusted_managers = vec!["keda-*".into()];
        Policy::of(&spec).unwrap()
    }

    fn key() -> Key {
        Key {
            kind: std::sync::Arc::new(apply::GroupKind::new("", "ConfigMap")),
            namespace: Some("n".into()),
            name: "a".into(),
        }
    }

    fn names() -> Names {
        let names = Names::default();
        names.learn("signet/a", "shop/web", &std::sync::Arc::default());
        names.complete();
        names
    }

    /// What becomes of the conflicts under each policy: `y` and the yielded fields, `t`, or `r` and a part of the message.
    #[test]
    fn each_conflict_is_judged_by_whose_the_field_is() {
        use Conflicts::{Fail, TakeOver, Yield};
        let (human, hpa) = (conflict("kubectl-edit", ".a"), conflict("keda-operator", ".b"));
        let (sync, lost) = (conflict("signet/a", ".c"), conflict("signet/gone", ".d"));
        let label = conflict("argocd", ".metadata.labels.applyset.kubernetes.io/part-of");
        let mark = conflict("kubectl-edit", ".metadata.annotations.signet.dev/source");
        let all = [TakeOver, Yield, Fail];
        for (conflicts, policies, wanted) in [
            (vec![&human], &[TakeOver][..], "t"),
            (vec![&human], &[Yield], "y .a"),
            (
                vec![&human],
                &[Fail],
                "r .a belongs to field manager \"kubectl-edit\"",
            ),
            (vec![&hpa], &all, "y .b"),
            (vec![&human, &hpa], &[TakeOver], "y .b"),
            (vec![&human, &hpa], &[Yield], "y .a .b"),
            (vec![&human, &hpa], &[Fail], "r .a belongs"),
            (vec![&human, &hpa, &sync], &all, "r .c belongs to Sync shop/web"),
            (vec![&lost], &all, "t"),
            (vec![&lost, &mark], &all, "t"),
            (vec![&hpa, &label], &all, "r another tool's ApplySet"),
        ] {
            let conflicts: Vec<_> = conflicts.into_iter().cloned().collect();
            for which in policies {
                let said = match judge(&conflicts, &key(), &names(), &policy(*which)) {
                    Judgement::TakeOver => "t".to_owned(),
                    Judgement::Yield(fields) => {
                        let fields: Vec<_> = fields.iter().map(|c| c.field.as_str()).collect();
                        format!("y {}", fields.join(" "))
                    }
                    Judgement::Refuse { message, .. } => format!("r {message}"),
                };
                let fits = match wanted.strip_prefix("r ") {
                    Some(part) => said.starts_with('r') && said.contains(part),
                    None => said == wanted,
                };
                assert!(fits, "{which:?}: wanted {wanted}, got {said}");
            }
        }
    }

    #[test]
    fn before_all_syncs_are_known_none_is_lost() {
        let names = Names::default();
        let conflicts = [conflict("signet/unknown", ".a")];
        let judged = judge(&conflicts, &key(), &names, &policy(Conflicts::TakeOver));
        assert!(matches!(judged, Judgement::Refuse { .. }), "{judged:?}");
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
