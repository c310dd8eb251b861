//! Which objects wait for which: groups, one after the other, and `depends-on` within them. Pure.
//!
//! The walk through a Sync goes group by group. A group begins when the one before it is ready: definitions, namespaces
//! and classes; hooks that go before; wave after wave; hooks that come after. Within a group objects go phase by phase
//! (`manifest::Phase`), without waiting for health.

use apply::Key;
use apply::checkpoint::Wave;
use manifest::Phase;
use render::{Dependency, HookPhase, Options};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::{fmt, iter};

/// Objects of a circle that are named.
const NAMED: usize = 3;
/// Objects that wait for themselves and are told by which way: each takes a walk through all of them.
const EXPLAINED: usize = 50;

/// A step of the walk; the derived order is that of walking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Group {
    /// Definitions, namespaces and classes that name no wave: others have no kind or no place without them.
    Early,
    /// Hooks before everything else, by wave.
    Pre(i32),
    /// Objects, and hooks among them, by wave.
    Wave(i32),
    /// Hooks after everything else is healthy, by wave.
    Post(i32),
    /// Hooks for when the walk failed, by wave.
    Fail(i32),
    /// Hooks before the objects are deleted with their Sync, by wave.
    PreDelete(i32),
    /// Hooks after that, by wave.
    PostDelete(i32),
}

impl Group {
    /// Whether it is one of the walk's steps, in order, and not for a failure or for the end.
    pub(super) fn is_step(self) -> bool {
        !matches!(self, Self::Fail(_) | Self::PreDelete(_) | Self::PostDelete(_))
    }

    /// Whether it is for the Sync's deletion.
    pub(super) fn is_farewell(self) -> bool {
        matches!(self, Self::PreDelete(_) | Self::PostDelete(_))
    }

    /// The place of an ordinary object of this group, as it is written down.
    pub(super) fn wave(self) -> Wave {
        match self {
            Self::Early => Wave::EARLY,
            Self::Wave(wave) => Wave::of(wave),
            _ => Wave::of(0),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Early => f.write_str("definitions and namespaces"),
            Self::Pre(_) => f.write_str("hooks that go before"),
            Self::Wave(wave) => write!(f, "wave {wave}"),
            Self::Post(_) => f.write_str("hooks that come after"),
            Self::Fail(_) => f.write_str("hooks for a failure"),
            Self::PreDelete(_) => f.write_str("hooks before the deletion"),
            Self::PostDelete(_) => f.write_str("hooks after the deletion"),
        }
    }
}

/// The group of an ordinary object.
pub(super) fn group(phase: Phase, kind: &str, options: &Options) -> Group {
    match options.wave {
        Some(wave) => Group::Wave(wave),
        None if phase <= Phase::Namespaces || kind.ends_with("Class") => Group::Early,
        None => Group::Wave(0),
    }
}

/// The groups in which a hook runs.
pub(super) fn hook_groups(when: &[HookPhase], wave: Option<i32>) -> Vec<Group> {
    let wave = wave.unwrap_or(0);
    when.iter()
        .map(|phase| match phase {
            HookPhase::Pre => Group::Pre(wave),
            HookPhase::Sync => Group::Wave(wave),
            HookPhase::Post => Group::Post(wave),
            HookPhase::Fail => Group::Fail(wave),
            HookPhase::PreDelete => Group::PreDelete(wave),
            HookPhase::PostDelete => Group::PostDelete(wave),
        })
        .collect()
}

/// An object as far as dependencies go.
pub(super) struct Node<'a> {
    pub(super) key: &'a Key,
    pub(super) group: Group,
    pub(super) depends_on: &'a [Dependency],
}

/// For each object that depends on others: which of `nodes` they are.
pub(super) type Needs = HashMap<usize, Vec<usize>>;

