//! How an attempt ended, and what a run came to.

use std::time::Duration;

use pgmill_schema::{Outcome, Status, Task};

use crate::telemetry::Fate;

/// An attempt that is over, as [`on_end`](crate::WorkerPoolBuilder::on_end) is told of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended<'a> {
    /// The task as it was retained.
    pub task: &'a Task,
    /// What was released, or was to be; `None` where the handler did not come to an end.
    pub outcome: Option<&'a Outcome>,
    /// What became of the attempt.
    pub end: &'a End,
    /// From when the task was due until its handler was started.
    pub waited: Duration,
    /// How long the handler ran.
    pub ran: Duration,
}

/// What became of an attempt.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// It is recorded.
    Recorded {
        /// What the release made of the task.
        status: Status,
        /// The task now, where it is known.
        task: Option<Box<Task>>,
    },
    /// The task was given back: another worker may have it at once, and the attempt was spared.
    GivenBack,
    /// The lease was lost: the task belongs to another attempt, or will, and what the handler returned was dropped.
    Lost,
    /// It could not be recorded before the pool ended. The task runs again when its lease has lapsed, unless the release
    /// arrives after all.
    Unrecorded,
}

/// What [`WorkerPool::run`](crate::WorkerPool::run) did, in attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunReport {
    /// That ended with a task done.
    pub done: u64,
    /// That failed, and whose task is to be tried again.
    pub retried: u64,
    /// That ended with a task failed for good.
    pub failed: u64,
    /// That ended with a task expired.
    pub expired: u64,
    /// That ended with a task cancelled.
    pub cancelled: u64,
    /// That put their task off.
    pub snoozed: u64,
    /// That gave their task back, mostly because the pool stopped.
    pub given_back: u64,
    /// That lost their lease.
    pub lost: u64,
    /// That could not be recorded before the pool ended: their tasks run again when their leases have lapsed.
    pub unrecorded: u64,
}

impl RunReport {
    pub(super) fn count(&mut self, fate: Fate) {
        let count = match fate {
            Fate::Done => &mut self.done,
            Fate::Retry => &mut self.retried,
            Fate::Failed => &mut self.failed,
            Fate::Expired => &mut self.expired,
            Fate::Cancelled => &mut self.cancelled,
            Fate::Snoozed => &mut self.snoozed,
            Fate::GivenBack => &mut self.given_back,
            Fate::Lost => &mut self.lost,
            Fate::Unrecorded => &mut self.unrecorded,
        };
        *count += 1;
    }
}

impl End {
    /// The same in a word, of an attempt that was released with this outcome.
    pub(super) fn fate(&self, outcome: Option<&Outcome>) -> Fate {
        match self {
            Self::GivenBack => Fate::GivenBack,
            Self::Lost => Fate::Lost,
            Self::Unrecorded => Fate::Unrecorded,
            Self::Recorded { status, .. } => outcome.and_then(Fate::chosen).unwrap_or(Fate::of(*status)),
        }
    }
}
