//! The clock that all processes of a run share: monotonic, so that the jumps of the other one do not touch the history.

use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

/// Microseconds since some moment before the run; the same in every process of the machine.
pub(crate) fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    micros(time)
}

/// Microseconds of the clock that tells the time, which the database of the same host goes by too.
pub(crate) fn wall() -> i64 {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(wall.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
