//! `signet seal`, which is kubeseal as well: the arguments, and which of its jobs they ask for.

mod dialect;
mod fetch_cert;
mod format;
mod fresh;
mod in_place;
mod input;
mod klog;
mod merge;
mod raw;
mod re_encrypt;
mod recover;
mod refused;
mod sealer;
mod tree;
mod unchanged;
mod validate;
mod write;

use crate::certificate::TrustArgs;
use crate::cli::GlobalArgs;
use crate::cluster::ConnectionArgs;
use crate::command_error::CommandError;
use crate::controller::{CallerArgs, ControllerArgs};
use crate::private_keys::PrivateKeyArgs;
use crate::trust::{KeyArgs, PinArgs};
use crate::ui::Ui;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use dialect::Dialect;
use klog::KlogArgs;
use std::path::PathBuf;
use std::process::ExitCode;

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
/// Two formats: v1, Bitnami's, for the controller's certificate; and v2, the
/// native one, for age recipients: clusters, and a recovery key that lies
/// elsewhere. It is v2 where .signet.yaml lists recipients, or --recipient or
/// --keys names them; --format decides. The first key that is fetched in a
/// repository is pinned in .signet.yaml; another one is refused unless the
/// pinned one endorses it, or a person confirms it.
///
/// Write with -w: the file is replaced whole, or not touched. A shell's `>`
/// leaves an empty file behind where sealing fails.
///
/// All of kubeseal's flags and variables are understood. Called by the name
/// `kubeseal` (through a link), it behaves as kubeseal does.
///
/// Example: seal a new Secret without ever writing it to disk
///
///     kubectl create secret generic db -n shop --from-literal=password=… \
///       --dry-run=client -o yaml | signet seal -w db.yaml
///
/// Example: replace a file by its sealed form
///
///     signet seal secret.yaml -w secret.yaml
///
/// Example: the native format, for a cluster and a recovery key
///
///     signet seal --recipient age1pq1… --recipient age1pq1… \
///       secret.yaml -w db.yaml
///
/// Example: add a value to a file that is sealed already; or the value alone
///
///     kubectl create secret generic x --from-literal=token=… \
///       --dry-run=client -o yaml | signet seal --merge-into db.yaml
///     printf %s … | signet seal --raw -n shop --name db
///
/// Example: seal every plain Secret of a repository, each where it stands
///
///     signet seal --in-place apps/
///
/// Example: the same, and the lines of values that Git has already stay
///
///     signet seal --in-place apps/ --key team.txt
///
/// Example: does the cluster open it; seal it again for the newest key
///
///     signet seal --validate -f db.yaml
///     signet seal --re-encrypt -f db.yaml
///
/// Example: with the cluster gone and a backup of its keys
///
///     signet seal --recovery-unseal --recovery-private-key keys.yaml -f db.yaml
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct SealArgs {
    /// Files to seal; `-`, or none, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One more file to seal
    #[arg(long, short = 'f', value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Seal for the certificate in this file or at this URL [env: SIGNET_CERT, SEALED_SECRETS_CERT] [default: the
    /// controller's, as `signet cert` fetches it]
    #[arg(long, value_name = "FILE|URL", env = "SIGNET_CERT", hide_env = true)]
    cert: Option<String>,
    /// Where the values may be opened: strict, namespace-wide or cluster-wide [default: as annotated, else strict]
    #[arg(long, value_name = "SCOPE", value_parser = scopes(), hide_possible_values = true)]
    scope: Option<String>,
    /// The namespace of Secrets that name none
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Write yaml or json [default: by the name of the output file, else as the input is]; seal in format v1 or v2
    /// [default: v2 where recipients are named or pinned, else v1]; may be given twice
    #[arg(long, short = 'o', visible_alias = "format", value_name = "FORMAT")]
    output: Vec<String>,
    /// Write to this file instead of standard output; it is replaced whole, or not touched
    #[arg(long, short = 'w', visible_alias = "sealed-secret-file", value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// Seal a Secret that holds no data too
    #[arg(long)]
    allow_empty_data: bool,
    /// The name of the Secret, instead of the one that it has
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    jobs: JobArgs,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    pins: PinArgs,
    #[command(flatten)]
    private: PrivateKeyArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    controller: ControllerArgs,
    #[command(flatten)]
    caller: CallerArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    klog: KlogArgs,
}

