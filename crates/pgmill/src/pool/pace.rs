//! How long to wait before the next try.

use std::time::Duration;

/// A pause that doubles from one bound to the other. Each is varied by a quarter, so that workers that were stopped by
/// the same thing do not come back at the same moment.
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
        pause.mul_f64(0.75 + 0.5 * random())
    }
}

/// From 0 to 1. Without a source of randomness, which is no reason to stop, always in the middle.
fn random() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}
