//! Finding keys to seal for: those that are named, those that are pinned, and those that the controller serves, if what is
//! pinned leads to them or a person says so.

use crate::certificate::{self, Source, TrustArgs};
use crate::cli::GlobalArgs;
use crate::cluster::ConnectionArgs;
use crate::command_error::CommandError;
use crate::controller::ControllerArgs;
use crate::key_set::{self, Believed, Whom};
use crate::repo_config::{FILE, KeySetPin, Pin};
use crate::trust::{KeyArgs, PinArgs, Pins, parse_recipients};
use crate::ui::Ui;
use sealing::Printable;
use sealing::keyset::{EndorsementName, KeySetError};
use sealing::v2::{Recipient, Recipients};
use std::path::Path;

const COMPARE: &str = "keys are renewed from time to time; somebody in the way looks the same. Compare with the fingerprint \
                       that the controller logs at its start";

/// All that it takes to find keys to seal for.
pub(crate) struct KeySource<'a> {
    pub(crate) ui: &'a Ui,
    pub(crate) global: &'a GlobalArgs,
    pub(crate) cert: Option<&'a str>,
    pub(crate) keys: &'a KeyArgs,
    pub(crate) pins: &'a PinArgs,
    pub(crate) trust: &'a TrustArgs,
    pub(crate) controller: &'a ControllerArgs,
    pub(crate) connection: &'a ConnectionArgs,
    pub(crate) as_kubeseal: bool,
    /// Whether `.signet.yaml` may be written: not where the command only looks, nor under kubeseal's name.
    pub(crate) writes: bool,
}

