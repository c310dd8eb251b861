//! SealedSecrets, as far as they can be judged without a key.

use super::finding::{Finding, Level, Object, Place, Rule};
use crate::repo_config::{FILE, RepoConfig};
use crate::sealed_file::Format;
use crate::seen::{self, About};
use sealing::Certificate;
use std::time::{Duration, SystemTime};

/// How long before its end a certificate is spoken of.
const SOON: Duration = Duration::from_hours(30 * 24);

/// Looks at one object.
pub(super) fn object(object: &Object<'_>, config: &RepoConfig, found: &mut Vec<Finding>) {
    let Some(format) = Format::of(object.value) else {
        return;
    };
    for seen in seen::look(format, object.value, &config.sealing_keys) {
        let rule = match seen.about {
            About::Damage => Rule::SealedInvalid,
            About::Place => Rule::SealedMoved,
            About::Scope => Rule::SealedScope,
            About::Key => Rule::UnknownKey,
        };
        let level = if seen.fatal { Level::Error } else { Level::Warning };
        let way = seen.way.iter().map(String::as_str);
        found.push(object.finding(rule, level, way, seen.message.clone(), seen.hint));
    }
}

/// The pinned certificates themselves.
pub(super) fn pins(config: &RepoConfig) -> Vec<Finding> {
    let now = SystemTime::now();
    let expired = config.sealing_keys.iter().filter_map(|pin| {
        let certificate = Certificate::from_pem(&pin.certificate).ok()?;
        let (level, message) = if certificate.not_after() < now {
            (Level::Error, "has expired; nothing can be sealed for it")
        } else if certificate.not_after() < now + SOON {
            (Level::Warning, "expires within 30 days")
        } else {
            return None;
        };
        Some(Finding {
            rule: Rule::ExpiredCertificate,
            level,
            place: Place {
                file: FILE.to_owned(),
                line: 1,
            },
            object: None,
            message: format!("the pinned certificate of key {} {message}", certificate.fingerprint()),
            hint: "has the controller renewed its key? Seal once where the cluster can be reached, and commit the file",
        })
    });
    expired.collect()
}
