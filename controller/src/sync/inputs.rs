//! From what a directory renders to what a Sync wants: kinds resolved, namespaces filled in, duplicates refused. Pure.

use super::inside::Inside;
use super::order::{self, Group, Needs, Node};
use super::report::{Failure, Warning, report};
use super::{restart, sealed};
use apply::checkpoint::{InputDigest, Record, Wave};
use apply::plan::Desired;
use apply::{Catalog, GroupKind, Key, KindInfo};
use crds::{PlaintextSecrets, SyncSpec};
use manifest::Phase;
use render::{Item, Rendered, Variables};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// How an object's body is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As Git has it.
    Plain,
    /// A Secret that stands in Git in plain text.
    PlainSecret,
    /// A SealedSecret of either format, to be opened.
    Sealed,
}

/// An object that a Sync wants.
pub(super) struct Wanted {
    pub(super) item: Item,
    pub(super) info: Arc<KindInfo>,
    pub(super) form: Form,
    pub(super) phase: Phase,
}

/// An object that runs at a moment of the walk.
pub(super) struct HookInput {
    /// Its place in `wanted` and `desired`, after the ordinary objects.
    pub(super) at: usize,
    /// When it runs.
    pub(super) groups: Vec<Group>,
    pub(super) hook: render::Hook,
}

/// What a Sync wants, in the order of the walk; `desired[i]` is made from `wanted[i]`. Ordinary objects come first, hooks
/// after them.
#[derive(Default)]
pub(super) struct Inputs {
    /// Objects that Git holds, refused ones among them.
    pub(super) found: usize,
    /// The group of each ordinary object; their number.
    pub(super) groups: Vec<Group>,
    /// Ordinary objects that depend on others.
    pub(super) needs: Needs,
    /// In which round of its group an object comes that depends on others.
    pub(super) rounds: HashMap<usize, u16>,
    /// Ordinary objects whose dependencies can never be met.
    pub(super) blocked: HashSet<usize>,
    pub(super) hooks: Vec<HookInput>,
    /// Workloads that are rolled when Secrets change.
    pub(super) reads: restart::Reads,
    /// Objects that Git holds and that are left as they are: neither applied nor pruned.
    pub(super) kept: HashSet<Key>,
    pub(super) wanted: Vec<Wanted>,
    pub(super) desired: Vec<Desired>,
    /// Refused before anything is sent.
    pub(super) failures: Vec<Failure>,
    /// Whether a file or a document could not be read: what it holds is not known.
    pub(super) unread: bool,
    /// Applied, but worth a word.
    pub(super) warnings: Vec<Warning>,
    /// Whether a kind is missing that a definition of this very Sync brings.
    pub(super) awaits_definitions: bool,
    /// The first group in which an object has no kind yet: what comes after it waits.
    pub(super) held_at: Option<Group>,
    /// What `${name}` stands for in the objects.
    pub(super) variables: Option<Arc<Variables>>,
    /// The places of the ordinary objects, in the order of their keys: a table with keys of its own would weigh more.
    by_key: Vec<u32>,
}

impl Inputs {
    /// One that wants this object.
    #[cfg(test)]
    pub(super) fn of(key: Key) -> Self {
        let digest = InputDigest([0; 16]);
        Self {
            desired: vec![Desired { key, digest }],
            by_key: vec![0],
            ..Self::default()
        }
    }

    pub(super) fn find(&self, key: &Key) -> Option<usize> {
        let place = |at: &u32| &self.desired[*at as usize].key;
        let found = self.by_key.binary_search_by(|at| place(at).cmp(key)).ok()?;
        Some(self.by_key[found] as usize)
    }

    /// An object that Git holds and that would go with another one; those count that are left alone.
    pub(super) fn inside(&self, inside: &Inside) -> Option<&Key> {
        let mut desired = self.desired.iter().map(|desired| &desired.key);
        let kept = || self.kept.iter().filter(|key| inside.holds(key)).min();
        desired.find(|key| inside.holds(key)).or_else(kept)
    }

    /// Whether there is any.
    pub(super) fn any_inside(&self, inside: &Inside) -> bool {
        self.inside(inside).is_some()
    }

    /// Whether Git holds this object, applied or left alone.
    pub(super) fn holds(&self, key: &Key) -> bool {
        self.find(key).is_some() || self.kept.contains(key)
    }

    /// The ordinary objects.
    pub(super) fn ordinary(&self) -> &[Desired] {
        &self.desired[..self.groups.len()]
    }

    /// Whether some hook runs in one of these groups.
    pub(super) fn has_hooks(&self, of: impl Fn(Group) -> bool) -> bool {
        self.hooks
            .iter()
            .flat_map(|hook| &hook.groups)
            .any(|group| of(*group))
    }