impl KeySource<'_> {
    /// The certificate to seal for.
    pub(crate) fn certificate(&self, place: &Path) -> Result<Source, CommandError> {
        let pins = Pins::of(place)?;
        if self.keys.offline {
            let certificate = self.pins.pinned(&pins)?;
            return Ok(Source {
                text: certificate.to_pem().to_owned(),
                certificate,
            });
        }
        if let Some(source) = self.cert {
            let named = self.trust.named(self.ui, source)?;
            if source.starts_with("http://") || source.starts_with("https://") {
                return self.check(&pins, named, false);
            }
            // A file is a person's choice. That it is another one may still be a slip.
            self.pins.compare(self.ui, &pins, &named.certificate)?;
            return Ok(named);
        }
        if let Some(file) = &self.keys.key_set {
            let set = self.named_set(&pins, file)?;
            let pem = set.certificate().ok_or_else(|| {
                CommandError::user(
                    "the key set has no certificate that can be sealed for",
                    "with --format v2 it is sealed for the key of the native format",
                )
            })?;
            return certificate::parse(pem.to_owned(), &file.to_string_lossy());
        }
        let served = certificate::served(
            self.ui,
            self.controller,
            self.as_kubeseal,
            self.global,
            self.connection,
        )?;
        self.check(&pins, served, true)
    }

    /// Whom the native format is sealed for.
    pub(crate) fn recipients(&self, place: &Path) -> Result<Recipients, CommandError> {
        let pins = Pins::of(place)?;
        let named = &self.keys.recipient;
        let mut texts = named.clone();
        if let Some(file) = &self.keys.key_set {
            let newest = self.named_set(&pins, file)?.newest();
            texts.push(newest.ok_or_else(no_native)?.to_string());
        }
        if named.is_empty() {
            let all = self.pins.all();
            for whose in &all {
                let pin = pins.config.pin(*whose);
                if pin.is_none() && all.len() > 1 {
                    return Err(CommandError::user(
                        format!(
                            "{FILE} pins no key of cluster {}",
                            Printable(whose.cluster.unwrap_or_default())
                        ),
                        "seal once for it alone, where it can be reached; or list its recipients there",
                    ));
                }
                let listed = pin.map(|pin| pin.recipients.clone()).unwrap_or_default();
                if self.keys.key_set.is_none() {
                    let known = pin.and_then(|pin| pin.key_set.as_ref()?.recipient.clone());
                    // One cluster can be asked: the one of the kubeconfig.
                    let ask = !self.keys.offline && all.len() == 1 && (known.is_some() || listed.is_empty());
                    texts.extend(if ask {
                        Some(self.served_recipient(&pins)?)
                    } else {
                        known
                    });
                }
                texts.extend(listed);
            }
        }
        if texts.is_empty() {
            return Err(unknown_recipients());
        }
        parse_recipients(&texts)
    }

    /// The controller's newest key of the native format, if what is pinned leads to it.
    fn served_recipient(&self, pins: &Pins) -> Result<String, CommandError> {
        let found = certificate::key_set(
            self.ui,
            self.controller,
            self.as_kubeseal,
            self.global,
            self.connection,
        );
        let pin = pins.config.pin(self.pins.whose()?);
        let known = pin.and_then(|pin| pin.key_set.as_ref());
        let document = match found {
            Ok(Some(document)) => document,
            Ok(None) if known.is_some() => return Err(no_native()),
            Ok(None) => return Err(unknown_recipients().hint("this controller serves no key set")),
            Err(err) if known.is_some() => {
                return Err(err.hint("--offline seals for the key that is pinned, and asks nobody"));
            }
            Err(err) => {
                let why = format!("the controller could not be asked: {}", err.message());
                return Err(unknown_recipients().hint(why));
            }
        };
        let known_id = known.and_then(|set| key_id_of(set.recipient.as_deref()?));
        let named = self.pins.signers();
        let first = known.is_none() && pin.is_none_or(|pin| pin.fingerprint.is_empty());
        let found = if first && !named.is_empty() {
            let set = key_set::believe_of(&document, Whom::Named(&named));
            Ok(set.map_err(|err| key_set::refused("the controller's key set", &err))?)
        } else {
            believe(pin, &document)
        };
        let (set, endorsed) = match found {
            Ok(set) if known.is_some() || first => (set, known.is_some()),
            found => {
                // Anybody can list the pinned certificate in a set of their own: that it is listed endorses nothing.
                let why = found.map_or_else(
                    |err| err,
                    |_| KeySetError::NotPinned {
                        found: "a key of which only the certificate is pinned".to_owned(),
                    },
                );
                let first = key_set::believe(&document, None);
                let newest = first.as_ref().ok().and_then(Believed::newest);
                let (Ok(set), Some(newest)) = (first, newest) else {
                    return Err(key_set::refused("the controller's key set", &why));
                };
                let id = newest.key_id().as_str();
                let said = key_set::believe_of(&document, Whom::Named(&named)).ok();
                if let Some(set) = said.filter(|_| self.pins.names(id)) {
                    (set, false)
                } else {
                    let pinned = known_id.clone().or_else(|| pin.map(pinned));
                    let found = Found {
                        key: id,
                        signers: &key_set::signers(&document),
                    };
                    ask(self.ui, &pinned.unwrap_or_default(), &found, &why.to_string())?;
                    (set, false)
                }
            }
        };
        let newest = set.newest();
        let new = set.pin(known, true);
        // A set that only was signed again says nothing new.
        let same = known.is_some_and(|known| {
            let issued_at = new.issued_at.clone();
            KeySetPin {
                issued_at,
                ..known.clone()
            } == new
        });
        if !same && let Some(top) = pins.top.as_ref().filter(|_| self.writes) {
            if let Some(newest) = &newest
                && known.and_then(|set| set.recipient.as_ref()) != new.recipient.as_ref()
            {
                self.ui.status(format!(
                    "Pinned key {} of the native format in {FILE}; compare it with the controller's, and commit the file.",
                    newest.key_id()
                ));
            }
            if !endorsed {
                self.say_believed(&new);
            }
            let mut after = pin.cloned().unwrap_or_else(|| self.pins.empty());
            // A certificate that the controller does not list any more was renewed long ago, or is compromised: it is not sealed
            // for again, and the next one is believed by this set.
            if !set.lists(&after.fingerprint) {
                after.fingerprint.clear();
                after.certificate.clear();
            }
            after.key_set = Some(new);
            after.write(top)?;
        }
        Ok(newest.ok_or_else(no_native)?.to_string())
    }

    /// Whom key sets are believed from, where nothing that was pinned says so.
    fn say_believed(&self, pin: &KeySetPin) {
        let names: Vec<_> = pin.trusted.iter().map(EndorsementName::as_str).collect();
        self.ui.status(format!(
            "Its key sets are believed if {} signs them: compare that too.",
            names.join(" or ")
        ));
    }

    /// The key set of a file. A file is a person's choice, but what is pinned is not passed over.
    fn named_set(&self, pins: &Pins, file: &Path) -> Result<Believed, CommandError> {
        let document = key_set::read(file)?;
        let pin = pins.config.pin(self.pins.whose()?);
        believe(pin, &document).map_err(|err| key_set::refused(&file.to_string_lossy(), &err))
    }

    /// Lets a fetched certificate through if it is the pinned one, if the pinned one endorses it, or if a person confirms it,
    /// and pins the first.
    fn check(&self, pins: &Pins, fetched: Source, by_controller: bool) -> Result<Source, CommandError> {
        let Some(top) = &pins.top else {
            // Without a repository there is no place to write it down.
            return Ok(fetched);
        };
        let args = self.pins;
        let found = fetched.certificate.fingerprint().as_str();
        let confirmed = args.names(found);
        if let Some(wanted) = args.names_another(found) {
            return Err(CommandError::user(
                format!(
                    "the key that was fetched is {found}, and not {} as --trust-new-key says",
                    Printable(wanted)
                ),
                "somebody may be in the way; compare with the fingerprint that the controller logs at its start",
            ));
        }
        let pin = pins.config.pin(args.whose()?);
        if let Some(pin) = pin.filter(|pin| pin.fingerprint == found) {
            if by_controller && self.writes {
                self.pin_signers(pin, top)?;
            }
            return Ok(fetched);
        }
        // Only now is there something to ask for.
        let document = if by_controller {
            self.served_document()
        } else {
            None
        };
        let set = successor(pin, document.as_deref(), found);
        let writes = self.writes;
        // Where people have listed recipients alone, nothing of the controller is known yet.
        let of_controller = pin.filter(|pin| !pin.fingerprint.is_empty() || pin.key_set.is_some());
        let named = args.signers();
        let mut whom = if named.is_empty() {
            Whom::Anybody
        } else {
            Whom::Named(&named)
        };
        let signers = document.as_deref().map(key_set::signers).unwrap_or_default();
        let shown = Found {
            key: found,
            signers: &signers,
        };
        match (of_controller, &set) {
            (Some(pin), Ok(_)) if pin.key_set.is_some() => {
                self.ui.status(format!(
                    "The controller has a new key, {found}, which the pinned one endorses."
                ));
            }
            // A fingerprint says nothing of who signs: whoever is in the way can list the same certificate in a set of their own.
            (Some(_), _) if confirmed => whom = Whom::Named(&named),
            (Some(pin), Err(why)) => ask(self.ui, &pinned(pin), &shown, why)?,
            (Some(pin), Ok(_)) => ask(self.ui, &pinned(pin), &shown, NOTHING_KNOWN)?,
            (None, _) if writes => self.ui.status(format!(
                "This is the first key seen in this repository: {found}. It is pinned in {FILE}; compare it with the \
                 controller's, and commit the file."
            )),
            (None, _) => {}
        }
        if writes {
            let known = pin.and_then(|pin| pin.key_set.as_ref());
            let endorsed = set.is_ok() && known.is_some();
            // Where nothing endorsed it, a person has confirmed it, or nothing was known: the set is the first of a new controller.
            let set = match set {
                Ok(set) if endorsed => Some(set),
                _ => document
                    .as_deref()
                    .and_then(|document| key_set::believe_of(document, whom).ok()),
            };
            let set = set.filter(|set| set.lists(found));
            let new = set.map(|set| set.pin(known, false));
            match &new {
                Some(_) if endorsed => {}
                Some(new) => self.say_believed(new),
                None if !signers.is_empty() => self.ui.status(format!(
                    "Its key set is not believed, so that the next renewal is asked about again. If it is {} that signs it, add \
                     that to --trust-new-key.",
                    signers.join(" or ")
                )),
                None => {}
            }
            args.pin(&fetched.certificate, new).write(top)?;
            if of_controller.is_some() {
                self.ui
                    .status(format!("Pinned the new key {found} in {FILE}; commit the file."));
            }
        }
        Ok(fetched)
    }

    /// Believes the signers that a person has named, of a controller whose certificate is pinned. Nobody else: whoever
    /// answers for it can serve its own certificate in a set that they sign themselves.
    fn pin_signers(&self, pin: &Pin, top: &Path) -> Result<(), CommandError> {
        let named = self.pins.signers();
        let known = pin.key_set.as_ref();
        if named.is_empty() || known.is_some_and(|known| named.is_subset(&known.trusted)) {
            return Ok(());
        }
        let document = self.served_document();
        let signers = document.as_deref().map(key_set::signers).unwrap_or_default();
        let set = document
            .as_deref()
            .and_then(|document| key_set::believe_of(document, Whom::Named(&named)).ok());
        let why = match &set {
            Some(set) if set.lists(&pin.fingerprint) => None,
            Some(_) => Some("it does not list the pinned certificate".to_owned()),
            None if signers.is_empty() => Some("it serves none that can be used".to_owned()),
            None => Some(format!("it is signed by {}", signers.join(" and "))),
        };
        let (Some(set), None) = (set, &why) else {
            return Err(CommandError::user(
                format!(
                    "the signer that --trust-new-key names cannot be pinned with the controller's key set: {}",
                    why.unwrap_or_default()
                ),
                "the controller logs at its start who `signs`; the pinned key is sealed for without --trust-new-key",
            ));
        };
        let new = set.pin(known, false);
        self.ui.status(format!(
            "The controller's key set is pinned in {FILE}; commit the file."
        ));
        self.say_believed(&new);
        let after = Pin {
            key_set: Some(new),
            ..pin.clone()
        };
        after.write(top)
    }

    /// The controller's key set, where it serves one. That it does not is for others to judge.
    fn served_document(&self) -> Option<String> {
        certificate::key_set(
            self.ui,
            self.controller,
            self.as_kubeseal,
            self.global,
            self.connection,
        )
        .ok()
        .flatten()
    }
}

