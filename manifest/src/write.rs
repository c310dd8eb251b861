//! Values to YAML text that people read and that reads back as the same values.
//!
//! The form is the one kubectl prints: two spaces, list items under their key without indentation. Keys are sorted,
//! but those that say what an object is come first.

pub(crate) mod scalar;

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::text::is_plain;

/// Writes values as a YAML stream, documents separated by `---`, with a line end after the last. No value is no text.
///
/// For every value, reading gives it back, with integral floats as integers (see [`crate::read_document`]); a value
/// that is null at the top is a document that readers of streams leave out. Strings are quoted wherever go-yaml, or a reader of YAML
/// 1.2, would take them for something else. Strings of several lines are block literals where that is safe.
/// Characters that a terminal would obey are escaped.
pub fn write_yaml(values: &[Value]) -> String {
    let mut out = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        match value {
            Value::Object(fields) if !fields.is_empty() => mapping(&mut out, fields, 0, Level::Object, false),
            Value::Array(items) if !items.is_empty() => sequence(&mut out, items, 0, Level::Other),
            _ => {
                scalar::write(&mut out, value, 2);
                out.push('\n');
            }
        }
    }
    out
}

/// What stands behind a key at `indent` and its colon, without the last line end. With `lines`, a string may become a block literal.
pub(crate) fn after_colon(new: &Value, indent: usize, lines: bool) -> String {
    let mut out = String::new();
    match new {
        Value::String(text) if !lines => {
            out.push(' ');
            scalar::write_line(&mut out, text);
        }
        _ => {
            value(&mut out, new, indent, Level::Other);
            out.pop();
        }
    }
    out
}

/// A value as JSON that YAML readers read too: with escapes for what only JSON allows inside quotes.
pub(crate) fn json(new: &Value) -> String {
    let mut out = String::new();
    for char in new.to_string().chars() {
        if is_plain(char) || u32::from(char) > 0xFFFF {
            out.push(char);
        } else {
            // Outside of strings, JSON has no such characters.
            let _ = write!(out, "\\u{:04x}", u32::from(char));
        }
    }
    out
}

/// A value on one line, as it can stand inside brackets.
pub(crate) fn flow(out: &mut String, new: &Value) {
    match new {
        Value::Object(fields) => {
            out.push('{');
            for (index, (key, value)) in fields.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                scalar::quoted(out, key);
                out.push_str(": ");
                flow(out, value);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, value) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                flow(out, value);
            }
            out.push(']');
        }
        Value::String(text) => scalar::quoted(out, text),
        other => scalar::write(out, other, 0),
    }
}

/// What a mapping is, as far as the order of its keys goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// It may be a Kubernetes object.
    Object,
    /// It is an object's `metadata`.
    Metadata,
    Other,
}

impl Level {
    fn first_keys(self) -> &'static [&'static str] {
        match self {
            Self::Object => &["apiVersion", "kind", "metadata", "spec"],
            Self::Metadata => &["name", "namespace"],
            Self::Other => &[],
        }
    }

    fn inside(self, key: &str) -> Self {
        match (self, key) {
            (Self::Object, "metadata") => Self::Metadata,
            (Self::Object, "items") => Self::Object,
            _ => Self::Other,
        }
    }
}

/// Writes entries, one or more, at `indent`. `begun` says that the first line is indented already, after a `- `.
fn mapping(out: &mut String, fields: &Map<String, Value>, indent: usize, level: Level, mut begun: bool) {
    // Only what says what it is has a first key.
    let level = if level == Level::Object && !fields.contains_key("kind") {
        Level::Other
    } else {
        level
    };
    let first = level.first_keys();
    let mut keys: Vec<&String> = fields.keys().collect();
    keys.sort_by_key(|key| {
        (
            first.iter().position(|first| first == key).unwrap_or(first.len()),
            *key,
        )
    });
    for key in keys {
        if !std::mem::take(&mut begun) {
            pad(out, indent);
        }
        let explicit = scalar::write_key(out, key);
        if explicit {
            out.push('\n');
            pad(out, indent);
        }
        out.push(':');
        value(out, &fields[key], indent, level.inside(key));
    }
}

/// Writes what follows a key's colon, its line end included.
fn value(out: &mut String, value: &Value, indent: usize, level: Level) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            mapping(out, fields, indent + 2, level, false);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            sequence(out, items, indent, level);
        }
        _ => {
            out.push(' ');
            scalar::write(out, value, indent + 2);
            out.push('\n');
        }
    }
}

fn sequence(out: &mut String, items: &[Value], indent: usize, level: Level) {
    for (index, item) in items.iter().enumerate() {
        pad(out, indent);
        entry(out, item, indent, level);
        debug_assert!(out.ends_with('\n'), "item {index} ends its line");
    }
}

/// Writes `- ` and an item, its line end included.
fn entry(out: &mut String, item: &Value, indent: usize, level: Level) {
    out.push_str("- ");
    match item {
        Value::Object(fields) if !fields.is_empty() => mapping(out, fields, indent + 2, level, true),
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    pad(out, indent + 2);
                }
                entry(out, item, indent + 2, Level::Other);
            }
        }
        _ => {
            scalar::write(out, item, indent + 2);
            out.push('\n');
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_looks_as_kubectl_prints_it() {
        let object = json!({
            "spec": {"ports": [{"port": 80, "name": "http"}, {"port": 443}], "args": [["a", "b"], []], "selector": {}},
            "kind": "Service",
            "apiVersion": "v1",
            "data": {"on": "yes", "text": "one\ntwo\n", "mode": "0644", "empty": "", "none": null},
            "metadata": {"labels": {"app": "web"}, "namespace": "shop", "annotations": {"a": "b"}, "name": "web"},
        });
        let expected = r#"apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  annotations:
    a: b
  labels:
    app: web
spec:
  args:
  - - a
    - b
  - []
  ports:
  - name: http
    port: 80
  - port: 443
  selector: {}
data:
  empty: ""
  mode: "0644"
  none: null
  "on": "yes"
  text: |
    one
    two
"#;
        assert_eq!(write_yaml(std::slice::from_ref(&object)), expected);
        assert_eq!(
            crate::read_document(expected.as_bytes(), &crate::Limits::default()),
            Ok(object)
        );
    }

    #[test]
    fn documents_are_separated() {
        assert_eq!(write_yaml(&[]), "");
        assert_eq!(
            write_yaml(&[json!({"a": 1}), json!([1]), json!("x")]),
            "a: 1\n---\n- 1\n---\nx\n"
        );
    }

    #[test]
    fn the_objects_of_a_list_are_ordered_too() {
        let list = json!({"kind": "List", "apiVersion": "v1", "items": [
            {"metadata": {"name": "a"}, "kind": "ConfigMap", "data": {}, "apiVersion": "v1"}]});
        assert_eq!(
            write_yaml(&[list]),
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: a\n  data: {}\n"
        );
    }
}
