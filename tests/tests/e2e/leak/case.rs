//! One path that a secret takes through the controller, to a good or a bad end.

use crds::SyncSpec;
use serde_json::{Value, json};
use tests::objects;

/// How a Sync has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Applied,
    Failed,
    /// What matters is what is said, whichever it is.
    Either,
}

/// A directory of files, and a Sync of it.
pub(super) struct Case {
    /// The Sync's name and the directory's.
    pub(super) name: String,
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) end: End,
    pub(super) change: Box<dyn FnOnce(&mut SyncSpec)>,
}

impl Case {
    pub(super) fn new(name: &str, end: End, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.to_owned(),
            files: vec![("secret.yaml".to_owned(), content.into())],
            end,
            change: Box::new(|_| {}),
        }
    }

    /// One that a SealedSecret makes.
    pub(super) fn sealed(name: &str, end: End, sealed: &Value) -> Self {
        Self::new(name, end, sealed.to_string())
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut SyncSpec) + 'static) -> Self {
        self.change = Box::new(change);
        self
    }

    /// With a workload that reads the Secret, and is to be restarted with it.
    pub(super) fn read(self, secret: &str) -> Self {
        let name = format!("reads-{}", self.name);
        self.file("reads.yaml", objects::deployment(&name, "nginx:1", secret))
            .with(|spec| spec.restart_on_secret_change = true)
    }

    pub(super) fn file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.to_owned(), content.into()));
        self
    }
}

/// A Secret with one value under `password`.
pub(super) fn secret(namespace: &str, name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {"password": value},
    })
}
