//! `signet seal` in the native format: whom it seals for, what stays, what is refused.

use crate::support::{
    SECRET, TestEnvironment, key_set, native, native_object, other_certificate, rsa, serve_keys,
};
use sealing::keyset::EndorsementKey;
use sealing::v2::{Identities, Identity, SealedSecret, Suite};
use serde_json::Value;
use std::collections::BTreeMap;

fn identity() -> Identity {
    Identity::generate(Suite::MlKem768X25519).unwrap()
}

fn age(identity: &Identity) -> String {
    identity.recipient().to_string()
}

fn id(identity: &Identity) -> String {
    identity.key_id().to_string()
}

/// What is in the first object of a file, opened with one key.
fn opened(env: &TestEnvironment, file: &str, identity: &Identity) -> BTreeMap<String, String> {
    let object = native_object(env, file);
    let sealed = SealedSecret::parse(&object).unwrap_or_else(|errors| panic!("{errors:?}"));
    let identities = Identities::new([Identity::parse(&identity.to_text()).unwrap()]);
    let namespace = sealed.namespace().unwrap_or("anywhere").to_owned();
    let opened = sealed
        .open(&identities, &namespace)
        .unwrap_or_else(|errors| panic!("{errors:?}"));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let data = opened.data().iter();
    data.map(|(key, value)| (key.clone(), text(value.expose())))
        .collect()
}

fn lines_lost<'t>(before: &'t str, after: &str) -> Vec<&'t str> {
    let after: Vec<&str> = after.lines().collect();
    before.lines().filter(|line| !after.contains(line)).collect()
}

const TWO: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop, labels: {app: db}}\n\
                   stringData: {password: hunter2, user: app}\n";

#[test]
fn it_is_sealed_for_all_recipients_and_each_opens_it() {
    let env = TestEnvironment::new();
    let (cluster, recovery) = (identity(), identity());
    let to = ["--recipient", &age(&cluster), "--recipient", &age(&recovery)];
    let output = env.signet_with(&[&["seal", "-w", "db.yaml"][..], &to].concat(), SECRET);
    let mut ids = [id(&cluster), id(&recovery)];
    ids.sort();
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr),
        (
            0,
            "",
            format!(
                "Sealed 1 Secret into db.yaml, in format v2 for {}, {}.\n",
                ids[0], ids[1]
            )
        )
    );
    for key in [&cluster, &recovery] {
        assert_eq!(opened(&env, "db.yaml", key)["password"], "hunter2");
    }
    let object = native_object(&env, "db.yaml");
    assert_eq!(object["apiVersion"], "signet.dev/v1alpha1");
    assert_eq!(object["spec"]["template"]["metadata"]["labels"]["app"], "db");
    assert!(!env.read("db.yaml").contains("hunter2"));
}

#[test]
fn each_scope_is_that_of_the_flag_or_the_annotation() {
    let env = TestEnvironment::new();
    let key = identity();
    let seal = |more: &[&str], secret: &str| -> Value {
        let to = age(&key);
        let arguments = [
            &["seal", "-o", "json", "--format", "v2", "--recipient", &to][..],
            more,
        ]
        .concat();
        serde_json::from_str(&env.signet_with(&arguments, secret).success()).unwrap()
    };
    for (flag, name) in [
        ("strict", "Strict"),
        ("namespace-wide", "Namespace"),
        ("cluster-wide", "Cluster"),
    ] {
        assert_eq!(seal(&["--scope", flag], SECRET)["spec"]["scope"], name);
    }
    let annotated = SECRET.replace(
        "  labels",
        "  annotations: {sealedsecrets.bitnami.com/namespace-wide: 'true'}\n  labels",
    );
    let sealed = seal(&[], &annotated);
    assert_eq!(sealed["spec"]["scope"], "Namespace");
    assert_eq!(sealed["spec"]["template"]["metadata"]["annotations"], Value::Null);
}

