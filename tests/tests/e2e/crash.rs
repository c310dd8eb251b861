//! Killed at any point of an apply and started again, the controller ends where Git says, with nothing lost, nothing made
//! twice and nothing left over.
//!
//! `SIGNET_CRASH_POINTS=50` kills it that often; `SIGNET_SEED` has the same points again.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crds::Sync;
use kube::{Api, ResourceExt};
use tests::audit::{CONTROLLER, Mark};
use tests::members::Kinds;
use tests::random::Random;
use tests::{Stage, checkpoint, objects, run, wait};

use crate::crash_world::{Id, World, found, moved, observe};

/// How often it is killed by default.
const POINTS: usize = 6;
/// A controller that sends nothing for so long has nothing left to do: it is killed at rest.
const REST: Duration = Duration::from_secs(3);
/// How often something happened to an object.
type Counts = HashMap<Id, usize>;

#[test]
fn a_controller_that_is_killed_anywhere_ends_where_git_says() {
    let points = std::env::var("SIGNET_CRASH_POINTS").map_or(POINTS, |points| points.parse().unwrap());
    let mut random = Random::begin("crash");
    run(async {
        let mut stage = Stage::own().await;
        observe(&stage);
        let team = stage.space("crash");
        team.make_platform();
        let repo = stage.git.repository(team.name());
        let mut world = World::new(&stage, team.name()).await;
        let begin = stage.cluster.audit().mark();
        let name = team.keep();
        let (mut came, mut left) = (Counts::new(), Counts::new());
        let mut wanted = BTreeMap::new();
        let mut down = false;
        for point in 0..points {
            let mark = stage.cluster.audit().mark();
            let commit = world.commit(&stage, &repo, point);
            let before = std::mem::replace(&mut wanted, world.wanted(point));
            let [new, gone] = moved(&before, &wanted);
            let changed = wanted.iter().filter(|(id, value)| before.get(*id) != Some(value));
            let changes = changed.count() + gone.len();
            for (count, ids) in [(&mut came, new), (&mut left, gone)] {
                for id in ids {
                    *count.entry(id.clone()).or_default() += 1;
                }
            }
            // A hook runs once in a round, if at all: the object of the round before it is deleted first.
            for (id, _) in world.hooks(point) {
                for count in [&mut came, &mut left] {
                    *count.entry(id.clone()).or_default() += 1;
                }
            }
            if down {
                stage.controller.start_again().await;
            }
            if point == 0 {
                stage.follow(&name, &repo);
            }
            // The last writes are those of the checkpoint and the status.
            let after = random.within(1..changes + 4);
            let done = kill(&mut stage, mark, after).await;
            eprintln!("point {point}: killed after {done} writes, {after} were chosen, of about {changes}");
            let last = point + 1 == points;
            down = !last && point > 0 && random.once_in(4);
            if down {
                eprintln!("point {point}: the next commit comes before it runs again");
                continue;
            }
            stage.controller.start_again().await;
            if !last && random.once_in(4) {
                let mark = stage.cluster.audit().mark();
                let done = kill(&mut stage, mark, random.within(1..changes / 2)).await;
                eprintln!("point {point}: killed once more, after {done} writes of the recovery");
                stage.controller.start_again().await;
            }
            applied(&stage, &name, &commit).await;
            let hooks = world.hooks(point);
            let there = wanted.clone().into_iter().chain(hooks).collect();
            exactly(&stage, &there).await;
        }
        made_and_deleted_once(&stage, begin, &came, &left);
        // It writes down what it owns when it ends in order.
        assert!(stage.controller.stop().success());
        written_down(&stage, &name, &wanted).await;
    });
}

