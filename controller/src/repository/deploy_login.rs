//! Logging in with the deploy key that the controller made, and taking a new one into use.

use crds::Repository;
use kube::Resource;
use source::Auth;
use tracing::{debug, info};

use super::deploy_key::DeployKeys;
use super::failure::Failure;
use super::follower::Follower;
use super::look::Looked;
use super::wanted::Wanted;
use crate::events::Severity;

impl Follower {
    /// What to log in with, the newer key first. Makes the key where there is none.
    pub(super) async fn deploy_auths(
        &mut self,
        object: &Repository,
        wanted: &Wanted,
        known_hosts: &str,
    ) -> Result<Vec<Auth>, Failure> {
        if let Some((of, keys)) = &self.deploy_keys
            && of == wanted
        {
            return Ok(keys.auths(known_hosts));
        }
        let keys = DeployKeys::ensure(self.room.client.clone(), object).await?;
        self.deploy_key = Some(keys.status());
        if keys.made {
            let message = format!(
                "A deploy key was made. Add its public half at the Git host: {}",
                keys.to_add()
            );
            info!(
                namespace = self.key.0,
                name = self.key.1,
                key = keys.to_add(),
                "a deploy key was made"
            );
            let about = object.object_ref(&());
            self.room
                .events
                .publish(&about, Severity::Normal, "DeployKeyMade", message);
        }
        let auths = keys.auths(known_hosts);
        self.deploy_keys = Some((wanted.clone(), keys));
        Ok(auths)
    }

    /// The host's first yes to a newer key ends the older one.
    pub(super) async fn keep_deploy_key(&mut self, object: &Repository, looked: &Looked) {
        // A fall-back's yes is none of the host's.
        if looked.fell_back || looked.aside.is_some() || looked.found.is_err() {
            return;
        }
        let Some((_, keys)) = &mut self.deploy_keys else {
            return;
        };
        match keys.promote(self.room.client.clone(), object).await {
            Ok(None) => {}
            Ok(Some(old)) => {
                self.deploy_key = Some(keys.status());
                let message = format!(
                    "The new deploy key is in use. The old one, {old}, can be removed at the Git host."
                );
                let about = object.object_ref(&());
                self.room
                    .events
                    .publish(&about, Severity::Normal, "DeployKeyRenewed", message);
            }
            // The next look tries again; until then both are kept.
            Err(failure) => debug!(message = failure.message, "the new deploy key is not kept yet"),
        }
    }

    /// A refusal of the deploy key says which key to add.
    pub(super) fn with_key_to_add(&self, mut failure: Failure) -> Failure {
        if failure.reason == "KeyRefused"
            && let Some((_, keys)) = &self.deploy_keys
        {
            failure.message = format!("{} It is: {}", failure.message, keys.to_add());
        }
        failure
    }
}
