//! `.signet.yaml` at the top of a repository: which keys its values are sealed for, and what `signet lint` leaves alone.

use crate::command_error::CommandError;
use crate::output;
use manifest::{Editor, Limits, Path as Way, Step, read_document};
use sealing::keyset::{self, EndorsementName};
use sealing::v2::{KeyId, Recipient};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) const FILE: &str = ".signet.yaml";
const HEADER: &str = "\
# The keys that values in this repository are sealed for, as signet first saw them. Commit this file: from then on, another
# key is taken only if a person or the key before it says so.
";

/// The file's content. Fields that are not known here are refused: a slip must not loosen anything.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RepoConfig {
    /// The pinned keys.
    #[serde(default)]
    pub(crate) sealing_keys: Vec<Pin>,
    #[serde(default)]
    pub(crate) lint: LintConfig,
}

/// A key that was seen, and that values are sealed for.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Pin {
    /// Which cluster's it is, where the repository is for several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cluster: Option<String>,
    /// Whose values it seals.
    #[serde(default)]
    pub(crate) audience: Audience,
    /// The Project of that audience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
    /// `SHA256:…` of the certificate; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) fingerprint: String,
    /// Whom the native format is sealed for besides the cluster's own key: recovery keys, mostly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) recipients: Vec<String>,
    /// What is known of the controller's key set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key_set: Option<KeySetPin>,
    /// In PEM, so that values can be sealed where there is no cluster; empty where only the native format is sealed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) certificate: String,
}

/// What a client of a key set keeps (docs/sealed-format.md): whom it believes, and what it was told before.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct KeySetPin {
    /// Endorsement keys that are believed.
    pub(crate) trusted: BTreeSet<EndorsementName>,
    /// Those that are not, whatever comes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) compromised: BTreeSet<EndorsementName>,
    /// When the newest set that was believed was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) issued_at: Option<String>,
    /// The cluster's newest recipient of the native format, where values are sealed for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recipient: Option<String>,
    /// Ids of the keys that it followed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) former: BTreeSet<String>,
}

/// Whose values a sealing key is for.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) enum Audience {
    /// All of the cluster's.
    #[default]
    Cluster,
    /// Those of one Project.
    Project,
}

/// What `signet lint` leaves alone.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct LintConfig {
    /// Files and directories, from the top of the repository.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
}

/// Whose key is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) cluster: Option<&'a str>,
    pub(crate) project: Option<&'a str>,
}

impl Whose<'_> {
    fn is(self, pin: &Pin) -> bool {
        let project =
            (pin.audience == Audience::Project).then_some(pin.project.as_deref().unwrap_or_default());
        pin.cluster.as_deref() == self.cluster && project == self.project
    }
}

/// The top of the repository that a place is in: the nearest directory with a `.git`.
pub(crate) fn top_of(place: &Path) -> Option<PathBuf> {
    let place = fs::canonicalize(place).ok()?;
    place
        .ancestors()
        .find(|directory| directory.join(".git").exists())
        .map(Path::to_owned)
}

impl RepoConfig {
    /// Reads the file of a repository; without one, nothing is configured.
    pub(crate) fn read(top: &Path) -> Result<Self, CommandError> {
        let path = top.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(err) => {
                return Err(CommandError::user(
                    format!("cannot read {FILE}: {err}"),
                    "it says which keys to trust; without it nothing is sealed here",
                ));
            }
        };
        let config = Self::parse(&text).map_err(|problem| {
            CommandError::user(format!("{FILE}: {problem}"), "docs/secrets.md has an example")
        })?;
        for pin in &config.sealing_keys {
            pin.check().map_err(|problem| {
                CommandError::user(format!("{FILE}: {problem}"), "restore the file from Git")
            })?;
        }
        Ok(config)
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let value = read_document(text, &Limits::default()).map_err(|err| err.to_string())?;
        if value.is_null() {
            return Ok(Self::default());
        }
        serde_json::from_value(value).map_err(|err| err.to_string())
    }

    /// The key of a cluster and an audience.
    pub(crate) fn pin(&self, whose: Whose<'_>) -> Option<&Pin> {
        self.sealing_keys.iter().find(|pin| whose.is(pin))
    }
}

