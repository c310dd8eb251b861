//! The text form of signatures and keys: base64 between two lines (RFC 7468 as OpenSSH uses it, RFC 9580 section 6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Bytes of an armored text that is looked at.
const LARGEST: usize = 1 << 20;

/// The bytes of the one block `label` in a text. Headers (`Version: …`) and OpenPGP's checksum are left out: the checksum is
/// optional and proves nothing.
pub(crate) fn decode(text: &[u8], label: &str) -> Option<Vec<u8>> {
    let mut blocks = blocks(text, label)?;
    let only = blocks.pop()?;
    blocks.is_empty().then_some(only)
}

/// The bytes of every block `label`, in order. `None`: one of them is malformed.
pub(crate) fn blocks(text: &[u8], label: &str) -> Option<Vec<Vec<u8>>> {
    if text.len() > LARGEST {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let mut blocks = Vec::new();
    let mut inside: Option<String> = None;
    for line in text.lines().map(str::trim_end) {
        match &mut inside {
            None if line == begin => inside = Some(String::new()),
            None => {}
            Some(encoded) if line == end => {
                blocks.push(BASE64.decode(encoded.as_bytes()).ok()?);
                inside = None;
            }
            // A header, or OpenPGP's checksum.
            Some(_)
                if line.contains(": ") || line.is_empty() || (line.starts_with('=') && line.len() == 5) => {}
            Some(encoded) => encoded.push_str(line),
        }
    }
    inside.is_none().then_some(blocks)
}
