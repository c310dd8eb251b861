//! First contact: fields that another tool applied become ours, so that the next apply removes what Git no longer has.
//!
//! Without this, an annotation such as kubectl's last-applied configuration, which can hold a Secret in plain text, and
//! every field that Git drops, would stay with their old owner for ever. Same method as client-go's `csaupgrade`.

use super::owner::{self, is_own, subresource};
use super::set::FieldTree;
use crate::applyset::{BOOTSTRAP_MANAGER, MANAGER_PREFIX, SEALED_MANAGER};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, Time};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;

/// A tool that applied an object before us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// kubectl, by people or scripts.
    Kubectl,
    /// Helm's command line.
    Helm,
    /// kpt's live apply.
    Kpt,
    /// Carvel's kapp.
    Kapp,
    /// Google's Config Sync.
    ConfigSync,
    /// Argo CD.
    ArgoCd,
    /// Flux, by Kustomization or `HelmRelease`.
    Flux,
}

/// What [`merged`] would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Takeover {
    /// The managers whose fields become ours, sorted.
    pub managers: Vec<String>,
    /// The managers that stay, though they are a tool's: their fields are of another apiVersion, whose names may mean
    /// something else, or are too many.
    pub apart: Vec<String>,
}

impl Takeover {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.managers.is_empty()
    }
}

/// Who takes fields over, and whose.
#[derive(Clone, Copy)]
pub struct Heir<'a> {
    /// Our field manager.
    pub manager: &'a str,
    /// Whether fields of tools that apply manifests are taken: at first contact.
    pub of_tools: bool,
    /// Whether a Sync's field manager is nobody's any more.
    pub is_left: &'a (dyn Fn(&str) -> bool + Sync),
}

/// Which other managers' entries are to become ours: those of Syncs that have left the object; and, where that is asked for,
/// those of tools that apply manifests, and our own name's updates. Never those of a subresource, of a Sync that wants the
/// object, or of a restart that somebody asked for.
#[must_use]
pub fn legacy(entries: &[ManagedFieldsEntry], ours: &Heir<'_>) -> Takeover {
    // Asked at every apply: nearly always there is nothing, and no fields have to be read.
    if !entries.iter().any(|entry| is_legacy(entry, ours)) {
        return Takeover::default();
    }
    let version = version(entries, ours);
    let is_apart = own_is_too_large(entries, ours.manager);
    let (mut managers, mut apart) = (BTreeSet::new(), BTreeSet::new());
    for entry in entries.iter().filter(|entry| is_legacy(entry, ours)) {
        let joins = !is_apart && joins(entry, version).is_some();
        let names = if joins { &mut managers } else { &mut apart };
        names.insert(owner::name(entry));
    }
    Takeover {
        managers: managers.into_iter().collect(),
        apart: apart.into_iter().collect(),
    }
}

/// `managedFields` after it: legacy entries are gone, their fields are in one Apply entry of ours. The same entries where
/// there is nothing to take over.
#[must_use]
pub fn merged(entries: &[ManagedFieldsEntry], ours: &Heir<'_>, now: &Time) -> Vec<ManagedFieldsEntry> {
    if legacy(entries, ours).is_empty() {
        return entries.to_vec();
    }
    let version = version(entries, ours);
    let mut fields = owner::tree_of(entries, ours.manager);
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        if is_own(entry, ours.manager) {
            continue;
        }
        match joins(entry, version).filter(|_| is_legacy(entry, ours)) {
            Some(tree) => fields.add(&tree),
            None => kept.push(entry.clone()),
        }
    }
    let own = ManagedFieldsEntry {
        manager: Some(ours.manager.to_owned()),
        operation: Some("Apply".to_owned()),
        api_version: version.map(str::to_owned),
        fields_type: Some("FieldsV1".to_owned()),
        fields_v1: Some(FieldsV1(fields.to_fields_v1())),
        subresource: None,
        time: Some(now.clone()),
    };
    kept.insert(0, own);
    kept
}

/// The JSON patch (RFC 6902) that writes `managedFields`. The resource version is replaced, not tested: the API server
/// answers a stale one with a conflict, and a failed test with "invalid".
#[must_use]
pub fn patch(entries: &[ManagedFieldsEntry], resource_version: &str) -> Value {
    json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
    ])
}

/// The tool that managed an object, for people and for `signet adopt`. Of several the one that would fight back: what
/// reconciles comes before what was run once.
#[must_use]
pub fn tool(entries: &[ManagedFieldsEntry]) -> Option<Tool> {
    let main = entries.iter().filter(|entry| subresource(entry).is_none());
    main.filter_map(|entry| Tool::of(entry.manager.as_deref()?)).max()
}

impl Tool {
    /// The tool that uses a field manager's name.
    #[must_use]
    pub fn of(manager: &str) -> Option<Self> {
        Some(match manager {
            "kustomize-controller" | "helm-controller" => Self::Flux,
            "argocd-controller" | "argocd-application-controller" | "argocd-server" | "argocd" => {
                Self::ArgoCd
            }
            "helm" | "Helm" => Self::Helm,
            "kapp" | "kapp-controller" => Self::Kapp,
            "kpt" => Self::Kpt,
            "configsync" => Self::ConfigSync,
            _ if manager.starts_with("kubectl") => Self::Kubectl,
            _ => return None,
        })
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kubectl => "kubectl",
            Self::Helm => "Helm",
            Self::Kpt => "kpt",
            Self::Kapp => "kapp",
            Self::ConfigSync => "Config Sync",
            Self::ArgoCd => "Argo CD",
            Self::Flux => "Flux",
        })
    }
}

fn is_legacy(entry: &ManagedFieldsEntry, ours: &Heir<'_>) -> bool {
    let manager = entry.manager.as_deref().unwrap_or_default();
    if subresource(entry).is_some() || is_own(entry, ours.manager) {
        return false;
    }
    if manager.starts_with(MANAGER_PREFIX) && manager != ours.manager {
        return (ours.is_left)(manager);
    }
    if !ours.of_tools {
        return false;
    }
    match manager {
        // Its annotation is a restart; to remove it would be another one.
        "kubectl-rollout" => false,
        // The API server's own name for what was there before anybody applied, and ours for what a Sync was to have from the
        // beginning: a Secret that a SealedSecret object made, and what `signet bootstrap` installed.
        "before-first-apply" | SEALED_MANAGER | BOOTSTRAP_MANAGER => true,
        _ => manager == ours.manager || Tool::of(manager).is_some(),
    }
}

/// The apiVersion that our entry has, or will have: that of the newest entry that is taken over.
fn version<'a>(entries: &'a [ManagedFieldsEntry], ours: &Heir<'_>) -> Option<&'a str> {
    let own = entries.iter().find(|entry| is_own(entry, ours.manager));
    let newest = || {
        let legacy = entries.iter().filter(|entry| is_legacy(entry, ours));
        legacy.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))
    };
    own.or_else(newest)?.api_version.as_deref()
}

/// The fields of an entry that can be joined with ours.
fn joins(entry: &ManagedFieldsEntry, version: Option<&str>) -> Option<FieldTree> {
    if entry.api_version.as_deref() != version {
        return None;
    }
    owner::tree(entry).ok()
}

fn own_is_too_large(entries: &[ManagedFieldsEntry], ours: &str) -> bool {
    let mut own = entries.iter().filter(|entry| is_own(entry, ours));
    own.any(|entry| owner::tree(entry).is_err())
}

#[cfg(test)]
mod tests;
