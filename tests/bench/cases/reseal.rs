//! Sealing again for another key: a clone by `signet reseal`, through the code that a KeyRotation goes through, beside a loop of
//! `kubeseal --re-encrypt` against the real sealed-secrets controller.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealing::v2::{Identity, Suite};
use sealing::{PrivateKey, SelfSigned};
use serde_json::{Value, json};
use tests::bitnami::{Bitnami, PLACE};
use tests::{Cluster, command};

use crate::kubectl::watched;
use crate::numbers::count;
use crate::objects;
use crate::process::{self, Machine};
use crate::report::Report;

const CASE: &str = "reseal";
const NAMESPACE: &str = "team";
/// SealedSecrets in one file.
const PER_FILE: usize = 50;
/// How many kubeseal seals again: a process and a request each.
const BY_KUBESEAL: usize = 100;

pub(super) async fn measure(values: usize, report: &mut Report) {
    let home = tempfile::tempdir().expect("a directory");
    let (old, new) = (Pair::make(0), Pair::make(60));
    v1(home.path(), &old, &new, values, report);
    v2(home.path(), values, report);
    kubeseal(home.path(), &old, &new, report).await;
}

/// A key of format v1.
struct Pair {
    key: String,
    certificate: String,
}

impl Pair {
    /// The certificate begins so many seconds after another's.
    fn make(later: u64) -> Self {
        let key = PrivateKey::generate(4096).expect("a key");
        let from = SystemTime::now() - Duration::from_secs(120 - later);
        let made = SelfSigned::new(from, Duration::from_hours(24)).sign(&key);
        Self {
            key: key.to_pkcs1_pem().expect("the key as PEM").to_string(),
            certificate: made.expect("a certificate").to_pem().to_owned(),
        }
    }

    fn data(&self) -> Value {
        json!({"tls.crt": STANDARD.encode(&self.certificate), "tls.key": STANDARD.encode(&self.key)})
    }
}

fn write(home: &Path, name: &str, content: &str) -> std::path::PathBuf {
    let path = home.join(name);
    std::fs::create_dir_all(path.parent().expect("a file's path")).expect("a directory");
    std::fs::write(&path, content).expect("a file");
    path
}

/// Secrets of two values, sealed by one call.
fn sealed(home: &Path, secrets: usize, arguments: &[&str]) -> Vec<String> {
    let plain: Vec<String> = (0..secrets)
        .map(|index| objects::secret(NAMESPACE, index).to_string())
        .collect();
    let mut signet = command::signet(home);
    signet.args(["seal", "--output", "yaml"]).args(arguments);
    let text = command::run(signet, plain.join("\n---\n").as_bytes()).ok();
    let documents = text.split("---\n").filter(|document| document.contains("kind:"));
    let documents: Vec<String> = documents.map(str::to_owned).collect();
    assert_eq!(documents.len(), secrets, "each is sealed");
    documents
}

/// A clone of files with many documents and comments.
fn clone(home: &Path, name: &str, documents: &[String]) -> std::path::PathBuf {
    for (number, part) in documents.chunks(PER_FILE).enumerate() {
        let text: Vec<String> = part
            .iter()
            .map(|document| format!("# What the app reads.\n{document}"))
            .collect();
        write(
            home,
            &format!("{name}/file-{number:04}.yaml"),
            &text.join("---\n"),
        );
    }
    home.join(name)
}

fn v1(home: &Path, old: &Pair, new: &Pair, values: usize, report: &mut Report) {
    report.say("sealing what is to be sealed again, format v1");
    let certificate = write(home, "old.pem", &old.certificate);
    let documents = sealed(
        home,
        values / 2,
        &["--cert", certificate.to_str().expect("a path")],
    );
    let clone = clone(home, "v1", &documents);
    let key = write(home, "old.key", &old.key);
    let to = write(home, "new.pem", &new.certificate);
    again(
        home,
        &clone,
        (&key, to.to_str().expect("a path")),
        values,
        &[
            "signet reseal, format v1",
            "signet reseal, format v1: CPU",
            "signet reseal, format v1: peak RSS",
            "signet reseal, format v1: values a second",
            "signet reseal, format v1: processors busy with others",
        ],
        report,
    );
}

fn v2(home: &Path, values: usize, report: &mut Report) {
    report.say("sealing what is to be sealed again, format v2");
    let keys = [(); 2].map(|()| Identity::generate(Suite::default()).expect("a key"));
    let recipient = |key: &Identity| key.recipient().to_string();
    let documents = sealed(home, values / 2, &["--recipient", &recipient(&keys[0])]);
    let clone = clone(home, "v2", &documents);
    let key = write(home, "old.agekey", &keys[0].to_text());
    again(
        home,
        &clone,
        (&key, &recipient(&keys[1])),
        values,
        &[
            "signet reseal, format v2",
            "signet reseal, format v2: CPU",
            "signet reseal, format v2: peak RSS",
            "signet reseal, format v2: values a second",
            "signet reseal, format v2: processors busy with others",
        ],
        report,
    );
}

