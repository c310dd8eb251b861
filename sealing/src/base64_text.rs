//! Base64 with the rules of Go's `base64.StdEncoding`, which is what `kubeseal` and the API server use: the standard
//! alphabet, padding required, CR and LF skipped anywhere, trailing bits not checked.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// The text is not base64. It says no more than that: the text may be a secret that somebody forgot to encode.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotBase64;

/// Encodes bytes that are not secret.
pub(crate) fn encode(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

/// Encodes without padding, as OpenSSH prints fingerprints.
pub(crate) fn encode_unpadded(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
}

/// How long the encoding of `len` bytes is.
pub(crate) fn encoded_len(len: usize) -> usize {
    len.div_ceil(3) * 4
}

/// Appends the encoding to a buffer that has room for it, so that no copy of the text stays elsewhere.
pub(crate) fn append(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + encoded_len(bytes.len()), 0);
    let written = ENGINE.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    debug_assert_eq!(start + written, out.len(), "encoded_len is exact");
    out.truncate(start + written);
}

/// Decodes into a buffer that is wiped when dropped.
pub(crate) fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, NotBase64> {
    decode_bytes(text.as_bytes())
}

/// Decodes what may not even be text.
pub(crate) fn decode_bytes(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotBase64> {
    let mut bytes = Zeroizing::new(vec![0; text.len() / 4 * 3 + 3]);
    let written = if text.iter().copied().any(is_newline) {
        let mut joined = Zeroizing::new(Vec::with_capacity(text.len()));
        joined.extend(text.iter().copied().filter(|b| !is_newline(*b)));
        ENGINE.decode_slice(joined.as_slice(), &mut bytes)
    } else {
        ENGINE.decode_slice(text, &mut bytes)
    }
    .map_err(|_| NotBase64)?;
    bytes.truncate(written);
    Ok(bytes)
}

fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("YQ==", b"a"),
            ("Y\r\nQ\n=\n=", b"a"),
            ("YR==", b"a"), // trailing bits
            ("YWJj", b"abc"),
            ("/+A=", &[0xff, 0xe0]),
        ] {
            assert_eq!(decode(text).unwrap().as_slice(), bytes, "{text:?}");
        }
        for text in ["YQ", "YQ=", "Y Q==", "YQ==\t", "_-A=", "YQ==YQ==", "=", "é"] {
            assert!(decode(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn appends_in_place() {
        for len in 0..10 {
            let mut out = Vec::with_capacity(1 + encoded_len(len));
            out.push(b'x');
            let (before, capacity) = (out.as_ptr(), out.capacity());
            append(&vec![7; len], &mut out);
            assert_eq!((out.as_ptr(), out.capacity()), (before, capacity));
            assert_eq!(out[1..], *encode(&vec![7; len]).as_bytes());
        }
    }
}