#[test]
fn the_format_is_the_one_of_the_pinned_keys_unless_it_is_said() {
    let env = TestEnvironment::new();
    let (pinned, other) = (identity(), identity());
    env.git(&["init", "-q"]);
    env.write(
        ".signet.yaml",
        &format!(
            "sealingKeys:\n- audience: Cluster\n  recipients: [{}]\n",
            age(&pinned)
        ),
    );
    let format = |arguments: &[&str]| -> String {
        let output = env.signet_with(&[&["seal", "-o", "json"], arguments].concat(), SECRET);
        assert_eq!(output.code, 0, "{}", output.stderr);
        let object: Value = serde_json::from_str(&output.stdout).unwrap();
        object["apiVersion"].as_str().unwrap().to_owned()
    };
    let (v1, v2) = ("bitnami.com/v1alpha1", "signet.dev/v1alpha1");
    assert_eq!(format(&[]), v2);
    assert_eq!(format(&["--format", "v1", "--cert", "cert.pem"]), v1);
    assert_eq!(format(&["--cert", "cert.pem"]), v1);
    assert_eq!(format(&["--recipient", &age(&other)]), v2);
    // By kubeseal's name it is kubeseal's format.
    assert!(
        env.kubeseal(&["--cert", "cert.pem"], SECRET)
            .success()
            .contains(v1)
    );

    for (arguments, message) in [
        (
            vec!["--format", "v1", "--recipient", "age1x"],
            "--recipient names keys of the native format",
        ),
        (
            vec!["--format", "v2", "--cert", "cert.pem"],
            "--cert names a key of format v1, and --format says v2",
        ),
        (
            vec!["--cert", "cert.pem", "--recipient", "age1x"],
            "say which format with --format v1 or --format v2",
        ),
        (vec!["--format", "v3"], "unsupported output format: v3"),
    ] {
        let output = env.signet_with(&[&["seal"][..], &arguments].concat(), SECRET);
        assert!(
            output.code == 1 && output.stderr.contains(message),
            "{}",
            output.stderr
        );
    }
}

