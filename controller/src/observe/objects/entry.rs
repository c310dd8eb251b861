//! What is kept of one object, small: most objects are intact, current and nobody else's.

use super::uid::Uid;
use crate::observe::foreign::ForeignOf;
use crate::observe::{Drift, DriftDetail, Health, Judged, Mailbox};
use apply::{FieldSet, LiveMeta, Prints};
use std::sync::Arc;

/// What a watched object is to us.
#[derive(Default)]
pub(super) struct Entry {
    /// As last seen, by the watch or by our own apply, whichever is newer.
    pub(super) live: Option<Live>,
    /// As our own apply left it.
    pub(super) expected: Option<Expected>,
    /// What only some objects have.
    extra: Option<Box<Extra>>,
    /// The newest version that the watch has shown; 0: none.
    pub(super) shown: u64,
    /// Who else had which entries on that version.
    pub(super) prints: Prints,
    /// A mark of whose fields were looked at last; 0: none.
    pub(super) looked_at: u32,
    /// The listing in which it was last seen or expected.
    pub(super) listing: u32,
    /// The generation that was last found intact or told as suspect; 0: none.
    pub(super) judged: u32,
    pub(super) flags: Flags,
}

/// What is true of an object or not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    /// A request of ours is under way.
    pub(super) busy: bool,
    /// Our apply was answered during the present listing, which has not shown the object.
    pub(super) answered: bool,
    /// Somebody froze it.
    pub(super) frozen: bool,
    /// Another Sync or a trusted manager has fields of it.
    pub(super) contested: bool,
    /// A suspicion was told that has not been settled.
    pub(super) suspect: bool,
}

/// The metadata of a live object; [`LiveMeta`] in less room.
pub(super) struct Live {
    pub(super) uid: Uid,
    pub(super) resource_version: u64,
    pub(super) owned: Option<FieldSet>,
    pub(super) deleting: bool,
    /// 0: its kind counts none.
    pub(super) generation: u32,
}

pub(super) struct Expected {
    pub(super) uid: Uid,
    pub(super) resource_version: u64,
    pub(super) owned: Option<FieldSet>,
    pub(super) owner: Arc<Mailbox>,
}

/// What only some objects have.
#[derive(Default)]
pub(super) struct Extra {
    /// Who wants to hear of its health without owning it.
    pub(super) attending: Vec<Arc<Mailbox>>,
    /// The object that is attended to, where it is known which one.
    pub(super) attended: Option<(Uid, u64)>,
    /// The verdict over the version that the watch showed, where it is not simply current.
    pub(super) judged: Option<Arc<Judged>>,
    /// While it is drifted, or suspect.
    pub(super) detail: Option<Arc<DriftDetail>>,
    pub(super) foreign: Option<Arc<[ForeignOf]>>,
    /// Managers with entries that are nobody whom we know.
    pub(super) strangers: Box<[Box<str>]>,
}

