//! The certificate that carries a sealing key's public half.

use super::{Fingerprint, PublicKey, public::NotUsable};
use std::time::{Duration, SystemTime};
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

/// A certificate that values can be sealed for.
///
/// It is a container for a public key and its dates. Nobody checks its signature, neither here nor in `kubeseal`:
/// that it is the right one has to come from where it was fetched.
pub struct Certificate {
    pem: String,
    public: PublicKey,
    not_before: SystemTime,
    not_after: SystemTime,
    not_after_text: String,
}

/// Why a certificate is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Nothing in PEM was found.
    #[error("no PEM block `CERTIFICATE` in it")]
    NoPem,
    /// Somebody gave the public key itself.
    #[error("it is a bare public key; a certificate is needed, because the key's dates stand there")]
    BarePublicKey,
    /// Somebody gave the private key.
    #[error("it is a private key; a certificate is needed, and the private key should not leave the cluster")]
    PrivateKey,
    /// The block does not parse as X.509.
    #[error("the certificate is damaged")]
    Damaged,
    /// The certificate is for another kind of key.
    #[error("the certificate's key is not an RSA key")]
    NotRsa,
    /// The key is too small or too large.
    #[error("the certificate's RSA key is not one of 2048 to 8192 bits")]
    KeySize,
    /// It must not be used for sealing any more.
    #[error("the certificate expired on {0}")]
    Expired(String),
    /// A new certificate could not be made.
    #[error("the certificate could not be made")]
    Unavailable,
}

impl Certificate {
    /// Reads the first certificate of a PEM text and ignores what follows, as upstream does.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let blocks = pem::parse_many(text).map_err(|_| CertificateError::NoPem)?;
        match blocks.iter().find(|block| block.tag() == "CERTIFICATE") {
            Some(block) => Self::from_der(block.contents()),
            None if blocks.iter().any(|block| block.tag().ends_with("PRIVATE KEY")) => {
                Err(CertificateError::PrivateKey)
            }
            None if blocks.iter().any(|block| block.tag().ends_with("PUBLIC KEY")) => {
                Err(CertificateError::BarePublicKey)
            }
            None => Err(CertificateError::NoPem),
        }
    }

    /// Reads a certificate in DER.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (_, parsed) = parse_x509_certificate(der).map_err(|_| CertificateError::Damaged)?;
        let public = PublicKey::from_spki(parsed.public_key().raw).map_err(|err| match err {
            NotUsable::NotRsa => CertificateError::NotRsa,
            NotUsable::Rejected => CertificateError::KeySize,
        })?;
        let validity = parsed.validity();
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        Ok(Self {
            pem: pem::encode_config(&pem::Pem::new("CERTIFICATE", der), config),
            public,
            not_before: system_time(&validity.not_before).ok_or(CertificateError::Damaged)?,
            not_after: system_time(&validity.not_after).ok_or(CertificateError::Damaged)?,
            not_after_text: validity.not_after.to_string(),
        })
    }

    /// The public key, for sealing at this time. An expired certificate does not give it; one whose time has not come
    /// yet does, as in `kubeseal`.
    pub fn public_key_at(&self, now: SystemTime) -> Result<&PublicKey, CertificateError> {
        if now > self.not_after {
            return Err(CertificateError::Expired(self.not_after_text.clone()));
        }
        Ok(&self.public)
    }

    /// The certificate as one PEM block.
    #[must_use]
    pub fn to_pem(&self) -> &str {
        &self.pem
    }

    /// The name of its key.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        self.public.fingerprint()
    }

    /// The size of its key in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.public.bits()
    }

    /// When it begins to be valid. The newest one is sealed for.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// When it stops to be valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

fn system_time(time: &ASN1Time) -> Option<SystemTime> {
    let seconds = time.timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}
