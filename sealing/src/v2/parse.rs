//! From untyped JSON to a [`SealedSecret`]. Everything that can be refused without a key is refused here, all at once.

use super::data_key::{DataKey, DataKeyId, header};
use super::fault::Fault;
use super::key_id::KeyId;
use super::place::{Place, scope_from_name};
use super::reference::Text;
use super::sealed_secret::{SealedDataKey, SealedSecret, SealedValue};
use super::template::Template;
use super::{age_file, limits, value};
use crate::path::{is_data_key, is_namespace, is_object_name};
use crate::sealed_secret::fields::{Fields, Problems};
use crate::sealed_secret::{ParseError, ParseProblem, parse as shared};
use crate::{Scope, base64_text};
use serde_json::Value;
use std::collections::BTreeMap;

/// Metadata of the SealedSecret itself: what people write, and what an API server adds.
const METADATA: [&str; 13] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "uid",
];

impl SealedSecret {
    /// Reads a SealedSecret of format v2. Every problem is reported; none quotes a value or a template.
    pub fn parse(object: &Value) -> Result<Self, Vec<ParseError>> {
        let mut problems = Problems::default();
        let root = Fields::root(object, &mut problems);
        if root.is_present() && !Self::is(object) {
            problems.add("kind", Fault::OtherKind.into());
            return Err(problems.0);
        }
        root.only(
            &["apiVersion", "kind", "metadata", "spec", "status"],
            &mut problems,
        );
        let metadata = root.object("metadata", &mut problems);
        metadata.only(&METADATA, &mut problems);
        let spec = root.object("spec", &mut problems);
        if root.is_present() && root.get("spec").is_none() {
            problems.add("spec", ParseProblem::Missing);
        }
        spec.only(
            &["scope", "sealedFor", "dataKeys", "values", "template"],
            &mut problems,
        );

        let name = shared::name(&metadata, root.is_present(), &mut problems);
        let namespace = shared::namespace(&metadata, &mut problems);
        let sealed_for = sealed_for(&spec, &mut problems);
        let data_keys = data_keys(&spec, &sealed_for, &mut problems);
        let values = values(&spec, &data_keys, &mut problems);
        let template = Template::parse(
            &spec.object("template", &mut problems),
            |key| values.contains_key(key),
            &mut problems,
        );
        if problems.0.is_empty() {
            check_size(&spec, &values, &template, &mut problems);
        }
        if !problems.0.is_empty() {
            return Err(problems.0);
        }
        Ok(Self {
            metadata: metadata.map().cloned().unwrap_or_default(),
            name,
            namespace,
            sealed_for,
            data_keys: data_keys
                .into_iter()
                .filter_map(|(id, key)| Some((id, key?)))
                .collect(),
            values: values
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?)))
                .collect(),
            template,
        })
    }
}

fn sealed_for(spec: &Fields<'_>, problems: &mut Problems) -> Place {
    let Some(name) = required(spec, "scope", problems) else {
        return Place::new(Scope::Strict, "", "");
    };
    let scope = scope_from_name(name).unwrap_or_else(|| {
        problems.add(spec.path("scope"), Fault::NotAScope.into());
        Scope::Strict
    });
    let fields = spec.object("sealedFor", problems);
    fields.only(&["namespace", "name"], problems);
    let namespace = fields.string("namespace", problems).unwrap_or_default();
    let name = fields.string("name", problems).unwrap_or_default();
    if (!namespace.is_empty(), !name.is_empty()) != (scope != Scope::Cluster, scope == Scope::Strict) {
        problems.add(spec.path("sealedFor"), Fault::SealedForOther(scope).into());
    }
    if !namespace.is_empty() && !is_namespace(namespace) {
        problems.add(fields.path("namespace"), ParseProblem::BadNamespace);
    }
    if !name.is_empty() && !is_object_name(name) {
        problems.add(fields.path("name"), ParseProblem::BadName);
    }
    Place::new(scope, namespace, name)
}

/// The data keys; one that is not sound is kept as an id, so that its values are not called orphans.
fn data_keys(
    spec: &Fields<'_>,
    place: &Place,
    problems: &mut Problems,
) -> BTreeMap<DataKeyId, Option<SealedDataKey>> {
    let mut found = BTreeMap::new();
    for (at, item) in spec.list("dataKeys", limits::DATA_KEYS, problems) {
        let fields = Fields::of(at, Some(item), problems);
        fields.only(&["id", "recipients", "age"], problems);
        let Some(id) = required(&fields, "id", problems) else {
            continue;
        };
        let Some(id) = DataKeyId::parse(id) else {
            problems.add(fields.path("id"), Fault::NotADataKeyId.into());
            continue;
        };
        let key = data_key(&fields, place, &id, problems);
        if found.insert(id, key).is_some() {
            problems.add(fields.path("id"), Fault::DuplicateId.into());
        }
    }
    found
}

