//! Which values leave their key.

use crate::support::{Keys, keys, opened, sealed_v1, sealed_v2, with};
use manifest::{Limits, write_yaml};
use reseal::{Resealed, Task, Why, stream};
use sealing::v2::{KeyId, Recipient, Recipients, SealedSecret};
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
        others: None,
        leaving: &BTreeSet::new(),
        namespace: None,
        every_key: false,
        now: SystemTime::now(),
    };
    let resealed = stream(text.as_bytes(), &Limits::default(), &task).unwrap();
    assert_eq!(resealed.changed.len(), 1, "{:?}", resealed.kept);
    let after = String::from_utf8(resealed.bytes).unwrap();
    assert_eq!(opened(&after, &new).len(), 2, "the new key opens both");
}

/// One object for some keys, and one more value of it for others.
fn token(keys: &[&Keys], more: &[&Keys]) -> String {
    let recipients = |keys: &[&Keys]| {
        Recipients::new(keys.iter().flat_map(|keys| keys.recipients.iter()).cloned()).unwrap()
    };
    let first = Keys {
        recipients: recipients(keys),
        ..crate::support::keys()
    };
    let mut sealed = SealedSecret::parse(&sealed_v2(&first, "token", &[("a", "one")])).unwrap();
    if !more.is_empty() {
        let value = BTreeMap::from([("b".to_owned(), Plaintext::new(b"two".to_vec()))]);
        sealed = sealed.set(&value, &recipients(more)).unwrap();
    }
    write_yaml(&[sealed.to_value()])
}

fn leave(text: &str, old: &Keys, new: &Keys, known: &[&Keys]) -> Resealed {
    let known: BTreeMap<KeyId, Recipient> = known
        .iter()
        .flat_map(|keys| keys.recipients.iter())
        .map(|key| (key.key_id().clone(), key.clone()))
        .collect();
    let leaving = old
        .recipients
        .key_ids()
        .iter()
        .map(|id| id.as_str().to_owned())
        .collect();
    let task = Task {
        ring: &old.ring,
        identities: &old.identities,
        certificate: None,
        recipients: Some(&new.recipients),
        others: Some(&known),
        leaving: &leaving,
        namespace: None,
        every_key: false,
        now: SystemTime::now(),
    };
    stream(text.as_bytes(), &Limits::default(), &task).unwrap()
}

#[test]
fn a_recovery_key_stays_and_nobody_is_let_in() {
    let (old, new, recovery, stranger) = (keys(), keys(), keys(), keys());
    let opens =
        |resealed: &Resealed, keys: &Keys| opened(std::str::from_utf8(&resealed.bytes).unwrap(), keys).len();
    let text = token(&[&old, &recovery], &[]);
    // Whoever is listed as known is not thereby sealed for.
    let resealed = leave(&text, &old, &new, &[&recovery, &stranger]);
    assert_eq!(resealed.changed.len(), 1, "{:?}", resealed.kept);
    for (keys, count) in [(&old, 0), (&new, 1), (&recovery, 1), (&stranger, 0)] {
        assert_eq!(opens(&resealed, keys), count);
    }
    // Without its public half nothing is done behind the recovery key's back.
    let resealed = leave(&text, &old, &new, &[]);
    let why = &resealed.kept[0].why;
    assert!(
        matches!(why, Why::UnknownRecipient(id) if *id == recovery.recipients.key_ids()[0]),
        "{why}"
    );
    assert!(resealed.changed.is_empty() && resealed.bytes == text.as_bytes());
    // A value that somebody added for the cluster and themselves does not take the others along.
    let text = token(&[&old], &[&old, &stranger]);
    let resealed = leave(&text, &old, &new, &[&stranger]);
    assert_eq!(resealed.kept[0].why, Why::OtherRecipients);
    assert!(resealed.changed.is_empty());
}

/// A data key that no value uses says nothing about whom the values are for.
#[test]
fn a_data_key_that_nothing_uses_lets_nobody_in() {
    let (old, new, stranger) = (keys(), keys(), keys());
    let mine = SealedSecret::parse(&sealed_v2(&old, "token", &[("a", "one")])).unwrap();
    let theirs = token(&[&old, &stranger], &[]);
    let theirs: serde_json::Value = manifest::read_document(theirs.as_bytes(), &Limits::default()).unwrap();
    let mut object = mine.to_value();
    let keys = object["spec"]["dataKeys"].as_array_mut().unwrap();
    keys.push(theirs["spec"]["dataKeys"][0].clone());
    let resealed = leave(&write_yaml(&[object]), &old, &new, &[&stranger]);
    let text = std::str::from_utf8(&resealed.bytes).unwrap();
    assert_eq!(opened(text, &stranger).len(), 0);
    assert!(!text.contains(stranger.recipients.key_ids()[0].as_str()) || resealed.changed.is_empty());
}
