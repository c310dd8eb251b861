//! SSH signatures.

use std::fs;

use proof::{Trust, Verdict};

use crate::world::{NOW, World, names};

const KINDS: [(&str, &[&str]); 5] = [
    ("ed25519", &["ed25519"]),
    ("p256", &["ecdsa", "-b", "256"]),
    ("p384", &["ecdsa", "-b", "384"]),
    ("p521", &["ecdsa", "-b", "521"]),
    ("rsa", &["rsa", "-b", "3072"]),
];

#[test]
fn every_kind_of_key_is_good_and_as_git_has_it() {
    let world = World::new();
    let lines: Vec<String> = KINDS
        .iter()
        .map(|(name, kind)| format!("{name}@example.org {}", world.ssh_key(name, kind)))
        .collect();
    let trust = world.trust(&lines, &[]);
    for (name, _) in KINDS {
        let object = world.commit(Some(name));
        assert!(world.git_verifies("verify-commit", "HEAD", None), "{name}");
        let verdict = trust.commit(&object);
        assert_eq!(names(&verdict), [format!("{name}@example.org")]);
        // One bit of the message, and nothing fits.
        let mut other = object.clone();
        *other.iter_mut().rev().nth(1).unwrap() ^= 1;
        assert_eq!(
            trust.commit(&other),
            Verdict::Bad("it does not fit the object"),
            "{name}"
        );
    }
}

#[test]
fn unsigned_and_unknown_are_told_apart() {
    let world = World::new();
    let known = world.ssh_key("known", &["ed25519"]);
    let stranger = world.ssh_key("stranger", &["ed25519"]);
    let trust = world.trust(&[format!("ada@example.org {known}")], &[]);
    assert_eq!(trust.commit(&world.commit(None)), Verdict::Unsigned);
    let verdict = trust.commit(&world.commit(Some("stranger")));
    let shown = String::from_utf8(world.run(
        "ssh-keygen",
        &["-lf", world.path("stranger.pub").to_str().unwrap()],
    ))
    .unwrap();
    let fingerprint = shown.split(' ').nth(1).unwrap();
    assert_eq!(verdict, Verdict::Unknown(fingerprint.to_owned()));
    assert!(
        verdict.to_string().contains("nobody is trusted with"),
        "{verdict} {stranger}"
    );
    assert!(!world.git_verifies("verify-commit", "HEAD", None));
}

#[test]
fn a_key_counts_while_its_line_says_so() {
    let world = World::new();
    let key = world.ssh_key("ada", &["ed25519"]);
    // NOW is 2023-11-14T22:13:20Z.
    for (options, word) in [
        ("valid-after=\"20231114\",valid-before=\"20231115\"", "good"),
        ("valid-after=\"20231114221320Z\"", "good"),
        ("valid-before=\"20231114\"", "expired"),
        ("valid-after=\"20231114221321Z\"", "early"),
        ("namespaces=\"git\"", "good"),
        ("namespaces=\"file\"", "unknown"),
        ("cert-authority", "unknown"),
    ] {
        let trust = world.trust(&[format!("ada@example.org {options} {key}")], &[]);
        let verdict = trust.commit(&world.commit(Some("ada")));
        assert_eq!(verdict.word(), word, "{options}");
        assert_eq!(
            world.git_verifies("verify-commit", "HEAD", None),
            word == "good",
            "{options}"
        );
    }
    // A line that has run out does not spoil one that has not.
    let lines = [
        format!("old@example.org valid-before=\"20200101\" {key}"),
        format!("new@example.org {key}"),
    ];
    let trust = world.trust(&lines, &[]);
    assert_eq!(
        names(&trust.commit(&world.commit(Some("ada")))),
        ["new@example.org"]
    );
}

