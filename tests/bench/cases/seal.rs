//! Sealing by the command line, beside kubeseal: many Secrets in one call, and a process for each.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use sealing::v2::{Identity, Suite};
use sealing::{PrivateKey, SelfSigned};
use tests::command;

use crate::numbers::count;
use crate::objects;
use crate::process::Machine;
use crate::report::Report;

const CASE: &str = "seal";

pub(super) fn measure(secrets: usize, report: &mut Report) {
    let home = tempfile::tempdir().expect("a directory");
    let certificate = home.path().join("cert.pem");
    let key = PrivateKey::generate(4096).expect("a key");
    let made = SelfSigned::new(SystemTime::now(), Duration::from_hours(24)).sign(&key);
    std::fs::write(&certificate, made.expect("a certificate").to_pem()).expect("a file");
    let documents: Vec<String> = (0..secrets)
        .map(|index| objects::secret("team", index).to_string())
        .collect();
    let signet = || {
        let mut signet = command::signet(home.path());
        signet
            .args(["seal", "--output", "yaml", "--cert"])
            .arg(&certificate);
        signet
    };
    let recipient = Identity::generate(Suite::default())
        .expect("a key")
        .recipient()
        .to_string();
    let native = || {
        let mut signet = command::signet(home.path());
        signet.args(["seal", "--output", "yaml", "--recipient", &recipient]);
        signet
    };
    let kubeseal = || {
        let mut kubeseal = command::kubeseal();
        kubeseal.args(["--format", "yaml", "--cert"]).arg(&certificate);
        kubeseal
    };
    let tools: [(&[&'static str; 3], &dyn Fn() -> Command); 3] = [
        (
            &[
                "signet seal: one call",
                "signet seal: a process each",
                "signet seal: processors busy with others",
            ],
            &signet,
        ),
        (
            &[
                "signet seal, format v2: one call",
                "signet seal, format v2: a process each",
                "signet seal, format v2: processors busy with others",
            ],
            &native,
        ),
        (
            &[
                "kubeseal: one call",
                "kubeseal: a process each",
                "kubeseal: processors busy with others",
            ],
            &kubeseal,
        ),
    ];
    for ([one, each, others], tool) in tools {
        let before = Machine::now();
        report.say(one);
        let all = documents.join("\n---\n");
        let began = Instant::now();
        let sealed = command::run(tool(), all.as_bytes()).ok();
        let note =
            format!("{secrets} Secrets of 2 values, RSA 4096 or a hybrid key, from a file or by argument");
        report.add_with(CASE, one, began.elapsed().as_secs_f64(), "s", note);
        let kinds = sealed
            .lines()
            .filter(|line| *line == "kind: SealedSecret")
            .count();
        assert_eq!(kinds, secrets, "each is sealed");
        report.say(each);
        let began = Instant::now();
        for document in &documents {
            command::run(tool(), document.as_bytes()).ok();
        }
        let seconds = began.elapsed().as_secs_f64();
        let note = format!("{:.1} ms each", 1000.0 * seconds / count(secrets));
        report.add_with(CASE, each, seconds, "s", note);
        report.add(CASE, others, before.used().others, "");
    }
}
