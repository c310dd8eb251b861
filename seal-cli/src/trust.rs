//! Which key to seal for, and whether to trust it: what was pinned, what the key before it endorses, what a person confirms,
//! nothing else. The arguments and the pins; [`KeySource`] does it.
//!
//! A certificate says nothing about itself: whoever stands between here and the controller can put in their own, and read
//! all that is sealed from then on. So the first one that is fetched is written into the repository, with a message; another
//! one later is refused unless the controller's key set leads from the pinned key to it, or a person compares its fingerprint.

use crate::certificate::TrustArgs;
use crate::cli::GlobalArgs;
use crate::cluster::ConnectionArgs;
use crate::command_error::CommandError;
use crate::controller::ControllerArgs;
use crate::key_source::KeySource;
use crate::repo_config::{self, Audience, FILE, KeySetPin, Pin, RepoConfig, Whose};
use crate::ui::Ui;
use clap::Args;
use sealing::keyset::EndorsementName;
use sealing::v2::{Recipient, Recipients};
use sealing::{Certificate, Printable};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Which key values are sealed for.
#[derive(Args)]
#[command(next_help_heading = "Which key to seal for")]
pub(crate) struct SealForArgs {
    /// Seal for the certificate in this file or at this URL [env: SIGNET_CERT, SEALED_SECRETS_CERT] [default: the
    /// controller's, as `signet cert` fetches it]
    #[arg(long, value_name = "FILE|URL")]
    cert: Option<String>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    pins: PinArgs,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    controller: ControllerArgs,
}

/// Keys by name.
#[derive(Args, Default)]
#[command(next_help_heading = "Which key to seal for")]
pub(crate) struct KeyArgs {
    /// Seal the native format for this age recipient (age1pq1… or age1…); may be given several times [default: the recipients in
    /// .signet.yaml]
    #[arg(long, value_name = "RECIPIENT")]
    pub(crate) recipient: Vec<String>,
    /// Seal for the newest key of the key set in this file, and for the recovery keys in .signet.yaml
    #[arg(long = "keys", value_name = "FILE")]
    pub(crate) key_set: Option<PathBuf>,
    /// Seal for the key that is pinned in .signet.yaml, and ask nobody
    #[arg(long, conflicts_with = "cert")]
    pub(crate) offline: bool,
}

/// Whose key it is, and which new one to trust.
#[derive(Args)]
#[command(next_help_heading = "Which key to seal for")]
pub(crate) struct PinArgs {
    /// Which of the repository's clusters, as .signet.yaml names it, where there are several; in the native format, values can
    /// be sealed for several at once
    #[arg(
        long,
        value_name = "NAME",
        env = "SIGNET_CLUSTER",
        hide_env_values = true,
        value_delimiter = ','
    )]
    cluster_name: Vec<String>,
    /// Trust this key in the place of the one that is pinned; compare it with the controller's log first. With the name of
    /// who signs the controller's key set behind it (KEY,ed25519-…), sets of that signer are believed from then on; the
    /// signer alone where the pinned key stays
    #[arg(long, value_name = "KEY[,SIGNER]", value_delimiter = ',')]
    pub(crate) trust_new_key: Vec<String>,
}

impl SealForArgs {
    /// Whom the native format is sealed for, for values in the repository that `place` is in.
    pub(crate) fn recipients(
        &self,
        ui: &Ui,
        global: &GlobalArgs,
        place: &Path,
    ) -> Result<Recipients, CommandError> {
        self.with(ui, global, |source| source.recipients(place))
    }

    /// The certificate to seal for, for values in the repository that `place` is in.
    pub(crate) fn certificate(
        &self,
        ui: &Ui,
        global: &GlobalArgs,
        place: &Path,
    ) -> Result<Certificate, CommandError> {
        let source = self.with(ui, global, |source| source.certificate(place))?;
        Ok(source.certificate)
    }

    /// The certificate in a file or at a URL, as a person names it.
    pub(crate) fn named(&self, ui: &Ui, source: &str) -> Result<Certificate, CommandError> {
        Ok(self.trust.named(ui, source)?.certificate)
    }

