//! A controller that serves a certificate and a key set, both of which a test can change.

use super::keys::{CERTIFICATE, PRIVATE};
use super::sealed_yaml::{other_certificate, other_private_key};
use super::{ApiServer, Response, TestEnvironment, behind_service};
use sealing::keyset::{Audience, KeySetBuilder, Member};
use sealing::v2::Identity;
use sealing::{Certificate, PrivateKey, SealingKey};
use std::sync::{Arc, Mutex};

/// What is served: the certificate, and the key set if there is one.
pub(crate) type Served = Arc<Mutex<(String, Option<String>)>>;

/// Serves these, through the API server's service proxy.
pub(crate) fn serve_keys(env: &mut TestEnvironment, set: Option<String>) -> (ApiServer, Served) {
    let served = Arc::new(Mutex::new((CERTIFICATE.to_owned(), set)));
    let shown = Arc::clone(&served);
    let server = ApiServer::start(behind_service(move |request| {
        let (certificate, set) = shown.lock().unwrap().clone();
        match (request.path.rsplit('/').next(), set) {
            (Some("keys"), Some(set)) => Response::text(set),
            (Some("cert.pem"), _) => Response::text(certificate),
            _ => Response::error(404, "not found"),
        }
    }));
    env.use_cluster(&server);
    (server, served)
}

/// The key of `CERTIFICATE` (false), or the one that follows it (true).
pub(crate) fn rsa(other: bool) -> Member {
    let (key, certificate) = if other {
        (other_private_key(), other_certificate().0)
    } else {
        (PRIVATE.to_owned(), CERTIFICATE.to_owned())
    };
    let key = PrivateKey::from_pem(&key).unwrap();
    let pair = SealingKey::new(key, Certificate::from_pem(&certificate).unwrap()).unwrap();
    Member::rsa(
        &pair,
        "2026-01-01T00:00:00Z".to_owned(),
        "2096-01-01T00:00:00Z".to_owned(),
    )
    .unwrap()
}

/// A key of the native format.
pub(crate) fn native(key: &Identity) -> Member {
    Member::native(key, "2026-01-01T00:00:00Z".to_owned()).unwrap()
}

/// A signed set of these, oldest first, of this day of November 2025.
pub(crate) fn key_set(day: u8, members: impl IntoIterator<Item = Member>) -> String {
    let builder = KeySetBuilder::new(Audience::Cluster, format!("2025-11-{day:02}T00:00:00Z"));
    members.into_iter().fold(builder, KeySetBuilder::member).sign()
}
