//! From rows to the types of pgmill.
//!
//! What is stored was checked when it was written, so a row that does not decode is a defect or a change by hand, and is
//! reported as such.

use std::cell::Cell;

use jiff::Timestamp;
use pgmill_schema::{
    Attempt, AttemptOutcome, Backoff, Json, List, Namespace, Queue, QueueName, Status, Task, TickPolicy,
    Ticker, TickerName, Ttl, from_micros,
};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::error::StoreError;
use crate::stamp::Stamp;

/// Reads columns of a row by name. It is looked for from the one that was read before, so that
/// columns that are read in their order are found at once.
pub(crate) struct Reader<'a> {
    row: &'a Row,
    next: Cell<usize>,
}

impl<'a> Reader<'a> {
    pub(crate) fn of(row: &'a Row) -> Self {
        Self { row, next: Cell::new(0) }
    }

    pub(crate) fn get<T: FromSql<'a>>(&self, column: &str) -> Result<T, StoreError> {
        let columns = self.row.columns();
        let next = self.next.get();
        let found = (next..columns.len()).chain(0..next).find(|&index| columns[index].name() == column);
        let Some(index) = found else { return Ok(self.row.try_get(column)?) };
        self.next.set(index + 1);
        Ok(self.row.try_get(index)?)
    }

    /// A time that every row has.
    pub(crate) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        Ok(self.get::<Stamp>(column)?.time())
    }

    /// A time that a row may have.
    pub(crate) fn optional_time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<Stamp>>(column)?.map(Stamp::time))
    }

    pub(crate) fn count(&self, column: &str) -> Result<u64, StoreError> {
        let count: i64 = self.get(column)?;
        // The sum of the counters may be short of the truth for a moment, but is not to be shown below zero.
        Ok(u64::try_from(count).unwrap_or(0))
    }

    pub(crate) fn unsigned(&self, column: &str) -> Result<u32, StoreError> {
        let value: i32 = self.get(column)?;
        u32::try_from(value).map_err(|_| corrupt(column, value))
    }

    pub(crate) fn id(&self) -> Result<u64, StoreError> {
        let id: i64 = self.get("id")?;
        u64::try_from(id).map_err(|_| corrupt("id", id))
    }

    pub(crate) fn status(&self) -> Result<Status, StoreError> {
        let code: i16 = self.get("status")?;
        Status::from_code(code).ok_or_else(|| corrupt("status", code))
    }

    pub(crate) fn queue_name(&self) -> Result<QueueName, StoreError> {
        let name: &str = self.get("queue")?;
        QueueName::new(name).map_err(|_| corrupt("queue", name))
    }

    pub(crate) fn json(&self, column: &str) -> Result<Option<Json>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| Json::from_stored(text).map_err(|error| corrupt(column, error))).transpose()
    }

    pub(crate) fn priority(&self) -> Result<u8, StoreError> {
        let priority: i16 = self.get("priority")?;
        u8::try_from(priority).map_err(|_| corrupt("priority", priority))
    }

    fn namespace(&self) -> Result<Namespace, StoreError> {
        let name: &str = self.get("ns")?;
        Namespace::from_stored(name).map_err(|_| corrupt("ns", name))
    }

    fn micros(&self, column: &str) -> Result<std::time::Duration, StoreError> {
        Ok(from_micros(self.get(column)?))
    }

    /// A row of `queue`.
    pub(crate) fn queue(&self) -> Result<Queue, StoreError> {
        let ttl: Option<i64> = self.get("ttl")?;
        let backoff: i16 = self.get("backoff")?;
        Ok(Queue {
            queue: self.queue_name()?,
            ttl: ttl.map_or(Ttl::Never, |ttl| Ttl::After(from_micros(ttl))),
            retries: self.unsigned("retries")?,
            retry_delay: self.micros("retry_delay")?,
            namespace: self.namespace()?,
            backoff: Backoff::from_code(backoff).ok_or_else(|| corrupt("backoff", backoff))?,
            max_retry_delay: self.micros("max_retry_delay")?,
            retention: self.micros("retention")?,
            retention_failed: self.micros("retention_failed")?,
            lease: self.micros("lease")?,
            paused_at: self.get("paused_at")?,
        })
    }

    /// A row of the view of all tasks. The history of attempts is left empty.
    pub(crate) fn task(&self) -> Result<Task, StoreError> {
        let status = self.status()?;
        // The JSON null that most tasks end with is not stored.
        let nothing = || (status == Status::Released).then(Json::null);
        Ok(Task {
            id: self.id()?,
            payload: self.json("payload")?,
            delayed_at: self.get("delayed_at")?,
            worker: self.get("worker")?,
            namespace: self.namespace()?,
            queue: self.queue_name()?,
            result: self.json("result")?.or_else(nothing),
            created_at: self.get("created_at")?,
            started_at: self.get("started_at")?,
            finished_at: self.get("finished_at")?,
            dies_at: self.get("dies_at")?,
            retries: remaining(status, self.get("retries")?, self.get("attempt")?, self.get("spared")?),
            status: Some(status),
            priority: self.priority()?,
            attempt: self.unsigned("attempt")?,
            key: self.get("key")?,
            traceparent: self.get("traceparent")?,
            lease_until: self.get("lease_until")?,
            holder: self.get("holder")?,
            attempts: Vec::new(),
        })
    }

    /// Whether a column that holds integers holds none here, as that of a row that an outer join did not find.
    pub(crate) fn is_absent(&self, column: &str) -> Result<bool, StoreError> {
        Ok(self.get::<Option<i32>>(column)?.is_none())
    }

    /// A row of `ticker`.
    pub(crate) fn ticker(&self) -> Result<Ticker, StoreError> {
        let name: &str = self.get("ticker")?;
        let interval: Option<i64> = self.get("interval")?;
        let policy: i16 = self.get("policy")?;
        let queue: Option<&str> = self.get("queue")?;
        Ok(Ticker {
            ticker: TickerName::new(name).map_err(|_| corrupt("ticker", name))?,
            payload: self.json("payload")?.ok_or_else(|| corrupt("payload", None::<Json>))?,
            interval: interval.map(from_micros),
            namespace: self.namespace()?,
            timestamp: self.get("ts")?,
            cron: self.get("cron")?,
            time_zone: self.get("time_zone")?,
            queue: queue.map(QueueName::new).transpose().map_err(|_| corrupt("queue", queue))?,
            priority: self.priority()?,
            policy: TickPolicy::from_code(policy).ok_or_else(|| corrupt("policy", policy))?,
            catch_up: self.unsigned("catch_up")?,
            next_at: self.get("next_at")?,
        })
    }

    /// A row of `task_attempt`.
    pub(crate) fn attempt(&self) -> Result<Attempt, StoreError> {
        let outcome: i16 = self.get("outcome")?;
        let ended_at: Timestamp = self.get("ended_at")?;
        let started_at: Option<Timestamp> = self.get("started_at")?;
        Ok(Attempt {
            attempt: self.unsigned("attempt")?,
            worker: self.get("worker")?,
            started_at: started_at.unwrap_or(ended_at),
            ended_at,
            outcome: AttemptOutcome::from_code(outcome).ok_or_else(|| corrupt("outcome", outcome))?,
            error: self.json("error")?,
        })
    }
}

