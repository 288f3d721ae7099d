//! Keeps processes that began together from doing everything together.

use std::time::Duration;

/// Between four fifths of this time and all of it.
pub(crate) fn jittered(time: Duration) -> Duration {
    // Without a source of randomness, which is no reason to stop, always the same.
    let share = getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX));
    time.mul_f64(0.8 + 0.2 * share)
}
