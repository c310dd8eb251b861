//! What becomes of objects that left Git, by the controller's own rules, as far as they themselves and Git tell.

use super::wanted::Wanted;
use super::{Action, Outcome};
use crate::commands::tree::Member;
use apply::words::OwnWord;
use apply::{Catalog, Inside, Key, prune};
use crds::{Prune, PrunePolicy, annotation};
use std::collections::HashSet;

/// One outcome for each member that Git does not hold.
pub(super) fn outcomes(
    rules: &Prune,
    members: &[Member],
    wanted: &[Wanted],
    catalog: &Catalog,
) -> Vec<Outcome> {
    let held: HashSet<&Key> = wanted.iter().map(|wanted| &wanted.key).collect();
    let left: Vec<&Member> = members.iter().filter(|one| !held.contains(&one.key)).collect();
    // What is frozen is no part of what would be deleted.
    let goes = left.iter().filter(|one| !one.frozen);
    let goes: Vec<Key> = goes.map(|one| one.key.clone()).collect();
    let known: HashSet<&Key> = members.iter().map(|one| &one.key).collect();
    let beside = held.iter().filter(|key| !known.contains(**key));
    let all = known.iter().map(|key| (*key, false));
    let all = all.chain(beside.map(|key| (*key, true)));
    let (recorded, emptied) = prune::standing(all, &goes, |key| held.contains(key));
    let refusal = prune::decide(goes, recorded, emptied, rules, false).refusal;
    let spared = |one: &Member| matches!(one.word, Some(OwnWord::Keep | OwnWord::Orphan));
    let outcome = |one: &&Member| {
        let kept = if spared(one) {
            Some("it says so itself".to_owned())
        } else if rules.policy == PrunePolicy::Orphan {
            Some("spec.prune.policy is Orphan".to_owned())
        } else {
            Inside::of(&one.key, catalog).and_then(|inside| {
                let wanted = held.iter().copied().filter(|key| inside.holds(key)).min();
                let stays = left
                    .iter()
                    .filter(|other| spared(other) && inside.holds(&other.key));
                let stays = stays.map(|other| &other.key).min();
                wanted
                    .map(|key| format!("Git still holds {key}"))
                    .or_else(|| stays.map(|key| format!("{key} stays, and would go with it")))
            })
        };
        if let Some(why) = kept {
            return Outcome::left(&one.key, Action::Keep).with(format!("left Git and stays: {why}"));
        }
        let delete = Outcome::left(&one.key, Action::Delete);
        match (&refusal, one.word) {
            (Some(why), _) => delete.with(format!("waits for an approval: {}", why.trim_end_matches('.'))),
            (None, Some(OwnWord::Confirm)) => {
                delete.with(format!("waits for an approval: {}: confirm", annotation::PRUNE))
            }
            (None, _) => delete,
        }
    };
    left.iter().map(outcome).collect()
}
