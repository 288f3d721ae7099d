//! Creating tasks: a batch of them, or one in the caller's transaction.

use std::collections::HashMap;

use jiff::Timestamp;
use pgmill_schema::{Json, Namespace, QueueName};
use tokio_postgres::types::ToSql;
use tokio_postgres::{GenericClient, Row};

use crate::error::StoreError;
use crate::row::{Reader, corrupt};
use crate::session::run;
use crate::stamp::Stamp;
use crate::statement::{ENQUEUE, RESERVE_IDS};
use crate::store::Store;
use crate::waiter::{Arrival, Wake, Waking};

/// A task to be created.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// An id reserved by [`Store::reserve_ids`].
    pub id: i64,
    /// Where its queue is.
    pub namespace: Namespace,
    /// Its queue.
    pub queue: QueueName,
    /// Its payload.
    pub payload: Json,
    /// The earliest time it may be retained.
    pub delayed_at: Option<Timestamp>,
    /// The same as microseconds from now, by the database's clock.
    pub delay: Option<i64>,
    /// 0 (first) to 9.
    pub priority: i16,
    /// Its idempotency key.
    pub key: Option<String>,
    /// The W3C trace context of whoever creates it.
    pub traceparent: Option<String>,
}

/// Whether a batch is sent for the first time, or may have been committed by an earlier sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// It was never sent, or is known to have failed.
    First,
    /// The answer to an earlier sending was lost.
    Again,
}

/// What became of a [`NewTask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It was created.
    Created {
        /// Its queue's id.
        queue_id: i32,
        /// When it was created.
        created_at: Timestamp,
        /// When it may be retained.
        run_at: Timestamp,
        /// When it expires.
        dies_at: Option<Timestamp>,
        /// Its attempts in all.
        retries: u32,
    },
    /// It was created by an earlier sending of the same batch, and may have gone on since.
    Settled,
    /// Its key belongs to this other task.
    KeyTaken(i64),
    /// There is no such queue.
    NoQueue,
    /// Its `delayed_at` is in the past.
    DelayedInPast,
}

/// The parameters of the statement: tasks by column, and the queues they name, each once.
#[derive(Default)]
struct Columns<'a> {
    namespaces: Vec<&'a str>,
    queues: Vec<&'a str>,
    ids: Vec<i64>,
    slots: Vec<i32>,
    payloads: Vec<&'a str>,
    delayed_at: Vec<Option<Stamp>>,
    delays: Vec<Option<i64>>,
    priorities: Vec<i16>,
    keys: Option<Vec<Option<&'a str>>>,
    traceparents: Option<Vec<Option<&'a str>>>,
    flight: Option<i64>,
    resend: bool,
    all: bool,
}

