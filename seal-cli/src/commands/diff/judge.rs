//! What would be done to one object.

use super::compare;
use super::sealed;
use super::server::{Refusal, Server, Want};
use super::settle::{self, Managers, Settled};
use super::wanted::{self, Form, Wanted};
use super::{Action, Outcome};
use apply::KindInfo;
use crds::{Sync, annotation};
use manifest::Manifest;
use render::{Item, Limits, Loader, Rendered, Variables};
use serde_json::Value;
use source::Snapshot;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) struct Judge<'a> {
    pub(super) server: &'a Server,
    pub(super) sync: &'a Sync,
    /// What the Sync has applied, if the clone has that commit.
    pub(super) base: Option<&'a (Snapshot, Rendered)>,
    pub(super) managers: Managers<'a>,
    pub(super) variables: Option<Arc<Variables>>,
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
        let settled = self.settle(wanted, info, &body, Want::Whole).await?;
        let Some(mut before) = live else {
            return Ok(Outcome::of(wanted, Action::Create));
        };
        let mut after = settled.object;
        compare::normalise(&mut before);
        compare::normalise(&mut after);
        let mut differences = compare::differences(&before, &after);
        if wanted.item.holds_secret() {
            differences = differences.into_iter().map(without_values).collect();
        }
        Ok(updated(wanted, differences).with(settled.note))
    }

    async fn secret(&self, wanted: &Wanted, info: &KindInfo, manifest: Manifest) -> Result<Outcome, Refusal> {
        let live = self.server.live(info, &wanted.key, Want::Whole).await?;
        let body = wanted::body(wanted, manifest, self.sync, live.is_some());
        // For what the API server would refuse; no value comes back.
        let settled = self.settle(wanted, info, &body, Want::Metadata).await?;
        Ok(match live {
            None => Outcome::of(wanted, Action::Create),
            Some(live) => updated(wanted, sealed::plain(&live, &body)).with(settled.note),
        })
    }

    async fn settle(
        &self,
        wanted: &Wanted,
        info: &KindInfo,
        body: &Value,
        want: Want,
    ) -> Result<Settled, Refusal> {
        let object = (info, &wanted.key);
        let settled = settle::settle(self.server, &self.managers, self.sync, object, body, want).await;
        if !wanted.item.holds_secret() {
            return settled;
        }
        match settled {
            Ok(settled) => Ok(Settled {
                note: without_items(&settled.note),
                ..settled
            }),
            Err(refusal) => Err(Refusal {
                message: without_items(&refusal.message),
                ..refusal
            }),
        }
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
        let mut loader = Loader::with(snapshot.clone(), Limits::default(), self.variables.clone());
        let Ok(before) = loader.load(item) else {
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
        // The API server quotes what it refuses.
        let message = if wanted.item.holds_secret() && refusal.code != 0 {
            format!(
                "the API server answers {}; the object holds a secret variable, so its words are not shown",
                refusal.code
            )
        } else {
            refusal.message
        };
        Outcome::of(wanted, Action::Refused).with(message)
    }
}

/// A text without what stands in brackets: paths name items of lists by their content there.
fn without_items(text: &str) -> String {
    let mut parts = text.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| {
        out + "[…]" + part.rsplit_once(']').map_or("", |(_, rest)| rest)
    })
}

/// Names of list items are values as well.
fn without_values(difference: compare::Difference) -> compare::Difference {
    let mut masked = sealed::mask(difference);
    if let Some((list, _)) = masked.path.split_once('[') {
        masked.path = format!("{list}[…]");
    }
    masked
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
