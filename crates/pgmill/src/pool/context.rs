//! What a handler is told beside the payload.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use pgmill_schema::Task;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use crate::manager::Manager;

/// What all handlers of a pool share.
pub(super) struct Common<S> {
    pub(super) manager: Manager,
    pub(super) worker: Arc<str>,
    pub(super) state: S,
}

/// The task that a handler runs, and what it runs in. Cloning is cheap.
pub struct Context<S = ()> {
    attempt: Arc<Attempt>,
    common: Arc<Common<S>>,
}

impl<S> Context<S> {
    pub(super) fn new(attempt: Arc<Attempt>, common: Arc<Common<S>>) -> Self {
        Self { attempt, common }
    }

    /// The task, as it was retained.
    pub fn task(&self) -> &Task {
        &self.attempt.task
    }

    /// The task's id.
    pub fn id(&self) -> u64 {
        self.task().id
    }

    /// The queue it came from.
    pub fn queue(&self) -> &str {
        self.task().queue.as_str()
    }

    /// How often the task has been retained, from 1. It also counts attempts that cost nothing.
    pub fn attempt(&self) -> u32 {
        self.task().attempt
    }

    /// How many attempts are left after this one, if it fails.
    pub fn retries_left(&self) -> u32 {
        self.task().retries.saturating_sub(1)
    }

    /// From 0, which goes first, to 9.
    pub fn priority(&self) -> u8 {
        self.task().priority
    }

    /// When the task was created, by the database's clock.
    pub fn created_at(&self) -> Timestamp {
        self.task().created_at
    }

    /// The W3C trace context of whoever created the task. With the feature `otel` the span `pgmill.run` is linked to it, and
    /// tasks that the handler creates carry the context of that span. Without it, a handler may hand this one on:
    ///
    /// ```
    /// # fn example(context: pgmill::Context, meta: pgmill::TaskMeta) -> pgmill::TaskMeta {
    /// match context.traceparent() {
    ///     Some(traceparent) => meta.traceparent(traceparent),
    ///     None => meta,
    /// }
    /// # }
    /// ```
    pub fn traceparent(&self) -> Option<&str> {
        self.task().traceparent.as_deref()
    }

    /// When the task expires, by the clock of this process; `None` if it does not. The token is cancelled then.
    pub fn deadline(&self) -> Option<Instant> {
        self.attempt.deadline
    }

    /// Cancelled when the handler should come to an end soon, since the task has expired, its lease was lost, or the pool
    /// stops and will not wait much longer. A handler that goes on for longer than the
    /// [grace](crate::WorkerPoolBuilder::cancel_grace) is dropped where it awaits next.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.attempt.token
    }

    /// Whether the handler should come to an end.
    pub fn is_cancelled(&self) -> bool {
        self.attempt.token.is_cancelled()
    }

    /// What [`state`](crate::WorkerPoolBuilder::state) was given.
    pub fn state(&self) -> &S {
        &self.common.state
    }

    /// The pool's manager, for follow-up tasks and look-ups.
    pub fn manager(&self) -> &Manager {
        &self.common.manager
    }

    /// The name of the pool.
    pub fn worker(&self) -> &str {
        &self.common.worker
    }
}

impl<S> Clone for Context<S> {
    fn clone(&self) -> Self {
        Self { attempt: Arc::clone(&self.attempt), common: Arc::clone(&self.common) }
    }
}

impl<S> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("id", &self.id())
            .field("queue", &self.queue())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}