/// Kills the controller once it has sent so many writes since `mark`; gives how many it had.
async fn kill(stage: &mut Stage, mark: Mark, after: usize) -> usize {
    let mut tail = stage.cluster.audit().tail(mark);
    let (mut writes, mut news) = (0, Instant::now());
    while writes < after && news.elapsed() < REST {
        let sent = tail
            .by_controller()
            .iter()
            .filter(|request| request.writes())
            .count();
        if sent > 0 {
            news = Instant::now();
        }
        writes += sent;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stage.controller.kill();
    writes
}

async fn applied(stage: &Stage, namespace: &str, commit: &str) {
    let syncs: Api<Sync> = Api::namespaced(stage.cluster.client(), namespace);
    wait::until(
        &stage.cluster,
        syncs,
        "app",
        &format!("{commit} to be applied"),
        |sync| objects::applied(sync) == commit && objects::is(sync, "Ready", "True"),
    )
    .await;
}

/// The members of ApplySets, in the whole cluster, are what Git holds: each of them, as it is there, and no other.
async fn exactly(stage: &Stage, wanted: &BTreeMap<Id, usize>) {
    let kinds = Kinds::of(&stage.cluster).await;
    wait::poll("the cluster to hold what Git holds", || async {
        let members = kinds.members(&stage.cluster).await;
        let live: BTreeMap<_, _> = members.iter().map(found).collect();
        let missing: Vec<_> = wanted
            .iter()
            .filter(|(id, value)| live.get(*id) != Some(value))
            .collect();
        let orphans: Vec<_> = live.keys().filter(|id| !wanted.contains_key(*id)).collect();
        if missing.is_empty() && orphans.is_empty() {
            Ok(())
        } else {
            Err(format!(
                "missing or different: {missing:?}\nleft over: {orphans:?}"
            ))
        }
    })
    .await;
}

/// No object was made more often than it came to Git, none was deleted more often than it left it.
fn made_and_deleted_once(stage: &Stage, begin: Mark, came: &Counts, left: &Counts) {
    let mut done: [HashMap<[String; 3], usize>; 2] = Default::default();
    for (request, code) in stage.cluster.audit().answered(begin, CONTROLLER) {
        let at = match (&*request.verb, code) {
            ("patch", 201) => 0,
            ("delete", 200 | 202) => 1,
            _ => continue,
        };
        let id = [request.resource, request.namespace, request.name];
        *done[at].entry(id).or_default() += 1;
    }
    for (what, done, allowed) in [("made", &done[0], came), ("deleted", &done[1], left)] {
        let allowed: HashMap<_, _> = allowed
            .iter()
            .map(|((kind, namespace, name), count)| {
                let resource = format!("{}s", kind.to_lowercase());
                ([resource, namespace.clone(), name.clone()], count)
            })
            .collect();
        let times: usize = allowed
            .keys()
            .map(|id| done.get(id).copied().unwrap_or_default())
            .sum();
        let most: usize = allowed.values().copied().sum();
        eprintln!("{times} objects were {what}, and {most} at most had to be");
        assert!(times > 0 || most == 0, "the log shows no object {what}");
        for (id, count) in allowed {
            let times = done.get(&id).copied().unwrap_or_default();
            assert!(
                times <= *count,
                "{id:?} was {what} {times} times instead of {count}"
            );
        }
    }
}

/// The checkpoint holds the objects that are there, each with its uid, and no other; of hooks a journal is kept.
async fn written_down(stage: &Stage, namespace: &str, wanted: &BTreeMap<Id, usize>) {
    let records = checkpoint::of(&stage.cluster, &format!("{namespace}/app")).await;
    let recorded: BTreeMap<Id, Option<String>> = records
        .into_iter()
        .map(|(key, record)| {
            let namespace = key.namespace.as_deref().unwrap_or_default().to_owned();
            let id = (key.kind.kind.to_string(), namespace, key.name.to_string());
            (id, record.uid.map(Into::into))
        })
        .collect();
    let members = Kinds::of(&stage.cluster).await.members(&stage.cluster).await;
    let live: BTreeMap<Id, Option<String>> = members
        .iter()
        .filter(|object| !object.name_any().starts_with("hook-"))
        .map(|object| (found(object).0, object.uid()))
        .collect();
    assert_eq!(live.len(), wanted.len());
    assert_eq!(recorded, live);
}