const NOTHING_KNOWN: &str = "nothing is pinned of the controller's key set that could endorse it";

/// Believes a set by what is pinned. One that is new to a repository has to list the certificate that is not.
fn believe(pin: Option<&Pin>, document: &str) -> Result<Believed, KeySetError> {
    let known = pin.and_then(|pin| pin.key_set.as_ref());
    let set = key_set::believe(document, known)?;
    match pin {
        Some(pin) if known.is_none() && !pin.fingerprint.is_empty() && !set.lists(&pin.fingerprint) => {
            Err(KeySetError::NotPinned {
                found: "keys of another controller than that of the certificate".to_owned(),
            })
        }
        _ => Ok(set),
    }
}

/// The set that leads from what is pinned to this key, or why there is none.
fn successor(pin: Option<&Pin>, document: Option<&str>, found: &str) -> Result<Believed, String> {
    let document = document.ok_or("the controller serves no key set that could endorse it")?;
    let known = pin.and_then(|pin| pin.key_set.as_ref());
    let set = key_set::believe(document, known).map_err(|err| err.to_string())?;
    if set.lists(found) {
        Ok(set)
    } else {
        Err("the controller's key set does not list it".to_owned())
    }
}

fn unknown_recipients() -> CommandError {
    CommandError::user(
        "whom to seal the native format for is not known",
        format!("give --recipient age1…, or list recipients in {FILE}; `age-keygen -y FILE` prints one"),
    )
}

