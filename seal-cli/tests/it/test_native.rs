//! The native format in the commands of daily work: what takes a private key, and that nothing else moves.

use crate::support::{NativeYaml, TestEnvironment, editor};

/// Lines of one text that are not in the other.
fn lost<'t>(before: &'t str, after: &str) -> Vec<&'t str> {
    let after: Vec<&str> = after.lines().collect();
    before.lines().filter(|line| !after.contains(line)).collect()
}

fn pairs(all: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    all.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_value_is_set_without_a_private_key() {
    let env = TestEnvironment::new();
    let native = NativeYaml::write(&env, "db.yaml");
    let before = env.read("db.yaml");
    let recipient = native.recipient();
    let output = env.signet(&["set", "db.yaml", "password=swordfish", "--recipient", &recipient]);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr),
        (
            0,
            "",
            format!(
                "Set password of shop/db in db.yaml, sealed for key {}.\n",
                native.key_id()
            )
        )
    );
    let after = env.read("db.yaml");
    let lost = lost(&before, &after);
    assert!(
        lost.len() == 1 && lost[0].starts_with("    password: "),
        "{lost:?}\n{after}"
    );
    assert_eq!(
        native.open(&env, "db.yaml"),
        pairs(&[("password", "swordfish"), ("user", "app")])
    );
}

#[test]
fn whom_to_set_a_value_for_has_to_be_known() {
    let env = TestEnvironment::new();
    NativeYaml::write(&env, "db.yaml");
    let before = env.read("db.yaml");
    // The controller is asked too, where there is one.
    let output = env.signet(&["set", "db.yaml", "password=swordfish"]);
    let expected = "error: whom to seal the native format for is not known\nhint: give --recipient age1…, or list recipients in \
                    .signet.yaml; `age-keygen -y FILE` prints one\nhint: the controller could not be asked: no cluster to ask: ";
    assert!(
        output.code == 1 && output.stderr.starts_with(expected),
        "{}",
        output.stderr
    );
    env.signet(&["set", "db.yaml", "password=swordfish", "--recipient", "age1x"])
        .assert_failure(
            1,
            "error: a recipient cannot be used: not a whole and sound age recipient\nhint: an age recipient is \
             what `age-keygen` prints as the public key: age1… or age1pq1…\n",
        );
    assert_eq!(env.read("db.yaml"), before);
}

#[test]
fn a_value_is_removed_unless_a_text_needs_it() {
    let env = TestEnvironment::new();
    let native = NativeYaml::write(&env, "db.yaml");
    let before = env.read("db.yaml");
    let output = env.signet(&["unset", "db.yaml", "user"]);
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (0, ""),
        "{}",
        output.stderr
    );
    let lost = lost(&before, &env.read("db.yaml")).join("\n");
    assert!(
        lost.contains("    user: ") && !lost.contains("password"),
        "{lost}"
    );
    assert_eq!(native.open(&env, "db.yaml"), pairs(&[("password", "hunter2")]));

    let template = ["retemplate", "db.yaml", "--data", "dsn=db:${password}"];
    let opened = ["--key", "key.txt", "--recipient", &native.recipient()];
    let output = env.signet(&[&template[..], &opened].concat());
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (0, ""),
        "{}",
        output.stderr
    );
    let before = env.read("db.yaml");
    let output = env.signet(&["unset", "db.yaml", "password"]);
    assert!(
        output.code == 1
            && output
                .stderr
                .contains("spec.template.data.dsn: line 1: it refers to a key"),
        "{}",
        output.stderr
    );
    assert_eq!(env.read("db.yaml"), before);
}

