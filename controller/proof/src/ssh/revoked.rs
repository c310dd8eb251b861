//! Keys that count no more: OpenSSH's binary lists (PROTOCOL.krl), and plain lists of keys or fingerprints.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::certificate::Certificate;
use super::key::{PublicKey, fingerprint};
use crate::wire::Reader;

const MAGIC: u64 = 0x5353_484b_524c_0a00; // "SSHKRL\n\0"
/// Entries of all lists: a bit of a bitmap is one, and takes more than a hundred times of its size.
const MOST: usize = 100_000;

/// What is revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Revoked {
    keys: HashSet<Vec<u8>>,
    /// `SHA256:…` of SSH keys, and fingerprints of OpenPGP keys in capitals.
    fingerprints: HashSet<String>,
    /// SHA-1 of SSH keys: only lists have it, and to revoke by it is safe.
    sha1: HashSet<Vec<u8>>,
    certificates: Vec<OfAuthority>,
    /// Entries of lists so far.
    entries: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfAuthority {
    /// Empty: of any.
    authority: Vec<u8>,
    /// From and to.
    serials: Vec<(u64, u64)>,
    ids: HashSet<Vec<u8>>,
}

impl Revoked {
    /// Adds a file: a binary list, or lines. The error says what is wrong.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        if Reader::new(bytes).u64() == Some(MAGIC) {
            let read = self.list(bytes);
            return read.ok_or_else(|| match self.entries {
                0..=MOST => "is a revocation list that cannot be read".into(),
                _ => format!("is one too many: over {MOST} entries of revocation lists"),
            });
        }
        let text =
            std::str::from_utf8(bytes).map_err(|_| "is neither text nor a revocation list".to_owned())?;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            self.line(line).ok_or_else(|| {
                format!(
                    "line {}: it is no key. Write KEYTYPE BASE64-KEY, SHA256:…, or the fingerprint of an OpenPGP key",
                    number + 1
                )
            })?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let hex: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        if matches!(hex.len(), 40 | 64) && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.fingerprints.insert(hex.to_uppercase());
            return Some(());
        }
        if line.starts_with("SHA256:") && line.len() == 50 {
            self.fingerprints.insert(line.to_owned());
            return Some(());
        }
        let mut words = line.split_ascii_whitespace();
        let kind = words.next()?;
        let key = BASE64.decode(words.next()?).ok()?;
        if Reader::new(&key).text()? != kind {
            return None;
        }
        self.keys.insert(key);
        Some(())
    }

    fn list(&mut self, bytes: &[u8]) -> Option<()> {
        let mut reader = Reader::new(bytes);
        let _magic = reader.u64()?;
        if reader.u32()? != 1 {
            return None;
        }
        let _version_date_flags = (reader.u64()?, reader.u64()?, reader.u64()?);
        let _reserved_comment = (reader.string()?, reader.string()?);
        while !reader.is_empty() {
            let kind = reader.byte()?;
            let mut section = Reader::new(reader.string()?);
            match kind {
                1 => {
                    count(&mut self.entries, 1)?;
                    let of = OfAuthority::read(&mut section, &mut self.entries)?;
                    self.certificates.push(of);
                }
                2 | 3 | 5 => {
                    while !section.is_empty() {
                        let entry = section.string()?;
                        count(&mut self.entries, 1)?;
                        match kind {
                            2 => drop(self.keys.insert(entry.to_vec())),
                            3 => drop(self.sha1.insert(entry.to_vec())),
                            _ => {
                                let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(entry);
                                self.fingerprints.insert(format!("SHA256:{encoded}"));
                            }
                        }
                    }
                }
                // A signature over the list: who may write the Secret is trusted already.
                4 => {}
                _ => return None,
            }
        }
        Some(())
    }

    /// Whether an SSH key is revoked.
    pub(crate) fn has_key(&self, blob: &[u8]) -> bool {
        if self.keys.contains(blob) || self.fingerprints.contains(&fingerprint(blob)) {
            return true;
        }
        let sha1 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, blob);
        self.sha1.contains(sha1.as_ref())
    }

    /// Whether a certificate is revoked by its serial number or its id.
    pub(crate) fn has_certificate(&self, certificate: &Certificate) -> bool {
        let of = self
            .certificates
            .iter()
            .filter(|of| of.authority.is_empty() || of.authority == certificate.authority);
        let mut of = of;
        of.any(|of| {
            let serial = certificate.serial;
            // Zero is "no number" and cannot be revoked by it.
            (serial != 0
                && of
                    .serials
                    .iter()
                    .any(|(from, to)| (*from..=*to).contains(&serial)))
                || of.ids.contains(&certificate.id)
        })
    }

    /// Whether an OpenPGP key is revoked here.
    pub(crate) fn has_fingerprint(&self, fingerprint: &str) -> bool {
        self.fingerprints.contains(fingerprint)
    }
}

