//! What cannot be sealed again stays, is named, and stops nothing else.

use crate::support::{Keys, again, keys, opened, sealed_v1, sealed_v2, sealing_key, with};
use manifest::{Limits, write_yaml};
use proptest::prelude::*;
use reseal::{Kept, Task, Why, stream};
use sealing::{KeyRing, OpenError, Scope, v1};
use std::collections::BTreeSet;
use std::time::SystemTime;

fn object(name: &str, values: &[(&str, &str)]) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|(key, value)| format!("    {key}: {value}\n"))
        .collect();
    let values = values.concat();
    format!(
        "---\napiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: {name}\nspec:\n  encryptedData:\n{values}"
    )
}

#[test]
fn neighbours_of_what_does_not_open_go_on() {
    let (old, new, other) = (keys(), keys(), keys());
    let good = sealed_v1(&old, Scope::Strict, "shop", "db", "hunter2");
    let strange = sealed_v1(&other, Scope::Strict, "shop", "db", "theirs");
    let moved = sealed_v1(&old, Scope::Strict, "bank", "db", "not here");
    let text = object(
        "db",
        &[
            ("good", &good),
            ("strange", &strange),
            ("moved", &moved),
            ("broken", "AgB"),
            ("number", "7"),
        ],
    ) + &object(
        "next",
        &[("p", &sealed_v1(&old, Scope::Strict, "shop", "next", "too"))],
    ) + "---\nkind: [\n";
    let resealed = again(&text, &old, &new);
    let after = String::from_utf8(resealed.bytes.clone()).unwrap();
    assert_eq!(
        opened(&after, &new).keys().collect::<Vec<_>>(),
        ["db/good", "next/p"]
    );
    for sealed in [&strange, &moved] {
        assert!(after.contains(sealed.as_str()), "it stays as it is");
    }
    let kept: Vec<_> = resealed
        .kept
        .iter()
        .map(|kept| {
            (
                kept.place.to_string(),
                kept.key.clone().unwrap_or_default(),
                kept.why.is_other_key(),
            )
        })
        .collect();
    let named = |key: &str| kept.iter().find(|(_, own, _)| own == key).cloned();
    assert_eq!(named("strange"), Some(("db".into(), "strange".into(), true)));
    assert_eq!(named("moved"), Some(("db".into(), "moved".into(), true)));
    assert_eq!(named("broken"), Some(("db".into(), "broken".into(), false)));
    assert_eq!(named("number"), Some(("db".into(), "number".into(), false)));
    assert_eq!(named(""), Some(("document 3".into(), String::new(), false)));
    assert!(!format!("{:?}", resealed.kept).contains("hunter2"));
}

/// Whoever writes an object says how many values it has: they cost no more tries than where the controller opens it.
#[test]
fn values_that_nothing_opens_are_not_tried_with_every_key_without_end() {
    let (new, other) = (keys(), keys());
    let all = [sealing_key(), sealing_key(), sealing_key()];
    let strange = sealed_v1(&other, Scope::Strict, "shop", "db", "theirs");
    let public = all[2].certificate().public_key_at(SystemTime::now()).unwrap();
    let good = v1::seal(public, &Scope::Strict.label("shop", "db"), b"hunter2").unwrap();
    let names: Vec<_> = (0..600).map(|number| format!("k{number:04}")).collect();
    let first = [("a", good.as_str())].into_iter();
    let values: Vec<_> = first
        .chain(names.iter().map(|name| (name.as_str(), strange.as_str())))
        .collect();
    let from = Keys {
        ring: KeyRing::new(all),
        ..keys()
    };
    let resealed = again(&object("db", &values), &from, &new);
    // One for each, and 1,000 of an object.
    let cost = from.ring.private_operations();
    assert!(cost <= 601 + 1_000, "{cost}");
    assert_eq!((resealed.changed.len(), resealed.kept.len()), (1, 600));
    let spent = |kept: &&Kept| matches!(kept.why, Why::Closed(OpenError::TriesSpent));
    let spent: Vec<_> = resealed.kept.iter().filter(spent).collect();
    assert!((100..=101).contains(&spent.len()), "{}", spent.len());
    // It is not said that no key opens them.
    assert!(spent.iter().all(|kept| !kept.why.is_other_key()));

    // Who has to know that is told.
    let task = Task {
        ring: &from.ring,
        identities: &from.identities,
        certificate: Some(&new.certificate),
        recipients: Some(&new.recipients),
        others: None,
        leaving: &BTreeSet::new(),
        namespace: Some("shop"),
        every_key: true,
        now: SystemTime::now(),
    };
    let text = object("db", &values);
    let resealed = stream(text.as_bytes(), &Limits::default(), &task).unwrap();
    let cost = from.ring.private_operations() - cost;
    assert!(cost <= 3 * 601, "{cost}");
    assert_eq!((resealed.changed.len(), resealed.kept.len()), (1, 600));
    assert!(resealed.kept.iter().all(|kept| kept.why.is_other_key()));
}

#[test]
fn a_native_object_that_was_copied_elsewhere_is_not_handed_over() {
    let (old, new) = (keys(), keys());
    let mut object = sealed_v2(&old, "token", &[("a", "one")]);
    object["metadata"]["namespace"] = "bank".into();
    let text = write_yaml(&[object.clone()]);
    let resealed = again(&text, &old, &new);
    assert_eq!(resealed.bytes, text.as_bytes());
    assert_eq!(resealed.kept.len(), 1, "{:?}", resealed.kept);
    // Damaged, it is named as well.
    object["metadata"]["namespace"] = "shop".into();
    object["spec"]["values"]["a"] = "dk-1.AAAA".into();
    assert_eq!(again(&write_yaml(&[object]), &old, &new).kept.len(), 1);
}

#[test]
fn what_names_no_namespace_takes_the_one_that_is_given() {
    let (old, new) = (keys(), keys());
    let text = object(
        "db",
        &[("p", &sealed_v1(&old, Scope::Strict, "shop", "db", "hunter2"))],
    );
    let none = with(&text, &old, &new, &BTreeSet::new(), None);
    assert_eq!(none.kept[0].why, reseal::Why::NoNamespace);
    assert_eq!(none.bytes, text.as_bytes());
    assert_eq!(again(&text, &old, &new).changed.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_brings_it_down(text in "(---\n|kind: SealedSecret\n|apiVersion: (bitnami.com|signet.dev)/v1alpha1\n|spec:\n|  (values|dataKeys|encryptedData|data):|[ \\[\\]{}\"'a-c:\n&*!-]){0,40}") {
        let (old, new) = {
            static KEYS: std::sync::OnceLock<(crate::support::Keys, crate::support::Keys)> = std::sync::OnceLock::new();
            let both = KEYS.get_or_init(|| (keys(), keys()));
            (&both.0, &both.1)
        };
        let task = Task {
            ring: &old.ring, identities: &old.identities, certificate: Some(&new.certificate),
            recipients: Some(&new.recipients), others: None, leaving: &BTreeSet::new(), namespace: Some("shop"),
            every_key: false, now: std::time::SystemTime::now(),
        };
        if let Ok(resealed) = reseal::stream(text.as_bytes(), &manifest::Limits::default(), &task) {
            prop_assert_eq!(resealed.bytes, text.as_bytes());
        }
    }
}
