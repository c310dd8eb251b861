//! `signet keys`: a backup that one identity opens, the way back into a cluster, and which key sealed what.

use crate::support::{ApiServer, NativeYaml, Request, Response, SealedYaml, TestEnvironment, discovery};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const SECRETS: &str = "/api/v1/namespaces/signet-system/secrets";
const KEY: &str = "SHA256:T2fIIetCYEwRtXNWXg8cq5J6i/dOXuzjIIgf+Z8OrtM";

/// The key Secrets of a controller: one of format v1, one of the native format.
fn key_secrets(env: &TestEnvironment, native: &NativeYaml) -> (Value, Value) {
    let secret = |name: &str, label: &str, data: Value| {
        json!({
            "metadata": {
                "name": name, "namespace": "signet-system", "uid": "1", "resourceVersion": "7",
                "labels": {label: "active"}, "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "type": "Opaque", "data": data,
        })
    };
    let text = |file: &str| STANDARD.encode(env.read(file));
    let rsa = json!({"tls.crt": text("cert.pem"), "tls.key": text("key.pem")});
    let age = json!({"identity": text("key.txt"), "recipient": STANDARD.encode(native.recipient())});
    (
        secret(
            "sealed-secrets-key1",
            "sealedsecrets.bitnami.com/sealed-secrets-key",
            rsa,
        ),
        secret("signet-key1", "signet.dev/sealing-key", age),
    )
}

/// An API server that has these key Secrets, or none and takes them.
fn cluster(keys: Option<(Value, Value)>, created: &Arc<Mutex<Vec<Value>>>) -> ApiServer {
    let created = Arc::clone(created);
    let list = |items: Vec<Value>| {
        Response::json(&json!({"apiVersion": "v1", "kind": "SecretList", "metadata": {}, "items": items}))
    };
    ApiServer::start(
        move |request: &Request| match (request.method.as_str(), request.path.as_str()) {
            ("GET", SECRETS) => list(match &keys {
                Some((rsa, _)) if request.query.contains("sealedsecrets.bitnami.com") => vec![rsa.clone()],
                Some((_, age)) => vec![age.clone()],
                None => Vec::new(),
            }),
            ("POST", SECRETS) => {
                let new: Value = serde_json::from_str(&request.body).unwrap();
                let mut all = created.lock().unwrap();
                if all
                    .iter()
                    .any(|old| old["metadata"]["name"] == new["metadata"]["name"])
                {
                    return Response::error(409, "secrets already exists");
                }
                all.push(new.clone());
                Response::json(&new)
            }
            ("GET", path) => {
                let all = created.lock().unwrap();
                let name = path.rsplit('/').next().unwrap();
                all.iter()
                    .find(|one| one["metadata"]["name"] == name)
                    .map_or_else(|| Response::error(404, "not found"), Response::json)
            }
            _ => Response::error(404, "not found"),
        },
    )
}

/// A place with a repository's keys, those keys, and `recovery.txt`.
fn prepared() -> (TestEnvironment, NativeYaml, (Value, Value), String) {
    let env = TestEnvironment::new();
    SealedYaml::write(&env, "v1.yaml");
    let recovery = NativeYaml::write(&env, "x.yaml").recipient();
    std::fs::rename(env.path("key.txt"), env.path("recovery.txt")).unwrap();
    let native = NativeYaml::write(&env, "db.yaml");
    std::fs::remove_file(env.path("x.yaml")).unwrap();
    let keys = key_secrets(&env, &native);
    (env, native, keys, recovery)
}

#[test]
fn a_backup_goes_into_another_cluster_and_opens_what_was_sealed() {
    let (mut env, _, keys, recovery) = prepared();
    let nothing = Arc::default();
    env.use_cluster(&cluster(Some(keys.clone()), &nothing));
    let output = env.signet(&["keys", "backup", "-r", &recovery, "-w", "keys.age"]);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr),
        (
            0,
            "",
            format!("Wrote 2 keys to keys.age, for {recovery} to open.\n")
        )
    );
    let file = std::fs::read(env.path("keys.age")).unwrap();
    assert!(file.starts_with(b"age-encryption.org/v1\n"));
    let secret = keys.0["data"]["tls.key"].as_str().unwrap().as_bytes();
    assert!(!file.windows(40).any(|window| window == &secret[..40]));
    assert!(nothing.lock().unwrap().is_empty());

    let created = Arc::default();
    let second = cluster(None, &created);
    env.use_cluster(&second);
    let restore = ["keys", "restore", "keys.age", "--identity", "recovery.txt"];
    let output = env.signet(&[&restore[..], &["--dry-run"]].concat());
    assert_eq!(
        (output.code, output.stderr),
        (
            0,
            format!(
                "sealed-secrets-key1: key {KEY}\nsignet-key1: a key of the native format\nThe backup opens: 2 keys. Nothing \
                 was created.\n"
            )
        )
    );
    assert_eq!(second.requests(), Vec::<String>::new());

    let output = env.signet(&restore);
    assert_eq!(
        (output.code, output.stderr),
        (
            0,
            format!(
                "Created signet-system/sealed-secrets-key1: key {KEY}.\nCreated signet-system/signet-key1: a key of the native \
                 format.\n"
            )
        )
    );
    for (new, old) in created.lock().unwrap().iter().zip([&keys.0, &keys.1]) {
        for part in ["/data", "/type", "/metadata/labels", "/metadata/name"] {
            assert_eq!(new.pointer(part), old.pointer(part), "{part}");
        }
        assert_eq!(new.pointer("/metadata/uid"), None);
        // The API server says when it took it; this, how old the key is.
        assert_eq!(new.pointer("/metadata/creationTimestamp"), None);
        assert_eq!(
            new["metadata"]["annotations"]["signet.dev/made"],
            "2026-01-01T00:00:00Z"
        );
    }
    // What the second cluster has now opens what was sealed for the first.
    let all: Vec<Value> = created.lock().unwrap().clone();
    env.write(
        "restored.yaml",
        &json!({"kind": "List", "items": all}).to_string(),
    );
    for file in ["v1.yaml", "db.yaml"] {
        let shown = env
            .signet(&["view", file, "--key", "restored.yaml", "--show-values"])
            .success();
        assert!(shown.contains("  hunter2\n"), "{shown}");
    }

    let output = env.signet(&restore);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (
            0,
            "signet-system/sealed-secrets-key1 is there already.\nsignet-system/signet-key1 is there already.\n"
        )
    );
    created.lock().unwrap()[0]["data"]["tls.key"] = "eA==".into();
    let output = env.signet(&restore);
    let said =
        "(the name sealed-secrets-key1 is another key's).\nsignet-system/signet-key1 is there already.\n";
    assert!(
        output.code == 0
            && output
                .stderr
                .starts_with("Created signet-system/sealed-secrets-key1-restored: key SHA256:")
            && output.stderr.ends_with(said),
        "{}",
        output.stderr
    );
    assert_eq!(created.lock().unwrap().len(), 3);
}

