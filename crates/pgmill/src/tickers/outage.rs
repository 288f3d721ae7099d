//! What a loop does while the database fails.

use std::error::Error as StdError;
use std::time::Duration;

use pgmill_store::StoreError;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses that grow, each up to half longer by chance so that processes do not come back all at once; and one message for
/// an outage.
#[derive(Debug)]
pub(crate) struct Outage {
    /// What fails, for the messages.
    what: &'static str,
    failures: u32,
}

impl Outage {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, failures: 0 }
    }

    /// It works.
    pub(crate) fn end(&mut self) {
        if self.failures > 0 {
            tracing::info!("{} works again", self.what);
        }
        self.failures = 0;
    }

    /// It failed: how long to wait before the next try.
    pub(crate) fn pause(&mut self, error: &StoreError) -> Duration {
        let error: &dyn StdError = error;
        if self.failures == 0 {
            tracing::warn!(error, "{} fails: {error}", self.what);
        } else {
            tracing::debug!(error, "{} fails", self.what);
        }
        let pause = SHORTEST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        pause + pause.mul_f64(chance() / 2.0)
    }
}

/// From 0 to 1. Without a source of chance, processes come back at once.
fn chance() -> f64 {
    getrandom::u32().map_or(0.0, |number| f64::from(number) / f64::from(u32::MAX))
}
