//! Which kinds the API server serves: aggregated discovery, read in two requests and indexed once.

use crate::error::ApiError;
use crate::key::{GroupKind, Key};
use crate::request::{Call, Identity, Server};
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                          application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// One served version of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// Group and kind, shared by every key of this kind.
    pub kind: Arc<GroupKind>,
    /// Version.
    pub version: Box<str>,
    /// The plural name that paths use.
    pub plural: Box<str>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether it can be listed and watched.
    pub watchable: bool,
}

/// Every kind that the API server serves.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Versions by kind, the server's preferred one first.
    kinds: HashMap<GroupKind, Vec<Arc<KindInfo>>>,
}

impl Catalog {
    /// Reads the API server's discovery documents.
    ///
    /// # Errors
    /// When either request fails or answers with something that is not aggregated discovery (Kubernetes before 1.27).
    pub async fn fetch(server: &Server) -> Result<Self, ApiError> {
        let mut catalog = Self::default();
        for path in ["/api", "/apis"] {
            let call = Call {
                accept: AGGREGATED,
                ..Call::get(path)
            };
            let answer = server.send(&Identity::Controller, call).await?;
            let groups: Groups = serde_json::from_slice(&answer.body).map_err(|_| {
                ApiError::unavailable(
                    "the API server does not offer aggregated discovery; Kubernetes 1.27 or later does",
                )
            })?;
            catalog.add(groups);
        }
        Ok(catalog)
    }

    /// The served version `version` of a kind.
    #[must_use]
    pub fn resolve(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<KindInfo>> {
        self.versions(group, kind)
            .iter()
            .find(|info| &*info.version == version)
    }

    /// The server's preferred version of a kind.
    #[must_use]
    pub fn preferred(&self, kind: &GroupKind) -> Option<&Arc<KindInfo>> {
        self.kinds.get(kind)?.first()
    }

    /// Every served version of a kind, the preferred one first.
    #[must_use]
    pub fn versions(&self, group: &str, kind: &str) -> &[Arc<KindInfo>] {
        self.kinds
            .get(&GroupKind::new(group, kind))
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Every kind in the server's preferred version, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<KindInfo>> {
        self.kinds.values().filter_map(|versions| versions.first())
    }

    fn add(&mut self, groups: Groups) {
        for group in groups.items {
            for version in group.versions {
                for resource in version.resources {
                    let Some(response) = resource.response_kind else {
                        continue;
                    };
                    let served_group = response
                        .group
                        .filter(|g| !g.is_empty())
                        .unwrap_or_else(|| group.metadata.name.clone());
                    let served_version = response
                        .version
                        .filter(|v| !v.is_empty())
                        .unwrap_or_else(|| version.version.clone());
                    if served_group != group.metadata.name || served_version != version.version {
                        continue; // a resource that answers with somebody else's kind cannot be applied
                    }
                    let kind = GroupKind::new(&served_group, &response.kind);
                    let versions = self.kinds.entry(kind.clone()).or_default();
                    let shared = versions
                        .first()
                        .map_or_else(|| Arc::new(kind), |info| Arc::clone(&info.kind));
                    let can = |verb: &str| resource.verbs.iter().any(|v| v == verb);
                    versions.push(Arc::new(KindInfo {
                        kind: shared,
                        version: served_version.into(),
                        plural: resource.plural.into(),
                        namespaced: resource.scope == "Namespaced",
                        watchable: can("list") && can("watch"),
                    }));
                }
            }
        }
    }
}

impl KindInfo {
    /// `v1` or `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.kind.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.kind.group, self.version)
        }
    }

    /// The path of all objects of the kind, in every namespace.
    #[must_use]
    pub fn collection(&self) -> String {
        format!("{}/{}", self.root(), self.plural)
    }

    /// The path of all objects of a namespace.
    #[must_use]
    pub fn collection_in(&self, namespace: &str) -> String {
        let mut path = self.root();
        path.push_str("/namespaces/");
        escape(&mut path, namespace);
        format!("{path}/{}", self.plural)
    }

    fn root(&self) -> String {
        if self.kind.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.kind.group, self.version)
        }
    }

    /// The path of one object.
    #[must_use]
    pub fn path(&self, key: &Key) -> String {
        let mut path = self.root();
        if let Some(namespace) = &key.namespace {
            path.push_str("/namespaces/");
            escape(&mut path, namespace);
        }
        path.push('/');
        path.push_str(&self.plural);
        path.push('/');
        escape(&mut path, &key.name);
        path
    }
}

/// Percent-encodes what RFC 3986 does not allow as is in a path segment.
pub(crate) fn escape(path: &mut String, segment: &str) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@!$'()*,;=".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
}

#[derive(Deserialize)]
struct Groups {
    #[serde(default)]
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: Name,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
struct Name {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    #[serde(rename = "resource")]
    plural: String,
    #[serde(default)]
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    verbs: Vec<String>,
}

#[derive(Deserialize)]
struct ResponseKind {
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    version: Option<String>,
    kind: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Catalog {
        let mut catalog = Catalog::default();
        let groups = serde_json::json!({"items": [
            {"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": [
                {"resource": "deployments", "responseKind": {"group": "apps", "version": "v1", "kind": "Deployment"},
                 "scope": "Namespaced", "verbs": ["get", "list", "watch", "patch"]}]}]},
            {"metadata": {"name": "x.io"}, "versions": [
                {"version": "v2", "resources": [{"resource": "toys", "responseKind": {"kind": "Toy"}, "scope": "Cluster", "verbs": []}]},
                {"version": "v1", "resources": [{"resource": "toys", "responseKind": {"kind": "Toy"}, "scope": "Cluster", "verbs": []},
                    {"resource": "odd"}]}]}]});
        catalog.add(serde_json::from_value(groups).unwrap());
        catalog
    }

    #[test]
    fn kinds_resolve_by_version_and_the_first_is_preferred() {
        let catalog = sample();
        assert!(catalog.resolve("apps", "v1", "Deployment").unwrap().namespaced);
        assert_eq!(catalog.resolve("apps", "v2", "Deployment"), None);
        assert_eq!(
            &*catalog.preferred(&GroupKind::new("x.io", "Toy")).unwrap().version,
            "v2"
        );
        assert_eq!(catalog.all().count(), 2);
        assert_eq!(
            catalog.resolve("x.io", "v1", "Toy").unwrap().api_version(),
            "x.io/v1"
        );
    }

    #[test]
    fn paths_are_escaped() {
        let catalog = sample();
        let info = catalog.preferred(&GroupKind::new("x.io", "Toy")).unwrap();
        let key = Key {
            kind: Arc::clone(&info.kind),
            namespace: None,
            name: "a:b%2f?c#d".into(),
        };
        assert_eq!(info.path(&key), "/apis/x.io/v2/toys/a:b%252f%3Fc%23d");
    }
}
