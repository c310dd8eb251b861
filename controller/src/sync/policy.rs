//! What a Sync's spec says of applying one object, read once and checked.

use apply::Key;
use apply::fields::{Pointer, is_trusted};
use crds::{Conflicts, Immutable, SyncSpec, Target};

/// What a Sync's spec says of applying one object.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// What to do about fields of others, but for Syncs and trusted managers.
    pub(super) conflicts: Conflicts,
    /// What to do about a change that an existing object does not take.
    pub(super) immutable: Immutable,
    /// Whether namespaces that nobody made are made.
    pub(super) create_namespaces: bool,
    trusted: Vec<String>,
    ignore: Vec<Rule>,
}

/// A spec that cannot be followed: nothing may be applied by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PolicyError {
    /// Where, such as `spec.ignore[0].paths[1]`.
    pub(super) field: String,
    /// What is wrong there.
    pub(super) message: String,
}

#[derive(Clone, Debug)]
struct Rule {
    target: Target,
    pointers: Vec<Pointer>,
}

impl Policy {
    /// Reads a spec.
    ///
    /// # Errors
    /// Where a pointer of `spec.ignore` is none, or leads to what a Sync has to own.
    pub(super) fn of(spec: &SyncSpec) -> Result<Self, PolicyError> {
        let mut ignore = Vec::with_capacity(spec.ignore.len());
        for (at, rule) in spec.ignore.iter().enumerate() {
            let mut pointers = Vec::with_capacity(rule.paths.len());
            for (index, text) in rule.paths.iter().enumerate() {
                let pointer = Pointer::parse(text).map_err(|error| PolicyError {
                    field: format!("spec.ignore[{at}].paths[{index}]"),
                    message: error.to_string(),
                })?;
                pointers.push(pointer);
            }
            let target = rule.target.clone();
            ignore.push(Rule { target, pointers });
        }
        Ok(Self {
            conflicts: spec.conflicts,
            immutable: spec.immutable,
            create_namespaces: spec.create_namespaces,
            trusted: spec.trusted_managers.clone(),
            ignore,
        })
    }

    /// Whether a field is yielded to this manager when it takes it.
    pub(super) fn trusts(&self, manager: &str) -> bool {
        is_trusted(manager, &self.trusted)
    }

    /// Managers that the Sync trusts beside the well-known ones.
    pub(super) fn trusted(&self) -> &[String] {
        &self.trusted
    }

    /// The fields of an object that are left alone once it exists. Most objects have none.
    pub(super) fn ignored(&self, key: &Key) -> Vec<Pointer> {
        let (group, kind) = (&key.kind.group, &key.kind.kind);
        self.ignore
            .iter()
            .filter(|rule| {
                rule.target
                    .matches(group, kind, key.namespace.as_deref(), &key.name)
            })
            .flat_map(|rule| rule.pointers.iter().cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apply::GroupKind;
    use crds::IgnoreRule;
    use std::sync::Arc;

    fn spec(rules: &[(&str, &[&str])]) -> SyncSpec {
        let mut spec = SyncSpec::new("r", ".", "s");
        let rule = |(kind, paths): &(&str, &[&str])| IgnoreRule {
            paths: paths.iter().map(ToString::to_string).collect(),
            target: Target {
                kind: (*kind).to_owned(),
                ..Target::default()
            },
        };
        spec.ignore = rules.iter().map(rule).collect();
        spec
    }

    #[test]
    fn the_pointers_of_all_rules_that_match_count() {
        let rules: &[(&str, &[&str])] = &[
            ("Deployment", &["/spec/replicas"]),
            ("Service", &["/spec/type"]),
            ("", &["/metadata/labels/x"]),
        ];
        let policy = Policy::of(&spec(rules)).unwrap();
        let ignored = |kind: &str| {
            let key = Key {
                kind: Arc::new(GroupKind::new("", kind)),
                namespace: Some("n".into()),
                name: "a".into(),
            };
            policy.ignored(&key).len()
        };
        assert_eq!(
            [ignored("Deployment"), ignored("Service"), ignored("Pod")],
            [2, 2, 1]
        );
    }

    #[test]
    fn a_pointer_that_is_none_is_refused_with_its_place() {
        for wrong in ["spec/replicas", "/metadata/name", "/spec/~2"] {
            let rules: &[(&str, &[&str])] = &[("", &["/spec/x"]), ("Pod", &["/spec/x", wrong])];
            let error = Policy::of(&spec(rules)).unwrap_err();
            assert_eq!(error.field, "spec.ignore[1].paths[1]", "{wrong}");
            assert!(!error.message.is_empty());
        }
    }

    #[test]
    fn trusted_are_the_well_known_and_those_of_the_spec() {
        let mut spec = spec(&[]);
        spec.trusted_managers = vec!["acme-*".into()];
        let policy = Policy::of(&spec).unwrap();
        assert!(policy.trusts("kube-controller-manager") && policy.trusts("acme-operator"));
        assert!(!policy.trusts("kubectl-edit"));
    }
}