/// Seals a clone again, and looks that nothing is left that the old key opens.
fn again(
    home: &Path,
    clone: &Path,
    (key, to): (&Path, &str),
    values: usize,
    names: &[&'static str; 5],
    report: &mut Report,
) {
    report.say(names[0]);
    let command = || -> Command {
        let mut signet = command::signet(home);
        signet
            .current_dir(clone)
            .args(["reseal", "."])
            .arg("--from-key")
            .arg(key)
            .args(["--to", to]);
        signet
    };
    let (before, began) = (Machine::now(), Instant::now());
    let (_, cpu, peak) = watched(command(), &home.join("reseal.out"));
    let seconds = began.elapsed().as_secs_f64();
    let note = format!(
        "{values} values in SealedSecrets of 2, files of {PER_FILE}; the old key opens, the new one seals"
    );
    report.add_with(CASE, names[0], seconds, "s", note);
    report.add(CASE, names[1], cpu, "s");
    report.add(CASE, names[2], peak, "MiB");
    report.add(CASE, names[3], count(values) / seconds, "/s");
    report.add(CASE, names[4], before.used().others, "");
    // Once more finds nothing: what the old key does not open is left alone, and named.
    let text = |dir: &Path| -> Vec<String> {
        let mut files: Vec<_> = std::fs::read_dir(dir)
            .expect("the clone")
            .map(|file| file.expect("a file").path())
            .collect();
        files.sort();
        files
            .iter()
            .map(|file| std::fs::read_to_string(file).expect("a file"))
            .collect()
    };
    let done = text(clone);
    command::run(command(), b"");
    report.promise(
        format!("{}: nothing is left that the old key opens", names[0]),
        text(clone) == done,
    );
}

async fn kubeseal(home: &Path, old: &Pair, new: &Pair, report: &mut Report) {
    report.say("starting a cluster for sealed-secrets");
    let cluster = Cluster::own().await;
    let bitnami = Bitnami::install(&cluster, &old.data());
    let newer = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": new.data(),
        "metadata": {"name": "sealed-secrets-key1", "namespace": PLACE,
            "labels": {"sealedsecrets.bitnami.com/sealed-secrets-key": "active"}}});
    cluster
        .kubectl_with(["create", "-f", "-"], &newer.to_string())
        .ok();
    let running = bitnami.start().await;
    running.expose(&cluster);
    let certificate = write(home, "old.pem", &old.certificate);
    let documents = sealed(
        home,
        BY_KUBESEAL,
        &["--cert", certificate.to_str().expect("a path")],
    );
    report.say("kubeseal --re-encrypt, a process each");
    let served = process::cpu_seconds(running.pid());
    let (before, began) = (Machine::now(), Instant::now());
    let (mut cpu, mut peak) = (0.0, 0.0_f64);
    for document in &documents {
        let file = write(home, "one.yaml", document);
        let mut kubeseal = command::kubeseal();
        kubeseal
            .env("KUBECONFIG", cluster.kubeconfig())
            .args(["--controller-namespace", PLACE, "--controller-name", PLACE])
            .args(["--re-encrypt", "--format", "yaml", "--secret-file"])
            .arg(&file);
        let (said, own, most) = watched(kubeseal, &home.join("kubeseal.out"));
        // Some versions write over a file that is named.
        let written = std::fs::read_to_string(&file).expect("the file");
        let again = if said.is_empty() { written } else { said };
        assert!(
            again.contains("kind: SealedSecret") && again != *document,
            "it is sealed again: {again}"
        );
        // One that ends between two looks counts as nothing.
        cpu += own;
        peak = peak.max(most);
    }
    let seconds = began.elapsed().as_secs_f64();
    let each = 1000.0 * seconds / count(BY_KUBESEAL);
    let note =
        format!("{BY_KUBESEAL} SealedSecrets of 2 values, a process and a request each; {each:.1} ms each");
    report.add_with(CASE, "kubeseal --re-encrypt", seconds, "s", note);
    report.add(CASE, "kubeseal --re-encrypt: its CPU", cpu, "s");
    let served = process::cpu_seconds(running.pid()) - served;
    report.add(CASE, "kubeseal --re-encrypt: sealed-secrets' CPU", served, "s");
    let used = before.used();
    report.add(
        CASE,
        "kubeseal --re-encrypt: control plane CPU",
        used.cluster,
        "s",
    );
    report.add(CASE, "kubeseal --re-encrypt: its peak RSS", peak, "MiB");
    report.add(
        CASE,
        "kubeseal --re-encrypt: values a second",
        2.0 * count(BY_KUBESEAL) / seconds,
        "/s",
    );
    report.add(
        CASE,
        "kubeseal --re-encrypt: processors busy with others",
        used.others,
        "",
    );
    running.stop();
}