fn no_native() -> CommandError {
    CommandError::user(
        "there is no key of the native format that can be sealed for",
        "give --recipient age1…, or seal with --format v1",
    )
}

fn key_id_of(recipient: &str) -> Option<String> {
    Some(recipient.parse::<Recipient>().ok()?.key_id().to_string())
}

/// What is pinned, by its name: a certificate, else the key of the native format, else who signs.
fn pinned(pin: &Pin) -> String {
    let set = pin.key_set.as_ref();
    let native = || key_id_of(set?.recipient.as_deref()?);
    let signers = || {
        let names = set?.trusted.iter().map(EndorsementName::as_str);
        Some(names.collect::<Vec<_>>().join(", "))
    };
    Some(pin.fingerprint.clone())
        .filter(|fingerprint| !fingerprint.is_empty())
        .or_else(native)
        .or_else(signers)
        .unwrap_or_default()
}

/// What a person has to compare.
struct Found<'a> {
    key: &'a str,
    /// Who signed the key set beside it, if there is one.
    signers: &'a [String],
}

fn ask(ui: &Ui, pinned: &str, found: &Found<'_>, why: &str) -> Result<(), CommandError> {
    if !ui.can_ask() {
        return Err(changed(pinned, found, why));
    }
    let signed = match found.signers {
        [] => String::new(),
        signers => format!(", its key set is signed by {}", signers.join(" and ")),
    };
    ui.warn(
        format!(
            "the controller's key is {}{signed}, and {FILE} pins {}",
            found.key,
            Printable(pinned)
        ),
        COMPARE,
    );
    if ui.confirm("Trust the new key, and pin it?")? {
        Ok(())
    } else {
        Err(changed(pinned, found, why))
    }
}

fn changed(pinned: &str, found: &Found<'_>, why: &str) -> CommandError {
    let key = found.key;
    let all = std::iter::once(key).chain(found.signers.iter().map(String::as_str));
    CommandError::user(
        format!(
            "the key that was fetched is {key}, but {FILE} pins {}: {why}",
            Printable(pinned)
        ),
        format!(
            "{COMPARE}, then give --trust-new-key {}",
            all.collect::<Vec<_>>().join(",")
        ),
    )
}
