//! The wish to stop, told to every room.

use tokio::sync::watch;

/// The listening end: cheap to clone, and it stays told.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// The telling end. Dropping it counts as telling.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Makes a connected pair.
#[must_use]
pub fn channel() -> (Trigger, Shutdown) {
    let (tx, rx) = watch::channel(false);
    (Trigger(tx), Shutdown(rx))
}

impl Trigger {
    /// Tells every room to stop.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns once the controller should stop; at once if it should already.
    pub async fn requested(&self) {
        let mut rx = self.0.clone();
        // An error means that the trigger is gone, and with it the reason to go on.
        let _ = rx.wait_for(|stop| *stop).await;
    }

    /// Whether the controller should stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn every_listener_hears_it() {
        let (trigger, shutdown) = super::channel();
        let other = shutdown.clone();
        assert!(!shutdown.is_requested());
        trigger.fire();
        shutdown.requested().await;
        other.requested().await;
        assert!(other.is_requested());
    }

    #[tokio::test]
    async fn a_lost_trigger_stops_too() {
        let (trigger, shutdown) = super::channel();
        drop(trigger);
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }
}
