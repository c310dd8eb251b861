//! The `signet` binary as people meet it. One test binary for all; every test has a home of its own and no cluster but
//! the one it makes up.

// Helpers of tests are tests; clippy.toml reaches only functions marked as such.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;
mod test_adopt;
mod test_approve;
mod test_audit;
mod test_bootstrap;
mod test_cert;
mod test_completions;
mod test_deprecated;
mod test_diff;
mod test_events;
mod test_general;
mod test_history;
mod test_keys;
mod test_kubeseal;
mod test_lint;
mod test_migrate;
mod test_native;
mod test_plan;
mod test_rename;
mod test_reseal;
mod test_rollback;
mod test_rotation;
mod test_seal;
mod test_seal_native;
mod test_seal_output;
mod test_seal_refusals;
mod test_set;
mod test_status;
mod test_suspend;
mod test_sync;
mod test_tree;
mod test_trust;
mod test_verify;
mod test_view;
mod test_wait;

/// A file that is not listed above would silently not run.
#[test]
fn every_test_file_is_listed() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let listed = include_str!("main.rs");
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name
            .strip_suffix(".rs")
            .filter(|module| module.starts_with("test_"))
        {
            assert!(
                listed.contains(&format!("\nmod {module};\n")),
                "{module} is not listed in main.rs"
            );
        }
    }
}
