//! Reads objects again, when they are applied.

use std::ops::Range;
use std::sync::Arc;

use manifest::{Manifest, ManifestError};
use source::{BlobId, Snapshot};

use crate::substitute::{self, Object};
use crate::{Item, Limits, RenderError, Variables};

/// Loads objects of one snapshot. It keeps the last file and the last document: items in the order of a
/// rendering read each of them once.
pub struct Loader {
    snapshot: Snapshot,
    limits: Limits,
    variables: Option<Arc<Variables>>,
    file: Option<(BlobId, Vec<u8>)>,
    document: Option<LastDocument>,
}

struct LastDocument {
    blob: BlobId,
    range: Range<usize>,
    objects: Vec<Result<Object, ManifestError>>,
}

impl Loader {
    /// With the limits that the items were rendered with.
    pub fn new(snapshot: Snapshot, limits: Limits) -> Self {
        Self::with(snapshot, limits, None)
    }

    /// With the limits and the variables that the items were rendered with.
    pub fn with(snapshot: Snapshot, limits: Limits, variables: Option<Arc<Variables>>) -> Self {
        Self {
            snapshot,
            limits,
            variables,
            file: None,
            document: None,
        }
    }

    /// Loads the body of `item`.
    pub fn load(&mut self, item: &Item) -> Result<Manifest, RenderError> {
        let locator = &item.locator;
        let cached = |last: &LastDocument| last.blob == locator.blob && last.range == locator.range;
        let document = match self.document.take().filter(cached) {
            Some(document) => document,
            None => self.read(item)?,
        };
        let found = if document.objects.len() > 1 {
            let found = document.objects.get(locator.index);
            let found = found.and_then(|found| found.as_ref().ok()).cloned();
            self.document = Some(document);
            found
        } else {
            // It is not asked for again.
            document
                .objects
                .into_iter()
                .nth(locator.index)
                .and_then(Result::ok)
        };
        match found {
            // Whoever treats the item by what it was said to hold may do so.
            Some(Object {
                mut manifest, secret, ..
            }) if manifest.id == item.id && secret == item.secret => {
                // The same blob may lie at several paths.
                manifest.origin = item.origin.clone();
                Ok(manifest)
            }
            _ => Err(RenderError::NoSuchItem),
        }
    }

    fn read(&mut self, item: &Item) -> Result<LastDocument, RenderError> {
        let blob = item.locator.blob;
        let bytes = match &mut self.file {
            Some((last, bytes)) if *last == blob => bytes,
            file => {
                // The old one goes first: two at a time are not needed.
                *file = None;
                let bytes = self.snapshot.blob(&blob, self.limits.file_bytes)?;
                &mut file.insert((blob, bytes)).1
            }
        };
        let range = item.locator.range.clone();
        let bytes = bytes.get(range.clone()).ok_or(RenderError::NoSuchItem)?;
        let value =
            manifest::read_document(bytes, &self.limits.manifest).map_err(|_| RenderError::NoSuchItem)?;
        let variables = self.variables.as_deref();
        let objects = substitute::objects(value, bytes, &item.origin, &self.limits.manifest, variables);
        Ok(LastDocument { blob, range, objects })
    }
}

/// Loads one object. For several, a [`Loader`] saves most of the work.
pub fn load(snapshot: &Snapshot, item: &Item, limits: &Limits) -> Result<Manifest, RenderError> {
    Loader::new(snapshot.clone(), *limits).load(item)
}
