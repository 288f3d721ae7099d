use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::wire::null_as_default;
use crate::{
    Backoff, NameError, QueueName, Ttl, days, duration_nanos, format_duration, hours, minutes, seconds,
};

/// The [`ttl`](QueueMeta::ttl) of a queue registered without one: 1 hour.
pub const DEFAULT_TTL: Duration = hours(1);
/// The [`retries`](QueueMeta::retries) of a queue registered without them: 3 attempts in all.
pub const DEFAULT_RETRIES: u32 = 3;
/// The [`retry_delay`](QueueMeta::retry_delay) of a queue registered without one: 2 minutes.
pub const DEFAULT_RETRY_DELAY: Duration = minutes(2);
/// The [`max_retry_delay`](QueueMeta::max_retry_delay) of a queue registered without one: 1 day.
pub const DEFAULT_MAX_RETRY_DELAY: Duration = days(1);
/// The [`retention`](QueueMeta::retention) of a queue registered without one: 1 day.
pub const DEFAULT_RETENTION: Duration = days(1);
/// The [`retention_failed`](QueueMeta::retention_failed) of a queue registered without one: 7 days.
pub const DEFAULT_RETENTION_FAILED: Duration = days(7);
/// The [`lease`](QueueMeta::lease) of a queue registered without one: 15 minutes.
pub const DEFAULT_LEASE: Duration = minutes(15);

const YEAR: Duration = days(365);

