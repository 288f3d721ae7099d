//! How a handler says that its attempt did not succeed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use pgmill_schema::{Json, Outcome};

/// The longest message that is stored, in bytes.
const LONGEST_MESSAGE: usize = 16 << 10;

type Source = Box<dyn Error + Send + Sync>;

/// Why an attempt did not succeed, and what is to become of the task.
///
/// Any error turns into one that has the task tried again as the queue's backoff says, so that `?` is enough for what may
/// work next time. So do text and what `anyhow` and its like make. For anything else there are the functions here, and
/// those of [`TaskResultExt`] for a `Result`. The message of the error and of all its causes is stored with the task as a
/// JSON string, at most 16 KiB of it.
///
/// Like `anyhow::Error` it is no [`Error`] itself, for otherwise not every error could turn into it.
///
/// ```
/// use pgmill::{TaskError, TaskResultExt, minutes};
///
/// fn parse(text: &str) -> Result<u32, TaskError> {
///     // Never going to work: the task fails for good.
///     let number = text.parse::<u32>().discard()?;
///     if number > 100 {
///         return Err(TaskError::retry("too many just now").after(minutes(5)));
///     }
///     // Tried again as the queue says.
///     std::fs::metadata("/").map_err(|error| error.kind().to_string())?;
///     Ok(number)
/// }
/// ```
#[derive(Debug)]
pub struct TaskError {
    fate: Fate,
    source: Source,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Retry { after: Option<Duration> },
    Discard,
    Snooze(Duration),
    Cancel,
}

impl TaskError {
    /// The attempt failed. The task is tried again as its queue's backoff says, if attempts are left.
    pub fn retry(error: impl Into<Source>) -> Self {
        Self { fate: Fate::Retry { after: None }, source: error.into() }
    }

    /// Of an attempt that is to be repeated: after this pause, at most 100 years, instead of the queue's backoff.
    #[must_use]
    pub fn after(self, pause: Duration) -> Self {
        let fate = match self.fate {
            Fate::Retry { .. } => Fate::Retry { after: Some(pause) },
            fate => fate,
        };
        Self { fate, ..self }
    }

    /// The task failed for good, whatever attempts are left.
    pub fn discard(error: impl Into<Source>) -> Self {
        Self { fate: Fate::Discard, source: error.into() }
    }

    /// The task comes back after this pause, at most 100 years. That costs no attempt, and the reason is only logged.
    pub fn snooze(pause: Duration, reason: impl Into<Source>) -> Self {
        Self { fate: Fate::Snooze(pause), source: reason.into() }
    }

    /// The task is called off, for this reason.
    pub fn cancel(reason: impl Into<Source>) -> Self {
        Self { fate: Fate::Cancel, source: reason.into() }
    }

    /// The error itself.
    pub fn source(&self) -> &(dyn Error + Send + Sync + 'static) {
        self.source.as_ref()
    }

    /// Whether the handler only wants another attempt, and said nothing about when.
    pub(super) fn is_plain_retry(&self) -> bool {
        self.fate == Fate::Retry { after: None }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self.fate {
            Fate::Snooze(pause) => {
                tracing::debug!("a task is put off: {self}");
                Outcome::Snooze(pause)
            }
            Fate::Retry { after } => Outcome::Retry { result: message_json(&self.to_string()), after },
            Fate::Discard => Outcome::Failed(message_json(&self.to_string())),
            Fate::Cancel => Outcome::Cancelled(message_json(&self.to_string())),
        }
    }
}

impl fmt::Display for TaskError {
    /// The message of the error and of its causes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(self.source.as_ref()))
    }
}

impl<E: Into<Source>> From<E> for TaskError {
    fn from(error: E) -> Self {
        Self::retry(error)
    }
}

/// For the results of what a handler calls: says what becomes of the task when it fails, other than that it is tried again.
///
/// ```
/// use pgmill::{TaskError, TaskResultExt, minutes};
///
/// fn fetch(answer: Result<String, std::io::Error>) -> Result<String, TaskError> {
///     Ok(answer.retry_in(minutes(10))?)
/// }
/// ```
pub trait TaskResultExt<T> {
    /// The task fails for good.
    ///
    /// # Errors
    /// The error there was.
    fn discard(self) -> Result<T, TaskError>;

