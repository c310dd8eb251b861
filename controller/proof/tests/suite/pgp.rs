//! OpenPGP signatures.

use std::fs;

use proof::{Trust, Verdict};

use crate::world::{World, names};

/// Makes a key and gives its fingerprint. `time` is what GnuPG believes the time to be.
fn key(world: &World, name: &str, kind: &str, usage: &str, expires: &str, time: &str) -> String {
    let id = format!("{name} <{name}@example.org>");
    let arguments = [
        "--batch",
        "--quiet",
        "--faked-system-time",
        time,
        "--passphrase",
        "",
        "--quick-gen-key",
        &id,
        kind,
        usage,
        expires,
    ];
    world.run("gpg", &arguments);
    let listed = world.run("gpg", &["--batch", "--with-colons", "--list-keys", &id]);
    let text = String::from_utf8(listed).unwrap();
    let line = text.lines().find(|line| line.starts_with("fpr:")).unwrap();
    line.split(':').nth(9).unwrap().to_owned()
}

fn export(world: &World, name: &str) -> Vec<u8> {
    world.run("gpg", &["--batch", "--armor", "--export", name])
}

/// A commit signed by a key, at a time that GnuPG is told: `!` makes the clock stand still.
fn commit(world: &World, key: &str, time: &str) -> Vec<u8> {
    let script = world.path("gpg-then");
    fs::write(
        &script,
        format!("#!/bin/sh\nexec gpg --faked-system-time {time} \"$@\"\n"),
    )
    .unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, executable).unwrap();
    let program = format!("gpg.program={}", script.display());
    let signing = format!("user.signingkey={key}");
    world.git(&[
        "-c",
        &program,
        "-c",
        &signing,
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        "Change",
        "-S",
    ]);
    world.object("commit", "HEAD")
}

fn trust(files: &[(&str, &[u8])]) -> Trust {
    Trust::read(files.iter().copied()).unwrap()
}

const MADE: &str = "20230101T000000!";
const SIGNED: &str = "20231114T221320!";

#[test]
fn every_kind_of_key_is_good_and_as_git_has_it() {
    let world = World::new();
    for kind in ["ed25519", "rsa3072", "nistp256", "nistp384", "nistp521"] {
        let fingerprint = key(&world, kind, kind, "sign", "never", MADE);
        let object = commit(&world, &fingerprint, SIGNED);
        assert!(world.git_verifies("verify-commit", "HEAD", None), "{kind}");
        let trust = trust(&[("team.asc", &export(&world, &fingerprint))]);
        let verdict = trust.commit(&object);
        assert_eq!(names(&verdict), [format!("{kind}@example.org")]);
        assert_eq!(verdict.signer().unwrap().key, fingerprint);
        let mut other = object.clone();
        *other.iter_mut().rev().nth(1).unwrap() ^= 1;
        assert_eq!(trust.commit(&other).word(), "bad", "{kind}");
    }
}

#[test]
fn a_subkey_signs_for_its_key() {
    let world = World::new();
    let main = key(&world, "ada", "ed25519", "cert", "never", MADE);
    for kind in ["rsa2048", "ed25519"] {
        let arguments = [
            "--batch",
            "--faked-system-time",
            MADE,
            "--passphrase",
            "",
            "--quick-add-key",
            &main,
            kind,
            "sign",
            "never",
        ];
        world.run("gpg", &arguments);
    }
    let trust = trust(&[("ada.asc", &export(&world, &main))]);
    let verdict = trust.commit(&commit(&world, &main, SIGNED));
    assert_eq!(
        (names(&verdict), verdict.signer().unwrap().key.as_str()),
        (vec!["ada@example.org"], main.as_str())
    );
}