/// Resolves dependencies. Objects whose dependencies can never be met come back with a sentence instead: the other one is
/// no part of the Sync, comes later, or waits for this one itself.
pub(super) fn needs(nodes: &[Node<'_>]) -> (Needs, Vec<(usize, String)>) {
    if nodes.iter().all(|node| node.depends_on.is_empty()) {
        return (Needs::new(), Vec::new());
    }
    let places: HashMap<_, _> = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| {
            let key = node.key;
            (
                (
                    &*key.kind.group,
                    &*key.kind.kind,
                    key.namespace.as_deref(),
                    &*key.name,
                ),
                at,
            )
        })
        .collect();
    let (mut needs, mut refused) = (Needs::new(), Vec::new());
    'nodes: for (at, node) in nodes.iter().enumerate() {
        let mut of_node = Vec::with_capacity(node.depends_on.len());
        for other in node.depends_on {
            let name = (
                &*other.group,
                &*other.kind,
                other.namespace.as_deref(),
                &*other.name,
            );
            let Some(&found) = places.get(&name) else {
                refused.push((
                    at,
                    format!("depends on {}, which is no part of this Sync", shown(other)),
                ));
                continue 'nodes;
            };
            if nodes[found].group > node.group {
                let message = format!(
                    "depends on {}, which comes later, in {}",
                    nodes[found].key, nodes[found].group
                );
                refused.push((at, message));
                continue 'nodes;
            }
            of_node.push(found);
        }
        if !of_node.is_empty() {
            needs.insert(at, of_node);
        }
    }
    let circular = circular(&needs);
    let mut sorted: Vec<usize> = circular.iter().copied().collect();
    sorted.sort_unstable();
    for (place, at) in sorted.into_iter().enumerate() {
        let why = if place < EXPLAINED {
            circle(nodes, &needs, &circular, at)
        } else {
            "waits for itself, by way of others".to_owned()
        };
        refused.push((at, why));
    }
    for at in &circular {
        needs.remove(at);
    }
    refused.sort();
    (needs, refused)
}

/// Whether one object has to be there before another, itself included: `to` before `from`, or by way of others.
pub(super) fn leads_to(needs: &Needs, from: usize, to: usize) -> bool {
    let (mut left, mut seen) = (vec![from], HashSet::new());
    while let Some(at) = left.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            left.extend(needs.get(&at).into_iter().flatten());
        }
    }
    false
}

/// In which round of its group each object comes that depends on others; all others come in the first, 0. `needs` has no
/// circles.
pub(super) fn rounds(needs: &Needs, groups: &[Group]) -> HashMap<usize, u16> {
    let mut rounds: HashMap<usize, u16> = HashMap::new();
    let mut left: Vec<usize> = needs.keys().copied().collect();
    while let Some(&at) = left.last() {
        let of = needs.get(&at).map_or(&[][..], Vec::as_slice);
        let open = |other: &&usize| needs.contains_key(other) && !rounds.contains_key(other);
        let open: Vec<usize> = of.iter().filter(open).copied().collect();
        if !open.is_empty() && !rounds.contains_key(&at) {
            left.extend(open);
            continue;
        }
        left.pop();
        let same = of.iter().filter(|other| groups[**other] == groups[at]);
        let round = same.map(|other| rounds.get(other).map_or(1, |round| round.saturating_add(1)));
        rounds.insert(at, round.max().unwrap_or_default());
    }
    rounds
}

fn shown(dependency: &Dependency) -> String {
    match &dependency.namespace {
        Some(namespace) => format!("{} {namespace}/{}", dependency.kind, dependency.name),
        None => format!("{} {}", dependency.kind, dependency.name),
    }
}