/// Before there were labels, the key had this name. The controller opens with it, so a backup has to hold it.
#[test]
fn a_key_from_before_there_were_labels_is_listed_and_kept() {
    let (mut env, _, (mut legacy, _), recovery) = prepared();
    legacy["metadata"]["name"] = "sealed-secrets-key".into();
    legacy["metadata"].as_object_mut().unwrap().remove("labels");
    env.use_cluster(&ApiServer::start(move |request: &Request| {
        match request.path.as_str() {
            SECRETS => Response::json(
                &json!({"apiVersion": "v1", "kind": "SecretList", "metadata": {}, "items": []}),
            ),
            path if path == format!("{SECRETS}/sealed-secrets-key") => Response::json(&legacy),
            _ => Response::error(404, "not found"),
        }
    }));
    let listed = env.signet(&["keys", "list", "-o", "json"]).success();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!([&listed[0]["key"], &listed[0]["state"]], [KEY, "active"]);
    let output = env.signet(&["keys", "backup", "-r", &recovery, "-w", "keys.age"]);
    assert!(
        output.code == 0 && output.stderr.starts_with("Wrote 1 key to keys.age"),
        "{}",
        output.stderr
    );

    let created = Arc::default();
    env.use_cluster(&cluster(None, &created));
    let output = env.signet(&["keys", "restore", "keys.age", "--identity", "recovery.txt"]);
    let restored = format!("Created signet-system/sealed-secrets-key: key {KEY}.\n");
    assert_eq!((output.code, output.stderr), (0, restored));
    let created = created.lock().unwrap();
    // A controller that runs takes in what has the label.
    let labels = json!({"sealedsecrets.bitnami.com/sealed-secrets-key": "active"});
    assert_eq!(created[0]["metadata"]["labels"], labels);
    assert_eq!(created[0]["metadata"]["name"], "sealed-secrets-key");
}