impl Entry {
    pub(super) fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }

    /// Changes what only some objects have. With `anew` unset, nothing is made for an object that has none of it.
    pub(super) fn edit(&mut self, anew: bool, edit: impl FnOnce(&mut Extra)) {
        if anew || self.extra.is_some() {
            let extra = self.extra.get_or_insert_default();
            edit(extra);
            let empty = extra.attending.is_empty()
                && extra.attended.is_none()
                && extra.judged.is_none()
                && extra.detail.is_none()
                && extra.foreign.is_none()
                && extra.strangers.is_empty();
            if empty {
                self.extra = None;
            }
        }
    }

    /// Whether anybody wants to know of this object.
    pub(super) fn is_wanted(&self) -> bool {
        self.flags.busy
            || self.expected.is_some()
            || self.extra().is_some_and(|extra| !extra.attending.is_empty())
    }

    /// Forgets what the watch has shown: the object is gone, or another stands in its place.
    pub(super) fn forget_shown(&mut self) {
        (self.shown, self.prints) = (0, Prints::default());
        (self.judged, self.looked_at) = (0, 0);
        self.flags = Flags {
            busy: self.flags.busy,
            answered: self.flags.answered,
            ..Flags::default()
        };
        self.edit(false, |extra| {
            (extra.judged, extra.foreign) = (None, None);
            extra.strangers = Box::default();
        });
    }

    /// How the object differs from what our apply left, if it does.
    pub(super) fn drift(&self) -> Option<Drift> {
        let expected = self.expected.as_ref()?;
        let Some(live) = &self.live else {
            return Some(Drift::Deleted);
        };
        if live.deleting || self.flags.frozen {
            // What is going away is made again when it has gone.
            return None;
        }
        let by = || self.extra()?.detail.as_ref()?.by.clone();
        // Otherwise it is ours, or older.
        if live.resource_version > expected.resource_version {
            if live.uid != expected.uid {
                return Some(Drift::Replaced { by: by() });
            }
            if live.owned != expected.owned {
                return Some(Drift::Changed { by: by() });
            }
        }
        self.flags.suspect.then(|| Drift::Suspect { by: by() })
    }

    /// Whether what we know of our fields, or of the object's identity, is not as our apply left it, frozen or not.
    pub(super) fn differs(&self) -> bool {
        match (&self.live, &self.expected) {
            (Some(live), Some(expected)) => {
                live.resource_version > expected.resource_version
                    && (live.uid != expected.uid || live.owned != expected.owned)
            }
            _ => false,
        }
    }

    /// The generation, where the object is somebody's, is not frozen, and our entry is as our apply left it.
    pub(super) fn intact_generation(&self) -> Option<u32> {
        let (live, expected) = (self.live.as_ref()?, self.expected.as_ref()?);
        let intact = !self.flags.busy
            && !self.flags.frozen
            && !live.deleting
            && live.generation != 0
            && live.uid == expected.uid
            && live.owned == expected.owned
            && live.resource_version > expected.resource_version;
        intact.then_some(live.generation)
    }

    /// Whether the spec has changed since it was last found intact, and our entry has not.
    pub(super) fn is_suspicious(&self) -> bool {
        self.judged != 0 && self.intact_generation().is_some_and(|now| now != self.judged)
    }

    /// `content`: whether the watch shows whole objects of this kind.
    pub(super) fn health(&self, content: bool) -> Health {
        let Some(live) = &self.live else {
            return if self.flags.busy {
                Health::Unknown
            } else {
                Health::Absent
            };
        };
        let asked = self
            .expected
            .as_ref()
            .map(|expected| (&expected.uid, expected.resource_version))
            .or_else(|| {
                let (uid, version) = self.extra()?.attended.as_ref()?;
                Some((uid, *version))
            });
        if asked.is_some_and(|(uid, _)| *uid != live.uid) {
            return Health::Absent;
        }
        let shown = self.shown != 0 && asked.is_none_or(|(_, version)| self.shown >= version);
        if content && !shown {
            return Health::Unknown;
        }
        let judged = self.extra().and_then(|extra| extra.judged.as_ref());
        judged.map_or(Health::Current, |judged| Health::Of(Arc::clone(judged)))
    }

    /// Wakes whom it concerns where the health is not what it was.
    pub(super) fn tell_health(&self, before: &Health, content: bool) {
        if self.health(content) == *before {
            return;
        }
        if let Some(expected) = &self.expected {
            expected.owner.health();
        }
        for mailbox in self.extra().into_iter().flat_map(|extra| &extra.attending) {
            mailbox.health();
        }
    }
}

impl From<&LiveMeta> for Live {
    fn from(live: &LiveMeta) -> Self {
        Self {
            uid: Uid::new(&live.uid),
            resource_version: live.resource_version,
            owned: live.owned,
            deleting: live.deleting,
            generation: live.generation.unwrap_or_default(),
        }
    }
}

impl Live {
    pub(super) fn meta(&self) -> LiveMeta {
        LiveMeta {
            uid: self.uid.text(),
            resource_version: self.resource_version,
            owned: self.owned,
            deleting: self.deleting,
            generation: (self.generation != 0).then_some(self.generation),
        }
    }
}

impl Expected {
    pub(super) fn new(live: &LiveMeta, owner: &Arc<Mailbox>) -> Self {
        Self {
            uid: Uid::new(&live.uid),
            resource_version: live.resource_version,
            owned: live.owned,
            owner: Arc::clone(owner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10,000 of these, with their keys, are what the room weighs.
    #[test]
    fn an_entry_stays_small() {
        let size = size_of::<Entry>();
        println!(
            "an entry takes {size} bytes, what only some have {} more",
            size_of::<Extra>()
        );
        assert!(size <= 176, "{size}");
    }
}
