//! How a [`Manager`] creates tasks in a transaction of sqlx.

use std::borrow::Cow;

use ::sqlx::error::DatabaseError;
use ::sqlx::postgres::PgRow;
use ::sqlx::{PgConnection, Row};
use jiff::Timestamp;
use pgmill_schema::{Json, QueueName, Status, Task, TaskMeta};
use pgmill_store::{Enqueued, NewTask, foreign};

use crate::enqueue::Wake;
use crate::error::EnqueueError;
use crate::manager::Manager;
use crate::telemetry;

impl Manager {
    /// As [`create_task_in`](Self::create_task_in), in a transaction of sqlx: a [`Transaction`](sqlx::Transaction)
    /// dereferences to its connection.
    ///
    /// # Errors
    /// [`EnqueueError`]; never [`EnqueueError::Unknown`], which is the business of the commit. After
    /// [`EnqueueError::Store`] PostgreSQL has aborted the transaction.
    ///
    /// ```no_run
    /// # async fn example(manager: pgmill::Manager, pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmill::TaskMeta;
    ///
    /// let mut transaction = pool.begin().await?;
    /// sqlx::query("INSERT INTO customer (name) VALUES ('Ada')").execute(&mut *transaction).await?;
    /// let (task, wake) = manager.create_task_sqlx(&mut transaction, "emails", TaskMeta::json(&"Ada")?).await?;
    /// transaction.commit().await?;
    /// wake.send(&manager);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_task_sqlx(
        &self,
        connection: &mut PgConnection,
        queue: &str,
        meta: TaskMeta,
    ) -> Result<(Task, Wake), EnqueueError> {
        let queue = QueueName::new(queue)?;
        let operation = telemetry::creating(&self.namespace, &queue);
        let (task, created) = operation.within(self.create_sqlx(connection, &queue, meta)).await?;
        operation.span().record("messaging.message.id", task.id);
        operation.done();
        let wake = self.wake(queue, &task, created);
        Ok((task, wake))
    }

    /// The task, and whether it was created.
    async fn create_sqlx(
        &self,
        connection: &mut PgConnection,
        queue: &QueueName,
        meta: TaskMeta,
    ) -> Result<(Task, bool), EnqueueError> {
        let mut new = self.new_task(queue, meta)?;
        loop {
            let (id, enqueued) = enqueue(connection, &new).await.map_err(store)?;
            new.id = id;
            match enqueued {
                Enqueued::KeyTaken(id) => {
                    if let Some(task) = self.taken_sqlx(connection, id, &new).await.map_err(store)? {
                        return Ok((task, false));
                    }
                }
                enqueued => return self.created(new, enqueued).map(|task| (task, true)),
            }
        }
    }

    /// The task that has the key of `new`.
    async fn taken_sqlx(
        &self,
        connection: &mut PgConnection,
        id: i64,
        new: &NewTask,
    ) -> Result<Option<Task>, ::sqlx::Error> {
        let row = ::sqlx::query(foreign::GET_TASK)
            .bind(self.namespace.as_str())
            .bind(id)
            .persistent(false)
            .fetch_optional(connection)
            .await?;
        row.map(|row| read(id, new, &row)).transpose()
    }
}

async fn enqueue(connection: &mut PgConnection, new: &NewTask) -> Result<(i64, Enqueued), ::sqlx::Error> {
    let row = ::sqlx::query(foreign::ENQUEUE)
        .bind(new.namespace.as_str())
        .bind(new.queue.as_str())
        .bind(new.payload.as_str())
        .bind(new.delayed_at.map(|time| time.to_string()))
        .bind(new.delay)
        .bind(new.priority)
        .bind(new.key.as_deref())
        .bind(new.traceparent.as_deref())
        // Unnamed, so that it leaves nothing behind on a connection which may lead through a pooler.
        .persistent(false)
        .fetch_one(connection)
        .await?;
    let id = row.try_get("id")?;
    let retries: Option<i32> = row.try_get("retries")?;
    let code: i16 = row.try_get("code")?;
    let enqueued = match code {
        0 => Enqueued::Created {
            queue_id: row.try_get("queue_id")?,
            created_at: given(time(&row, "created_at")?, "created_at")?,
            run_at: given(time(&row, "run_at")?, "run_at")?,
            dies_at: time(&row, "dies_at")?,
            retries: given(retries.and_then(|retries| retries.try_into().ok()), "retries")?,
        },
        1 => Enqueued::NoQueue,
        2 => Enqueued::DelayedInPast,
        3 => Enqueued::KeyTaken(id),
        _ => return given(None, "code"),
    };
    Ok((id, enqueued))
}

fn read(id: i64, new: &NewTask, row: &PgRow) -> Result<Task, ::sqlx::Error> {
    let status = given(Status::from_code(row.try_get("status")?), "status")?;
    let attempt: i32 = row.try_get("attempt")?;
    let priority: i16 = row.try_get("priority")?;
    Ok(Task {
        id: given(u64::try_from(id).ok(), "id")?,
        payload: json(row, "payload")?,
        delayed_at: time(row, "delayed_at")?,
        worker: row.try_get("worker")?,
        namespace: new.namespace.clone(),
        queue: new.queue.clone(),
        result: json(row, "result")?,
        created_at: given(time(row, "created_at")?, "created_at")?,
        started_at: time(row, "started_at")?,
        finished_at: time(row, "finished_at")?,
        dies_at: time(row, "dies_at")?,
        retries: foreign::attempts_left(status, row.try_get("retries")?, attempt, row.try_get("spared")?),
        status: Some(status),
        priority: given(priority.try_into().ok(), "priority")?,
        attempt: given(attempt.try_into().ok(), "attempt")?,
        key: new.key.clone(),
        traceparent: row.try_get("traceparent")?,
        lease_until: time(row, "lease_until")?,
        // Only who retains a task is told.
        holder: None,
        attempts: Vec::new(),
    })
}

fn time(row: &PgRow, column: &str) -> Result<Option<Timestamp>, ::sqlx::Error> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| given(text.parse().ok(), column)).transpose()
}

fn json(row: &PgRow, column: &str) -> Result<Option<Json>, ::sqlx::Error> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| given(Json::from_stored(text).ok(), column)).transpose()
}

/// A value that every row has, unless somebody changed the row by hand.
fn given<T>(value: Option<T>, column: &str) -> Result<T, ::sqlx::Error> {
    value.ok_or_else(|| ::sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: "a value that pgmill never writes".into(),
    })
}

fn store(error: ::sqlx::Error) -> EnqueueError {
    let sqlstate = error.as_database_error().and_then(DatabaseError::code).map(Cow::into_owned);
    EnqueueError::Store(foreign::error(error, sqlstate.as_deref()).into())
}
