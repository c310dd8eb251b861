//! What to do about fields that others own, as this controller knows the others. Pure.

use crate::sync::names::{Names, Owner};
use crate::sync::policy::Policy;
use apply::conflicts::{self, Judgement, Parties};
use apply::{FieldConflict, Key};

/// Judges each conflict by whose the field is.
pub(super) fn judge<'a>(
    conflicts: &'a [FieldConflict],
    key: &Key,
    names: &Names,
    policy: &Policy,
) -> Judgement<'a> {
    let parties = Parties {
        policy: policy.conflicts,
        trusts: &|manager| policy.trusts(manager),
        is_left: &|conflict| names.owner(conflict, key) == Owner::LostSync,
    };
    conflicts::judge(conflicts, names.claim(conflicts, key), &parties)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::{Conflicts, SyncSpec};

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
        names.learn(
            "signet/a",
            "shop/web",
            Default::default(),
            &std::sync::Arc::default(),
        );
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
}
