use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::time;
use crate::word::words;
use crate::{DEFAULT_CATCH_UP, DEFAULT_PRIORITY, Json, Namespace, QueueName, TickerName, duration_nanos};

words! {
    /// What becomes of ticks that were due while nobody was there to take them. [`Coalesce`](TickPolicy::Coalesce)
    /// is the default.
    pub enum TickPolicy ("policy"), error TickPolicyError {
        /// They become one tick, which carries the time of the latest.
        Coalesce = 0 "coalesce",
        /// A tick that is late by more than its interval, or by more than a minute, is dropped; the next one comes at
        /// its time.
        Skip = 1 "skip",
        /// Each comes by itself, with its own time, the oldest first; of more than `catch_up`, the oldest are dropped.
        CatchUp = 2 "catch_up",
    }
}

#[expect(clippy::derivable_impls, reason = "the enum is declared by a macro that knows no default variant")]
impl Default for TickPolicy {
    fn default() -> TickPolicy {
        TickPolicy::Coalesce
    }
}

impl TickPolicy {
    fn is_default(&self) -> bool {
        *self == TickPolicy::default()
    }
}

/// A ticker: it ticks at an interval or as a cron expression says, and each tick goes to one consumer, or makes one task.
///
/// In JSON, the keys of the REST contract come first and in its order; those beyond it are left out where they have
/// their default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ticker {
    /// The name, unique in its namespace.
    pub ticker: TickerName,
    /// What every tick carries.
    #[serde(default = "empty_object")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Any))]
    pub payload: Json,
    /// The time from one tick to the next; `None` if the ticker goes by [`cron`](Self::cron), or is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration_nanos::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Nanos>))]
    pub interval: Option<Duration>,
    /// The namespace the ticker belongs to.
    pub namespace: Namespace,
    /// The time of the last tick, on the grid: when it was due, not when it was taken. `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub timestamp: Option<Timestamp>,
    /// The cron expression the ticker goes by, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The IANA time zone that the cron expression is read in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The queue, of the same namespace, in which each tick makes a task. `None`: ticks are handed to consumers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// The priority of those tasks.
    #[serde(default = "default_priority", skip_serializing_if = "is_default_priority")]
    pub priority: u8,
    /// What becomes of missed ticks.
    #[serde(default, skip_serializing_if = "TickPolicy::is_default")]
    pub policy: TickPolicy,
    /// How many missed ticks at most are caught up with, under [`TickPolicy::CatchUp`].
    #[serde(default = "default_catch_up", skip_serializing_if = "is_default_catch_up")]
    pub catch_up: u32,
    /// When the next tick is due; `None` if the ticker is disabled.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub next_at: Option<Timestamp>,
}

impl Ticker {
    /// Whether the ticker never ticks, having neither an interval nor a cron expression.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.interval.is_none() && self.cron.is_none()
    }
}

fn empty_object() -> Json {
    Json::from_text("{}").unwrap_or_else(|_| Json::null())
}

fn default_priority() -> u8 {
    DEFAULT_PRIORITY
}

fn is_default_priority(priority: &u8) -> bool {
    *priority == DEFAULT_PRIORITY
}

fn default_catch_up() -> u32 {
    DEFAULT_CATCH_UP
}

fn is_default_catch_up(catch_up: &u32) -> bool {
    *catch_up == DEFAULT_CATCH_UP
}