#[test]
fn revoked_keys_count_for_nothing() {
    let world = World::new();
    let key = world.ssh_key("ada", &["ed25519"]);
    let line = [format!("ada@example.org {key}")];
    let public = world.path("ada.pub");
    let list = world.path("krl");
    world.run(
        "ssh-keygen",
        &["-q", "-k", "-f", list.to_str().unwrap(), public.to_str().unwrap()],
    );
    let by_hash = world.path("hashes");
    let shown = String::from_utf8(world.run("ssh-keygen", &["-lf", public.to_str().unwrap()])).unwrap();
    let fingerprint = shown.split(' ').nth(1).unwrap().to_owned();
    fs::write(&by_hash, format!("hash: {fingerprint}\n")).unwrap();
    let hashes = world.path("krl2");
    world.run(
        "ssh-keygen",
        &[
            "-q",
            "-k",
            "-f",
            hashes.to_str().unwrap(),
            by_hash.to_str().unwrap(),
        ],
    );
    let object = world.commit(Some("ada"));
    for bytes in [
        fs::read(&list).unwrap(),
        fs::read(&hashes).unwrap(),
        format!("# gone\n{key}\n").into_bytes(),
        format!("{fingerprint}\n").into_bytes(),
    ] {
        let trust = world.trust(&line, &[("revoked_keys", &bytes)]);
        assert_eq!(trust.commit(&object), Verdict::Revoked(fingerprint.clone()));
    }
    assert!(world.git_verifies("verify-commit", "HEAD", None));
    assert!(!world.git_verifies("verify-commit", "HEAD", Some(&list)));
    let wrong = Trust::read([("revoked_keys", b"not a key\n".as_slice())]).unwrap_err();
    assert!(wrong.to_string().contains("line 1"), "{wrong}");
}

/// A certificate for `ada`, signed by `authority`, with more arguments.
fn certificate(world: &World, authority: &str, more: &[&str]) {
    let (authority, public) = (world.path(authority), world.path("ada.pub"));
    let mut arguments = vec!["-q", "-s", authority.to_str().unwrap(), "-I", "ada-2023"];
    arguments.extend_from_slice(more);
    arguments.push(public.to_str().unwrap());
    world.run("ssh-keygen", &arguments);
}

#[test]
fn certificates_count_as_their_authority_says() {
    let world = World::new();
    world.ssh_key("ada", &["ed25519"]);
    let authority = world.ssh_key("authority", &["ecdsa", "-b", "256"]);
    let other = world.ssh_key("other", &["ed25519"]);
    let trust = world.trust(&[format!("*@example.org cert-authority {authority}")], &[]);
    let valid = ["-n", "ada@example.org,ada", "-V", "20230101:20240101", "-z", "7"];
    let judged = |more: &[&str]| {
        certificate(&world, "authority", more);
        trust.commit(&world.commit(Some("ada-cert.pub")))
    };
    assert_eq!(names(&judged(&valid)), ["ada@example.org"]);
    assert!(world.git_verifies("verify-commit", "HEAD", None));
    let good = world.object("commit", "HEAD");
    assert_eq!(
        judged(&["-n", "ada@elsewhere.org", "-V", "20230101:20240101"]).word(),
        "unknown"
    );
    assert_eq!(
        judged(&["-n", "ada@example.org", "-V", "20220101:20230101"]).word(),
        "expired"
    );
    assert!(!world.git_verifies("verify-commit", "HEAD", None));
    assert_eq!(
        judged(&["-n", "ada@example.org", "-V", "20240101:20250101"]).word(),
        "early"
    );
    assert_eq!(judged(&["-n", "ada@example.org", "-h"]).word(), "bad");
    assert_eq!(
        judged(&["-n", "ada@example.org", "-O", "force-command=x"]).word(),
        "bad"
    );
    certificate(&world, "other", &valid);
    assert_eq!(
        trust.commit(&world.commit(Some("ada-cert.pub"))).word(),
        "unknown",
        "{other}"
    );
    // Its key alone is not trusted.
    assert_eq!(trust.commit(&world.commit(Some("ada"))).word(), "unknown");

    // Revoked by number, by a range, by many, by id, and with its authority.
    let spec = world.path("spec");
    let list = world.path("krl");
    let public = world.path("authority.pub");
    for (what, revoked) in [
        ("serial: 7", true),
        ("serial: 8", false),
        ("serial: 5-9", true),
        ("serial: 1\nserial: 3\nserial: 5\nserial: 7\nserial: 11", true),
        ("serial: 1\nserial: 3\nserial: 5\nserial: 9\nserial: 11", false),
        ("id: ada-2023", true),
        ("id: ada-2024", false),
    ] {
        fs::write(&spec, format!("{what}\n")).unwrap();
        let arguments = [
            "-q",
            "-k",
            "-f",
            list.to_str().unwrap(),
            "-s",
            public.to_str().unwrap(),
            spec.to_str().unwrap(),
        ];
        world.run("ssh-keygen", &arguments);
        let line = [format!("*@example.org cert-authority {authority}")];
        let trust = world.trust(&line, &[("team.krl", &fs::read(&list).unwrap())]);
        let word = if revoked { "revoked" } else { "good" };
        assert_eq!(trust.commit(&good).word(), word, "{what}");
    }
}

