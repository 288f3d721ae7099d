use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::wire::{given_json, time};
use crate::{Json, JsonError, Key, NameError, days, duration_nanos, format_duration};

/// The [`priority`](TaskMeta::priority) of a task created without one.
pub const DEFAULT_PRIORITY: u8 = 5;
/// The last [`priority`](TaskMeta::priority); the first is 0.
pub const MAX_PRIORITY: u8 = 9;

const MAX_DELAY: Duration = days(100 * 365);
/// The start of the year 2501 in seconds.
const DELAYED_BEFORE: i64 = 16_756_761_600;

/// A task to create.
///
/// ```
/// use pgmill_schema::{TaskMeta, minutes};
///
/// let meta = TaskMeta::json(&["a", "b"])?.delay(minutes(5)).priority(0).key("order-17");
/// meta.validate(1 << 20)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct TaskMeta {
    /// What the worker receives. It must be set; JSON `null` is a payload as any other.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given_json")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Any, required = false))]
    pub payload: Option<Json>,
    /// Not to run before this time, which must be before the year 2501. Excludes [`delay`](Self::delay).
    #[serde(skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub delayed_at: Option<Timestamp>,
    /// Not to run before this much time has passed on the clock of the database: at most 100 years. Excludes
    /// [`delayed_at`](Self::delayed_at).
    #[serde(skip_serializing_if = "Option::is_none", with = "duration_nanos::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::DelayGiven>))]
    pub delay: Option<Duration>,
    /// 0, which goes first, to 9. Default 5.
    #[serde(deserialize_with = "priority")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u8>, maximum = 9))]
    pub priority: u8,
    /// The idempotency key as given: creating a task under a key that is in use creates none. It is checked by
    /// [`validate`](Self::validate) to be a [`Key`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::KeyGiven>))]
    pub key: Option<String>,
    /// The W3C trace context of whoever creates the task, which its attempts are linked to: a `traceparent` of version 00.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::TraceParent>))]
    pub traceparent: Option<String>,
}

/// A task that cannot be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskMetaError {
    /// No payload was given.
    #[error("missing payload")]
    MissingPayload,
    /// The payload is too long.
    #[error("payload has {bytes} bytes, at most {limit} are allowed")]
    PayloadTooLarge {
        /// The length of its text.
        bytes: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// The priority is out of its range.
    #[error("priority must be from 0 (first) to {MAX_PRIORITY} (last), not {value}")]
    Priority {
        /// The priority as given.
        value: u8,
    },
    /// The idempotency key cannot be used.
    #[error(transparent)]
    Key(#[from] NameError),
    /// The trace context is not one.
    #[error(
        "traceparent must be one of W3C trace context, version 00, such as \
         00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01, not {value:?}"
    )]
    Traceparent {
        /// The trace context as given, or its beginning.
        value: String,
    },
    /// Both ways to delay the task were used.
    #[error("delay and delayed_at exclude each other: set one of them")]
    DelayConflict,
    /// The task would be due too late.
    #[error("delay must be at most 876000h (100 years) and delayed_at before the year 2501, not {value}")]
    DelayTooLong {
        /// The delay in Go syntax, or the time, as given.
        value: String,
    },
}

impl TaskMeta {
    /// A task whose payload is this value as JSON.
    ///
    /// # Errors
    ///
    /// Those of [`Json::encode`].
    pub fn json<T: Serialize + ?Sized>(payload: &T) -> Result<TaskMeta, JsonError> {
        Json::encode(payload).map(TaskMeta::raw)
    }

    /// A task with this payload.
    #[must_use]
    pub fn raw(payload: Json) -> TaskMeta {
        TaskMeta { payload: Some(payload), ..TaskMeta::empty() }
    }

    /// A task without a payload, which cannot be created before it has one.
    #[must_use]
    pub const fn empty() -> TaskMeta {
        TaskMeta {
            payload: None,
            delayed_at: None,
            delay: None,
            priority: DEFAULT_PRIORITY,
            key: None,
            traceparent: None,
        }
    }

    /// Lets the task not run before this time. Not together with [`delay`](TaskMeta::delay()).
    #[must_use]
    pub fn delayed_at(self, time: Timestamp) -> TaskMeta {
        TaskMeta { delayed_at: Some(time), ..self }
    }

    /// Lets the task not run before this much time has passed, at most 100 years, on the clock of the database.
    /// Not together with [`delayed_at`](TaskMeta::delayed_at()).
    #[must_use]
    pub fn delay(self, delay: Duration) -> TaskMeta {
        TaskMeta { delay: Some(delay), ..self }
    }

    /// Sets the priority, from 0, which goes first, to 9.
    #[must_use]
    pub fn priority(self, priority: u8) -> TaskMeta {
        TaskMeta { priority, ..self }
    }

    /// Sets the idempotency key: 1 to 255 characters, none of them NUL.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> TaskMeta {
        TaskMeta { key: Some(key.into()), ..self }
    }

    /// Sets the trace context that the task's attempts are linked to, as the header `traceparent` has it.
    #[must_use]
    pub fn traceparent(self, traceparent: impl Into<String>) -> TaskMeta {
        TaskMeta { traceparent: Some(traceparent.into()), ..self }
    }

    /// Checks everything that can be known without the database. `max_payload` is in bytes.
    ///
    /// # Errors
    ///
    /// [`TaskMetaError`] for the first thing that is wrong, the payload first.
    pub fn validate(&self, max_payload: usize) -> Result<(), TaskMetaError> {
        let bytes = self.payload.as_ref().ok_or(TaskMetaError::MissingPayload)?.len();
        if bytes > max_payload {
            return Err(TaskMetaError::PayloadTooLarge { bytes, limit: max_payload });
        }
        if self.priority > MAX_PRIORITY {
            return Err(TaskMetaError::Priority { value: self.priority });
        }
        if let Some(key) = &self.key {
            Key::new(key)?;
        }
        if let Some(traceparent) = self.traceparent.as_ref().filter(|text| !is_traceparent(text)) {
            return Err(TaskMetaError::Traceparent { value: traceparent.chars().take(80).collect() });
        }
        match (self.delay, self.delayed_at) {
            (Some(_), Some(_)) => Err(TaskMetaError::DelayConflict),
            (Some(delay), None) if delay > MAX_DELAY => {
                Err(TaskMetaError::DelayTooLong { value: format_duration(delay) })
            }
            (None, Some(time)) if time.as_second() >= DELAYED_BEFORE => {
                Err(TaskMetaError::DelayTooLong { value: time.to_string() })
            }
            _ => Ok(()),
        }
    }
}

/// Version 00 of <https://www.w3.org/TR/trace-context/#traceparent-header>: lower-case hexadecimal digits, and neither id zero.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts[..] else { return false };
    let hex = |part: &str, length| {
        part.len() == length
            && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let named = |id: &str| id.bytes().any(|byte| byte != b'0');
    version == "00" && hex(trace, 32) && hex(span, 16) && hex(flags, 2) && named(trace) && named(span)
}

impl Default for TaskMeta {
    fn default() -> TaskMeta {
        TaskMeta::empty()
    }
}

fn priority<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(DEFAULT_PRIORITY))
}
