//! One file's documents to items and problems.

use std::sync::Arc;

use manifest::{Document, Manifest, ManifestErrorKind, Origin};
use source::BlobId;

use crate::{Described, Facts, Item, Limits, Locator, Options, Problem, RenderError};

/// What has been found so far, within the limit on objects.
pub(crate) struct Found {
    pub(crate) items: Vec<Item>,
    pub(crate) problems: Vec<Problem>,
    limit: usize,
}

impl Found {
    pub(crate) fn new(problems: Vec<Problem>, limits: &Limits) -> Self {
        Self {
            items: Vec::new(),
            problems,
            limit: limits.objects,
        }
    }

    pub(crate) fn check(&self) -> Result<(), RenderError> {
        if self.items.len() + self.problems.len() > self.limit {
            return Err(RenderError::OverLimit {
                what: "objects",
                limit: self.limit,
            });
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.items.len() + self.problems.len() > self.limit
    }
}

/// Reads a file.
pub(crate) fn read(path: &Arc<str>, blob: BlobId, bytes: &[u8], limits: &Limits, found: &mut Found) {
    let result = manifest::for_each_document(bytes, &limits.manifest, |document| {
        // Over the limit the whole rendering fails: nothing more is kept of it.
        if !found.is_full() {
            read_document(path, blob, document, limits, found);
        }
    });
    if let Err(error) = result {
        found.problems.push(Problem::of_stream(path, &error));
    }
}

fn read_document(path: &Arc<str>, blob: BlobId, document: Document, limits: &Limits, found: &mut Found) {
    let value = match document.value {
        Ok(value) => value,
        Err(error) => {
            return found
                .problems
                .push(Problem::of_document(path, document.number, &error));
        }
    };
    let origin = Origin {
        file: Arc::clone(path),
        document: document.number,
        item: None,
        line: document.line,
    };
    for (index, manifest) in manifest::manifests(value, &origin, &limits.manifest)
        .into_iter()
        .enumerate()
    {
        let locator = Locator {
            blob,
            range: document.range.clone(),
            index,
        };
        match manifest
            .map_err(|error| Problem::of_manifest(&error))
            .and_then(|manifest| item(manifest, locator))
        {
            Ok(item) => found.items.push(item),
            Err(problem) => found.problems.push(problem),
        }
    }
}

fn item(manifest: Manifest, locator: Locator) -> Result<Item, Problem> {
    let Manifest {
        id,
        origin,
        generate_name,
        object,
    } = manifest;
    let problem = |message: String, hint: &str| Problem {
        file: origin.file.as_ref().into(),
        document: Some(origin.document),
        item: origin.item,
        line: Some(origin.line),
        message,
        hint: hint.into(),
    };
    // No API server knows these kinds: they are instructions to kustomize.
    if id.gvk.group == "kustomize.config.k8s.io" {
        return Err(problem(
            "this is an instruction to kustomize, which is not supported yet".into(),
            "commit the rendered manifests instead",
        ));
    }
    let facts = Facts::of(&object).map_err(|message| problem(message, "shorten or remove it"))?;
    let options = Options::of(&facts).map_err(|error| {
        let message = format!("the annotation {} is not understood", error.annotation);
        problem(message, &error.message)
    })?;
    // An annotation that makes no hook does not excuse it.
    if generate_name && options.hook.is_none() && !options.skip {
        let kind = ManifestErrorKind::GenerateName;
        return Err(problem(kind.to_string(), kind.hint().unwrap_or_default()));
    }
    let digest = manifest::digest(&object);
    let described = Described {
        id,
        origin,
        locator,
        digest,
        facts,
        options: (options != Options::NONE).then(|| Box::new(options)),
        generate_name,
    };
    Ok(described.into())
}
