//! What came of running a handler.

use std::fmt;
use std::time::Duration;

use pgmill::{Outcome, Status, Task};
use serde::de::DeserializeOwned;

/// What a handler came to, as a pool would release it: an error, a panic and a payload that is not what the handler takes
/// have become what they mean for the task.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use pgmill::{Context, TaskError, minutes};
/// use pgmill_testkit::run_handler;
///
/// async fn halve(_: Context, number: u32) -> Result<u32, TaskError> {
///     if number % 2 == 1 {
///         return Err(TaskError::retry("odd").after(minutes(5)));
///     }
///     Ok(number / 2)
/// }
///
/// assert_eq!(run_handler(halve, 8).await.done::<u32>(), 4);
/// let outcome = run_handler(halve, 9).await;
/// assert_eq!(outcome.message().as_deref(), Some("odd"));
/// assert_eq!(outcome.pause(), Some(minutes(5)));
/// assert!(run_handler(halve, "nine").await.is_retry());
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandlerOutcome {
    outcome: Outcome,
}

impl HandlerOutcome {
    pub(crate) fn new(outcome: Outcome) -> Self {
        Self { outcome }
    }

    /// The outcome itself.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The result of a handler that did its work.
    ///
    /// # Panics
    /// If the handler came to something else, with that; or if its result is not an `R`.
    #[track_caller]
    pub fn done<R: DeserializeOwned>(&self) -> R {
        let Outcome::Done(result) = &self.outcome else { panic!("the task is not done, but {self}") };
        result
            .decode()
            .unwrap_or_else(|error| panic!("the result {} is not what is expected: {error}", result.as_str()))
    }

    /// Whether the handler did its work.
    pub fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done(_))
    }

    /// Whether the task is to be tried again, at the cost of an attempt.
    pub fn is_retry(&self) -> bool {
        matches!(self.outcome, Outcome::Retry { .. })
    }

    /// Whether the task failed for good.
    pub fn is_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }

    /// Whether the task is called off.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.outcome, Outcome::Cancelled(_))
    }

    /// Why the handler did not do its work, where it says so; a snooze keeps its reason to itself.
    pub fn message(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Retry { result, .. } | Outcome::Failed(result) | Outcome::Cancelled(result) => {
                Some(result.decode().unwrap_or_else(|_| result.as_str().to_owned()))
            }
            Outcome::Done(_) | Outcome::GiveBack | Outcome::Snooze(_) => None,
        }
    }

    /// The pause that the handler asked for: of a snooze, or of another try. `None` where the queue's backoff decides.
    pub fn pause(&self) -> Option<Duration> {
        match &self.outcome {
            Outcome::Snooze(pause) => Some(*pause),
            Outcome::Retry { after, .. } => *after,
            Outcome::Done(_) | Outcome::Failed(_) | Outcome::Cancelled(_) | Outcome::GiveBack => None,
        }
    }
}

impl fmt::Display for HandlerOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = self.outcome.result().map_or("null", |result| result.as_str());
        match &self.outcome {
            Outcome::Done(_) => write!(f, "done: {result}"),
            Outcome::Retry { after: None, .. } => write!(f, "to be tried again: {result}"),
            Outcome::Retry { after: Some(pause), .. } => {
                write!(f, "to be tried again after {pause:?}: {result}")
            }
            Outcome::Failed(_) => write!(f, "failed for good: {result}"),
            Outcome::Cancelled(_) => write!(f, "cancelled: {result}"),
            Outcome::Snooze(pause) => write!(f, "put off by {pause:?}"),
            Outcome::GiveBack => write!(f, "given back"),
        }
    }
}

/// An attempt of a task of a queue, run inline.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Performed {
    /// The task as the handler got it.
    pub task: Task,
    /// What the handler came to.
    pub outcome: HandlerOutcome,
    /// What the task is now: `released`, `retry`, `failed`, `expired`, `cancelled`, or `new` if the attempt cost nothing.
    pub status: Status,
}
