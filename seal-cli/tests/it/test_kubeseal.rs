//! By the name of `kubeseal`, and the jobs that both names have: merging, asking the controller, recovery.

use crate::support::{
    ApiServer, CERTIFICATE, Request, Response, SECRET, TestEnvironment, behind_service, mode, open,
};
use serde_json::{Value, json};

const KEY: &str = include_str!("../../../sealing/tests/vectors/key2048.pem");

/// A sealed file with everything around its values that people put there.
fn sealed_file(env: &TestEnvironment, arguments: &[&str]) -> String {
    let arguments = [&["--cert", "cert.pem", "-o", "yaml"], arguments].concat();
    let sealed = env.kubeseal(&arguments, SECRET).success();
    let sealed = sealed.strip_prefix("---\n").unwrap();
    let text = format!(
        "# the shop's\napiVersion: v1 # first\nkind: ConfigMap\nmetadata: {{name: a}}\n---\n# sealed\n{}# end\n",
        sealed.replace(
            "  encryptedData:\n",
            "  encryptedData: # values\n    # of the database\n"
        )
    );
    env.write("db.yaml", &text);
    text
}

fn document(text: &str, number: usize) -> Value {
    let documents = manifest::read_stream(text.as_bytes(), &manifest::Limits::default()).unwrap();
    documents.into_iter().nth(number).unwrap().value.unwrap()
}

#[test]
fn the_name_brings_kubeseals_defaults() {
    let mut env = TestEnvironment::new();
    let sealed = env.kubeseal(&["--cert", "cert.pem"], SECRET).success();
    assert!(sealed.starts_with("{\n"), "JSON: {sealed}");
    assert_eq!(
        env.kubeseal(&["--version"], "").success(),
        format!("kubeseal version: 0.40.0+signet.{}\n", env!("CARGO_PKG_VERSION"))
    );
    // The namespace of the context, and a variable against a flag.
    env.use_url("http://127.0.0.1:9");
    let nowhere = SECRET.replace("  namespace: shop\n", "");
    let sealed = env.kubeseal(&["--cert", "cert.pem"], &nowhere).success();
    assert_eq!(open(&serde_json::from_str(&sealed).unwrap(), "shop").len(), 1);
    env.set("SEALED_SECRETS_NAMESPACE", "other");
    env.set("SEALED_SECRETS_SCOPE", "wide");
    env.set("SEALED_SECRETS_CERT", "cert.pem");
    let sealed = env.kubeseal(&[], &nowhere).success();
    assert_eq!(open(&serde_json::from_str(&sealed).unwrap(), "other").len(), 1);
    let sealed = env.kubeseal(&["-n", "third"], &nowhere).success();
    assert_eq!(open(&serde_json::from_str(&sealed).unwrap(), "third").len(), 1);
    // `signet seal` knows the variables too.
    let sealed = env.signet_with(&["seal", "-o", "json"], &nowhere).success();
    assert_eq!(open(&serde_json::from_str(&sealed).unwrap(), "other").len(), 1);
}

#[test]
fn the_controller_is_looked_for_where_kubeseal_looks_and_then_where_signet_is() {
    let server = ApiServer::start(behind_service(|_| Response::text(CERTIFICATE)));
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    assert_eq!(env.kubeseal(&["--fetch-cert"], "").success(), CERTIFICATE);
    assert_eq!(
        server.requests(),
        [
            "GET /api/v1/namespaces/kube-system/services/sealed-secrets-controller",
            "GET /api/v1/namespaces/signet-system/services/signet",
            "GET /api/v1/namespaces/signet-system/services/http:signet:http/proxy/v1/cert.pem",
        ]
    );
    let output = env.kubeseal(
        &["--fetch-cert", "--controller-name=a", "--controller-namespace=b"],
        "",
    );
    assert_eq!(output.code, 1);
    assert!(
        output
            .stderr
            .starts_with("error: cannot get sealed secret service: there is no Service b/a"),
        "{}",
        output.stderr
    );
}

#[test]
fn merging_touches_nothing_but_what_it_merges() {
    let env = TestEnvironment::new();
    let before = sealed_file(&env, &[]);
    let more = "apiVersion: v1\nkind: Secret\nmetadata: {labels: {tier: data}}\nstringData: {token: t, password: new}\n";
    let output = env.signet_with(&["seal", "--cert", "cert.pem", "--merge-into", "db.yaml"], more);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "Merged 2 values into db.yaml.\n")
    );
    let after = env.read("db.yaml");
    let kept = before.lines().filter(|line| !line.contains("password: "));
    assert!(kept.clone().count() > 15);
    for line in kept {
        assert!(
            after.lines().any(|other| other == line),
            "{line} is gone from\n{after}"
        );
    }
    assert_eq!(after.lines().count(), before.lines().count() + 2, "{after}");
    let object = document(&after, 1);
    let opened = open(&object, "shop");
    assert_eq!(
        (opened["password"].as_str(), opened["token"].as_str()),
        ("new", "t")
    );
    assert_eq!(
        object["spec"]["template"]["metadata"]["labels"],
        json!({"app": "db", "tier": "data"})
    );
}