impl<'a> Columns<'a> {
    fn with_capacity(count: usize) -> Self {
        Self {
            ids: Vec::with_capacity(count),
            slots: Vec::with_capacity(count),
            payloads: Vec::with_capacity(count),
            delayed_at: Vec::with_capacity(count),
            delays: Vec::with_capacity(count),
            priorities: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    fn of<T: std::borrow::Borrow<NewTask>>(tasks: &'a [T], flight: Option<i64>, sending: Sending) -> Self {
        let mut columns = Self::with_capacity(tasks.len());
        (columns.flight, columns.resend) = (flight, sending == Sending::Again);
        let mut slots = HashMap::new();
        // Of the queue before, which mostly is this one too.
        let mut last = (("", ""), 0);
        for task in tasks.iter().map(std::borrow::Borrow::borrow) {
            let queue = (task.namespace.as_str(), task.queue.as_str());
            if last.0 != queue {
                let slot = *slots.entry(queue).or_insert_with(|| {
                    columns.namespaces.push(queue.0);
                    columns.queues.push(queue.1);
                    columns.queues.len()
                });
                last = (queue, i32::try_from(slot).unwrap_or(i32::MAX));
            }
            columns.ids.push(task.id);
            columns.slots.push(last.1);
            columns.payloads.push(task.payload.as_str());
            columns.delayed_at.push(task.delayed_at.map(Stamp::from));
            columns.delays.push(task.delay);
            columns.priorities.push(task.priority);
        }
        if tasks.iter().any(|task| task.borrow().key.is_some()) {
            columns.keys = Some(tasks.iter().map(|task| task.borrow().key.as_deref()).collect());
        }
        if tasks.iter().any(|task| task.borrow().traceparent.is_some()) {
            columns.traceparents =
                Some(tasks.iter().map(|task| task.borrow().traceparent.as_deref()).collect());
        }
        columns
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 13] {
        [
            &self.namespaces,
            &self.queues,
            &self.ids,
            &self.slots,
            &self.payloads,
            &self.delayed_at,
            &self.delays,
            &self.priorities,
            &self.keys,
            &self.traceparents,
            &self.flight,
            &self.resend,
            &self.all,
        ]
    }
}

impl Store {
    /// Reserves task ids for this process.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn reserve_ids(&self, count: i32) -> Result<Vec<i64>, StoreError> {
        let rows = self.query_again(&RESERVE_IDS, &[&count]).await?;
        ids(&rows)
    }

    /// Creates a batch of tasks, with ids in ascending order, and tells what became of each, in the same order.
    ///
    /// Sent [`Again`](Sending::Again), it creates only what an earlier sending did not, even if that one reaches the
    /// server later.
    ///
    /// # Errors
    /// Those of any statement. After [`StoreError::Lost`] the batch may or may not have been committed.
    pub async fn enqueue<T: std::borrow::Borrow<NewTask> + Sync>(
        &self,
        tasks: &[T],
        sending: Sending,
    ) -> Result<Vec<Enqueued>, StoreError> {
        self.enqueue_columns(Columns::of(tasks, flight(tasks), sending)).await
    }

    /// As [`enqueue`](Self::enqueue) for the first time, with a [`wake`](Self::wake) right behind it, on the same connection:
    /// the server runs it when the tasks are committed, without waiting for this process to have heard of that. The answer
    /// to the tasks does not wait for it. If they are not created, others are woken for nothing. Not behind a pooler.
    ///
    /// # Errors
    /// Those of [`enqueue`](Self::enqueue).
    pub async fn enqueue_and_wake<T: std::borrow::Borrow<NewTask> + Sync>(
        &self,
        tasks: &[T],
        process: i64,
        arrivals: &[Arrival],
    ) -> Result<(Vec<Enqueued>, Waking), StoreError> {
        let columns = Columns::of(tasks, flight(tasks), Sending::First);
        let params = columns.params();
        let wake = Wake::of(process, arrivals);
        let first = (&ENQUEUE, params.as_slice());
        let session = self.session().await?;
        let (rows, behind) =
            session.query_then(first, (wake.statement, wake.params), self.deadline()).await?;
        Ok((read(&rows, tasks.len()).map_err(StoreError::unread)?, Waking(behind)))
    }

    /// As [`enqueue`](Self::enqueue), but all or none: if one task is refused, none is created, though the others are not
    /// answered as refused.
    ///
    /// # Errors
    /// Those of any statement. After [`StoreError::Lost`] the tasks may or may not have been committed.
    pub async fn enqueue_all(
        &self,
        tasks: &[NewTask],
        sending: Sending,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let columns = Columns { all: true, ..Columns::of(tasks, flight(tasks), sending) };
        self.enqueue_columns(columns).await
    }

    async fn enqueue_columns(&self, columns: Columns<'_>) -> Result<Vec<Enqueued>, StoreError> {
        if columns.ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.query(&ENQUEUE, &columns.params()).await?;
        read(&rows, columns.ids.len()).map_err(StoreError::unread)
    }

    /// Creates one task in the transaction of `client`, which commits or loses it.
    ///
    /// # Errors
    /// Those of any statement; the transaction is then aborted by PostgreSQL. A task that is refused for its queue, time
    /// or key is no error of the statement, and leaves the transaction in order.
    pub async fn enqueue_in(client: &impl GenericClient, task: &NewTask) -> Result<Enqueued, StoreError> {
        let tasks = [task];
        let columns = Columns::of(&tasks, None, Sending::First);
        let rows = run(client, &ENQUEUE, &columns.params()).await?;
        read(&rows, 1)?.pop().ok_or_else(|| StoreError::unexpected("enqueue answered nothing"))
    }

    /// Reserves one task id on the connection of `client`.
    ///
    /// # Errors
    /// Those of any statement.
    pub async fn reserve_id_in(client: &impl GenericClient) -> Result<i64, StoreError> {
        let rows = run(client, &RESERVE_IDS, &[&1_i32]).await?;
        ids(&rows)?.pop().ok_or_else(|| StoreError::unexpected("reserve_ids answered no id"))
    }
}

fn ids(rows: &[Row]) -> Result<Vec<i64>, StoreError> {
    let row = rows.first().ok_or_else(|| StoreError::unexpected("reserve_ids answered nothing"))?;
    Reader::of(row).get("ids")
}

/// What names a sending: its first id.
fn flight<T: std::borrow::Borrow<NewTask>>(tasks: &[T]) -> Option<i64> {
    tasks.first().map(|task| task.borrow().id)
}

fn read(rows: &[Row], count: usize) -> Result<Vec<Enqueued>, StoreError> {
    let mut answers = vec![None; count];
    for row in rows.iter().map(Reader::of) {
        let ord = row.unsigned("ord")? as usize;
        let slot = answers.get_mut(ord.wrapping_sub(1)).ok_or_else(|| corrupt("ord", ord))?;
        let code: i16 = row.get("code")?;
        *slot = Some(match code {
            0 => Enqueued::Created {
                queue_id: row.get("queue_id")?,
                created_at: row.time("created_at")?,
                run_at: row.time("run_at")?,
                dies_at: row.optional_time("dies_at")?,
                retries: row.unsigned("retries")?,
            },
            1 => Enqueued::NoQueue,
            2 => Enqueued::DelayedInPast,
            3 => Enqueued::KeyTaken(row.get("id")?),
            4 => Enqueued::Settled,
            _ => return Err(corrupt("code", code)),
        });
    }
    let answered: Option<Vec<_>> = answers.into_iter().collect();
    answered.ok_or_else(|| StoreError::unexpected("enqueue left a task without an answer"))
}
