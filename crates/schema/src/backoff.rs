use std::time::Duration;

use crate::word::words;

words! {
    /// How the pause before the next attempt grows with each failure.
    ///
    /// With `k` the number of the attempt that failed, from 1. [`Exponential`](Backoff::Exponential) is the
    /// default.
    pub enum Backoff ("backoff"), error BackoffError {
        /// `retry_delay × 2^(k−1)`: 1, 2, 4, 8 … times the delay.
        Exponential = 0 "exponential",
        /// `retry_delay × k²`: 1, 4, 9, 16 … times the delay. What the reference system does, although it
        /// documents an exponential backoff.
        Polynomial = 1 "polynomial",
        /// `retry_delay × k`: 1, 2, 3, 4 … times the delay.
        Linear = 2 "linear",
        /// `retry_delay`, always.
        Constant = 3 "constant",
    }
}

#[expect(clippy::derivable_impls, reason = "the enum is declared by a macro that knows no default variant")]
impl Default for Backoff {
    fn default() -> Backoff {
        Backoff::Exponential
    }
}

impl Backoff {
    /// The pause after attempt `attempt` has failed, before jitter, and never more than `cap`.
    ///
    /// Attempts count from 1; 0 is taken as 1. The result never overflows: what would be too long is `cap`.
    ///
    /// ```
    /// use pgmill_schema::{Backoff, hours, minutes};
    ///
    /// assert_eq!(Backoff::Exponential.delay(minutes(2), 4, hours(24)), minutes(16));
    /// assert_eq!(Backoff::Exponential.delay(minutes(2), 40, hours(24)), hours(24));
    /// ```
    #[must_use]
    pub fn delay(self, retry_delay: Duration, attempt: u32, cap: Duration) -> Duration {
        let attempt = attempt.max(1);
        let factor = match self {
            Backoff::Exponential => 1_u128.checked_shl(attempt - 1).unwrap_or(u128::MAX),
            Backoff::Polynomial => u128::from(attempt) * u128::from(attempt),
            Backoff::Linear => u128::from(attempt),
            Backoff::Constant => 1,
        };
        let nanos = retry_delay.as_nanos().saturating_mul(factor).min(cap.as_nanos());
        Duration::from_nanos_u128(nanos)
    }
}
