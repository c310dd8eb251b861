//! How many Syncs may be at work at once, and whose turn it is: namespaces take turns, so that one with a thousand Syncs keeps nobody
//! else waiting for longer than one pass.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The places of all workers.
#[derive(Clone)]
pub(crate) struct Places(Arc<Mutex<Queue>>);

/// Given back when it is dropped.
pub(crate) struct Place(Places);

#[derive(Default)]
struct Queue {
    free: usize,
    /// Who waits in each namespace, who came first first.
    waiting: HashMap<Arc<str>, VecDeque<oneshot::Sender<Place>>>,
    /// The namespaces in which somebody waits, whose turn is next first.
    turns: VecDeque<Arc<str>>,
}

impl Places {
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue {
            free: count.max(1),
            ..Queue::default()
        })))
    }

    /// Waits for a place, in the turn of this namespace. Who stops waiting loses nothing but that turn.
    pub(crate) async fn take(&self, namespace: &Arc<str>) -> Place {
        loop {
            let turn = {
                let mut queue = self.queue();
                // Where one is free nobody waits: a place that is given back goes to who does.
                if let Some(left) = queue.free.checked_sub(1) {
                    queue.free = left;
                    return Place(self.clone());
                }
                queue.wait(namespace)
            };
            if let Ok(place) = turn.await {
                return place;
            }
        }
    }

    fn give_back(&self) {
        let next = {
            let mut queue = self.queue();
            let next = queue.next();
            queue.free += usize::from(next.is_none());
            next
        };
        if let Some(next) = next {
            // Who has stopped waiting just now gives it back again, when it is dropped.
            let _ = next.send(Place(self.clone()));
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Queue {
    fn wait(&mut self, namespace: &Arc<str>) -> oneshot::Receiver<Place> {
        let (sender, turn) = oneshot::channel();
        let line = self.waiting.entry(Arc::clone(namespace)).or_default();
        if line.is_empty() {
            self.turns.push_back(Arc::clone(namespace));
        }
        line.push_back(sender);
        turn
    }

    /// Whose turn it is, of those who still wait.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        while let Some(namespace) = self.turns.pop_front() {
            let line = self.waiting.get_mut(&namespace);
            let next = line.and_then(|line| {
                let next = std::iter::from_fn(|| line.pop_front()).find(|turn| !turn.is_closed());
                next.map(|next| (next, line.is_empty()))
            });
            let Some((next, last)) = next else {
                self.waiting.remove(&namespace);
                continue;
            };
            if last {
                self.waiting.remove(&namespace);
            } else {
                self.turns.push_back(namespace);
            }
            return Some(next);
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
    }
}
