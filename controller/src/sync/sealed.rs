//! What a sealed object says of itself in plain text: whether a Sync accepts its format and scope, and fields that mean
//! nothing.

use super::report::{Failure, Warning, report};
use apply::Key;
use crds::{SealedFormat, SealedScope, SyncSpec};
use render::{Item, SealedFormat as Format};
use sealing::{Scope, v2};

/// Why `spec.sealed` does not accept an object, if it does not.
pub(super) fn refuse(key: &Key, item: &Item, spec: &SyncSpec) -> Option<Failure> {
    let (sealed, policy) = (item.sealed?, spec.sealed.as_ref()?);
    let (format, name) = match sealed.format {
        Format::V1 => (SealedFormat::V1, "v1 (bitnami.com)"),
        Format::V2 => (SealedFormat::V2, "v2 (signet.dev)"),
    };
    let scope = match sealed.scope {
        Scope::Strict => SealedScope::Strict,
        Scope::Namespace => SealedScope::Namespace,
        Scope::Cluster => SealedScope::Cluster,
    };
    let said =
        |message: String, hint: &str| Some(Failure::of(key, Some(&item.origin), &message, hint, false));
    if !policy.formats.contains(&format) {
        return said(
            format!(
                "this Secret is sealed in format {name}, which spec.sealed.formats of this Sync does not accept"
            ),
            "seal it again in a format that the Sync accepts",
        );
    }
    if !policy.scopes.contains(&scope) {
        return said(
            format!(
                "this Secret is sealed with scope {}, which spec.sealed.scopes of this Sync does not accept",
                v2::scope_name(sealed.scope)
            ),
            "seal it again with a narrower scope",
        );
    }
    None
}

/// A warning of fields that mean nothing.
pub(super) fn ignored(key: &Key, item: &Item) -> Option<Warning> {
    let fields = &item.options().ignored_fields;
    if fields.is_empty() {
        return None;
    }
    let (verb, reach) = match fields.len() {
        1 => ("means", "does"),
        _ => ("mean", "do"),
    };
    let message = format!(
        "{} {verb} nothing in a SealedSecret of bitnami.com, and {reach} not reach the Secret",
        fields.join(", ")
    );
    Some(Warning {
        reason: "IgnoredField",
        report: report(
            Some(key),
            Some(&item.origin),
            &message,
            "values belong under spec.encryptedData, sealed, and texts with values in them under spec.template.data; correct \
             the field's name or place, or remove it",
        ),
    })
}
