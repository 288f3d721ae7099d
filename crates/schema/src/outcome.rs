use std::time::Duration;

use serde::Serialize;

use crate::{Json, JsonError, days, format_duration};

const MAX_PAUSE: Duration = days(100 * 365);

/// How a worker ends its attempt.
///
/// ```
/// use pgmill_schema::{Outcome, minutes};
///
/// let done = Outcome::done(&"sent")?;
/// let again = Outcome::retry_in(minutes(5), &"mailbox full")?;
/// # Ok::<(), pgmill_schema::JsonError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The task is done, with this result.
    Done(Json),
    /// The attempt failed, and is repeated if attempts are left.
    Retry {
        /// What went wrong.
        result: Json,
        /// The pause before the next attempt, at most 100 years; `None` for what the queue's backoff says.
        after: Option<Duration>,
    },
    /// The task failed for good, whatever attempts are left.
    Failed(Json),
    /// The worker does not want the task: it is offered again at once, and costs no attempt.
    GiveBack,
    /// The task comes back after this pause, at most 100 years, and costs no attempt.
    Snooze(Duration),
    /// The task is called off, for this reason.
    Cancelled(Json),
}

/// An outcome that cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutcomeError {
    /// The result is too long.
    #[error("result has {bytes} bytes, at most {limit} are allowed")]
    ResultTooLarge {
        /// The length of its text.
        bytes: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// The task would come back too late.
    #[error("a task can be put off by at most 876000h (100 years), not {}", format_duration(*.value))]
    PauseTooLong {
        /// The pause as given.
        value: Duration,
    },
}

impl Outcome {
    /// Done, with this value as the result.
    ///
    /// # Errors
    ///
    /// Those of [`Json::encode`].
    pub fn done<T: Serialize + ?Sized>(result: &T) -> Result<Outcome, JsonError> {
        Json::encode(result).map(Outcome::Done)
    }

    /// Done, with nothing to report: the result is `null`.
    #[must_use]
    pub fn done_empty() -> Outcome {
        Outcome::Done(Json::null())
    }

    /// Failed; to be repeated after the pause that the queue's backoff says.
    ///
    /// # Errors
    ///
    /// Those of [`Json::encode`].
    pub fn retry<T: Serialize + ?Sized>(result: &T) -> Result<Outcome, JsonError> {
        Ok(Outcome::Retry { result: Json::encode(result)?, after: None })
    }

    /// Failed; to be repeated after this pause.
    ///
    /// # Errors
    ///
    /// Those of [`Json::encode`].
    pub fn retry_in<T: Serialize + ?Sized>(pause: Duration, result: &T) -> Result<Outcome, JsonError> {
        Ok(Outcome::Retry { result: Json::encode(result)?, after: Some(pause) })
    }

    /// Failed for good.
    ///
    /// # Errors
    ///
    /// Those of [`Json::encode`].
    pub fn failed<T: Serialize + ?Sized>(result: &T) -> Result<Outcome, JsonError> {
        Json::encode(result).map(Outcome::Failed)
    }

    /// Called off, for this reason.
    ///
    /// # Errors
    ///
    /// Those of [`Json::encode`].
    pub fn cancelled<T: Serialize + ?Sized>(result: &T) -> Result<Outcome, JsonError> {
        Json::encode(result).map(Outcome::Cancelled)
    }

    /// What is reported, if the outcome reports something.
    #[must_use]
    pub const fn result(&self) -> Option<&Json> {
        match self {
            Outcome::Done(result)
            | Outcome::Retry { result, .. }
            | Outcome::Failed(result)
            | Outcome::Cancelled(result) => Some(result),
            Outcome::GiveBack | Outcome::Snooze(_) => None,
        }
    }

    /// Checks that the outcome can be stored. `max_bytes` is the limit for the result.
    ///
    /// # Errors
    ///
    /// [`OutcomeError`] if the result or a pause is too long.
    pub fn validate(&self, max_bytes: usize) -> Result<(), OutcomeError> {
        if let Some(bytes) = self.result().map(Json::len)
            && bytes > max_bytes
        {
            return Err(OutcomeError::ResultTooLarge { bytes, limit: max_bytes });
        }
        match self {
            Outcome::Snooze(value) | Outcome::Retry { after: Some(value), .. } if *value > MAX_PAUSE => {
                Err(OutcomeError::PauseTooLong { value: *value })
            }
            _ => Ok(()),
        }
    }
}