/// Counts entries before they are kept. `None` where there are too many.
fn count(entries: &mut usize, more: usize) -> Option<()> {
    *entries = entries.saturating_add(more);
    (*entries <= MOST).then_some(())
}

impl OfAuthority {
    fn read(section: &mut Reader<'_>, entries: &mut usize) -> Option<Self> {
        let authority = section.string()?.to_vec();
        if !authority.is_empty() {
            PublicKey::parse(&authority)?;
        }
        let _reserved = section.string()?;
        let mut of = Self {
            authority,
            ..Self::default()
        };
        while !section.is_empty() {
            let kind = section.byte()?;
            let mut part = Reader::new(section.string()?);
            match kind {
                0x20 => {
                    while !part.is_empty() {
                        count(entries, 1)?;
                        let serial = part.u64()?;
                        of.serials.push((serial, serial));
                    }
                }
                0x21 => {
                    count(entries, 1)?;
                    of.serials.push((part.u64()?, part.u64()?));
                }
                0x22 => of.bitmap(part.u64()?, part.number()?, entries)?,
                0x23 => {
                    while !part.is_empty() {
                        count(entries, 1)?;
                        of.ids.insert(part.string()?.to_vec());
                    }
                }
                _ => return None,
            }
        }
        Some(of)
    }

    /// Bit `n` of a big-endian number stands for `offset + n`.
    fn bitmap(&mut self, offset: u64, bits: &[u8], entries: &mut usize) -> Option<()> {
        for byte in bits {
            count(entries, usize::try_from(byte.count_ones()).ok()?)?;
        }
        for (index, byte) in bits.iter().rev().enumerate() {
            for bit in 0..8_u64 {
                if byte >> bit & 1 == 1 {
                    let serial = offset.checked_add(u64::try_from(index).ok()? * 8 + bit)?;
                    self.serials.push((serial, serial));
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MAGIC, MOST, OfAuthority, Revoked};
    use crate::wire::put;

    /// A list with one section of certificates for each of these bitmaps.
    fn list(bitmaps: &[&[u8]]) -> Vec<u8> {
        let mut list = MAGIC.to_be_bytes().to_vec();
        list.extend(1_u32.to_be_bytes());
        list.extend([0; 24]);
        for _ in 0..2 {
            put(&mut list, b"");
        }
        for bitmap in bitmaps {
            let mut part = 0_u64.to_be_bytes().to_vec();
            put(&mut part, bitmap);
            let mut section = Vec::new();
            for _ in 0..2 {
                put(&mut section, b"");
            }
            section.push(0x22);
            put(&mut section, &part);
            list.push(1);
            put(&mut list, &section);
        }
        list
    }

    #[test]
    fn a_bitmap_of_too_many_bits_is_refused_before_anything_is_kept() {
        let mut bits = vec![0xff; (1 << 20) - 200];
        bits[0] = 0x7f;
        let mut of = OfAuthority::default();
        assert_eq!(of.bitmap(0, &bits, &mut 0), None);
        assert_eq!(of.serials.capacity(), 0);
        let why = Revoked::default().read(&list(&[&bits])).unwrap_err();
        assert!(why.contains("over 100000 entries"), "{why}");

        let mut few = Revoked::default();
        few.read(&list(&[&[0x01, 0x02]])).unwrap();
        assert_eq!(few.certificates[0].serials, [(1, 1), (8, 8)]);
    }

    #[test]
    fn what_all_sections_and_lists_have_is_counted_together() {
        let mut bits = vec![0xff; MOST / 8 / 3];
        bits[0] = 0x7f;
        let two = list(&[&bits, &bits]);
        let mut revoked = Revoked::default();
        revoked.read(&two).unwrap();
        assert!(revoked.read(&two).is_err());
        assert!(
            Revoked::default()
                .read(&list(&[&bits, &bits, &bits, &bits]))
                .is_err()
        );
    }
}
