//! C2SP's test vectors for age, and the stock `age` program: `tests/age/build.sh` brings both below `target/cluster`. Without
//! them these tests say so and pass.

use super::support::*;
use age::armor::ArmoredReader;
use sealing::v2::{Identities, Identity, Recipient, Recipients, Suite};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn built(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../target/cluster")
        .join(name);
    if !path.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "tests/age/build.sh has to run first"
        );
        eprintln!(
            "skipped: {} is not there; tests/age/build.sh makes it",
            path.display()
        );
        return None;
    }
    Some(path)
}

/// Where the age crate differs from the vectors today: none of it touches us, since format v2 reads the stanzas itself first,
/// and knows no armor.
const KNOWN: [&str; 3] = [
    "armor_whitespace_outside",
    "stanza_missing_body",
    "stanza_missing_final_line",
];

/// What the vector's file gives: `success` with the text's hash, or the kind of failure.
fn outcome(fields: &BTreeMap<String, Vec<String>>, body: &[u8]) -> (String, Vec<u8>) {
    let armored = fields.contains_key("armored");
    let mut ids: Vec<Box<dyn age::Identity>> = Vec::new();
    for text in fields.get("identity").into_iter().flatten() {
        ids.push(Box::new(Identity::parse(text).ok().unwrap()));
    }
    for text in fields.get("passphrase").into_iter().flatten() {
        let mut identity = age::scrypt::Identity::new(text.clone().into());
        identity.set_max_work_factor(15);
        ids.push(Box::new(identity));
    }
    let mut text = Vec::new();
    let result = (|| -> Result<(), &'static str> {
        let plain = if armored {
            // The reader takes what does not begin like armor for a binary file.
            if !body.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----") {
                return Err("armor failure");
            }
            let mut plain = Vec::new();
            ArmoredReader::new(body)
                .read_to_end(&mut plain)
                .map_err(|_| "armor failure")?;
            plain
        } else {
            body.to_vec()
        };
        let decryptor = age::Decryptor::new_buffered(plain.as_slice()).map_err(|_| "header failure")?;
        let mut reader = decryptor
            .decrypt(ids.iter().map(|id| &**id))
            .map_err(|err| match err {
                age::DecryptError::NoMatchingKeys | age::DecryptError::DecryptionFailed => "no match",
                age::DecryptError::InvalidMac => "HMAC failure",
                _ => "header failure",
            })?;
        let mut buffer = [0; 4096];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => text.extend_from_slice(&buffer[..read]),
                Err(_) => return Err("payload failure"),
            }
        }
    })();
    (result.err().unwrap_or("success").to_owned(), text)
}

#[test]
fn c2sps_vectors() {
    let Some(dir) = built("cctv-age") else { return };
    let (mut all, mut hybrid, mut differ) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let file = std::fs::read(&path).unwrap();
        let split = file.windows(2).position(|two| two == b"\n\n").unwrap();
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in std::str::from_utf8(&file[..split]).unwrap().lines() {
            let (key, value) = line.split_once(": ").unwrap();
            fields.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        let (found, text) = outcome(&fields, &file[split + 2..]);
        let hash: Vec<_> = Sha256::digest(&text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let hash = hash.concat();
        let right = found == fields["expect"][0]
            && (found != "success" || fields.get("payload").is_none_or(|payload| payload[0] == hash));
        all += 1;
        if name.contains("hybrid") {
            hybrid += 1;
            assert!(right, "{name}: {found}, not {}", fields["expect"][0]);
        }
        if !right {
            differ.push(format!("{name}: {found}, not {}", fields["expect"][0]));
        }
    }
    differ.sort();
    println!("{all} vectors, {hybrid} of them hybrid; differing: {differ:#?}");
    assert!(all >= 143 && hybrid >= 19, "{all} {hybrid}");
    let unexpected: Vec<_> = differ
        .iter()
        .filter(|line| !KNOWN.iter().any(|known| line.starts_with(known)))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

fn pipe(mut command: Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// Stock `age` opens the data key with the recovery key alone, and we open what it made for our keys.
#[test]
fn the_stock_program_both_ways() {
    let (Some(age), Some(keygen)) = (built("age"), built("age-keygen")) else {
        return;
    };
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for suite in [Suite::MlKem768X25519, Suite::X25519] {
        // The recovery key is made by the stock program.
        let mut make = Command::new(&keygen);
        if suite == Suite::MlKem768X25519 {
            make.arg("-pq");
        }
        let file = String::from_utf8(pipe(make, b"")).unwrap();
        let recovery = Identity::parse_file(&file).ok().unwrap().remove(0);
        assert_eq!(recovery.suite(), suite);
        assert!(
            file.contains(&recovery.recipient().to_string()),
            "the same public key"
        );
        let path = dir.join(format!("recovery-{suite}"));
        std::fs::write(&path, &file).unwrap();

        let cluster = Identity::generate(suite).unwrap();
        let to: Vec<Recipient> = [&cluster, &recovery].map(|key| key.recipient().clone()).into();
        let to = Recipients::new(to).unwrap();
        let sealed = sealing::v2::seal_secret(&secret(), &to, sealing::SealOptions::default()).unwrap();
        let object = sealed.to_value();
        let data_key = object["spec"]["dataKeys"][0]["age"].as_str().unwrap();
        let data_key = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, data_key).unwrap();
        let mut open = Command::new(&age);
        open.arg("-d").arg("-i").arg(&path);
        let payload = pipe(open, &data_key);
        let marks = [
            "signet.dev/sealed/v2/data-key",
            "Strict",
            "team",
            "db",
            cluster.key_id().as_str(),
        ];
        for mark in marks {
            assert!(
                payload.windows(mark.len()).any(|part| part == mark.as_bytes()),
                "{mark}"
            );
        }

        // The other way.
        let mut encrypt = Command::new(&age);
        encrypt.arg("-r").arg(cluster.recipient().to_string());
        let file = pipe(encrypt, b"hunter2");
        let ids = Identities::new([cluster]);
        assert_eq!(ids.decrypt(&file, 100).unwrap().expose(), b"hunter2");
        assert!(ids.decrypt(&file, 6).is_none(), "the bound holds");
        assert!(ids.decrypt(b"age-encryption.org/v1\n", 100).is_none());
        let mut open = Command::new(&age);
        open.arg("-d").arg("-i").arg(&path);
        assert_eq!(pipe(open, &to.encrypt(b"backup").unwrap()), b"backup");
    }
}
