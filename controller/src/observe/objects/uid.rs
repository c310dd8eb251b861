//! A uid in 16 bytes, where it is one of the usual kind.

/// A uid that reads back exactly as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Uid {
    /// A UUID in its canonical form (RFC 9562: lower case, hyphens).
    Uuid([u8; 16]),
    /// Anything else: an API server behind an aggregation layer may have its own ideas.
    Other(Box<str>),
}

/// Where the hyphens of a UUID stand.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl Uid {
    pub(super) fn new(text: &str) -> Self {
        parse(text).map_or_else(|| Self::Other(text.into()), Self::Uuid)
    }

    pub(super) fn text(&self) -> Box<str> {
        match self {
            Self::Other(text) => text.clone(),
            Self::Uuid(bytes) => {
                let mut text = String::with_capacity(36);
                for byte in bytes {
                    if HYPHENS.contains(&text.len()) {
                        text.push('-');
                    }
                    for digit in [byte >> 4, byte & 15] {
                        text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
                    }
                }
                text.into()
            }
        }
    }
}

fn parse(text: &str) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let mut bytes = [0; 16];
    let mut digits = 0;
    for (at, c) in text.bytes().enumerate() {
        if HYPHENS.contains(&at) {
            if c != b'-' {
                return None;
            }
            continue;
        }
        let digit = match c {
            b'0'..=b'9' => c - b'0',
            b'a'..=b'f' => c - b'a' + 10,
            _ => return None,
        };
        let byte = bytes.get_mut(digits / 2)?;
        *byte = *byte << 4 | digit;
        digits += 1;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uid_reads_back_as_it_was() {
        for (text, compact) in [
            ("0f2c7b1e-93aa-4b6f-8f0d-00ff17e2a9bc", true),
            ("0F2C7B1E-93AA-4B6F-8F0D-00FF17E2A9BC", false),
            ("0f2c7b1e-93aa-4b6f-8f0d-00ff17e2a9b", false),
            ("0f2c7b1e-93aa-4b6f-8f0d000ff17e2a9bc", false),
            ("0f2c7b1e-93aa-4b6f-8f0d-00ff17e2-9bc", false),
            ("éééééééééééééééééé", false),
            ("", false),
        ] {
            let uid = Uid::new(text);
            assert_eq!(&*uid.text(), text);
            assert_eq!(matches!(uid, Uid::Uuid(_)), compact, "{text}");
        }
    }
}
