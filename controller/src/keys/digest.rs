//! The digest key: 32 random bytes under which digests of secret content and records are made. It is not a sealing key:
//! it opens nothing, and losing it costs one verification of everything.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;
use zeroize::Zeroizing;

use crate::request::{RequestError, bounded};

/// The Secret, and the field in it.
const NAME: &str = "signet-digest-key";
const FIELD: &str = "key";

/// The key for keyed digests and record authentication. Wiped when dropped; cannot be printed. Cheap to clone.
#[derive(Clone)]
pub struct DigestKey(Arc<Zeroizing<[u8; 32]>>);

impl DigestKey {
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self(Arc::new(Zeroizing::new([7; 32])))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(..)")
    }
}

/// Why there is no digest key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestKeyError {
    /// The API server.
    #[error("Secret {NAME}: {0}")]
    Request(#[from] RequestError),
    /// Somebody else's Secret, or a damaged one.
    #[error(
        "Secret {NAME} does not hold 32 bytes under {FIELD:?}: restore it, or delete it and every object is verified once"
    )]
    Malformed,
    /// No random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// Reads the digest key, and makes it if there is none. Of two starters, the one that creates the Secret second reads
/// what the first one made.
pub async fn digest_key(api: &Api<Secret>) -> Result<DigestKey, DigestKeyError> {
    match bounded(api.get(NAME)).await {
        Ok(secret) => return read(&secret),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    let mut bytes = Zeroizing::new([0_u8; 32]);
    aws_lc_rs::rand::fill(bytes.as_mut()).map_err(|_| DigestKeyError::Random)?;
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            ..ObjectMeta::default()
        },
        immutable: Some(true),
        type_: Some("signet.dev/digest-key".into()),
        data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(bytes.to_vec()))])),
        ..Secret::default()
    };
    match bounded(api.create(&PostParams::default(), &secret)).await {
        Ok(secret) => read(&secret),
        Err(error) if error.is_conflict() => read(&bounded(api.get(NAME)).await?),
        Err(error) => Err(error.into()),
    }
}

fn read(secret: &Secret) -> Result<DigestKey, DigestKeyError> {
    let bytes = secret
        .data
        .as_ref()
        .and_then(|data| data.get(FIELD))
        .ok_or(DigestKeyError::Malformed)?;
    let bytes: [u8; 32] = bytes
        .0
        .as_slice()
        .try_into()
        .map_err(|_| DigestKeyError::Malformed)?;
    Ok(DigestKey(Arc::new(Zeroizing::new(bytes))))
}

#[cfg(test)]
mod tests {
    use super::{DigestKeyError, read};
    use crate::keys::stored::tests::secret;

    #[test]
    fn only_32_bytes_are_a_key() {
        let good = secret(&[("key", "0123456789abcdef0123456789abcdef")]);
        let key = read(&good).unwrap();
        assert_eq!(key.expose(), b"0123456789abcdef0123456789abcdef");
        assert_eq!(format!("{key:?}"), "DigestKey(..)");
        assert_eq!(
            read(&secret(&[("key", "short")])).err(),
            Some(DigestKeyError::Malformed)
        );
        assert_eq!(read(&secret(&[])).err(), Some(DigestKeyError::Malformed));
    }
}