    /// The hooks that run in some groups, in the order of the walk, each with when.
    pub(super) fn runs(&self, of: impl Fn(Group) -> bool) -> Vec<(&Key, Group)> {
        let mut runs = Vec::new();
        for hook in &self.hooks {
            let groups = hook.groups.iter().copied().filter(|group| of(*group));
            runs.extend(groups.map(|group| (&self.desired[hook.at].key, group)));
        }
        runs.sort_by_key(|(_, group)| *group);
        runs
    }

    /// What is recorded of the object at a place before anything is known of it in the cluster.
    pub(super) fn record(&self, at: usize) -> Record {
        Record {
            secret: self.wanted[at].item.holds_secret(),
            ..Record::intended(self.desired[at].digest, self.wave(at))
        }
    }

    /// Where the object at a place stands in the walk.
    fn wave(&self, at: usize) -> Wave {
        let wave = self.groups.get(at).map_or(Wave::of(0), |group| group.wave());
        let round = self.rounds.get(&at).copied().unwrap_or_default();
        Wave { round, ..wave }
    }

    /// Objects that depend on others, each with its place in the walk: that may change with another object.
    pub(super) fn dependants(&self) -> impl Iterator<Item = (&Key, Wave)> {
        let places = self.rounds.keys();
        places.map(|at| (&self.desired[*at].key, self.wave(*at)))
    }

    /// The options of the object at a place.
    pub(super) fn options(&self, at: usize) -> &render::Options {
        self.wanted[at].item.options()
    }
}

/// What every object of a Sync has in common.
pub(super) struct Frame<'a> {
    pub(super) spec: &'a SyncSpec,
    /// `namespace/name` of the Sync.
    pub(super) sync: &'a str,
    pub(super) namespace: &'a str,
    pub(super) digest_key: &'a [u8; 32],
    /// The keyed digest of what was rendered, in hex: names what leaves its name to us.
    pub(super) run: &'a str,
}

pub(super) fn resolve(rendered: &Rendered, catalog: &Catalog, frame: &Frame<'_>) -> Inputs {
    let mut inputs = Inputs {
        found: rendered.items.len(),
        unread: !rendered.problems.is_empty(),
        ..Inputs::default()
    };
    for problem in &rendered.problems {
        let place = match (problem.document, problem.line) {
            (Some(document), Some(line)) => format!("{} document {document}, line {line}", problem.file),
            (Some(document), None) => format!("{} document {document}", problem.file),
            (None, Some(line)) => format!("{}, line {line}", problem.file),
            (None, None) => problem.file.clone(),
        };
        let mut said = report(None, None, &problem.message, &problem.hint);
        said.source = crate::text::bounded_bytes(&place, 512);
        inputs.failures.push(Failure::permanent(said));
    }
    let definitions = Definitions::of(rendered);
    let mut names = Interner::default();
    let mut found: HashMap<Key, Vec<Wanted>> = HashMap::new();
    for item in &rendered.items {
        match look_up(item, catalog, frame, &mut names) {
            Ok((key, wanted)) => found.entry(key).or_default().push(wanted),
            Err(missing) => {
                let defined = definitions.bring(&item.id.gvk.group, &item.id.gvk.kind);
                inputs.awaits_definitions |= defined;
                let group = order::group(manifest::Phase::Custom, &item.id.gvk.kind, item.options());
                inputs.held_at = Some(inputs.held_at.map_or(group, |held| held.min(group)));
                inputs.failures.push(missing.failure(item, defined));
            }
        }
    }
    let mut single: Vec<(Key, Wanted)> = Vec::with_capacity(found.len());
    for (key, mut of_key) in found {
        if of_key.len() > 1 {
            of_key.sort_by(|a, b| a.item.origin.cmp(&b.item.origin));
            let places: Vec<_> = of_key.iter().map(|w| w.item.origin.to_string()).take(4).collect();
            let message = format!(
                "{} documents make this object: {}",
                of_key.len(),
                places.join("; ")
            );
            inputs
                .failures
                .push(Failure::of(&key, None, &message, "keep one of them", false));
        } else if let Some(wanted) = of_key.pop() {
            single.push((key, wanted));
        }
    }
    let mut hooks = Vec::new();
    let mut ordinary = Vec::with_capacity(single.len());
    for (key, wanted) in single {
        let options = wanted.item.options();
        inputs.warnings.extend(sealed::ignored(&key, &wanted.item));
        if options.skip || options.reconcile_disabled {
            inputs.kept.insert(key);
        } else if wanted.form == Form::PlainSecret
            && !wanted.item.filled
            && !admit_plaintext(&key, &wanted, frame, &mut inputs)
        {
            // Refused, and said to be.
        } else if let Some(failure) = sealed::refuse(&key, &wanted.item, frame.spec) {
            inputs.failures.push(failure);
        } else if let Some(hook) = options.hook.clone() {
            hooks.push((key, wanted, hook));
        } else {
            let group = order::group(wanted.phase, &key.kind.kind, options);
            ordinary.push((group, key, wanted));
        }
    }
    ordinary.sort_by(|a, b| (a.0, a.2.phase, &a.1).cmp(&(b.0, b.2.phase, &b.1)));
    let impossible = inputs.link(&ordinary);
    for (at, (group, key, wanted)) in ordinary.into_iter().enumerate() {
        if let Some(message) = impossible.get(&at) {
            let hint = "correct the annotation config.kubernetes.io/depends-on";
            let failure = Failure::of(&key, Some(&wanted.item.origin), message, hint, false);
            inputs.failures.push(failure);
        }
        inputs.groups.push(group);
        inputs.add(key, wanted, frame);
    }
    inputs.rounds = order::rounds(&inputs.needs, &inputs.groups);
    let mut by_key: Vec<u32> = (0..).take(inputs.desired.len()).collect();
    by_key.sort_by(|a, b| {
        let key = |at: u32| &inputs.desired[at as usize].key;
        key(*a).cmp(key(*b))
    });
    inputs.by_key = by_key;
    restart::link(&mut inputs, frame.spec, frame.digest_key);
    hooks.sort_by(|a, b| (a.1.phase, &a.0).cmp(&(b.1.phase, &b.0)));
    for (key, wanted, hook) in hooks {
        let groups = order::hook_groups(&hook.when, wanted.item.options().wave);
        let at = inputs.desired.len();
        inputs.hooks.push(HookInput { at, groups, hook });
        inputs.add(key, wanted, frame);
    }
    inputs
}

