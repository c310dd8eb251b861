use super::*;
use serde_json::json;

#[test]
fn pointers_are_checked() {
    for text in [
        "/spec/replicas",
        "/spec/template/spec/containers/0/image",
        "/spec/template/spec/containers/[name=app]/image",
        "/spec/ports/[port=80,protocol=\"TCP\"]/nodePort",
        "/metadata/annotations/example.com~1x",
        "/metadata/labels/a~0b",
        "/metadata/finalizers",
        "/data/metadata",
        "/kinds",
        "/webhooks/0/clientConfig/caBundle",
    ] {
        assert_eq!(
            Pointer::parse(text).map(|pointer| pointer.to_string()).as_deref(),
            Ok(text)
        );
    }
    let long = format!("/{}", "a".repeat(LONGEST));
    let deep = "/a".repeat(MAX_DEPTH + 1);
    for text in [
        "",
        "/",
        "spec",
        "//a",
        "/a/",
        "/a~",
        "/a~2",
        "/a/*",
        "/a/-",
        "/a/[]",
        "/a/[name]",
        "/a/[=x]",
        "/a/[b=c,]",
        "/a\nb",
        &long,
        &deep,
    ] {
        assert!(
            matches!(Pointer::parse(text), Err(PointerError::Malformed(_))),
            "{text}"
        );
    }
    for text in [
        "/apiVersion",
        "/kind",
        "/kind/x",
        "/metadata",
        "/metadata/name",
        "/metadata/namespace",
        "/metadata/labels",
        "/metadata/labels/applyset.kubernetes.io~1part-of",
        "/metadata/annotations",
        "/metadata/annotations/signet.dev~1source",
    ] {
        assert!(
            matches!(Pointer::parse(text), Err(PointerError::Protected(_))),
            "{text}"
        );
    }
    assert_eq!(
        Pointer::parse("/metadata/labels").unwrap_err().to_string(),
        "it covers .metadata.labels.applyset.kubernetes.io/part-of, which cannot be ignored; name single fields"
    );
}

#[test]
fn what_a_pointer_covers() {
    let body = json!({"metadata": {"annotations": {"a/b": "1"}}, "data": {"0": "x"}, "spec": {"replicas": 1, "set": ["x", "y"],
        "containers": [{"name": "app", "image": "i", "ports": [{"containerPort": 80}]}, {"name": "side", "image": "i"}]}});
    for (pointer, path, covers) in [
        ("/spec/replicas", ".spec.replicas", true),
        ("/spec", ".spec.replicas", true),
        ("/spec/replicas", ".spec", false),
        ("/spec/replica", ".spec.replicas", false),
        ("/data/0", ".data.0", true),
        ("/metadata/annotations/a~1b", ".metadata.annotations.a/b", true),
        (
            "/spec/containers/0/image",
            ".spec.containers[name=\"app\"].image",
            true,
        ),
        (
            "/spec/containers/1/image",
            ".spec.containers[name=\"app\"].image",
            false,
        ),
        (
            "/spec/containers/01/image",
            ".spec.containers[name=\"side\"].image",
            false,
        ),
        (
            "/spec/containers/9",
            ".spec.containers[name=\"side\"].image",
            false,
        ),
        (
            "/spec/containers/[name=app]",
            ".spec.containers[name=\"app\"].image",
            true,
        ),
        ("/spec/containers/[name=app]", ".spec.containers[0].image", true),
        ("/spec/containers/[name=app]", ".spec.containers[1].image", false),
        (
            "/spec/containers/[name=side]",
            ".spec.containers[name=\"app\"].image",
            false,
        ),
        (
            "/spec/containers/[image=i]",
            ".spec.containers[name=\"app\"].image",
            true,
        ),
        (
            "/spec/containers/0/ports/[containerPort=80]",
            ".spec.containers[name=\"app\"].ports[containerPort=80,protocol=\"TCP\"].containerPort",
            true,
        ),
        ("/spec/set/1", ".spec.set[=\"y\"]", true),
        ("/spec/set/0", ".spec.set[=\"y\"]", false),
        ("/spec/set/[name=y]", ".spec.set[=\"y\"]", false),
    ] {
        let path = FieldPath::resolve(path, &body).unwrap();
        let pointer = Pointer::parse(pointer).unwrap();
        assert_eq!(pointer.covers(&path, &body), covers, "{pointer} {path}");
    }
    // A removed item is in the body alone, or nowhere; its keys suffice.
    let gone = FieldPath::resolve(".spec.containers[name=\"app\"]", &body).unwrap();
    assert!(
        Pointer::parse("/spec/containers/[name=app]")
            .unwrap()
            .covers(&gone, &json!({}))
    );
}

proptest::proptest! {
    #[test]
    fn nothing_panics(text in "(/(spec|[0-3]|containers|\\[name=.{0,2}\\]|~?.{0,3})){0,5}", other in ".{0,20}") {
        let body = json!({"spec": {"containers": [{"name": "a"}, 1, [2]]}});
        let _ = Pointer::parse(&other);
        if let Ok(pointer) = Pointer::parse(&text)
            && let Some(path) = pointer.locate(&body, None)
        {
            proptest::prop_assert!(pointer.covers(&path, &body), "{} {}", pointer, path);
        }
    }
}
