//! The values of a ConfigMap or Secret: the only request that reads a Secret's values, made for variables of a Sync.

use crate::catalog::escape;
use crate::error::{ApiError, ErrorKind};
use crate::request::{Call, Identity, Server};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use zeroize::{Zeroize, Zeroizing};

/// Which kind values are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValuesOf {
    /// A ConfigMap's `data`; its `binaryData` is left out.
    ConfigMap,
    /// A Secret's `data`, decoded from base64.
    Secret,
}

/// The values of one object, wiped when they are dropped. They cannot be printed.
pub struct Values {
    /// The object's resource version.
    pub version: Box<str>,
    /// Keys and values, by key.
    pub data: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

impl Server {
    /// Reads the values of a ConfigMap or Secret in plain text, or none where it does not exist. What the answer was read
    /// from is wiped.
    ///
    /// # Errors
    /// As the server answers, but for "not found".
    pub async fn values_in_plain_text(
        &self,
        identity: &Identity,
        of: ValuesOf,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Values>, ApiError> {
        let mut path = String::from("/api/v1/namespaces/");
        escape(&mut path, namespace);
        path.push_str(match of {
            ValuesOf::ConfigMap => "/configmaps/",
            ValuesOf::Secret => "/secrets/",
        });
        escape(&mut path, name);
        match self.send(identity, Call::get(&path)).await {
            Ok(answer) => {
                let body = Zeroizing::new(answer.body);
                let unreadable = || ApiError::unavailable("the API server's answer cannot be read");
                read(&body, of).map(Some).ok_or_else(unreadable)
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[derive(Deserialize)]
struct Stored {
    metadata: StoredMeta,
    data: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredMeta {
    resource_version: Box<str>,
}

fn read(body: &[u8], of: ValuesOf) -> Option<Values> {
    let stored: Stored = serde_json::from_slice(body).ok()?;
    let mut data = BTreeMap::new();
    let mut whole = true;
    for (key, mut text) in stored.data.unwrap_or_default() {
        let bytes = match of {
            ValuesOf::ConfigMap => Some(std::mem::take(&mut text).into_bytes()),
            ValuesOf::Secret => BASE64_STANDARD.decode(&text).ok(),
        };
        text.zeroize();
        whole &= bytes.is_some();
        data.insert(key, Zeroizing::new(bytes.unwrap_or_default()));
    }
    let version = stored.metadata.resource_version;
    whole.then_some(Values { version, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(body: &str, of: ValuesOf) -> Option<Vec<(String, Vec<u8>)>> {
        let read = read(body.as_bytes(), of)?;
        assert_eq!(&*read.version, "7");
        Some(
            read.data
                .into_iter()
                .map(|(key, value)| (key, value.to_vec()))
                .collect(),
        )
    }

    #[test]
    fn both_kinds_are_read_and_binary_data_is_not() {
        let map = r#"{"metadata":{"resourceVersion":"7"},"data":{"a":"x"},"binaryData":{"b":"eA=="}}"#;
        assert_eq!(
            values(map, ValuesOf::ConfigMap),
            Some(vec![("a".into(), b"x".to_vec())])
        );
        let secret = r#"{"metadata":{"resourceVersion":"7"},"data":{"a":"eA==","b":"//8="}}"#;
        let wanted = vec![("a".into(), b"x".to_vec()), ("b".into(), vec![0xff, 0xff])];
        assert_eq!(values(secret, ValuesOf::Secret), Some(wanted));
        let empty = r#"{"metadata":{"resourceVersion":"7"}}"#;
        assert_eq!(values(empty, ValuesOf::Secret), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_such_object_is_not_read() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"metadata":{"resourceVersion":"7"},"data":{"a":"no base64"}}"#,
            r#"{"metadata":{"resourceVersion":"7"},"data":{"a":1}}"#,
        ] {
            assert_eq!(values(body, ValuesOf::Secret), None, "{body}");
        }
    }
}
