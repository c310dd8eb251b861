//! OpenPGP's packets and their parts (RFC 9580 sections 3 to 5), read from untrusted bytes.

use crate::wire::Reader;

pub(crate) const SIGNATURE: u8 = 2;
pub(crate) const PUBLIC_KEY: u8 = 6;
pub(crate) const USER_ID: u8 = 13;
pub(crate) const PUBLIC_SUBKEY: u8 = 14;

/// Packets of one armored text.
const MOST: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

/// Every packet. `None`: malformed, of a length that is not given beforehand, or too many.
pub(crate) fn packets(bytes: &[u8]) -> Option<Vec<Packet>> {
    let mut reader = Reader::new(bytes);
    let mut all = Vec::new();
    while !reader.is_empty() {
        let head = reader.byte()?;
        if head & 0x80 == 0 {
            return None;
        }
        let (tag, length) = if head & 0x40 == 0 {
            let length = match head & 3 {
                0 => u32::from(reader.byte()?),
                1 => u32::from(reader.u16()?),
                2 => reader.u32()?,
                _ => return None,
            };
            (head >> 2 & 0xf, length)
        } else {
            (head & 0x3f, length(&mut reader)?)
        };
        let body = reader.bytes(usize::try_from(length).ok()?)?.to_vec();
        all.push(Packet { tag, body });
        if all.len() > MOST {
            return None;
        }
    }
    Some(all)
}

/// A length of one, two or five bytes. The two-byte form ends at 223 for packets and 254 for subpackets: partial lengths
/// between them are only of data, which no key or signature has.
pub(crate) fn length(reader: &mut Reader<'_>) -> Option<u32> {
    Some(match reader.byte()? {
        first @ 0..192 => u32::from(first),
        first @ 192..224 => ((u32::from(first) - 192) << 8) + u32::from(reader.byte()?) + 192,
        255 => reader.u32()?,
        _ => return None,
    })
}

/// A whole number: its length in bits, then its bytes. Without leading zeros.
pub(crate) fn number<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let bits = usize::from(reader.u16()?);
    Some(crate::wire::trim(reader.bytes(bits.div_ceil(8))?))
}
