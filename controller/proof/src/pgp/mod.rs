//! OpenPGP signatures over an object's bytes (RFC 9580, version 4 as GnuPG makes them).

mod certificate;
mod key;
mod packet;
mod signature;

pub(crate) use certificate::Certificate;

use crate::armor;
use crate::object::Signed;
use crate::ssh::Revoked;
use crate::verdict::{Signer, Verdict};
use certificate::State;
use packet::{Packet, packets};
use signature::Signature;

/// Signature over a document, byte for byte.
const BINARY: u8 = 0x00;

/// Judges an OpenPGP signature.
pub(crate) fn judge(trusted: &[Certificate], revoked: &Revoked, signed: &Signed) -> Verdict {
    let parsed = armor::decode(&signed.signature, "PGP SIGNATURE").and_then(|bytes| packets(&bytes));
    let Some(parsed) = parsed else {
        return Verdict::Bad("it cannot be read");
    };
    let [
        Packet {
            tag: packet::SIGNATURE,
            body,
        },
    ] = parsed.as_slice()
    else {
        return Verdict::Bad("it is not one signature");
    };
    let signature = match Signature::parse(body) {
        Ok(signature) => signature,
        Err(verdict) => return verdict,
    };
    if signature.kind != BINARY {
        return Verdict::Bad("it was made for something else than a document");
    }
    let name = signature.issuer_name();
    let mut known = false;
    for certificate in trusted {
        for (number, key) in certificate.keys() {
            if !signature.may_be_by(key) {
                continue;
            }
            known = true;
            if !signature.fits(key, &[&signed.payload]) {
                continue;
            }
            let main = certificate.fingerprint();
            if revoked.has_fingerprint(&main) || revoked.has_fingerprint(&key.fingerprint()) {
                return Verdict::Revoked(main);
            }
            return match certificate.state(number, signature.created) {
                State::Good if signature.is_expired(signed.time) => Verdict::Expired(main),
                State::Good => Verdict::Good(Signer {
                    names: certificate.addresses(),
                    key: main,
                }),
                State::Early => Verdict::Early(main),
                State::Expired => Verdict::Expired(main),
                State::Revoked => Verdict::Revoked(main),
                State::Unfit(why) => Verdict::Bad(why),
            };
        }
    }
    if known {
        // The key that it names did not make it: named by somebody else, or another object's.
        Verdict::Bad("it does not fit the object and the key that it names")
    } else {
        Verdict::Unknown(name)
    }
}
