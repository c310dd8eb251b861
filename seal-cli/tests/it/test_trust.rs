//! Which key is trusted: the first that is seen, and another one only if a person says so.

use crate::support::{
    ApiServer, CERTIFICATE, Response, SECRET, SealedYaml, TestEnvironment, behind_service, key_set, native,
    other_certificate, rsa, serve_keys,
};
use sealing::keyset::{EndorsementKey, EndorsementName, KeySet};
use sealing::v2::{Identity, Suite};
use serde_json::Value;
use std::sync::{Arc, Mutex};

const FIRST: &str = "SHA256:T2fIIetCYEwRtXNWXg8cq5J6i/dOXuzjIIgf+Z8OrtM";

/// A controller whose certificate can be changed.
fn controller(env: &mut TestEnvironment) -> (ApiServer, Arc<Mutex<String>>) {
    let certificate = Arc::new(Mutex::new(CERTIFICATE.to_owned()));
    let served = Arc::clone(&certificate);
    let server = ApiServer::start(behind_service(move |request| {
        if request.path.ends_with("/v1/keys") {
            return Response::error(404, "not found");
        }
        Response::text(served.lock().unwrap().clone())
    }));
    env.use_cluster(&server);
    (server, certificate)
}

#[test]
fn the_first_key_is_pinned_and_another_is_refused() {
    let mut env = TestEnvironment::new();
    let (_server, certificate) = controller(&mut env);
    env.git(&["init", "-q"]);
    SealedYaml::write(&env, "db.yaml");
    let set = |value: &str, more: &[&str]| env.signet(&[&["set", "db.yaml", value], more].concat());
    let output = set("a=1", &[]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(
        output.stderr.starts_with(&format!(
            "This is the first key seen in this repository: {FIRST}. It is pinned in .signet.yaml; compare it with the \
             controller's, and commit the file.\n"
        )),
        "{}",
        output.stderr
    );
    let pinned = env.read(".signet.yaml");
    assert!(
        pinned.contains(FIRST)
            && pinned.contains("audience: Cluster")
            && pinned.contains("BEGIN CERTIFICATE")
    );
    let quiet = set("a=2", &[]);
    assert_eq!(
        (quiet.code, quiet.stderr.lines().count()),
        (0, 1),
        "{}",
        quiet.stderr
    );

    let (other, fingerprint) = other_certificate();
    *certificate.lock().unwrap() = other;
    let before = env.read("db.yaml");
    let refused = set("a=3", &[]);
    refused.assert_failure(
        1,
        &format!(
            "error: the key that was fetched is {fingerprint}, but .signet.yaml pins {FIRST}: \
             the controller serves no key set that could endorse it\nhint: keys are renewed from time to time; somebody in the way looks the same. Compare with the fingerprint that \
             the controller logs at its start, then give --trust-new-key {fingerprint}\n"
        ),
    );
    assert_eq!(
        (env.read("db.yaml"), env.read(".signet.yaml")),
        (before, pinned.clone())
    );
    // Another fingerprint than the one that is there does not help.
    assert_eq!(set("a=3", &["--trust-new-key", FIRST]).code, 1);
    // Comments of people stay.
    env.write(
        ".signet.yaml",
        &format!("# ours\n{pinned}lint:\n  exclude: [x] # old\n"),
    );
    let output = set("a=3", &["--trust-new-key", &fingerprint]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let now = env.read(".signet.yaml");
    assert!(now.contains(&fingerprint) && !now.contains(FIRST), "{now}");
    assert!(
        now.starts_with("# ours\n") && now.ends_with("lint:\n  exclude: [x] # old\n"),
        "{now}"
    );
    assert_eq!(set("a=4", &[]).code, 0);
}

#[test]
fn a_pinned_key_needs_no_cluster() {
    let mut env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    SealedYaml::write(&env, "db.yaml");
    let set = ["set", "db.yaml", "a=1", "--offline"];
    env.signet(&set).assert_failure(
        1,
        "error: no key is pinned in .signet.yaml\n\
         hint: seal once where the cluster can be reached, or give --cert FILE; both pin the key or name it\n",
    );
    let (server, _) = controller(&mut env);
    assert_eq!(env.signet(&["set", "db.yaml", "a=1"]).code, 0);
    let asked = server.requests().len();
    assert_eq!(env.signet(&set).code, 0);
    assert_eq!(server.requests().len(), asked, "nobody was asked");
}

#[test]
fn a_damaged_pin_stops_everything() {
    let env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    env.write("secret.yaml", SECRET);
    SealedYaml::write(&env, "db.yaml");
    for (text, problem) in [
        ("sealingKeys: 7\n", "invalid type"),
        ("sealingkeys: []\n", "unknown field `sealingkeys`"),
        (
            "sealingKeys: [{fingerprint: x, certificate: pem}]\n",
            "the pinned certificate cannot be used: no PEM block `CERTIFICATE` in it",
        ),
    ] {
        env.write(".signet.yaml", text);
        let output = env.signet(&["set", "db.yaml", "a=1", "--cert", "cert.pem"]);
        assert_eq!(output.code, 1);
        assert!(output.stderr.contains(problem), "{}", output.stderr);
    }
}

/// A key that the pinned one endorses is taken, also over two rotations; one that it does not is not.
#[test]
fn a_renewed_key_is_taken_if_the_pinned_one_endorses_it() {
    let mut env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let (_server, served) = serve_keys(&mut env, Some(key_set(1, [rsa(false)])));
    let seal = || env.signet_with(&["seal", "-w", "db.yaml"], SECRET);
    let first = seal();
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert!(
        first
            .stderr
            .starts_with("This is the first key seen in this repository"),
        "{}",
        first.stderr
    );
    let pinned = env.read(".signet.yaml");
    assert!(pinned.contains(FIRST) && pinned.contains("trusted:"), "{pinned}");

    let (other, fingerprint) = other_certificate();
    // The new key alone is no successor: nobody says so.
    *served.lock().unwrap() = (other.clone(), Some(key_set(2, [rsa(true)])));
    for command in [&["seal", "-w", "db.yaml"][..], &["cert"]] {
        let output = env.signet_with(command, SECRET);
        assert!(
            output.code == 1
                && output.stdout.is_empty()
                && output.stderr.contains("nor endorsed by what is pinned"),
            "{}",
            output.stderr
        );
    }
    // Nor is it where the set endorses another one than is served.
    *served.lock().unwrap() = (other.clone(), Some(key_set(2, [rsa(false)])));
    assert!(
        seal()
            .stderr
            .contains("the controller's key set does not list it")
    );
    assert_eq!(env.read(".signet.yaml"), pinned);

    *served.lock().unwrap() = (other, Some(key_set(2, [rsa(false), rsa(true)])));
    // `cert` and kubeseal look, and write nothing.
    assert_eq!(env.signet(&["cert"]).code, 0);
    assert_eq!(env.kubeseal(&["--fetch-cert"], "").code, 0);
    assert_eq!(env.read(".signet.yaml"), pinned);
    let output = seal();
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(
        output.stderr.starts_with(&format!(
            "The controller has a new key, {fingerprint}, which the pinned one endorses.\n"
        )),
        "{}",
        output.stderr
    );
    let now = env.read(".signet.yaml");
    assert!(now.contains(&fingerprint) && !now.contains(FIRST), "{now}");
    // A set that was seen before is an old one.
    served.lock().unwrap().1 = Some(key_set(1, [rsa(false)]));
    served.lock().unwrap().0 = CERTIFICATE.to_owned();
    assert_eq!(seal().code, 1);
}

/// Under kubeseal's name a pin is respected, and none is made.
#[test]
fn kubeseal_respects_a_pin_and_makes_none() {
    let mut env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let (_server, served) = serve_keys(&mut env, None);
    assert_eq!(env.kubeseal(&[], SECRET).code, 0);
    assert!(!env.path(".signet.yaml").exists());
    assert_eq!(env.signet_with(&["seal"], SECRET).code, 0);
    assert!(env.path(".signet.yaml").exists());
    served.lock().unwrap().0 = other_certificate().0;
    let output = env.kubeseal(&[], SECRET);
    assert!(
        output.code == 1 && output.stdout.is_empty() && output.stderr.contains(".signet.yaml pins"),
        "{}",
        output.stderr
    );
    assert_eq!(env.kubeseal(&["--cert", "cert.pem"], SECRET).code, 0);
}

/// What is known of one controller's key set says nothing of another controller.
#[test]
fn a_confirmed_certificate_without_a_key_set_takes_the_old_set_away() {
    let mut env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let (_server, served) = serve_keys(&mut env, Some(key_set(1, [rsa(false)])));
    let seal = |more: &[&str]| env.signet_with(&[&["seal", "-w", "db.yaml"][..], more].concat(), SECRET);
    assert_eq!(seal(&[]).code, 0);
    assert!(env.read(".signet.yaml").contains("keySet:"));
    let (other, fingerprint) = other_certificate();
    *served.lock().unwrap() = (other, None);
    assert_eq!(seal(&[]).code, 1);
    let output = seal(&["--trust-new-key", &fingerprint]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let pinned = env.read(".signet.yaml");
    assert!(
        pinned.contains(&fingerprint) && !pinned.contains("keySet:"),
        "{pinned}"
    );
}

/// Whoever is in the way can serve the controller's own certificate in a key set of theirs: a person who compares the
/// fingerprint alone must not be made to believe them later.
#[test]
fn a_confirmed_fingerprint_makes_no_signer_believed_that_was_not_confirmed() {
    let mut env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let (_server, served) = serve_keys(&mut env, None);
    let seal = |more: &[&str]| env.signet_with(&[&["seal", "-w", "db.yaml"][..], more].concat(), SECRET);
    assert_eq!(seal(&[]).code, 0);
    // The new certificate, listed by two who sign: its own key, and somebody else.
    let evil = Identity::generate(Suite::X25519).unwrap();
    let evils = EndorsementKey::of_identity(&evil).unwrap().name().to_string();
    let (other, fingerprint) = other_certificate();
    let set = key_set(1, [rsa(true), native(&evil)]);
    let signers = signers(&set);
    let own = signers.iter().find(|name| **name != evils).unwrap();
    *served.lock().unwrap() = (other.clone(), Some(set));
    let refused = seal(&[]);
    assert!(
        refused.code == 1
            && refused
                .stderr
                .ends_with(&format!("--trust-new-key {fingerprint},{}\n", signers.join(","))),
        "{}",
        refused.stderr
    );
    let output = seal(&["--trust-new-key", &fingerprint]);
    assert!(
        output.code == 0 && output.stderr.contains("Its key set is not believed"),
        "{}",
        output.stderr
    );
    let pinned = env.read(".signet.yaml");
    assert!(
        pinned.contains(&fingerprint) && !pinned.contains("ed25519-"),
        "{pinned}"
    );
    // Nor is anybody later: the second seal pins nobody, and the third takes no key that they endorse.
    let second = seal(&[]);
    assert_eq!(
        (second.code, second.stderr.lines().count()),
        (0, 1),
        "{}",
        second.stderr
    );
    assert_eq!(env.read(".signet.yaml"), pinned);
    let theirs = key_set(2, [rsa(true), rsa(false), native(&evil)]);
    *served.lock().unwrap() = (CERTIFICATE.to_owned(), Some(theirs));
    let third = seal(&[]);
    assert!(
        third.code == 1
            && third
                .stderr
                .contains("nothing is pinned of the controller's key set"),
        "{}",
        third.stderr
    );
    assert_eq!(env.read(".signet.yaml"), pinned);
    // Named with its signer, the signer and no other is believed, whoever else has signed.
    std::fs::remove_file(env.path(".signet.yaml")).unwrap();
    served.lock().unwrap().0 = CERTIFICATE.to_owned();
    served.lock().unwrap().1 = None;
    assert_eq!(seal(&[]).code, 0);
    *served.lock().unwrap() = (other, Some(key_set(2, [rsa(true)])));
    let output = seal(&["--trust-new-key", &format!("{fingerprint},{own}")]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let pinned = env.read(".signet.yaml");
    assert!(
        pinned.contains(own.as_str()) && !pinned.contains(&evils),
        "{pinned}"
    );
}

/// A certificate that was pinned when the controller had no key set, or by an earlier signet. Whoever answers for the Service
/// can serve that certificate, and a set of theirs that lists it: nobody is believed until a person names them.
#[test]
fn a_pinned_certificate_makes_no_signer_believed_in_silence() {
    let mut env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let (server, served) = serve_keys(&mut env, None);
    let seal = |more: &[&str]| env.signet_with(&[&["seal", "-w", "db.yaml"][..], more].concat(), SECRET);
    assert_eq!(seal(&[]).code, 0);
    let pinned = env.read(".signet.yaml");
    assert!(!pinned.contains("keySet:"));

    let evil = Identity::generate(Suite::X25519).unwrap();
    let evils = EndorsementKey::of_identity(&evil).unwrap().name().to_string();
    let own = signers(&key_set(1, [rsa(false)])).remove(0);
    served.lock().unwrap().1 = Some(signed_by(&evils, &key_set(1, [rsa(false), native(&evil)])));
    let asked = server.requests().len();
    let output = seal(&[]);
    assert_eq!(
        (output.code, output.stderr.lines().count()),
        (0, 1),
        "nothing is said, for nothing is pinned: {}",
        output.stderr
    );
    assert_eq!(env.read(".signet.yaml"), pinned);
    assert_eq!(
        server.requests().len() - asked,
        2,
        "the Service, and the certificate"
    );
    // Their own certificate, which their set endorses.
    let (other, fingerprint) = other_certificate();
    let theirs = signed_by(&evils, &key_set(2, [rsa(false), rsa(true), native(&evil)]));
    *served.lock().unwrap() = (other.clone(), Some(theirs.clone()));
    let refused = seal(&[]);
    assert!(
        refused.code == 1
            && refused.stdout.is_empty()
            && refused
                .stderr
                .contains("nothing is pinned of the controller's key set"),
        "{}",
        refused.stderr
    );
    assert_eq!(env.read(".signet.yaml"), pinned);

    // A person names who signs, the certificate being as it is pinned: not who does not sign, nor a set without it.
    let name = |signer: &str| seal(&["--trust-new-key", signer]);
    *served.lock().unwrap() = (CERTIFICATE.to_owned(), Some(key_set(1, [rsa(true)])));
    let others = signers(&key_set(1, [rsa(true)])).remove(0);
    for (signer, problem) in [
        (&own, format!("it is signed by {others}")),
        (&others, "it does not list the pinned certificate".to_owned()),
    ] {
        let output = name(signer);
        assert!(
            output.code == 1 && output.stderr.contains(&problem),
            "{}",
            output.stderr
        );
    }
    served.lock().unwrap().1 = Some(theirs);
    assert!(name(&own).stderr.contains(&format!("it is signed by {evils}")));
    served.lock().unwrap().1 = None;
    assert!(name(&own).stderr.contains("it serves none that can be used"));
    assert_eq!(env.read(".signet.yaml"), pinned);
    served.lock().unwrap().1 = Some(key_set(1, [rsa(false)]));
    let output = name(&own);
    assert!(
        output.code == 0
            && output.stderr.starts_with(&format!(
                "The controller's key set is pinned in .signet.yaml; commit the file.\nIts key sets are believed if {own} signs"
            )),
        "{}",
        output.stderr
    );
    let now = env.read(".signet.yaml");
    assert!(now.contains("keySet:") && !now.contains(&evils), "{now}");
    // Named again there is nothing to ask for.
    let asked = server.requests().len();
    assert_eq!(name(&own).stderr.lines().count(), 1, "nothing more to say");
    assert_eq!(server.requests().len() - asked, 2);
    // And so the next key needs nobody.
    *served.lock().unwrap() = (other, Some(key_set(2, [rsa(false), rsa(true)])));
    let output = seal(&[]);
    assert!(
        output.code == 0
            && output
                .stderr
                .contains(&format!("new key, {fingerprint}, which the pinned one endorses")),
        "{}",
        output.stderr
    );
}

/// Also where nothing is known yet, whom a person names is believed, and nobody else.
#[test]
fn a_signer_that_is_named_at_first_is_the_only_one() {
    let mut env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let evil = Identity::generate(Suite::X25519).unwrap();
    let evils = EndorsementKey::of_identity(&evil).unwrap().name().to_string();
    let own = signers(&key_set(1, [rsa(false)])).remove(0);
    let theirs = signed_by(&evils, &key_set(1, [rsa(false), native(&evil)]));
    let (_server, served) = serve_keys(&mut env, Some(theirs));
    let seal = |format: &str| {
        let seal = [
            "seal",
            "--format",
            format,
            "-w",
            "db.yaml",
            "--trust-new-key",
            &own,
        ];
        env.signet_with(&seal, SECRET)
    };
    let refused = seal("v2");
    assert!(
        refused.code == 1 && refused.stderr.contains("the controller's key set"),
        "{}",
        refused.stderr
    );
    assert!(!env.path(".signet.yaml").exists());
    let output = seal("v1");
    assert!(
        output.code == 0 && output.stderr.contains("Its key set is not believed"),
        "{}",
        output.stderr
    );
    assert!(!env.read(".signet.yaml").contains("ed25519-"));
    std::fs::remove_file(env.path(".signet.yaml")).unwrap();
    served.lock().unwrap().1 = Some(key_set(1, [rsa(false)]));
    assert_eq!(seal("v1").code, 0);
    let pinned = env.read(".signet.yaml");
    assert!(pinned.contains(&own) && !pinned.contains(&evils), "{pinned}");
}

/// The same set without the signatures of others.
fn signed_by(name: &str, set: &str) -> String {
    let mut document: Value = serde_json::from_str(set).unwrap();
    let signatures = document["signatures"].as_array_mut().unwrap();
    let signer = |one: &Value| EndorsementName::of_public_text(one["publicKey"].as_str().unwrap()).unwrap();
    signatures.retain(|one| signer(one).as_str() == name);
    assert_eq!(signatures.len(), 1);
    document.to_string()
}

fn signers(set: &str) -> Vec<String> {
    let signers = KeySet::read(set).unwrap().signers().clone();
    signers.iter().map(ToString::to_string).collect()
}
