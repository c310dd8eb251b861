//! How many may be at work at once, and whose turn it is: namespaces take turns, so that one with a thousand Syncs, or questions, keeps
//! nobody else waiting for longer than one of them takes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The places of all who work at one kind of thing.
#[derive(Clone)]
pub(crate) struct Places(Arc<Mutex<Queue>>);

/// Given back when it is dropped.
pub(crate) struct Place {
    places: Places,
    namespace: Arc<str>,
}

struct Queue {
    free: usize,
    /// Places that one namespace may have at once.
    share: usize,
    /// How many each has.
    taken: HashMap<Arc<str>, usize>,
    /// Who waits in each namespace, who came first first.
    waiting: HashMap<Arc<str>, VecDeque<oneshot::Sender<Place>>>,
    /// The namespaces in which somebody waits, whose turn is next first.
    turns: VecDeque<Arc<str>>,
}

impl Places {
    /// All of which may be of one namespace.
    pub(crate) fn new(count: usize) -> Self {
        Self::shared(count, usize::MAX)
    }

    /// Of which a namespace has no more than its share at once.
    pub(crate) fn shared(count: usize, share: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            free: count.max(1),
            share: share.max(1),
            taken: HashMap::new(),
            waiting: HashMap::new(),
            turns: VecDeque::new(),
        })))
    }

    /// A place, if there is one.
    pub(crate) fn try_take(&self, namespace: &Arc<str>) -> Option<Place> {
        let mut queue = self.queue();
        let room = queue.has_room(namespace);
        room.then(|| {
            queue.taken(namespace);
            self.place(namespace)
        })
    }

    /// Waits for a place, in the turn of this namespace. Who stops waiting loses nothing but that turn.
    pub(crate) async fn take(&self, namespace: &Arc<str>) -> Place {
        loop {
            // Where one is free, only those wait whose namespace has its share: a place that is given back goes to who waits.
            let turn = {
                let mut queue = self.queue();
                if queue.has_room(namespace) {
                    queue.taken(namespace);
                    return self.place(namespace);
                }
                queue.wait(namespace)
            };
            if let Ok(place) = turn.await {
                return place;
            }
        }
    }

    fn place(&self, namespace: &Arc<str>) -> Place {
        Place {
            places: self.clone(),
            namespace: Arc::clone(namespace),
        }
    }

    fn give_back(&self, namespace: &Arc<str>) {
        let next = {
            let mut queue = self.queue();
            queue.gave_back(namespace);
            queue.next()
        };
        if let Some((namespace, next)) = next {
            // Who has stopped waiting just now gives it back again, when it is dropped.
            let _ = next.send(self.place(&namespace));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.give_back(&self.namespace);
    }
}

impl Queue {
    fn has_room(&self, namespace: &Arc<str>) -> bool {
        self.free > 0 && self.taken.get(namespace).is_none_or(|taken| *taken < self.share)
    }

    fn taken(&mut self, namespace: &Arc<str>) {
        self.free = self.free.saturating_sub(1);
        *self.taken.entry(Arc::clone(namespace)).or_default() += 1;
    }

    fn gave_back(&mut self, namespace: &Arc<str>) {
        self.free += 1;
        if let Some(taken) = self.taken.get_mut(namespace) {
            *taken -= 1;
            if *taken == 0 {
                self.taken.remove(namespace);
            }
        }
    }

    fn wait(&mut self, namespace: &Arc<str>) -> oneshot::Receiver<Place> {
        let (sender, turn) = oneshot::channel();
        let line = self.waiting.entry(Arc::clone(namespace)).or_default();
        if line.is_empty() {
            self.turns.push_back(Arc::clone(namespace));
        }
        line.push_back(sender);
        turn
    }

