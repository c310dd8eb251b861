//! Bytes that nobody's tool makes: no panic, no good verdict.

use proof::{Trust, Verdict};
use proptest::prelude::*;

use crate::world::World;

fn with(signature: &str) -> Vec<u8> {
    let header = signature.trim_end().replace('\n', "\n ");
    format!("tree 1\ncommitter a <a> 1700000000 +0000\ngpgsig {header}\n\nx\n").into_bytes()
}

fn trust() -> Trust {
    let key = "AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    Trust::read([("allowed_signers", format!("a ssh-ed25519 {key}").as_bytes())]).unwrap()
}

#[test]
fn cut_and_changed_signatures_are_refused() {
    let world = World::new();
    let key = world.ssh_key("ada", &["ed25519"]);
    let trust = world.trust(&[format!("ada@example.org {key}")], &[]);
    let object = world.commit(Some("ada"));
    assert!(trust.commit(&object).signer().is_some());
    for end in 0..object.len() {
        assert!(trust.commit(&object[..end]).signer().is_none(), "{end}");
    }
    let text = String::from_utf8(object.clone()).unwrap();
    let signature = text.find("gpgsig ").unwrap()..text.find("-----END SSH").unwrap();
    for at in 0..object.len() {
        for bit in 0..7 {
            let mut changed = object.clone();
            changed[at] ^= 1 << bit;
            let verdict = trust.commit(&changed);
            // The armor may be written in more than one way; what it holds may not.
            assert!(
                verdict.signer().is_none() || signature.contains(&at),
                "{at} {bit}"
            );
        }
    }
}

#[test]
fn oversized_objects_are_refused() {
    let large = vec![b'x'; (1 << 20) + 1];
    assert!(matches!(trust().commit(&large), Verdict::Bad(_)));
    assert!(matches!(trust().tag(&large), Verdict::Bad(_)));
}

fn armored(label: &str, bytes: &[u8]) -> String {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("-----BEGIN {label}-----\n\n{encoded}\n-----END {label}-----\n")
}

proptest! {
    #[test]
    fn any_bytes_in_a_signature(bytes in prop::collection::vec(any::<u8>(), 0..400), ssh in any::<bool>()) {
        let bytes = if ssh { [b"SSHSIG\0\0\0\x01".as_slice(), &bytes].concat() } else { bytes };
        for label in ["SSH SIGNATURE", "PGP SIGNATURE"] {
            prop_assert!(trust().commit(&with(&armored(label, &bytes))).signer().is_none());
        }
    }

    #[test]
    fn any_bytes_as_an_object(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(trust().commit(&bytes).signer().is_none());
        prop_assert!(trust().tag(&bytes).signer().is_none());
    }

    #[test]
    fn any_bytes_as_trust(bytes in prop::collection::vec(any::<u8>(), 0..400), head in prop::sample::select(vec![
        b"".as_slice(), b"SSHKRL\n\0\0\0\0\x01", b"a ssh-ed25519 ", b"SHA256:", b"\x99\x01\x0d\x04"])) {
        let bytes = [head, &bytes].concat();
        for name in ["allowed_signers", "revoked_keys"] {
            let _ = Trust::read([(name, bytes.as_slice())]);
        }
        let _ = Trust::read([("x.asc", armored("PGP PUBLIC KEY BLOCK", &bytes).as_bytes())]);
    }

    #[test]
    fn any_text_as_trust(text in "[ -~\n\"]{0,200}") {
        for name in ["allowed_signers", "revoked_keys", "x.asc"] {
            let _ = Trust::read([(name, text.as_bytes())]);
        }
    }
}
