use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::time;
use crate::{
    Backoff, DEFAULT_LEASE, DEFAULT_MAX_RETRY_DELAY, DEFAULT_RETENTION, DEFAULT_RETENTION_FAILED, Namespace,
    QueueName, Status, Ttl, duration_nanos,
};

/// A queue and its settings, all of them in force.
///
/// In JSON, the keys of the REST contract come first and in its order; a `ttl` of [`Ttl::Never`] is left out. Where
/// a key beyond the contract is absent, reading takes the default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Queue {
    /// The name, unique in its namespace.
    pub queue: QueueName,
    /// How long a task has to be done.
    #[serde(default = "Ttl::never", skip_serializing_if = "Ttl::is_never")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Nanos>))]
    pub ttl: Ttl,
    /// The number of attempts in all that a task gets.
    pub retries: u32,
    /// The pause after the first failed attempt.
    #[serde(with = "duration_nanos")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Nanos))]
    pub retry_delay: Duration,
    /// The namespace the queue belongs to.
    pub namespace: Namespace,
    /// How the pause between attempts grows.
    #[serde(default)]
    pub backoff: Backoff,
    /// The longest pause between two attempts.
    #[serde(default = "default_max_retry_delay", with = "duration_nanos")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Nanos))]
    pub max_retry_delay: Duration,
    /// How long at least a task that is done stays visible.
    #[serde(default = "default_retention", with = "duration_nanos")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Nanos))]
    pub retention: Duration,
    /// How long at least a task that failed, expired or was cancelled stays visible.
    #[serde(default = "default_retention_failed", with = "duration_nanos")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Nanos))]
    pub retention_failed: Duration,
    /// How long a worker that sends no heartbeat holds a task.
    #[serde(default = "default_lease", with = "duration_nanos")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Nanos))]
    pub lease: Duration,
    /// Since when the queue hands out no tasks; `None` if it does.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub paused_at: Option<Timestamp>,
}

fn default_max_retry_delay() -> Duration {
    DEFAULT_MAX_RETRY_DELAY
}

fn default_retention() -> Duration {
    DEFAULT_RETENTION
}

fn default_retention_failed() -> Duration {
    DEFAULT_RETENTION_FAILED
}

fn default_lease() -> Duration {
    DEFAULT_LEASE
}

/// How many tasks of a queue have a status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueStatus {
    /// The namespace of the queue.
    pub namespace: Namespace,
    /// The name of the queue.
    pub queue: QueueName,
    /// The status that is counted.
    pub status: Status,
    /// The number of tasks; 0 is reported too.
    pub count: u64,
}
