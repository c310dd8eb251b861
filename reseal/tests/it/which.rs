//! Which values leave their key.

use crate::support::{Keys, keys, opened, sealed_v1, sealed_v2, with};
use manifest::{Limits, write_yaml};
use reseal::{Task, stream};
use sealing::v2::{Recipients, SealedSecret};
use sealing::{Plaintext, Scope};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

fn text(keys: &Keys) -> String {
    let value = sealed_v1(keys, Scope::Strict, "shop", "db", "hunter2");
    format!(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\nspec:\n  encryptedData:\n    p: {value}\n---\n{}",
        write_yaml(&[sealed_v2(keys, "token", &[("a", "one")])])
    )
}

#[test]
fn only_what_hangs_on_the_named_keys_is_sealed_again() {
    let (old, new) = (keys(), keys());
    let text = text(&old);
    let named = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let v1 = old.certificate.fingerprint().as_str().to_owned();
    let v2 = old.recipients.key_ids()[0].as_str().to_owned();
    for (leaving, changed, current) in [
        (named(&["key-nobody"]), 0, 2),
        (named(&[&v1]), 1, 1),
        (named(&[&v2]), 1, 1),
        (named(&[&v1, &v2]), 2, 0),
        (named(&[]), 2, 0),
    ] {
        let resealed = with(&text, &old, &new, &leaving, Some("shop"));
        assert_eq!(
            (resealed.changed.len(), resealed.current),
            (changed, current),
            "{leaving:?}"
        );
        for changed in &resealed.changed {
            assert!(changed.from == [v1.clone()] || changed.from == [v2.clone()]);
            assert_ne!(changed.from, changed.to);
        }
    }
}

#[test]
fn each_value_counts_by_the_recipients_of_its_own_data_key() {
    let (old, new) = (keys(), keys());
    let both = Recipients::new(old.recipients.iter().chain(new.recipients.iter()).cloned()).unwrap();
    // One value for the old key alone, another one, set later, for both.
    let first = SealedSecret::parse(&sealed_v2(&old, "token", &[("a", "one")])).unwrap();
    let value = BTreeMap::from([("b".to_owned(), Plaintext::new(b"two".to_vec()))]);
    let mixed = first.set(&value, &both);
    let text = write_yaml(&[mixed.unwrap().to_value()]);
    let task = Task {
        ring: &old.ring,
        identities: &old.identities,
        certificate: None,
        recipients: Some(&both),
        leaving: &BTreeSet::new(),
        namespace: None,
        now: SystemTime::now(),
    };
    let resealed = stream(text.as_bytes(), &Limits::default(), &task).unwrap();
    assert_eq!(resealed.changed.len(), 1, "{:?}", resealed.kept);
    let after = String::from_utf8(resealed.bytes).unwrap();
    assert_eq!(opened(&after, &new).len(), 2, "the new key opens both");
}
