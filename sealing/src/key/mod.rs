//! Sealing keys: RSA key pairs and the certificates that carry their public half.

mod certificate;
mod der;
mod fingerprint;
mod pem_text;
mod private;
mod public;
mod self_signed;

pub use certificate::{Certificate, CertificateError};
pub use fingerprint::Fingerprint;
pub use private::{PrivateKey, PrivateKeyError};
pub use public::PublicKey;
pub use self_signed::SelfSigned;