    /// The task is tried again after this pause, at most 100 years.
    ///
    /// # Errors
    /// The error there was.
    fn retry_in(self, pause: Duration) -> Result<T, TaskError>;

    /// The task comes back after this pause, at most 100 years, and the attempt is not counted.
    ///
    /// # Errors
    /// The error there was.
    fn snooze(self, pause: Duration) -> Result<T, TaskError>;

    /// The task is called off.
    ///
    /// # Errors
    /// The error there was.
    fn cancel(self) -> Result<T, TaskError>;
}

impl<T, E: Into<Source>> TaskResultExt<T> for Result<T, E> {
    fn discard(self) -> Result<T, TaskError> {
        self.map_err(TaskError::discard)
    }

    fn retry_in(self, pause: Duration) -> Result<T, TaskError> {
        self.map_err(|error| TaskError::retry(error).after(pause))
    }

    fn snooze(self, pause: Duration) -> Result<T, TaskError> {
        self.map_err(|error| TaskError::snooze(pause, error))
    }

    fn cancel(self) -> Result<T, TaskError> {
        self.map_err(TaskError::cancel)
    }
}

/// An error and its causes on one line. A cause that the text before it already tells is not told again.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// A message as a JSON string that PostgreSQL can store.
pub(super) fn message_json(message: &str) -> Json {
    let mut text = message.replace('\0', "\u{fffd}");
    if text.len() > LONGEST_MESSAGE {
        text.truncate(text.floor_char_boundary(LONGEST_MESSAGE));
        text.push('…');
    }
    // A string without U+0000 has a JSON form that can be stored.
    Json::encode(&text).unwrap_or_else(|_| Json::null())
}

#[cfg(test)]
mod tests {
    use pgmill_schema::seconds;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the report is not ready")]
    struct Report(#[source] std::num::ParseIntError);

    fn report() -> Report {
        Report("x".parse::<u8>().unwrap_err())
    }

    fn result_of(outcome: &Outcome) -> &str {
        outcome.result().unwrap().as_str()
    }

    #[test]
    fn any_error_becomes_a_retry_with_its_causes() {
        let failing = || -> Result<(), TaskError> { Err(report())? };
        let outcome = failing().unwrap_err().outcome();
        assert!(matches!(outcome, Outcome::Retry { after: None, .. }));
        assert_eq!(result_of(&outcome), r#""the report is not ready: invalid digit found in string""#);
    }

    #[test]
    fn text_and_boxed_errors_become_retries() {
        let boxed: Source = Box::new(report());
        for error in [TaskError::from("a"), TaskError::from(String::from("a")), TaskError::from(boxed)] {
            assert!(error.is_plain_retry());
        }
    }

    #[test]
    fn results_say_what_becomes_of_the_task() {
        let failed = || Err::<(), _>(report());
        let outcome = |result: Result<(), TaskError>| result.unwrap_err().outcome();
        assert!(matches!(outcome(failed().discard()), Outcome::Failed(_)));
        assert!(matches!(outcome(failed().cancel()), Outcome::Cancelled(_)));
        assert_eq!(outcome(failed().snooze(seconds(3))), Outcome::Snooze(seconds(3)));
        let Outcome::Retry { after, .. } = outcome(failed().retry_in(seconds(4))) else { panic!() };
        assert_eq!(after, Some(seconds(4)));
        assert!(Ok::<_, Report>(7).discard().is_ok_and(|seven| seven == 7));
    }

    #[test]
    fn a_pause_is_only_for_another_attempt() {
        assert!(matches!(TaskError::discard("no").after(seconds(1)).outcome(), Outcome::Failed(_)));
    }

    #[test]
    fn what_cannot_be_stored_is_made_storable() {
        assert_eq!(message_json("a\0b").as_str(), "\"a\u{fffd}b\"");
        let long = message_json(&"ä".repeat(LONGEST_MESSAGE));
        assert!(long.len() <= LONGEST_MESSAGE + 8 && long.as_str().ends_with("…\""));
    }
}
