//! `signet bootstrap`.

mod arrive;
mod clone;
mod conflict;
mod files;
mod install;
mod login;
mod report;

use super::keys::{restore, stored};
use crate::args::{OutputArg, duration};
use crate::cli::GlobalArgs;
use crate::cluster::{self, Cluster};
use crate::command_error::CommandError;
use crate::git::{self, publish};
use crate::progress::Progress;
use crate::syncs::MANAGER;
use crate::ui::Ui;
use arrive::{Arrival, DEPLOYMENT, is_available};
use clap::Args;
use clone::Clone;
use crds::{Repository, Sync, annotation};
use files::{Files, NAME, NAMESPACE, Wish};
use install::{Change, Installer};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use login::{Login, LoginArgs};
use manifest::Phase;
use report::Report;
use sealing::Printable;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The word that every manifest of a SealedSecret has, however it is written.
const SEALED: &str = "SealedSecret";

/// Set up a cluster from a repository, or both from nothing
///
/// Commits Signet's own manifests to PATH/signet in the repository where it has
/// none, pushes them, installs them in the cluster, and waits until the cluster
/// has synced itself: from then on the Sync `signet` in signet-system keeps
/// Signet, and everything else below PATH, as Git has it.
///
/// What is there already is left as it is: run it again, and nothing changes.
/// What somebody else installed is not overwritten without --take-over.
/// That makes it the drill for a disaster, too. With a new cluster, the
/// repository and a backup of the keys, everything comes back.
///
/// It takes a user who may do everything in the cluster, and git with the right
/// to push.
///
/// Example: from nothing; the controller makes a deploy key, which is shown
///
///     signet bootstrap git@git.example.com:team/fleet.git --path clusters/prod \
///       --known-hosts known_hosts \
///       --image registry.example.com/signet-controller:0.1.0
///
/// Example: the cluster is lost
///
///     signet bootstrap git@git.example.com:team/fleet.git --path clusters/prod \
///       --keys keys.age --identity recovery.txt
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct BootstrapArgs {
    /// The directory of a clone, or an address to clone from
    #[arg(value_name = "REPOSITORY", default_value = ".")]
    repository: String,
    /// The cluster's directory in the repository
    #[arg(long, value_name = "PATH", default_value = "clusters/default", value_parser = path)]
    path: String,
    /// The branch to follow [default: the one that is checked out]
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Where the controller finds the repository [default: where the clone's origin is]
    #[arg(long, value_name = "ADDRESS")]
    url: Option<String>,
    /// The controller's image
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Put this version's manifests in the place of an older one's
    #[arg(long, requires = "image")]
    upgrade: bool,
    /// Let the controller stand in the place of Bitnami's, too
    #[arg(long)]
    sealed_secrets: bool,
    /// A backup of the sealing keys, to put back before the controller starts
    #[arg(long, value_name = "FILE", requires = "identity")]
    keys: Option<PathBuf>,
    /// The age identity file that opens it
    #[arg(long, short, value_name = "FILE", requires = "keys")]
    identity: Option<PathBuf>,
    /// Start with new keys, although the repository holds values that only the old ones open
    #[arg(long, conflicts_with = "keys")]
    new_keys: bool,
    /// Make what somebody else installed as the repository has it
    #[arg(long)]
    take_over: bool,
    /// Show what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for the cluster, such as 30s or 10m
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    timeout: Duration,
    #[command(flatten)]
    format: OutputArg,
    #[command(flatten)]
    login: LoginArgs,
}

impl BootstrapArgs {
    pub(crate) fn run(&self, ui: &Ui, global: &GlobalArgs) -> Result<ExitCode, CommandError> {
        let login = self.login.read(NAMESPACE)?;
        let keys = match (&self.keys, &self.identity) {
            (Some(backup), Some(identity)) => restore::open(backup, identity)?,
            _ => Vec::new(),
        };
        let clone = {
            let _progress = Progress::start(ui, "asking the remote");
            Clone::open(&self.repository, self.branch.as_deref())?
        };
        cluster::block_on(self.bootstrap(ui, global, clone, &login, &keys))?
    }

    async fn bootstrap(
        &self,
        ui: &Ui,
        global: &GlobalArgs,
        mut clone: Clone,
        login: &Login,
        keys: &[Secret],
    ) -> Result<ExitCode, CommandError> {
        let url = self.url.clone().unwrap_or_else(|| clone.url.clone());
        clone::check_address(&url)?;
        let files = Files::plan(
            &clone.top,
            &Wish {
                url: &url,
                branch: &clone.branch.clone(),
                path: &self.path,
                login,
                image: self.image.as_deref(),
                sealed_secrets: self.sealed_secrets,
                upgrade: self.upgrade,
            },
        )?;
        let client = Cluster::connect(global).await?.client;
        self.check(&client, &clone, &files, login, keys).await?;
        let synced = is_synced(&client).await?;
        let mut installer = Installer::new(&client, self.dry_run, synced, self.take_over).await?;
        let secret = match login {
            Login::Secret(secret) => Some(secret),
            _ => None,
        };
        let objects = files.objects.iter().map(|found| &found.object);
        installer.check(objects.chain(secret)).await?;
        let mut report = Report::default();
        let paths = files.new.iter().map(|(path, _)| Printable(path).to_string());
        report.files.extend(paths);
        // Git first: what the cluster is to hold is written down before it is made.
        if !self.dry_run && !files.new.is_empty() {
            let began = Instant::now();
            let message = format!("Signet in {}", self.path);
            if let Err(err) = clone.publish(&files.new, &message)? {
                ui.warn(
                    format!("the clone is left behind the remote: {}", err.message()),
                    "`git pull` brings the commit",
                );
            }
            report.committed = true;
            let sentence = format!("Committed and pushed {} files.", files.new.len());
            report.step(ui, "commit", began, &sentence);
        }
        self.install(ui, &client, &mut installer, &files, secret, keys, &mut report)
            .await?;
        let about =
            json!({"repository": url, "branch": clone.branch, "path": self.path, "commit": clone.head});
        if self.dry_run {
            report.print(ui, self.format.output, &about, None)?;
            ui.status(if report.is_nothing() {
                "Nothing would be done."
            } else {
                "This was a dry run: nothing was done."
            });
            return Ok(ExitCode::SUCCESS);
        }
        let commit = clone.head.clone().unwrap_or_default();
        let sync = self
            .arrive(ui, global, &client, &clone, &files, &commit, &mut report)
            .await?;
        if report.is_nothing() {
            ui.status("All of it was there already.");
        } else if keys.is_empty() {
            ui.hint("back the sealing keys up: signet keys backup --recipient age1… -w keys.age");
        }
        report.print(ui, self.format.output, &about, Some(&sync))?;
        Ok(ExitCode::SUCCESS)
    }

    /// What would only be found out half-way.
    async fn check(
        &self,
        client: &Client,
        clone: &Clone,
        files: &Files,
        login: &Login,
        keys: &[Secret],
    ) -> Result<(), CommandError> {
        if let (Some(name), false) = (&files.secret, matches!(login, Login::Secret(_))) {
            let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
            let found = secrets.get_metadata_opt(name).await;
            if found
                .map_err(|err| cluster::explain(&err, "look for the Secret of the Repository"))?
                .is_none()
            {
                return Err(CommandError::user(
                    format!(
                        "the Repository logs in with Secret {NAMESPACE}/{}, which is not in the cluster",
                        Printable(name)
                    ),
                    "give it with --git-identity and --known-hosts, or with --git-password-file",
                ));
            }
        }
        if !keys.is_empty() || self.new_keys {
            return Ok(());
        }
        let own = format!("{}/", files.directory);
        let sealed: Vec<String> = publish::files_with(&clone.top, SEALED)?
            .into_iter()
            .filter(|path| !path.starts_with(&own))
            .collect();
        let Some(first) = sealed.first() else {
            return Ok(());
        };
        if stored::secrets(client, NAMESPACE).await?.is_empty() {
            return Err(CommandError::user(
                format!(
                    "the repository holds sealed values ({} files, {} is one), and the cluster has no key that opens them",
                    sealed.len(),
                    Printable(first)
                ),
                "--keys and --identity put the keys of a backup back; --new-keys goes on without, for values that are to be \
                 sealed again",
            ));
        }
        Ok(())
    }

    /// Brings into the cluster what it lacks: definitions and the namespace, the keys, and only then what uses them.
    #[allow(clippy::too_many_arguments)] // one for each thing that is brought
    async fn install(
        &self,
        ui: &Ui,
        client: &Client,
        installer: &mut Installer,
        files: &Files,
        secret: Option<&Value>,
        keys: &[Secret],
        report: &mut Report,
    ) -> Result<(), CommandError> {
        let began = Instant::now();
        let progress = Progress::start(ui, "installing Signet");
        let ground = |phase: Phase| phase <= Phase::Namespaces;
        installer
            .apply(&files.objects, ground, &mut report.objects)
            .await?;
        if let Some(secret) = secret {
            report.objects.push(installer.one(secret).await?);
        }
        if !keys.is_empty() && !self.dry_run {
            let restored = restore::restore(client, NAMESPACE, keys).await?;
            for sentence in &restored.said {
                ui.status(sentence);
            }
            if !restored.failed.is_empty() {
                return Err(restore::not_all(restored.failed));
            }
            report.keys = restored.created;
        }
        installer
            .apply(&files.objects, |phase| !ground(phase), &mut report.objects)
            .await?;
        drop(progress);
        if !self.dry_run {
            let sentence = format!(
                "Installed: {} objects created, {} changed, {} as they should be.",
                report.count(Change::Created),
                report.count(Change::Changed),
                report.count(Change::Unchanged) + report.count(Change::Synced),
            );
            report.step(ui, "install", began, &sentence);
        }
        Ok(())
    }

    /// Waits until the cluster has synced itself.
    #[allow(clippy::too_many_arguments)] // one for each thing that is waited for
    async fn arrive(
        &self,
        ui: &Ui,
        global: &GlobalArgs,
        client: &Client,
        clone: &Clone,
        files: &Files,
        commit: &str,
        report: &mut Report,
    ) -> Result<Sync, CommandError> {
        let arrival = Arrival::new(ui, global, self.timeout).await?;
        let began = Instant::now();
        if files
            .objects
            .iter()
            .any(|found| found.id.gvk.is("apps", "Deployment") && found.id.name == DEPLOYMENT)
        {
            arrival.controller().await?;
            report.step(ui, "controller", began, "The controller runs.");
        }
        let began = Instant::now();
        if report.committed {
            look_now(client).await?;
        }
        let mut shown = String::new();
        let show = |key: &str| {
            if shown != key {
                key.clone_into(&mut shown);
                ui.note("Add this deploy key at the Git host; reading is enough. It is waited for.");
                ui.note(Printable(key));
            }
        };
        arrival.repository(commit, &clone.top, show).await?;
        report.step(ui, "repository", began, "The Repository is read.");
        if files.deploy_key {
            report.deploy_key = deploy_key(client).await?;
        }
        let began = Instant::now();
        let sync = arrival.sync(commit, &clone.top).await?;
        report.step(ui, "sync", began, "The cluster has synced itself.");
        Ok(sync)
    }
}

/// Whether a controller runs that keeps Signet's objects as Git has them.
async fn is_synced(client: &Client) -> Result<bool, CommandError> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let found = deployments.get_opt(DEPLOYMENT).await;
    let found = found.map_err(|err| cluster::explain(&err, "look for the controller"))?;
    let syncs: Api<Sync> = Api::namespaced(client.clone(), NAMESPACE);
    let sync = match syncs.get_opt(NAME).await {
        // The very kind may be missing.
        Err(kube::Error::Api(status)) if status.code == 404 => None,
        found => found.map_err(|err| cluster::explain(&err, "look for the Sync"))?,
    };
    let has_applied = |sync: Sync| {
        sync.status
            .is_some_and(|status| status.last_applied_revision.is_some())
    };
    Ok(found.as_ref().is_some_and(is_available) && sync.is_some_and(has_applied))
}

