//! A database that is away for a while is waited for, and mentioned once.

use std::error::Error;
use std::time::{Duration, Instant};

use super::pace::Pace;
use super::task_error::chain;

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
    /// `what` is a sentence such as "tasks cannot be retained".
    pub(crate) fn new(what: &'static str) -> Self {
        let pace = Pace::new(Duration::from_millis(100), Duration::from_secs(5));
        Self { what, since: None, mentioned: None, pace }
    }

    /// Takes note of a failure, and says how long to wait.
    pub(crate) fn failed(&mut self, error: &(dyn Error + 'static)) -> Duration {
        let reason = chain(error);
        // The reason may change for good, as when the password does; but it also does while a server starts.
        let known = self
            .mentioned
            .as_ref()
            .is_some_and(|(when, mentioned)| *mentioned == reason || when.elapsed() < BETWEEN_MENTIONS);
        if !known {
            tracing::warn!("{}: {reason}; trying again until it works", self.what);
            self.mentioned = Some((Instant::now(), reason));
        }
        self.since.get_or_insert_with(Instant::now);
        self.pace.pause()
    }

    /// Takes note of a success.
    pub(crate) fn over(&mut self) {
        if let Some(since) = self.since.take() {
            tracing::warn!("the database answers again, after {:.1} s", since.elapsed().as_secs_f64());
            self.mentioned = None;
            self.pace.reset();
        }
    }
}
