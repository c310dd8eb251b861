//! From untyped JSON to a [`SealedSecret`]. Everything that can be refused without a key is refused here, all at once.

use super::fields::{Fields, Problems};
use super::{ParseError, ParseProblem, SealedSecret, SecretTemplate};
use crate::path::{is_data_key, is_namespace, is_object_name};
use crate::scope::{CLUSTER_WIDE, NAMESPACE_WIDE};
use crate::template::Template;
use crate::{Scope, TemplateError};
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
        if spec.get("data").is_some() {
            problems.add("spec.data", ParseProblem::DeprecatedData);
        }

        let mut ignored = root.others(&["apiVersion", "kind", "metadata", "spec", "status"]);
        ignored.extend(spec.others(&["data", "encryptedData", "template"]));
        ignored.extend(template.others(&["data", "immutable", "metadata", "type"]));

        let items = items(&spec, &mut problems);
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
                data: template_data(&template, &items, &mut problems),
            },
            items,
            ignored,
        };
        if problems.0.is_empty() {
            Ok(parsed)
        } else {
            Err(problems.0)
        }
    }
}

fn name(metadata: &Fields<'_>, expected: bool, problems: &mut Problems) -> String {
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

fn namespace(metadata: &Fields<'_>, problems: &mut Problems) -> Option<String> {
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
        problems.add(fields.path(key), ParseProblem::BadKey);
    }
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

fn template_data(
    template: &Fields<'_>,
    items: &BTreeMap<String, String>,
    problems: &mut Problems,
) -> BTreeMap<String, Option<Template>> {
    let data = template.object("data", problems);
    let entries: BTreeMap<_, _> = data.strings(problems).into_iter().collect();
    let mut parsed = BTreeMap::new();
    for (key, text) in &entries {
        check_key(&data, key, problems);
        // A sealed value wins over a template of the same key (upstream 0.37 and later).
        let template = match text {
            Some(_) if items.contains_key(*key) => continue,
            Some(text) => match read_template(text, items, &entries) {
                Ok(template) => Some(template),
                Err(err) => {
                    problems.add(data.path(key), ParseProblem::Template(err));
                    continue;
                }
            },
            None => None,
        };
        parsed.insert((*key).to_owned(), template);
    }
    parsed
}

fn read_template(
    text: &str,
    items: &BTreeMap<String, String>,
    entries: &BTreeMap<&str, Option<&str>>,
) -> Result<Template, TemplateError> {
    let mut template = Template::parse(text)?;
    template.resolve(
        |key| items.contains_key(key),
        |key| entries.get(key).copied().flatten(),
    )?;
    Ok(template)
}
