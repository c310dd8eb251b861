//! Where the workspace and its binaries are.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ has a parent")
        .to_owned()
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A binary of this workspace, such as `signet`: the one that was built beside the running test or demo, or else the
/// one of any profile.
pub fn binary(name: &str) -> PathBuf {
    let beside = std::env::current_exe().ok().and_then(|exe| {
        let dir = exe.parent()?;
        // Tests run from `deps/`, one level below the binaries.
        Some(if dir.ends_with("deps") { dir.parent()? } else { dir }.to_owned())
    });
    let profiles = ["debug", "quick", "release"].map(|profile| target().join(profile));
    find(beside.into_iter().chain(profiles), name)
}

/// The control plane's binary, which is also kubectl.
pub fn signet_cluster() -> PathBuf {
    find(go_binaries(), "signet-cluster")
}

/// The real kubeseal.
pub fn kubeseal() -> PathBuf {
    find(go_binaries(), "kubeseal")
}

/// The Go build scripts write below `target/` whatever Cargo is told.
fn go_binaries() -> [PathBuf; 2] {
    [root().join("target/cluster"), target().join("cluster")]
}

fn find(dirs: impl IntoIterator<Item = PathBuf>, name: &str) -> PathBuf {
    let mut looked = Vec::new();
    for dir in dirs {
        let path = dir.join(name);
        if path.is_file() {
            return path;
        }
        looked.push(dir.display().to_string());
    }
    panic!(
        "the binary `{name}` is not built (looked in {}). `make test` builds everything that the tests need, then runs them.",
        looked.join(", ")
    )
}
