//! The generated CRDs in `crds/yaml/` are those of the types. `SIGNET_WRITE_CRDS=1 cargo test -p crds --features kube`
//! writes them anew.
#![cfg(feature = "kube")]

use std::path::Path;

#[test]
fn generated_yaml_is_fresh() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    for (file, crd) in crds::all() {
        // Through a Value, so that null and empty fields of the typed form do not reach the file.
        let value = serde_json::to_value(&crd).unwrap();
        let text = format!(
            "# Generated from crds/src; see crds/tests/main.rs.\n{}",
            serde_saphyr::to_string(&value).unwrap()
        );
        let path = dir.join(file);
        if std::env::var_os("SIGNET_WRITE_CRDS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            stored == text,
            "{} is stale: run SIGNET_WRITE_CRDS=1 cargo test -p crds --features kube",
            path.display()
        );
    }
}

#[test]
fn conditions_are_a_list_map() {
    for (file, crd) in crds::all() {
        if file.starts_with("sealedsecrets") || file.starts_with("approvals") {
            continue; // Bitnami's shape, kept as theirs; an Approval has no status
        }
        let value = serde_json::to_value(&crd).unwrap();
        let conditions = &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
            ["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map", "{file}");
        assert_eq!(conditions["x-kubernetes-list-map-keys"][0], "type", "{file}");
    }
}
