//! Secrets, good and bad, and the keys to seal for.

use super::Departure::{self, Refuses, Writes};

pub(super) const CERTIFICATE: &str = include_str!("../../../../sealing/tests/vectors/cert2048.pem");
pub(super) const KEY: &str = include_str!("../../../../sealing/tests/vectors/key2048.pem");

/// A context with a namespace, and a server at a port where nobody listens.
pub(super) const KUBECONFIG: &str = "apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: 'http://127.0.0.1:9'}}, {name: second, cluster: {server: 'http://127.0.0.1:9'}}]
users: [{name: test, user: {token: t}}]
contexts:
- {name: test, context: {cluster: test, user: test, namespace: ctx}}
- {name: bare, context: {cluster: test, user: test}}
";

/// Every label that a value of these tests may be sealed for.
pub(super) const LABELS: [&str; 9] = [
    "",
    "shop",
    "ctx",
    "default",
    "shop/db",
    "ctx/db",
    "default/db",
    "shop/renamed",
    "other/db",
];

/// An input, and where Signet departs with it whatever the flags.
pub(super) struct Input {
    pub(super) text: &'static str,
    pub(super) departs: Option<(&'static str, Departure)>,
}

const fn good(text: &'static str) -> Input {
    Input { text, departs: None }
}

const fn refused(why: &'static str, message: &'static str, text: &'static str) -> Input {
    Input {
        text,
        departs: Some((why, Refuses(message))),
    }
}

pub(super) const PLAIN: &str = "apiVersion: v1
kind: Secret
metadata: {name: db, namespace: shop, labels: {app: db}, annotations: {note: x}}
stringData: {password: hunter2}
";

/// What is sealed with every set of flags.
pub(super) const SECRETS: [Input; 24] = [
    good(PLAIN),
    good(
        r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db","namespace":"shop"},"data":{"a":"MQ==","b":""}}"#,
    ),
    good(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata: {a: MQ==}\nstringData: {a: two, c: '3'}\n",
    ),
    good("apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: ''}\nstringData: {a: x}\n---\n"),
    good(
        "---\n# a comment\napiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {a: x}\n",
    ),
    good("apiVersion: v1\nkind: Secret\nmetadata: {namespace: shop}\nstringData: {a: x}\n"),
    good("apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\n"),
    good("apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\ndata: {}\nstringData: {}\n"),
    good(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop, annotations: {\
          sealedsecrets.bitnami.com/namespace-wide: 'true'}}\nstringData: {a: x}\n",
    ),
    good(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, annotations: {\
          sealedsecrets.bitnami.com/cluster-wide: 'true', keep: me}}\nstringData: {a: x}\n",
    ),
    good(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: shop\n  uid: 0b7b3c5e-7d3c-4c8e-9c5c-0a0a0a0a0a0a\n  \
          resourceVersion: '7'\n  generation: 3\n  creationTimestamp: '2026-01-01T00:00:00Z'\n  selfLink: /x\n  \
          ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: u}]\n  annotations:\n    \
          kubectl.kubernetes.io/last-applied-configuration: '{\"stringData\":{\"a\":\"hunter2\"}}'\n    kept: x\ndata: {a: MQ==}\n",
    ),
    good(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop, finalizers: [a/b]}\ntype: kubernetes.io/tls\n\
          immutable: true\ndata: {tls.crt: MQ==, tls.key: Mg==}\n",
    ),
    good(
        "apiVersion: v1\r\nkind: Secret\r\nmetadata: {name: db, namespace: shop}\r\nstringData: {a: \"x\\ny\"}\r\n",
    ),
    good(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData:\n  a: |\n    line one\n    line two\n",
    ),
    good("apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\ndata: {a: '?'}\n"),
    good("this is no manifest\n"),
    good(""),
    refused(
        "a ConfigMap is no Secret",
        "it is not a Secret",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: db, namespace: shop}\ndata: {a: MQ==}\n",
    ),
    refused(
        "a field that a Secret does not have would be lost",
        "a Secret has no such field",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringdata: {a: x}\ndata: {b: MQ==}\n",
    ),
    refused(
        "Kubernetes would not take the key",
        "data: a key holds only letters",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\ndata: {a b: MQ==}\n",
    ),
    // The last one wins, as Kubernetes reads it.
    good(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {a: one, a: two}\n",
    ),
    refused(
        "`y` is a boolean in YAML 1.1: kubeseal seals `true`",
        "stringData.a: must be a string; quote it",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {a: y}\n",
    ),
    refused(
        "`n` is a boolean in YAML 1.1, and no namespace",
        "metadata.namespace is not a string but a boolean",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: n}\nstringData: {a: x}\n",
    ),
    refused(
        "what is sealed is not sealed again",
        "it is sealed already",
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: db, namespace: shop}\nspec: {encryptedData: {a: AgB}}\n",
    ),
];

/// Several Secrets at once, and Lists.
pub(super) const STREAMS: [Input; 4] = [
    good(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {a: x}\n---\n\n---\n\
          apiVersion: v1\nkind: Secret\nmetadata: {name: renamed, namespace: shop}\nstringData: {a: z}\n",
    ),
    good(
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"db\",\"namespace\":\"shop\"},\"data\":{\"a\":\"MQ==\"}}\n\
          {\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"renamed\",\"namespace\":\"shop\"},\"data\":{\"a\":\"Mg==\"}}\n",
    ),
    good(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {a: x}\n---\n\
          apiVersion: v1\nkind: Secret\nmetadata: {name: renamed, namespace: shop}\n",
    ),
    Input {
        text: "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: db, namespace: shop}, stringData: {a: x}}\n\
               - {apiVersion: v1, kind: Secret, metadata: {name: renamed, namespace: shop}, stringData: {a: z}}\n",
        departs: Some(("a List is sealed item by item", Writes("\"name\":\"renamed\""))),
    },
];
