//! From untyped JSON to a [`SealedSecret`]. Everything that can be refused without a key is refused here, all at once.

use super::fields::{Fields, Problems};
use super::{ParseError, ParseProblem, SealedSecret, SecretTemplate};
use crate::Scope;
use crate::path::{is_data_key, is_namespace, is_object_name};
use crate::scope::{CLUSTER_WIDE, NAMESPACE_WIDE};
use crate::template::{Known, Template};
use crate::v1::Envelope;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Annotations that do not reach the Secret: the scopes say nothing about it, and kubectl's copy of an earlier object
/// may hold plaintext.
const NOT_FOR_THE_SECRET: [&str; 4] = [
    CLUSTER_WIDE,
    NAMESPACE_WIDE,
    "kubectl.kubernetes.io/last-applied-configuration",
    "kubecfg.ksonnet.io/last-applied-configuration",
];

/// The most that a Secret's data may be (`MaxSecretSize` of the API server).
pub(super) const LARGEST: usize = 1 << 20;

impl SealedSecret {
    /// Reads a SealedSecret. Every problem is reported; none quotes a value or a template.
    pub fn parse(object: &Value) -> Result<Self, Vec<ParseError>> {
        let mut problems = Problems::default();
        let root = Fields::root(object, &mut problems);
        if root.is_present() {
            let is = |field, text| root.get(field).and_then(Value::as_str) == Some(text);
            if !is("apiVersion", "bitnami.com/v1alpha1") || !is("kind", "SealedSecret") {
                problems.add("kind", ParseProblem::OtherKind);
            }
        }
        let metadata = root.object("metadata", &mut problems);
        let spec = root.object("spec", &mut problems);
        let template = spec.object("template", &mut problems);
        if root.is_present() && root.get("spec").is_none() {
            problems.add("spec", ParseProblem::Missing);
        }

        let mut ignored = root.others(&["apiVersion", "kind", "metadata", "spec", "status"]);
        ignored.extend(spec.others(&["data", "encryptedData", "template"]));
        ignored.extend(template.others(&["data", "immutable", "metadata", "type"]));

        let items = items(&spec, &mut problems);
        let legacy: Option<String> = spec.string("data", &mut problems).map(Into::into);
        if legacy.is_some() && !items.is_empty() {
            problems.add("spec.data", ParseProblem::BothForms);
        }
        // Templates are left out of account beside the deprecated form, as upstream does.
        let (data, raw) = match &legacy {
            Some(_) => Templates::default(),
            None => template_data(&template, &items, &mut problems),
        };
        let parsed = Self {
            name: name(&metadata, root.is_present(), &mut problems),
            namespace: namespace(&metadata, &mut problems),
            scope: Scope::from_annotations(metadata.get("annotations")),
            template: SecretTemplate {
                metadata: template_metadata(&template, &mut problems),
                type_: template
                    .string("type", &mut problems)
                    .filter(|text| !text.is_empty())
                    .map(Into::into),
                immutable: template.bool("immutable", &mut problems),
                data,
                raw,
            },
            items,
            legacy,
            ignored,
        };
        if problems.0.is_empty() {
            Ok(parsed)
        } else {
            Err(problems.0)
        }
    }
}

pub(crate) fn name(metadata: &Fields<'_>, expected: bool, problems: &mut Problems) -> String {
    match metadata.string("name", problems) {
        Some(name) if !is_object_name(name) => problems.add("metadata.name", ParseProblem::BadName),
        Some(name) => return name.to_owned(),
        None if expected && metadata.get("name").is_none() => {
            problems.add("metadata.name", ParseProblem::Missing);
        }
        None => {}
    }
    String::new()
}

pub(crate) fn namespace(metadata: &Fields<'_>, problems: &mut Problems) -> Option<String> {
    // An empty namespace is none, as everywhere in Kubernetes.
    let namespace = metadata
        .string("namespace", problems)
        .filter(|text| !text.is_empty())?;
    if !is_namespace(namespace) {
        problems.add("metadata.namespace", ParseProblem::BadNamespace);
    }
    Some(namespace.to_owned())
}

