//! Cases that begin with a Secret in plain text in Git: somebody's mistake, and often not the only one in the file.

use crds::PlaintextSecrets;

use super::case::{Case, End};
use super::policies;
use super::values::{self, Class, Values};

const HEAD: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: NAME\n";

/// All of them. `NAME` in a text stands for the case's name, `VALUE` for its value, `DIGITS` for one that is a number.
pub(super) fn cases(values: &mut Values) -> Vec<Case> {
    let mut cases = policy(values);
    for (name, text) in BROKEN {
        cases.push(case(values, name, text));
    }
    for (name, body) in ODD {
        cases.push(case(values, name, &format!("{HEAD}{body}")));
    }
    cases.extend(special(values));
    cases
}

/// What is said of plain text at all.
fn policy(values: &mut Values) -> Vec<Case> {
    let text = format!("{HEAD}stringData:\n  password: VALUE\n");
    let mut with = |name, end, policy: PlaintextSecrets| {
        let mut case = case(values, name, &text).with(move |spec| spec.plaintext_secrets = policy);
        case.end = end;
        case
    };
    vec![
        with("plain-warned", End::Applied, PlaintextSecrets::Warn),
        with("plain-allowed", End::Applied, PlaintextSecrets::Allow),
        with("plain-refused", End::Failed, PlaintextSecrets::Refuse),
        with("plain-forbidden", End::Failed, PlaintextSecrets::Allow)
            .with(|spec| spec.service_account_name = policies::POWERLESS.into()),
    ]
}

/// Files that are no YAML, or YAML that reads otherwise than it looks.
const BROKEN: &[(&str, &str)] = &[
    (
        "template",
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: NAME}\nspec:\n  template:\n    stringData: {password: VALUE}\n    data: {password: \"{{ VALUE }}\"}\n",
    ),
    (
        "unclosed",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: \"VALUE\n",
    ),
    (
        "tab",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n\tpassword: VALUE\n",
    ),
    (
        "alias",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: *VALUE\n",
    ),
    (
        "anchor",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: &VALUE\n  password: *VALUE\n",
    ),
    (
        "tag",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: !!int VALUE\n",
    ),
    (
        "binary",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: !!binary \"VALUE!\"\n",
    ),
    (
        "handle",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: !VALUE!x y\n",
    ),
    (
        "merge",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  <<: VALUE\n",
    ),
    (
        "indent",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: VALUE\n more: VALUE\n",
    ),
    (
        "colon",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: VALUE: VALUE\n",
    ),
    (
        "percent",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: %VALUE\n",
    ),
    (
        "at",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: @VALUE\n",
    ),
    (
        "escape",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: \"\\qVALUE\"\n",
    ),
    (
        "flow",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {password: VALUE, [VALUE]: x\n",
    ),
    (
        "control",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: \"VALUE\u{1}\"\n",
    ),
    (
        "twice",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: VALUE\n  password: VALUE\n",
    ),
    (
        "list-key",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  ? [VALUE]\n  : VALUE\n",
    ),
    ("separator", "--- VALUE\napiVersion: v1\nkind: Secret\n"),
    (
        "separator-again",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n---  {VALUE\nstringData:\n",
    ),
    ("directive", "%VALUE\n---\napiVersion: v1\nkind: Secret\n"),
    (
        "end",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n... VALUE\n",
    ),
    (
        "json",
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"x\"},\"stringData\":{\"password\":\"VALUE\"}",
    ),
    (
        "json-after",
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"x\"}} VALUE",
    ),
    ("bare", "VALUE\n"),
    ("list", "- VALUE\n- password: VALUE\n"),
    (
        "kind",
        "apiVersion: v1\nkind: Secrett\nmetadata: {name: x}\nstringData:\n  password: VALUE\n",
    ),
    (
        "kind-list",
        "apiVersion: v1\nkind: [VALUE]\nmetadata: {name: x}\n",
    ),
    (
        "version",
        "apiVersion: v7\nkind: Secret\nmetadata: {name: x}\nstringData:\n  password: VALUE\n",
    ),
    (
        "generate-name",
        "apiVersion: v1\nkind: Secret\nmetadata: {generateName: x-}\nstringData:\n  password: VALUE\n",
    ),
    (
        "no-name",
        "apiVersion: v1\nkind: Secret\nstringData:\n  password: VALUE\n",
    ),
    ("metadata", "apiVersion: v1\nkind: Secret\nmetadata: VALUE\n"),
    (
        "name-list",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: [VALUE]}\n",
    ),
    (
        "bad-name",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: Not_A_Name}\nstringData:\n  password: VALUE\n",
    ),
    (
        "items",
        "apiVersion: v1\nkind: SecretList\nitems:\n- VALUE\n- {metadata: {name: x}, stringData: VALUE}\n",
    ),
    (
        "duplicates",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: d}\nstringData: {a: VALUE}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: d}\nstringData: {b: VALUE}\n",
    ),
    (
        "bomb",
        "a: &a [VALUE,VALUE,VALUE,VALUE,VALUE,VALUE,VALUE,VALUE,VALUE]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n",
    ),
];

