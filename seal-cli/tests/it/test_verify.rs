//! `signet verify`: without a key, with one, and by asking the controller.

use crate::support::{
    ApiServer, CERTIFICATE, NativeYaml, Response, SealedYaml, TestEnvironment, behind_service,
};
use sealing::{Certificate, KeyRing, PrivateKey, SealedSecret, SealingKey};
use serde_json::Value;

const KEY: &str = include_str!("../../../sealing/tests/vectors/key2048.pem");

/// The controller's side of it, as it answers: yes or no.
fn controller(env: &mut TestEnvironment) -> ApiServer {
    let server = ApiServer::start(behind_service(|request| {
        let object: Value = serde_json::from_str(&request.body).unwrap();
        let key = PrivateKey::from_pem(KEY).unwrap();
        let ring = KeyRing::new([SealingKey::new(key, Certificate::from_pem(CERTIFICATE).unwrap()).unwrap()]);
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        let opens = SealedSecret::parse(&object).is_ok_and(|sealed| sealed.open(&ring, namespace).is_ok());
        if opens {
            Response::text("")
        } else {
            Response::error(409, "")
        }
    }));
    env.use_cluster(&server);
    server
}

#[test]
fn without_a_key_what_can_be_seen_is_checked() {
    let env = TestEnvironment::new();
    let text = SealedYaml::write(&env, "db.yaml");
    let output = env.signet(&["verify", "db.yaml"]);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (
            0,
            "SEALED SECRET  FORMAT  SCOPE   SEALED FOR  RESULT       FILE\n\
             shop/db        v1      strict  RSA 2048    looks right  db.yaml\n",
            "Nothing speaks against 1 SealedSecret; whether the values open, only a key can tell.\n"
        )
    );
    // Renamed by hand: the template still says what it was.
    env.write("db.yaml", &text.replacen("  name: db\n", "  name: db2\n", 1));
    let output = env.signet(&["verify", "db.yaml"]);
    assert_eq!(output.code, 1);
    assert!(
        output.stdout.contains(
            "shop/db2, db.yaml:\n  its name is db2, but it was sealed for db: scope strict binds the values to it\n"
        ),
        "{}",
        output.stdout
    );
    assert_eq!(output.stderr, "1 of 1 SealedSecret will not open.\n");
    // A value that was cut off.
    env.write("db.yaml", &text.replacen("    user: A", "    user: A#", 1));
    let output = env.signet(&["verify", "db.yaml", "-o", "json"]);
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (output.code, &json[0]["result"]),
        (1, &Value::from("will not open"))
    );
    assert!(
        json[0]["problems"][0].as_str().unwrap().contains("user"),
        "{json}"
    );
}

#[test]
fn the_native_format_says_for_which_keys_it_is() {
    let env = TestEnvironment::new();
    env.git(&["init", "-q"]);
    let native = NativeYaml::write(&env, "db.yaml");
    let json = |code: i32| -> Value {
        let output = env.signet(&["verify", "-o", "json"]);
        assert_eq!(output.code, code, "{}{}", output.stdout, output.stderr);
        serde_json::from_str(&output.stdout).unwrap()
    };
    let found = json(0);
    let key = &found[0]["sealedFor"][0];
    assert_eq!(
        (&key["key"], &key["state"]),
        (&Value::from(native.key_id()), &Value::Null)
    );
    assert_eq!(found[0]["templateDigest"].as_str().unwrap().len(), 64);
    assert_eq!(found[0]["scope"], "strict");

    let pins = |recipient: &str, more: &str| {
        env.write(
            ".signet.yaml",
            &format!("sealingKeys:\n- recipients: [{recipient}]\n{more}"),
        );
    };
    pins(&native.recipient(), "");
    assert_eq!(json(0)[0]["sealedFor"][0]["state"], "listed");
    let other = TestEnvironment::new();
    let other = NativeYaml::write(&other, "x.yaml");
    pins(&other.recipient(), "");
    let found = json(1);
    assert_eq!(found[0]["sealedFor"][0]["state"], "unknown");
    assert!(
        found[0]["problems"][0]
            .as_str()
            .unwrap()
            .contains("which .signet.yaml does not list")
    );
    // Followed by another key: to be sealed again, and open until then.
    pins(
        &other.recipient(),
        &format!("  keySet: {{trusted: [], former: [{}]}}\n", native.key_id()),
    );
    let found = json(0);
    assert_eq!(found[0]["sealedFor"][0]["state"], "former");
    assert!(
        found[0]["problems"][0]
            .as_str()
            .unwrap()
            .contains("followed by another key")
    );
}