#[test]
fn strangers_and_faked_names_of_keys_are_refused() {
    let world = World::new();
    let ada = key(&world, "ada", "ed25519", "sign", "never", MADE);
    let eve = key(&world, "eve", "ed25519", "sign", "never", MADE);
    let trust = trust(&[("ada.asc", &export(&world, &ada))]);
    assert_eq!(
        trust.commit(&commit(&world, &eve, SIGNED)),
        Verdict::Unknown(eve.clone())
    );

    // Eve's signature, and Ada's name on it: the fingerprint and the key id are only words.
    let file = world.path("payload");
    let object = commit(&world, &eve, SIGNED);
    let text = String::from_utf8(object).unwrap();
    let start = text.find("gpgsig ").unwrap();
    let end = text.find("-----END PGP SIGNATURE-----\n").unwrap();
    let armored: String = text[start + 7..end].replace("\n ", "\n");
    fs::write(&file, format!("{armored}-----END PGP SIGNATURE-----\n")).unwrap();
    let binary = world.run(
        "gpg",
        &["--batch", "--dearmor", "--output", "-", file.to_str().unwrap()],
    );
    let raw = |hex: &str| -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
            .collect()
    };
    let (from, to) = (raw(&eve), raw(&ada));
    let mut faked = binary.clone();
    for (from, to) in [(&from[..], &to[..]), (&from[12..], &to[12..])] {
        while let Some(at) = faked.windows(from.len()).position(|window| window == from) {
            faked.splice(at..at + from.len(), to.iter().copied());
        }
    }
    assert_ne!(faked, binary);
    fs::write(&file, &faked).unwrap();
    let armored = String::from_utf8(world.run(
        "gpg",
        &["--batch", "--enarmor", "--output", "-", file.to_str().unwrap()],
    ))
    .unwrap();
    let armored = armored.replace("PGP ARMORED FILE", "PGP SIGNATURE");
    let body: Vec<&str> = armored
        .lines()
        .filter(|line| !line.starts_with("Comment:"))
        .collect();
    let forged = format!(
        "{}gpgsig {}\n{}",
        &text[..start],
        body.join("\n "),
        &text[end + "-----END PGP SIGNATURE-----\n".len()..]
    );
    let name = world.store("commit", forged.as_bytes());
    assert_eq!(
        trust.commit(forged.as_bytes()),
        Verdict::Bad("it does not fit the object and the key that it names")
    );
    assert!(!world.git_verifies("verify-commit", &name, None));
}

#[test]
fn expired_revoked_and_early_keys_are_named() {
    let world = World::new();
    // Signed in November; the key then says that it ended in March.
    let expired = key(&world, "expired", "ed25519", "sign", "never", MADE);
    let object = commit(&world, &expired, SIGNED);
    let good = trust(&[("a.asc", &export(&world, &expired))]);
    assert_eq!(good.commit(&object).word(), "good");
    world.run(
        "gpg",
        &[
            "--batch",
            "--faked-system-time",
            "20230102T000000!",
            "--passphrase",
            "",
            "--quick-set-expire",
            &expired,
            "20230301T000000",
        ],
    );
    let late = trust(&[("a.asc", &export(&world, &expired))]);
    assert_eq!(late.commit(&object), Verdict::Expired(expired));

    let revoked = key(&world, "revoked", "rsa2048", "sign", "never", MADE);
    let object = commit(&world, &revoked, SIGNED);
    let before = export(&world, &revoked);
    let file = world.path(&format!("gnupg/openpgp-revocs.d/{revoked}.rev"));
    let text = fs::read_to_string(&file)
        .unwrap()
        .replace(":-----BEGIN", "-----BEGIN");
    fs::write(&file, text).unwrap();
    world.run("gpg", &["--batch", "--quiet", "--import", file.to_str().unwrap()]);
    assert!(!world.git_verifies("verify-commit", "HEAD", None));
    let gone = trust(&[("a.asc", &export(&world, &revoked))]);
    assert_eq!(gone.commit(&object), Verdict::Revoked(revoked.clone()));
    // By a list of ours, whatever the key says of itself.
    let listed = trust(&[
        ("a.asc", &before),
        ("revoked_keys", format!("{revoked}\n").as_bytes()),
    ]);
    assert_eq!(listed.commit(&object), Verdict::Revoked(revoked));
}

#[test]
fn weak_digests_and_keys_that_are_not_for_signing_are_refused() {
    let world = World::new();
    let ada = key(&world, "ada", "rsa2048", "sign", "never", MADE);
    let trust_ada = trust(&[("ada.asc", &export(&world, &ada))]);
    fs::write(
        world.path("gnupg/gpg.conf"),
        "digest-algo SHA1\nweak-digest MD5\n",
    )
    .unwrap();
    let object = commit(&world, &ada, SIGNED);
    assert_eq!(
        trust_ada.commit(&object),
        Verdict::Unsupported("made with SHA-1 or something as weak")
    );
    fs::write(world.path("gnupg/gpg.conf"), "").unwrap();
    assert!(Trust::read([("x.asc", b"nothing".as_slice())]).is_err());
    assert!(
        Trust::read([("notes.txt", b"".as_slice())])
            .unwrap_err()
            .to_string()
            .contains("allowed_signers")
    );
    assert!(Trust::read([]).is_err());
}
