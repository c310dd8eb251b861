//! The certificate of the API listener: self-signed, for one name, and good for a season.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Secret;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

/// How long one is good.
const LIFE: Duration = Duration::from_hours(90 * 24);
/// With so much left, another is made.
const RENEWED: Duration = Duration::from_hours(30 * 24);
/// Clocks differ.
const BEFORE: Duration = Duration::from_hours(1);
/// Larger than any that is made here.
const LARGEST: usize = 16 << 10;

/// A certificate with its key, both in PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: Zeroizing<String>,
}

/// What TLS answers with, and until when.
pub(super) struct Served {
    pub(super) certified: CertifiedKey,
    pub(super) certificate: String,
    pub(super) renewed_at: SystemTime,
}

/// The certificate could not be made, or is none that can be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unfit(&'static str);

impl Pair {
    /// A new one, for this name.
    pub(super) fn make(name: &str, now: SystemTime) -> Result<Self, Unfit> {
        let failed = |_| Unfit("no certificate could be made");
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new([name.to_owned()]).map_err(failed)?;
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = (now - BEFORE).into();
        params.not_after = (now + LIFE).into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Ok(Self {
            certificate: params.self_signed(&key).map_err(failed)?.pem(),
            key: Zeroizing::new(key.serialize_pem()),
        })
    }

    /// What a Secret holds.
    pub(super) fn of(secret: &Secret) -> Result<Self, Unfit> {
        let field = |name: &str| {
            let bytes = &secret.data.as_ref()?.get(name)?.0;
            std::str::from_utf8(bytes)
                .ok()
                .filter(|text| text.len() <= LARGEST)
        };
        let missing = Unfit("it has no tls.crt and tls.key");
        Ok(Self {
            certificate: field("tls.crt").ok_or(missing.clone())?.to_owned(),
            key: Zeroizing::new(field("tls.key").ok_or(missing)?.to_owned()),
        })
    }

    /// Checks that it can be served: a pair, for this name.
    pub(super) fn served(&self, name: &str) -> Result<Served, Unfit> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|_| Unfit("its tls.crt is no certificate"))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(self.key.as_bytes())
            .map_err(|_| Unfit("its tls.key is no private key"))?;
        let (_, parsed) =
            X509Certificate::from_der(&certificate).map_err(|_| Unfit("its tls.crt is no certificate"))?;
        let names = parsed.subject_alternative_name().ok().flatten();
        let named = names.is_some_and(|names| {
            let mut all = names.value.general_names.iter();
            all.any(|one| matches!(one, x509_parser::extensions::GeneralName::DNSName(dns) if *dns == name))
        });
        if !named {
            return Err(Unfit("its tls.crt is for another name"));
        }
        let until = u64::try_from(parsed.validity().not_after.timestamp())
            .map_err(|_| Unfit("its tls.crt is out of time"))?;
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(until.min(u64::from(u32::MAX)));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified =
            CertifiedKey::from_der(vec![certificate.clone()], PrivateKeyDer::Pkcs8(key), &provider)
                .map_err(|_| Unfit("its tls.crt and tls.key are of two different pairs"))?;
        Ok(Served {
            certified,
            certificate: self.certificate.clone(),
            renewed_at: until - RENEWED,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::test_secret;

    const NAME: &str = "signet-api.signet-system.svc";

    #[test]
    fn one_is_served_under_its_name_until_a_month_before_its_end() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let made = Pair::make(NAME, now).unwrap();
        let secret = test_secret(&[("tls.crt", &made.certificate), ("tls.key", &made.key)]);
        let read = Pair::of(&secret).unwrap();
        let served = read.served(NAME).unwrap();
        assert_eq!(served.renewed_at, now + Duration::from_hours(60 * 24));
        assert_eq!(served.certificate, made.certificate);
        let why = |pair: &Pair, name: &str| pair.served(name).err().unwrap().to_string();
        assert_eq!(
            why(&read, "signet-api.other.svc"),
            "its tls.crt is for another name"
        );
        let other = Pair::make(NAME, now).unwrap();
        let mixed = Pair {
            certificate: other.certificate,
            key: read.key,
        };
        assert_eq!(
            why(&mixed, NAME),
            "its tls.crt and tls.key are of two different pairs"
        );
        assert!(Pair::of(&test_secret(&[])).is_err());
    }
}
