//! What is done to a single task from outside of its attempts.

use jiff::Timestamp;
use pgmill_schema::{Namespace, Status, Task};

use crate::error::StoreError;
use crate::row::{Reader, corrupt};
use crate::statement::{CANCEL_TASK, RETRY_TASK};
use crate::store::Store;

/// What [`Store::cancel_task`] came to.
#[derive(Debug, Clone)]
pub enum Cancelled {
    /// The task is cancelled, since then.
    Task(Box<Task>, Timestamp),
    /// The namespace has no such task.
    NoTask,
    /// It had ended already, with this status.
    Ended(Status),
    /// The row is locked by another transaction, and nothing was changed.
    Locked,
}

/// What [`Store::retry_task`] came to.
#[derive(Debug, Clone)]
pub enum Retried {
    /// The task is live again.
    Task(Box<Task>),
    /// The namespace has no such task, or no such queue any more.
    NoTask,
    /// It has not ended, and has this status.
    Live(Status),
    /// The row is locked by another transaction, or was changed just now; this changed nothing.
    Locked,
    /// It was made live by an earlier sending, and may have gone on since.
    Settled,
    /// Its key belongs to the task with this id by now, and nothing was changed.
    KeyTaken(i64),
}

impl Store {
    /// Ends a live task as `cancelled`.
    ///
    /// # Errors
    /// Those of any statement. After [`StoreError::Lost`] it may or may not have been committed; once more is harmless.
    pub async fn cancel_task(&self, namespace: &Namespace, id: i64) -> Result<Cancelled, StoreError> {
        let rows = self.query(&CANCEL_TASK, &[&namespace.as_str(), &id]).await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("cancel_task answered nothing"))?;
        cancelled(&Reader::of(row)).map_err(StoreError::unread)
    }

    /// Makes a finished task live again, due now, with the attempts and the time to live that its queue grants now. `flight`
    /// is a [reserved](Self::reserve_ids) id that names this retry and nothing else.
    ///
    /// # Errors
    /// Those of any statement. After [`StoreError::Lost`] it may or may not have been committed; sent again under the same
    /// `flight` it finds out, and does not retry the task twice.
    pub async fn retry_task(
        &self,
        namespace: &Namespace,
        id: i64,
        flight: i64,
    ) -> Result<Retried, StoreError> {
        let rows = self.query(&RETRY_TASK, &[&namespace.as_str(), &id, &flight]).await?;
        let row = rows.first().ok_or_else(|| StoreError::unexpected("retry_task answered nothing"))?;
        retried(&Reader::of(row)).map_err(StoreError::unread)
    }
}

fn cancelled(row: &Reader<'_>) -> Result<Cancelled, StoreError> {
    Ok(match row.get::<i16>("code")? {
        0 => Cancelled::Task(Box::new(row.task()?), row.get("ended_at")?),
        1 => Cancelled::NoTask,
        2 => Cancelled::Ended(row.status()?),
        4 => Cancelled::Locked,
        code => return Err(corrupt("code", code)),
    })
}

fn retried(row: &Reader<'_>) -> Result<Retried, StoreError> {
    Ok(match row.get::<i16>("code")? {
        0 => Retried::Task(Box::new(row.task()?)),
        1 => Retried::NoTask,
        2 => Retried::Live(row.status()?),
        4 => Retried::Locked,
        5 => Retried::KeyTaken(row.get("key_holder")?),
        6 => Retried::Settled,
        code => return Err(corrupt("code", code)),
    })
}
