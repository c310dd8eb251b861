//! `signet reseal`.

mod report;

use crate::args::OutputArg;
use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use crate::output::{self, show};
use crate::private_keys::{self, PrivateKeys};
use crate::progress::Progress;
use crate::repo_config::{self, LintConfig};
use crate::repo_files::{self, Text};
use crate::trust::{SealForArgs, parse_recipients};
use crate::ui::Ui;
use clap::Args;
use manifest::Limits;
use reseal::{Resealed, Task};
use sealing::v2::Recipients;
use sealing::{Certificate, Printable};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// Seal again, for another key, all that an old key can open
///
/// It takes what Git follows, or PATHs, opens every sealed value that the keys given with
/// --from-key open, and seals it for the new key under a fresh data key. Files are changed
/// in place: comments and all other lines stay byte for byte. Nothing is committed.
///
/// The new key is the repository's, as for `signet seal`, unless --to names one: the file of
/// a certificate (format v1) or an age recipient (native format). No cluster is needed with
/// --to or --offline.
///
/// The old key still opens what is in Git's history. What must not be known any more has to
/// be changed at its source.
///
/// Exit codes: 0 nothing is left that the old keys open; 1 something could not be sealed again, and is named; the rest was.
///
/// Example: off an old key with the recovery key, without a cluster
///
///     signet reseal --from-key recovery.agekey --to new-cert.pem --to age1pq1…
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ResealArgs {
    /// Files and directories to look at
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Open with the private keys in this file: PEM, an age identity file, or Secrets of a controller's keys. May be given several
    /// times
    #[arg(
        long,
        value_name = "FILE",
        required = true,
        env = "SIGNET_KEY",
        hide_env_values = true
    )]
    from_key: Vec<PathBuf>,
    /// Seal for this: the file or URL of a certificate (format v1), or an age recipient (native format). May be given several times
    #[arg(long, value_name = "CERT|RECIPIENT", conflicts_with_all = ["cert", "recipient", "key_set", "offline"])]
    to: Vec<String>,
    /// Only what is sealed for this key, a fingerprint or a key id as `signet keys list` shows them [default: whatever is not sealed for
    /// the new key alone]
    #[arg(long, value_name = "KEY")]
    leaving: Vec<String>,
    /// The namespace of SealedSecrets that name none
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Change nothing, and say what would be
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArg,
    #[command(flatten)]
    seal_for: SealForArgs,
}

/// What is sealed for.
#[derive(Default)]
struct Target {
    certificate: Option<Certificate>,
    recipients: Option<Recipients>,
}