#[test]
fn a_signature_of_something_else_does_not_count() {
    let world = World::new();
    let key = world.ssh_key("ada", &["ed25519"]);
    let trust = world.trust(&[format!("ada@example.org {key}")], &[]);
    let first = String::from_utf8(world.commit(Some("ada"))).unwrap();
    let second = String::from_utf8(world.commit_at("1700000001", Some("ada"))).unwrap();
    let signature = |text: &str| {
        let start = text.find("gpgsig ").unwrap();
        let end = text.find("-----END SSH SIGNATURE-----\n").unwrap() + "-----END SSH SIGNATURE-----\n".len();
        text[start..end].to_owned()
    };
    let moved = second.replace(&signature(&second), &signature(&first));
    assert_eq!(
        trust.commit(moved.as_bytes()),
        Verdict::Bad("it does not fit the object")
    );
    let twice = second.replace(
        &signature(&second),
        &format!("{}{}", signature(&second), signature(&first)),
    );
    assert_eq!(
        trust.commit(twice.as_bytes()),
        Verdict::Bad("it holds two signatures")
    );

    // A file that Ada signed for another purpose, put into a commit.
    let unsigned = world.commit(None);
    let payload = world.path("payload");
    fs::write(&payload, &unsigned).unwrap();
    let private = world.path("ada");
    world.run(
        "ssh-keygen",
        &[
            "-q",
            "-Y",
            "sign",
            "-n",
            "file",
            "-f",
            private.to_str().unwrap(),
            payload.to_str().unwrap(),
        ],
    );
    let armored = fs::read_to_string(world.path("payload.sig")).unwrap();
    let header = armored.trim_end().replace('\n', "\n ");
    let text = String::from_utf8(unsigned)
        .unwrap()
        .replacen("\n\n", &format!("\ngpgsig {header}\n\n"), 1);
    assert_eq!(
        trust.commit(text.as_bytes()),
        Verdict::Bad("it was made for another purpose than Git")
    );
    let name = world.store("commit", text.as_bytes());
    assert!(!world.git_verifies("verify-commit", &name, None));
}

#[test]
fn a_signed_tag_is_not_a_signed_commit() {
    let world = World::new();
    let key = world.ssh_key("ada", &["ed25519"]);
    let trust = world.trust(&[format!("ada@example.org {key}")], &[]);
    world.commit(None);
    let signing = format!("user.signingkey={}", world.path("ada").display());
    world.git(&[
        "-c",
        "gpg.format=ssh",
        "-c",
        &signing,
        "tag",
        "-s",
        "-m",
        "One",
        "v1",
    ]);
    let tag = world.object("tag", "v1");
    assert_eq!(names(&trust.tag(&tag)), ["ada@example.org"]);
    assert!(world.git_verifies("verify-tag", "v1", None));
    assert_eq!(
        trust.commit(&world.object("commit", "v1^{commit}")),
        Verdict::Unsigned
    );
    world.git(&["tag", "-a", "-m", "Two", "v2"]);
    assert_eq!(trust.tag(&world.object("tag", "v2")), Verdict::Unsigned);
    let moved = String::from_utf8(tag).unwrap().replacen("tag v1", "tag v9", 1);
    assert_eq!(trust.tag(moved.as_bytes()).word(), "bad");
    assert_eq!(NOW.len(), 10);
}
