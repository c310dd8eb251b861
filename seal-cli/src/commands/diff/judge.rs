//! What would be done to one object.

use super::compare;
use super::sealed;
use super::server::{Refusal, Server, Want};
use super::wanted::{self, Form, Wanted};
use super::{Action, Outcome};
use apply::KindInfo;
use crds::{Sync, annotation};
use manifest::Manifest;
use render::{Item, Limits, Rendered};
use source::Snapshot;
use std::collections::BTreeSet;

pub(super) struct Judge<'a> {
    pub(super) server: &'a Server,
    pub(super) sync: &'a Sync,
    /// What the Sync has applied, if the clone has that commit.
    pub(super) base: Option<&'a (Snapshot, Rendered)>,
    /// Namespaces that the directory makes.
    pub(super) namespaces: BTreeSet<String>,
}

impl Judge<'_> {
    pub(super) async fn judge(&self, wanted: &Wanted, manifest: Manifest) -> Outcome {
        let facts = &wanted.item.facts;
        let left_alone = [annotation::RECONCILE, annotation::FLUX_RECONCILE]
            .iter()
            .any(|name| facts.annotation(name) == Some("disabled"));
        if left_alone {
            return Outcome::of(wanted, Action::Unchanged).with("it is left alone (reconcile: disabled)");
        }
        let Some(info) = &wanted.info else {
            return Outcome::of(wanted, Action::Create)
                .with("new kind: the API server does not know it, so this is not checked");
        };
        let result = match wanted.form {
            Form::Plain => self.plain(wanted, info, manifest).await,
            Form::Secret => self.secret(wanted, info, manifest).await,
            Form::Sealed => self.sealed(wanted, info, &manifest).await,
        };
        result.unwrap_or_else(|refusal| self.refused(wanted, refusal))
    }

    async fn plain(&self, wanted: &Wanted, info: &KindInfo, manifest: Manifest) -> Result<Outcome, Refusal> {
        let live = self.server.live(info, &wanted.key, Want::Whole).await?;
        let body = wanted::body(wanted, manifest, self.sync, live.is_some());
        let after = self.server.dry_run(info, &wanted.key, &body, Want::Whole).await;
        let Some(mut before) = live else {
            after?;
            return Ok(Outcome::of(wanted, Action::Create));
        };
        let mut after = after?;
        compare::normalise(&mut before);
        compare::normalise(&mut after);
        Ok(updated(wanted, compare::differences(&before, &after)))
    }

    async fn secret(&self, wanted: &Wanted, info: &KindInfo, manifest: Manifest) -> Result<Outcome, Refusal> {
        let live = self.server.live(info, &wanted.key, Want::Whole).await?;
        let body = wanted::body(wanted, manifest, self.sync, live.is_some());
        // For what the API server would refuse; no value comes back.
        self.server
            .dry_run(info, &wanted.key, &body, Want::Metadata)
            .await?;
        Ok(match live {
            None => Outcome::of(wanted, Action::Create),
            Some(live) => updated(wanted, sealed::plain(&live, &body)),
        })
    }

    async fn sealed(
        &self,
        wanted: &Wanted,
        info: &KindInfo,
        manifest: &Manifest,
    ) -> Result<Outcome, Refusal> {
        if self
            .server
            .live(info, &wanted.key, Want::Metadata)
            .await?
            .is_none()
        {
            return Ok(Outcome::of(wanted, Action::Create));
        }
        let Some((snapshot, rendered)) = self.base else {
            return Ok(Outcome::of(wanted, Action::Update).with(
                "not known: the clone lacks the commit that is applied, so its sealed values cannot be compared",
            ));
        };
        let same = |item: &&Item| item.id.same_object(&wanted.item.id);
        let Some(item) = rendered.items.iter().find(same) else {
            return Ok(Outcome::of(wanted, Action::Update).with("it is not in the commit that is applied"));
        };
        if item.digest == wanted.item.digest {
            return Ok(Outcome::of(wanted, Action::Unchanged));
        }
        let Ok(before) = render::load(snapshot, item, &Limits::default()) else {
            return Ok(Outcome::of(wanted, Action::Update).with("the applied one cannot be read"));
        };
        let outcome = updated(wanted, sealed::sealed(&before, manifest));
        Ok(if outcome.action == Action::Update {
            outcome.with("re-sealed")
        } else {
            outcome
        })
    }

    fn refused(&self, wanted: &Wanted, refusal: Refusal) -> Outcome {
        let namespace = wanted.key.namespace.as_deref().unwrap_or_default();
        let comes = self.sync.spec.create_namespaces || self.namespaces.contains(namespace);
        // Of a dry-run: the object's namespace is not there.
        if refusal.code == 404 && comes {
            return Outcome::of(wanted, Action::Create)
                .with("its namespace is not there yet, so this is not checked");
        }
        Outcome::of(wanted, Action::Refused).with(refusal.message)
    }
}

fn updated(wanted: &Wanted, fields: Vec<compare::Difference>) -> Outcome {
    let action = if fields.is_empty() {
        Action::Unchanged
    } else {
        Action::Update
    };
    Outcome {
        fields,
        ..Outcome::of(wanted, action)
    }
}
