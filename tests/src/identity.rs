//! A kubeconfig for a service account, so that what is tested has exactly the rights that are installed.

use std::fs;
use std::path::Path;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use crate::Cluster;

/// How long the token lives: longer than any test or demo.
const LIFE: i64 = 24 * 3600;

/// A road to the API server other than the direct one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Way<'a> {
    /// Another address: a proxy.
    pub(crate) server: Option<&'a str>,
    /// Another certificate authority, in a file: a proxy that ends TLS.
    pub(crate) authority: Option<&'a Path>,
}

/// Writes a kubeconfig with a fresh token of the service account.
pub(crate) async fn write_kubeconfig(
    cluster: &Cluster,
    namespace: &str,
    account: &str,
    way: Way<'_>,
    file: &Path,
) {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(LIFE),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let token = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .unwrap_or_else(|error| panic!("no token for {namespace}/{account}: {error}"))
        .status
        .expect("an answer has a status")
        .token;
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": account,
        "clusters": [{"name": "local", "cluster": {
            "server": way.server.unwrap_or(cluster.server()),
            "certificate-authority": way.authority.unwrap_or(cluster.ca_file()),
        }}],
        "users": [{"name": account, "user": {"token": token}}],
        "contexts": [{"name": account, "context": {
            "cluster": "local", "user": account, "namespace": namespace,
        }}],
    });
    // JSON is YAML.
    fs::write(file, config.to_string()).expect("the kubeconfig can be written");
}