/// The names of queues in the rows of an answer. Mostly all are the same, which is checked once.
#[derive(Debug, Default)]
pub(crate) struct QueueNames {
    last: Option<QueueName>,
}

impl QueueNames {
    /// The name as it is stored.
    pub(crate) fn of(&mut self, name: &str) -> Result<QueueName, StoreError> {
        if let Some(last) = self.last.as_ref().filter(|last| last.as_str() == name) {
            return Ok(last.clone());
        }
        let queue = QueueName::new(name).map_err(|_| corrupt("queue", name))?;
        Ok(self.last.insert(queue).clone())
    }
}

/// A page of things whose ids are bigints, out of rows that all tell the count of the whole list; of an empty page there is one
/// row, without an id.
pub(crate) fn page<T>(
    rows: &[Row],
    read: impl Fn(&Reader<'_>) -> Result<T, StoreError>,
) -> Result<List<T>, StoreError> {
    let count = rows.first().map_or(Ok(0), |row| Reader::of(row).count("count"))?;
    let mut body = Vec::with_capacity(rows.len());
    for row in rows.iter().map(Reader::of) {
        if row.get::<Option<i64>>("id")?.is_some() {
            body.push(read(&row)?);
        }
    }
    Ok(List { offset: 0, limit: None, count, body })
}

/// The attempts a task has left, as it is shown.
///
/// An attempt is spent by its failure, as in the system this one reimplements: one that runs, or that succeeded, has not
/// been taken off yet. A task that failed for good before its last attempt has none left either.
pub(crate) fn remaining(status: Status, retries: i32, attempt: i32, spared: i32) -> u32 {
    let counted = attempt - spared;
    let left = match status {
        Status::Failed => 0,
        Status::Retained | Status::Released => retries - counted + 1,
        _ => retries - counted,
    };
    u32::try_from(left).unwrap_or(0)
}

pub(crate) fn corrupt(column: &str, value: impl std::fmt::Debug) -> StoreError {
    StoreError::unexpected(format!("the column {column} holds {value:?}, which pgmill never writes"))
}