fn items(spec: &Fields<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    let sealed = spec.object("encryptedData", problems);
    let mut items = BTreeMap::new();
    for (key, value) in sealed.strings(problems) {
        check_key(&sealed, key, problems);
        if let Some(value) = value {
            items.insert(key.to_owned(), value.to_owned());
        }
    }
    items
}

fn check_key(fields: &Fields<'_>, key: &str, problems: &mut Problems) {
    if !is_data_key(key) {
        // Not named: where indentation is lost, a line of a text becomes a key.
        problems.add(fields.path_here(), ParseProblem::BadKey);
    }
}

/// What of a Secret's metadata reaches another Secret.
pub(super) fn secret_metadata(secret: &Value, problems: &mut Problems) -> Map<String, Value> {
    template_metadata(&Fields::root(secret, problems), problems)
}

/// What of a template's metadata reaches the Secret. Name and namespace are the SealedSecret's; owners, uid, managed
/// fields and the like belong to some other object.
fn template_metadata(template: &Fields<'_>, problems: &mut Problems) -> Map<String, Value> {
    let metadata = template.object("metadata", problems);
    let mut kept = Map::new();
    for field in ["annotations", "labels"] {
        let entries: Map<String, Value> = metadata
            .object(field, problems)
            .strings(problems)
            .into_iter()
            .filter(|(key, _)| !NOT_FOR_THE_SECRET.contains(key))
            .filter_map(|(key, value)| Some((key.to_owned(), Value::from(value?))))
            .collect();
        if !entries.is_empty() {
            kept.insert(field.to_owned(), Value::Object(entries));
        }
    }
    match metadata.get("finalizers") {
        None => {}
        Some(Value::Array(list)) if list.is_empty() => {}
        Some(list @ Value::Array(entries)) if entries.iter().all(Value::is_string) => {
            kept.insert("finalizers".to_owned(), list.clone());
        }
        Some(_) => problems.add(
            metadata.path("finalizers"),
            ParseProblem::WrongType {
                expected: "a list of strings",
                found: "something else",
            },
        ),
    }
    kept
}

type Templates = (BTreeMap<String, Option<Template>>, BTreeMap<String, String>);

fn template_data(
    template: &Fields<'_>,
    items: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> Templates {
    let data = template.object("data", problems);
    let entries: BTreeMap<_, _> = data.strings(problems).into_iter().collect();
    let raw: BTreeMap<String, String> = entries
        .iter()
        .filter(|(key, _)| !items.contains_key(**key))
        .filter_map(|(key, text)| Some(((*key).to_owned(), (*text)?.to_owned())))
        .collect();
    let sealed = items
        .iter()
        .map(|(key, sealed)| (key.as_str(), Envelope::most(sealed)));
    let plain = raw.iter().map(|(key, text)| (key.as_str(), text.len()));
    let known = Known::new(sealed.clone().chain(plain));
    let mut size: usize = sealed
        .filter(|(key, _)| !matches!(entries.get(key), Some(None)))
        .fold(0, |size, (_, most)| size.saturating_add(most));
    let mut parsed = BTreeMap::new();
    for (key, text) in &entries {
        check_key(&data, key, problems);
        // A sealed value wins over a template of the same key (upstream 0.37 and later).
        let template = match text {
            Some(_) if items.contains_key(*key) => continue,
            Some(text) => match Template::read(text, &known) {
                Ok(template) => {
                    size = size.saturating_add(template.bound());
                    Some(template)
                }
                Err(err) => {
                    problems.add(data.path(key), ParseProblem::Template(err));
                    continue;
                }
            },
            None => None,
        };
        parsed.insert((*key).to_owned(), template);
    }
    // Of the sizes that are known beforehand: found out afterwards, it would say something about a value.
    if !raw.is_empty() && size > LARGEST {
        problems.add(data.path_here(), ParseProblem::TooLarge);
    }
    (parsed, raw)
}
