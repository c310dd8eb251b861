//! Renders directories of real repositories.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy.toml allows them in test functions only, not in their helpers"
)]

#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with the tests of `source`, which take more"
)]
#[path = "../../../source/tests/support/repo.rs"]
mod repo;

mod loading;
mod problems;
mod rendering;
mod substituting;

use render::{Limits, RenderError, Rendered, directory};
use repo::Repo;
use source::{FileRemotes, RefSpec, Remote, Snapshot, Store};
use tempfile::TempDir;

/// A repository's head, fetched.
struct Fixture {
    snapshot: Snapshot,
    _store: TempDir,
}

impl Fixture {
    fn new(files: &[(&str, &str)]) -> Self {
        Self::of(&Repo::with(files))
    }

    fn of(repo: &Repo) -> Self {
        let mut remote = Remote::new(format!("file://{}", repo.bare().display()));
        remote.files = FileRemotes::Below(vec![repo.root().to_owned()]);
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let fetched = store.fetch(&remote, &RefSpec::Branch("main".into())).unwrap();
        Self {
            snapshot: fetched.snapshot,
            _store: dir,
        }
    }

    fn render(&self, path: &str) -> Result<Rendered, RenderError> {
        directory(&self.snapshot, path, &Limits::default())
    }
}

/// A ConfigMap as text.
fn config_map(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: shop\ndata:\n  of: {name}\n"
    )
}

fn names(rendered: &Rendered) -> Vec<String> {
    rendered
        .items
        .iter()
        .map(|item| format!("{}: {}", item.origin, item.id))
        .collect()
}

fn problems(rendered: &Rendered) -> Vec<String> {
    rendered.problems.iter().map(ToString::to_string).collect()
}
