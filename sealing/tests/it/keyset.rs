//! A pinned fingerprint survives rotations, and nothing else passes.

use crate::support::other_key;
use sealing::keyset::{
    Audience, EndorsementKey, EndorsementName, KeySet, KeySetBuilder, KeySetError, Member,
};
use sealing::v2::{Identity, Suite};
use serde_json::Value;
use std::collections::BTreeSet;

fn key(number: u8) -> Identity {
    use std::sync::OnceLock;
    static MADE: [OnceLock<String>; 4] = [const { OnceLock::new() }; 4];
    let text = MADE[usize::from(number)].get_or_init(|| {
        Identity::generate(Suite::default())
            .unwrap()
            .to_text()
            .to_string()
    });
    Identity::parse(text).ok().unwrap()
}

fn name(number: u8) -> EndorsementName {
    EndorsementKey::of_identity(&key(number)).unwrap().name()
}

fn member(number: u8) -> Member {
    Member::native(&key(number), format!("2026-0{}-01T00:00:00Z", number + 1)).unwrap()
}

fn builder() -> KeySetBuilder {
    KeySetBuilder::new(Audience::Cluster, "2026-11-28T20:00:00Z".into())
}

fn pins(names: &[EndorsementName]) -> BTreeSet<EndorsementName> {
    names.iter().cloned().collect()
}

#[test]
fn a_pin_survives_two_rotations() {
    let first = KeySet::read(&builder().member(member(0)).sign()).unwrap();
    assert_eq!(first.signers(), &pins(&[name(0)]));
    let third = builder()
        .member(member(0))
        .member(member(1))
        .member(member(2))
        .sign();
    let read = KeySet::read(&third).unwrap();
    assert_eq!(read.signers(), &pins(&[name(2)]));
    for pinned in [0, 1, 2] {
        let set = read.trusted(&pins(&[name(pinned)])).unwrap();
        assert_eq!(set.keys.len(), 3);
        assert_eq!(set.keys[0].id, key(2).key_id().as_str(), "newest first");
    }
    assert!(matches!(
        read.trusted(&pins(&[name(3)])),
        Err(KeySetError::NotPinned { found }) if found == name(2).as_str()
    ));
    assert!(read.trusted(&BTreeSet::new()).is_err());
}

#[test]
fn another_controller_is_not_believed() {
    // It lists the pinned key beside its own, and signs itself.
    let mine = builder().member(member(0)).member(member(1)).sign();
    let theirs = builder().member(member(3)).sign();
    let entries = |document: &str| KeySet::read(document).unwrap().untrusted().keys.clone();
    assert!(KeySet::read(&theirs).unwrap().trusted(&pins(&[name(0)])).is_err());
    // An endorsement is of one key: put at another, it is none.
    let endorsed = entries(&mine)[0].endorsements.clone();
    assert_eq!(endorsed.len(), 1);
    let forged = resigned(&theirs, |set| {
        set["keys"][0]["endorsements"] = serde_json::to_value(&endorsed).unwrap();
    });
    assert_eq!(KeySet::read(&forged).err(), Some(KeySetError::NotSigned));
}

/// Changes the payload, and leaves the signatures.
fn resigned(document: &str, change: impl FnOnce(&mut Value)) -> String {
    use base64::Engine as _;
    let engine = base64::prelude::BASE64_STANDARD;
    let mut envelope: Value = serde_json::from_str(document).unwrap();
    let payload = engine.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let mut set: Value = serde_json::from_slice(&payload).unwrap();
    change(&mut set);
    envelope["payload"] = engine.encode(set.to_string()).into();
    envelope.to_string()
}

#[test]
fn a_compromised_key_endorses_nothing() {
    let document = builder()
        .member(member(0))
        .member(member(1).compromised())
        .member(member(2))
        .sign();
    let read = KeySet::read(&document).unwrap();
    assert_eq!(read.untrusted().keys.len(), 2);
    assert!(
        read.trusted(&pins(&[name(0)])).is_ok(),
        "the one before it steps in"
    );
    assert!(read.trusted(&pins(&[name(1)])).is_err());
}

#[test]
fn both_formats_stand_in_one_set_and_either_pin_serves() {
    let old = Member::rsa(&other_key(0), "a".into(), "b".into()).unwrap();
    let new = Member::rsa(&other_key(1), "a".into(), "b".into()).unwrap();
    let read = KeySet::read(&builder().member(old).member(new).member(member(0)).sign()).unwrap();
    let rsa = EndorsementKey::of_rsa(other_key(0).private_key()).unwrap().name();
    for pin in [rsa, name(0)] {
        let set = read.trusted(&pins(&[pin])).unwrap();
        assert_eq!(set.keys.iter().filter(|key| key.is_native()).count(), 1);
        assert_eq!(set.keys.iter().filter(|key| key.certificate.is_some()).count(), 2);
    }
}

#[test]
fn an_offline_root_signs_as_well() {
    let root = || EndorsementKey::of_root(&[7; 32]).unwrap();
    let read = KeySet::read(&builder().member(member(0)).root(root()).sign()).unwrap();
    assert!(read.trusted(&pins(&[root().name()])).is_ok());
}

#[test]
fn what_was_changed_or_is_no_document_is_refused() {
    let document = builder().member(member(0)).member(member(1)).sign();
    for change in [
        (|set: &mut Value| set["keys"][0]["recipient"] = "age1x".into()) as fn(&mut Value),
        |set| set["audience"] = serde_json::json!({"kind": "Project", "name": "p"}),
        |set| drop(set["keys"].as_array_mut().unwrap().pop()),
    ] {
        assert_eq!(
            KeySet::read(&resigned(&document, change)).err(),
            Some(KeySetError::NotSigned)
        );
    }
    for bad in [
        "",
        "{}",
        "[]",
        r#"{"payload": "e30=", "signatures": []}"#,
        &"x".repeat(2 << 20),
    ] {
        assert_eq!(
            KeySet::read(bad).err(),
            Some(KeySetError::NotAKeySet),
            "{bad:.20}"
        );
    }
    assert!("ed25519-xyz".parse::<EndorsementName>().is_err());
    assert_eq!(name(0).as_str().parse::<EndorsementName>().ok(), Some(name(0)));
}
