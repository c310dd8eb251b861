//! Whom to trust: the platform's certificate authorities, and the remote's own beside them.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, RootCertStore};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};

use crate::{ClientCertificate, SourceError};

/// The TLS settings for one remote.
pub(super) fn config(
    ca_pem: Option<&str>,
    client: Option<&ClientCertificate>,
) -> Result<TlsConfig, SourceError> {
    // The provider is named here and not taken from the process's default, which others may set.
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let provider = PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let roots = match ca_pem {
        None => RootCerts::Specific(platform()),
        Some(pem) => {
            let mut roots = platform().to_vec();
            roots.extend(bundle(pem)?);
            RootCerts::Specific(Arc::new(roots))
        }
    };
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::clone(provider))
        .root_certs(roots)
        .client_cert(client.map(|client| identity(client, provider)).transpose()?)
        .build())
}

/// What this side shows of itself. A key of another certificate is found here, and not by a server's refusal.
fn identity(client: &ClientCertificate, provider: &CryptoProvider) -> Result<ClientCert, SourceError> {
    let bad = SourceError::BadClientCertificate;
    let chain = bundle(&client.chain_pem).map_err(|_| bad("it is not PEM"))?;
    let key = PrivateKey::from_pem(client.key_pem.as_bytes()).map_err(|_| bad("its key is not PEM"))?;
    let owned = |certificate: &Certificate<'static>| CertificateDer::from(certificate.der().to_vec());
    let der =
        PrivateKeyDer::from_pem_slice(client.key_pem.as_bytes()).map_err(|_| bad("its key is not PEM"))?;
    CertifiedKey::from_der(chain.iter().map(owned).collect(), der, provider)
        .map_err(|_| bad("its key is another one's, or of a kind that is not used here"))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

/// The platform's authorities, read once: a new bundle on disk comes with a new container.
fn platform() -> Arc<Vec<Certificate<'static>>> {
    static ROOTS: OnceLock<Arc<Vec<Certificate<'static>>>> = OnceLock::new();
    let load = || {
        let loaded = rustls_native_certs::load_native_certs();
        if !loaded.errors.is_empty() {
            tracing::warn!(
                errors = loaded.errors.len(),
                "some platform certificates cannot be read"
            );
        }
        let owned = |der: &CertificateDer<'_>| Certificate::from_der(der).to_owned();
        Arc::new(loaded.certs.iter().map(owned).collect())
    };
    Arc::clone(ROOTS.get_or_init(load))
}

/// All certificates of a PEM bundle; at least one, each of them readable.
fn bundle(pem: &str) -> Result<Vec<Certificate<'static>>, SourceError> {
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(pem.as_bytes()) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| SourceError::BadCertificates)? {
            // ureq drops unreadable ones silently; a typing error must not go unnoticed.
            RootCertStore::empty()
                .add(CertificateDer::from(certificate.der()))
                .map_err(|_| SourceError::BadCertificates)?;
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        Err(SourceError::BadCertificates)
    } else {
        Ok(certificates)
    }
}

/// A TLS failure in words for whoever has to repair it.
pub(super) fn explain(error: &rustls::Error) -> SourceError {
    let words = match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            CertificateError::UnknownIssuer => "the server's certificate is from an unknown authority",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the server's certificate is for another name"
            }
            CertificateError::Revoked => "the server's certificate is revoked",
            _ => "the server's certificate is not acceptable",
        },
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a client certificate"
        }
        rustls::Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError,
        ) => "the server does not accept the client certificate",
        rustls::Error::AlertReceived(_) => "the server ended the handshake",
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS here",
        rustls::Error::PeerIncompatible(_) => "the server offers no acceptable TLS version or cipher",
        _ => "the handshake failed",
    };
    SourceError::Tls(words.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_without_certificates_are_refused() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "hello", broken] {
            assert!(
                matches!(config(Some(pem), None), Err(SourceError::BadCertificates)),
                "{pem}"
            );
        }
    }
}
