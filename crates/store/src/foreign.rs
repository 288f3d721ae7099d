//! What it takes to create a task in a transaction that is open on a connection of another driver than this crate's.
//!
//! The statements are told here, for no SQL stands anywhere else, and so is what their errors and rows mean.

use std::error::Error;

use pgmill_schema::Status;

use crate::error::StoreError;
use crate::statement::{FOREIGN_ENQUEUE, FOREIGN_GET_TASK};

/// Creates one task. Parameters: namespace, queue, payload, earliest start (RFC 3339), delay in microseconds (`bigint`),
/// priority (`smallint`), key, trace context; the others are `text`. Answers one row: `code` (0 created, 1 no such queue, 2 the earliest
/// start is in the past, 3 the key belongs to another task), the `id` of the task, or of that other one, `queue_id`,
/// `retries`, and the times `created_at`, `run_at` and `dies_at` (RFC 3339).
pub const ENQUEUE: &str = FOREIGN_ENQUEUE.text;

/// Looks a task up. Parameters: namespace, id (`bigint`). Answers its columns, times as RFC 3339; no row where the
/// namespace has no such task.
pub const GET_TASK: &str = FOREIGN_GET_TASK.text;

/// The attempts a task has left, from the columns `status`, `retries`, `attempt` and `spared`.
pub fn attempts_left(status: Status, retries: i32, attempt: i32, spared: i32) -> u32 {
    crate::row::remaining(status, retries, attempt, spared)
}

/// An error of another driver, sorted as those of this crate's are. `sqlstate` is PostgreSQL's error code, if the server
/// reported the error.
pub fn error(source: impl Error + Send + Sync + 'static, sqlstate: Option<&str>) -> StoreError {
    StoreError::foreign(Box::new(source), sqlstate)
}