impl ResealArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        if self
            .namespace
            .as_deref()
            .is_some_and(|name| !sealing::is_namespace(name))
        {
            return Err(CommandError::user(
                "--namespace is not a name that Kubernetes accepts",
                "a namespace has lower-case letters, digits and `-`",
            ));
        }
        let keys = private_keys::read_files(&self.from_key)?;
        let (top, texts) = self.texts()?;
        let target = self.target(ui, global, &texts)?;
        self.check_leaving(&keys, &target)?;
        let progress = Progress::start(ui, "sealing again");
        let all = self.seal_again(&texts, &keys, &target);
        drop(progress);
        let mut done = Vec::with_capacity(texts.len());
        for (text, resealed) in texts.iter().zip(all) {
            let resealed = resealed.map_err(|problem| {
                CommandError::user(
                    format!("{}: {problem}", show(Path::new(&text.name))),
                    "correct the file, or leave it out by naming the others; nothing was written",
                )
            })?;
            done.push((text, resealed));
        }
        if !self.dry_run {
            for (text, resealed) in &done {
                if !resealed.changed.is_empty() {
                    let path = top
                        .as_deref()
                        .map_or_else(|| PathBuf::from(&text.name), |top| top.join(&text.name));
                    unchanged(&path, text)?;
                    output::replace_bytes(&path, &resealed.bytes)?;
                }
            }
        }
        let shown: Vec<(&str, &Resealed)> = done
            .iter()
            .map(|(text, resealed)| (text.name.as_str(), resealed))
            .collect();
        report::print(ui, self.output.output, self.dry_run, &shown)
    }

    /// The texts that may hold SealedSecrets, and the top of the repository that they are in.
    fn texts(&self) -> Result<(Option<PathBuf>, Vec<Text>), CommandError> {
        let top = repo_config::top_of(self.paths.first().map_or(Path::new("."), PathBuf::as_path));
        // What `lint` leaves out may hang on the old key as well.
        let mut texts = repo_files::read(top.as_deref(), &self.paths, false, &LintConfig::default())?;
        texts.retain(|text| text.is_manifest() && has(text, "SealedSecret"));
        Ok((top, texts))
    }

    /// A slip in `--leaving` would look as if there were nothing to do.
    fn check_leaving(&self, keys: &PrivateKeys, target: &Target) -> Result<(), CommandError> {
        for leaving in &self.leaving {
            let shown = Printable(leaving);
            let certificate = target.certificate.as_ref();
            let to_v1 = certificate.is_some_and(|to| to.fingerprint().as_str() == leaving);
            let recipients = target.recipients.iter().flat_map(Recipients::key_ids);
            if to_v1 || recipients.into_iter().any(|id| id.as_str() == leaving) {
                return Err(CommandError::user(
                    format!("{shown} is to be left, and is one of the keys to seal for"),
                    "take it out of `recipients` in .signet.yaml, or name the new keys with --to",
                ));
            }
            let is_v1 = leaving.starts_with("SHA256:");
            if !is_v1 && !leaving.starts_with("key-") {
                return Err(CommandError::user(
                    format!("{shown} is no name of a key"),
                    "it is a fingerprint (SHA256:…) or a key id (key-…), as `signet keys list` shows it",
                ));
            }
            // No value of format v1 says what it is sealed for: only its key tells.
            if is_v1
                && !keys
                    .ring
                    .keys()
                    .iter()
                    .any(|key| key.fingerprint().as_str() == leaving)
            {
                return Err(CommandError::user(
                    format!("{shown} is none of the keys that --from-key gives"),
                    "give its private key with --from-key",
                ));
            }
        }
        Ok(())
    }

    /// The keys that are sealed for, of the formats that there are.
    fn target(&self, ui: &Ui, global: &GlobalArgs, texts: &[Text]) -> Result<Target, CommandError> {
        let mut target = Target::default();
        if !self.to.is_empty() {
            let (recipients, certificates): (Vec<_>, Vec<_>) =
                self.to.iter().cloned().partition(|to| to.starts_with("age1"));
            if certificates.len() > 1 {
                return Err(CommandError::user(
                    "--to names several certificates, and a value of format v1 is sealed for one",
                    "name one certificate; age recipients may be several",
                ));
            }
            if let Some(source) = certificates.first() {
                target.certificate = Some(self.seal_for.named(ui, source)?);
            }
            if !recipients.is_empty() {
                target.recipients = Some(parse_recipients(&recipients)?);
            }
            return Ok(target);
        }
        let place = self.paths.first().map_or(Path::new("."), PathBuf::as_path);
        if texts.iter().any(|text| has(text, "bitnami.com/v1alpha1")) {
            target.certificate = Some(self.seal_for.certificate(ui, global, place)?);
        }
        if texts.iter().any(|text| has(text, "signet.dev/v1alpha1")) {
            target.recipients = Some(self.seal_for.recipients(ui, global, place)?);
        }
        Ok(target)
    }

    /// All texts, on all processors: a value of format v1 costs a private operation of RSA.
    fn seal_again(
        &self,
        texts: &[Text],
        keys: &PrivateKeys,
        target: &Target,
    ) -> Vec<Result<Resealed, reseal::TextError>> {
        let leaving: BTreeSet<String> = self.leaving.iter().cloned().collect();
        let task = Task {
            ring: &keys.ring,
            identities: &keys.identities,
            certificate: target.certificate.as_ref(),
            recipients: target.recipients.as_ref(),
            others: None,
            leaving: &leaving,
            namespace: self.namespace.as_deref(),
            every_key: false,
            now: SystemTime::now(),
        };
        let limits = Limits::default();
        let next = AtomicUsize::new(0);
        let done: Vec<Mutex<Option<_>>> = texts.iter().map(|_| Mutex::new(None)).collect();
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(text) = texts.get(at) else { return };
                let resealed = reseal::stream(&text.bytes, &limits, &task);
                *done[at].lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(resealed);
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 1..threads.min(texts.len()) {
                scope.spawn(work);
            }
            work();
        });
        let done = done.into_iter();
        done.filter_map(|slot| {
            slot.into_inner()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        })
        .collect()
    }
}

/// Somebody may have written to the file meanwhile.
fn unchanged(path: &Path, text: &Text) -> Result<(), CommandError> {
    let now = std::fs::read(path).map(Zeroizing::new);
    if now.is_ok_and(|now| *now == *text.bytes) {
        return Ok(());
    }
    Err(CommandError::user(
        format!("{} was changed while its values were sealed again", show(path)),
        "it was left as it is; run this again",
    ))
}

fn has(text: &Text, word: &str) -> bool {
    text.bytes.windows(word.len()).any(|part| part == word.as_bytes())
}
