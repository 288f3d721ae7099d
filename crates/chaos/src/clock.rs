//! The clock that all processes of a run share: monotonic, so that the jumps of the other one do not touch the history.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Microseconds since some moment before the run; the same in every process of the machine.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    micros(time)
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