#[test]
fn what_is_no_backup_restores_nothing() {
    let (mut env, native, keys, recovery) = prepared();
    let created = Arc::default();
    let server = cluster(Some(keys), &created);
    env.use_cluster(&server);
    assert_eq!(
        env.signet(&["keys", "backup", "-r", &recovery, "-w", "keys.age"])
            .code,
        0
    );
    let asked = server.requests().len();
    let refused = |file: &str, identity: &str, said: &str| {
        let output = env.signet(&["keys", "restore", file, "-i", identity]);
        assert!(
            output.code == 1 && output.stderr.contains(said),
            "{}",
            output.stderr
        );
    };
    refused("keys.age", "key.txt", "keys.age does not open with key.txt");
    refused("keys.age", "cert.pem", "cert.pem: ");
    refused(
        "db.yaml",
        "recovery.txt",
        "db.yaml does not open with recovery.txt",
    );
    refused("gone", "recovery.txt", "cannot read gone");
    let mut cut = std::fs::read(env.path("keys.age")).unwrap();
    let last = cut.len() - 1;
    cut[last] ^= 1;
    std::fs::write(env.path("cut.age"), cut).unwrap();
    refused(
        "cut.age",
        "recovery.txt",
        "cut.age does not open with recovery.txt",
    );
    assert_eq!(
        (server.requests().len(), created.lock().unwrap().len()),
        (asked, 0)
    );
    drop(native);

    let empty = cluster(None, &created);
    env.use_cluster(&empty);
    env.signet(&["keys", "backup", "-r", &recovery, "-w", "none.age"]).assert_failure(
        1,
        "error: there are no sealing keys in namespace signet-system\nhint: --controller-namespace says where the controller \
         is\n",
    );
    assert!(!env.path("none.age").exists());
}

#[test]
fn keys_are_listed() {
    let (mut env, native, keys, _) = prepared();
    env.use_cluster(&cluster(Some(keys), &Arc::default()));
    let listed = env.signet(&["keys", "list", "-o", "json"]).success();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let seen: Vec<[&str; 3]> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| ["key", "kind", "state"].map(|field| row[field].as_str().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            [KEY, "RSA 2048", "active"],
            [native.key_id().as_str(), "mlkem768x25519", "active"]
        ]
    );
    assert_eq!(
        env.signet(&["keys", "list", "--offline", "-o", "json"]).success(),
        "[]\n"
    );
}