    /// Whose turn it is, of those who still wait and whose namespace has not its share. The place is theirs.
    fn next(&mut self) -> Option<(Arc<str>, oneshot::Sender<Place>)> {
        for _ in 0..self.turns.len() {
            let namespace = self.turns.pop_front()?;
            let has_room = self.has_room(&namespace);
            let line = self.waiting.get_mut(&namespace);
            let next = line.and_then(|line| {
                line.retain(|turn| !turn.is_closed());
                let next = if has_room { line.pop_front() } else { None };
                (next.is_some() || !line.is_empty()).then_some((next, line.is_empty()))
            });
            let Some((next, last)) = next else {
                self.waiting.remove(&namespace);
                continue;
            };
            if last {
                self.waiting.remove(&namespace);
            } else {
                self.turns.push_back(Arc::clone(&namespace));
            }
            if let Some(next) = next {
                self.taken(&namespace);
                return Some((namespace, next));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::pin::Pin;

    type Turn = Pin<Box<dyn Future<Output = Place>>>;

    /// Stands in line, as a worker of this namespace.
    fn stand(places: &Places, namespace: &str) -> Turn {
        let (places, namespace) = (places.clone(), Arc::from(namespace));
        let mut turn: Turn = Box::pin(async move { places.take(&namespace).await });
        assert!((&mut turn).now_or_never().is_none(), "there is no place");
        turn
    }

    fn come(turn: &mut Turn) -> Option<Place> {
        turn.now_or_never()
    }

    #[test]
    fn namespaces_take_turns_and_each_is_in_order() {
        let places = Places::new(1);
        let mut place = places.take(&"crowd".into()).now_or_never().unwrap();
        let crowd = (0..50).map(|_| ("crowd", stand(&places, "crowd")));
        let mut line: Vec<(&str, Turn)> = crowd.collect();
        line.push(("shop", stand(&places, "shop")));
        line.push(("bank", stand(&places, "bank")));
        line.push(("shop", stand(&places, "shop")));
        let mut order = Vec::new();
        for _ in 0..5 {
            drop(place);
            let next = line.iter_mut().enumerate();
            let mut came = next.filter_map(|(at, (of, turn))| come(turn).map(|place| (at, *of, place)));
            let (at, of, taken) = came.next().unwrap();
            assert!(came.next().is_none(), "there is one place");
            drop(came);
            order.push(of);
            place = taken;
            drop(line.remove(at));
        }
        assert_eq!(order, ["crowd", "shop", "bank", "crowd", "shop"]);
    }

    #[test]
    fn who_stops_waiting_takes_no_place_with_it() {
        let places = Places::new(2);
        let one = places.take(&"a".into()).now_or_never().unwrap();
        let two = places.take(&"a".into()).now_or_never().unwrap();
        let (gone, mut late) = (stand(&places, "a"), stand(&places, "b"));
        drop(gone);
        drop(one);
        let three = come(&mut late).unwrap();
        // One that was given a place and goes before it looks gives it back.
        let given = stand(&places, "a");
        drop(two);
        drop(given);
        let four = places.take(&"c".into()).now_or_never().unwrap();
        drop((three, four));
        let queue = places.queue();
        assert_eq!((queue.free, queue.waiting.len(), queue.turns.len()), (2, 0, 0));
        assert!(queue.taken.is_empty());
    }

    #[test]
    fn a_namespace_has_its_share_and_the_rest_is_others() {
        let places = Places::shared(2, 1);
        let one = places.take(&"crowd".into()).now_or_never().unwrap();
        let (gone, mut next) = (stand(&places, "crowd"), stand(&places, "crowd"));
        let other = places.take(&"shop".into()).now_or_never().unwrap();
        let mut late = stand(&places, "bank");
        drop(gone);
        // Not to the crowd, which waits longer and has its share.
        drop(other);
        assert!(come(&mut next).is_none());
        let bank = come(&mut late).unwrap();
        drop(bank);
        assert!(come(&mut next).is_none());
        drop(one);
        drop(come(&mut next).unwrap());
        let queue = places.queue();
        assert_eq!((queue.free, queue.waiting.len(), queue.turns.len()), (2, 0, 0));
        assert!(queue.taken.is_empty());
    }
}
