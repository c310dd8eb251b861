//! What the controller and `signet` agree on about the listener that asks who is there.

/// The audience of the tokens that it takes. A token for it is good for nothing else, the API server included.
pub const AUDIENCE: &str = "signet.dev";
/// Where a token can stand besides `Authorization: Bearer`, which the API server's service proxy takes away.
pub const TOKEN_HEADER: &str = "signet-token";
/// The ConfigMap in the controller's namespace that publishes the listener's certificate, in PEM.
pub const CERTIFICATE: &str = "signet-api-certificate";
/// The field in it.
pub const CERTIFICATE_FIELD: &str = "ca.crt";
/// Its Service is named as the controller's, with this behind.
pub const SERVICE_SUFFIX: &str = "-api";
/// The name of the Service's port.
pub const PORT: &str = "https";
/// The service account whose tokens people ask for, where they name no other.
pub const ACCOUNT: &str = "signet-client";

/// The name in its certificate, whatever address it is reached by.
#[must_use]
pub fn server_name(namespace: &str) -> String {
    format!("signet-api.{namespace}.svc")
}