#[test]
fn which_key_sealed_what() {
    let (mut env, native, keys, _) = prepared();
    let files = ["keys", "usage", "v1.yaml", "db.yaml", "-o", "json"];
    let rows = |env: &TestEnvironment, more: &[&str], code: i32| -> Vec<String> {
        let output = env.signet(&[&files[..], more].concat());
        assert_eq!((output.code, output.stderr.as_str()), (code, ""));
        let all: Value = serde_json::from_str(&output.stdout).unwrap();
        let mut rows = Vec::new();
        for group in all.as_array().unwrap() {
            for value in group["values"].as_array().unwrap() {
                let key = group["sealedFor"].as_str().unwrap();
                rows.push(format!(
                    "{key} {} {}",
                    value["key"].as_str().unwrap(),
                    value["place"].as_str().unwrap()
                ));
            }
        }
        rows.sort();
        rows
    };
    let id = native.key_id();
    let expected = |rsa: &str| {
        let mut all = vec![
            format!("{rsa} password v1.yaml"),
            format!("{rsa} user v1.yaml"),
            format!("{id} password db.yaml"),
            format!("{id} user db.yaml"),
        ];
        all.sort();
        all
    };
    assert_eq!(rows(&env, &[], 0), expected("a key of 2048 bits"));
    assert_eq!(rows(&env, &["--key", "key.pem"], 0), expected(KEY));
    env.write("other.pem", &crate::support::other_private_key());
    assert_eq!(
        rows(&env, &["--key", "other.pem"], 1),
        expected("none of these keys")
    );
    let server = cluster(Some(keys), &Arc::default());
    env.use_cluster(&server);
    assert_eq!(rows(&env, &["--cluster-keys"], 0), expected(KEY));
}

/// What is in the cluster is listed page by page, of both kinds.
#[test]
fn what_is_in_the_cluster_is_looked_at_too() {
    let (mut env, native, ..) = prepared();
    let object = |file: &str, name: &str| {
        let mut object = crate::support::native_object(&env, file);
        object["metadata"]["name"] = name.into();
        object["metadata"]["uid"] = name.into();
        let fields = object.as_object_mut().unwrap();
        // Items of a list do not say what they are.
        fields.remove("apiVersion");
        fields.remove("kind");
        object
    };
    let pages = [object("v1.yaml", "db"), object("v1.yaml", "later")];
    let age = object("db.yaml", "native");
    let list = |items: &[&Value], next: &str| {
        Response::json(&json!({"apiVersion": "v1", "kind": "SealedSecretList",
            "metadata": {"resourceVersion": "7", "continue": next}, "items": items}))
    };
    let server = ApiServer::start(move |request: &Request| {
        let kinds = ["bitnami.com", "signet.dev"]
            .map(|group| (group, "v1alpha1", "SealedSecret", "sealedsecrets", true));
        match request.path.as_str() {
            "/apis/bitnami.com/v1alpha1/sealedsecrets" if request.query.contains("continue=more") => {
                list(&[&pages[1]], "")
            }
            "/apis/bitnami.com/v1alpha1/sealedsecrets" => {
                assert!(request.query.contains("limit="), "{}", request.query);
                list(&[&pages[0]], "more")
            }
            "/apis/signet.dev/v1alpha1/sealedsecrets" => list(&[&age], ""),
            path => discovery(path, &kinds).unwrap_or_else(|| Response::error(404, "not found")),
        }
    });
    env.use_cluster(&server);
    env.write("empty.yaml", "{}\n");
    let output = env.signet(&[
        "keys",
        "usage",
        "empty.yaml",
        "--cluster",
        "--key",
        "key.pem",
        "-o",
        "json",
    ]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (1, ""),
        "{}",
        output.stdout
    );
    let all: Value = serde_json::from_str(&output.stdout).unwrap();
    let mut rows = Vec::new();
    for group in all.as_array().unwrap() {
        for value in group["values"].as_array().unwrap() {
            assert_eq!(value["place"], "the cluster");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            rows.push(format!(
                "{} {}",
                text(&value["object"]),
                text(&group["sealedFor"])
            ));
        }
    }
    rows.dedup();
    // The second was sealed by another name.
    let mut expected = vec![
        format!("shop/db {KEY}"),
        "shop/later another place: shop/db, scope strict".to_owned(),
        format!("shop/native {}", native.key_id()),
    ];
    expected.sort();
    rows.sort();
    assert_eq!(rows, expected);
}
