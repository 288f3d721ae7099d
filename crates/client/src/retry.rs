//! When a request is sent again, and after which pause.

use std::time::Duration;

use crate::Error;

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// A server that asks for a longer pause than this is not waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What may have happened if a request fails, and so when it may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safety {
    /// Once or twice is the same: reads, settings that are set to a value, creates under a key, heartbeats.
    Repeatable,
    /// A second time does no harm, but is answered otherwise than the first if that one got through: 404 or 409.
    Fenced,
    /// A second time may do something else. It is sent again only if the first did nothing for certain.
    Once,
    /// As `Once`, and the server's word that it did nothing is not enough either, but for having refused to look at it.
    Unsent,
}

impl Safety {
    /// Whether a request that failed like this may be sent again.
    pub(crate) fn allows(self, error: &Error) -> bool {
        if error.is_connect() || error.status() == Some(429) {
            return true;
        }
        // The time that was given is over.
        if !error.is_transient() || error.is_timeout() {
            return false;
        }
        match self {
            Safety::Repeatable | Safety::Fenced => true,
            Safety::Once => !error.is_outcome_unknown(),
            Safety::Unsent => false,
        }
    }

    /// What to tell of a call that failed for good, if an earlier try may have got through.
    pub(crate) fn verdict(self, last: Error, unknown: Option<Error>) -> Error {
        let nothing_said = last.is_transient() && !last.is_outcome_unknown();
        let own_trace = self == Safety::Fenced && (last.is_not_found() || last.is_conflict());
        match unknown {
            Some(unknown) if nothing_said || own_trace => unknown,
            _ => last,
        }
    }
}

/// The pause before the next try, or `None` if the server asks for a longer one than anybody waits for.
pub(crate) fn pause(tries: u32, asked_for: Option<Duration>) -> Option<Duration> {
    match asked_for {
        Some(asked_for) if asked_for > PATIENCE => None,
        Some(asked_for) => Some(asked_for + jittered(FIRST)),
        None => Some(jittered(doubled(FIRST, tries, LONGEST))),
    }
}

/// `first` doubled so many times, but never more than `longest`.
pub(crate) fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(longest)
}

/// Something from the half of a pause to all of it, so that clients which failed together do not come back together.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}
