//! `signet set`, `signet unset`: one value of a file, and not a byte beside it.

use crate::support::{SECRET, SealedYaml, TestEnvironment, open};
use manifest::{Limits, read_stream};

#[test]
fn a_value_is_set_and_nothing_else_moves() {
    let env = TestEnvironment::new();
    let before = SealedYaml::write(&env, "db.yaml");
    let output = env.signet(&["set", "db.yaml", "password=swordfish", "--cert", "cert.pem"]);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (
            0,
            "",
            "Set password of shop/db in db.yaml, sealed for key \
             SHA256:T2fIIetCYEwRtXNWXg8cq5J6i/dOXuzjIIgf+Z8OrtM.\n"
        )
    );
    let after = env.read("db.yaml");
    let changed: Vec<(&str, &str)> = before
        .lines()
        .zip(after.lines())
        .filter(|(old, new)| old != new)
        .collect();
    assert_eq!(changed.len(), 1, "{after}");
    assert!(changed[0].0.starts_with("    password: AQ") && changed[0].1.starts_with("    password: AQ"));
    assert!(changed[0].1.ends_with(" # rotated monthly"), "{}", changed[0].1);
    assert_eq!(before.lines().count(), after.lines().count());
    assert_eq!(
        opened(&env, "db.yaml"),
        [("password", "swordfish"), ("user", "app")]
    );
}

fn opened(env: &TestEnvironment, file: &str) -> Vec<(&'static str, &'static str)> {
    let text = env.read(file);
    let documents = read_stream(text.as_bytes(), &Limits::default()).unwrap();
    let object = documents
        .iter()
        .filter_map(|document| document.value.as_ref().ok())
        .find(|value| value["kind"] == "SealedSecret")
        .unwrap();
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let all = open(object, "shop").into_iter();
    all.map(|(key, value)| (leak(key), leak(value))).collect()
}

#[test]
fn values_come_from_everywhere() {
    let env = TestEnvironment::new();
    SealedYaml::write(&env, "db.yaml");
    env.write("token", "from a file\n");
    let arguments = ["set", "db.yaml", "--cert", "cert.pem", "-q"];
    let set = |more: &[&str], stdin: &str| {
        let output = env.signet_with(&[&arguments, more].concat(), stdin);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    };
    set(&["a@token", "b=@token", "c=x=y@z", "password=-"], "piped");
    set(&["user"], "piped too");
    assert_eq!(
        opened(&env, "db.yaml"),
        [
            ("a", "from a file\n"),
            ("b", "from a file\n"),
            ("c", "x=y@z"),
            ("password", "piped"),
            ("user", "piped too")
        ]
    );
    let output = env.signet_with(&["set", "db.yaml", "--cert", "cert.pem", "user=-"], "line\n");
    assert!(
        output
            .stderr
            .starts_with("warning: the value of user ends with a line end, which is sealed too\n"),
        "{}",
        output.stderr
    );
}

#[test]
fn values_are_removed() {
    let env = TestEnvironment::new();
    let before = SealedYaml::write(&env, "db.yaml");
    let output = env.signet(&["unset", "db.yaml", "user"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "Removed user of shop/db from db.yaml.\n")
    );
    let gone: Vec<&str> = before
        .lines()
        .filter(|line| line.starts_with("    user: "))
        .collect();
    assert_eq!(env.read("db.yaml"), before.replace(&format!("{}\n", gone[0]), ""));
    assert_eq!(opened(&env, "db.yaml"), [("password", "hunter2")]);
    assert_eq!(env.signet(&["unset", "db.yaml", "password"]).code, 0);
    assert!(
        env.read("db.yaml").contains("encryptedData: {}"),
        "{}",
        env.read("db.yaml")
    );
}

#[test]
fn scopes_decide_the_label() {
    let env = TestEnvironment::new();
    for scope in ["namespace-wide", "cluster-wide"] {
        env.write("secret.yaml", SECRET);
        let seal = [
            "seal",
            "--cert",
            "cert.pem",
            "--scope",
            scope,
            "secret.yaml",
            "-w",
            "s.yaml",
            "-q",
        ];
        assert_eq!(env.signet(&seal).code, 0);
        let set = ["set", "s.yaml", "password=other", "--cert", "cert.pem", "-q"];
        assert_eq!(env.signet(&set).code, 0);
        assert_eq!(opened(&env, "s.yaml"), [("password", "other")], "{scope}");
    }
}

