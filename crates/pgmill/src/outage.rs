//! A database that is away for a while is waited for, and mentioned once.

use std::error::Error;
use std::time::{Duration, Instant};

use crate::pace::Pace;
use crate::pool::chain;

/// How soon another reason for the same failure is mentioned.
const BETWEEN_MENTIONS: Duration = Duration::from_secs(30);

/// What is known about one kind of call that keeps failing.
#[derive(Debug)]
pub(crate) struct Outage {
    what: &'static str,
    since: Option<Instant>,
    mentioned: Option<(Instant, String)>,
    pace: Pace,
}

impl Outage {
    /// `what` fails, as a sentence: "tasks cannot be retained".
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, since: None, mentioned: None, pace: Pace::of_tries() }
    }

    /// Takes note of a failure, and says how long to wait.
    pub(crate) fn failed(&mut self, error: &(dyn Error + 'static)) -> Duration {
        let reason = chain(error);
        // The reason may change for good, as when the password does; but it also does while a server starts.
        let known = self
            .mentioned
            .as_ref()
            .is_some_and(|(when, mentioned)| *mentioned == reason || when.elapsed() < BETWEEN_MENTIONS);
        if known {
            tracing::debug!(error, "{}: {reason}", self.what);
        } else {
            tracing::warn!(error, "{}: {reason}; trying again until it works", self.what);
            self.mentioned = Some((Instant::now(), reason));
        }
        self.since.get_or_insert_with(Instant::now);
        self.pace.pause()
    }

    /// Takes note of a success.
    pub(crate) fn over(&mut self) {
        if let Some(since) = self.since.take() {
            tracing::warn!(
                "it works again, after {:.1} s: until now {}",
                since.elapsed().as_secs_f64(),
                self.what
            );
            self.mentioned = None;
            self.pace.reset();
        }
    }
}
