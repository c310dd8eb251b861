//! A pinned fingerprint survives rotations, and nothing else passes.

use crate::support::other_key;
use sealing::keyset::{
    Audience, EndorsementKey, EndorsementName, KeySet, KeySetBuilder, KeySetError, Member, Pins, Trusted,
    Verified,
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

fn pins(names: &[EndorsementName]) -> Pins {
    Pins::of(names.iter().cloned())
}

const NOW: &str = "2026-12-01T00:00:00Z";

fn trusted<'a>(read: &'a Verified, pins: &Pins) -> Result<Trusted<'a>, KeySetError> {
    read.trusted(pins, &Audience::Cluster, NOW)
}

#[test]
fn a_pin_survives_two_rotations() {
    let first = KeySet::read(&builder().member(member(0)).sign()).unwrap();
    assert_eq!(first.signers(), &BTreeSet::from([name(0)]));
    let third = builder()
        .member(member(0))
        .member(member(1))
        .member(member(2))
        .sign();
    let read = KeySet::read(&third).unwrap();
    assert_eq!(read.signers(), &BTreeSet::from([name(2)]));
    for pinned in [0, 1, 2] {
        let found = trusted(&read, &pins(&[name(pinned)])).unwrap();
        assert_eq!(
            found.pins.names,
            BTreeSet::from([name(2)]),
            "from now on only the newest"
        );
        let set = found.set;
        assert_eq!(set.keys.len(), 3);
        assert_eq!(set.keys[0].id, key(2).key_id().as_str(), "newest first");
    }
    assert!(matches!(
        trusted(&read, &pins(&[name(3)])),
        Err(KeySetError::NotPinned { found }) if found == name(2).as_str()
    ));
    assert!(trusted(&read, &Pins::default()).is_err());
}

#[test]
fn another_controller_is_not_believed() {
    // It lists the pinned key beside its own, and signs itself.
    let mine = builder().member(member(0)).member(member(1)).sign();
    let theirs = builder().member(member(3)).sign();
    let entries = |document: &str| KeySet::read(document).unwrap().untrusted().keys.clone();
    assert!(trusted(&KeySet::read(&theirs).unwrap(), &pins(&[name(0)])).is_err());
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
        trusted(&read, &pins(&[name(0)])).is_ok(),
        "the one before it steps in"
    );
    assert!(trusted(&read, &pins(&[name(1)])).is_err());
}

/// K1 leaked, and its endorsement by K0 is public for ever. Who was told so once stays told.
#[test]
fn a_leaked_key_does_not_come_back_with_its_old_endorsement() {
    let honest = builder()
        .member(member(0))
        .member(member(1).compromised())
        .member(member(2))
        .sign();
    let honest = KeySet::read(&honest).unwrap();
    assert_eq!(honest.untrusted().compromised, BTreeSet::from([name(1)]));
    let told = trusted(&honest, &pins(&[name(0)])).unwrap().pins;
    assert_eq!(told.compromised, BTreeSet::from([name(1)]));
    // The attacker's: K1 endorsed by K0 as it once was, and a key of their own that K1 endorses.
    let evil = builder()
        .member(member(0))
        .member(member(1))
        .member(member(3))
        .sign();
    let evil = KeySet::read(&evil).unwrap();
    for names in [vec![name(0)], vec![name(1)], vec![name(0), name(1)]] {
        let pins = Pins {
            names: names.into_iter().collect(),
            ..told.clone()
        };
        assert!(matches!(
            trusted(&evil, &pins),
            Err(KeySetError::NotPinned { .. })
        ));
    }
    assert!(trusted(&evil, &told).is_err());
    // Nor does a set name its own way as compromised and take it.
    let own = builder()
        .member(member(0))
        .member(member(3))
        .compromised(name(0))
        .sign();
    assert!(trusted(&KeySet::read(&own).unwrap(), &pins(&[name(0)])).is_err());
    // What is remembered stays, and a key of that name is not sealed for, whatever a later set lists.
    let later = builder().member(member(1)).member(member(2)).sign();
    let later = KeySet::read(&later).unwrap();
    let found = trusted(&later, &told).unwrap();
    assert_eq!(found.pins.compromised, told.compromised);
    assert_eq!(found.keys().count(), 1);
}

#[test]
fn an_old_set_is_not_believed_again() {
    let at = |time: &str| KeySetBuilder::new(Audience::Cluster, time.into()).member(member(0));
    let old = KeySet::read(&at("2026-10-01T00:00:00Z").sign()).unwrap();
    let new = KeySet::read(&at("2026-11-01T00:00:00Z").member(member(1)).sign()).unwrap();
    let kept = trusted(&old, &pins(&[name(0)])).unwrap().pins;
    let kept = trusted(&new, &kept).unwrap().pins;
    assert_eq!(kept.issued_at.as_deref(), Some("2026-11-01T00:00:00Z"));
    assert!(trusted(&new, &kept).is_ok(), "the same once more is fine");
    let both = Pins {
        names: [name(0), name(1)].into(),
        ..kept.clone()
    };
    assert!(matches!(trusted(&old, &both), Err(KeySetError::Older { .. })));
    assert!(
        matches!(trusted(&old, &kept), Err(KeySetError::NotPinned { .. })),
        "its key was followed by another"
    );
    let future = KeySet::read(&at("2027-11-01T00:00:00Z").sign()).unwrap();
    assert!(matches!(
        trusted(&future, &pins(&[name(0)])),
        Err(KeySetError::NotYet { .. })
    ));
    for bad in [
        "",
        "2026-11-01",
        "2026-11-01T00:00:00+00:00",
        "2026-11-01T00:00:00.5Z",
    ] {
        assert_eq!(
            KeySet::read(&at(bad).sign()).err(),
            Some(KeySetError::NotAKeySet),
            "{bad}"
        );
    }
}

