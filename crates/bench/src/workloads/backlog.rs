//! A queue full of tasks.

use pgmill::TaskMeta;

use crate::bench::Bench;

/// The tasks of one call: few enough to travel as the statement that the batcher sends, not as a COPY, which writes less
/// WAL.
const CALL: u32 = 500;

/// Makes a queue with `plan.tasks` tasks. Returns how many bytes of WAL each took.
pub(crate) async fn backlog(bench: &Bench, queue: &str) -> anyhow::Result<f64> {
    bench.queue(queue).await?;
    let before = bench.wal_position().await?;
    let mut left = bench.plan.tasks;
    while left > 0 {
        let count = left.min(CALL);
        bench.manager.create_tasks(queue, metas(bench, count)).await?;
        left -= count;
    }
    let wal = bench.wal_position().await? - before;
    Ok(wal as f64 / f64::from(bench.plan.tasks))
}

/// So many tasks to be created.
pub(crate) fn metas(bench: &Bench, count: u32) -> Vec<TaskMeta> {
    (0..count as usize).map(|task| TaskMeta::raw(bench.plan.payload(task).clone())).collect()
}
