//! One object of the tree.

use apply::Key;
use apply::words::{OwnWord, is_frozen};
use crds::{SyncStatus, annotation};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

/// An object, and what it owns.
pub(super) struct Node {
    pub(super) key: Key,
    pub(super) uid: String,
    /// When it was created, for what is told by age.
    pub(super) created: String,
    /// Who controls it, by uid.
    pub(super) controller: Option<String>,
    /// As the controller says; none where it does not.
    pub(super) health: Option<String>,
    pub(super) message: Option<String>,
    /// `file#document`.
    pub(super) source: Option<String>,
    /// What it says of its own end.
    pub(super) word: Option<OwnWord>,
    pub(super) frozen: bool,
    pub(super) children: Vec<Node>,
}

impl Node {
    pub(super) fn new(key: Key, metadata: ObjectMeta) -> Self {
        let (word, frozen) = (OwnWord::of(&metadata), is_frozen(&metadata));
        let controller = metadata
            .owner_references
            .into_iter()
            .flatten()
            .find(|owner| owner.controller == Some(true))
            .map(|owner| owner.uid);
        let source = metadata
            .annotations
            .and_then(|mut annotations| annotations.remove(annotation::SOURCE));
        Self {
            key,
            uid: metadata.uid.unwrap_or_default(),
            created: metadata
                .creation_timestamp
                .map(|time| time.0.to_string())
                .unwrap_or_default(),
            controller,
            health: None,
            message: None,
            // Which Sync, the tree says.
            source: source.map(|source| match source.split_once(':') {
                Some((_, place)) => place.to_owned(),
                None => source,
            }),
            word,
            frozen,
            children: Vec::new(),
        }
    }

    /// Takes over what the Sync's status says of this object.
    pub(super) fn judge(&mut self, status: Option<&SyncStatus>) {
        let Some(status) = status else { return };
        let name = self.key.to_string();
        if let Some(report) = status.unhealthy.iter().find(|report| report.object == name) {
            self.health = Some(report.status.clone());
            self.message = Some(report.message.clone()).filter(|text| !text.is_empty());
            return;
        }
        // Only a list that is whole says that the others are well.
        let not_well = status.health.in_progress as usize + status.health.failed as usize;
        if status.health.current > 0 && status.unhealthy.len() >= not_well {
            self.health = Some("Current".to_owned());
        }
    }

    pub(super) fn title(&self) -> String {
        self.key.to_string()
    }

    pub(super) fn as_json(&self) -> Value {
        let children: Vec<_> = self.children.iter().map(Self::as_json).collect();
        json!({
            "group": self.key.kind.group,
            "kind": self.key.kind.kind,
            "namespace": self.key.namespace.as_deref(),
            "name": &*self.key.name,
            "health": self.health,
            "message": self.message,
            "source": self.source,
            "children": children,
        })
    }
}
