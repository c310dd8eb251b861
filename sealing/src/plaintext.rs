//! The only type that holds plaintext.

use zeroize::Zeroizing;

/// Bytes of a secret, wiped when dropped.
///
/// It has no `Debug`, `Display`, `Serialize`, `Clone` or `PartialEq`, so that it cannot slip into a log line, an
/// error, a request body made by a serializer, or a comparison that stops at the first difference. Who needs the
/// bytes says so with [`Plaintext::expose`].
pub struct Plaintext(Zeroizing<Vec<u8>>);

impl Plaintext {
    /// Takes over bytes that are secret from now on.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes. An empty value is a legal secret.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Zeroizing<Vec<u8>>> for Plaintext {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

/// Fails to compile when `$type` has one of the traits: with two candidates for the trait's parameter, inference of
/// the underscore becomes ambiguous.
macro_rules! assert_lacks {
    ($type:ty: $($trait:path),+ $(,)?) => {$(
        const _: fn() = || {
            trait Candidate<Marker> {
                fn pick() {}
            }
            struct HasTheTrait;
            impl<T: ?Sized> Candidate<()> for T {}
            impl<T: ?Sized + $trait> Candidate<HasTheTrait> for T {}
            let _ = <$type as Candidate<_>>::pick;
        };
    )+};
}

assert_lacks!(
    Plaintext:
    std::fmt::Debug,
    std::fmt::Display,
    serde::Serialize,
    Clone,
    PartialEq,
    std::ops::Deref,
    AsRef<[u8]>,
);