#[test]
fn one_of_several_objects() {
    let env = TestEnvironment::new();
    let text = SealedYaml::write(&env, "db.yaml");
    let other = text.replace("name: db", "name: cache");
    let list = "---\napiVersion: v1\nkind: List\nitems: []\n";
    env.write("db.yaml", &format!("{text}{list}{other}"));
    let set = |more: &[&str]| env.signet(&[&["set", "db.yaml", "x=y", "--cert", "cert.pem"], more].concat());
    set(&[]).assert_failure(
        1,
        "error: there are several SealedSecrets in db.yaml\n\
         hint: say which one with --object NAME or --object NAMESPACE/NAME: shop/db, shop/cache\n",
    );
    set(&["--object", "web"]).assert_failure(
        1,
        "error: there is no SealedSecret web in db.yaml\nhint: it has shop/db, shop/cache\n",
    );
    let output = set(&["--object", "shop/cache", "-q"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    let after = env.read("db.yaml");
    assert!(after.starts_with(&text), "the first document is untouched");
    assert!(after.contains("\n    x: AQ"), "{after}");
}

#[test]
fn what_is_refused_changes_nothing() {
    let env = TestEnvironment::new();
    let text = SealedYaml::write(&env, "db.yaml");
    let templated = text.replace(
        "  template:\n",
        "  template:\n    data: {url: 'x:{{ .password }}'}\n",
    );
    assert_ne!(templated, text);
    env.write("templated.yaml", &templated);
    env.write("plain.yaml", SECRET);
    env.write(
        "anchor.yaml",
        &text
            .replace("password: ", "password: &p ")
            .replace("user: ", "user: *p # "),
    );
    env.write("nowhere.yaml", &text.replacen("  namespace: shop\n", "", 1));
    for (arguments, error) in [
        (
            &["set", "plain.yaml", "a=b"][..],
            "error: there is no SealedSecret in plain.yaml, but a Secret in plain text\n\
             hint: seal it first: signet seal plain.yaml -w plain.yaml\n",
        ),
        (
            &["set", "db.yaml", "a b=c"],
            "error: `a b` is not a key that a Secret can have\n\
             hint: a key holds only letters, digits, `-`, `_` and `.`, at most 253 of them\n",
        ),
        (
            &["set", "db.yaml", "a=b", "a=c"],
            "error: a is given twice\nhint: give each key once\n",
        ),
        (
            &["set", "db.yaml", "a=-", "b"],
            "error: standard input can hold one value only\n\
             hint: KEY=VALUE, KEY@FILE, KEY=- for standard input, or KEY alone to be asked\n",
        ),
        (
            &["set", "db.yaml", "a@gone"],
            "error: cannot read gone for a: No such file or directory (os error 2)\n\
             hint: a value that begins with @ comes from standard input: KEY=-\n",
        ),
        (
            &["set", "nowhere.yaml", "a=b"],
            "error: db names no namespace, and scope strict needs one\n\
             hint: give --namespace NAME, the one that the object will be in\n",
        ),
        (
            &["set", "db.yaml", "a=b", "-n", "other"],
            "error: shop/db is in namespace shop, but --namespace says other\nhint: leave out --namespace\n",
        ),
        (
            &["set", "anchor.yaml", "password=b"],
            "error: cannot change anchor.yaml in place: document 1, spec.encryptedData.password: the changed text would not \
             say exactly what was meant\n\
             hint: an anchor that is used elsewhere, or tabs? Change this entry by hand; nothing was written\n",
        ),
        (
            &["unset", "templated.yaml", "password"],
            "error: shop/db would not open any more, so nothing was written:\n  \
             spec.template.data.url: line 1: it refers to a key that neither encryptedData nor template.data has\n\
             hint: change the template or the other values first\n",
        ),
        (
            &["unset", "db.yaml", "other", "user"],
            "error: shop/db has no value of other\nhint: it has password, user\n",
        ),
    ] {
        let certificate: &[&str] = if arguments[0] == "set" {
            &["--cert", "cert.pem"]
        } else {
            &[]
        };
        let before = env.read(arguments[1]);
        env.signet(&[arguments, certificate].concat())
            .assert_failure(1, error);
        assert_eq!(env.read(arguments[1]), before);
    }
}
