//! A queue full of tasks.

use std::time::Duration;

use pgmill::{QueueMeta, TaskMeta};

use crate::bench::Bench;

/// The tasks of one call: few enough to travel as the statement that the batcher sends, not as a COPY, which writes less
/// WAL.
pub(crate) const CALL: u32 = 500;

/// Whether tasks that are done are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    Kept,
    /// Retention 0.
    Dropped,
}

impl History {
    pub(crate) fn queue(self, name: &str) -> QueueMeta {
        match self {
            Self::Kept => QueueMeta::new(name),
            Self::Dropped => QueueMeta::new(name).retention(Duration::ZERO),
        }
    }

    /// How many of the tasks that are done are there.
    pub(crate) fn kept(self, done: u64) -> u64 {
        if self == Self::Kept { done } else { 0 }
    }
}

/// Makes a queue with `plan.tasks` tasks. Returns how many bytes of WAL each took.
pub(crate) async fn backlog(bench: &Bench, queue: &str) -> anyhow::Result<f64> {
    fill(bench, QueueMeta::new(queue), bench.plan.tasks).await
}

/// The same of another queue, and of so many.
pub(crate) async fn fill(bench: &Bench, queue: QueueMeta, tasks: u32) -> anyhow::Result<f64> {
    let queue = bench.manager.create_queue(queue).await?.queue;
    add_by(bench, queue.as_str(), tasks, CALL).await
}

/// Adds so many tasks to a queue that is there, by calls of so many. Returns the same.
pub(crate) async fn add_by(bench: &Bench, queue: &str, tasks: u32, call: u32) -> anyhow::Result<f64> {
    let before = bench.wal_position().await?;
    let mut left = tasks;
    while left > 0 {
        let count = left.min(call);
        bench.manager.create_tasks(queue, metas(bench, count)).await?;
        left -= count;
    }
    let wal = bench.wal_position().await? - before;
    Ok(wal as f64 / f64::from(tasks))
}

/// So many tasks to be created.
pub(crate) fn metas(bench: &Bench, count: u32) -> Vec<TaskMeta> {
    (0..count as usize).map(|task| TaskMeta::raw(bench.plan.payload(task).clone())).collect()
}
