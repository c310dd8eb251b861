//! What the directory holds for this cluster: kinds resolved, namespaces filled in, bodies as the controller sends them.

use crate::command_error::CommandError;
use apply::{Catalog, GroupKind, Key, KindInfo, applyset};
use crds::{Sync, annotation, label};
use manifest::{Manifest, Phase};
use render::{Item, Rendered};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How an object is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    /// A Secret in plain text.
    Secret,
    /// A SealedSecret of either format.
    Sealed,
}

/// An object of the directory.
pub(super) struct Wanted {
    pub(super) key: Key,
    /// None where the API server does not know the kind.
    pub(super) info: Option<Arc<KindInfo>>,
    pub(super) form: Form,
    pub(super) item: Item,
}

/// Resolves what was rendered, in apply order. Two documents of one object are an error, as they are for the controller.
pub(super) fn resolve(
    rendered: &Rendered,
    catalog: &Catalog,
    sync: &Sync,
) -> Result<Vec<Wanted>, CommandError> {
    let own = sync.metadata.namespace.as_deref().unwrap_or_default();
    let default = sync.spec.target_namespace.as_deref().unwrap_or(own);
    let mut places: BTreeMap<Key, Vec<String>> = BTreeMap::new();
    let mut all = Vec::with_capacity(rendered.items.len());
    for item in &rendered.items {
        let wanted = look_up(item, catalog, default);
        places
            .entry(wanted.key.clone())
            .or_default()
            .push(item.origin.to_string());
        all.push(wanted);
    }
    let doubles: Vec<String> = places
        .iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(key, places)| format!("{key}: {}", places.join("; ")))
        .collect();
    if !doubles.is_empty() {
        return Err(
            CommandError::user("several documents make the same object:", "keep one of them")
                .details(doubles),
        );
    }
    all.sort_by_cached_key(|wanted| {
        let gvk = &wanted.item.id.gvk;
        (Phase::of(&gvk.group, &gvk.kind), wanted.key.clone())
    });
    Ok(all)
}

fn look_up(item: &Item, catalog: &Catalog, default: &str) -> Wanted {
    let gvk = &item.id.gvk;
    let (group, version, kind, form) = match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("bitnami.com" | "signet.dev", "SealedSecret") => ("", "v1", "Secret", Form::Sealed),
        ("", "Secret") => ("", gvk.version.as_str(), "Secret", Form::Secret),
        (group, kind) => (group, gvk.version.as_str(), kind, Form::Plain),
    };
    let info = catalog.resolve(group, version, kind).cloned();
    let written = item.id.namespace.as_deref();
    let namespace = match &info {
        Some(info) if info.namespaced => Some(written.unwrap_or(default)),
        Some(_) => None,
        None => written,
    };
    let key = Key {
        kind: info.as_ref().map_or_else(
            || Arc::new(GroupKind::new(group, kind)),
            |info| Arc::clone(&info.kind),
        ),
        namespace: namespace.map(Into::into),
        name: item.id.name.as_str().into(),
    };
    Wanted {
        key,
        info,
        form,
        item: item.clone(),
    }
}

/// The namespaces that the directory makes.
pub(super) fn namespaces(all: &[Wanted]) -> BTreeSet<String> {
    all.iter()
        .filter(|wanted| wanted.key.kind.group.is_empty() && &*wanted.key.kind.kind == "Namespace")
        .map(|wanted| wanted.key.name.to_string())
        .collect()
}

/// The body that an apply sends. `exists`: whether the object is there, so that ignored fields are left out.
pub(super) fn body(wanted: &Wanted, manifest: Manifest, sync: &Sync, exists: bool) -> Value {
    let mut object = manifest.object;
    if exists {
        let key = &wanted.key;
        for rule in &sync.spec.ignore {
            if rule.target.matches(
                &key.kind.group,
                &key.kind.kind,
                key.namespace.as_deref(),
                &key.name,
            ) {
                rule.paths.iter().for_each(|path| remove(&mut object, path));
            }
        }
    }
    let of = |field: &Option<String>| field.clone().unwrap_or_default();
    let (namespace, name) = (of(&sync.metadata.namespace), of(&sync.metadata.name));
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for server_side in [
            "managedFields",
            "resourceVersion",
            "uid",
            "creationTimestamp",
            "generation",
            "selfLink",
        ] {
            metadata.remove(server_side);
        }
        if let Some(namespace) = &wanted.key.namespace {
            metadata.insert("namespace".into(), (&**namespace).into());
        }
        let origin = &wanted.item.origin;
        let source = match origin.item {
            Some(item) => format!("{namespace}/{name}:{}#{}.{item}", origin.file, origin.document),
            None => format!("{namespace}/{name}:{}#{}", origin.file, origin.document),
        };
        put(
            metadata,
            "labels",
            label::APPLYSET_PART_OF,
            applyset::id(&namespace, &name),
        );
        put(metadata, "annotations", annotation::SOURCE, source);
    }
    object
}

fn put(metadata: &mut Map<String, Value>, map: &str, key: &str, value: String) {
    let slot = metadata.entry(map).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    if let Value::Object(map) = slot {
        map.insert(key.to_owned(), value.into());
    }
}

/// Removes what a JSON pointer (RFC 6901) leads to.
fn remove(object: &mut Value, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        return;
    };
    let last = last.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(parent) {
        Some(Value::Object(fields)) => {
            fields.remove(&last);
        }
        Some(Value::Array(items)) => {
            if let Some(index) = last.parse::<usize>().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}
