//! A document's value to objects: identity is read and checked, Lists are taken apart.

mod check;
mod error;

use serde_json::Value;

use crate::draft::Draft;
use crate::identity::{ObjectRef, Origin};
use crate::read::Limits;
pub use error::{ManifestError, ManifestErrorKind};

/// An object as somebody wrote it, with its identity and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Which object it is.
    pub id: ObjectRef,
    /// Where it was written.
    pub origin: Origin,
    /// The object has no name of its own: `id.name` is its `metadata.generateName`, and the API server makes a name
    /// of it. Only objects with a hook annotation may do that, since each apply would create another one, and
    /// no Secrets.
    pub generate_name: bool,
    /// The object itself: a mapping, with `apiVersion` and `kind` filled in from the List around it if need be.
    pub object: Value,
}

/// The objects of one document, in the order in which they are written; each is right or wrong on its own.
///
/// A `v1` `List`, and any kind that ends in `List` and has `items`, stands for its items, as kubectl takes it; an item
/// of a typed list (`ConfigMapList`) that names no kind gets it from the list. Nothing, such as an empty document, is
/// no objects.
pub fn manifests(value: Value, origin: &Origin, limits: &Limits) -> Vec<Result<Manifest, ManifestError>> {
    let as_it_is = &mut |value| Ok((value, ()));
    let found = collect_all(value, origin, limits, as_it_is).into_iter();
    found.map(|found| found.map(|(manifest, ())| manifest)).collect()
}

/// The objects of a draft: `finish` replaces the variables of each, and may say something about it. Lists are taken
/// apart before, identities are read after.
pub fn manifests_of<T>(
    draft: Draft,
    origin: &Origin,
    limits: &Limits,
    mut finish: impl FnMut(Draft) -> Result<(Value, T), ManifestErrorKind>,
) -> Vec<Result<(Manifest, T), ManifestError>> {
    collect_all(draft.into_marked(), origin, limits, &mut |marked| {
        finish(Draft::new(marked))
    })
}

type Found<T> = Vec<Result<(Manifest, T), ManifestError>>;

/// What makes an item of a List, or a whole document, the value whose identity is read.
type Finish<'f, T> = &'f mut dyn FnMut(Value) -> Result<(Value, T), ManifestErrorKind>;

fn collect_all<T>(value: Value, origin: &Origin, limits: &Limits, finish: Finish<'_, T>) -> Found<T> {
    let mut found = Vec::new();
    if !value.is_null() {
        collect(value, None, 0, origin, limits, finish, &mut found);
    }
    found
}

/// What a typed list says about items that do not say it themselves.
#[derive(Clone, Copy)]
struct ItemType<'a> {
    api_version: &'a str,
    kind: &'a str,
}

fn collect<T>(
    mut value: Value,
    implied: Option<ItemType<'_>>,
    depth: usize,
    origin: &Origin,
    limits: &Limits,
    finish: Finish<'_, T>,
    found: &mut Found<T>,
) {
    let inside_list = depth > 0;
    if let (Some(implied), Some(fields)) = (implied, value.as_object_mut())
        && fields.get("kind").is_none_or(|kind| kind.as_str() == Some(""))
    {
        fields.insert("kind".to_owned(), implied.kind.into());
        fields.insert("apiVersion".to_owned(), implied.api_version.into());
    }
    match take_items(&mut value) {
        Items::NotAList => {
            let mut origin = origin.clone();
            origin.item = inside_list.then_some(found.len() + 1);
            found.push(match finish(value) {
                Ok((value, said)) => check::manifest(value, origin).map(|manifest| (manifest, said)),
                Err(kind) => Err(ManifestError { kind, origin }),
            });
        }
        Items::Of { items, .. } if depth >= limits.list_depth && !items.is_empty() => {
            let kind = ManifestErrorKind::ListTooDeep {
                limit: limits.list_depth,
            };
            let mut origin = origin.clone();
            origin.item = inside_list.then_some(found.len() + 1);
            found.push(Err(ManifestError { kind, origin }));
        }
        Items::Of {
            items,
            api_version,
            item_kind,
        } => {
            let implied = (!item_kind.is_empty()).then_some(ItemType {
                api_version: &api_version,
                kind: &item_kind,
            });
            for item in items {
                collect(item, implied, depth + 1, origin, limits, finish, found);
            }
        }
    }
}

