//! Whether the controller has its hands full. What can wait, such as a courtesy or a record that only saves work, waits
//! until it has not: the API server's time belongs to what people wait for.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How many Syncs are at work. Cheap to clone.
#[derive(Clone)]
pub struct Calm(Arc<watch::Sender<usize>>);

/// Somebody is at work until this is dropped.
pub struct AtWork(Calm);

impl Default for Calm {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Calm {
    /// Somebody begins to work.
    #[must_use]
    pub fn begin(&self) -> AtWork {
        self.0.send_modify(|at_work| *at_work += 1);
        AtWork(self.clone())
    }

    /// Whether nobody is at work.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        *self.0.borrow() == 0
    }

    /// Whether nobody but the asking one is at work.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        *self.0.borrow() <= 1
    }

    /// Waits until nobody is at work, at most so long.
    pub async fn wait(&self, at_most: Duration) {
        let mut at_work = self.0.subscribe();
        let _ = tokio::time::timeout(at_most, at_work.wait_for(|at_work| *at_work == 0)).await;
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.0.send_modify(|at_work| *at_work -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_calm_when_the_last_has_ended_or_patience_has() {
        let calm = Calm::default();
        assert!(calm.is_calm());
        let (one, two) = (calm.begin(), calm.begin());
        assert!(!calm.is_alone());
        drop(one);
        assert!(calm.is_alone());
        let began = tokio::time::Instant::now();
        calm.wait(Duration::from_secs(3)).await;
        assert_eq!((calm.is_calm(), began.elapsed()), (false, Duration::from_secs(3)));
        drop(two);
        calm.wait(Duration::from_secs(3)).await;
        assert_eq!((calm.is_calm(), began.elapsed()), (true, Duration::from_secs(3)));
    }
}
