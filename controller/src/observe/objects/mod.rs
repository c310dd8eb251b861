//! What is known of the objects of one kind: as the watch saw them, and as our applies left them. Pure.
//!
//! Watch events and answers to our own requests arrive in any order, so every judgement compares resource versions
//! (KEP-5504: numeric and comparable). An object that is being applied right now is not judged until the answer is in.

mod entry;
mod later;
mod sight;
#[cfg(test)]
mod tests;
mod uid;

pub(super) use sight::{At, Sight};

use super::foreign::ForeignOf;
use super::{Drift, DriftDetail, Health, Judged, Mailbox, foreign};
use apply::fields::is_trusted;
use apply::plan::Seen;
use apply::{Key, LiveMeta, Prints, likely_author, own_entry};
use entry::{Entry, Expected, Live};
use later::{Due, Later};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use uid::Uid;

/// Of so many drifted objects of a kind what is kept is more than the author.
const DETAILS: usize = 256;
/// So many managers of an object are remembered by name.
const STRANGERS: usize = 16;

/// The objects of one kind.
#[derive(Default)]
pub(super) struct Objects {
    entries: HashMap<Key, Entry>,
    /// Number of the current listing; 0 before the first.
    listing: u32,
    /// The newest version that the current listing has shown: the listing is at least as new as that.
    newest: u64,
    /// Whether a whole listing has been seen.
    complete: bool,
    /// Whether the watch shows whole objects.
    content: bool,
    /// How many details are kept.
    details: usize,
    later: Later,
}

impl Objects {
    pub(super) fn listing_begins(&mut self) {
        self.listing = self.listing.wrapping_add(1);
        self.newest = 0;
    }

    /// Nothing is known any more: the watch was refused.
    pub(super) fn blind(&mut self) {
        self.complete = false;
    }

    /// Whether whole objects will be shown from now on. What was judged on less is judged anew.
    pub(super) fn show_content(&mut self, content: bool) {
        if std::mem::replace(&mut self.content, content) != content {
            for entry in self.entries.values_mut() {
                entry.shown = 0;
            }
        }
    }

    /// What a finished listing did not hold is gone.
    pub(super) fn listing_ends(&mut self, at: At) {
        self.complete = true;
        let (listing, newest) = (self.listing, self.newest);
        let (mut gone, mut unseen) = (Vec::new(), Vec::new());
        for (key, entry) in &self.entries {
            if entry.listing != listing {
                if entry.live.is_some() || entry.expected.is_some() {
                    gone.push(key.clone());
                }
            } else if entry.flags.answered
                && let Some(live) = &entry.live
            {
                // Applied while the listing was made, and not in it. It is gone where the listing is newer than the
                // apply. Otherwise the watch is about to show it; if not, it went before the listing was made.
                if live.resource_version <= newest {
                    gone.push(key.clone());
                } else {
                    unseen.push(key.clone());
                }
            }
        }
        for key in unseen {
            self.later.await_sight(&key, at.instant);
        }
        for key in gone {
            self.vanished(&key, u64::MAX, at);
        }
    }

    /// The watch shows an object.
    pub(super) fn seen(&mut self, key: &Key, sight: Sight<'_>, at: At) {
        let version = sight.live.resource_version;
        self.newest = self.newest.max(version);
        let (listing, content) = (self.listing, self.content);
        let entry = self.entries.entry(key.clone()).or_default();
        entry.listing = listing;
        entry.flags.answered = false;
        let known = entry.live.as_ref().map(|live| live.resource_version);
        if known > Some(version) {
            return; // our own answer was faster
        }
        let before = entry.health(content);
        let is_new = known != Some(version);
        let mut same_fields = !is_new;
        if is_new {
            let live = Live::from(&sight.live);
            if let Some(known) = &entry.live {
                same_fields = known.uid == live.uid && known.owned == live.owned;
                if known.uid != live.uid {
                    entry.forget_shown();
                }
            }
            entry.live = Some(live);
        }
        entry.shown = version;
        let was_frozen = std::mem::replace(&mut entry.flags.frozen, sight.frozen);
        if was_frozen != sight.frozen {
            let owner = entry.expected.as_ref().map(|expected| &expected.owner);
            let attending = entry.extra().into_iter().flat_map(|extra| &extra.attending);
            for mailbox in owner.into_iter().chain(attending) {
                // The status names what is frozen.
                mailbox.health();
                if was_frozen {
                    // What Git changed meanwhile is no drift.
                    mailbox.wake();
                }
            }
        }
        entry.flags.contested = sight.contested();
        let prints = std::mem::replace(&mut entry.prints, sight.prints());
        // A version that is shown once more says nothing of what changed.
        let before_it = if is_new { prints } else { Prints::default() };
        note_drift(&mut self.details, entry, &sight, before_it, same_fields);
        note_foreign(entry, &sight);
        let known = entry.extra().and_then(|extra| extra.judged.as_ref());
        let judged = Judged::after(known, sight.verdict, at.time);
        entry.edit(judged.is_some(), |extra| extra.judged = judged);
        entry.tell_health(&before, content);
        if is_new {
            self.tell(key, at);
        }
    }

