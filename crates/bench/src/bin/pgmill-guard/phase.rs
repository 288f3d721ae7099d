//! What is measured by itself.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A part of the way of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// 64 callers create a task each, and again when all are answered.
    EnqueueSingle,
    /// One call creates all tasks.
    EnqueueBulk,
    /// Tasks are retained, 256 a call.
    Retain,
    /// Tasks are retained likewise, and released at once, each by a call of its own. Its figures are told without those of
    /// [`Retain`](Self::Retain).
    Release,
}

impl Phase {
    pub(crate) const ALL: [Self; 4] = [Self::EnqueueSingle, Self::EnqueueBulk, Self::Retain, Self::Release];

    /// The name by which a client is started for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EnqueueSingle => "enqueue_single",
            Self::EnqueueBulk => "enqueue_bulk",
            Self::Retain => "retain",
            Self::Release => "release",
        }
    }

    /// Whether it needs tasks to begin with.
    pub(crate) fn takes_tasks(self) -> bool {
        matches!(self, Self::Retain | Self::Release)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
