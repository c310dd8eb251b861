//! Which key to seal for, and whether to trust it: what was pinned, what a person confirms, nothing else.
//!
//! A certificate says nothing about itself: whoever stands between here and the controller can put in their own, and read
//! all that is sealed from then on. So the first one that is fetched is written into the repository, with a message; another
//! one later is refused until a person compares its fingerprint.

use crate::certificate::{self, TrustArgs};
use crate::cli::GlobalArgs;
use crate::cluster::ConnectionArgs;
use crate::command_error::CommandError;
use crate::controller::ControllerArgs;
use crate::repo_config::{self, Audience, FILE, Pin, RepoConfig, Whose};
use crate::ui::Ui;
use clap::Args;
use sealing::v2::{Recipient, Recipients};
use sealing::{Certificate, Printable};
use std::path::{Path, PathBuf};

/// Which key values are sealed for.
#[derive(Args)]
#[command(next_help_heading = "Which key to seal for")]
pub(crate) struct SealForArgs {
    /// Seal for the certificate in this file or at this URL [env: SIGNET_CERT, SEALED_SECRETS_CERT] [default: the
    /// controller's, as `signet cert` fetches it]
    #[arg(long, value_name = "FILE|URL")]
    cert: Option<String>,
    /// Seal the native format for this age recipient (age1pq1… or age1…); may be given several times [default: the recipients in
    /// .signet.yaml]
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Vec<String>,
    /// Seal for the key that is pinned in .signet.yaml, and ask nobody
    #[arg(long, conflicts_with = "cert")]
    offline: bool,
    #[command(flatten)]
    pub(crate) pins: PinArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    controller: ControllerArgs,
}

/// Whose key it is, and which new one to trust.
#[derive(Args)]
#[command(next_help_heading = "Which key to seal for")]
pub(crate) struct PinArgs {
    /// Which of the repository's clusters, as .signet.yaml names it, where there are several
    #[arg(long, value_name = "NAME", env = "SIGNET_CLUSTER", hide_env_values = true)]
    cluster_name: Option<String>,
    /// Trust this key in the place of the one that is pinned; compare it with the controller's log first
    #[arg(long, value_name = "FINGERPRINT")]
    trust_new_key: Option<String>,
}

impl SealForArgs {
    /// Whom the native format is sealed for.
    pub(crate) fn recipients(&self, place: &Path) -> Result<Recipients, CommandError> {
        let pins = Pins::of(place)?;
        let pinned = pins.config.pin(self.pins.whose());
        let texts = match pinned {
            Some(pin) if self.recipient.is_empty() => pin.recipients.clone(),
            _ => self.recipient.clone(),
        };
        if texts.is_empty() {
            return Err(CommandError::user(
                "whom to seal the native format for is not known",
                format!(
                    "give --recipient age1…, or list recipients in {FILE}; `age-keygen -y FILE` prints one"
                ),
            ));
        }
        parse_recipients(&texts)
    }

    /// The certificate to seal for, for values in the repository that `place` is in.
    pub(crate) fn certificate(
        &self,
        ui: &Ui,
        global: &GlobalArgs,
        place: &Path,
    ) -> Result<Certificate, CommandError> {
        let pins = Pins::of(place)?;
        if self.offline {
            return self.pins.pinned(&pins);
        }
        let from_env = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let named = self
            .cert
            .clone()
            .or_else(|| from_env("SIGNET_CERT"))
            .or_else(|| from_env("SEALED_SECRETS_CERT"));
        let Some(source) = named else {
            let connection = ConnectionArgs::default();
            let served = certificate::served(ui, &self.controller, false, global, &connection)?;
            return self.pins.check(ui, &pins, served.certificate);
        };
        let certificate = self.trust.named(ui, &source)?.certificate;
        if source.starts_with("http://") || source.starts_with("https://") {
            return self.pins.check(ui, &pins, certificate);
        }
        // A file is a person's choice. That it is another one may still be a slip.
        self.pins.compare(ui, &pins, &certificate);
        Ok(certificate)
    }
}

/// The repository at hand, and what is pinned in it.
pub(crate) struct Pins {
    top: Option<PathBuf>,
    config: RepoConfig,
}

impl Pins {
    /// Those of the repository that a file or directory is in, or will be.
    pub(crate) fn of(place: &Path) -> Result<Self, CommandError> {
        let here = if place.exists() {
            place.to_owned()
        } else {
            match place.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            }
        };
        let top = repo_config::top_of(&here);
        let config = match &top {
            Some(top) => RepoConfig::read(top)?,
            None => RepoConfig::default(),
        };
        Ok(Self { top, config })
    }
}

