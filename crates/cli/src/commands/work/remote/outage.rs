//! Something that fails again and again is said once, and tried less and less often.

use std::fmt::Display;
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Outage {
    what: &'static str,
    /// The pause after the last failure, if the last try failed.
    pause: Option<Duration>,
}

impl Outage {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, pause: None }
    }

    /// It failed; returns how long to wait.
    pub(super) fn failed(&mut self, error: &impl Display) -> Duration {
        let pause = match self.pause {
            None => {
                tracing::warn!("{}, trying again until it works: {error}", self.what);
                FIRST
            }
            Some(pause) => {
                tracing::debug!("{}: {error}", self.what);
                (pause * 2).min(LONGEST)
            }
        };
        self.pause = Some(pause);
        pause
    }

    /// It worked.
    pub(super) fn over(&mut self) {
        if self.pause.take().is_some() {
            tracing::warn!("it works again: until now {}", self.what);
        }
    }
}