    fn with<T>(
        &self,
        ui: &Ui,
        global: &GlobalArgs,
        work: impl FnOnce(&KeySource<'_>) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let from_env = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let cert = self
            .cert
            .clone()
            .or_else(|| from_env("SIGNET_CERT"))
            .or_else(|| from_env("SEALED_SECRETS_CERT"));
        work(&KeySource {
            ui,
            global,
            cert: cert.as_deref(),
            keys: &self.keys,
            pins: &self.pins,
            trust: &self.trust,
            controller: &self.controller,
            connection: &ConnectionArgs::default(),
            as_kubeseal: false,
            writes: true,
        })
    }
}

/// The repository at hand, and what is pinned in it.
pub(crate) struct Pins {
    pub(crate) top: Option<PathBuf>,
    pub(crate) config: RepoConfig,
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
    /// The clusters that are named, or the one that has no name.
    pub(crate) fn all(&self) -> Vec<Whose<'_>> {
        let whose = |cluster| Whose {
            cluster,
            // Until the controller serves keys of Projects, all are the cluster's.
            project: None,
        };
        match self.cluster_name.as_slice() {
            [] => vec![whose(None)],
            names => names.iter().map(|name| whose(Some(name.as_str()))).collect(),
        }
    }

    /// The one cluster that is meant.
    pub(crate) fn whose(&self) -> Result<Whose<'_>, CommandError> {
        match self.all().as_slice() {
            [one] => Ok(*one),
            _ => Err(CommandError::user(
                "a value of format v1 is sealed for one cluster",
                "give one --cluster-name; the native format (--format v2) seals for several, with --offline or --recipient",
            )),
        }
    }

    /// Whether a person has named this key.
    pub(crate) fn names(&self, key: &str) -> bool {
        self.trust_new_key.iter().any(|named| named == key)
    }

    /// A key that a person has named, and that is not this one.
    pub(crate) fn names_another(&self, key: &str) -> Option<&String> {
        let keys = self.trust_new_key.iter().filter(|named| !is_signer(named));
        keys.into_iter().find(|named| *named != key)
    }

    /// Who a person has named as the signer of the key set.
    pub(crate) fn signers(&self) -> BTreeSet<EndorsementName> {
        let named = self.trust_new_key.iter().filter_map(|text| text.parse().ok());
        named.collect()
    }

    /// The key that is pinned, without asking anybody.
    pub(crate) fn pinned(&self, pins: &Pins) -> Result<Certificate, CommandError> {
        let hint =
            "seal once where the cluster can be reached, or give --cert FILE; both pin the key or name it";
        let pin = pins
            .config
            .pin(self.whose()?)
            .ok_or_else(|| CommandError::user(format!("no key is pinned in {FILE}"), hint))?;
        pin.certificate()
            .map_err(|problem| CommandError::user(format!("{FILE}: {problem}"), "restore the file from Git"))
    }

    pub(crate) fn compare(&self, ui: &Ui, pins: &Pins, named: &Certificate) -> Result<(), CommandError> {
        if let Some(pin) = pins.config.pin(self.whose()?)
            && !pin.fingerprint.is_empty()
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
        Ok(())
    }

    /// Nothing yet, of this cluster.
    pub(crate) fn empty(&self) -> Pin {
        Pin {
            cluster: self.cluster_name.first().cloned(),
            audience: Audience::Cluster,
            project: None,
            fingerprint: String::new(),
            certificate: String::new(),
            recipients: Vec::new(),
            key_set: None,
        }
    }

    /// A certificate, and what is known of the key set beside it.
    pub(crate) fn pin(&self, certificate: &Certificate, key_set: Option<KeySetPin>) -> Pin {
        Pin {
            fingerprint: certificate.fingerprint().as_str().to_owned(),
            certificate: certificate.to_pem().to_owned(),
            key_set,
            ..self.empty()
        }
    }
}

fn is_signer(name: &str) -> bool {
    name.parse::<EndorsementName>().is_ok()
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
