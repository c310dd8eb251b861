//! `signet seal`: everything that it refuses, whole, and without a word of what may be secret.

use crate::support::{CommandOutput, SECRET, TestEnvironment, expired_certificate};

/// Seals into a file that is there already, and which a refusal leaves alone.
fn seal(env: &TestEnvironment, arguments: &[&str], stdin: &str) -> CommandOutput {
    env.write("out.yaml", "as before");
    let certificate: &[&str] = if arguments.contains(&"--cert") {
        &[]
    } else {
        &["--cert", "cert.pem"]
    };
    let arguments = [&["seal", "-w", "out.yaml"], certificate, arguments].concat();
    let output = env.signet_with(&arguments, stdin);
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    assert_eq!(env.read("out.yaml"), "as before");
    assert!(
        env.files().iter().all(|name| !name.contains(".signet")),
        "nothing is left behind"
    );
    output
}

fn refused(stdin: &str, arguments: &[&str], what: &str, hint: &str) {
    seal(&TestEnvironment::new(), arguments, stdin).assert_failure(
        1,
        &format!("error: nothing was sealed, because of this:\n  standard input {what}\nhint: {hint}\n"),
    );
}

#[test]
fn everything_that_is_wrong_is_reported_at_once() {
    let env = TestEnvironment::new();
    env.write(
        "in.yaml",
        &format!(
            "{SECRET}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web, namespace: shop}}\n---\n\
             apiVersion: v1\nkind: Secret\nmetadata: {{name: nowhere}}\n---\n\
             apiVersion: v1\nkind: List\nitems:\n\
             - {{apiVersion: bitnami.com/v1alpha1, kind: SealedSecret, metadata: {{name: x}}}}\n\
             - {{apiVersion: v1, kind: Secret, metadata: {{namespace: shop}}}}\n---\nhunter2: [\n"
        ),
    );
    let output = seal(&env, &["in.yaml"], "");
    assert_eq!((output.code, output.stdout.as_str()), (1, ""));
    let (problems, hints) = output.stderr.split_at(output.stderr.find("hint: ").unwrap());
    assert_eq!(
        problems,
        "error: nothing was sealed, because of these 5:\n\
         \x20 in.yaml document 4 item 2: missing metadata.name in input Secret\n\
         \x20 in.yaml document 5: line 25, column 1: a value was expected here\n\
         \x20 in.yaml document 2 (line 10): ConfigMap shop/web: it is not a Secret\n\
         \x20 in.yaml document 3 (line 14): Secret nowhere: secret must declare a namespace: scope strict needs one\n\
         \x20 in.yaml document 4 item 1 (line 18): SealedSecret.bitnami.com x: it is sealed already\n",
    );
    assert_eq!(hints.lines().count(), 5, "one for each: {hints}");
    assert!(hints.lines().all(|line| line.starts_with("hint: ")));
    assert!(
        hints.ends_with(
            "hint: only Secrets are sealed; keep other objects in files of their own\n\
             hint: write metadata.namespace, or give --namespace NAME, or --scope cluster-wide\n\
             hint: leave out what is sealed already\n"
        ),
        "{hints}"
    );
}

#[test]
fn a_place_has_to_be_known() {
    let nowhere = SECRET.replace("  namespace: shop\n", "");
    refused(
        &nowhere,
        &["--scope", "namespace-wide"],
        "document 1 (line 1): Secret db: secret must declare a namespace: scope namespace-wide needs one",
        "write metadata.namespace, or give --namespace NAME, or --scope cluster-wide",
    );
    refused(
        SECRET,
        &["--namespace", "other"],
        "document 1 (line 1): Secret shop/db: namespace mismatch: input secret is in namespace \"shop\" but \"other\" was \
         specified",
        "leave out --namespace, or seal the files of each namespace on their own",
    );
    refused(
        &nowhere,
        &["--namespace", "a/b"],
        "document 1 (line 1): Secret db: metadata.namespace: not a name that Kubernetes accepts",
        "correct the Secret; `kubectl create --dry-run=server -f FILE` tells what Kubernetes thinks of it",
    );
}

