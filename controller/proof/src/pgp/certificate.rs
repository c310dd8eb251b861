//! An OpenPGP key as it is passed around: the key, its names and subkeys, and what it says of them itself (RFC 9580 section
//! 10.1). Nobody else's word counts.

use super::key::Key;
use super::packet::{PUBLIC_KEY, PUBLIC_SUBKEY, Packet, SIGNATURE, USER_ID, packets};
use super::signature::Signature;

/// Kinds of signatures (section 5.2.1).
const CERTIFICATIONS: std::ops::RangeInclusive<u8> = 0x10..=0x13;
const SUBKEY_BINDING: u8 = 0x18;
const PRIMARY_BINDING: u8 = 0x19;
const DIRECT: u8 = 0x1f;
const KEY_REVOCATION: u8 = 0x20;
const SUBKEY_REVOCATION: u8 = 0x28;
const CERTIFICATION_REVOCATION: u8 = 0x30;
/// Flag: it may sign data.
const MAY_SIGN: u8 = 0x02;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    primary: Key,
    revoked: bool,
    /// What the newest word of the key on itself says.
    own: Option<Signature>,
    names: Vec<Name>,
    subkeys: Vec<Subkey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    text: String,
    own: Option<Signature>,
    revoked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Subkey {
    key: Key,
    binding: Option<Signature>,
    revoked: bool,
}

/// Whether a key could sign at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Good,
    Early,
    Expired,
    Revoked,
    Unfit(&'static str),
}

/// What the packets that follow speak of.
enum Place {
    Primary,
    Name,
    Subkey,
    /// Something that is not read.
    Else,
}

impl Certificate {
    /// Every certificate in the bytes of a key block. `None`: it cannot be read.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Vec<Self>> {
        let mut all: Vec<Self> = Vec::new();
        let mut place = Place::Else;
        for Packet { tag, body } in packets(bytes)? {
            match (tag, all.last_mut()) {
                (PUBLIC_KEY, _) => {
                    all.push(Self {
                        primary: Key::parse(&body)?,
                        revoked: false,
                        own: None,
                        names: Vec::new(),
                        subkeys: Vec::new(),
                    });
                    place = Place::Primary;
                }
                (_, None) => return None,
                (USER_ID, Some(certificate)) => {
                    certificate.names.push(Name {
                        text: String::from_utf8_lossy(&body).into_owned(),
                        own: None,
                        revoked: false,
                    });
                    place = Place::Name;
                }
                (PUBLIC_SUBKEY, Some(certificate)) => {
                    place = Place::Else;
                    if let Some(key) = Key::parse(&body) {
                        certificate.subkeys.push(Subkey {
                            key,
                            binding: None,
                            revoked: false,
                        });
                        place = Place::Subkey;
                    }
                }
                // One that cannot be read, such as an old one with SHA-1, says nothing.
                (SIGNATURE, Some(certificate)) => {
                    if let Ok(signature) = Signature::parse(&body) {
                        certificate.take(&place, signature);
                    }
                }
                _ => place = Place::Else,
            }
        }
        (!all.is_empty()).then_some(all)
    }

    /// Takes in what the key says of itself; what others say, or what does not fit, is left out.
    fn take(&mut self, place: &Place, signature: Signature) {
        let primary = self.primary.framed();
        match (place, signature.kind) {
            (Place::Primary, KEY_REVOCATION) => {
                self.revoked |= signature.fits(&self.primary, &[&primary]);
            }
            (Place::Primary, DIRECT) if signature.fits(&self.primary, &[&primary]) => {
                newest(&mut self.own, signature);
            }
            (Place::Name, kind) if CERTIFICATIONS.contains(&kind) || kind == CERTIFICATION_REVOCATION => {
                let Some(name) = self.names.last_mut() else { return };
                let text = name.text.as_bytes();
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
                if signature.fits(&self.primary, &[&primary, &[0xb4], &length, text]) {
                    if kind == CERTIFICATION_REVOCATION {
                        name.revoked = true;
                    } else {
                        newest(&mut name.own, signature);
                    }
                }
            }
            (Place::Subkey, SUBKEY_BINDING | SUBKEY_REVOCATION) => {
                let Some(subkey) = self.subkeys.last_mut() else {
                    return;
                };
                if signature.fits(&self.primary, &[&primary, &subkey.key.framed()]) {
                    if signature.kind == SUBKEY_REVOCATION {
                        subkey.revoked = true;
                    } else {
                        newest(&mut subkey.binding, signature);
                    }
                }
            }
            _ => {}
        }
    }

    /// The keys that may have signed: number 0 is the primary one.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (usize, &Key)> {
        std::iter::once(&self.primary)
            .chain(self.subkeys.iter().map(|subkey| &subkey.key))
            .enumerate()
    }

    pub(crate) fn fingerprint(&self) -> String {
        self.primary.fingerprint()
    }

    /// The addresses of its names, without those that it took back; whole names where they hold no address.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let own = self
            .names
            .iter()
            .filter(|name| name.own.is_some() && !name.revoked);
        own.map(|name| {
            let address = name
                .text
                .rsplit_once('<')
                .and_then(|(_, rest)| rest.strip_suffix('>'));
            address.unwrap_or(&name.text).to_owned()
        })
        .collect()
    }

    /// Whether a key of it could sign at `time`. Whatever the reason of a revocation, it counts for all times.
    pub(crate) fn state(&self, number: usize, time: i64) -> State {
        let own = self
            .names
            .iter()
            .filter(|name| !name.revoked)
            .filter_map(|name| name.own.as_ref())
            .chain(&self.own)
            .max_by_key(|signature| signature.created);
        let Some(own) = own else {
            return State::Unfit("its key does not vouch for itself with SHA-256 or better");
        };
        if self.revoked {
            return State::Revoked;
        }
        let primary = lifetime(&self.primary, own, time);
        let Some(index) = number.checked_sub(1) else {
            return match own.flags {
                Some(flags) if flags & MAY_SIGN == 0 => State::Unfit("its key is not for signing"),
                _ => primary,
            };
        };
        if primary != State::Good {
            return primary;
        }
        let Some(subkey) = self.subkeys.get(index) else {
            return State::Unfit("its key is not there");
        };
        let Some(binding) = &subkey.binding else {
            return State::Unfit("its subkey is not bound to its key");
        };
        if subkey.revoked {
            return State::Revoked;
        }
        if binding.flags.is_none_or(|flags| flags & MAY_SIGN == 0) {
            return State::Unfit("its subkey is not for signing");
        }
        // Else anybody could claim another's subkey as his own.
        let bound_back = binding.embedded.as_deref().is_some_and(|body| {
            Signature::parse(body).is_ok_and(|back| {
                back.kind == PRIMARY_BINDING
                    && back.fits(&subkey.key, &[&self.primary.framed(), &subkey.key.framed()])
            })
        });
        if !bound_back {
            return State::Unfit("its subkey does not acknowledge its key");
        }
        lifetime(&subkey.key, binding, time)
    }
}

fn lifetime(key: &Key, own: &Signature, time: i64) -> State {
    if time < key.created {
        State::Early
    } else if own
        .key_expires
        .is_some_and(|seconds| time > key.created + seconds)
    {
        State::Expired
    } else {
        State::Good
    }
}

fn newest(known: &mut Option<Signature>, other: Signature) {
    if known.as_ref().is_none_or(|known| known.created <= other.created) {
        *known = Some(other);
    }
}
