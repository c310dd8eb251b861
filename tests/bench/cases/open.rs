//! Opening many values: of format v1 beside the code that the sealed-secrets controller opens with, and of format v2. No cluster, no
//! YAML.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use sealing::v2::{Identities, Identity, Recipients, SealedSecret, Suite, seal_secret};
use sealing::{KeyRing, PrivateKey, Scope, SealOptions, SealingKey, SelfSigned, v1};
use serde_json::{Value, json};
use tests::{command, paths};

use crate::numbers::count;
use crate::objects;
use crate::process::Machine;
use crate::report::Report;

const CASE: &str = "open";

struct Sealed {
    label: Vec<u8>,
    value: String,
}

pub(super) fn measure(values: usize, report: &mut Report) {
    report.say("sealing what is to be opened");
    let home = tempfile::tempdir().expect("a directory");
    let private = PrivateKey::generate(4096).expect("a key");
    let pem = private.to_pkcs1_pem().expect("the key as PEM");
    let certificate = SelfSigned::new(SystemTime::now(), Duration::from_hours(24))
        .sign(&private)
        .expect("a certificate");
    let public = certificate
        .public_key_at(SystemTime::now())
        .expect("a valid certificate");
    let (mut sealed, mut lines, mut bytes) = (Vec::with_capacity(values), String::new(), 0);
    for index in 0..values {
        let name = format!("login-{index:05}");
        let label = Scope::Strict.label("team", &name);
        let value = format!(
            "{:016x}{:016x}",
            objects::noise(index, 1),
            objects::noise(index, 2)
        );
        bytes += value.len();
        let value = v1::seal(public, &label, value.as_bytes()).expect("a sealed value");
        let _ = writeln!(lines, "team/{name} {value}");
        sealed.push(Sealed { label, value });
    }
    let file = home.path().join("sealed");
    let key_file = home.path().join("key.pem");
    std::fs::write(&file, lines).expect("a file");
    std::fs::write(&key_file, pem.as_bytes()).expect("a file");
    let key = SealingKey::new(private, certificate).expect("one pair");
    let ring = KeyRing::new([key]);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);

    let before = Machine::now();
    report.say("Signet opens");
    let note = format!("{values} values, RSA 4096, one key");
    for (what, workers) in [
        ("signet: format v1, one thread", 1),
        ("signet: format v1, a thread a processor", workers),
    ] {
        let (opened, seconds) = open(&sealed, workers, |one| {
            ring.open(&one.value, &one.label).expect("it opens").len()
        });
        assert_eq!(opened, bytes, "each opens to what was sealed");
        report.add_with(CASE, what, seconds, "s", note.clone());
        report.say(&format!("{:.2} ms each", 1000.0 * seconds / count(values)));
    }
    report.promise(
        format!(
            "open: one private-key operation a value; {} were done for {values} values twice",
            ring.private_operations()
        ),
        ring.private_operations() == 2 * values as u64,
    );

    for suite in [Suite::MlKem768X25519, Suite::X25519] {
        native(suite, values, workers, report);
    }

    report.say("the code of sealed-secrets opens");
    let folder = paths::kubeseal().parent().expect("a folder").to_owned();
    let mut peer = Command::new(folder.join("sealed-secrets-peer"));
    peer.arg("open").arg(&file).arg(&key_file);
    let result: Value = serde_json::from_str(&command::run(peer, b"").ok()).expect("JSON");
    assert_eq!(result["bytes"], bytes, "it opens the same");
    for (what, field) in [
        ("sealed-secrets: one goroutine", "serial"),
        ("sealed-secrets: a goroutine a processor", "all"),
    ] {
        let seconds = result[field].as_f64().expect("a time");
        report.add_with(CASE, what, seconds, "s", note.clone());
    }
    report.add(CASE, "processors busy with others", before.used().others, "");
}

/// Values of format v2, each in a SealedSecret of its own, so that each takes a private-key operation: the most that they can cost.
fn native(suite: Suite, values: usize, workers: usize, report: &mut Report) {
    report.say(&format!("Signet opens format v2, {suite}"));
    let identity = Identity::generate(suite).expect("a key");
    let recipients = Recipients::new([identity.recipient().clone()]).expect("a recipient");
    let identities = Identities::new([identity]);
    let mut bytes = 0;
    let sealed: Vec<SealedSecret> = (0..values)
        .map(|index| {
            let value = format!(
                "{:016x}{:016x}",
                objects::noise(index, 1),
                objects::noise(index, 2)
            );
            bytes += value.len();
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"namespace": "team", "name": format!("login-{index:05}")},
                "stringData": {"password": value},
            });
            seal_secret(&secret, &recipients, SealOptions::default()).expect("a sealed Secret")
        })
        .collect();
    let before = identities.private_operations();
    for workers in [1, workers] {
        let (opened, seconds) = open(&sealed, workers, |one| {
            let opened = one.open(&identities, "team").expect("it opens");
            opened.data().values().map(sealing::Plaintext::len).sum()
        });
        assert_eq!(opened, bytes, "each opens to what was sealed");
        let what = match (suite, workers) {
            (Suite::MlKem768X25519, 1) => "signet: format v2, hybrid, one thread",
            (Suite::MlKem768X25519, _) => "signet: format v2, hybrid, a thread a processor",
            (Suite::X25519, 1) => "signet: format v2, X25519, one thread",
            (Suite::X25519, _) => "signet: format v2, X25519, a thread a processor",
        };
        let note = format!("{values} SealedSecrets of one value");
        report.add_with(CASE, what, seconds, "s", note);
    }
    let operations = identities.private_operations() - before;
    report.promise(
        format!("open: one private-key operation a SealedSecret of format v2; {operations} were done for {values} twice"),
        operations == 2 * values as u64,
    );
}

/// Opens everything with `open`, which says how many bytes came out; all of them, and how many seconds it took.
fn open<T: Sync>(sealed: &[T], workers: usize, open: impl Fn(&T) -> usize + Sync) -> (usize, f64) {
    let (next, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(one) = sealed.get(next.fetch_add(1, Ordering::Relaxed)) {
                    bytes.fetch_add(open(one), Ordering::Relaxed);
                }
            });
        }
    });
    (bytes.into_inner(), began.elapsed().as_secs_f64())
}
