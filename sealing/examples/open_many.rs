//! How long 10,000 sealed values take to open, in this process and on one core: format v1 with an RSA-4096 key, format v2 for
//! hybrid and for X25519 recipients, 2,000 objects of 5 values each.
//!
//! `cargo run --release -p sealing --example open_many [OBJECTS]`

// What fails ends the run; the result goes to standard output.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use sealing::v2::{self, Identities, Identity, Recipients, Suite};
use sealing::{KeyRing, PrivateKey, SealOptions, SealedSecret, SealingKey, SelfSigned, seal_secret};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime};

const VALUES: usize = 5;

fn secret(number: usize) -> Value {
    let data: serde_json::Map<_, _> = (0..VALUES)
        .map(|value| {
            (
                format!("key{value}"),
                Value::from(format!("a value of 24 bytes {number:04}")),
            )
        })
        .collect();
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("s{number}"), "namespace": "team"},
        "stringData": data})
}

fn row(what: &str, objects: usize, sealing: Duration, opening: Duration, operations: u64, bytes: usize) {
    println!(
        "| {what} | {} | {:.2} s | {:.2} s | {:.0} µs | {operations} | {} |",
        objects * VALUES,
        sealing.as_secs_f64(),
        opening.as_secs_f64(),
        opening.as_secs_f64() * 1e6 / f64::from(u32::try_from(objects * VALUES).unwrap()),
        bytes / objects,
    );
}

fn main() {
    let objects: usize = std::env::args().nth(1).map_or(2000, |text| text.parse().unwrap());
    println!(
        "| format | values | sealed in | parsed and opened in | a value | private operations | bytes an object |"
    );
    println!("|---|---|---|---|---|---|---|");

    let private = PrivateKey::generate(4096).unwrap();
    let certificate = SelfSigned::new(SystemTime::now(), SelfSigned::TEN_YEARS)
        .sign(&private)
        .unwrap();
    let start = Instant::now();
    let key = certificate.public_key_at(SystemTime::now()).unwrap();
    let sealed: Vec<_> = (0..objects)
        .map(|number| seal_secret(&secret(number), key, SealOptions::default()).unwrap())
        .collect();
    let sealing = start.elapsed();
    let ring = KeyRing::new([SealingKey::new(private, certificate).unwrap()]);
    let start = Instant::now();
    for object in &sealed {
        let opened = SealedSecret::parse(object)
            .ok()
            .unwrap()
            .open(&ring, "team")
            .ok()
            .unwrap();
        assert_eq!(opened.data().len(), VALUES);
    }
    let bytes = sealed.iter().map(|object| object.to_string().len()).sum();
    row(
        "v1, RSA-4096",
        objects,
        sealing,
        start.elapsed(),
        ring.private_operations(),
        bytes,
    );

    for suite in [Suite::MlKem768X25519, Suite::X25519] {
        let identity = Identity::generate(suite).unwrap();
        let to = Recipients::new([identity.recipient().clone()]).unwrap();
        let start = Instant::now();
        let sealed: Vec<_> = (0..objects)
            .map(|number| {
                v2::seal_secret(&secret(number), &to, SealOptions::default())
                    .unwrap()
                    .to_value()
            })
            .collect();
        let sealing = start.elapsed();
        let ids = Identities::new([identity]);
        let start = Instant::now();
        for object in &sealed {
            let opened = v2::SealedSecret::parse(object)
                .ok()
                .unwrap()
                .open(&ids, "team")
                .ok()
                .unwrap();
            assert_eq!(opened.data().len(), VALUES);
        }
        let bytes = sealed.iter().map(|object| object.to_string().len()).sum();
        row(
            &format!("v2, {suite}"),
            objects,
            sealing,
            start.elapsed(),
            ids.private_operations(),
            bytes,
        );
    }
}