/// Says why something is circular, with the shortest way from it back to itself, or with what leads to a circle.
fn circle(nodes: &[Node<'_>], needs: &Needs, circular: &HashSet<usize>, at: usize) -> String {
    let of = |node: usize| needs.get(&node).into_iter().flatten().copied();
    let mut came_from: HashMap<usize, usize> = HashMap::new();
    let mut reached = VecDeque::from([at]);
    while let Some(node) = reached.pop_front() {
        for other in of(node).filter(|other| circular.contains(other)) {
            if other == at {
                let back = |from: &usize| came_from.get(from).copied();
                let mut way: Vec<usize> = iter::successors(Some(node), back).collect();
                way.retain(|node| *node != at);
                return by_way_of(nodes, &way);
            }
            if let Entry::Vacant(unseen) = came_from.entry(other) {
                unseen.insert(node);
                reached.push_back(other);
            }
        }
    }
    let first = of(at).find(|other| circular.contains(other));
    let first = first.map_or_else(|| "another".to_owned(), |other| nodes[other].key.to_string());
    format!("depends on {first}, which waits for itself, by way of others")
}

/// `way`: what lies between an object and itself, backwards.
fn by_way_of(nodes: &[Node<'_>], way: &[usize]) -> String {
    let shown: Vec<_> = way
        .iter()
        .rev()
        .take(NAMED)
        .map(|node| nodes[*node].key.to_string())
        .collect();
    match way.len() {
        0 => "depends on itself".to_owned(),
        all if all > NAMED => {
            format!(
                "depends on itself, by way of {} and {} more",
                shown.join(", "),
                all - NAMED
            )
        }
        _ => format!("depends on itself, by way of {}", shown.join(", ")),
    }
}

/// Everything that is on a circle or waits for one: what is left when all that can be done is done.
fn circular(needs: &Needs) -> HashSet<usize> {
    let mut left: HashMap<usize, usize> = needs.iter().map(|(at, of)| (*at, of.len())).collect();
    let mut waits: HashMap<usize, Vec<usize>> = HashMap::new();
    let (mut free, mut seen) = (Vec::new(), HashSet::new());
    for (at, of) in needs {
        for other in of {
            waits.entry(*other).or_default().push(*at);
            if !needs.contains_key(other) && seen.insert(*other) {
                free.push(*other);
            }
        }
    }
    while let Some(done) = free.pop() {
        for waiter in waits.get(&done).into_iter().flatten() {
            if let Some(count) = left.get_mut(waiter) {
                *count -= 1;
                if *count == 0 {
                    left.remove(waiter);
                    free.push(*waiter);
                }
            }
        }
    }
    left.into_keys().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use apply::GroupKind;
    use std::sync::Arc;

    fn key(name: &str) -> Key {
        Key {
            kind: Arc::new(GroupKind::new("", "ConfigMap")),
            namespace: Some("n".into()),
            name: name.into(),
        }
    }

    fn on(name: &str) -> Dependency {
        Dependency {
            group: "".into(),
            kind: "ConfigMap".into(),
            namespace: Some("n".into()),
            name: name.into(),
        }
    }

    fn run(graph: &[(&str, i32, &[&str])]) -> (Needs, Vec<(usize, String)>) {
        let keys: Vec<_> = graph.iter().map(|(name, ..)| key(name)).collect();
        let lists: Vec<Vec<_>> = graph
            .iter()
            .map(|(_, _, of)| of.iter().map(|n| on(n)).collect())
            .collect();
        let nodes: Vec<_> = graph
            .iter()
            .enumerate()
            .map(|(at, (_, wave, _))| Node {
                key: &keys[at],
                group: Group::Wave(*wave),
                depends_on: &lists[at],
            })
            .collect();
        needs(&nodes)
    }

    #[test]
    fn the_walk_is_in_order() {
        let order = [
            Group::Early,
            Group::Pre(-1),
            Group::Pre(3),
            Group::Wave(-5),
            Group::Wave(0),
            Group::Post(0),
            Group::Fail(0),
            Group::PreDelete(0),
            Group::PostDelete(-1),
        ];
        assert!(order.is_sorted());
    }

    #[test]
    fn what_names_a_wave_is_in_it_and_what_others_need_comes_first() {
        let mut options = Options::default();
        assert_eq!(group(Phase::Namespaces, "Namespace", &options), Group::Early);
        assert_eq!(group(Phase::Foundations, "StorageClass", &options), Group::Early);
        assert_eq!(group(Phase::Foundations, "Role", &options), Group::Wave(0));
        options.wave = Some(4);
        assert_eq!(group(Phase::Namespaces, "Namespace", &options), Group::Wave(4));
    }

    #[test]
    fn dependencies_are_found_and_impossible_ones_named() {
        let (needs, refused) = run(&[
            ("a", 0, &["b"]),
            ("b", 0, &[]),
            ("c", 0, &["x"]),
            ("d", 0, &["e"]),
            ("e", 1, &[]),
        ]);
        assert_eq!(needs, Needs::from([(0, vec![1])]));
        assert_eq!(
            refused,
            [
                (
                    2,
                    "depends on ConfigMap n/x, which is no part of this Sync".to_owned()
                ),
                (
                    3,
                    "depends on ConfigMap n/e, which comes later, in wave 1".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn circles_are_refused_with_what_waits_for_them() {
        let (needs, refused) = run(&[
            ("a", 0, &["b"]),
            ("b", 0, &["a"]),
            ("c", 0, &["a"]),
            ("d", 0, &["e"]),
            ("e", 0, &[]),
            ("s", 0, &["s"]),
        ]);
        assert_eq!(needs, Needs::from([(3, vec![4])]));
        let said = |at, message: &str| (at, message.to_owned());
        assert_eq!(
            refused,
            [
                said(0, "depends on itself, by way of ConfigMap n/b"),
                said(1, "depends on itself, by way of ConfigMap n/a"),
                said(
                    2,
                    "depends on ConfigMap n/a, which waits for itself, by way of others"
                ),
                said(5, "depends on itself"),
            ]
        );
    }

    #[test]
    fn rounds_count_what_has_to_be_there_before_in_the_same_group() {
        let groups = [0, 0, 0, 1, 1, 0].map(Group::Wave);
        let needs = Needs::from([
            (1, vec![0]),
            (2, vec![0, 1]),
            // Of an earlier group, which has gone before anyway.
            (3, vec![2]),
            (4, vec![3, 0]),
        ]);
        let wanted = HashMap::from([(1, 1), (2, 2), (3, 0), (4, 1)]);
        assert_eq!(rounds(&needs, &groups), wanted);
        // As long as a set may be.
        let many = 20_000;
        let chain: Needs = (1..many).map(|at| (at, vec![at - 1])).collect();
        let found = rounds(&chain, &vec![Group::Wave(0); many]);
        assert!(found.iter().all(|(at, round)| usize::from(*round) == *at));
        let fan = Needs::from_iter([(0, (1..many).collect()), (1, vec![2])]);
        assert_eq!(rounds(&fan, &vec![Group::Wave(0); many])[&0], 2);
    }

    #[test]
    fn what_has_to_be_there_before_is_found_by_way_of_others() {
        let needs = Needs::from([(0, vec![1, 2]), (2, vec![3]), (4, vec![0])]);
        for (from, to, leads) in [
            (0, 3, true),
            (4, 1, true),
            (3, 0, false),
            (1, 2, false),
            (5, 5, true),
        ] {
            assert_eq!(leads_to(&needs, from, to), leads, "{from} to {to}");
        }
    }

    #[test]
    fn of_a_great_ring_the_first_objects_are_told_their_way() {
        let names: Vec<String> = (0..2000).map(|n| format!("m{n}")).collect();
        let next: Vec<[&str; 1]> = (0..names.len())
            .map(|n| [names[(n + 1) % names.len()].as_str()])
            .collect();
        let ring: Vec<(&str, i32, &[&str])> = names
            .iter()
            .zip(&next)
            .map(|(name, next)| (name.as_str(), 0, &next[..]))
            .collect();
        let (needs, refused) = run(&ring);
        assert!(needs.is_empty());
        assert_eq!(refused.len(), names.len());
        let told = refused
            .iter()
            .filter(|(_, why)| why.contains("ConfigMap"))
            .count();
        assert_eq!(told, EXPLAINED);
        assert_eq!(refused[1999].1, "waits for itself, by way of others");
    }

    #[test]
    fn a_long_circle_is_named_in_part_and_the_short_way() {
        let (_, refused) = run(&[
            ("a", 0, &["b"]),
            ("b", 0, &["c"]),
            ("c", 0, &["d", "b"]),
            ("d", 0, &["e"]),
            ("e", 0, &["a"]),
        ]);
        let of = |at: usize| refused[at].1.as_str();
        let names = "ConfigMap n/b, ConfigMap n/c, ConfigMap n/d";
        assert_eq!(of(0), format!("depends on itself, by way of {names} and 1 more"));
        assert_eq!(of(1), "depends on itself, by way of ConfigMap n/c");
    }
}
