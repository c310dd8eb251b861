//! Reads an object that may be anything: what is missing or of another type is absent.

use serde_json::Value;

/// One object and its identity.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a> {
    value: &'a Value,
    group: &'a str,
    kind: &'a str,
}

/// One entry of a list of conditions (`metav1.Condition` and its forerunners).
#[derive(Clone, Copy)]
pub(crate) struct Condition<'a> {
    pub(crate) name: &'a str,
    pub(crate) status: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
    /// Cluster API's, the only one that has it.
    pub(crate) severity: &'a str,
    pub(crate) observed: Option<i64>,
}

impl<'a> Object<'a> {
    pub(crate) fn new(value: &'a Value) -> Self {
        let version = text(value, "apiVersion");
        let group = version.split_once('/').map_or("", |(group, _)| group);
        Self {
            value,
            group,
            kind: text(value, "kind"),
        }
    }

    /// The API group; empty for the core group.
    pub(crate) fn group(&self) -> &'a str {
        self.group
    }

    pub(crate) fn kind(&self) -> &'a str {
        self.kind
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// The value at a path of field names with dots between.
    pub(crate) fn at(&self, path: &str) -> Option<&'a Value> {
        at(self.value, path)
    }

    /// The string at a path; empty when there is none.
    pub(crate) fn text(&self, path: &str) -> &'a str {
        text(self.value, path)
    }

    pub(crate) fn int(&self, path: &str) -> Option<i64> {
        int(self.value, path)
    }

    /// A count: a number of things, absent when none.
    pub(crate) fn count(&self, path: &str) -> i64 {
        self.int(path).unwrap_or(0)
    }

    pub(crate) fn flag(&self, path: &str) -> bool {
        self.at(path).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The list at a path; empty when there is none.
    pub(crate) fn list(&self, path: &str) -> &'a [Value] {
        list(self.value, path)
    }
    /// `metadata.annotations[key]`, whose key may have dots.
    pub(crate) fn annotation(&self, key: &str) -> &'a str {
        self.at("metadata.annotations")
            .and_then(|all| all.get(key))
            .and_then(Value::as_str)
            .unwrap_or("")
    }

    /// `status.conditions`.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = Condition<'a>> + use<'a> {
        conditions(self.value, "status.conditions")
    }

    /// The first condition of that type.
    pub(crate) fn condition(&self, name: &str) -> Option<Condition<'a>> {
        self.conditions().find(|c| c.name == name)
    }
}

impl Condition<'_> {
    pub(crate) fn is_true(&self) -> bool {
        self.status == "True"
    }

    pub(crate) fn is_false(&self) -> bool {
        self.status == "False"
    }

    /// The condition's reason, or its type.
    pub(crate) fn reason(&self) -> &str {
        if self.reason.is_empty() {
            self.name
        } else {
            self.reason
        }
    }

    /// The condition's message, or a sentence that says its status.
    pub(crate) fn say(&self) -> String {
        if self.message.is_empty() {
            format!("Condition {} is {}.", self.name, self.status)
        } else {
            self.message.into()
        }
    }
}

pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, field| value.get(field))
}

pub(crate) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or("")
}

pub(crate) fn int(value: &Value, path: &str) -> Option<i64> {
    at(value, path)?.as_i64()
}

pub(crate) fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The conditions of a list at a path; what has no type is none.
pub(crate) fn conditions<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = Condition<'a>> + use<'a> {
    list(value, path)
        .iter()
        .map(|c| Condition {
            name: text(c, "type"),
            status: text(c, "status"),
            reason: text(c, "reason"),
            message: text(c, "message"),
            severity: text(c, "severity"),
            observed: int(c, "observedGeneration"),
        })
        .filter(|c| !c.name.is_empty())
}

/// `text`, or something to say where there is none.
pub(crate) fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}
