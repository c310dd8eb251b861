//! Which keys are tried, in which order, and how often.

use crate::support::{other_key, public, ring, sealed, vector_key};
use sealing::{KeyRing, OpenError, Scope, SealingKey, v1};
use std::time::{Duration, SystemTime};

fn sealed_for(key: &SealingKey, value: &str) -> String {
    v1::seal(public(key.certificate()), b"l", value.as_bytes()).unwrap()
}

#[test]
fn newest_first_and_each_key_once() {
    let ring = KeyRing::new([other_key(1), other_key(0), vector_key(), other_key(0)]);
    let order: Vec<_> = ring.keys().iter().map(|key| key.fingerprint().clone()).collect();
    let expected = [vector_key(), other_key(1), other_key(0)].map(|key| key.fingerprint().clone());
    assert_eq!(order, expected);
    assert_eq!(ring.newest().unwrap().fingerprint(), &expected[0]);

    // By another order, such as when the Secrets were created; of two of one time, the first is newer.
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let ring = KeyRing::new([
        vector_key().ordered_at(at(1)),
        other_key(0).ordered_at(at(2)),
        other_key(1).ordered_at(at(2)),
    ]);
    assert_eq!(ring.newest().unwrap().fingerprint(), &expected[2]);
}

#[test]
fn the_key_that_opened_last_is_tried_first() {
    let ring = KeyRing::new([other_key(1), other_key(0)]);
    let (newest, oldest) = (sealed_for(&other_key(1), "new"), sealed_for(&other_key(0), "old"));
    let open = |text: &str| {
        let before = ring.private_operations();
        assert!(ring.open(text, b"l").is_ok());
        ring.private_operations() - before
    };
    assert_eq!(open(&newest), 1);
    assert_eq!(open(&oldest), 2);
    assert_eq!(open(&oldest), 1);
    assert_eq!(open(&oldest), 1);
    assert_eq!(open(&newest), 2);
    assert_eq!(open(&newest), 1);
    assert_eq!(ring.private_operations(), 8);
}

#[test]
fn a_value_that_no_key_opens_costs_one_try_a_key() {
    let ring = KeyRing::new([other_key(1), other_key(0)]);
    let foreign = sealed_for(&vector_key(), "x");
    assert_eq!(ring.open(&foreign, b"l").err(), Some(OpenError::NoKey));
    assert_eq!(ring.private_operations(), 2);
}

#[test]
fn keys_of_another_size_are_not_tried() {
    let ring = KeyRing::new([other_key(2), other_key(0)]);
    assert!(ring.open(&sealed_for(&other_key(0), "x"), b"l").is_ok());
    assert_eq!(ring.private_operations(), 1, "the newer key has 3072 bits");

    let ring = KeyRing::new([other_key(2)]);
    let err = ring.open(&sealed_for(&vector_key(), "x"), b"l").err().unwrap();
    assert_eq!(err, OpenError::OtherKeySize { bits: 2048 });
    assert_eq!(ring.private_operations(), 0);
}

#[test]
fn what_can_be_seen_without_a_key_costs_nothing() {
    let ring = ring();
    let good = sealed(Scope::Cluster, "", "", "hunter2");
    for (text, err) in [
        ("", OpenError::Truncated),
        ("AA==", OpenError::Truncated),
        ("AQA=", OpenError::Truncated),
        ("?", OpenError::NotBase64),
        (good.trim_end_matches('='), OpenError::NotBase64),
        (&good[..good.len() - 24], OpenError::Truncated),
    ] {
        assert_eq!(ring.open(text, b"").err(), Some(err), "{text}");
    }
    assert_eq!(ring.private_operations(), 0);
    assert_eq!(
        KeyRing::new([]).open(&good, b"").err(),
        Some(OpenError::EmptyRing)
    );
    assert!(KeyRing::new([]).newest().is_none());
}

#[test]
fn many_threads_share_a_ring() {
    let ring = ring();
    let sealed = sealed(Scope::Cluster, "", "", "hunter2");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(ring.open(&sealed, b"").unwrap().expose(), b"hunter2");
                }
            });
        }
    });
    assert_eq!(ring.private_operations(), 20);
}
