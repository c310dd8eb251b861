//! Pinning: an earlier commit is applied for a time instead of the newest one.

use super::status::{self, Verdict};
use super::worker::{End, Worker};
use crate::condition;
use crate::events::Severity;
use crate::repository::{Head, Pinned, SourceState};
use crds::condition::PINNED;
use crds::{ConditionStatus, Pin, Sync, SyncStatus};
use jiff::Timestamp;

/// The pin of a Sync, if it is in force, and when it ends.
pub(super) fn in_force(sync: &Sync) -> Option<(&Pin, Timestamp)> {
    let pin = sync.spec.pin.as_ref()?;
    let until: Timestamp = pin.until.parse().ok()?;
    (until > Timestamp::now()).then_some((pin, until))
}

/// What a pin came to.
pub(super) enum Source {
    /// There is none: the Repository's newest commit counts.
    Newest,
    /// The commit that it names.
    Pinned(Head),
    /// It cannot be read, or not yet: the pass ends here.
    Ended(End),
}

impl Worker {
    /// Says in `next` whether the Sync is pinned, and sets a timer for the pin's end.
    pub(super) fn tell_pin(&mut self, sync: &Sync, next: &mut SyncStatus, generation: i64) {
        let known = condition::get(&self.status.conditions, PINNED).is_some();
        let Some((pin, until)) = in_force(sync) else {
            if known {
                let message = "The pin is over; the Repository's newest commit is followed again.";
                self.event(Severity::Normal, "PinEnded", message);
            }
            next.conditions.retain(|condition| condition.type_ != PINNED);
            return;
        };
        self.wake_at(Some(until));
        let reason = match pin.reason.trim().trim_end_matches('.') {
            "" => String::new(),
            reason => format!(": {}", crate::text::bounded_bytes(reason, 512)),
        };
        let commit = pin.commit.get(..12).unwrap_or(&pin.commit);
        let message = format!("Pinned to {commit} until {until:.0}{reason}.");
        let told = condition::get(&self.status.conditions, PINNED).map(|known| known.message.as_str());
        if told != Some(message.as_str()) {
            self.event(Severity::Normal, PINNED, &message);
        }
        let (now, yes) = (condition::now(), ConditionStatus::True);
        condition::set(
            &mut next.conditions,
            PINNED,
            yes,
            generation,
            PINNED,
            message,
            &now,
        );
    }

    /// The commit that the Sync is pinned to, if it is.
    pub(super) async fn pinned(
        &mut self,
        sync: &Sync,
        next: &SyncStatus,
        generation: i64,
        source: &SourceState,
    ) -> Source {
        let repository = (self.id.namespace.to_string(), sync.spec.source_ref.name.clone());
        let pin = in_force(sync).map(|(pin, _)| pin.commit.clone());
        let pin = pin.filter(|_| !matches!(source, SourceState::Unknown | SourceState::Missing));
        if let Some(before) = self
            .pinned_in
            .take_if(|before| pin.is_none() || *before != repository)
        {
            self.rooms.context.heads.pin(&before, &self.id.name, None);
        }
        let Some(commit) = pin else {
            return Source::Newest;
        };
        let heads = self.rooms.context.heads.clone();
        let known = heads.pin(&repository, &self.id.name, Some(&commit));
        let short = commit.get(..12).unwrap_or(&commit);
        let repository = self.pinned_in.insert(repository).1.clone();
        let message = match (known, source) {
            (Some(Pinned::Ready(head)), _) => return Source::Pinned(head),
            (Some(Pinned::Failed { message, .. }), _) => message,
            (None, SourceState::Failed { message, .. }) => message.clone(),
            (None, _) => {
                let message = format!("Commit {short} of Repository {repository} is being fetched.");
                let mut next = next.clone();
                status::conclude(&mut next, generation, Verdict::Progressing { message });
                self.settled = None;
                return Source::Ended(self.say(next).await.unwrap_or(End::Wait));
            }
        };
        let message =
            format!("The Sync is pinned to {short}, which Repository {repository} cannot give: {message}");
        let next = next.clone();
        Source::Ended(
            self.fail(next, generation, "PinUnavailable", message, End::Wait)
                .await,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::SyncSpec;
    use jiff::SignedDuration;

    fn pinned(until: &str) -> Sync {
        let mut spec = SyncSpec::new("team", ".", "deployer");
        spec.pin = Some(Pin {
            commit: "a".repeat(40),
            until: until.to_owned(),
            reason: String::new(),
        });
        Sync::new("web", spec)
    }

    #[test]
    fn a_pin_is_in_force_until_its_time() {
        let now = Timestamp::now();
        let at = |seconds| (now + SignedDuration::from_secs(seconds)).to_string();
        assert!(in_force(&pinned(&at(60))).is_some());
        assert!(in_force(&pinned(&at(-1))).is_none());
        assert!(in_force(&pinned("tomorrow")).is_none());
        assert!(in_force(&Sync::new("web", SyncSpec::new("team", ".", "deployer"))).is_none());
    }
}
