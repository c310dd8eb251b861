//! Nothing but sealed values and recipients changes.

use crate::support::{again, keys, masked, opened, sealed_v1, sealed_v2};
use manifest::write_yaml;
use sealing::Scope;

#[test]
fn a_text_of_both_formats_keeps_every_other_byte() {
    let (old, new) = (keys(), keys());
    let one = sealed_v1(&old, Scope::Strict, "shop", "db", "hunter2");
    let two = sealed_v1(&old, Scope::Namespace, "shop", "wide", "swordfish");
    let three = sealed_v1(&old, Scope::Cluster, "", "anywhere", "xyzzy");
    let native = write_yaml(&[sealed_v2(&old, "token", &[("a", "one"), ("b", "two")])]);
    let text = format!(
        "# The shop.\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: plain}}   # odd spacing\ndata:\n    a:   'b'\n---\n\
         apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db # its name\n  namespace: shop\nspec:\n  \
         encryptedData:\n    # why it is there\n    password: {one} # behind\n  template:\n    type: Opaque\n---\n\
         apiVersion: v1\nkind: List\nitems:\n- apiVersion: bitnami.com/v1alpha1\n  kind: SealedSecret\n  metadata:\n    name: wide\n    \
         annotations: {{sealedsecrets.bitnami.com/namespace-wide: \"true\"}}\n  spec:\n    encryptedData:\n      p: \"{two}\"\n- \
         apiVersion: bitnami.com/v1alpha1\n  kind: SealedSecret\n  metadata:\n    name: anywhere\n    annotations:\n      \
         sealedsecrets.bitnami.com/cluster-wide: 'true'\n  spec:\n    encryptedData: {{p: '{three}'}}\n---\n{native}# the end\n"
    );
    let before = opened(&text, &old);
    assert_eq!(before.len(), 5, "{before:?}");
    let resealed = again(&text, &old, &new);
    assert!(resealed.kept.is_empty(), "{:?}", resealed.kept);
    let after = String::from_utf8(resealed.bytes).unwrap();
    assert_eq!(opened(&after, &new), before, "the new keys open the same values");
    assert!(opened(&after, &old).is_empty(), "the old ones open nothing");
    assert_eq!(masked(&after), masked(&text));
    assert_ne!(after, text);
    let keys: usize = resealed.changed.iter().map(|changed| changed.keys.len()).sum();
    assert_eq!((keys, resealed.current), (5, 0));

    // What is done needs no change, whichever keys are at hand.
    let idle = again(&after, &new, &new);
    assert_eq!((idle.bytes, idle.current), (after.into_bytes(), 5));
    assert!(idle.changed.is_empty() && idle.kept.is_empty());
}

#[test]
fn json_and_windows_line_ends_stay_what_they_are() {
    let (old, new) = (keys(), keys());
    let one = sealed_v1(&old, Scope::Strict, "shop", "db", "hunter2");
    let json = format!(
        "{{\"apiVersion\":\"bitnami.com/v1alpha1\",\"kind\":\"SealedSecret\",\n \"metadata\":{{\"name\":\"db\"}},\"spec\":{{\"encryptedData\":{{\"p\":\"{one}\"}}}}}}\n"
    );
    let yaml = format!(
        "apiVersion: bitnami.com/v1alpha1\r\nkind: SealedSecret\r\nmetadata:\r\n  name: db\r\nspec:\r\n  encryptedData:\r\n    p: {one}\r\n"
    );
    for text in [json, yaml] {
        let resealed = again(&text, &old, &new);
        let after = String::from_utf8(resealed.bytes).unwrap();
        assert_eq!(masked(&after), masked(&text));
        assert_eq!(opened(&after, &new)["db/p"], "hunter2");
    }
}

#[test]
fn a_text_without_sealed_values_is_the_same_text() {
    let (old, new) = (keys(), keys());
    for text in [
        "",
        "# nothing\n",
        "a: b\n---\nkind: SealedSecret\n",
        "{}",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}",
    ] {
        let resealed = again(text, &old, &new);
        assert_eq!(resealed.bytes, text.as_bytes());
        assert!(resealed.changed.is_empty());
    }
}
