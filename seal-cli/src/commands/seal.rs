//! `signet seal`.

mod input;
mod write;

use crate::certificate::ControllerArgs;
use crate::cli::GlobalArgs;
use crate::command_error::CommandError;
use crate::ui::Ui;
use clap::Args;
use input::Input;
use manifest::Manifest;
use sealing::{Certificate, PublicKey, Scope, SealError, SealOptions, SealProblem, seal_secret};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;
pub(crate) use write::Format;

/// Seal Secrets into SealedSecrets that are safe to commit
///
/// Reads manifests, YAML or JSON, from files and standard input: any number of
/// documents, and Lists of them. Every one of them has to be a Secret. If one
/// is not, or cannot be sealed, all that is wrong is reported and nothing is
/// written, so that no Secret is left behind in plain text by mistake.
///
/// A sealed value opens only under the name and namespace it was sealed for
/// (scope strict), under any name in that namespace (namespace-wide), or
/// anywhere (cluster-wide). The scope is that of --scope, or the one that the
/// Secret's own annotations name.
///
/// Example: seal a new Secret without ever writing it to disk
///
///     kubectl create secret generic db -n shop --from-literal=password=… \
///       --dry-run=client -o yaml | signet seal > db.yaml
///
/// Example: replace a file by its sealed form
///
///     signet seal secret.yaml -w secret.yaml
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct SealArgs {
    /// Files to seal; `-`, or none, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Seal for the certificate in this file or at this URL [env: SIGNET_CERT, SEALED_SECRETS_CERT] [default: the
    /// controller's, as `signet cert` fetches it]
    #[arg(long, value_name = "FILE|URL")]
    cert: Option<String>,
    /// Where the values may be opened: strict, namespace-wide or cluster-wide [default: as annotated, else strict]
    #[arg(long, value_name = "SCOPE", value_parser = ["strict", "namespace-wide", "cluster-wide"], hide_possible_values = true)]
    scope: Option<String>,
    /// The namespace of Secrets that name none
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Write yaml or json [default: by the name of the output file, else as the input is]
    #[arg(long, short = 'o', value_name = "FORMAT")]
    output: Option<Format>,
    /// Write to this file instead of standard output; it is replaced whole, or not touched
    #[arg(long, short = 'w', value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Seal a Secret that holds no data too
    #[arg(long)]
    allow_empty_data: bool,
    #[command(flatten)]
    controller: ControllerArgs,
}

