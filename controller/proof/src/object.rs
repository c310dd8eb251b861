//! A commit's or tag's bytes, taken apart: what is signed, and the signature.

/// Largest object that is looked at.
const LARGEST: usize = 1 << 20;

/// What kind of signature it is, by its armor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ssh-keygen -Y sign`.
    Ssh,
    /// OpenPGP.
    Pgp,
    /// S/MIME.
    X509,
}

/// An object with its signature apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// By its armor.
    pub kind: Kind,
    /// The armored signature.
    pub signature: Vec<u8>,
    /// What was signed.
    pub payload: Vec<u8>,
    /// When the object was made, as it claims: seconds since 1970. Git judges SSH keys by it.
    pub time: i64,
}

const TWO: &str = "it holds two signatures";
const LARGE: &str = "the object is too large";

impl Signed {
    /// Of a commit: the header `gpgsig`, and the object without it. `None`: not signed.
    ///
    /// # Errors
    /// Two signatures, or one that begins like none.
    pub fn commit(object: &[u8]) -> Result<Option<Self>, &'static str> {
        if object.len() > LARGEST {
            return Err(LARGE);
        }
        let mut payload = Vec::with_capacity(object.len());
        let mut signature: Option<Vec<u8>> = None;
        let (mut time, mut inside, mut headers) = (0, false, true);
        for line in object.split_inclusive(|byte| *byte == b'\n') {
            if !headers {
                payload.extend_from_slice(line);
                continue;
            }
            if inside && let Some(more) = line.strip_prefix(b" ") {
                signature.get_or_insert_default().extend_from_slice(more);
                continue;
            }
            inside = false;
            if let Some(first) = line.strip_prefix(b"gpgsig ") {
                if signature.is_some() {
                    return Err(TWO);
                }
                signature = Some(first.to_vec());
                inside = true;
            } else if line.starts_with(b"gpgsig") {
                return Err("it has a signature for another object format");
            } else {
                headers = line != b"\n";
                if let Some(person) = line.strip_prefix(b"committer ") {
                    time = time_of(person);
                }
                payload.extend_from_slice(line);
            }
        }
        match signature {
            None => Ok(None),
            Some(signature) => Self::of(signature, payload, time).map(Some),
        }
    }

    /// Of a tag: its end from the armor on, and the object before it. `None`: not signed.
    ///
    /// # Errors
    /// Two signatures.
    pub fn tag(object: &[u8]) -> Result<Option<Self>, &'static str> {
        if object.len() > LARGEST {
            return Err(LARGE);
        }
        let (mut at, mut start, mut time, mut headers) = (0, None, 0, true);
        for line in object.split_inclusive(|byte| *byte == b'\n') {
            if headers {
                if let Some(person) = line.strip_prefix(b"tagger ") {
                    time = time_of(person);
                } else if line.starts_with(b"gpgsig") {
                    return Err("it has a signature for another object format");
                }
                headers = line != b"\n";
            } else if kind(line).is_some() {
                if start.is_some() {
                    return Err(TWO);
                }
                start = Some(at);
            }
            at += line.len();
        }
        let Some((payload, signature)) = start.and_then(|start| object.split_at_checked(start)) else {
            return Ok(None);
        };
        Self::of(signature.to_vec(), payload.to_vec(), time).map(Some)
    }

    fn of(signature: Vec<u8>, payload: Vec<u8>, time: i64) -> Result<Self, &'static str> {
        let begins = signature
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| line.starts_with(b"-----BEGIN "))
            .count();
        if begins > 1 {
            return Err(TWO);
        }
        let kind = kind(&signature).ok_or("it begins like no signature")?;
        Ok(Self {
            kind,
            signature,
            payload,
            time,
        })
    }
}

fn kind(line: &[u8]) -> Option<Kind> {
    let starts = |text: &str| line.starts_with(text.as_bytes());
    if starts("-----BEGIN SSH SIGNATURE-----") {
        Some(Kind::Ssh)
    } else if starts("-----BEGIN PGP SIGNATURE-----") || starts("-----BEGIN PGP MESSAGE-----") {
        Some(Kind::Pgp)
    } else if starts("-----BEGIN SIGNED MESSAGE-----") {
        Some(Kind::X509)
    } else {
        None
    }
}

/// `Name <address> seconds +hhmm`; zero where it says nothing.
fn time_of(person: &[u8]) -> i64 {
    let text = String::from_utf8_lossy(person);
    let rest = text.rsplit_once('>').map_or("", |(_, rest)| rest);
    let seconds = rest.split_ascii_whitespace().next();
    seconds.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Kind, Signed};

    const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
    const END: &str = "-----END SSH SIGNATURE-----";

    #[test]
    fn a_commits_signature_is_taken_out() {
        let rest = "tree 1\nauthor a <a> 1 +0000\ncommitter c <c> 1700000000 +0100\n";
        let signed = format!("{rest}gpgsig {BEGIN}\n AAAA\n {END}\n\ngpgsig in the message\n");
        let found = Signed::commit(signed.as_bytes()).unwrap().unwrap();
        assert_eq!(found.kind, Kind::Ssh);
        assert_eq!(found.signature, format!("{BEGIN}\nAAAA\n{END}\n").into_bytes());
        assert_eq!(
            found.payload,
            format!("{rest}\ngpgsig in the message\n").into_bytes()
        );
        assert_eq!(found.time, 1_700_000_000);
        assert_eq!(
            Signed::commit(format!("{rest}\ngpgsig {BEGIN}\n").as_bytes()),
            Ok(None)
        );
    }

    #[test]
    fn two_signatures_are_none() {
        let one = format!("gpgsig {BEGIN}\n AAAA\n {END}\n");
        assert!(Signed::commit(format!("tree 1\n{one}{one}\nx\n").as_bytes()).is_err());
        let both = format!("tree 1\ngpgsig {BEGIN}\n AAAA\n {END}\n {BEGIN}\n BBBB\n {END}\n\nx\n");
        assert!(Signed::commit(both.as_bytes()).is_err());
        assert!(Signed::commit(format!("tree 1\ngpgsig-sha256 {BEGIN}\n\nx\n").as_bytes()).is_err());
        let tag = format!("object 1\ntagger t <t> 5 +0000\n\nv1\n{BEGIN}\nAAAA\n{END}\n");
        let found = Signed::tag(tag.as_bytes()).unwrap().unwrap();
        assert_eq!(
            (found.time, found.payload.as_slice()),
            (5, b"object 1\ntagger t <t> 5 +0000\n\nv1\n".as_slice())
        );
        assert!(Signed::tag(format!("{tag}{BEGIN}\nBBBB\n{END}\n").as_bytes()).is_err());
        assert_eq!(Signed::tag(b"object 1\n\nv1\n"), Ok(None));
    }
}
