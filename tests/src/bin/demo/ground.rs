//! What the story happens on: a cluster with Signet, and a team's Git repository.

use std::path::PathBuf;

use tests::{Cluster, Controller, Repo};

/// The manifests of the shop, without its password.
const SHOP: [(&str, &str); 3] = [
    ("shop/namespace.yaml", include_str!("shop/namespace.yaml")),
    ("shop/mysql.yaml", include_str!("shop/mysql.yaml")),
    ("shop/wordpress.yaml", include_str!("shop/wordpress.yaml")),
];

/// The Repository and the Sync.
const SYNC: &str = include_str!("shop/sync.yaml");

/// Everything that was started. The controller goes before the cluster.
pub(crate) struct Ground {
    pub(crate) controller: Controller,
    pub(crate) repo: Repo,
    pub(crate) cluster: Cluster,
}

impl Ground {
    /// Fills the clone. `sync.yaml` stays outside of it: it is applied by hand.
    pub(crate) fn write_shop(&self) {
        for (file, content) in SHOP {
            self.repo.write(file, content);
        }
    }

    /// The mistake.
    pub(crate) fn close_the_shop(&self) {
        let (file, content) = SHOP[2];
        self.repo
            .write(file, content.replace("replicas: 2", "replicas: 0"));
    }

    /// The file with the Repository and the Sync.
    pub(crate) fn sync_file(&self) -> PathBuf {
        let file = self.repo.work().with_file_name("sync.yaml");
        std::fs::write(&file, SYNC.replace("REMOTE", self.repo.url())).expect("the Sync can be written");
        file
    }
}
