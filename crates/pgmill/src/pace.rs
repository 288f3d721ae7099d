//! How long to wait before the next try.

use std::time::Duration;

use crate::jitter::jittered;

/// A pause that doubles from one bound to the other. Each is varied, so that workers that were stopped by the same thing do
/// not come back at the same moment.
#[derive(Debug)]
pub(crate) struct Pace {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Pace {
    /// That of what is tried until the database is back: it grows to as much as workers wait who look for tasks without being told
    /// of them, so a database that comes back is not asked more often than one that is there.
    pub(crate) fn of_tries() -> Self {
        let least = Duration::from_millis(100);
        Self { least, most: Duration::from_secs(1), next: least }
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.least;
    }

    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        jittered(pause)
    }
}