impl Inputs {
    fn add(&mut self, key: Key, wanted: Wanted, frame: &Frame<'_>) {
        let digest = digest(&key, &wanted, frame);
        self.desired.push(Desired { key, digest });
        self.wanted.push(wanted);
    }

    /// Links objects to what they depend on. Returned are those whose dependencies can never be met, with the reason.
    fn link(&mut self, ordinary: &[(Group, Key, Wanted)]) -> HashMap<usize, String> {
        let nodes: Vec<_> = ordinary
            .iter()
            .map(|(group, key, wanted)| Node {
                key,
                group: *group,
                depends_on: &wanted.item.options().depends_on,
            })
            .collect();
        let (needs, impossible) = order::needs(&nodes);
        self.needs = needs;
        self.blocked = impossible.iter().map(|(at, _)| *at).collect();
        impossible.into_iter().collect()
    }
}

/// Whether a plain-text Secret may be applied.
fn admit_plaintext(key: &Key, wanted: &Wanted, frame: &Frame<'_>, inputs: &mut Inputs) -> bool {
    let hint = "seal it with `signet seal`, commit the result in its place, and change the value at its source: Git's \
                history keeps the plain text";
    let said = report(
        Some(key),
        Some(&wanted.item.origin),
        "this Secret stands in Git in plain text",
        hint,
    );
    match frame.spec.plaintext_secrets {
        PlaintextSecrets::Allow => true,
        PlaintextSecrets::Warn => {
            inputs.warnings.push(Warning {
                reason: "PlaintextSecret",
                report: said,
            });
            true
        }
        PlaintextSecrets::Refuse => {
            inputs.failures.push(Failure::permanent(said));
            false
        }
    }
}

/// A kind or version that the API server does not serve.
struct Missing {
    served: Vec<String>,
}

impl Missing {
    fn failure(&self, item: &Item, defined_here: bool) -> Failure {
        let gvk = &item.id.gvk;
        let (message, hint) = if defined_here {
            let message = format!("waits until the API server serves kind {}", gvk.kind);
            (
                message,
                "its definition is part of this Sync; this is tried again by itself".to_owned(),
            )
        } else if self.served.is_empty() {
            let message = format!(
                "the API server does not know kind {} of {}",
                gvk.kind,
                gvk.api_version()
            );
            (
                message,
                "correct apiVersion and kind, or install its CustomResourceDefinition".to_owned(),
            )
        } else {
            let message = format!(
                "the API server does not serve kind {} in {}",
                gvk.kind,
                gvk.api_version()
            );
            (message, format!("it serves {}", self.served.join(", ")))
        };
        let mut said = report(None, Some(&item.origin), &message, &hint);
        said.object = item.id.to_string();
        Failure {
            report: said,
            // A definition, or an API server of the kind's own, may come at any time.
            transient: true,
        }
    }
}

