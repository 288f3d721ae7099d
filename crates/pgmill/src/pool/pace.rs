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
    pub(crate) fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, next: least }
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
