//! Very many tasks at once, waiting or finished.

use anyhow::ensure;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::super::backlog::metas;
use crate::args::PAYLOADS;
use crate::bench::Bench;

const FINISH_TASKS: &str = include_str!("../../../sql/finish_tasks.sql");
/// The tasks of one call, which travel as a COPY.
const CALL: u32 = 25_000;
/// The finished tasks of one statement.
const CHUNK: u32 = 250_000;
/// How many calls or statements go on at a time.
const AT_ONCE: usize = 2;

/// Creates so many tasks in a queue.
pub(super) async fn waiting(bench: &Bench, queue: &str, tasks: u32) -> anyhow::Result<()> {
    let calls = stream::iter(parts(tasks, CALL)).map(|part| async move {
        bench.manager.create_tasks(queue, metas(bench, part.count)).await?;
        anyhow::Ok(())
    });
    calls.buffer_unordered(AT_ONCE).try_collect().await
}

/// Writes so many finished tasks into a queue, the first ended as many seconds ago as `since.0`, the last as `since.1`.
pub(super) async fn finished(
    bench: &Bench,
    queue: &str,
    tasks: u32,
    since: (f64, f64),
) -> anyhow::Result<()> {
    let namespace = bench.manager.namespace().as_str();
    let payloads: Vec<&str> = (0..PAYLOADS).map(|task| bench.plan.payload(task).as_str()).collect();
    let payloads = &payloads;
    let at = move |done: u32| since.0 + (since.1 - since.0) * f64::from(done) / f64::from(tasks.max(1));
    let writes = stream::iter(parts(tasks, CHUNK)).map(|part| async move {
        let client = bench.connect().await?;
        let count = i32::try_from(part.count)?;
        let (from, to) = (at(part.first), at(part.first + part.count));
        let counted =
            client.execute(FINISH_TASKS, &[&namespace, &queue, &count, &from, &to, payloads]).await?;
        ensure!(counted > 0, "wrong count: queue {queue} is not there");
        Ok(())
    });
    writes.buffer_unordered(AT_ONCE).try_collect().await
}

/// Some of many tasks.
struct Part {
    first: u32,
    count: u32,
}

fn parts(tasks: u32, most: u32) -> impl Iterator<Item = Part> {
    let starts = (0..tasks).step_by(most as usize);
    starts.map(move |first| Part { first, count: most.min(tasks - first) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let parts: Vec<_> = parts(25, 10).map(|part| (part.first, part.count)).collect();
        assert_eq!(parts, [(0, 10), (10, 10), (20, 5)]);
    }
}
