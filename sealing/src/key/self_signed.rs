//! The self-signed certificate of a new sealing key, shaped as Bitnami's controller shapes it.

use super::{Certificate, CertificateError, PrivateKey};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyUsagePurpose, PKCS_RSA_SHA256,
    PublicKeyData, SerialNumber, SignatureAlgorithm, SigningKey,
};
use std::time::{Duration, SystemTime};

/// What goes into a self-signed certificate: subject and issuer alike, CA:TRUE, key usage encipherOnly, a random
/// serial number of 128 bits, signed with SHA256-RSA.
pub struct SelfSigned {
    not_before: SystemTime,
    valid_for: Duration,
    common_name: String,
}

impl SelfSigned {
    /// Bitnami's default for how long a certificate is valid: ten years of 365 days.
    pub const TEN_YEARS: Duration = Duration::from_hours(87_600);

    /// A certificate with an empty subject.
    #[must_use]
    pub fn new(not_before: SystemTime, valid_for: Duration) -> Self {
        Self {
            not_before,
            valid_for,
            common_name: String::new(),
        }
    }

    /// Sets the subject's common name (`--my-cn` of Bitnami's controller).
    #[must_use]
    pub fn common_name(mut self, name: impl Into<String>) -> Self {
        self.common_name = name.into();
        self
    }

    /// Signs it.
    pub fn sign(&self, key: &PrivateKey) -> Result<Certificate, CertificateError> {
        let signer = Signer::new(key).ok_or(CertificateError::Unavailable)?;
        let not_after = self
            .not_before
            .checked_add(self.valid_for)
            .ok_or(CertificateError::Unavailable)?;
        let mut serial = [0; 16];
        rand::fill(&mut serial).map_err(|_| CertificateError::Unavailable)?;

        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        if !self.common_name.is_empty() {
            params
                .distinguished_name
                .push(DnType::CommonName, self.common_name.as_str());
        }
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.not_before = self.not_before.into();
        params.not_after = not_after.into();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::EncipherOnly];
        let signed = params
            .self_signed(&signer)
            .map_err(|_| CertificateError::Unavailable)?;
        Certificate::from_der(signed.der())
    }
}

/// Signs for rcgen with our key, so that rcgen never keeps a copy of the private key.
struct Signer(RsaKeyPair);

impl Signer {
    fn new(key: &PrivateKey) -> Option<Self> {
        RsaKeyPair::from_pkcs8(key.to_pkcs8()?.as_ref()).ok().map(Self)
    }
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

impl SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(signature)
    }
}
