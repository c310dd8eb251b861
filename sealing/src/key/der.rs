//! The few bits of DER (ITU-T X.690) that wrap an RSA private key: PKCS#8 (RFC 5208) around PKCS#1 (RFC 8017, A.1.2).
//!
//! aws-lc reads private keys for decryption from PKCS#8 only, while Bitnami's controller writes PKCS#1.

use zeroize::Zeroizing;

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
/// `AlgorithmIdentifier { rsaEncryption, NULL }`.
const RSA_ENCRYPTION: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
const VERSION_0: [u8; 3] = [INTEGER, 1, 0];

/// Wraps an `RSAPrivateKey` into a `PrivateKeyInfo`.
pub(super) fn pkcs8_from_pkcs1(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    let (inner_header, inner_len) = header(OCTET_STRING, pkcs1.len());
    let content = VERSION_0.len() + RSA_ENCRYPTION.len() + inner_len + pkcs1.len();
    let (outer_header, outer_len) = header(SEQUENCE, content);
    // Sized beforehand: a growing vector would leave a copy of the key behind.
    let mut out = Zeroizing::new(Vec::with_capacity(outer_len + content));
    out.extend_from_slice(&outer_header[..outer_len]);
    out.extend_from_slice(&VERSION_0);
    out.extend_from_slice(&RSA_ENCRYPTION);
    out.extend_from_slice(&inner_header[..inner_len]);
    out.extend_from_slice(pkcs1);
    out
}

/// Finds the `RSAPrivateKey` in a `PrivateKeyInfo`.
pub(super) fn pkcs1_in_pkcs8(pkcs8: &[u8]) -> Option<&[u8]> {
    let (info, _) = take(SEQUENCE, pkcs8)?;
    let (_version, rest) = take(INTEGER, info)?;
    let (_algorithm, rest) = take(SEQUENCE, rest)?;
    let (key, _attributes) = take(OCTET_STRING, rest)?;
    Some(key)
}

/// An element's tag and length: the bytes, and how many of them count.
fn header(tag: u8, len: usize) -> ([u8; 2 + size_of::<usize>()], usize) {
    let mut out = [0; 2 + size_of::<usize>()];
    out[0] = tag;
    if let Ok(short @ 0..=0x7f) = u8::try_from(len) {
        out[1] = short;
        return (out, 2);
    }
    let bytes = len.to_be_bytes();
    let significant = &bytes[bytes.iter().take_while(|b| **b == 0).count()..];
    #[allow(clippy::cast_possible_truncation)] // at most the size of usize
    let count = significant.len() as u8;
    out[1] = 0x80 | count;
    out[2..2 + significant.len()].copy_from_slice(significant);
    (out, 2 + significant.len())
}

/// Takes one element of this tag: its content, and what follows it.
fn take(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |len, b| len << 8 | usize::from(*b)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(len))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_and_unwraps_at_every_length_form() {
        for len in [0, 1, 0x7f, 0x80, 0xff, 0x100, 2349, 0x1_0000] {
            let key = vec![0xa5; len];
            assert_eq!(
                pkcs1_in_pkcs8(&pkcs8_from_pkcs1(&key)),
                Some(key.as_slice()),
                "{len}"
            );
        }
    }

    #[test]
    fn damaged_input_is_refused() {
        let whole = pkcs8_from_pkcs1(&[1; 300]);
        for cut in 0..whole.len() {
            assert!(pkcs1_in_pkcs8(&whole[..cut]).is_none(), "{cut}");
        }
        assert!(pkcs1_in_pkcs8(&[SEQUENCE, 0x85, 1, 1, 1, 1, 1]).is_none());
        assert!(pkcs1_in_pkcs8(&[SEQUENCE, 0x80]).is_none());
    }
}
