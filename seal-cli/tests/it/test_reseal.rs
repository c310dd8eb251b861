//! `signet reseal`.

use crate::support::{NativeYaml, SealedYaml, TestEnvironment, other_certificate, other_private_key};
use manifest::{Limits, read_document};
use sealing::v2::{Identities, Identity, SealedSecret, Suite};
use serde_json::Value;

const FROM: [&str; 5] = ["reseal", "--from-key", "key.pem", "--from-key", "key.txt"];

fn object(env: &TestEnvironment, file: &str) -> Value {
    read_document(env.read(file).as_bytes(), &Limits::default()).unwrap()
}

#[test]
fn both_formats_are_sealed_again_in_place_and_without_a_cluster() {
    let env = TestEnvironment::new();
    let old = SealedYaml::write(&env, "db.yaml");
    let native = NativeYaml::write(&env, "native.yaml");
    let before = env.read("native.yaml");
    env.write(
        "plain.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
    );
    env.write("new.pem", &other_certificate().0);
    let new = Identity::generate(Suite::MlKem768X25519).unwrap();
    let recipient = new.recipient().to_string();
    let to = ["--to", "new.pem", "--to", &recipient];
    let files = ["db.yaml", "native.yaml", "plain.yaml"];

    let dry = env.signet(&[&FROM[..], &to, &files, &["--dry-run"]].concat());
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert!(
        dry.stderr
            .starts_with("Would seal 4 values again in 2 files; 0 needed no change.\n"),
        "{}",
        dry.stderr
    );
    assert_eq!(
        (env.read("db.yaml"), env.read("native.yaml")),
        (old.clone(), before.clone())
    );

    let done = env.signet(&[&FROM[..], &to, &files].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr
            .starts_with("Sealed 4 values again in 2 files; 0 needed no change.\n"),
        "{}",
        done.stderr
    );
    assert!(
        done.stdout.starts_with("FILE") && done.stdout.contains(new.key_id().as_str()),
        "{}",
        done.stdout
    );
    let sealed = SealedSecret::parse(&object(&env, "native.yaml")).unwrap();
    let Ok(opened) = sealed.unlock(&Identities::new([new])) else {
        panic!("the new key opens it");
    };
    assert_eq!(opened.values()["password"].expose(), b"hunter2");
    assert!(
        !sealed
            .recipients()
            .iter()
            .any(|id| id.as_str() == native.key_id().as_str())
    );
    env.write("other.pem", &other_private_key());
    let view = env.signet(&["view", "db.yaml", "--key", "other.pem", "--show-values"]);
    assert!(view.stdout.contains("hunter2"), "{}{}", view.stdout, view.stderr);
    for (file, before) in [("db.yaml", &old), ("native.yaml", &before)] {
        let after = env.read(file);
        let short = |text: &str| {
            let lines = text
                .lines()
                .filter(|line| line.len() < 80 && !line.contains(" id: ") && !line.contains("key-"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(short(&after), short(before), "{file}");
        assert_eq!(after.lines().count(), before.lines().count());
    }

    // The old keys open nothing any more.
    let again = env.signet(&[&FROM[..], &to, &files, &["-o", "json"]].concat());
    assert_eq!(again.code, 0, "{}", again.stderr);
    let report: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(report["changed"], serde_json::json!([]));
    assert!(
        report["kept"]
            .as_array()
            .unwrap()
            .iter()
            .all(|kept| kept["otherKey"] == true),
        "{report}"
    );
    assert!(
        again.stderr.contains("values are opened by none of these keys"),
        "{}",
        again.stderr
    );
}

#[test]
fn what_is_damaged_is_named_and_the_rest_goes_on() {
    let env = TestEnvironment::new();
    SealedYaml::write(&env, "db.yaml");
    NativeYaml::write(&env, "native.yaml");
    let damaged = env.read("native.yaml").replace("    user: ", "    user: x");
    env.write("native.yaml", &damaged);
    env.write("new.pem", &other_certificate().0);
    let to = ["--to", "new.pem", "db.yaml", "native.yaml"];
    let output = env.signet(&[&FROM[..], &to].concat());
    assert_eq!(output.code, 1, "{}", output.stderr);
    assert!(
        output.stderr.contains("error: native.yaml: shop/db"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("Sealed 2 values again in 1 file"),
        "{}",
        output.stderr
    );
    assert!(
        output.stderr.contains("hint: the old key is still needed"),
        "{}",
        output.stderr
    );
    assert_eq!(env.read("native.yaml"), damaged);
    assert!(!output.stderr.contains("hunter2"));
}

#[test]
fn slips_of_the_command_line_are_said() {
    let env = TestEnvironment::new();
    SealedYaml::write(&env, "db.yaml");
    let none = env.signet(&["reseal", "db.yaml", "--to", "cert.pem"]);
    assert_eq!(none.code, 2);
    let two = env.signet(&[
        "reseal",
        "--from-key",
        "key.pem",
        "--to",
        "cert.pem",
        "--to",
        "cert.pem",
        "db.yaml",
    ]);
    assert_eq!(two.code, 1);
    assert!(
        two.stderr.contains("hint: name one certificate"),
        "{}",
        two.stderr
    );
    let namespace = env.signet(&[
        "reseal",
        "--from-key",
        "key.pem",
        "--to",
        "cert.pem",
        "-n",
        "No",
        "db.yaml",
    ]);
    assert!(
        namespace.stderr.starts_with("error: --namespace"),
        "{}",
        namespace.stderr
    );
    let leaving = |key: &str| {
        let output = env.signet(&[
            "reseal",
            "--from-key",
            "key.pem",
            "--to",
            "cert.pem",
            "--leaving",
            key,
            "db.yaml",
        ]);
        assert_eq!(output.code, 1, "{}", output.stderr);
        output.stderr
    };
    assert!(leaving("SHA256:nobody").contains("none of the keys that --from-key gives"));
    assert!(leaving("old").contains("is no name of a key"));
    env.write("new.pem", &other_certificate().0);
    let itself = &[
        "reseal",
        "--from-key",
        "key.pem",
        "--to",
        "new.pem",
        "--leaving",
        &other_certificate().1,
        "db.yaml",
    ];
    assert!(
        env.signet(itself)
            .stderr
            .contains("is one of the keys to seal for")
    );
}