enum Items {
    NotAList,
    Of {
        items: Vec<Value>,
        api_version: String,
        item_kind: String,
    },
}

fn take_items(value: &mut Value) -> Items {
    let Some(fields) = value.as_object_mut() else {
        return Items::NotAList;
    };
    let text = |name: &str| {
        fields
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let Some(item_kind) = kind.strip_suffix("List") else {
        return Items::NotAList;
    };
    let items = match fields.get_mut("items") {
        Some(Value::Array(items)) => std::mem::take(items),
        Some(Value::Null) => Vec::new(),
        _ => return Items::NotAList,
    };
    Items::Of {
        items,
        api_version,
        item_kind: item_kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn origin() -> Origin {
        Origin {
            file: "a.yaml".into(),
            document: 1,
            item: None,
            line: 1,
        }
    }

    fn all(value: Value) -> Vec<Result<Manifest, ManifestError>> {
        manifests(value, &origin(), &Limits::default())
    }

    fn shown(value: Value) -> Vec<String> {
        all(value)
            .into_iter()
            .map(|found| match found {
                Ok(manifest) => format!("{}: {}", manifest.origin, manifest.id),
                Err(error) => error.to_string(),
            })
            .collect()
    }

    fn config_map(name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}})
    }

    #[test]
    fn one_object() {
        assert_eq!(shown(config_map("a")), ["a.yaml document 1: ConfigMap shop/a"]);
        assert!(all(Value::Null).is_empty());
    }

    #[test]
    fn a_list_is_its_items_and_each_stands_alone() {
        let list =
            json!({"apiVersion": "v1", "kind": "List", "items": [config_map("a"), 7, config_map("b")]});
        assert_eq!(
            shown(list),
            [
                "a.yaml document 1 item 1: ConfigMap shop/a",
                "a.yaml document 1 item 2: this is not an object but a number",
                "a.yaml document 1 item 3: ConfigMap shop/b",
            ]
        );
        assert!(all(json!({"apiVersion": "v1", "kind": "List", "items": []})).is_empty());
        assert!(all(json!({"apiVersion": "v1", "kind": "List", "items": null})).is_empty());
    }

    #[test]
    fn a_typed_list_names_the_kind_of_its_items() {
        let list = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleList",
            "items": [{"metadata": {"name": "a"}}, config_map("b")]});
        let found = all(list);
        let role = found[0].as_ref().unwrap();
        assert_eq!(role.id.full().to_string(), "Role.rbac.authorization.k8s.io a");
        assert_eq!(role.object["apiVersion"], "rbac.authorization.k8s.io/v1");
        assert_eq!(found[1].as_ref().unwrap().id.to_string(), "ConfigMap shop/b");
    }

    #[test]
    fn a_plain_list_names_no_kind() {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [{"metadata": {"name": "a"}}]});
        assert_eq!(shown(list), ["a.yaml document 1 item 1: apiVersion is missing"]);
    }

    #[test]
    fn a_kind_that_only_sounds_like_a_list_is_an_object() {
        let object = json!({"apiVersion": "example.com/v1", "kind": "AllowList", "metadata": {"name": "a"}});
        assert_eq!(shown(object), ["a.yaml document 1: AllowList.example.com a"]);
        let no_items = json!({"apiVersion": "v1", "kind": "List", "metadata": {}});
        assert_eq!(shown(no_items), ["a.yaml document 1: the List has no items"]);
    }

    #[test]
    fn nested_lists_are_bounded() {
        let mut list = config_map("a");
        for _ in 0..Limits::default().list_depth {
            list = json!({"apiVersion": "v1", "kind": "List", "items": [list, config_map("b")]});
        }
        let found = shown(list.clone());
        assert_eq!(found[0], "a.yaml document 1 item 1: ConfigMap shop/a");
        assert_eq!(found.len(), Limits::default().list_depth + 1);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [list]});
        assert!(shown(list)[0].contains("Lists inside Lists"));
    }
}