#[test]
fn a_set_is_for_whom_it_says() {
    let project = |name: &str| Audience::Project { name: name.into() };
    let root = || EndorsementKey::of_root(&[7; 32]).unwrap();
    let made = KeySetBuilder::new(project("shop"), NOW.into())
        .member(member(0))
        .root(root());
    let read = KeySet::read(&made.sign()).unwrap();
    let pins = pins(&[root().name()]);
    assert!(read.trusted(&pins, &project("shop"), NOW).is_ok());
    for other in [Audience::Cluster, project("other")] {
        let error = read.trusted(&pins, &other, NOW).err();
        assert!(
            matches!(error, Some(KeySetError::OtherAudience { .. })),
            "{error:?}"
        );
    }
}

#[test]
fn an_expired_key_is_not_sealed_for() {
    let until = |time: &str| Member::rsa(&other_key(0), "2026-01-01T00:00:00Z".into(), time.into()).unwrap();
    let rsa = EndorsementKey::of_rsa(other_key(0).private_key()).unwrap().name();
    for (time, count) in [("2026-11-30T23:59:59Z", 0), (NOW, 0), ("2026-12-01T00:00:01Z", 1)] {
        let read = KeySet::read(&builder().member(until(time)).sign()).unwrap();
        assert_eq!(
            trusted(&read, &Pins::of([rsa.clone()])).unwrap().keys().count(),
            count,
            "{time}"
        );
    }
}

/// The signatures of a document are not signed: anybody can add one.
#[test]
fn a_signature_that_was_added_is_not_pinned() {
    let document = builder().member(member(0)).sign();
    let payload: Value = serde_json::from_str(&document).unwrap();
    let root = EndorsementKey::of_root(&[9; 32]).unwrap();
    let signed = builder()
        .member(member(0))
        .root(EndorsementKey::of_root(&[9; 32]).unwrap())
        .sign();
    let signed: Value = serde_json::from_str(&signed).unwrap();
    assert_eq!(
        signed["payload"], payload["payload"],
        "the same payload, one signature more"
    );
    let read = KeySet::read(&signed.to_string()).unwrap();
    assert!(read.signers().contains(&root.name()));
    let kept = trusted(&read, &pins(&[name(0)])).unwrap().pins;
    assert_eq!(kept.names, BTreeSet::from([name(0)]));
}

#[test]
fn both_formats_stand_in_one_set_and_either_pin_serves() {
    let old = Member::rsa(&other_key(0), NOW.into(), "2027-01-01T00:00:00Z".into()).unwrap();
    let new = Member::rsa(&other_key(1), NOW.into(), "2027-01-01T00:00:00Z".into()).unwrap();
    let read = KeySet::read(&builder().member(old).member(new).member(member(0)).sign()).unwrap();
    let rsa = EndorsementKey::of_rsa(other_key(0).private_key()).unwrap().name();
    for pin in [rsa, name(0)] {
        let found = trusted(&read, &pins(&[pin])).unwrap();
        assert_eq!(
            &found.pins.names,
            read.signers(),
            "who signs beside a pinned key is listed"
        );
        let set = found.set;
        assert_eq!(set.keys.iter().filter(|key| key.is_native()).count(), 1);
        assert_eq!(set.keys.iter().filter(|key| key.certificate.is_some()).count(), 2);
    }
}

#[test]
fn an_offline_root_signs_as_well() {
    let root = || EndorsementKey::of_root(&[7; 32]).unwrap();
    let read = KeySet::read(&builder().member(member(0)).root(root()).sign()).unwrap();
    assert!(trusted(&read, &pins(&[root().name()])).is_ok());
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

/// K0 is gone, and what it said of its followers was kept: who pinned it follows.
#[test]
fn an_endorsement_outlives_the_key_that_made_it() {
    let by = |number| EndorsementKey::of_identity(&key(number)).unwrap();
    let kept = vec![member(2).endorse(&by(0)), member(2).endorse(&by(1))];
    let document = builder().member(member(2).endorsed(kept.clone())).sign();
    let read = KeySet::read(&document).unwrap();
    assert_eq!(read.untrusted().keys.len(), 1);
    for number in [0, 1, 2] {
        assert!(trusted(&read, &pins(&[name(number)])).is_ok(), "{number}");
    }
    // It is of this key alone, and one that is said to have leaked counts for nothing.
    let document = builder().member(member(3).endorsed(kept.clone())).sign();
    let read = KeySet::read(&document).unwrap();
    assert!(read.untrusted().keys[0].endorsements.is_empty());
    let document = builder()
        .compromised(name(1))
        .member(member(2).endorsed(kept.clone()))
        .sign();
    let read = KeySet::read(&document).unwrap();
    assert!(trusted(&read, &pins(&[name(0)])).is_ok());
    assert!(trusted(&read, &pins(&[name(1)])).is_err());
    assert_eq!(read.untrusted().keys[0].endorsements.len(), 1);
    // Beside the key itself it is said once.
    let document = builder()
        .member(member(1))
        .member(member(2).endorsed(kept))
        .sign();
    let read = KeySet::read(&document).unwrap();
    assert_eq!(read.untrusted().keys[0].endorsements.len(), 2);
}
