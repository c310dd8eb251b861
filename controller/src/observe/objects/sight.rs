//! One object as a watch event shows it, before what is not needed is dropped.

use crate::observe::foreign;
use crate::observe::foreign::ForeignOf;
use apply::words::is_frozen;
use apply::{LiveMeta, Prints, is_contested, strangers};
use health::Verdict;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Instant, SystemTime};

/// An object as the watch shows it.
pub(in crate::observe) struct Sight<'a> {
    pub(super) live: LiveMeta,
    /// The field manager of the Sync whose label it carries.
    pub(super) manager: &'a str,
    pub(super) entries: &'a [ManagedFieldsEntry],
    pub(super) frozen: bool,
    /// None: nothing but its metadata was seen, and it is not being deleted.
    pub(super) verdict: Option<Verdict>,
}

impl<'a> Sight<'a> {
    /// None where uid or resource version are missing.
    pub(in crate::observe) fn read(
        metadata: &'a ObjectMeta,
        manager: &'a str,
        verdict: Option<Verdict>,
    ) -> Option<Self> {
        Some(Self {
            live: LiveMeta::read(metadata, manager)?,
            manager,
            entries: metadata.managed_fields.as_deref().unwrap_or_default(),
            frozen: is_frozen(metadata),
            verdict,
        })
    }

    pub(super) fn prints(&self) -> Prints {
        Prints::of(self.entries, self.manager)
    }

    pub(super) fn contested(&self) -> bool {
        is_contested(self.entries, self.manager, foreign::is_trusted)
    }

    pub(super) fn strangers(&self) -> Vec<&'a str> {
        strangers(self.entries, self.manager, foreign::is_trusted)
    }

    /// A mark of who owns which fields; none where that cannot be told in short.
    pub(super) fn mark(&self, prints: Prints) -> Option<u32> {
        let mut hash = DefaultHasher::new();
        (prints, self.live.owned, &self.live.uid).hash(&mut hash);
        let [a, b, c, d, ..] = hash.finish().to_le_bytes();
        // 0 says that nothing has been looked at.
        prints
            .is_known()
            .then_some(u32::from_le_bytes([a, b, c, d]).max(1))
    }

    pub(super) fn foreign(&self) -> Vec<ForeignOf> {
        foreign::of(self.entries, self.manager)
    }
}

/// When something happens: for pauses, and for people.
#[derive(Clone, Copy, Debug)]
pub(in crate::observe) struct At {
    pub(super) instant: Instant,
    pub(super) time: SystemTime,
}

impl At {
    pub(in crate::observe) fn now() -> Self {
        Self {
            instant: Instant::now(),
            time: SystemTime::now(),
        }
    }
}