impl KeySetPin {
    /// As the library takes it.
    pub(crate) fn pins(&self) -> keyset::Pins {
        let mut pins = keyset::Pins::of(self.trusted.iter().cloned());
        pins.compromised.clone_from(&self.compromised);
        pins.issued_at.clone_from(&self.issued_at);
        pins
    }
}

impl Pin {
    /// Whom the native format is sealed for, as texts: the cluster's own key, and those that people have listed.
    pub(crate) fn native(&self) -> impl Iterator<Item = &String> {
        let own = self.key_set.as_ref().and_then(|set| set.recipient.as_ref());
        own.into_iter().chain(&self.recipients)
    }

    /// Whether a key of the native format is one that was followed by another.
    pub(crate) fn is_former(&self, id: &str) -> bool {
        self.key_set.as_ref().is_some_and(|set| set.former.contains(id))
    }

    /// Whether values of the native format are sealed for this key.
    pub(crate) fn is_recipient(&self, id: &KeyId) -> bool {
        let keys = self
            .native()
            .filter_map(|text| text.trim().parse::<Recipient>().ok());
        keys.into_iter().any(|key| key.key_id() == id)
    }

    /// The certificate of it, where it is the one of the fingerprint.
    pub(crate) fn certificate(&self) -> Result<sealing::Certificate, String> {
        if self.certificate.is_empty() {
            return Err("no certificate is pinned, only keys of the native format".to_owned());
        }
        let certificate = sealing::Certificate::from_pem(&self.certificate)
            .map_err(|err| format!("the pinned certificate cannot be used: {err}"))?;
        if certificate.fingerprint().as_str() == self.fingerprint {
            Ok(certificate)
        } else {
            Err("a pinned certificate and its fingerprint are of two different keys".to_owned())
        }
    }

    fn check(&self) -> Result<(), String> {
        if (self.audience == Audience::Project) != self.project.is_some() {
            return Err("audience: Project goes with a project, and only that".to_owned());
        }
        let others = self.key_set.is_some() || self.native().next().is_some();
        if self.fingerprint.is_empty() && self.certificate.is_empty() && others {
            return Ok(());
        }
        self.certificate().map(drop)
    }

    /// Writes it down, in the place of the one of the same cluster and audience. All else in the file stays.
    pub(crate) fn write(&self, top: &Path) -> Result<(), CommandError> {
        let path = top.join(FILE);
        let bad = |err: &dyn std::fmt::Display| {
            CommandError::user(
                format!("cannot pin the key in {FILE}: {err}"),
                "write it there by hand, as docs/secrets.md shows",
            )
        };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(err) => return Err(bad(&err)),
        };
        let config = RepoConfig::parse(&text).map_err(|problem| bad(&problem))?;
        let whose = Whose {
            cluster: self.cluster.as_deref(),
            project: self.project.as_deref(),
        };
        let keys = Way::of(["sealingKeys"]);
        let own = serde_json::to_value(self).map_err(|err| bad(&err))?;
        let new = if config.sealing_keys.is_empty() && text.trim_ascii().is_empty() {
            format!(
                "{HEADER}{}",
                manifest::write_yaml(&[json!({"sealingKeys": [own]})])
            )
            .into_bytes()
        } else {
            let mut editor = Editor::new(&text, Limits::default()).map_err(|err| bad(&err))?;
            let known = config.sealing_keys.iter().position(|pin| whose.is(pin));
            let done = if let Some(index) = known {
                let before = editor.value(1).map(|value| value["sealingKeys"][index].clone());
                let before = before.unwrap_or_default();
                ["fingerprint", "certificate", "keySet"]
                    .iter()
                    .try_for_each(|field| {
                        let at = keys.then(Step::Index(index)).then(Step::Key((*field).to_owned()));
                        match (&own[*field], before.get(*field)) {
                            // What belongs to another key does not stay beside this one.
                            (Value::Null, Some(_)) => editor.remove(1, &at),
                            (Value::Null, None) => Ok(()),
                            (new, _) => editor.set(1, &at, new),
                        }
                    })
            } else {
                let mut all: Vec<Value> = editor
                    .value(1)
                    .and_then(|value| value.get("sealingKeys")?.as_array().cloned())
                    .unwrap_or_default();
                all.push(own);
                editor.set(1, &keys, &Value::from(all))
            };
            done.and_then(|()| editor.finish()).map_err(|err| bad(&err))?
        };
        output::replace(&path, &String::from_utf8_lossy(&new))
    }
}
