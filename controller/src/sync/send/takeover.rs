//! First contact with an object that another tool applied: its fields become ours, so that what Git does not have goes.

use super::settle::Settled;
use super::{One, Trouble};
use crate::sync::execute::Hand;
use apply::fields::{self, Heir, Takeover, Tool};
use apply::{ErrorKind, Meta};
use crds::Conflicts;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use zeroize::Zeroizing;

/// How often `managedFields` are written when somebody else writes the object in between.
const TRIES: u32 = 3;

impl Hand {
    /// Where the answer to an apply names Syncs that have left the object, or, at first contact, tools that applied it before
    /// us, makes their fields ours and applies once more. What they left that Git does not have, kubectl's last-applied configuration for one, is gone
    /// then. Gives the tool, as far as it has a name.
    pub(super) async fn take_over(
        &self,
        one: &One<'_>,
        body: &Zeroizing<Vec<u8>>,
        settled: &mut Settled,
    ) -> Result<Option<Tool>, Trouble> {
        // Who yields takes nothing.
        if one.wanted.item.options().takeover_disabled || one.policy.conflicts == Conflicts::Yield {
            return Ok(None);
        }
        let heir = Heir {
            manager: &self.manager,
            of_tools: one.is_first_contact() && !settled.reply.created,
            is_left: &|manager| self.names.has_left(manager, one.key),
        };
        if legacy_of(&settled.reply.meta, &heir).is_empty() {
            return Ok(None);
        }
        let mut meta = settled.reply.meta.clone();
        for _ in 0..TRIES {
            let entries = meta.0.managed_fields.as_deref().unwrap_or_default();
            let legacy = legacy_of(&meta, &heir);
            if legacy.is_empty() {
                return Ok(None);
            }
            let tool = legacy.managers.iter().filter_map(|name| Tool::of(name)).max();
            let version = meta.0.resource_version.as_deref().unwrap_or_default();
            let now = Time(jiff::Timestamp::now());
            let merged = fields::merged(entries, &heir, &now);
            let patch = fields::patch(&merged, version);
            let edited = self
                .server
                .edit(&self.identity, one.info(), one.key, &self.manager, &patch)
                .await;
            match edited {
                Ok(_) => {
                    *settled = self.settle(one, body, false).await?;
                    self.names.taken_from(&legacy.managers, one.key);
                    return Ok(tool);
                }
                Err(error) if error.kind == ErrorKind::Precondition => {
                    // Somebody wrote in between. Whose the fields are now, only a look tells.
                    meta = self.again(one).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Trouble::passing(
            "it is applied, but changes too often to take over what another tool left in it",
            "this is tried again by itself",
        ))
    }

    async fn again(&self, one: &One<'_>) -> Result<Meta, Trouble> {
        let meta = self.server.metadata(&self.identity, one.info(), one.key).await?;
        meta.ok_or_else(|| {
            Trouble::passing(
                "somebody deleted it while it was taken over",
                "this is tried again by itself",
            )
        })
    }
}

fn legacy_of(meta: &Meta, heir: &Heir<'_>) -> Takeover {
    fields::legacy(meta.0.managed_fields.as_deref().unwrap_or_default(), heir)
}
