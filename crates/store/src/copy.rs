//! Creating very many tasks of one queue at once, by binary COPY.
//!
//! This is the one operation of several statements, in one transaction: lock the queue, read it, copy, count. It is not
//! for use behind a pooler, since the driver can start a COPY only by a named statement.

use std::pin::pin;

use jiff::{SignedDuration, Timestamp};
use pgmill_schema::{Namespace, QueueName};
use tokio_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::enqueue::{Enqueued, NewTask};
use crate::error::StoreError;
use crate::row::Reader;
use crate::session::run;
use crate::statement::{COPY_TASKS, COPY_TASKS_COUNT, COPY_TASKS_OPEN, COPY_TASKS_QUEUE};
use crate::store::Store;

const COLUMNS: &[Type] = &[
    Type::INT8,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::TIMESTAMPTZ,
    Type::INT4,
    Type::INT4,
    Type::INT2,
    Type::JSON,
    Type::TEXT,
];

/// How far in the past a `delayed_at` may lie, for clocks differ.
const SKEW: SignedDuration = SignedDuration::from_secs(1);

/// The queue of a COPY, as it is once locked.
struct Target {
    queue_id: i32,
    ttl: Option<i64>,
    retries: i32,
    now: Timestamp,
}

/// A JSON text, as the column takes it in binary form: its bytes.
#[derive(Debug)]
struct JsonText<'a>(&'a str);

impl ToSql for JsonText<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSON
    }

    to_sql_checked!();
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
            let transaction = session.connection.transaction().await?;
            let answers = copy(&transaction, namespace, queue, tasks).await?;
            transaction.commit().await?;
            Ok(answers)
        })
        .await;
        copied.unwrap_or_else(|_| {
            drop(deadpool_postgres::Object::take(session.connection));
            Err(StoreError::deadline())
        })
    }
}

async fn copy(
    transaction: &Transaction<'_>,
    namespace: &Namespace,
    queue: &QueueName,
    tasks: &[NewTask],
) -> Result<Vec<Enqueued>, StoreError> {
    let flight = tasks.first().map_or(0, |task| task.id);
    let Some(target) = lock(transaction, namespace.as_str(), queue.as_str(), flight).await? else {
        return Ok(vec![Enqueued::NoQueue; tasks.len()]);
    };
    let earliest = target.now - SKEW;
    if tasks.iter().any(|task| task.delayed_at.is_some_and(|at| at < earliest)) {
        return Ok(vec![Enqueued::DelayedInPast; tasks.len()]);
    }
    let sink = transaction.copy_in(COPY_TASKS).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, COLUMNS));
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        let (run_at, dies_at) = target.times(task)?;
        writer
            .as_mut()
            .write(&[
                &task.id,
                &run_at,
                &target.now,
                &dies_at,
                &target.queue_id,
                &target.retries,
                &task.priority,
                &JsonText(task.payload.as_str()),
                &task.traceparent,
            ])
            .await?;
        answers.push(Enqueued::Created {
            queue_id: target.queue_id,
            created_at: target.now,
            run_at,
            dies_at,
            retries: u32::try_from(target.retries).unwrap_or(0),
        });
    }
    writer.finish().await?;
    let count = i32::try_from(tasks.len()).map_err(|_| StoreError::unexpected("too many tasks at once"))?;
    run(transaction, &COPY_TASKS_COUNT, &[&target.queue_id, &count]).await?;
    Ok(answers)
}

/// Locks the queue against deletion, and reads it: what was read before the lock may be gone.
async fn lock(
    transaction: &Transaction<'_>,
    namespace: &str,
    queue: &str,
    flight: i64,
) -> Result<Option<Target>, StoreError> {
    loop {
        let locked = run(transaction, &COPY_TASKS_OPEN, &[&namespace, &queue, &flight]).await?;
        let found = run(transaction, &COPY_TASKS_QUEUE, &[&namespace, &queue]).await?;
        let Some(row) = found.first().map(Reader) else { return Ok(None) };
        let queue_id: i32 = row.get("id")?;
        let locked_id: Option<i32> = locked.first().map(|row| Reader(row).get("id")).transpose()?;
        if locked_id == Some(queue_id) {
            let (ttl, retries, now) = (row.get("ttl")?, row.get("retries")?, row.get("now")?);
            return Ok(Some(Target { queue_id, ttl, retries, now }));
        }
    }
}

impl Target {
    fn times(&self, task: &NewTask) -> Result<(Timestamp, Option<Timestamp>), StoreError> {
        let after = |from: Timestamp, micros: i64| {
            from.checked_add(SignedDuration::from_micros(micros))
                .map_err(|_| StoreError::unexpected("a time beyond the year 9999"))
        };
        let due = match (task.delayed_at, task.delay) {
            (Some(at), _) => at.max(self.now),
            (None, Some(micros)) => after(self.now, micros)?,
            (None, None) => self.now,
        };
        let dies_at = self.ttl.map(|ttl| after(due, ttl)).transpose()?;
        Ok((due, dies_at))
    }
}