/// Secrets that are objects, with fields of the wrong type or none: the API server quotes such fields.
const ODD: &[(&str, &str)] = &[
    (
        "odd-indentation",
        "  stringData:\n    password: VALUE\ndata: {a: Yg==}\n",
    ),
    ("odd-finalizers", "  finalizers: VALUE\nstringData: {a: b}\n"),
    ("odd-metadata", "  VALUE: x\nstringData: {a: b}\n"),
    ("odd-number", "stringData:\n  password: DIGITS\n"),
    ("odd-data-number", "data:\n  password: DIGITS\n"),
    ("odd-list", "stringData:\n  password: [VALUE]\n"),
    ("odd-object", "stringData:\n  password: {VALUE: VALUE}\n"),
    ("odd-text", "stringData: VALUE\n"),
    ("odd-data-text", "data: VALUE\n"),
    ("odd-data", "data:\n  password: VALUE!\n"),
    ("odd-data-list", "data:\n  password: [VALUE]\n"),
    ("odd-data-object", "data:\n  password: {a: VALUE}\n"),
    ("odd-type", "type: [VALUE]\nstringData: {a: VALUE}\n"),
    ("odd-immutable", "immutable: VALUE\nstringData: {a: VALUE}\n"),
    ("odd-field", "strngData:\n  password: VALUE\n"),
    ("odd-top", "password: VALUE\nVALUE: x\n"),
    ("odd-top-key", "stringData:\n  password: |\nVALUE: more of it\n"),
    ("odd-key", "stringData:\n  no key!: VALUE\n"),
    (
        "odd-tls",
        "type: kubernetes.io/tls\nstringData: {tls.crt: VALUE, tls.key: VALUE}\n",
    ),
    (
        "odd-docker",
        "type: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: VALUE}\n",
    ),
    (
        "odd-login",
        "type: kubernetes.io/basic-auth\nstringData: {pass: VALUE}\n",
    ),
    ("odd-null", "stringData:\n  password: VALUE\n  other: null\n"),
];

fn special(values: &mut Values) -> Vec<Case> {
    let mut labelled = case(
        values,
        "plain-denied",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: NAME, labels: {LABEL: deny}}\nstringData: {password: VALUE}\n",
    );
    labelled.end = End::Failed;

    // Bytes that are no text, beside a value.
    let mut bytes = case(
        values,
        "not-utf8",
        &format!("{HEAD}stringData:\n  password: \"VALUE\n"),
    );
    bytes.files[0].1.extend([0xff, 0xfe, b'"', b'\n']);
    bytes.end = End::Failed;

    let large = values
        .text("plain-too-large", Class::Committed, values::letters(1024))
        .repeat(1100);
    let large = format!("{HEAD}stringData:\n  password: {large}\n").replace("NAME", "plain-too-large");
    let value = values.committed("document-too-large");
    let filler = "  filler: 0123456789012345678901234567890123456789012345678901234567\n".repeat(160_000);
    let document = format!("{HEAD}stringData:\n  password: {value}\n{filler}").replace("NAME", "huge");

    let generator = "secretGenerator:\n- name: x\n  literals: [\"password=VALUE\"]\n";
    let generator = generator.replace("VALUE", &values.committed("kustomization"));
    let plain = Case::new("kustomization", End::Failed, "").file("kustomization.yaml", generator);
    vec![
        labelled,
        bytes,
        Case::new("plain-too-large", End::Failed, large),
        Case::new("document-too-large", End::Failed, document),
        plain,
    ]
}

fn case(values: &mut Values, name: &str, text: &str) -> Case {
    let mut text = text.replace("NAME", name).replace("LABEL", policies::LABEL);
    if text.contains("VALUE") {
        text = text.replace("VALUE", &values.committed(name));
    }
    if text.contains("DIGITS") {
        text = text.replace("DIGITS", &values.digits(name));
    }
    Case::new(name, End::Either, text)
}
