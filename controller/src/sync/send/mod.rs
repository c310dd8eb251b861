//! One object's requests: apply, with what to do about fields that others own and about changes that an existing object
//! does not take.

mod conflicts;
mod create;
mod foreign;
mod ignore;
mod prune;
mod replace;
mod settle;
mod takeover;
mod trial;

pub(super) use prune::Pruned;
pub(super) use trial::DryRun;

use super::execute::{Effect, Hand};
use super::inputs::{Inputs, Wanted};
use super::policy::Policy;
use super::report::Failure;
use apply::fields::{FieldPath, Tool};
use apply::plan::{Reason, Step};
use apply::words::is_frozen;
use apply::{ApiError, Applied, Cause, ErrorKind, Key, KindInfo, LiveMeta};
use std::borrow::Cow;
use std::sync::atomic::Ordering;
use zeroize::Zeroizing;

/// So many requests in a row without a usable answer, and the rest is not sent.
const SILENCE: u32 = 8;

/// An answer to a step.
pub(super) type Answered = Result<(Applied, Effect, Notes), Answer>;

/// Why a step has no result.
pub(super) enum Answer {
    /// The object is refused.
    Refused(Failure),
    /// The API server cannot be reached.
    Lost(ApiError),
}

/// What is worth a word about an object that was applied.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    /// Fields that Git sets and others keep, each with its manager.
    pub(super) yielded: Vec<(FieldPath, String)>,
    /// The tool whose fields, and leftovers, became ours.
    pub(super) took_over: Option<Tool>,
    /// Whether it was deleted and made anew.
    pub(super) replaced: bool,
}

/// One object, and why it is applied.
#[derive(Clone, Copy)]
struct One<'a> {
    wanted: &'a Wanted,
    key: &'a Key,
    reason: Reason,
    policy: &'a Policy,
}

/// What an object's requests came to, where that is no answer.
enum Trouble {
    /// As the API server said.
    Api(ApiError),
    /// In our own words.
    Own {
        message: String,
        hint: Cow<'static, str>,
        transient: bool,
    },
}

impl One<'_> {
    fn info(&self) -> &KindInfo {
        &self.wanted.info
    }

    /// Whether the server's words about this object may be repeated.
    fn quote(&self) -> bool {
        !self.key.kind.is_secret() && !self.wanted.item.holds_secret()
    }

    /// Our own words about this object, as they may be shown: they name fields.
    fn shown<'m>(&self, message: &'m str) -> Cow<'m, str> {
        if self.wanted.item.holds_secret() {
            crate::text::without_items(message).into()
        } else {
            message.into()
        }
    }

    /// Whether this Sync has never had the object, as far as it knows. An object whose creation was not answered counts.
    fn is_first_contact(&self) -> bool {
        matches!(self.reason, Reason::New | Reason::Unverified)
    }
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl Trouble {
    fn own(message: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self::Own {
            message: message.into(),
            hint: hint.into(),
            transient: false,
        }
    }

    fn passing(message: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self::Own {
            message: message.into(),
            hint: hint.into(),
            transient: true,
        }
    }
}

impl Hand {
    /// Applies one object. What happens to fields that others own, to ignored ones, and to changes that are not allowed,
    /// is as the Sync and the object say. An object with nothing special about it costs one request.
    pub(super) async fn send(&self, inputs: &Inputs, step: Step, body: Zeroizing<Vec<u8>>) -> Answered {
        let one = self.one(inputs, step)?;
        self.observer.begin(one.key);
        let result = self.apply_one(&one, body).await;
        let live = result.as_ref().ok().map(|(applied, ..)| applied.live.clone());
        // What is only created and is somebody else's has no label of ours: the watch would call it deleted.
        let live = live.filter(|live| live.owned.is_some() || !one.wanted.item.options().create_only);
        self.observer.finish(one.key, &self.mailbox, live.as_ref());
        match result {
            Ok(done) => {
                self.silent.store(0, Ordering::Relaxed);
                Ok(done)
            }
            Err(trouble) => Err(self.answer(&one, trouble)),
        }
    }

