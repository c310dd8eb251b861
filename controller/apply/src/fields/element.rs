//! The keys of `fieldsV1`: `f:name`, `k:{"name":"x"}`, `v:"x"`, `i:0`.

use super::step::Step;
use serde_json::{Map, Value};

impl Step {
    /// Reads a key of `fieldsV1`. None where its sort is not known, as the API server drops those too, or its content does
    /// not parse.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let (sort, text) = key.split_once(':')?;
        match sort {
            "f" => Some(Self::Field(text.to_owned())),
            "k" => {
                let keys: Map<String, Value> = serde_json::from_str(text).ok()?;
                Some(Self::Keys(keys.into_iter().collect()))
            }
            "v" => serde_json::from_str(text).ok().map(Self::Value),
            "i" => text.parse().ok().map(Self::Index),
            _ => None,
        }
    }

    /// The key of `fieldsV1` for this step. It holds list keys and set elements as they are: not for people.
    #[must_use]
    pub fn to_key(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Keys(keys) => {
                let keys: Map<String, Value> = keys.clone().into_iter().collect();
                format!("k:{}", Value::Object(keys))
            }
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }
}
