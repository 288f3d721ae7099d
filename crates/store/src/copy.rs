//! Creating very many tasks of one queue at once, by binary COPY.
//!
//! This is the one operation of several statements, in one transaction: lock the queue and read it, count, copy. It is not
//! for use behind a pooler, since the driver can start a COPY only by a named statement.
//!
//! ```text
//!   BEGIN ─▶ lock, read the queue ─▶ count, start to copy ─▶ rows, rows, …, end of rows, COMMIT ─▶ answered
//! ```
//!
//! Each arrow is a round trip; what stands between two of them is sent at once.

use std::pin::pin;

use deadpool_postgres::Transaction;
use futures_util::{SinkExt, future};
use jiff::{SignedDuration, Timestamp};
use pgmill_schema::{Namespace, QueueName};
use tokio_postgres::CopyInSink;

use crate::enqueue::{Enqueued, NewTask};
use crate::error::StoreError;
use crate::row::Reader;
use crate::rows::RowWriter;
use crate::session::run;
use crate::statement::{COPY_TASKS, COPY_TASKS_COUNT, COPY_TASKS_OPEN, COPY_TASKS_QUEUE};
use crate::store::Store;

/// How far in the past a `delayed_at` may lie, for clocks differ.
const SKEW: SignedDuration = SignedDuration::from_secs(1);
/// How many bytes of rows are sent at a time: the next are written while the server reads these.
const CHUNK: usize = 64 << 10;

/// The queue of a COPY, as it is once locked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) queue_id: i32,
    pub(crate) ttl: Option<i64>,
    pub(crate) retries: i32,
    pub(crate) now: Timestamp,
}

impl Store {
    /// Creates all of `tasks` or none, all in one queue and none with a key, with ids in ascending order; and tells what
    /// became of each. A task that is refused refuses all, and all are answered
    /// as [`NoQueue`](Enqueued::NoQueue) or [`DelayedInPast`](Enqueued::DelayedInPast).
    ///
    /// # Errors
    /// Those of any statement. After [`StoreError::Lost`] the tasks may or may not have been committed: to be sent by
    /// [`enqueue_all`](Store::enqueue_all) as [`Again`](crate::Sending::Again).
    pub async fn copy_tasks(
        &self,
        namespace: &Namespace,
        queue: &QueueName,
        tasks: &[NewTask],
    ) -> Result<Vec<Enqueued>, StoreError> {
        let mut session = self.session().await?;
        let copied = tokio::time::timeout(self.deadline(), async {
            let transaction = session.transaction().await?;
            copy(transaction, namespace, queue, tasks).await
        })
        .await;
        copied.unwrap_or_else(|_| {
            drop(deadpool_postgres::Object::take(session.connection));
            Err(StoreError::deadline())
        })
    }
}

async fn copy(
    transaction: Transaction<'_>,
    namespace: &Namespace,
    queue: &QueueName,
    tasks: &[NewTask],
) -> Result<Vec<Enqueued>, StoreError> {
    let flight = tasks.first().map_or(0, |task| task.id);
    let Some(target) = lock(&transaction, namespace.as_str(), queue.as_str(), flight).await? else {
        transaction.rollback().await?;
        return Ok(vec![Enqueued::NoQueue; tasks.len()]);
    };
    let earliest = target.now - SKEW;
    if tasks.iter().any(|task| task.delayed_at.is_some_and(|at| at < earliest)) {
        transaction.rollback().await?;
        return Ok(vec![Enqueued::DelayedInPast; tasks.len()]);
    }
    let count = i32::try_from(tasks.len()).map_err(|_| StoreError::unexpected("too many tasks at once"))?;
    let statement = transaction.prepare_cached(COPY_TASKS).await?;
    let counting = [&target.queue_id as _, &count as _];
    let counted = run(&*transaction, &COPY_TASKS_COUNT, &counting);
    let started = async { Ok(transaction.copy_in(&statement).await?) };
    let (_, sink): (_, CopyInSink<_>) = future::try_join(counted, started).await?;
    let mut sink = pin!(sink);
    let mut writer = RowWriter::new(target, CHUNK);
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        let (run_at, dies_at) = writer.write(task)?;
        answers.push(Enqueued::Created {
            queue_id: target.queue_id,
            created_at: target.now,
            run_at,
            dies_at,
            retries: u32::try_from(target.retries).unwrap_or(0),
        });
        if writer.is_full() {
            sink.feed(writer.take()).await?;
        }
    }
    sink.feed(writer.end()).await?;
    // The commit follows the rows without waiting for their answer: where they were refused, it commits nothing.
    let (copied, committed) = future::join(sink.finish(), transaction.commit()).await;
    copied?;
    committed?;
    Ok(answers)
}

/// Locks the queue against deletion, and reads it: what was read before the lock may be gone.
async fn lock(
    transaction: &tokio_postgres::Transaction<'_>,
    namespace: &str,
    queue: &str,
    flight: i64,
) -> Result<Option<Target>, StoreError> {
    loop {
        let (named, opening) = ([&namespace as _, &queue as _], [&namespace as _, &queue as _, &flight as _]);
        let (locked, found) = future::try_join(
            run(transaction, &COPY_TASKS_OPEN, &opening),
            run(transaction, &COPY_TASKS_QUEUE, &named),
        )
        .await?;
        let Some(row) = found.first().map(Reader::of) else { return Ok(None) };
        let queue_id: i32 = row.get("id")?;
        let locked_id: Option<i32> = locked.first().map(|row| Reader::of(row).get("id")).transpose()?;
        if locked_id == Some(queue_id) {
            let (ttl, retries, now) = (row.get("ttl")?, row.get("retries")?, row.get("now")?);
            return Ok(Some(Target { queue_id, ttl, retries, now }));
        }
    }
}