    /// The object is gone (or has lost our label) as of `resource_version`.
    pub(super) fn vanished(&mut self, key: &Key, resource_version: u64, at: At) {
        let content = self.content;
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if entry
            .live
            .as_ref()
            .is_some_and(|known| known.resource_version > resource_version)
        {
            return; // created again meanwhile, by us
        }
        let before = entry.health(content);
        entry.live = None;
        entry.forget_shown();
        keep_detail(&mut self.details, entry, None);
        entry.tell_health(&before, content);
        self.later.forget(key);
        self.tell(key, at);
        self.tidy(key);
    }

    /// A request of ours is about to be sent.
    pub(super) fn begin(&mut self, key: &Key) {
        self.entries.entry(key.clone()).or_default().flags.busy = true;
    }

    /// Our request was answered: the object is now as `live` says. None: the request failed, or deleted it.
    pub(super) fn finish(&mut self, key: &Key, owner: &Arc<Mailbox>, live: Option<&LiveMeta>, at: At) {
        let listing = self.listing;
        let entry = self.entries.entry(key.clone()).or_default();
        entry.flags.busy = false;
        // A request that failed changed nothing, and whoever sent it knows: telling it of the drift again would be a loop.
        if let Some(live) = live {
            if entry.listing != listing {
                entry.listing = listing;
                entry.flags.answered = true;
            }
            let newest = entry.live.as_ref();
            if newest.is_none_or(|known| known.resource_version <= live.resource_version) {
                let live = Live::from(live);
                if newest.is_some_and(|known| known.uid != live.uid) {
                    entry.forget_shown();
                }
                entry.live = Some(live);
            }
            entry.expected = Some(Expected::new(live, owner));
            entry.judged = live.generation.unwrap_or_default();
            entry.flags.suspect = false;
            if !entry.differs() {
                keep_detail(&mut self.details, entry, None);
            }
            self.tell(key, at);
        } else if entry
            .expected
            .as_ref()
            .is_some_and(|known| !Arc::ptr_eq(&known.owner, owner))
        {
            // Somebody else asked in vain. What its owner was not told meanwhile, it is told now.
            self.tell(key, at);
        }
        self.tidy(key);
    }

    /// The object is as a checkpoint says, as far as anybody knows: whoever differs from it is drift. What is known
    /// better already stays. Whether there is drift of which the author is not known, since nobody expected it when it
    /// was shown.
    pub(super) fn expect(&mut self, key: &Key, owner: &Arc<Mailbox>, live: &LiveMeta) -> bool {
        let expected = self.entries.get(key).and_then(|entry| entry.expected.as_ref());
        if expected.is_some_and(|known| Arc::ptr_eq(&known.owner, owner)) {
            return false;
        }
        // After a restart the watch has made a key of its own: the owner's is held anyway.
        let entry = self.entries.remove(key).unwrap_or_default();
        let entry = self.entries.entry(key.clone()).insert_entry(entry).into_mut();
        entry.expected = Some(Expected::new(live, owner));
        entry.judged = entry.intact_generation().unwrap_or_default();
        entry.differs() && entry.extra().is_none_or(|extra| extra.detail.is_none())
    }

