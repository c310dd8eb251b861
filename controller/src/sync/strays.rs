//! After a part of a Sync's checkpoint was lost: what carries the Sync's label, and of which nothing is recorded.
//!
//! Labels are written by anybody, so none of it is ever deleted. But what left Git while the records were lost would be nobody's and
//! named by nobody: as long as there is any of it, the Sync says so, and the loss is not over.

use super::inputs::Inputs;
use super::listing::list;
use super::report::{KEPT, report};
use super::worker::Worker;
use crate::events::Severity;
use apply::{ApiError, Catalog, GroupKind, Identity, Key, KindInfo};
use crds::{ObjectReport, Sync, annotation, label};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Objects that are remembered of one Sync.
const MOST: usize = 1000;
/// Objects that a sentence names.
const NAMED: usize = 5;

/// What is said of the loss itself.
const LOST: &str = "a part of what was written down of this Sync's objects is lost: what Git holds is applied again, and nothing else is \
                    deleted";

/// What was found by the Sync's label.
#[derive(Default)]
pub(super) struct Strays {
    /// Of these nothing is recorded.
    pub(super) objects: Vec<Key>,
    /// Kinds that could not be listed, with the reason.
    pub(super) unlisted: Vec<(String, String)>,
}

impl Strays {
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.unlisted.is_empty()
    }

    /// The first of them, for a sentence.
    pub(super) fn names(&self) -> String {
        let objects = self.objects.iter().map(ToString::to_string);
        let kinds = self.unlisted.iter();
        let all: Vec<String> = objects
            .chain(kinds.map(|(kind, why)| format!("all of kind {kind}, which cannot be listed ({why})")))
            .collect();
        let named = all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>();
        match all.len().saturating_sub(NAMED) {
            0 => named.join(", "),
            more => format!("{}, and {more} more", named.join(", ")),
        }
    }

    fn reports(&self) -> Vec<ObjectReport> {
        let stray = |key: &Key| {
            let message = "it carries this Sync's label, and nothing is recorded of it since records were lost: it is not deleted";
            let hint = format!(
                "delete it, take the label {} off, or have Git hold it",
                label::APPLYSET_PART_OF
            );
            report(Some(key), None, message, &hint)
        };
        let unlisted = |(kind, why): &(String, String)| ObjectReport {
            object: kind.clone(),
            ..report(
                None,
                None,
                &format!(
                    "whether records of this kind were lost is not known, since it cannot be listed: {why}"
                ),
                "let the controller list the kind; this is tried again by itself",
            )
        };
        let objects = self.objects.iter().take(KEPT).map(stray);
        objects.chain(self.unlisted.iter().map(unlisted)).collect()
    }
}

impl Worker {
    /// Says once that records were lost.
    pub(super) fn tell_lost(&mut self) {
        if self.checkpoint.lost && self.lost_said.is_empty() {
            let hint = "objects that are found by their label and are not known are named here";
            self.lost_said = vec![report(None, None, LOST, hint)];
            if !self.status.warnings.iter().any(|said| said.message == LOST) {
                self.event(Severity::Warning, "RecordsLost", &format!("{}.", capital(LOST)));
            }
        }
    }

    /// What Git holds is recorded again: looks for what else there is. Where there is none, the loss is over; otherwise it is named.
    pub(super) async fn seek_lost(&mut self, sync: &Sync, inputs: &Inputs, catalog: &Catalog) {
        if !self.checkpoint.lost {
            return;
        }
        let strays = self.strays(sync, Some(inputs), catalog).await;
        if strays.is_empty() {
            self.checkpoint.find_again();
            self.lost_said.clear();
        } else {
            let mut said = vec![report(None, None, LOST, "see what is named beside this")];
            said.extend(strays.reports());
            let is_news = |report: &ObjectReport| !self.status.warnings.contains(report);
            if self.lost_said != said && said.iter().skip(1).any(is_news) {
                let message = format!(
                    "These carry the Sync's label, and nothing is recorded of them; they are not deleted: {}.",
                    strays.names()
                );
                self.event(Severity::Warning, "RecordsLost", &message);
            }
            self.lost_said = said;
        }
        // Where a kind cannot be listed, there may be objects anywhere.
        let known = strays.unlisted.is_empty();
        self.strays = if known { strays.objects } else { Vec::new() };
    }