#[test]
fn a_secret_that_kubernetes_would_not_take_is_not_sealed() {
    let place = "document 1 (line 1): Secret shop/db: ";
    let quote = "YAML reads unquoted numbers, yes, no, true and null as other types: quote them";
    for (from, to, problem, hint) in [
        (
            "password: hunter2",
            "password: 7",
            "stringData.password: must be a string; quote it",
            quote,
        ),
        (
            "stringData:\n  password: hunter2",
            "data:\n  password: hunter2",
            "data.password: not base64; put plain text into stringData",
            "values in data are base64; plain text goes into stringData",
        ),
        (
            "stringData:",
            "stringdata:",
            "stringdata: a Secret has no such field",
            "a slip in a field's name? What a Secret does not have would be lost",
        ),
        (
            "stringData:\n  password: hunter2",
            "type: Opaque",
            "secret.data is empty in input Secret, assuming this is an error and aborting. To work with empty data, \
             --allow-empty-data can be used",
            "if the Secret is meant to be empty, give --allow-empty-data",
        ),
    ] {
        refused(&SECRET.replace(from, to), &[], &format!("{place}{problem}"), hint);
    }
    let output = seal(
        &TestEnvironment::new(),
        &[],
        &SECRET.replace("{app: db}", "{app: 1}"),
    );
    assert_eq!(output.code, 1);
    let problem = "\n  standard input document 1: metadata.labels.app is not a string but a number\nhint: ";
    assert!(output.stderr.contains(problem), "{}", output.stderr);
    refused(
        &SECRET.replace(
            "  labels:",
            "  annotations: {sealedsecrets.bitnami.com/cluster-wide: 'true'}\n  labels:",
        ),
        &["--scope", "strict"],
        &format!(
            "{place}metadata.annotations: the Secret's annotation asks for scope cluster-wide, but scope strict was \
             asked for"
        ),
        "remove the annotation, or leave out --scope",
    );
}

#[test]
fn nothing_to_seal_is_an_error() {
    let env = TestEnvironment::new();
    for nothing in [
        "",
        "# hunter2\n",
        "---\n---\n",
        "apiVersion: v1\nkind: List\nitems: []\n",
    ] {
        seal(&env, &[], nothing).assert_failure(
            1,
            "error: no secrets found. Ensure the input is valid and UTF-8 encoded\n\
             hint: give a file, or pipe a manifest in: kubectl create secret … --dry-run=client -o yaml | signet seal\n",
        );
    }
}

#[test]
fn input_that_cannot_be_read() {
    let env = TestEnvironment::new();
    seal(&env, &["-", "-"], SECRET)
        .assert_failure(1, "error: standard input is named twice\nhint: give `-` once\n");
    seal(&env, &["gone.yaml"], "").assert_failure(
        1,
        "error: cannot read gone.yaml: No such file or directory (os error 2)\n\
         hint: give files with manifests, or `-` for standard input\n",
    );
    std::fs::create_dir(env.path("directory")).unwrap();
    assert_eq!(seal(&env, &["directory"], "").code, 1);
}

#[test]
fn certificates_that_cannot_be_sealed_for() {
    let env = TestEnvironment::new();
    let private = include_str!("../../../sealing/tests/vectors/key2048.pem");
    env.write("old.pem", &expired_certificate());
    env.write("private.pem", private);
    env.write("public.pem", &private.replace("PRIVATE", "PUBLIC"));
    env.write(
        "ec.pem",
        include_str!("../../../sealing/tests/vectors/ec-cert.pem"),
    );
    let fetch = "hint: get the controller's certificate with `signet cert > cert.pem`\n";
    for (file, message) in [
        (
            "old.pem",
            "error: failed to encrypt using an expired certificate on July 15, 2017\n\
             hint: fetch the current one with `signet cert`; an expired key cannot be sealed for\n"
                .to_owned(),
        ),
        (
            "private.pem",
            format!(
                "error: cannot seal for private.pem: it is a private key; a certificate is needed, and the private \
                 key should not leave the cluster\n{fetch}"
            ),
        ),
        (
            "public.pem",
            format!(
                "error: cannot seal for public.pem: it is a bare public key; a certificate is needed, because the \
                 key's dates stand there\n{fetch}"
            ),
        ),
        (
            "ec.pem",
            format!("error: cannot seal for ec.pem: the certificate's key is not an RSA key\n{fetch}"),
        ),
        (
            "gone.pem",
            "error: cannot read the certificate gone.pem: no such file or directory\n\
             hint: get it with `signet cert > cert.pem`\n"
                .to_owned(),
        ),
    ] {
        seal(&env, &["--cert", file], SECRET).assert_failure(1, &message);
    }
}