    /// `mailbox` wants to hear of the object's health, of its end and whether somebody freezes it; nothing is expected of it.
    /// `from`: which object, and from which version on.
    pub(super) fn attend(&mut self, key: &Key, mailbox: &Arc<Mailbox>, from: Option<&LiveMeta>) {
        let (listing, entry) = (self.listing, self.entries.entry(key.clone()).or_default());
        if let Some(from) = from
            && entry
                .live
                .as_ref()
                .is_none_or(|known| known.resource_version < from.resource_version)
        {
            entry.live = Some(Live::from(from));
            if entry.listing != listing {
                entry.listing = listing;
                entry.flags.answered = true;
            }
        }
        entry.edit(true, |extra| {
            if !extra.attending.iter().any(|known| Arc::ptr_eq(known, mailbox)) {
                extra.attending.push(Arc::clone(mailbox));
            }
            if let Some(from) = from {
                extra.attended = Some((Uid::new(&from.uid), from.resource_version));
            }
        });
    }

    /// The object is not `owner`'s any more, and `owner` does not attend to it. If it is somebody else's, it stays that.
    pub(super) fn release(&mut self, key: &Key, owner: &Arc<Mailbox>) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry
                .expected
                .take_if(|expected| Arc::ptr_eq(&expected.owner, owner));
            entry.edit(false, |extra| {
                extra.attending.retain(|known| !Arc::ptr_eq(known, owner));
                if extra.attending.is_empty() {
                    extra.attended = None;
                }
            });
            if entry.expected.is_none() {
                entry.flags.suspect = false;
                keep_detail(&mut self.details, entry, None);
            }
        }
        self.tidy(key);
    }

    /// A dry-run found nothing behind a suspicion.
    pub(super) fn settle(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.flags.suspect = false;
            if !entry.differs() {
                keep_detail(&mut self.details, entry, None);
            }
        }
    }

    /// When [`Objects::due`] should be called.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.next()
    }

    /// Does what had to wait.
    pub(super) fn due(&mut self, at: At) {
        for (key, due) in self.later.take(at.instant) {
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            let suspect = match (due, &entry.live) {
                (Due::Suspicion, _) => entry.intact_generation().is_some(),
                (Due::Unseen, Some(live)) => !entry.flags.busy && entry.shown < live.resource_version,
                _ => false,
            };
            if suspect && self.later.may_suspect(&key, at.instant) {
                entry.flags.suspect = true;
                entry.tell_drift(&key);
            }
        }
    }

    pub(super) fn drift(&self, key: &Key) -> Option<Drift> {
        self.entries.get(key).and_then(Entry::drift)
    }

    pub(super) fn drift_detail(&self, key: &Key) -> Option<Arc<DriftDetail>> {
        self.entries.get(key)?.extra()?.detail.clone()
    }

    pub(super) fn foreign(&self, key: &Key) -> Option<Arc<[ForeignOf]>> {
        self.entries.get(key)?.extra()?.foreign.clone()
    }

    pub(super) fn contested(&self, key: &Key, trusted: &[String]) -> bool {
        // What the watch has not shown may be anybody's.
        let Some(entry) = self.entries.get(key).filter(|entry| entry.shown != 0) else {
            return true;
        };
        let mut strangers = entry.extra().into_iter().flat_map(|extra| &extra.strangers);
        entry.flags.contested || strangers.any(|name| is_trusted(name, trusted))
    }

    pub(super) fn frozen(&self, key: &Key) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.flags.frozen)
    }

    pub(super) fn health(&self, key: &Key) -> Health {
        let entry = self.entries.get(key);
        if self.complete {
            return entry.map_or(Health::Absent, |entry| entry.health(self.content));
        }
        // Where being there is all there is to health, the answer to our apply is proof of it.
        let applied = entry.filter(|entry| {
            entry
                .expected
                .as_ref()
                .is_some_and(|expected| expected.resource_version != 0)
        });
        match applied {
            Some(entry) if !self.content => entry.health(false),
            _ => Health::Unknown,
        }
    }

    pub(super) fn live(&self, key: &Key) -> Option<LiveMeta> {
        self.entries.get(key)?.live.as_ref().map(Live::meta)
    }

    pub(super) fn as_seen(&self, key: &Key) -> Seen {
        if !self.complete {
            return Seen::Unwatched;
        }
        match self.entries.get(key).and_then(|entry| entry.live.as_ref()) {
            None => Seen::Absent,
            Some(live) => Seen::Present {
                uid: live.uid.text(),
                owned: live.owned,
                deleting: live.deleting,
            },
        }
    }

    /// Whether nobody wants to know of any of these objects.
    pub(super) fn is_idle(&self) -> bool {
        !self.entries.values().any(Entry::is_wanted)
    }

    /// Tells the owner how the object differs, unless a request of ours is under way.
    fn tell(&mut self, key: &Key, at: At) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if entry.flags.busy {
            return;
        }
        let suspicious = entry.is_suspicious();
        if let Some(generation) = entry.intact_generation() {
            entry.judged = generation;
        }
        let raised = suspicious && self.later.may_suspect(key, at.instant);
        entry.flags.suspect |= raised;
        // A suspicion is told once.
        if raised || entry.differs() || entry.live.is_none() {
            entry.tell_drift(key);
        }
    }

    fn tidy(&mut self, key: &Key) {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| entry.live.is_none() && !entry.is_wanted())
        {
            self.entries.remove(key);
        }
    }
}