/// What else than sealing Secrets is to be done. Where several are asked for, kubeseal does the first of: recover,
/// validate, re-encrypt, fetch the certificate, merge, raw.
#[derive(Args)]
#[command(next_help_heading = "Other jobs than sealing Secrets")]
struct JobArgs {
    /// Seal one value, from --from-file or standard input, and print nothing else
    #[arg(long)]
    raw: bool,
    /// The file that holds the value for --raw
    #[arg(long, value_name = "[KEY=]FILE")]
    from_file: Vec<String>,
    /// Ask the controller whether it can open these SealedSecrets
    #[arg(long)]
    validate: bool,
    /// Have the controller seal these SealedSecrets again for its newest key; a file given with -f alone is changed in
    /// place
    #[arg(long)]
    re_encrypt: bool,
    /// The old name of --re-encrypt
    #[arg(long, hide = true)]
    rotate: bool,
    /// Print the certificate
    #[arg(long)]
    fetch_cert: bool,
    /// Add or replace the values of this SealedSecret, in its file; its name, namespace and scope win
    #[arg(long, value_name = "FILE")]
    merge_into: Option<PathBuf>,
    /// Seal every plain Secret below this directory, each where it stands; with --key, values that the last commit has stay
    /// as they were sealed
    #[arg(long, value_name = "DIR")]
    in_place: Option<PathBuf>,
    /// Open SealedSecrets with a backup of the private keys, and print the Secrets in plain text
    #[arg(long)]
    recovery_unseal: bool,
    /// A private key in PEM, or a backup of the controller's key Secrets; may be repeated
    #[arg(long, value_name = "FILE")]
    recovery_private_key: Vec<String>,
}

/// Everything that a job needs to know.
struct Job<'a> {
    ui: &'a Ui,
    global: &'a GlobalArgs,
    args: &'a SealArgs,
    dialect: Dialect,
}

impl SealArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        self.run_in(Dialect::Signet, ui, global)
    }

    /// The same, with kubeseal's defaults and conventions.
    pub(crate) fn run_as_kubeseal(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        self.run_in(Dialect::Kubeseal, ui, global)
    }

    fn run_in(&self, dialect: Dialect, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let job = Job {
            ui,
            global,
            args: self,
            dialect,
        };
        let jobs = &self.jobs;
        if !jobs.from_file.is_empty() && !jobs.raw {
            return Err(CommandError::user(
                "--from-file requires --raw",
                "whole Secrets are made by `kubectl create secret … --dry-run=client -o yaml`",
            ));
        }
        if jobs.recovery_unseal {
            job.recover()
        } else if jobs.validate {
            job.validate()
        } else if jobs.re_encrypt || jobs.rotate {
            job.re_encrypt()
        } else if jobs.fetch_cert {
            job.fetch_cert()
        } else if let Some(file) = jobs
            .merge_into
            .as_ref()
            .filter(|file| !file.as_os_str().is_empty())
        {
            job.merge_into(file)
        } else if jobs.raw {
            job.raw()
        } else if let Some(dir) = &jobs.in_place {
            job.seal_tree(dir)
        } else {
            job.seal()
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

fn scopes() -> PossibleValuesParser {
    let names = sealing::Scope::ALL.map(|scope| PossibleValue::new(scope.as_str()));
    // kubeseal takes the empty text for the default, so that `--scope "$SCOPE"` works.
    names
        .into_iter()
        .chain([PossibleValue::new("").hide(true)])
        .collect::<Vec<_>>()
        .into()
}