fn look_up(
    item: &Item,
    catalog: &Catalog,
    frame: &Frame<'_>,
    names: &mut Interner,
) -> Result<(Key, Wanted), Missing> {
    let gvk = &item.id.gvk;
    let (group, version, kind, form) = match (&*gvk.group, &*gvk.kind) {
        ("bitnami.com" | "signet.dev", "SealedSecret") => ("", "v1", "Secret", Form::Sealed),
        ("", "Secret") => ("", &*gvk.version, "Secret", Form::PlainSecret),
        (group, kind) => (group, &*gvk.version, kind, Form::Plain),
    };
    let Some(info) = catalog.resolve(group, version, kind) else {
        let served = catalog
            .versions(group, kind)
            .iter()
            .map(|info| info.api_version())
            .collect();
        return Err(Missing { served });
    };
    let namespace = info.namespaced.then(|| {
        let default = frame.spec.target_namespace.as_deref().unwrap_or(frame.namespace);
        names.get(item.id.namespace.as_deref().unwrap_or(default))
    });
    let key = Key {
        kind: Arc::clone(&info.kind),
        namespace,
        name: name(item, frame).into(),
    };
    let phase = Phase::of(&gvk.group, &gvk.kind);
    Ok((
        key,
        Wanted {
            item: item.clone(),
            info: Arc::clone(info),
            form,
            phase,
        },
    ))
}

/// A hook that leaves its name to the API server gets one that belongs to this run: made twice, it is the same object.
fn name(item: &Item, frame: &Frame<'_>) -> String {
    if !item.generate_name {
        return item.id.name.clone();
    }
    let run = frame.run.get(..8).unwrap_or(frame.run);
    let prefix: String = item.id.name.chars().take(63 - run.len()).collect();
    format!("{prefix}{run}")
}

/// The definitions among the rendered objects: by group, the plurals of their kinds, sorted.
struct Definitions<'a>(HashMap<&'a str, BTreeSet<&'a str>>);

impl<'a> Definitions<'a> {
    fn of(rendered: &'a Rendered) -> Self {
        let mut by_group: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        let definitions = rendered
            .items
            .iter()
            .filter(|item| &*item.id.gvk.kind == "CustomResourceDefinition");
        for (plural, group) in definitions.filter_map(|item| item.id.name.split_once('.')) {
            by_group.entry(group).or_default().insert(plural);
        }
        Self(by_group)
    }

    /// Whether one of them could bring this kind. By name only: bodies are not loaded yet.
    fn bring(&self, group: &str, kind: &str) -> bool {
        let singular = kind.to_lowercase();
        // Every plural that is formed by rule starts with the singular less its last letter.
        let stem = &singular[..singular.char_indices().last().map_or(0, |(at, _)| at)];
        let of_group = self.0.get(group).into_iter();
        // What starts with the stem comes right after it.
        of_group
            .filter_map(|plurals| plurals.range(stem..).next())
            .any(|plural| plural.starts_with(stem))
    }
}

/// A keyed digest of all that the object's body is made of, sealed values still sealed.
fn digest(key: &Key, wanted: &Wanted, frame: &Frame<'_>) -> InputDigest {
    let source = source_annotation(frame.sync, wanted);
    let parts: [&[u8]; 4] = [
        &wanted.item.digest,
        key.namespace.as_deref().unwrap_or_default().as_bytes(),
        wanted.info.version.as_bytes(),
        source.as_bytes(),
    ];
    InputDigest::keyed(frame.digest_key, &parts)
}

/// What `signet.dev/source` says of an object: not the commit, which would rewrite everything.
pub(super) fn source_annotation(sync: &str, wanted: &Wanted) -> String {
    let origin = &wanted.item.origin;
    match origin.item {
        Some(item) => format!("{sync}:{}#{}.{item}", origin.file, origin.document),
        None => format!("{sync}:{}#{}", origin.file, origin.document),
    }
}

/// Each namespace's name once.
#[derive(Default)]
struct Interner(HashMap<String, Arc<str>>);

impl Interner {
    fn get(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = name.into();
        self.0.insert(name.into(), Arc::clone(&shared));
        shared
    }
}

/// The kinds of what is wanted and of what is recorded, each once.
pub(super) fn kinds<'a>(
    inputs: &Inputs,
    recorded: impl Iterator<Item = &'a Key>,
    catalog: &Catalog,
) -> Vec<Arc<KindInfo>> {
    let mut kinds: HashMap<Arc<GroupKind>, Arc<KindInfo>> = HashMap::new();
    for wanted in &inputs.wanted {
        kinds
            .entry(Arc::clone(&wanted.info.kind))
            .or_insert_with(|| Arc::clone(&wanted.info));
    }
    for key in recorded {
        if !kinds.contains_key(&key.kind)
            && let Some(info) = catalog.preferred(&key.kind)
        {
            kinds.insert(Arc::clone(&info.kind), Arc::clone(info));
        }
    }
    let mut kinds: Vec<_> = kinds.into_values().collect();
    kinds.sort_by(|a, b| a.kind.cmp(&b.kind));
    kinds
}