#[test]
fn merging_keeps_the_scope_of_the_file() {
    let env = TestEnvironment::new();
    let before = sealed_file(&env, &["--scope", "cluster-wide"]);
    let more = "apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: y}\nstringData: {token: t}\n";
    let output = env.kubeseal(
        &[
            "--cert",
            "cert.pem",
            "--merge-into",
            "db.yaml",
            "--scope=namespace-wide",
        ],
        more,
    );
    assert_eq!(output.code, 1);
    assert!(
        output
            .stderr
            .contains("the SealedSecret is of scope cluster-wide"),
        "{}",
        output.stderr
    );
    assert_eq!(env.read("db.yaml"), before, "nothing was changed");
    assert_eq!(
        env.kubeseal(&["--cert", "cert.pem", "--merge-into", "db.yaml"], more)
            .success(),
        ""
    );
    assert_eq!(open(&document(&env.read("db.yaml"), 1), "anywhere")["token"], "t");
}

#[test]
fn merging_into_what_is_no_sealed_secret_is_refused() {
    let env = TestEnvironment::new();
    env.write("plain.yaml", SECRET);
    let output = env.kubeseal(&["--cert", "cert.pem", "--merge-into", "plain.yaml"], SECRET);
    assert!(
        output
            .stderr
            .starts_with("error: there is no SealedSecret in plain.yaml\n"),
        "{}",
        output.stderr
    );
    assert_eq!((output.code, env.read("plain.yaml").as_str()), (1, SECRET));
    let output = env.kubeseal(&["--cert", "cert.pem", "--merge-into", "gone.yaml"], SECRET);
    assert!(
        output.stderr.contains("no such file or directory"),
        "{}",
        output.stderr
    );
}

#[test]
fn validation_asks_about_every_document() {
    let answer = |request: &Request| {
        let object: Value = serde_json::from_str(&request.body).unwrap();
        match (
            request.path.rsplit_once("/proxy").unwrap().1,
            object["metadata"]["name"].as_str(),
        ) {
            ("/v1/verify", Some("good")) => Response::text(""),
            ("/v1/verify", Some("bad")) => Response::error(409, "hunter2"),
            _ => Response::error(500, "hunter2"),
        }
    };
    let server = ApiServer::start(behind_service(answer));
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    let object = |name: &str| {
        format!(
            "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{encryptedData: {{a: AgB}}}}\n---\n"
        )
    };
    assert_eq!(env.kubeseal(&["--validate"], &object("good")).success(), "");
    let output = env.signet_with(&["seal", "--validate"], &object("good").repeat(2));
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (0, "The controller opens all 2.\n")
    );
    let both = env.kubeseal(
        &["--validate"],
        &(object("bad") + &object("good") + &object("bad")),
    );
    assert_eq!(both.code, 1);
    assert_eq!(both.stderr.matches("error: ").count(), 2, "{}", both.stderr);
    assert!(
        both.stderr.contains("unable to decrypt sealed secret: bad"),
        "{}",
        both.stderr
    );
    let broken = env.kubeseal(&["--validate"], &object("other"));
    assert!(
        broken
            .stderr
            .starts_with("error: cannot validate sealed secret: "),
        "{}",
        broken.stderr
    );
    assert!(!broken.stderr.contains("hunter2") && !both.stderr.contains("hunter2"));
}

/// A controller like Bitnami's: it puts the object's own metadata into the template, and drops `template.data`.
fn rotating(request: &Request) -> Response {
    let mut object: Value = serde_json::from_str(&request.body).unwrap();
    let metadata = object["metadata"].clone();
    for value in object["spec"]["encryptedData"]
        .as_object_mut()
        .unwrap()
        .values_mut()
    {
        *value = "AgRotated".into();
    }
    object["spec"]["template"] = json!({"metadata": metadata});
    object.as_object_mut().unwrap().remove("kind");
    Response::json(&object)
}

#[test]
fn re_encryption_changes_the_values_and_nothing_else() {
    let server = ApiServer::start(behind_service(rotating));
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    let before = sealed_file(&env, &[]);
    assert_eq!(env.kubeseal(&["--re-encrypt", "-f", "db.yaml"], "").success(), "");
    let password = before.lines().find(|line| line.contains("password: ")).unwrap();
    assert_eq!(
        env.read("db.yaml"),
        before.replace(password, "    password: AgRotated")
    );

    let object = document(&before, 1);
    let output = env.kubeseal(&["--rotate"], &object.to_string());
    assert_eq!(
        output.stderr,
        "Flag --rotate has been deprecated, please use --re-encrypt instead\n"
    );
    let rotated: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(rotated["spec"]["template"], object["spec"]["template"]);
    assert_eq!(rotated["spec"]["encryptedData"], json!({"password": "AgRotated"}));
}

