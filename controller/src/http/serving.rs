//! Keeps the API listener's certificate: in a Secret of the controller's namespace, and published in a ConfigMap there, so that
//! `signet` can tell the controller from somebody else. Replicas share it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crds::listener::{CERTIFICATE, CERTIFICATE_FIELD, server_name};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tracing::{info, warn};

use super::certificate::{Pair, Served, Unfit};
use crate::request::{RequestError, bounded};

/// How often it is looked whether another replica has renewed it, or somebody removed it.
const LOOK: Duration = Duration::from_hours(6);
/// After a failure, a standby that may not write among them; twice as long each time.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Who wrote the ConfigMap.
const MANAGER: &str = "signet-controller";
/// Replicas that start at once find each other's in the second attempt.
const ATTEMPTS: usize = 3;

/// The certificate in use. Cheap to clone.
#[derive(Clone, Default)]
pub struct Serving(Arc<Mutex<Option<Arc<CertifiedKey>>>>);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Request(#[from] RequestError),
    #[error("{0}")]
    Unfit(#[from] Unfit),
    #[error("another writes it at the same time")]
    Contended,
}

impl Serving {
    /// TLS with this certificate. Before there is one, nobody gets an answer.
    pub fn tls(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Makes, takes over and renews it, for ever.
    pub async fn keep(self, client: Client, namespace: String) {
        let (name, mut pause, mut said) = (server_name(&namespace), RETRY.0, None);
        let (secrets, maps) = (
            Api::namespaced(client.clone(), &namespace),
            Api::namespaced(client, &namespace),
        );
        loop {
            let wait = match self.ensure(&secrets, &maps, &name).await {
                Ok(renewed_at) => {
                    (pause, said) = (RETRY.0, None);
                    let left = renewed_at.duration_since(SystemTime::now());
                    left.unwrap_or_default().clamp(RETRY.0, LOOK)
                }
                Err(failure) => {
                    if said.as_ref() != Some(&failure) {
                        warn!(%failure, "the API listener's certificate cannot be kept; it is tried again");
                        said = Some(failure);
                    }
                    let wait = pause;
                    pause = (pause * 2).min(RETRY.1);
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Serves what is stored, and stores another one first where that is due. When the next is.
    async fn ensure(
        &self,
        secrets: &Api<Secret>,
        maps: &Api<ConfigMap>,
        name: &str,
    ) -> Result<SystemTime, Failure> {
        let served = stored(secrets, name).await?;
        // Whoever reads the ConfigMap has to find what is served.
        publish(maps, &served.certificate).await?;
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(served.certified));
        Ok(served.renewed_at)
    }
}

async fn stored(secrets: &Api<Secret>, name: &str) -> Result<Served, Failure> {
    for _ in 0..ATTEMPTS {
        let found = bounded(secrets.get_opt(CERTIFICATE)).await?;
        let now = SystemTime::now();
        let fit = found
            .as_ref()
            .map(|secret| Pair::of(secret).and_then(|pair| pair.served(name)));
        match fit {
            Some(Ok(served)) if served.renewed_at > now => return Ok(served),
            Some(Err(why)) => {
                warn!(secret = CERTIFICATE, %why, "the API listener's certificate is made anew");
            }
            _ => {}
        }
        let pair = Pair::make(name, now)?;
        let version = found.and_then(|secret| secret.metadata.resource_version);
        let secret = secret(&pair, version.clone());
        let written = match version {
            None => bounded(secrets.create(&PostParams::default(), &secret)).await,
            // Only over what was read.
            Some(_) => bounded(secrets.replace(CERTIFICATE, &PostParams::default(), &secret)).await,
        };
        match written {
            Ok(_) => {
                info!(secret = CERTIFICATE, "the API listener has a new certificate");
                return Ok(pair.served(name)?);
            }
            Err(error) if error.is_conflict() || error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Contended)
}

fn secret(pair: &Pair, resource_version: Option<String>) -> Secret {
    let data = [
        ("tls.crt", pair.certificate.as_bytes()),
        ("tls.key", pair.key.as_bytes()),
    ];
    Secret {
        metadata: ObjectMeta {
            name: Some(CERTIFICATE.into()),
            resource_version,
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".into()),
        data: Some(
            data.map(|(name, bytes)| (name.to_owned(), ByteString(bytes.to_vec())))
                .into(),
        ),
        ..Secret::default()
    }
}

async fn publish(maps: &Api<ConfigMap>, certificate: &str) -> Result<(), Failure> {
    let there = bounded(maps.get_opt(CERTIFICATE)).await?;
    let published = there
        .as_ref()
        .and_then(|map| map.data.as_ref()?.get(CERTIFICATE_FIELD));
    if published.map(String::as_str) == Some(certificate) {
        return Ok(());
    }
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(CERTIFICATE.into()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(
            CERTIFICATE_FIELD.to_owned(),
            certificate.to_owned(),
        )])),
        ..ConfigMap::default()
    };
    bounded(maps.patch(
        CERTIFICATE,
        &PatchParams::apply(MANAGER).force(),
        &Patch::Apply(&map),
    ))
    .await?;
    Ok(())
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serving(..)")
    }
}
