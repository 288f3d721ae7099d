use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire::{given_json, is_absent_or_null, time};
use crate::{Attempt, Claim, DEFAULT_PRIORITY, Json, Namespace, QueueName, Status};

/// A task.
///
/// In JSON, the keys of the REST contract come first and in its order; what is not set is left out, and so is a
/// result of `null`. Times are UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Task {
    /// The number of the task, unique in the database.
    pub id: u64,
    /// What the worker receives.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given_json")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Any, required = false))]
    pub payload: Option<Json>,
    /// Before when the task does not run; set by who created it, and by a retry.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub delayed_at: Option<Timestamp>,
    /// The label of the worker that retained it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The namespace of its queue.
    pub namespace: Namespace,
    /// The queue it is in.
    pub queue: QueueName,
    /// What the last attempt reported, done or failed.
    #[serde(default, skip_serializing_if = "is_absent_or_null")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Any, required = false))]
    pub result: Option<Json>,
    /// When it was created.
    #[serde(with = "time")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Time))]
    pub created_at: Timestamp,
    /// When it was retained, if it is or was done.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub finished_at: Option<Timestamp>,
    /// When it expires, unless it is done by then.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub dies_at: Option<Timestamp>,
    /// The number of attempts that are left.
    pub retries: u32,
    /// Where it stands; `None` where the answer does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// From 0, which goes first, to 9.
    #[serde(default = "default_priority")]
    pub priority: u8,
    /// How often it has been retained. It only grows, also through attempts that cost nothing.
    #[serde(default)]
    pub attempt: u32,
    /// The idempotency key it was created under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The W3C trace context of whoever created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Until when the worker holds it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "time::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<crate::openapi::Time>))]
    pub lease_until: Option<Timestamp>,
    /// The random number of whoever holds it. Never in JSON, where whoever reads a task could end it.
    #[serde(skip)]
    pub holder: Option<i64>,
    /// The attempts that did not succeed, oldest first, where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

impl Task {
    /// What a release of this attempt must match; `None` if nobody is known to hold the task.
    #[must_use]
    pub fn claim(&self) -> Option<Claim> {
        let id = i64::try_from(self.id).ok()?;
        let attempt = i32::try_from(self.attempt).ok()?;
        Some(Claim::new(id, attempt, self.holder?))
    }
}

fn default_priority() -> u8 {
    DEFAULT_PRIORITY
}