impl SealArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let input = Input::read(&self.files)?;
        let secrets = self.checked(input.manifests, input.refused)?;
        let certificate = self.certificate(ui, global)?;
        let key = certificate.public_key_at(SystemTime::now()).map_err(|err| {
            CommandError::user(
                format!("cannot seal: {err}"),
                "fetch the current one with `signet cert`; an expired key cannot be sealed for",
            )
        })?;
        let sealed = self.seal_all(key, &secrets)?;
        let format = self
            .output
            .unwrap_or_else(|| Format::of(self.output_file.as_deref(), input.all_json));
        write::write(ui, &sealed, format, self.output_file.as_deref())?;
        Ok(ExitCode::SUCCESS)
    }

    /// Refuses the whole input unless every object is a Secret with a place to live in.
    fn checked(&self, manifests: Vec<Manifest>, mut refused: Refused) -> Result<Vec<Manifest>, CommandError> {
        let mut secrets = Vec::with_capacity(manifests.len());
        for mut found in manifests {
            let gvk = &found.id.gvk;
            if gvk.kind == "Secret" && gvk.group.is_empty() {
                if let Err((problem, hint)) = self.place(&mut found) {
                    refused.add(&found, &problem, hint);
                }
                secrets.push(found);
            } else if gvk.kind == "SealedSecret" {
                refused.add(&found, "it is sealed already", "leave out what is sealed already");
            } else {
                refused.add(
                    &found,
                    "it is not a Secret",
                    "only Secrets are sealed; keep other objects in files of their own",
                );
            }
        }
        refused.into_result()?;
        if secrets.is_empty() {
            return Err(CommandError::user(
                "there is no Secret in the input",
                "give a file, or pipe a manifest in: kubectl create secret … --dry-run=client -o yaml | signet seal",
            ));
        }
        Ok(secrets)
    }

    /// Gives a Secret without a namespace the one of `--namespace`. None is taken from the kubeconfig: the namespace
    /// is part of what is sealed, and must not depend on where one happens to be logged in.
    fn place(&self, found: &mut Manifest) -> Result<(), (String, &'static str)> {
        let annotations = found.object.pointer("/metadata/annotations");
        let scope = self
            .scope()
            .unwrap_or_else(|| Scope::from_annotations(annotations));
        match (found.id.namespace.as_deref(), self.namespace.as_deref()) {
            _ if scope == Scope::Cluster => Ok(()),
            (Some(own), Some(asked)) if own != asked => Err((
                format!(
                    "it is in namespace {own}, but --namespace says {}",
                    sealing::Printable(asked)
                ),
                "leave out --namespace, or seal the files of each namespace on their own",
            )),
            (Some(_), _) => Ok(()),
            (None, Some(asked)) => {
                found.object["metadata"]["namespace"] = asked.into();
                Ok(())
            }
            (None, None) => Err((
                format!("it names no namespace, and scope {scope} needs one"),
                "write metadata.namespace, or give --namespace NAME, or --scope cluster-wide",
            )),
        }
    }

    fn scope(&self) -> Option<Scope> {
        self.scope.as_ref().and_then(|name| name.parse().ok())
    }

    fn certificate(&self, ui: &Ui, global: &GlobalArgs) -> Result<Certificate, CommandError> {
        let from_env = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let named = self
            .cert
            .clone()
            .or_else(|| from_env("SIGNET_CERT"))
            .or_else(|| from_env("SEALED_SECRETS_CERT"));
        match named {
            Some(source) => self.controller.named(ui, &source),
            None => self.controller.served(ui, global),
        }
    }

    /// Seals on every core: sealing is nothing but computing.
    fn seal_all(&self, key: &PublicKey, secrets: &[Manifest]) -> Result<Vec<Value>, CommandError> {
        let options = SealOptions {
            scope: self.scope(),
            allow_empty: self.allow_empty_data,
        };
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let share = secrets.len().div_ceil(workers).max(1);
        let results: Vec<Result<Value, SealError>> = std::thread::scope(|scope| {
            let seal = |part: &[Manifest]| -> Vec<_> {
                part.iter()
                    .map(|found| seal_secret(&found.object, key, options))
                    .collect()
            };
            let workers: Vec<_> = secrets
                .chunks(share)
                .map(|part| scope.spawn(move || seal(part)))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().map_err(|_| ()))
                .collect::<Result<Vec<_>, ()>>()
        })
        .map_err(|()| CommandError::internal("a thread that sealed has panicked"))?
        .into_iter()
        .flatten()
        .collect();

        let mut refused = Refused::default();
        let mut sealed = Vec::with_capacity(results.len());
        for (found, result) in secrets.iter().zip(results) {
            match result {
                Ok(value) => sealed.push(value),
                Err(err) => refused.add(found, &err.to_string(), hint(err.problem)),
            }
        }
        refused.into_result()?;
        Ok(sealed)
    }
}

/// What is to be done about a Secret that cannot be sealed.
fn hint(problem: SealProblem) -> &'static str {
    match problem {
        SealProblem::Empty => "if the Secret is meant to be empty, give --allow-empty-data",
        SealProblem::NotBase64 => "values in data are base64; plain text goes into stringData",
        SealProblem::ScopeConflict { .. } => "remove the annotation, or leave out --scope",
        SealProblem::UnknownField => "a slip in a field's name? What a Secret does not have would be lost",
        SealProblem::WrongType(_) => {
            "YAML reads unquoted numbers, yes, no, true and null as other types: quote them"
        }
        _ => {
            "correct the Secret; `kubectl create --dry-run=server -f FILE` tells what Kubernetes thinks of it"
        }
    }
}

/// What was refused, all of it.
#[derive(Default)]
struct Refused {
    details: Vec<String>,
    hints: Vec<String>,
}

impl Refused {
    fn add(&mut self, found: &Manifest, problem: &str, hint: &str) {
        self.line(
            format!(
                "{} (line {}): {}: {problem}",
                found.origin, found.origin.line, found.id
            ),
            hint,
        );
    }

    fn line(&mut self, line: String, hint: &str) {
        self.details.push(line);
        self.hints.push(hint.to_owned());
    }

    fn into_result(self) -> Result<(), CommandError> {
        let mut hints = self.hints.into_iter();
        let Some(first) = hints.next() else { return Ok(()) };
        let message = match self.details.len() {
            1 => "nothing was sealed, because of this:".to_owned(),
            several => format!("nothing was sealed, because of these {several}:"),
        };
        let error = CommandError::user(message, first).details(self.details);
        Err(hints.fold(error, CommandError::hint))
    }
}