/// The settings of a queue, to register or to update it. What is not set stays as it is, or at its default.
///
/// In JSON, durations are an integer number of nanoseconds or a text such as `"1h30m"`; `null` and an absent key
/// mean not set, and unknown keys are ignored.
///
/// ```
/// use pgmill_schema::{QueueMeta, hours, minutes};
///
/// let meta = QueueMeta::new("emails").ttl(hours(24)).retries(5).retry_delay(minutes(1));
/// meta.validate()?;
/// # Ok::<(), pgmill_schema::QueueMetaError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct QueueMeta {
    /// The name of the queue as given; empty if not given. In an update, the name to change to.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::NameOrNothing>))]
    pub queue: String,
    /// How long a task has to be done: 1 µs to 100 years, or never expires. Default 1 hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::TtlGiven>))]
    pub ttl: Option<Ttl>,
    /// The number of attempts in all: 1 to 2147483647. Default 3.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 2147483647))]
    pub retries: Option<u64>,
    /// The pause after the first failed attempt, from which [`backoff`](Self::backoff) computes the others: 0 to 1
    /// year. Default 2 minutes.
    #[serde(with = "duration_nanos::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::RetryDelayGiven>))]
    pub retry_delay: Option<Duration>,
    /// How the pause grows. Default exponential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// The longest pause between two attempts: 1 µs to 100 years. Default 1 day.
    #[serde(skip_serializing_if = "Option::is_none", with = "duration_nanos::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::MaxRetryDelayGiven>))]
    pub max_retry_delay: Option<Duration>,
    /// How long at least a task that is done stays visible: 0 to 10 years. With 0 none is kept. Default 1 day.
    #[serde(skip_serializing_if = "Option::is_none", with = "duration_nanos::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::RetentionGiven>))]
    pub retention: Option<Duration>,
    /// How long at least a task that failed, expired or was cancelled stays visible: 0 to 10 years. Default 7 days.
    #[serde(skip_serializing_if = "Option::is_none", with = "duration_nanos::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::RetentionGiven>))]
    pub retention_failed: Option<Duration>,
    /// How long a worker that sends no heartbeat holds a task: 1 second to 30 days. Default 15 minutes.
    #[serde(skip_serializing_if = "Option::is_none", with = "duration_nanos::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::LeaseGiven>))]
    pub lease: Option<Duration>,
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueueMetaError {
    /// A setting is out of its range.
    #[error("{field} {allowed}, not {value}")]
    OutOfRange {
        /// The setting, by its JSON key.
        field: &'static str,
        /// The value as given; durations in Go syntax.
        value: String,
        /// What is allowed, as a phrase that follows the name of the setting.
        allowed: &'static str,
    },
    /// The name of the queue cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl QueueMeta {
    /// Settings for the queue of this name. The name is checked by [`validate`](Self::validate).
    #[must_use]
    pub fn new(name: impl Into<String>) -> QueueMeta {
        QueueMeta { queue: name.into(), ..QueueMeta::default() }
    }

    /// Settings without a name: changes to a queue that is named elsewhere.
    #[must_use]
    pub fn patch() -> QueueMeta {
        QueueMeta::default()
    }

    /// Gives the queue another name.
    #[must_use]
    pub fn rename(self, name: impl Into<String>) -> QueueMeta {
        QueueMeta { queue: name.into(), ..self }
    }

    /// Sets how long a task has to be done: 1 µs to 100 years.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> QueueMeta {
        QueueMeta { ttl: Some(Ttl::After(ttl)), ..self }
    }

    /// Lets tasks live until they are done.
    #[must_use]
    pub fn no_ttl(self) -> QueueMeta {
        QueueMeta { ttl: Some(Ttl::Never), ..self }
    }

    /// Sets the number of attempts in all: 1 to 2147483647.
    #[must_use]
    pub fn retries(self, retries: u64) -> QueueMeta {
        QueueMeta { retries: Some(retries), ..self }
    }

    /// Sets the pause after the first failed attempt: 0 to 1 year.
    #[must_use]
    pub fn retry_delay(self, delay: Duration) -> QueueMeta {
        QueueMeta { retry_delay: Some(delay), ..self }
    }

    /// Sets how the pause between attempts grows.
    #[must_use]
    pub fn backoff(self, backoff: Backoff) -> QueueMeta {
        QueueMeta { backoff: Some(backoff), ..self }
    }

    /// Sets the longest pause between two attempts: 1 µs to 100 years.
    #[must_use]
    pub fn max_retry_delay(self, delay: Duration) -> QueueMeta {
        QueueMeta { max_retry_delay: Some(delay), ..self }
    }

    /// Sets how long at least a task that is done stays visible: 0 to 10 years.
    #[must_use]
    pub fn retention(self, retention: Duration) -> QueueMeta {
        QueueMeta { retention: Some(retention), ..self }
    }

    /// Sets how long at least a task that failed, expired or was cancelled stays visible: 0 to 10 years.
    #[must_use]
    pub fn retention_failed(self, retention: Duration) -> QueueMeta {
        QueueMeta { retention_failed: Some(retention), ..self }
    }

    /// Sets how long a worker that sends no heartbeat holds a task: 1 second to 30 days.
    #[must_use]
    pub fn lease(self, lease: Duration) -> QueueMeta {
        QueueMeta { lease: Some(lease), ..self }
    }

    /// Whether nothing is set, apart from a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let named = QueueMeta::new(self.queue.as_str());
        *self == named
    }

    /// Whether nothing is set at all, so that an update would change nothing.
    #[must_use]
    pub fn is_empty_patch(&self) -> bool {
        self.queue.is_empty() && self.is_empty()
    }

    /// Checks what is set. An empty name counts as not set: where one is needed, [`QueueName::new`] asks for it.
    ///
    /// # Errors
    ///
    /// [`QueueMetaError::Name`] if the name is none, [`QueueMetaError::OutOfRange`] for the first setting that is
    /// out of its range.
    pub fn validate(&self) -> Result<(), QueueMetaError> {
        if !self.queue.is_empty() {
            QueueName::new(&self.queue)?;
        }
        if let Some(retries) = self.retries
            && !(1..=i32::MAX as u64).contains(&retries)
        {
            return Err(QueueMetaError::OutOfRange {
                field: "retries",
                value: retries.to_string(),
                allowed: "is the number of attempts in all and must be at least 1 and at most 2147483647",
            });
        }
        let micro = Duration::from_micros(1);
        let ttl = self.ttl.and_then(Ttl::duration);
        let century = "must be from 1µs to 876000h (100 years)";
        let decade = "must be from 0s to 87600h (10 years)";
        in_range("ttl", ttl, micro, 100 * YEAR, century)?;
        in_range("retry_delay", self.retry_delay, Duration::ZERO, YEAR, "must be from 0s to 8760h (1 year)")?;
        in_range("max_retry_delay", self.max_retry_delay, micro, 100 * YEAR, century)?;
        in_range("retention", self.retention, Duration::ZERO, 10 * YEAR, decade)?;
        in_range("retention_failed", self.retention_failed, Duration::ZERO, 10 * YEAR, decade)?;
        in_range("lease", self.lease, seconds(1), days(30), "must be from 1s to 720h (30 days)")
    }
}

/// Checks a duration as it is given; it is stored in whole microseconds.
fn in_range(
    field: &'static str,
    value: Option<Duration>,
    least: Duration,
    most: Duration,
    allowed: &'static str,
) -> Result<(), QueueMetaError> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(QueueMetaError::OutOfRange { field, value: format_duration(value), allowed })
        }
        _ => Ok(()),
    }
}