#[test]
fn with_a_key_the_place_that_it_was_sealed_for_is_named() {
    let env = TestEnvironment::new();
    let text = SealedYaml::write(&env, "db.yaml");
    let verify = || env.signet(&["verify", "db.yaml", "--key", "key.pem"]);
    let output = verify();
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "1 SealedSecret: all open.\n")
    );
    assert!(!output.stdout.contains("hunter2"));
    for (from, to, what) in [
        ("  name: db\n", "  name: db2\n", "shop/db2, scope strict"),
        (
            "  namespace: shop\n",
            "  namespace: prod\n",
            "prod/db, scope strict",
        ),
        (
            "  name: db\n",
            "  name: db\n  annotations: {sealedsecrets.bitnami.com/cluster-wide: 'true'}\n",
            "shop/db, scope cluster-wide",
        ),
    ] {
        env.write("db.yaml", &text.replacen(from, to, 1));
        let output = verify();
        let expected =
            format!("  password: it was sealed for shop/db, scope strict, and stands here as {what}\n");
        assert!(
            output.code == 1 && output.stdout.contains(&expected),
            "{}",
            output.stdout
        );
    }
}

#[test]
fn the_native_format_is_tried_for_other_places_too() {
    let env = TestEnvironment::new();
    NativeYaml::write(&env, "db.yaml");
    let text = env.read("db.yaml");
    let verify = || env.signet(&["verify", "db.yaml", "--key", "key.txt"]);
    assert_eq!(verify().code, 0);
    // By hand, in one of the places that name it.
    env.write("db.yaml", &text.replacen("  name: db\n", "  name: db2\n", 1));
    let output = verify();
    assert!(
        output.code == 1
            && output
                .stdout
                .contains("it is sealed for db in namespace shop, and stands here as db2 in namespace shop"),
        "{}",
        output.stdout
    );
}

#[test]
fn a_place_that_was_changed_everywhere_is_found_with_a_key() {
    let env = TestEnvironment::new();
    NativeYaml::write(&env, "db.yaml");
    let text = env.read("db.yaml");
    env.write("other.yaml", &text);
    env.write("db.yaml", &text.replace("name: db\n", "name: db2\n"));
    let output = env.signet(&["verify", "db.yaml", "other.yaml", "--key", "key.txt"]);
    assert!(
        output.code == 1
            && output.stdout.contains(
                "it was sealed for shop/db, scope strict, and stands here as shop/db2, scope strict"
            ),
        "{}",
        output.stdout
    );
    // Nothing else than the place: a changed label is not explained by one.
    env.write("db.yaml", &text.replace("app: db\n", "app: web\n"));
    let output = env.signet(&["verify", "db.yaml", "--key", "key.txt"]);
    assert!(
        output.code == 1
            && output
                .stdout
                .contains("its place, the template, the recipients or the value was changed"),
        "{}",
        output.stdout
    );
}

#[test]
fn the_controller_is_asked_and_the_reason_found() {
    let mut env = TestEnvironment::new();
    let text = SealedYaml::write(&env, "db.yaml");
    let server = controller(&mut env);
    let verify = || env.signet(&["verify", "db.yaml", "--controller"]);
    let output = verify();
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "1 SealedSecret: all open.\n")
    );
    assert_eq!(
        server.requests().len(),
        3,
        "the service account, the Service, and one question"
    );
    env.write("db.yaml", &text.replacen("  name: db\n", "  name: db2\n", 1));
    let output = verify();
    assert!(
        output.code == 1
            && output
                .stdout
                .contains("the controller opens it for shop/db, scope strict, and here it stands as shop/db2, scope strict"),
        "{}",
        output.stdout
    );
    // Damaged: no place helps, and the questions end.
    let asked = server.requests().len();
    env.write("db.yaml", &text.replacen("    user: A", "    user: B", 1));
    let output = verify();
    assert!(
        output.code == 1
            && output
                .stdout
                .contains("the controller does not open it, nor under"),
        "{}",
        output.stdout
    );
    assert!(server.requests().len() - asked <= 11);
}

#[test]
fn what_cannot_be_looked_at_has_a_code_of_its_own() {
    let env = TestEnvironment::new();
    let output = env.signet(&["verify"]);
    output.assert_failure(
        2,
        "error: there is no SealedSecret here\nhint: name files or directories that have some\n",
    );
    SealedYaml::write(&env, "db.yaml");
    assert_eq!(env.signet(&["verify", "--controller"]).code, 2, "no cluster");
    assert_eq!(env.signet(&["verify", "--key", "gone"]).code, 2);
}
