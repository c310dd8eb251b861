//! The health rules of all Syncs, by the field manager of the Sync that they belong to.

use apply::{GroupKind, applyset};
use crds::label;
use health::Rules;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The rules of all Syncs that have any.
#[derive(Clone, Default)]
pub(super) struct Rulebook(Arc<RwLock<HashMap<String, Rules>>>);

impl Rulebook {
    /// Sets the rules of one Sync. Answers with the old and the new ones, where they differ.
    pub(super) fn set(&self, manager: &str, rules: Option<Rules>) -> Option<[Rules; 2]> {
        let none = Rules::default();
        let rules = rules.unwrap_or_default();
        let mut book = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = if rules.digest() == none.digest() {
            book.remove(manager)
        } else {
            book.insert(manager.to_owned(), rules.clone())
        };
        let before = before.unwrap_or_default();
        (before.digest() != rules.digest()).then_some([before, rules])
    }

    /// Whether the content of a kind's objects has to be seen. Never that of Secrets.
    pub(super) fn need_content(&self, kind: &GroupKind) -> bool {
        if kind.is_secret() {
            return false;
        }
        let book = || self.0.read().unwrap_or_else(PoisonError::into_inner);
        health::need(&kind.group, &kind.kind) == health::Need::Content
            || book().values().any(|rules| rules.has(&kind.group, &kind.kind))
    }

    /// The rules of the Sync whose field manager this is. Cheap.
    pub(super) fn of(&self, manager: &str) -> Rules {
        let book = self.0.read().unwrap_or_else(PoisonError::into_inner);
        book.get(manager).cloned().unwrap_or_default()
    }
}

/// The field manager of the Sync whose label an object carries.
pub(super) fn manager_of(metadata: &ObjectMeta) -> String {
    let id = metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(label::APPLYSET_PART_OF));
    id.map(|id| applyset::manager(id)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_seen_whole() {
        let book = Rulebook::default();
        for (group, kind, want) in [
            ("", "Secret", false),
            ("", "ConfigMap", false),
            ("apps", "Deployment", true),
            ("example.com", "Secret", true),
        ] {
            assert_eq!(book.need_content(&GroupKind::new(group, kind)), want, "{kind}");
        }
        assert!(book.set("signet/a", None).is_none(), "nothing changed");
    }

    #[test]
    fn a_rule_makes_a_kinds_content_matter_while_it_is_there() {
        let book = Rulebook::default();
        let kind = GroupKind::new("", "ConfigMap");
        let rules = |current| {
            let spec = health::RuleSpec {
                group: "",
                kind: "ConfigMap",
                in_progress: None,
                failed: None,
                current: Some(current),
            };
            Rules::compile(&[spec]).unwrap()
        };
        let (one, two) = (rules("true"), rules("false"));
        assert!(book.set("signet/a", Some(one.clone())).is_some());
        assert!(book.need_content(&kind));
        assert!(
            book.set("signet/a", Some(one.clone())).is_none(),
            "the same again"
        );
        assert!(book.set("signet/a", Some(two.clone())).is_some());
        assert_eq!(book.of("signet/a").digest(), two.digest());
        assert_ne!(book.of("signet/b").digest(), two.digest());
        assert!(book.set("signet/a", None).is_some());
        assert!(!book.need_content(&kind));
    }
}
