//! One file's documents to items and problems.

use std::sync::Arc;

use manifest::{Document, Manifest, ManifestErrorKind, Origin};
use source::BlobId;

use crate::substitute::{self, Object};
use crate::{Described, Facts, Item, Limits, Locator, Options, Problem, RenderError, SealedAs, Variables};
use crate::{pods, sealed};

/// What has been found so far, within the limit on objects.
pub(crate) struct Found<'v> {
    pub(crate) items: Vec<Item>,
    pub(crate) problems: Vec<Problem>,
    variables: Option<&'v Variables>,
    /// Bytes that variables made.
    substituted: usize,
    limits: &'v Limits,
}

impl<'v> Found<'v> {
    pub(crate) fn new(problems: Vec<Problem>, limits: &'v Limits, variables: Option<&'v Variables>) -> Self {
        Self {
            items: Vec::new(),
            problems,
            variables,
            substituted: 0,
            limits,
        }
    }

    pub(crate) fn check(&self) -> Result<(), RenderError> {
        let over = |what, limit| Err(RenderError::OverLimit { what, limit });
        if self.too_many() {
            over("objects", self.limits.objects)
        } else if self.too_much() {
            over("bytes", self.limits.total_bytes)
        } else {
            Ok(())
        }
    }

    fn too_many(&self) -> bool {
        self.items.len() + self.problems.len() > self.limits.objects
    }

    fn too_much(&self) -> bool {
        self.substituted > self.limits.total_bytes
    }
}

/// Reads a file.
pub(crate) fn read(path: &Arc<str>, blob: BlobId, bytes: &[u8], found: &mut Found<'_>) {
    let limits = found.limits;
    let result = manifest::for_each_document(bytes, &limits.manifest, |document| {
        // Over the limit the whole rendering fails: nothing more is kept of it.
        if !found.too_many() && !found.too_much() {
            let bytes = bytes.get(document.range.clone()).unwrap_or_default();
            read_document(path, blob, bytes, document, found);
        }
    });
    if let Err(error) = result {
        found.problems.push(Problem::of_stream(path, &error));
    }
}

fn read_document(path: &Arc<str>, blob: BlobId, bytes: &[u8], document: Document, found: &mut Found<'_>) {
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
    let objects = substitute::objects(value, bytes, &origin, &found.limits.manifest, found.variables);
    for (index, object) in objects.into_iter().enumerate() {
        let locator = Locator {
            blob,
            range: document.range.clone(),
            index,
        };
        found.substituted += object.as_ref().map_or(0, |object| object.spent);
        match object
            .map_err(|error| Problem::of_manifest(&error))
            .and_then(|object| item(object, locator, found.variables))
        {
            Ok(item) => found.items.push(item),
            Err(problem) => found.problems.push(problem),
        }
    }
}

fn item(object: Object, locator: Locator, variables: Option<&Variables>) -> Result<Item, Problem> {
    let Object {
        manifest,
        secret,
        filled,
        ..
    } = object;
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
    let mut options = Options::of(&facts).map_err(|error| {
        let message = format!("the annotation {} is not understood", error.annotation);
        problem(message, &error.message)
    })?;
    // An annotation that makes no hook does not excuse it.
    if generate_name && options.hook.is_none() && !options.skip {
        let kind = ManifestErrorKind::GenerateName;
        return Err(problem(kind.to_string(), kind.hint().unwrap_or_default()));
    }
    options.ignored_fields = sealed::ignored(&object);
    options.reads = pods::secrets(&object);
    options.ttl = options.hook.as_ref().and_then(|_| pods::ttl(&object));
    let sealed = SealedAs::of(&object);
    let digest = substitute::digest(&object, secret, variables);
    let described = Described {
        id,
        origin,
        locator,
        digest,
        facts,
        options: (options != Options::NONE).then(|| Box::new(options)),
        generate_name,
        secret,
        filled: filled && secret,
        sealed,
    };
    Ok(described.into())
}
