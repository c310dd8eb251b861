//! `signet keys restore`.

use super::stored;
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::controller::ControllerArgs;
use crate::output::show;
use crate::syncs::MANAGER;
use crate::ui::Ui;
use clap::Args;
use crds::annotation;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use sealing::Printable;
use sealing::v2::{Identities, Identity};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

/// More than every key of a controller, in bytes.
const LARGEST: usize = 16 << 20;
/// How many other names are tried for a key whose own is taken.
const MOST_NAMES: u32 = 9;

/// Put the keys of a backup back into a cluster
///
/// Creates the key Secrets that are not there, and changes none that is: where
/// another key has the name, NAME-restored is made. A running controller takes
/// them in at once. Do it before the controller starts for the first time, or it
/// makes a key of its own, which is then the newest.
///
/// With --dry-run the backup is opened and its keys are checked, and nothing is
/// created: do that now and then.
///
/// Example:
///
///     signet keys restore keys.age --identity recovery.txt
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The age identity file that opens it
    #[arg(long, short, value_name = "FILE")]
    identity: PathBuf,
    /// Open and check it, and create nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    controller: ControllerArgs,
}

impl RestoreArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let secrets = open(&self.file, &self.identity)?;
        let namespace = self.controller.namespace();
        if self.dry_run {
            for secret in &secrets {
                ui.status(format!("{}: {}", name(secret), about(secret)));
            }
            ui.status(format!(
                "The backup opens: {} keys. Nothing was created.",
                secrets.len()
            ));
            return Ok(ExitCode::SUCCESS);
        }
        let failed = cluster::block_on(async {
            let cluster = Cluster::connect(global).await?;
            let restored = restore(&cluster.client, namespace, &secrets).await?;
            for sentence in &restored.said {
                ui.status(sentence);
            }
            Ok::<_, CommandError>(restored.failed)
        })??;
        if failed.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        Err(not_all(failed))
    }
}

/// What came of a backup's keys.
pub(in crate::commands) struct Restored {
    /// A sentence for each that is in the cluster now.
    pub(in crate::commands) said: Vec<String>,
    pub(in crate::commands) failed: Vec<String>,
    /// How many were not there before.
    pub(in crate::commands) created: usize,
}

/// Creates the keys that are not there.
pub(in crate::commands) async fn restore(
    client: &Client,
    namespace: &str,
    secrets: &[Secret],
) -> Result<Restored, CommandError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let mut restored = Restored {
        said: Vec::new(),
        failed: Vec::new(),
        created: 0,
    };
    for secret in secrets {
        match put(&api, secret).await? {
            Put::Created(as_name) => {
                let taken = if as_name == name(secret) {
                    String::new()
                } else {
                    format!(" (the name {} is another key's)", name(secret))
                };
                restored.created += 1;
                restored.said.push(format!(
                    "Created {namespace}/{as_name}: {}{taken}.",
                    about(secret)
                ));
            }
            Put::There(as_name) => {
                restored
                    .said
                    .push(format!("{namespace}/{as_name} is there already."));
            }
            Put::Failed(why) => restored.failed.push(format!("{}: {why}", name(secret))),
        }
    }
    Ok(restored)
}

/// That some keys are not there.
pub(in crate::commands) fn not_all(failed: Vec<String>) -> CommandError {
    CommandError::user(
        "not every key was restored:",
        "may you create Secrets there, and is it the right namespace?",
    )
    .details(failed)
}

/// Decrypts and checks the whole of a backup before anything is created.
pub(in crate::commands) fn open(backup: &Path, identity_file: &Path) -> Result<Vec<Secret>, CommandError> {
    let read = |path: &Path, hint: &str| {
        fs::read(path)
            .map(Zeroizing::new)
            .map_err(|err| CommandError::user(format!("cannot read {}: {err}", show(path)), hint))
    };
    let file = read(backup, "give the file that `signet keys backup` wrote")?;
    let hint = "an identity file is what `age-keygen` writes";
    let identity = read(identity_file, hint)?;
    let keys = std::str::from_utf8(&identity)
        .map_err(|_| "not a text".to_owned())
        .and_then(|text| Identity::parse_file(text).map_err(|err| err.to_string()))
        .map_err(|err| CommandError::user(format!("{}: {err}", show(identity_file)), hint))?;
    let plain = Identities::new(keys).decrypt(&file, LARGEST).ok_or_else(|| {
        CommandError::user(
            format!("{} does not open with {}", show(backup), show(identity_file)),
            "is it the identity of a recipient that the backup was made for, and is the file whole?",
        )
    })?;
    let bad = || {
        CommandError::user(
            format!("{} holds something else than sealing keys", show(backup)),
            "give the file that `signet keys backup` wrote",
        )
    };
    // A parser's words could quote a key.
    let list: Value = serde_json::from_slice(plain.expose()).map_err(|_| bad())?;
    let items = list.get("items").and_then(Value::as_array).ok_or_else(bad)?;
    let secrets = items
        .iter()
        .map(|item| serde_json::from_value::<Secret>(item.clone()).map_err(|_| bad()))
        .collect::<Result<Vec<_>, _>>()?;
    let sound = |secret: &Secret| {
        sealing::is_object_name(&name(secret))
            && (stored::certificate(secret).is_some() || stored::text(secret, "identity").is_some())
    };
    if secrets.is_empty() || !secrets.iter().all(sound) {
        return Err(bad());
    }
    Ok(secrets)
}

/// What became of a key.
enum Put {
    /// Created, under this name.
    Created(String),
    /// It is there, under this name.
    There(String),
    Failed(String),
}

/// Creates a key Secret; under another name where its own is another key's. A controller that was started without its keys has
/// made new ones, under the names that they had.
async fn put(api: &Api<Secret>, secret: &Secret) -> Result<Put, CommandError> {
    let own = name(secret);
    let others = (1..=MOST_NAMES).map(|number| match number {
        1 => format!("{own}-restored"),
        number => format!("{own}-restored-{number}"),
    });
    let params = PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    };
    for as_name in std::iter::once(own.clone()).chain(others) {
        let mut new = secret.clone();
        if let Some(created) = new.metadata.creation_timestamp.take() {
            // The API server gives the Secret a time of its own; without this the key would be the newest.
            new.annotations_mut()
                .entry(annotation::MADE.to_owned())
                .or_insert_with(|| created.0.to_string());
        }
        new.metadata.name = Some(as_name.clone());
        match api.create(&params, &new).await {
            Ok(_) => return Ok(Put::Created(as_name)),
            Err(kube::Error::Api(status)) if status.code == 409 => match api.get(&as_name).await {
                Ok(there) if there.data == secret.data => return Ok(Put::There(as_name)),
                Ok(_) => {}
                Err(_) => {
                    return Ok(Put::Failed(
                        "a Secret of that name is there, and cannot be read".into(),
                    ));
                }
            },
            // The text of the API server could quote what was sent.
            Err(kube::Error::Api(status)) => {
                return Ok(Put::Failed(format!(
                    "the API server answered with status {}",
                    status.code
                )));
            }
            Err(err) => return Err(cluster::explain(&err, "create a key Secret")),
        }
    }
    Ok(Put::Failed("other Secrets of that name are there".into()))
}

fn name(secret: &Secret) -> String {
    Printable(secret.metadata.name.as_deref().unwrap_or_default()).to_string()
}

fn about(secret: &Secret) -> String {
    match stored::certificate(secret) {
        Some(certificate) => format!("key {}", certificate.fingerprint()),
        None => "a key of the native format".to_owned(),
    }
}