#[test]
fn a_value_goes_for_several_clusters_at_once() {
    let env = TestEnvironment::new();
    let (staging, prod) = (identity(), identity());
    env.git(&["init", "-q"]);
    let pin = |name: &str, key: &Identity| format!("- cluster: {name}\n  recipients: [{}]\n", age(key));
    env.write(
        ".signet.yaml",
        &format!("sealingKeys:\n{}{}", pin("staging", &staging), pin("prod", &prod)),
    );
    let seal =
        |clusters: &str| env.signet_with(&["seal", "-w", "db.yaml", "--cluster-name", clusters], SECRET);
    assert_eq!(seal("staging,prod").code, 0);
    for key in [&staging, &prod] {
        assert_eq!(opened(&env, "db.yaml", key)["password"], "hunter2");
    }
    let output = seal("staging,elsewhere");
    assert!(
        output.code == 1
            && output
                .stderr
                .contains(".signet.yaml pins no key of cluster elsewhere"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_key_set_in_a_file_names_the_newest_key() {
    let env = TestEnvironment::new();
    let (old, new, recovery) = (identity(), identity(), identity());
    env.git(&["init", "-q"]);
    env.write("keys.json", &key_set(1, [native(&old), native(&new)]));
    env.write(
        ".signet.yaml",
        &format!("sealingKeys:\n- recipients: [{}]\n", age(&recovery)),
    );
    let output = env.signet_with(&["seal", "--keys", "keys.json", "-w", "db.yaml"], SECRET);
    assert_eq!(output.code, 0, "{}", output.stderr);
    for key in [&new, &recovery] {
        assert_eq!(opened(&env, "db.yaml", key)["password"], "hunter2");
    }
    assert!(!output.stderr.contains(&id(&old)), "{}", output.stderr);
    env.write("keys.json", "{}");
    env.signet_with(&["seal", "--keys", "keys.json"], SECRET).assert_failure(
        1,
        "error: cannot use keys.json: this is not a key set of format signet.dev/keyset/v1\nhint: fetch it again; if the \
         controller was set up anew, compare its keys with what it logs at its start\n",
    );
}

#[test]
fn the_controllers_key_is_pinned_followed_and_nobody_elses_taken() {
    let mut env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let (first, second, third, evil) = (identity(), identity(), identity(), identity());
    let (server, served) = serve_keys(&mut env, Some(key_set(1, [native(&first)])));
    let seal = |more: &[&str]| env.signet_with(&[&["seal", "-w", "db.yaml"][..], more].concat(), SECRET);

    let output = seal(&["--format", "v2"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(
        output.stderr.starts_with(&format!(
            "Pinned key {} of the native format in .signet.yaml;",
            id(&first)
        )),
        "{}",
        output.stderr
    );
    assert_eq!(opened(&env, "db.yaml", &first)["password"], "hunter2");
    let asked = server.requests().len();
    assert_eq!(seal(&["--offline"]).code, 0);
    assert_eq!(server.requests().len(), asked, "nobody was asked");

    // Two rotations later, and v2 because that is what is pinned.
    served.lock().unwrap().1 = Some(key_set(3, [native(&first), native(&second), native(&third)]));
    let output = seal(&[]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(opened(&env, "db.yaml", &third)["password"], "hunter2");
    let pinned = env.read(".signet.yaml");
    assert!(
        pinned.contains(&age(&third)) && pinned.contains(&id(&first)),
        "{pinned}"
    );
    assert_eq!(seal(&[]).stderr.lines().count(), 1, "nothing more to say");

    // A set of somebody else, and an old one that is served again.
    for (set, why) in [
        (
            key_set(4, [native(&evil)]),
            "which is not pinned, nor endorsed by what is pinned",
        ),
        (
            key_set(2, [native(&first), native(&second), native(&third)]),
            "an old one is served again",
        ),
    ] {
        served.lock().unwrap().1 = Some(set);
        let before = env.read("db.yaml");
        let output = seal(&[]);
        assert!(
            output.code == 1 && output.stderr.contains(why),
            "{}",
            output.stderr
        );
        assert_eq!(
            (env.read("db.yaml"), env.read(".signet.yaml")),
            (before, pinned.clone())
        );
    }
    // Nor does a certificate of somebody else come in, which is not pinned at all.
    for set in [
        key_set(4, [rsa(true), native(&evil)]),
        key_set(2, [rsa(true), native(&first), native(&second), native(&third)]),
    ] {
        let before = env.read("db.yaml");
        let known = std::mem::replace(&mut *served.lock().unwrap(), (other_certificate().0, Some(set)));
        let output = seal(&["--format", "v1"]);
        assert!(
            output.code == 1
                && output
                    .stderr
                    .contains(&format!(".signet.yaml pins {}", id(&third))),
            "{}",
            output.stderr
        );
        assert_eq!(
            (env.read("db.yaml"), env.read(".signet.yaml")),
            (before, pinned.clone())
        );
        *served.lock().unwrap() = known;
    }
    // A person says so.
    served.lock().unwrap().1 = Some(key_set(4, [native(&evil)]));
    let signer = |key: &Identity| EndorsementKey::of_identity(key).unwrap().name().to_string();
    let named = |key: &Identity, signs: &Identity| format!("{},{}", id(key), signer(signs));
    for wrong in [
        id(&first),
        // The key alone says nothing of who vouches for the next one.
        id(&evil),
        named(&evil, &first),
        signer(&evil),
    ] {
        let output = seal(&["--trust-new-key", &wrong]);
        assert!(
            output.code == 1
                && output
                    .stderr
                    .contains(&format!("--trust-new-key {}", named(&evil, &evil))),
            "{}",
            output.stderr
        );
    }
    assert_eq!(seal(&["--trust-new-key", &named(&evil, &evil)]).code, 0);
    assert_eq!(opened(&env, "db.yaml", &evil)["password"], "hunter2");
}

/// A certificate in a set is listed, not endorsed: who is in the way lists it in their own.
#[test]
fn a_pinned_certificate_alone_vouches_for_no_key_set() {
    let mut env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let (_server, served) = serve_keys(&mut env, None);
    let seal = |more: &[&str]| env.signet_with(&[&["seal", "-w", "db.yaml"][..], more].concat(), SECRET);
    assert_eq!(seal(&[]).code, 0);
    let pinned = env.read(".signet.yaml");
    let evil = identity();
    served.lock().unwrap().1 = Some(key_set(1, [rsa(false), native(&evil)]));
    let output = seal(&["--format", "v2"]);
    assert!(
        output.code == 1 && output.stderr.contains("of which only the certificate is pinned"),
        "{}",
        output.stderr
    );
    assert_eq!(env.read(".signet.yaml"), pinned);
    let signs = EndorsementKey::of_identity(&evil).unwrap().name().to_string();
    let output = seal(&[
        "--format",
        "v2",
        "--trust-new-key",
        &id(&evil),
        "--trust-new-key",
        &signs,
    ]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(
        output.stderr.contains("Its key sets are believed if ed25519-"),
        "{}",
        output.stderr
    );
    assert!(env.read(".signet.yaml").contains("ed25519-"));
}

#[test]
fn a_compromised_key_is_not_sealed_for_offline_either() {
    let mut env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let key = identity();
    let (_server, served) = serve_keys(&mut env, Some(key_set(1, [rsa(false), native(&key)])));
    let seal = |more: &[&str]| env.signet_with(&[&["seal", "-w", "db.yaml"][..], more].concat(), SECRET);
    for format in ["v1", "v2"] {
        assert_eq!(seal(&["--format", format]).code, 0);
        assert_eq!(seal(&["--format", format, "--offline"]).code, 0);
    }
    // The certificate's key has leaked: the set says so, and whoever seals for the other key hears of it.
    served.lock().unwrap().1 = Some(key_set(2, [rsa(false).compromised(), native(&key)]));
    assert_eq!(seal(&["--format", "v2"]).code, 0);
    let output = seal(&["--format", "v1", "--offline"]);
    assert!(
        output.code == 1 && output.stderr.contains("no certificate is pinned"),
        "{}",
        output.stderr
    );
    let output = seal(&["--format", "v1"]);
    assert!(
        output.code == 1
            && output
                .stderr
                .contains("the controller's key set does not list it"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_compromised_native_key_is_not_sealed_for_offline_either() {
    let mut env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let key = identity();
    let (_server, served) = serve_keys(&mut env, Some(key_set(1, [rsa(false), native(&key)])));
    let seal = |more: &[&str]| env.signet_with(&[&["seal", "-w", "db.yaml"][..], more].concat(), SECRET);
    assert_eq!(seal(&["--format", "v2"]).code, 0);
    assert_eq!(seal(&["--format", "v2", "--offline"]).code, 0);
    served.lock().unwrap().1 = Some(key_set(2, [rsa(false), native(&key).compromised()]));
    assert_eq!(seal(&["--format", "v2"]).code, 1);
    let output = seal(&["--format", "v2", "--offline"]);
    assert_eq!(output.code, 1, "{}", output.stderr);
}

#[test]
fn values_are_added_without_a_private_key() {
    let env = TestEnvironment::new();
    let key = identity();
    let to = ["--recipient", &age(&key)];
    assert_eq!(
        env.signet_with(&[&["seal", "-w", "db.yaml"][..], &to].concat(), TWO)
            .code,
        0
    );
    env.write(
        "db.yaml",
        &env.read("db.yaml")
            .replace("    user:", "    # who connects\n    user:"),
    );
    let before = env.read("db.yaml");
    let merge =
        |secret: &str| env.signet_with(&[&["seal", "--merge-into", "db.yaml"][..], &to].concat(), secret);
    let more =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {token: t0ken, password: changed}\n";
    let output = merge(more);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "Merged 2 values into db.yaml.\n")
    );
    let lost = lines_lost(&before, &env.read("db.yaml"));
    assert!(
        lost.len() == 1 && lost[0].starts_with("    password: "),
        "{lost:?}"
    );
    let values = opened(&env, "db.yaml", &key);
    assert_eq!(
        (
            values["token"].as_str(),
            values["password"].as_str(),
            values["user"].as_str()
        ),
        ("t0ken", "changed", "app")
    );

    let before = env.read("db.yaml");
    let output = merge(&more.replace("{name: x}", "{name: x, labels: {tier: back}}"));
    assert!(
        output.code == 1
            && output
                .stderr
                .contains("its labels is another than the template says"),
        "{}",
        output.stderr
    );
    assert_eq!(env.read("db.yaml"), before);
}

#[test]
fn one_value_alone_is_refused_with_what_to_do() {
    let env = TestEnvironment::new();
    let output = env.signet_with(
        &["seal", "--raw", "--format", "v2", "-n", "shop", "--name", "db"],
        "hunter2",
    );
    output.assert_failure(
        1,
        "error: --raw seals a value of format v1 only\nhint: a value of the native format is bound to the template and the data \
         key of its object: `signet set FILE KEY=-` puts it there\n",
    );
}

/// A file that was sealed, committed, and written anew in plain text with one value changed.
fn written_anew(env: &TestEnvironment, seal: &[&str]) -> String {
    env.git(&["init", "-q"]);
    let output = env.signet_with(&[&["seal", "-w", "db.yaml"], seal].concat(), TWO);
    assert_eq!(output.code, 0, "{}", output.stderr);
    env.git(&["add", "db.yaml"]);
    env.git(&["commit", "-q", "-m", "sealed"]);
    let before = env.read("db.yaml");
    env.write("db.yaml", &TWO.replace("hunter2", "changed"));
    before
}

#[test]
fn unchanged_values_of_a_tree_keep_their_lines() {
    let key = identity();
    let to = age(&key);
    for (seal, private) in [
        (vec!["--recipient", to.as_str()], "key.txt"),
        (vec!["--cert", "cert.pem"], "key.pem"),
    ] {
        let env = TestEnvironment::new();
        env.write("key.txt", key.to_text().as_str());
        env.write(
            "key.pem",
            include_str!("../../../sealing/tests/vectors/key2048.pem"),
        );
        let before = written_anew(&env, &seal);
        let in_place = |more: &[&str]| env.signet(&[&["seal", "--in-place", "."][..], &seal, more].concat());
        let output = in_place(&["--key", private]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(
            output.stderr.starts_with("Sealed 1 Secret in 1 file"),
            "{}",
            output.stderr
        );
        let after = env.read("db.yaml");
        assert!(!after.contains("changed"));
        let line = |text: &str, key: &str| {
            let found = text.lines().find(|line| line.trim_start().starts_with(key));
            found.unwrap().to_owned()
        };
        assert_eq!(line(&before, "user: "), line(&after, "user: "));
        assert_ne!(line(&before, "password: "), line(&after, "password: "));

        // Without the key nobody can know what is equal.
        env.write("db.yaml", &TWO.replace("hunter2", "changed"));
        let output = in_place(&[]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(
            output.stderr.contains("all values of shop/db are sealed anew"),
            "{}",
            output.stderr
        );
        assert_ne!(line(&before, "user: "), line(&env.read("db.yaml"), "user: "));
    }
}

#[test]
fn a_changed_template_or_recipient_seals_all_values_anew() {
    let env = TestEnvironment::new();
    let (key, other) = (identity(), identity());
    env.write("key.txt", key.to_text().as_str());
    let seal = |secret: &str, more: &[&str]| {
        let to = age(&key);
        let arguments = ["seal", "-w", "db.yaml", "--key", "key.txt", "--recipient", &to];
        let output = env.signet_with(&[&arguments[..], more].concat(), secret);
        assert_eq!(output.code, 0, "{}", output.stderr);
        env.read("db.yaml")
    };
    let first = seal(TWO, &[]);
    assert_eq!(seal(TWO, &[]), first, "the same again is the same file");
    let labelled = seal(&TWO.replace("app: db", "app: other"), &[]);
    for key in ["password: ", "user: "] {
        let line = first
            .lines()
            .find(|line| line.trim_start().starts_with(key))
            .unwrap();
        assert!(!labelled.contains(line), "{line}");
    }
    let again = seal(TWO, &[]);
    let more = seal(TWO, &["--recipient", &age(&other)]);
    assert_eq!(
        lines_lost(&again, &more)
            .iter()
            .filter(|line| line.contains("user: "))
            .count(),
        1
    );
    assert_eq!(opened(&env, "db.yaml", &other)["user"], "app");
}

#[test]
fn a_recovery_key_opens_both_formats() {
    let env = TestEnvironment::new();
    let key = identity();
    env.write("recovery.txt", key.to_text().as_str());
    let to = age(&key);
    let sealed = env.signet_with(&["seal", "--recipient", &to], TWO).success();
    let output = env.signet_with(
        &[
            "seal",
            "--recovery-unseal",
            "--recovery-private-key",
            "recovery.txt",
        ],
        &sealed,
    );
    assert!(output.success().contains("password: aHVudGVyMg=="));
    env.write("other.txt", identity().to_text().as_str());
    let output = env.signet_with(
        &["seal", "--recovery-unseal", "--recovery-private-key", "other.txt"],
        &sealed,
    );
    assert!(
        output.code == 1 && output.stderr.contains(&format!("it is sealed for {}", id(&key))),
        "{}",
        output.stderr
    );
}