fn data_key(
    fields: &Fields<'_>,
    place: &Place,
    id: &DataKeyId,
    problems: &mut Problems,
) -> Option<SealedDataKey> {
    let recipients = recipients(fields, problems)?;
    let text = required(fields, "age", problems)?;
    let path = fields.path("age");
    if text.len() > base64_text::encoded_len(limits::AGE_FILE) {
        problems.add(path, Fault::TooLong(limits::AGE_FILE).into());
        return None;
    }
    let Some(file) = canonical_base64(text) else {
        problems.add(path, Fault::NotBase64.into());
        return None;
    };
    let payload = DataKey::payload_len(&header(place, id, &recipients));
    if let Err(err) = age_file::check(&file, recipients.len(), payload) {
        problems.add(path, Fault::AgeFile(err).into());
        return None;
    }
    Some(SealedDataKey { recipients, file })
}

fn recipients(fields: &Fields<'_>, problems: &mut Problems) -> Option<Vec<KeyId>> {
    let mut ids = Vec::new();
    let mut sound = true;
    let listed = fields.list("recipients", limits::RECIPIENTS, problems);
    if listed.is_empty() {
        if fields.get("recipients").is_none_or(Value::is_array) {
            problems.add(fields.path("recipients"), ParseProblem::Missing);
        }
        return None;
    }
    for (path, item) in listed {
        match item.as_str().unwrap_or_default().parse::<KeyId>() {
            Ok(id) => ids.push(id),
            Err(err) => {
                problems.add(path, Fault::NotAKeyId(err).into());
                sound = false;
            }
        }
    }
    if !ids.is_sorted_by(|a, b| a < b) {
        problems.add(fields.path("recipients"), Fault::Unsorted.into());
        sound = false;
    }
    sound.then_some(ids)
}

/// The values; one that is not sound is kept as a name, so that texts that refer to it are not called wrong.
fn values(
    spec: &Fields<'_>,
    data_keys: &BTreeMap<DataKeyId, Option<SealedDataKey>>,
    problems: &mut Problems,
) -> BTreeMap<String, Option<SealedValue>> {
    let fields = spec.object("values", problems);
    let mut found = BTreeMap::new();
    if fields.len() > limits::VALUES {
        problems.add(spec.path("values"), Fault::TooMany(limits::VALUES).into());
        return found;
    }
    for (key, text) in fields.strings(problems) {
        if !is_data_key(key) {
            // Not named: where indentation is lost, a line of a value becomes a key.
            problems.add(spec.path("values"), ParseProblem::BadKey);
            continue;
        }
        let path = fields.path(key);
        let value = match text.map(read_value) {
            Some(Ok(value)) => value,
            Some(Err(fault)) => {
                problems.add(path, fault.into());
                found.insert(key.to_owned(), None);
                continue;
            }
            None => {
                problems.add(path, ParseProblem::Missing);
                continue;
            }
        };
        if !data_keys.contains_key(&value.data_key) {
            problems.add(path, Fault::UnknownDataKey.into());
        }
        found.insert(key.to_owned(), Some(value));
    }
    found
}

/// Refuses what could become larger than a Secret, by the most that the padding lets each value have. Found out when the
/// values are open it would tell the exact length of one: whoever can write to the repository can add values of their own
/// until it no longer fits.
fn check_size(
    spec: &Fields<'_>,
    values: &BTreeMap<String, Option<SealedValue>>,
    template: &Template,
    problems: &mut Problems,
) {
    let most = |key: &str| match values.get(key) {
        Some(Some(value)) => value::most(value.bytes.len()),
        _ => 0,
    };
    let kept = values.keys().filter(|key| !template.omit.contains(*key));
    let kept = kept.fold(0_usize, |size, key| size.saturating_add(most(key)));
    // Values that are left out have to be opened too.
    let all = values
        .keys()
        .fold(0_usize, |size, key| size.saturating_add(most(key)));
    if all > limits::SECRET {
        problems.add(spec.path("values"), Fault::TooLong(limits::SECRET).into());
        return;
    }
    let mut size = kept;
    for (key, text) in &template.data {
        let text = Text::parse(text, |key| values.contains_key(key));
        size = size.saturating_add(text.map_or(0, |text| text.most(most)));
        if size > limits::SECRET {
            let path = format!("{}.{}", spec.path("template.data"), crate::Printable(key));
            problems.add(path, ParseProblem::TooLarge);
            return;
        }
    }
}

fn read_value(text: &str) -> Result<SealedValue, Fault> {
    if text.len() > 17 + base64_text::encoded_len(value::LARGEST) {
        return Err(Fault::TooLong(limits::SECRET));
    }
    let (id, sealed) = text.split_once('.').ok_or(Fault::NotAValue)?;
    let data_key = DataKeyId::parse(id).ok_or(Fault::NotAValue)?;
    let bytes = canonical_base64(sealed).ok_or(Fault::NotAValue)?;
    if !value::is_possible_len(bytes.len()) {
        return Err(Fault::NotAValue);
    }
    Ok(SealedValue { data_key, bytes })
}

/// Base64 in the one form that we write: every text stands for other bytes.
fn canonical_base64(text: &str) -> Option<Vec<u8>> {
    let bytes = base64_text::decode(text).ok()?.to_vec();
    (base64_text::encode(&bytes) == text).then_some(bytes)
}

fn required<'a>(fields: &Fields<'a>, name: &str, problems: &mut Problems) -> Option<&'a str> {
    if fields.is_present() && fields.get(name).is_none() {
        problems.add(fields.path(name), ParseProblem::Missing);
    }
    fields.string(name, problems)
}
