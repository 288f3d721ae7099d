#![doc = include_str!("../README.md")]

mod attempt;
mod audit;
mod backoff;
mod claim;
mod counts;
mod duration;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod json;
mod list;
mod name;
#[cfg(feature = "openapi")]
pub mod openapi;
mod outcome;
mod queue;
mod queue_meta;
mod role;
mod secret;
mod status;
mod task;
mod task_meta;
mod ticker;
mod ticker_meta;
mod token;
mod token_meta;
mod ttl;
mod wire;
mod word;

pub use attempt::{Attempt, AttemptOutcome, AttemptOutcomeError};
pub use audit::{AuditEntry, AuditFilter, AuditMeta, AuditMetaError};
pub use backoff::{Backoff, BackoffError};
pub use claim::{Claim, ClaimError};
pub use counts::{QueueCounts, TaskCounts};
pub use duration::{
    DurationError, days, duration_nanos, format_duration, from_micros, hours, minutes, parse_duration,
    seconds, to_micros,
};
pub use event::{EVENT_IDS_LIMIT, EventFilter, TaskEvent};
pub use json::{Json, JsonError};
pub use list::{LIST_LIMIT, List, ListRequest, ListRequestError, TaskFilter, TaskPlace};
pub use name::{Key, NameError, NameKind, Namespace, QueueName, TickerName, TokenName, WorkerName};
pub use outcome::{Outcome, OutcomeError};
pub use queue::{Queue, QueueStatus};
pub use queue_meta::{
    DEFAULT_LEASE, DEFAULT_MAX_RETRY_DELAY, DEFAULT_RETENTION, DEFAULT_RETENTION_FAILED, DEFAULT_RETRIES,
    DEFAULT_RETRY_DELAY, DEFAULT_TTL, QueueMeta, QueueMetaError,
};
pub use role::{Role, RoleError};
pub use secret::{TokenSecret, TokenSecretError};
pub use status::{Status, StatusError};
pub use task::Task;
pub use task_meta::{DEFAULT_PRIORITY, MAX_PRIORITY, TaskMeta, TaskMetaError};
pub use ticker::{TickPolicy, TickPolicyError, Ticker};
pub use ticker_meta::{DEFAULT_CATCH_UP, DEFAULT_INTERVAL, TickerMeta, TickerMetaError};
pub use token::{NewToken, Token};
pub use token_meta::{TokenMeta, TokenMetaError};
pub use ttl::Ttl;