/// A Repository that was there before looks only now and then.
async fn look_now(client: &Client) -> Result<(), CommandError> {
    let api: Api<Repository> = Api::namespaced(client.clone(), NAMESPACE);
    let now = jiff::Timestamp::now().to_string();
    let patch = json!({"metadata": {"annotations": {annotation::REQUESTED_AT: now}}});
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let asked = api.patch(NAME, &params, &Patch::Merge(patch)).await;
    asked
        .map(drop)
        .map_err(|err| cluster::explain(&err, "ask the Repository to look"))
}

async fn deploy_key(client: &Client) -> Result<String, CommandError> {
    let api: Api<Repository> = Api::namespaced(client.clone(), NAMESPACE);
    let found = api.get(NAME).await;
    let found = found.map_err(|err| cluster::explain(&err, "read the Repository"))?;
    let key = found.status.and_then(|status| status.deploy_key);
    Ok(key
        .map(|key| Printable(&key.public_key).to_string())
        .unwrap_or_default())
}

/// A directory of the repository, for clap.
fn path(text: &str) -> Result<String, String> {
    let plain = git::tree_path(text);
    match source::RepoPath::parse(plain) {
        Ok(_) if !plain.chars().any(char::is_control) => Ok(plain.to_owned()),
        _ => Err(
            "a path counts from the top of the repository and does not leave it, such as clusters/prod"
                .to_owned(),
        ),
    }
}
