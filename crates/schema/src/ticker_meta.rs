use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::wire::{given_json, null_as_default};
use crate::{
    Json, MAX_PRIORITY, NameError, QueueName, TickPolicy, TickerName, days, duration_nanos, format_duration,
    minutes,
};

/// The [`interval`](TickerMeta::interval) of a ticker created without one, and without a cron expression: 1 minute.
pub const DEFAULT_INTERVAL: Duration = minutes(1);
/// The [`catch_up`](TickerMeta::catch_up) of a ticker created without one: 100 ticks.
pub const DEFAULT_CATCH_UP: u32 = 100;

const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);
const LONGEST_INTERVAL: Duration = days(100 * 365);
const MAX_CATCH_UP: u32 = 1_000;
const CRON_BYTES: usize = 255;
const ZONE_BYTES: usize = 64;

/// The settings of a ticker, to create, register or update it. What is not set stays as it is, or at its default.
///
/// In JSON, the interval is an integer number of nanoseconds or a text such as `"1h30m"`; `null` and an absent key mean
/// not set (but a payload of `null` is one), and unknown keys are ignored.
///
/// ```
/// use pgmill_schema::{TickPolicy, TickerMeta, minutes};
///
/// let heartbeat = TickerMeta::new("heartbeat").interval(minutes(5)).policy(TickPolicy::Skip);
/// heartbeat.validate(1 << 20)?;
/// let nightly = TickerMeta::new("nightly").cron("0 3 * * *").time_zone("Europe/Berlin").queue("reports");
/// nightly.validate(1 << 20)?;
/// # Ok::<(), pgmill_schema::TickerMetaError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct TickerMeta {
    /// The name of the ticker as given; empty if not given. In an update, the name to change to.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::NameOrNothing>))]
    pub ticker: String,
    /// What every tick carries. Default `{}`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "given_json")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Any, required = false))]
    pub payload: Option<Json>,
    /// The time from one tick to the next: 1 ms to 100 years. Default 1 minute. Excludes [`cron`](Self::cron).
    #[serde(skip_serializing_if = "Option::is_none", with = "duration_nanos::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::IntervalGiven>))]
    pub interval: Option<Duration>,
    /// A cron expression of 5 or 6 fields (the first of 6 are seconds). Excludes [`interval`](Self::interval).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::CronGiven>))]
    pub cron: Option<String>,
    /// The IANA time zone that the cron expression is read in. Default `UTC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::ZoneGiven>))]
    pub time_zone: Option<String>,
    /// Lets the ticker tick no more, until it is given an interval or a cron expression again. Excludes both.
    #[serde(skip_serializing_if = "is_false", deserialize_with = "null_as_default")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub disabled: bool,
    /// The queue, of the same namespace, in which each tick makes a task; empty for none. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::NameOrNothing>))]
    pub queue: Option<String>,
    /// The priority of those tasks: 0, which goes first, to 9. Default 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(maximum = 9))]
    pub priority: Option<u8>,
    /// What becomes of missed ticks. Default [`TickPolicy::Coalesce`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<TickPolicy>,
    /// How many missed ticks at most are caught up with, under [`TickPolicy::CatchUp`]: 1 to 1000. Default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000))]
    pub catch_up: Option<u32>,
}

