use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Json;
use crate::wire::time;
use crate::word::words;

words! {
    /// How an attempt ended that did not succeed.
    pub enum AttemptOutcome ("attempt outcome"), error AttemptOutcomeError {
        /// It failed, and the task will be tried again.
        Retry = 0 "retry",
        /// It failed, and the task with it.
        Failed = 1 "failed",
        /// Its lease ran out: the worker died, hung, or lost its connection.
        Lapsed = 2 "lapsed",
        /// The worker gave the task back unfinished, as on shutdown. It costs no attempt.
        GivenBack = 3 "given_back",
        /// The handler asked for the task to come back later. It costs no attempt.
        Snoozed = 4 "snoozed",
        /// The task was called off.
        Cancelled = 5 "cancelled",
        /// The time to live of the task ran out.
        Expired = 6 "expired",
    }
}

/// One attempt of a task that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempt {
    /// Which retain of the task it was, from 1.
    pub attempt: u32,
    /// The label of the worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// When the task was retained.
    #[serde(with = "time")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Time))]
    pub started_at: Timestamp,
    /// When the attempt ended; for a lapsed lease, when that was noticed.
    #[serde(with = "time")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Time))]
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What the worker reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Any, required = false))]
    pub error: Option<Json>,
}