impl Entry {
    fn tell_drift(&self, key: &Key) {
        if let (Some(drift), Some(expected)) = (self.drift(), &self.expected) {
            expected.owner.drifted(key.clone(), drift);
        }
    }
}

/// Keeps who changed our fields, and what is left of them. `before`: the entries of the version before.
fn note_drift(details: &mut usize, entry: &mut Entry, sight: &Sight<'_>, before: Prints, same_fields: bool) {
    let differs = entry.differs();
    let known = entry.extra().is_some_and(|extra| extra.detail.is_some());
    if !differs && !entry.is_suspicious() {
        if known && !entry.flags.suspect {
            keep_detail(details, entry, None);
        }
        return;
    }
    if differs && known && same_fields {
        return; // who writes other fields now did not do it
    }
    let author = likely_author(sight.entries, sight.manager, before, foreign::is_trusted);
    let own = own_entry(sight.entries, sight.manager);
    let whole = differs && *details < DETAILS;
    let detail = DriftDetail::new(author, own, sight.entries, whole);
    keep_detail(details, entry, Some(detail));
}

/// Keeps a detail in place of the one before, and counts those that take room.
fn keep_detail(details: &mut usize, entry: &mut Entry, detail: Option<DriftDetail>) {
    let takes_room = |detail: &DriftDetail| detail.own.is_some() || !detail.entries.is_empty();
    *details += usize::from(detail.as_ref().is_some_and(takes_room));
    entry.edit(detail.is_some(), |extra| {
        let before = std::mem::replace(&mut extra.detail, detail.map(Arc::new));
        *details -= usize::from(before.as_deref().is_some_and(takes_room));
    });
}

/// Keeps who owns other fields of the object, where that may have changed.
fn note_foreign(entry: &mut Entry, sight: &Sight<'_>) {
    let mark = sight.mark(entry.prints);
    if mark == Some(entry.looked_at) {
        return;
    }
    let strangers = sight.strangers();
    // Who has so many may have any.
    entry.flags.contested |= strangers.len() > STRANGERS;
    let strangers: Box<[Box<str>]> = strangers.into_iter().take(STRANGERS).map(Into::into).collect();
    entry.edit(!strangers.is_empty(), |extra| extra.strangers = strangers);
    if entry.differs() {
        // A field of ours that somebody took is not foreign: it is put back, and then looked at again.
        return;
    }
    entry.looked_at = mark.unwrap_or_default();
    let now = sight.foreign();
    let before = entry.extra().and_then(|extra| extra.foreign.as_deref());
    if before.unwrap_or_default() == now {
        return;
    }
    let now: Option<Arc<[ForeignOf]>> = (!now.is_empty()).then(|| now.into());
    entry.edit(now.is_some(), |extra| extra.foreign = now);
    if let Some(expected) = &entry.expected {
        expected.owner.foreign();
    }
}