impl PinArgs {
    fn whose(&self) -> Whose<'_> {
        Whose {
            cluster: self.cluster_name.as_deref(),
            // Until the controller serves keys of Projects, all are the cluster's.
            project: None,
        }
    }

    /// The key that is pinned, without asking anybody.
    pub(crate) fn pinned(&self, pins: &Pins) -> Result<Certificate, CommandError> {
        let hint =
            "seal once where the cluster can be reached, or give --cert FILE; both pin the key or name it";
        let pin = pins
            .config
            .pin(self.whose())
            .ok_or_else(|| CommandError::user(format!("no key is pinned in {FILE}"), hint))?;
        pin.certificate()
            .map_err(|problem| CommandError::user(format!("{FILE}: {problem}"), "restore the file from Git"))
    }

    /// Lets a fetched certificate through if it is the pinned one, or if a person confirms it, and pins the first.
    pub(crate) fn check(
        &self,
        ui: &Ui,
        pins: &Pins,
        fetched: Certificate,
    ) -> Result<Certificate, CommandError> {
        let Some(top) = &pins.top else {
            // Without a repository there is no place to write it down.
            return Ok(fetched);
        };
        let found = fetched.fingerprint().as_str();
        let confirmed = self.trust_new_key.as_deref() == Some(found);
        if let Some(wanted) = self.trust_new_key.as_deref().filter(|_| !confirmed) {
            return Err(CommandError::user(
                format!(
                    "the key that was fetched is {found}, and not {} as --trust-new-key says",
                    Printable(wanted)
                ),
                "somebody may be in the way; compare with the fingerprint that the controller logs at its start",
            ));
        }
        match pins.config.pin(self.whose()) {
            Some(pin) if pin.fingerprint == found => return Ok(fetched),
            Some(pin) if !confirmed => ask(ui, &pin.fingerprint, found)?,
            Some(_) => {}
            None => ui.status(format!(
                "This is the first key seen in this repository: {found}. It is pinned in {FILE}; compare it with the \
                 controller's, and commit the file."
            )),
        }
        self.pin(&fetched).write(top)?;
        if pins.config.pin(self.whose()).is_some() {
            ui.status(format!("Pinned the new key {found} in {FILE}; commit the file."));
        }
        Ok(fetched)
    }

    fn compare(&self, ui: &Ui, pins: &Pins, named: &Certificate) {
        if let Some(pin) = pins.config.pin(self.whose())
            && pin.fingerprint != named.fingerprint().as_str()
        {
            ui.warn(
                format!(
                    "the certificate is of key {}, and {FILE} pins {}",
                    named.fingerprint(),
                    Printable(&pin.fingerprint)
                ),
                "if the key was renewed, seal once without --cert, which pins the new one",
            );
        }
    }

    fn pin(&self, certificate: &Certificate) -> Pin {
        Pin {
            cluster: self.cluster_name.clone(),
            audience: Audience::Cluster,
            project: None,
            fingerprint: certificate.fingerprint().as_str().to_owned(),
            certificate: certificate.to_pem().to_owned(),
            recipients: Vec::new(),
        }
    }
}

/// Reads age recipients.
pub(crate) fn parse_recipients(texts: &[String]) -> Result<Recipients, CommandError> {
    let hint = "an age recipient is what `age-keygen` prints as the public key: age1… or age1pq1…";
    let bad =
        |err: &dyn std::fmt::Display| CommandError::user(format!("a recipient cannot be used: {err}"), hint);
    let keys = texts
        .iter()
        .map(|text| text.trim().parse::<Recipient>())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|err| bad(&err))?;
    Recipients::new(keys).map_err(|err| bad(&err))
}

fn ask(ui: &Ui, pinned: &str, found: &str) -> Result<(), CommandError> {
    if !ui.can_ask() {
        return Err(changed(pinned, found));
    }
    ui.warn(
        format!("the controller's key is {found}, and {FILE} pins {}", Printable(pinned)),
        "keys are renewed from time to time; somebody in the way looks the same. Compare with the fingerprint that the \
         controller logs at its start",
    );
    if ui.confirm("Trust the new key, and pin it?")? {
        Ok(())
    } else {
        Err(changed(pinned, found))
    }
}

fn changed(pinned: &str, found: &str) -> CommandError {
    CommandError::user(
        format!(
            "the key that was fetched is {found}, but {FILE} pins {}",
            Printable(pinned)
        ),
        format!(
            "keys are renewed from time to time; somebody in the way looks the same. Compare with the fingerprint that the \
             controller logs at its start, then give --trust-new-key {found}"
        ),
    )
}
