//! PEM (RFC 7468) for private keys, in buffers that are wiped. Certificates are public and go through the `pem` crate.

use crate::base64_text;
use zeroize::Zeroizing;

const LINE: usize = 64;

/// The first block whose label ends in `PRIVATE KEY`: its label and its bytes. Other blocks, such as the certificate
/// or the parameters in a combined file, are passed over.
pub(super) fn first_private_key(text: &str) -> Option<(&str, Zeroizing<Vec<u8>>)> {
    let mut lines = text.lines().map(str::trim);
    let label = lines.find_map(|line| {
        let label = line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
        label.ends_with("PRIVATE KEY").then_some(label)
    })?;
    let mut body = Zeroizing::new(String::with_capacity(text.len()));
    for line in lines {
        if let Some(end) = line.strip_prefix("-----END ") {
            let closed = end.strip_suffix("-----") == Some(label);
            return base64_text::decode(&body)
                .ok()
                .filter(|_| closed)
                .map(|der| (label, der));
        }
        body.push_str(line);
    }
    None
}

/// Writes one block, with lines of 64 characters as Go and OpenSSL write them.
pub(super) fn write(label: &str, der: &[u8]) -> Zeroizing<String> {
    let mut body = Zeroizing::new(Vec::with_capacity(base64_text::encoded_len(der.len())));
    base64_text::append(der, &mut body);
    let room = body.len() + body.len() / LINE + 2 * label.len() + 64;
    let mut text = Zeroizing::new(String::with_capacity(room));
    for part in ["-----BEGIN ", label, "-----\n"] {
        text.push_str(part);
    }
    for line in body.chunks(LINE) {
        text.extend(line.iter().map(|b| char::from(*b)));
        text.push('\n');
    }
    for part in ["-----END ", label, "-----\n"] {
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_without_growing() {
        for len in [0, 47, 48, 49, 1200] {
            let der = vec![9; len];
            let text = write("RSA PRIVATE KEY", &der);
            assert!(text.len() <= text.capacity() && text.lines().all(|line| line.len() <= 64));
            let combined = format!(
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{}",
                *text
            );
            let (label, read) = first_private_key(&combined).unwrap();
            assert_eq!((label, read.as_slice()), ("RSA PRIVATE KEY", der.as_slice()));
        }
    }

    #[test]
    fn unfinished_or_mislabelled_blocks_are_refused() {
        for text in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----",
        ] {
            assert!(first_private_key(text).is_none(), "{text}");
        }
    }
}