    fn one<'a>(&'a self, inputs: &'a Inputs, step: Step) -> Result<One<'a>, Answer> {
        let (wanted, key) = (&inputs.wanted[step.desired], &inputs.desired[step.desired].key);
        match &self.policy {
            Ok(policy) => Ok(One {
                wanted,
                key,
                reason: step.reason,
                policy,
            }),
            Err(error) => {
                let message = format!("{}: {}", error.field, error.message);
                let hint = "correct the Sync";
                Err(Answer::Refused(Failure::of(key, None, &message, hint, false)))
            }
        }
    }

    async fn apply_one(
        &self,
        one: &One<'_>,
        mut body: Zeroizing<Vec<u8>>,
    ) -> Result<(Applied, Effect, Notes), Trouble> {
        if one.is_first_contact() && self.names.is_made_in_the_cluster(one.key).await {
            return Err(Trouble::passing(
                "a SealedSecret object in the cluster makes this Secret, and two writers would fight",
                "hand it over with `kubectl delete sealedsecret NAME --cascade=orphan`, or take it out of the Sync's path",
            ));
        }
        let before = self.observer.live(one.key);
        // What no watch shows may be there all the same, and frozen. Of what is new that is asked where something is in the way.
        if one.reason != Reason::New && before.is_none() {
            self.spare_frozen(one).await?;
        }
        if let Some(live) = self.stays_as_it_is(one, before.as_ref()).await? {
            let applied = Applied { live, created: false };
            return Ok((applied, Effect::Unchanged, Notes::default()));
        }
        self.leave_out_ignored(one, &mut body).await?;
        let mut settled = match self.settle(one, &body, false).await {
            Err(Trouble::Api(error)) if error.cause == Cause::NamespaceMissing => {
                self.make_namespace(one, error).await?;
                self.settle(one, &body, false).await
            }
            settled => settled,
        };
        let mut notes = Notes::default();
        if let Err(Trouble::Api(error)) = &settled
            && error.cause == Cause::Immutable
        {
            self.make_way(one, &body, error).await?;
            settled = self.settle(one, &body, false).await.map_err(replace::in_the_way);
            notes.replaced = true;
        }
        let mut settled = settled?;
        if one.reason == Reason::New && !settled.reply.created && is_frozen(&settled.reply.meta.0) {
            // Nothing was in the way: what somebody set is as it was, and stays so. It carries our label now, and is recorded.
            self.half().insert(one.key.clone());
            return Err(create::frozen());
        }
        let taken = self.take_over(one, &body, &mut settled).await;
        notes.took_over = taken.inspect_err(|_| {
            self.half().insert(one.key.clone());
        })?;
        notes.yielded = settled.yielded;
        let applied = Applied {
            live: settled.reply.meta.live(&self.manager)?,
            created: settled.reply.created,
        };
        let effect = if notes.replaced {
            Effect::Changed
        } else {
            effect(&applied, before.as_ref())
        };
        Ok((applied, effect, notes))
    }

    /// What to say of trouble with an object, and whether it is trouble with the API server itself.
    fn answer(&self, one: &One<'_>, trouble: Trouble) -> Answer {
        let origin = Some(&one.wanted.item.origin);
        match trouble {
            Trouble::Own {
                message,
                hint,
                transient,
            } => {
                let message = one.shown(&message);
                Answer::Refused(Failure::of(one.key, origin, &message, &hint, transient))
            }
            Trouble::Api(error) => {
                // These are the same for every object, and are said once.
                let silent = error.kind == ErrorKind::Unavailable
                    && self.silent.fetch_add(1, Ordering::Relaxed) + 1 >= SILENCE;
                if silent || matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Impersonation) {
                    return Answer::Lost(error);
                }
                let hint = error.hint();
                let message = one.shown(&error.message);
                Answer::Refused(Failure::of(one.key, origin, &message, hint, error.is_transient()))
            }
        }
    }
}

fn effect(applied: &Applied, before: Option<&LiveMeta>) -> Effect {
    match (applied.created, before) {
        (true, _) => Effect::Created,
        (false, Some(before)) if before.resource_version == applied.live.resource_version => {
            Effect::Unchanged
        }
        (false, _) => Effect::Changed,
    }
}