#[test]
fn an_answer_for_another_object_is_not_taken() {
    let server = ApiServer::start(behind_service(|request| {
        let mut object: Value = serde_json::from_str(&request.body).unwrap();
        object["metadata"]["annotations"] = json!({"sealedsecrets.bitnami.com/cluster-wide": "true"});
        Response::json(&object)
    }));
    let mut env = TestEnvironment::new();
    env.use_cluster(&server);
    let before = sealed_file(&env, &[]);
    let output = env.kubeseal(&["--re-encrypt", "-f", "db.yaml"], "");
    assert!(
        output.stderr.contains("is for another object or scope"),
        "{}",
        output.stderr
    );
    assert_eq!((output.code, env.read("db.yaml")), (1, before));
}

#[test]
fn recovery_opens_every_document_and_its_file_is_private() {
    let env = TestEnvironment::new();
    env.write("key.pem", KEY);
    let one = env
        .kubeseal(&["--cert", "cert.pem", "-o", "yaml"], SECRET)
        .success();
    let two = env
        .kubeseal(
            &["--cert", "cert.pem", "-o", "yaml", "--scope=cluster-wide"],
            SECRET,
        )
        .success();
    let both = one + &two.replace("name: db", "name: second");
    let recover = [
        "--recovery-unseal",
        "--recovery-private-key",
        "key.pem",
        "-w",
        "plain.yaml",
    ];
    assert_eq!(env.kubeseal(&recover, &both).success(), "");
    let plain = env.read("plain.yaml");
    assert_eq!(plain.matches("password: aHVudGVyMg==").count(), 2, "{plain}");
    assert!(
        plain.contains("name: second") && !plain.contains("ownerReferences"),
        "{plain}"
    );
    assert_eq!(mode(&env.path("plain.yaml")), 0o600);
    // Sealed again, it has the scope that it had.
    let again = env
        .kubeseal(&["--cert", "cert.pem", "-o", "yaml"], &plain)
        .success();
    assert_eq!(open(&document(&again, 1), "elsewhere")["password"], "hunter2");

    let renamed = both.replace("name: db", "name: other");
    let output = env.kubeseal(&recover[..3], &renamed);
    assert!(
        output.stderr.contains("no key could decrypt secret (password)"),
        "{}",
        output.stderr
    );
    assert_eq!((output.code, output.stdout.as_str()), (1, ""));
}

#[test]
fn a_tree_is_sealed_where_it_stands() {
    let env = TestEnvironment::new();
    std::fs::create_dir_all(env.path("apps/.git")).unwrap();
    std::fs::create_dir_all(env.path("apps/db")).unwrap();
    let config = "# kept\napiVersion: v1\nkind: ConfigMap # this too\nmetadata: {name: a}\n";
    let secret = format!(
        "# the database\n{}",
        SECRET.replace("stringData:", "stringData: # hunter2 was worse")
    );
    env.write("apps/db/all.yaml", &format!("{config}---\n{secret}---\n{config}"));
    env.write("apps/.git/secret.yaml", SECRET);
    env.write(
        "apps/chart.yaml",
        "kind: Deployment\nname: {{ .Values.Secret }}\n",
    );
    env.write(
        "apps/token.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\ntype: x\n",
    );
    let seal = ["seal", "--in-place", "apps", "--cert", "cert.pem"];
    let output = env.signet(&seal);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (
            0,
            "warning: comments inside of 1 of the Secrets are gone, as they may have held what is secret\n\
             hint: comments above a Secret stay; `git diff` shows which are gone\n\
             Sealed 1 Secret in 1 file.\n"
        )
    );
    let after = env.read("apps/db/all.yaml");
    assert!(
        after.starts_with(&format!("{config}---\n# the database\napiVersion: bitnami.com/")),
        "{after}"
    );
    assert!(
        after.ends_with(&format!("---\n{config}")) && !after.contains("hunter2"),
        "{after}"
    );
    assert_eq!(open(&document(&after, 1), "shop")["password"], "hunter2");
    assert_eq!(env.read("apps/.git/secret.yaml"), SECRET);
    let again = env.signet(&seal);
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (0, "There is no plain Secret below apps.\n")
    );
    assert_eq!(env.read("apps/db/all.yaml"), after);

    // One that cannot be sealed stops all.
    env.write("apps/one.yaml", SECRET);
    env.write(
        "apps/template.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: {{ .x }}}\n",
    );
    let output = env.signet(&seal);
    assert!(
        output.stderr.contains("apps/template.yaml document 1: "),
        "{}",
        output.stderr
    );
    assert_eq!((output.code, env.read("apps/one.yaml").as_str()), (1, SECRET));
}
