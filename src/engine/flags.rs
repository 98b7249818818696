//! Pausing and cancelling background learning from another thread.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::learn::Flow;

/// How often a paused job looks for questions.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
struct Wishes {
    paused: bool,
    cancelled: bool,
    closing: bool,
}

/// What the window wishes of a job that runs; a job asks [`Flags::check`] after every step.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    shared: Arc<(Mutex<Wishes>, Condvar)>,
}

impl Flags {
    fn change(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.shared.0.lock());
        self.shared.1.notify_all();
    }

    /// Pauses or goes on.
    pub fn pause(&self, on: bool) {
        self.change(|wishes| wishes.paused = on);
    }

    /// Returns whether a pause is wished.
    pub fn paused(&self) -> bool {
        self.shared.0.lock().paused
    }

    /// Ends the job that runs.
    pub fn cancel(&self) {
        self.change(|wishes| wishes.cancelled = true);
    }

    /// Ends this and every later job.
    pub fn close(&self) {
        self.change(|wishes| wishes.closing = true);
    }

    /// Returns whether everything is to end.
    pub fn closing(&self) -> bool {
        self.shared.0.lock().closing
    }

    /// Says whether to go on with what only closing ends.
    pub fn until_closed(&self) -> Flow {
        if self.closing() { Flow::Stop } else { Flow::Continue }
    }

    /// Forgets an earlier pause or cancellation; a job calls it when it begins.
    pub fn begin(&self) {
        self.change(|wishes| {
            wishes.paused = false;
            wishes.cancelled = false;
        });
    }

    /// Waits while paused, calling `meanwhile` now and then, and says whether to go on.
    pub fn check(&self, meanwhile: &dyn Fn()) -> Flow {
        let mut wishes = self.shared.0.lock();
        while wishes.paused && !wishes.cancelled && !wishes.closing {
            MutexGuard::unlocked(&mut wishes, meanwhile);
            // A wish that came meanwhile is seen after this wait.
            self.shared.1.wait_for(&mut wishes, LOOK);
        }
        if wishes.cancelled || wishes.closing { Flow::Stop } else { Flow::Continue }
    }
}