    /// Lists what carries the Sync's label, with the controller's own rights: of the kinds that its mark names, that Git holds, and that
    /// are recorded.
    pub(super) async fn strays(&self, sync: &Sync, inputs: Option<&Inputs>, catalog: &Catalog) -> Strays {
        let mut strays = Strays::default();
        let marked = marked(sync, annotation::APPLYSET_KINDS);
        let marked = marked.map(|name| name.split_once('.').unwrap_or((name, "")));
        let mut kinds: HashSet<Arc<GroupKind>> = marked
            .map(|(kind, group)| Arc::new(GroupKind::new(group, kind)))
            .collect();
        let wanted = inputs.into_iter().flat_map(|inputs| &inputs.wanted);
        kinds.extend(wanted.map(|wanted| Arc::clone(&wanted.info.kind)));
        kinds.extend(self.checkpoint.records().keys().map(|key| Arc::clone(&key.kind)));
        let unserved: HashSet<_> = kinds
            .iter()
            .filter(|kind| catalog.preferred(kind).is_none())
            .cloned()
            .collect();
        let gone = if unserved.is_empty() {
            HashSet::new()
        } else {
            self.gone_kinds(&unserved, catalog).await.unwrap_or_default()
        };
        let away = unserved.difference(&gone);
        strays.unlisted = away
            .map(|kind| {
                (
                    kind.to_string(),
                    "the API server does not serve it now".to_owned(),
                )
            })
            .collect();
        let uids = self.checkpoint.records().values();
        let uids: HashSet<&str> = uids.filter_map(|record| record.uid.as_deref()).collect();
        let mut found: HashMap<Box<str>, Key> = HashMap::new();
        for info in kinds.iter().filter_map(|kind| catalog.preferred(kind)) {
            match self.labelled(info).await {
                // One object may be served under two groups.
                Ok(objects) => found.extend(objects.into_iter().filter(|(uid, key)| {
                    !uids.contains(&**uid) && !self.checkpoint.records().contains_key(key)
                })),
                Err(error) => strays
                    .unlisted
                    .push((info.kind.to_string(), error.in_own_words().to_owned())),
            }
        }
        strays.objects = found.into_values().collect();
        strays.objects.sort_unstable();
        strays.unlisted.sort_unstable();
        strays
    }

    /// The objects of a kind that carry the Sync's label, by uid, but for those of hooks: a journal is kept of them.
    async fn labelled(&self, info: &KindInfo) -> Result<Vec<(Box<str>, Key)>, ApiError> {
        let query = format!(
            "labelSelector={}%3D{}&",
            label::APPLYSET_PART_OF.replace('/', "%2F"),
            self.id.applyset,
        );
        let ordinary = |metadata: ObjectMeta| {
            let annotations = metadata.annotations.as_ref();
            let hook = annotations.is_some_and(|all| all.contains_key(annotation::RUN));
            if hook || metadata.deletion_timestamp.is_some() {
                return None;
            }
            let key = Key {
                kind: Arc::clone(&info.kind),
                namespace: metadata.namespace.as_deref().map(Into::into),
                name: metadata.name.as_deref()?.into(),
            };
            Some((metadata.uid.as_deref()?.into(), key))
        };
        let whom = (&self.rooms.server, &Identity::Controller);
        list(whom, &info.collection(), &query, MOST, ordinary).await
    }
}

/// What an annotation of the ApplySet's standard lists.
pub(super) fn marked<'a>(sync: &'a Sync, name: &str) -> impl Iterator<Item = &'a str> {
    let text = sync.annotations().get(name).map_or("", String::as_str);
    text.split(',').filter(|part| !part.is_empty())
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_named_in_part() {
        let key = |n: usize| Key {
            kind: Arc::new(GroupKind::new("", "ConfigMap")),
            namespace: Some("shop".into()),
            name: format!("m{n}").into(),
        };
        let mut strays = Strays::default();
        assert!(strays.is_empty());
        strays.objects = (0..2).map(key).collect();
        assert_eq!(strays.names(), "ConfigMap shop/m0, ConfigMap shop/m1");
        strays.objects = (0..7).map(key).collect();
        assert!(
            strays.names().ends_with("ConfigMap shop/m4, and 2 more"),
            "{}",
            strays.names()
        );
        assert_eq!(strays.reports().len(), 7);
        strays = Strays {
            unlisted: vec![("Widget.example.com".into(), "forbidden".into())],
            ..Strays::default()
        };
        assert!(!strays.is_empty(), "what cannot be listed may be there");
        assert_eq!(strays.reports()[0].object, "Widget.example.com");
    }
}