#[test]
fn a_template_is_changed_with_a_private_key_only() {
    let env = TestEnvironment::new();
    let native = NativeYaml::write(&env, "db.yaml");
    let before = env.read("db.yaml");
    let change = [
        "retemplate",
        "db.yaml",
        "--label",
        "tier=back",
        "--data",
        "dsn=db:${password}",
    ];
    env.signet(&change).assert_failure(
        1,
        "error: the values of shop/db are bound to their template, and have to be opened to change it\nhint: give a private \
         key with --key FILE (the age identity of a recovery or team key), or seal the Secret again from its source\n",
    );
    assert_eq!(env.read("db.yaml"), before);
    let opened = ["--key", "key.txt", "--recipient", &native.recipient()];
    let output = env.signet(&[&change[..], &opened].concat());
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (0, ""),
        "{}",
        output.stderr
    );
    let after = env.read("db.yaml");
    assert!(
        after.contains("tier: back") && after.contains("# who connects"),
        "{after}"
    );
    assert_eq!(native.open(&env, "db.yaml").get("dsn").unwrap(), "db:hunter2");
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
    // What is a template in format v1 is plain text here.
    let braces = ["retemplate", "db.yaml", "--data", "dsn=db:{{ .password }}"];
    let output = env.signet(&[&braces[..], &opened].concat());
    assert!(
        output.code == 0
            && output
                .stderr
                .contains("warning: `{{ … }}` means nothing in a text of the native format"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_name_is_changed_with_a_private_key_only() {
    let env = TestEnvironment::new();
    let native = NativeYaml::write(&env, "db.yaml");
    let before = env.read("db.yaml");
    let recipient = native.recipient();
    let rename = [
        "rename",
        "db.yaml",
        "user=login",
        "--to-namespace",
        "billing",
        "--recipient",
        &recipient,
    ];
    env.signet(&rename).assert_failure(
        1,
        "error: the values of shop/db are bound to their keys, their name and their namespace, and have to be opened to \
         change it\nhint: give a private key with --key FILE (the age identity of a recovery or team key), or seal the \
         Secret again from its source\n",
    );
    let both = [
        "rename",
        "db.yaml",
        "user=x",
        "password=x",
        "--recipient",
        &recipient,
        "--key",
        "key.txt",
    ];
    env.signet(&both).assert_failure(
        1,
        "error: `password=x` names a key that another argument names too\nhint: rename each key once, and each to a name of \
         its own\n",
    );
    assert_eq!(env.read("db.yaml"), before);
    let output = env.signet(&[&rename[..], &["--key", "key.txt"]].concat());
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (
            0,
            "Renamed user to login of shop/db; Moved shop/db to billing/db, scope strict, in db.yaml, and sealed its values \
             again.\n"
        )
    );
    assert!(env.read("db.yaml").contains("# the shop's database"));
    assert_eq!(
        native.open(&env, "db.yaml"),
        pairs(&[("login", "app"), ("password", "hunter2")])
    );
}

#[test]
fn what_is_seen_with_and_without_a_key() {
    let env = TestEnvironment::new();
    let native = NativeYaml::write(&env, "db.yaml");
    let seen = env.signet(&["view", "db.yaml"]).success();
    assert!(
        seen.starts_with("shop/db (db.yaml line 1, native format, scope strict)\n")
            && seen.contains(&native.key_id())
            && !seen.contains("hunter2"),
        "{seen}"
    );
    let seen = env
        .signet(&["view", "db.yaml", "--key", "key.txt", "--show-values"])
        .success();
    assert!(seen.contains("  hunter2\n"), "{seen}");
    let stranger = TestEnvironment::new();
    NativeYaml::write(&stranger, "x.yaml");
    env.write("other.txt", &stranger.read("key.txt"));
    let output = env.signet(&["view", "db.yaml", "--key", "other.txt"]);
    assert!(
        output.code == 1 && output.stdout.contains("of which no private key is here"),
        "{}",
        output.stdout
    );
}

#[test]
fn values_are_edited() {
    if !std::path::Path::new("/dev/shm").is_dir() {
        return;
    }
    let mut env = TestEnvironment::new();
    let native = NativeYaml::write(&env, "db.yaml");
    let before = env.read("db.yaml");
    editor(&mut env, "sed -i 's/hunter2/swordfish/' \"$1\"");
    let recipient = native.recipient();
    let output = env.signet(&["edit", "db.yaml", "--key", "key.txt", "--recipient", &recipient]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "Changed shop/db in db.yaml: set password.\n")
    );
    let after = env.read("db.yaml");
    let user = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("    user: "))
            .unwrap()
            .to_owned()
    };
    assert_eq!(user(&before), user(&after));
    assert_eq!(
        native.open(&env, "db.yaml"),
        pairs(&[("password", "swordfish"), ("user", "app")])
    );
}

#[test]
fn lint_sees_another_place_and_a_key_that_is_not_listed() {
    let env = TestEnvironment::new();
    let native = NativeYaml::write(&env, "db.yaml");
    std::fs::remove_file(env.path("key.txt")).unwrap();
    assert_eq!(env.signet(&["lint"]).code, 0);
    let text = env.read("db.yaml");
    env.write(
        "db.yaml",
        &text.replacen("  namespace: shop\n", "  namespace: other\n", 1),
    );
    let output = env.signet(&["lint"]);
    assert!(
        output.code == 1 && output.stdout.contains("[sealed-moved]"),
        "{}{}",
        output.stdout,
        output.stderr
    );
    env.write("db.yaml", &text);
    env.git(&["init", "-q"]);
    let stranger = TestEnvironment::new();
    let listed = |recipient: &str| {
        let certificate = env.read("cert.pem").replace('\n', "\n    ");
        env.write(
            ".signet.yaml",
            &format!(
                "sealingKeys:\n- fingerprint: SHA256:T2fIIetCYEwRtXNWXg8cq5J6i/dOXuzjIIgf+Z8OrtM\n  recipients: [{recipient}]\n  \
                 certificate: |\n    {}\n",
                certificate.trim_end()
            ),
        );
        env.signet(&["lint", "db.yaml"])
    };
    let output = listed(&native.recipient());
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
    let output = listed(&NativeYaml::write(&stranger, "x.yaml").recipient());
    assert!(
        output.code == 1
            && output.stdout.contains("[unknown-key]")
            && output.stdout.contains(&native.key_id()),
        "{}{}",
        output.stdout,
        output.stderr
    );
}

/// Renamed by hand, a file opens nowhere. Who has a key and says where it is to be mends it, and is told where it comes from.
#[test]
fn a_file_that_was_moved_by_hand_is_mended_by_name_only() {
    let env = TestEnvironment::new();
    let native = NativeYaml::write(&env, "db.yaml");
    let text = env.read("db.yaml").replacen("  name: db\n", "  name: store\n", 1);
    env.write("db.yaml", &text);
    let key = ["--key", "key.txt", "--recipient", &native.recipient()];
    let rename = |more: &[&str]| env.signet(&[&["rename", "db.yaml"][..], &key, more].concat());
    for refused in [
        rename(&[]),
        rename(&["user=login"]),
        env.signet(&["edit", "db.yaml", "--key", "key.txt"]),
    ] {
        assert_eq!(refused.code, 1, "{}", refused.stderr);
        assert_eq!(env.read("db.yaml"), text);
    }
    let output = rename(&["--to-name", "store", "user=login"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(
        output
            .stderr
            .starts_with("shop/store is sealed for db in namespace shop: who moved it here by hand?\n"),
        "{}",
        output.stderr
    );
    assert_eq!(
        native.open(&env, "db.yaml"),
        pairs(&[("password", "hunter2"), ("login", "app")])
    );
}