/// A setting of a ticker that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TickerMetaError {
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
    /// Two settings were given of which only one may be.
    #[error("interval, cron and disabled exclude each other: set one of them")]
    Conflict,
    /// A time zone was given, and no cron expression that could be read in it.
    #[error("time_zone is that of a cron expression: set cron as well")]
    ZoneWithoutCron,
    /// The payload is too long.
    #[error("payload has {bytes} bytes, at most {limit} are allowed")]
    PayloadTooLarge {
        /// The length of its text.
        bytes: usize,
        /// The longest allowed.
        limit: usize,
    },
    /// The name of the ticker, or of its queue, cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl TickerMeta {
    /// Settings for the ticker of this name. The name is checked by [`validate`](Self::validate).
    #[must_use]
    pub fn new(name: impl Into<String>) -> TickerMeta {
        TickerMeta { ticker: name.into(), ..TickerMeta::default() }
    }

    /// Settings without a name: changes to a ticker that is named elsewhere.
    #[must_use]
    pub fn patch() -> TickerMeta {
        TickerMeta::default()
    }

    /// Gives the ticker another name.
    #[must_use]
    pub fn rename(self, name: impl Into<String>) -> TickerMeta {
        TickerMeta { ticker: name.into(), ..self }
    }

    /// Sets what every tick carries.
    #[must_use]
    pub fn payload(self, payload: Json) -> TickerMeta {
        TickerMeta { payload: Some(payload), ..self }
    }

    /// Sets the time from one tick to the next: 1 ms to 100 years. Not together with [`cron`](TickerMeta::cron()).
    #[must_use]
    pub fn interval(self, interval: Duration) -> TickerMeta {
        TickerMeta { interval: Some(interval), ..self }
    }

    /// Sets the cron expression. Not together with [`interval`](TickerMeta::interval()).
    #[must_use]
    pub fn cron(self, cron: impl Into<String>) -> TickerMeta {
        TickerMeta { cron: Some(cron.into()), ..self }
    }

    /// Sets the IANA time zone of the cron expression.
    #[must_use]
    pub fn time_zone(self, zone: impl Into<String>) -> TickerMeta {
        TickerMeta { time_zone: Some(zone.into()), ..self }
    }

    /// Lets the ticker tick no more.
    #[must_use]
    pub fn disabled(self) -> TickerMeta {
        TickerMeta { disabled: true, ..self }
    }

    /// Lets each tick make a task in this queue.
    #[must_use]
    pub fn queue(self, queue: impl Into<String>) -> TickerMeta {
        TickerMeta { queue: Some(queue.into()), ..self }
    }

    /// Lets ticks make no tasks any more: they are handed to consumers.
    #[must_use]
    pub fn no_queue(self) -> TickerMeta {
        TickerMeta { queue: Some(String::new()), ..self }
    }

    /// Sets the priority of the tasks that ticks make, from 0, which goes first, to 9.
    #[must_use]
    pub fn priority(self, priority: u8) -> TickerMeta {
        TickerMeta { priority: Some(priority), ..self }
    }

    /// Sets what becomes of missed ticks.
    #[must_use]
    pub fn policy(self, policy: TickPolicy) -> TickerMeta {
        TickerMeta { policy: Some(policy), ..self }
    }

    /// Catches up with missed ticks, at most so many of them: 1 to 1000.
    #[must_use]
    pub fn catch_up(self, ticks: u32) -> TickerMeta {
        TickerMeta { policy: Some(TickPolicy::CatchUp), catch_up: Some(ticks), ..self }
    }

    /// Whether nothing is set at all, so that an update would change nothing.
    #[must_use]
    pub fn is_empty_patch(&self) -> bool {
        *self == TickerMeta::default()
    }

    /// Checks everything that can be known without the database and without a calendar: whether a cron expression and a
    /// time zone are ones is told when the ticker is created. `max_payload` is in bytes. An empty name counts as not set.
    ///
    /// # Errors
    ///
    /// [`TickerMetaError`] for the first thing that is wrong.
    pub fn validate(&self, max_payload: usize) -> Result<(), TickerMetaError> {
        if !self.ticker.is_empty() {
            TickerName::new(&self.ticker)?;
        }
        if let Some(queue) = self.queue.as_ref().filter(|queue| !queue.is_empty()) {
            QueueName::new(queue)?;
        }
        if let Some(bytes) = self.payload.as_ref().map(Json::len)
            && bytes > max_payload
        {
            return Err(TickerMetaError::PayloadTooLarge { bytes, limit: max_payload });
        }
        self.validate_schedule()?;
        in_range("priority", self.priority, 0..=MAX_PRIORITY, "must be from 0 (first) to 9 (last)")?;
        in_range("catch_up", self.catch_up, 1..=MAX_CATCH_UP, "must be from 1 to 1000 ticks")
    }

    fn validate_schedule(&self) -> Result<(), TickerMetaError> {
        let given = [self.interval.is_some(), self.cron.is_some(), self.disabled];
        if given.into_iter().filter(|given| *given).count() > 1 {
            return Err(TickerMetaError::Conflict);
        }
        if self.time_zone.is_some() && (self.interval.is_some() || self.disabled) {
            return Err(TickerMetaError::ZoneWithoutCron);
        }
        if let Some(interval) = self.interval
            && !(SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval)
        {
            return Err(TickerMetaError::OutOfRange {
                field: "interval",
                value: format_duration(interval),
                allowed: "must be from 1ms to 876000h (100 years)",
            });
        }
        let text = |field, text: &Option<String>, bytes, allowed| match text {
            Some(text) if !(1..=bytes).contains(&text.trim().len()) => {
                Err(TickerMetaError::OutOfRange { field, value: format!("{text:?}"), allowed })
            }
            _ => Ok(()),
        };
        text("cron", &self.cron, CRON_BYTES, "must be an expression of 5 or 6 fields, at most 255 bytes")?;
        text(
            "time_zone",
            &self.time_zone,
            ZONE_BYTES,
            "must be the name of an IANA time zone such as Europe/Berlin",
        )
    }
}

fn in_range<T: PartialOrd + ToString>(
    field: &'static str,
    value: Option<T>,
    range: std::ops::RangeInclusive<T>,
    allowed: &'static str,
) -> Result<(), TickerMetaError> {
    match value {
        Some(value) if !range.contains(&value) => {
            Err(TickerMetaError::OutOfRange { field, value: value.to_string(), allowed })
        }
        _ => Ok(()),
    }
}

fn is_false(flag: &bool) -> bool {
    !*flag
}
