//! `signet view`, `signet edit`.

use crate::support::{SealedYaml, TestEnvironment, editor, mode};
use serde_json::{Value, json};

const KEY: &str = "SHA256:T2fIIetCYEwRtXNWXg8cq5J6i/dOXuzjIIgf+Z8OrtM";

#[test]
fn what_is_seen_without_a_key() {
    let env = TestEnvironment::new();
    SealedYaml::write(&env, "db.yaml");
    assert_eq!(
        env.signet(&["view", "db.yaml"]).success(),
        "shop/db (db.yaml line 1, format v1, scope strict)\n\
         KEY       SIZE  SEALED FOR\n\
         password  7     a key of 2048 bits\n\
         user      3     a key of 2048 bits\n"
    );
    env.signet(&["view", "db.yaml", "--show-values"]).assert_failure(
        1,
        "error: values cannot be shown without a private key\nhint: give --key FILE\n",
    );
}

#[test]
fn what_is_seen_with_a_key() {
    let env = TestEnvironment::new();
    SealedYaml::write(&env, "db.yaml");
    let with_key = env.signet(&["view", "db.yaml", "--key", "key.pem"]).success();
    assert!(
        with_key.contains(KEY) && !with_key.contains("hunter2"),
        "{with_key}"
    );
    let shown = env
        .signet(&["view", "db.yaml", "--key", "key.pem", "--show-values"])
        .success();
    assert!(shown.contains("  hunter2\n"), "{shown}");
    let json: Value = serde_json::from_str(
        &env.signet(&["view", "db.yaml", "--key", "key.pem", "-o", "json"])
            .success(),
    )
    .unwrap();
    assert_eq!(
        json[0]["values"][0],
        json!({"key": "password", "size": 7, "sealedFor": "a key of 2048 bits", "openedBy": KEY})
    );
    // The key Secret of a controller, as kubectl prints it, is a key too.
    env.write("keys.yaml", &SealedYaml::key_secret());
    let from_secret = env.signet(&["view", "db.yaml", "--key", "keys.yaml"]).success();
    assert!(from_secret.contains(KEY), "{from_secret}");
}

#[test]
fn what_was_moved_is_named() {
    let env = TestEnvironment::new();
    let text = SealedYaml::write(&env, "db.yaml");
    env.write("db.yaml", &text.replacen("  name: db\n", "  name: db2\n", 1));
    let output = env.signet(&["view", "db.yaml", "--key", "key.pem"]);
    assert_eq!(output.code, 1);
    assert!(
        output.stdout.contains("it is sealed for shop/db, scope strict"),
        "{}",
        output.stdout
    );
}

#[test]
fn values_are_edited_in_memory() {
    if !std::path::Path::new("/dev/shm").is_dir() {
        return;
    }
    let mut env = TestEnvironment::new();
    let before = SealedYaml::write(&env, "db.yaml");
    editor(
        &mut env,
        "cp \"$1\" \"$1.bak\"; sed -i 's/hunter2/swordfish/; /user:/d' \"$1\"; echo '  new: \"1\"' >> \"$1\"",
    );
    let edit = ["edit", "db.yaml", "--key", "key.pem", "--cert", "cert.pem"];
    let output = env.signet(&edit);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (
            0,
            "Changed shop/db in db.yaml: set new, password, removed user.\n"
        )
    );
    let shown = env
        .signet(&["view", "db.yaml", "--key", "key.pem", "--show-values"])
        .success();
    assert!(
        shown.contains("swordfish") && shown.contains("new") && !shown.contains("user"),
        "{shown}"
    );
    let seen = env.read("seen");
    let lines: Vec<(&str, &str)> = seen.lines().filter_map(|line| line.split_once(' ')).collect();
    assert_eq!((lines[0].0, lines[1].0), ("600", "700"), "for nobody else");
    assert!(lines[0].1.starts_with("/dev/shm/"), "{seen}");
    assert!(
        !std::path::Path::new(lines[1].1).exists(),
        "gone, with what the editor left beside it"
    );
    let after = env.read("db.yaml");
    assert!(
        after.contains("# the shop's database") && after.contains(" # rotated monthly"),
        "{after}"
    );
    assert_ne!(after, before);
}

#[test]
fn an_edit_that_changes_nothing_or_fails() {
    if !std::path::Path::new("/dev/shm").is_dir() {
        return;
    }
    let mut env = TestEnvironment::new();
    let before = SealedYaml::write(&env, "db.yaml");
    let edit = ["edit", "db.yaml", "--key", "key.pem", "--cert", "cert.pem"];
    env.signet(&edit[..2]).assert_failure(
        1,
        "error: values cannot be shown without a private key\n\
         hint: give --key FILE; without one, `signet set FILE KEY` seals a new value for a key\n",
    );
    for (script, code, stderr) in [
        ("true", 0, "Nothing was changed.\n"),
        (
            "exit 3",
            1,
            "error: the editor failed, so nothing was changed\nhint: EDITOR names the editor, as for git; it has to wait \
             until the file is closed (such as `code --wait`)\n",
        ),
        (
            "echo 'hunter2: [' > \"$1\"",
            1,
            "error: what was edited cannot be read, so nothing was changed: line 2, column 1: a value was expected here\n\
             hint: texts stand in stringData, in quotes where they look like numbers or switches; data is base64\n",
        ),
        (
            "printf 'stringData:\\n  user: 7\\n' > \"$1\"",
            1,
            "error: what was edited cannot be read, so nothing was changed: stringData.user is no text; put quotes around \
             it\nhint: texts stand in stringData, in quotes where they look like numbers or switches; data is base64\n",
        ),
    ] {
        editor(&mut env, script);
        let output = env.signet(&edit);
        assert_eq!((output.code, output.stderr.as_str()), (code, stderr), "{script}");
        assert_eq!(env.read("db.yaml"), before);
        let seen = env.read("seen");
        let directory = seen.lines().nth(1).unwrap().split_once(' ').unwrap().1.to_owned();
        assert!(!std::path::Path::new(&directory).exists());
    }
    assert_eq!(mode(&env.path("db.yaml")) & 0o077, 0o044);
}

#[test]
fn a_signal_leaves_nothing_behind() {
    if !std::path::Path::new("/dev/shm").is_dir() {
        return;
    }
    let mut env = TestEnvironment::new();
    let before = SealedYaml::write(&env, "db.yaml");
    editor(
        &mut env,
        "pid=$PPID; [ \"$(cat /proc/$pid/comm)\" = signet ] || pid=$(awk '/^PPid/ {print $2}' /proc/$pid/status)\n\
         kill -TERM $pid; sleep 3",
    );
    let output = env.signet(&["edit", "db.yaml", "--key", "key.pem", "--cert", "cert.pem"]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (
            1,
            "error: ended by a signal; nothing was changed\nhint: run it again\n"
        )
    );
    assert_eq!(env.read("db.yaml"), before);
    let directory = env
        .read("seen")
        .lines()
        .nth(1)
        .unwrap()
        .split_once(' ')
        .unwrap()
        .1
        .to_owned();
    assert!(!std::path::Path::new(&directory).exists());
}
